"""The check of a JSON body: it is judged while it passes, and refused as a whole."""

import json
from typing import Any

import pytest

from dataflow.errors import InputError, InvalidContacts, Issue, MalformedInput, RowTooLarge
from dataflow.formats.reading import Reading
from dataflow.imports.json_check import JsonCheck
from tests.support.errors import has_code

pytestmark = pytest.mark.unit

ADA = {"name": "Ada", "email": "ada@example.org"}
BAD = {"name": "", "email": "nobody"}
REQUIRED = "Required"


def pass_through(
    body: object, given_source: str | None = None, judges_rows: bool = True, piece_bytes: int = 1 << 20
) -> dict[str, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {} if given_source is None else {"source": given_source}
    check = JsonCheck(Reading(64 * 1024), given if judges_rows else {**given, "onInvalid": "skip"})
    for start in range(0, len(content), piece_bytes):
        check.feed(content[start : start + piece_bytes])
    return check.close()


def refusal(body: object, given_source: str | None = None, **options: Any) -> InvalidContacts:
    with pytest.raises(InvalidContacts) as caught:
        pass_through(body, given_source, **options)
    assert (caught.value.status, caught.value.code) == (400, "invalid_contacts")
    assert caught.value.message.startswith("Invalid JSON format: ")
    return caught.value


@pytest.mark.parametrize("piece_bytes", [1, 7, 1 << 20])
def test_a_good_request_tells_its_members(piece_bytes: int):
    before = {"source": "crm", "useResumable": True, "data": [ADA]}
    after = {"more": {"source": "no"}, "data": [ADA, ADA], "useResumable": True, "source": "crm"}
    for body in (before, after):
        assert pass_through(body, piece_bytes=piece_bytes) == {"source": "crm", "useResumable": True}
    assert pass_through({"data": [ADA], "source": "crm"}) == {"source": "crm"}


@pytest.mark.parametrize(
    "body", [{"source": "own", "data": [ADA]}, {"data": [ADA]}, {"data": [ADA], "source": 5}, [ADA]]
)
def test_a_source_given_outside_wins(body: object):
    assert pass_through(body, "header")["source"] == "header"


def test_a_bare_array_needs_a_source_from_outside():
    assert pass_through([ADA], "crm") == {"source": "crm"}
    assert refusal([ADA]).issues == (Issue(("source",), REQUIRED),)


@pytest.mark.parametrize(
    ("members", "issues"),
    [
        ({}, [("data", REQUIRED)]),
        ({"data": None}, [("data", "Expected an array")]),
        ({"data": {}}, [("data", "Expected an array")]),
        ({"data": {"item": ADA}}, [("data", "Expected an array")]),
        ({"data": "[]"}, [("data", "Expected an array")]),
        ({"data": 0}, [("data", "Expected an array")]),
        ({"data.item": ADA}, [("data", REQUIRED)]),
        ({"more": {"data": [ADA]}}, [("data", REQUIRED)]),
        ({"data": []}, [("data", "Must contain at least 1 contact")]),
        ({"data": [ADA], "useResumable": "true"}, [("useResumable", "Expected true or false")]),
        ({"data": [ADA], "useResumable": 1}, [("useResumable", "Expected true or false")]),
        ({"data": [ADA], "useResumable": [True]}, [("useResumable", "Expected true or false")]),
        (
            {"data": [], "useResumable": 0},
            [("data", "Must contain at least 1 contact"), ("useResumable", "Expected true or false")],
        ),
    ],
)
def test_a_frame_that_is_wrong_is_refused_by_member(members: dict[str, object], issues: list[tuple[str, str]]):
    expected = [Issue((member,), message) for member, message in issues]
    for judges_rows in (True, False):
        error = refusal({"source": "crm", **members}, judges_rows=judges_rows)
        assert list(error.issues) == expected
        assert error.issue_count == len(expected)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "Must not be empty"),
        ("  ", "Must not be empty"),
        ("x" * 101, "Must contain at most 100 characters, has 101"),
        (5, "Expected a string"),
        (["crm"], "Expected a string"),
        ({"source": "crm"}, "Expected a string"),
        ("a\0b", "Contains a NUL character, which cannot be stored"),
    ],
)
def test_a_source_that_is_wrong_is_refused(source: object, message: str):
    assert refusal({"source": source, "data": [ADA]}).issues == (Issue(("source",), message),)


def test_the_source_that_wins_is_the_one_that_is_checked() -> None:
    assert refusal({"source": "crm", "data": [ADA]}, " ").issues == (Issue(("source",), "Must not be empty"),)


def test_what_is_wrong_with_the_source_is_told_before_the_other_members_wherever_it_stands() -> None:
    for members in ({"dryRun": 5}, {"dryRun": 5, "source": ""}, {"dryRun": 5, "source": None}):
        found = refusal({"data": [ADA], **members}).issues
        assert [issue.path for issue in found] == [("source",), ("dryRun",)]


def test_the_longest_source_passes():
    assert pass_through({"source": "é" * 100, "data": [ADA]})["source"] == "é" * 100


@pytest.mark.parametrize("piece_bytes", [1, 50, 1 << 20])
def test_every_bad_contact_is_reported_at_its_place(piece_bytes: int):
    body = {"data": [ADA, {"name": "Bob"}, ADA, 5, {**ADA, "email": "no"}, {**ADA, "name": {}}], "source": "crm"}
    error = refusal(body, piece_bytes=piece_bytes)
    paths = [("data", 1, "email"), ("data", 3), ("data", 4, "email"), ("data", 5, "name")]
    assert [issue.path for issue in error.issues] == paths
    assert [issue.message for issue in error.issues][:2] == [REQUIRED, "Expected an object, found a number"]
    assert error.issues[2].message.startswith("Invalid email format")
    assert error.issues[3].message == "Expected a string"
    assert error.message == "Invalid JSON format: data.1.email: Required, and 3 more."


def test_the_first_hundred_issues_are_kept_and_all_are_counted():
    error = refusal({"source": "", "data": [ADA, *[BAD] * 5_000]}, piece_bytes=10_000)
    assert len(error.issues) == 100
    assert error.issue_count == 10_001
    assert error.issues[0].path == ("source",)
    assert [issue.path for issue in error.issues[1:3]] == [("data", 1, "name"), ("data", 1, "email")]
    assert error.message.endswith(", and 10000 more.")


def test_exactly_a_hundred_issues_are_all_kept():
    error = refusal({"source": "crm", "data": [BAD] * 50})
    assert len(error.issues) == error.issue_count == 100


def test_a_single_issue_is_a_sentence():
    error = refusal({"source": "crm", "data": [{**ADA, "email": "no"}]})
    assert error.message.startswith("Invalid JSON format: data.0.email: Invalid email format: ")
    assert error.message.endswith(".")
    assert not error.message.endswith("..")


def test_rows_are_left_to_the_worker_on_request():
    options = pass_through({"source": "crm", "data": [BAD, 5, ADA]}, judges_rows=False)
    assert options == {"source": "crm", "onInvalid": "skip"}


@pytest.mark.parametrize("judges_rows", [True, False])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"source":"crm","data":[',
        b'{"source":"crm","data":[{}]}x',
        b'{"data":[],"data":[]}',
        b"5",
        b'"x"',
        b"null ",
        b"[" * 40,
    ],
)
def test_a_broken_document_is_refused_whoever_judges_its_rows(body: bytes, judges_rows: bool):
    for piece_bytes in (1, 1 << 20):
        with pytest.raises(MalformedInput):
            pass_through(body, "crm", judges_rows, piece_bytes)


def test_a_broken_document_is_refused_before_its_end():
    check = JsonCheck(Reading(64 * 1024), {})
    check.feed(b'[{"name":"Ada","email":"ada@example.org"}')
    with pytest.raises(MalformedInput):
        check.feed(b"}")


def test_a_row_over_the_limit_is_refused_before_its_end():
    check = JsonCheck(Reading(64 * 1024), {})
    check.feed(b'{"data":[{"name":"')
    with pytest.raises(RowTooLarge):
        for _ in range(4):
            check.feed(b"x" * 64 * 1024)


def test_the_body_itself_may_leave_its_bad_rows_to_the_worker():
    body = {"data": [BAD, 5, ADA], "source": "crm", "onInvalid": "skip"}
    assert pass_through(body) == {"source": "crm", "onInvalid": "skip"}
    with pytest.raises(InvalidContacts, match="onInvalid: Expected skip or abort"):
        pass_through({**body, "onInvalid": "ignore"})


def test_the_body_itself_may_be_a_dry_run_that_leaves_its_bad_rows_to_the_worker():
    body = {"data": [BAD, 5, ADA], "source": "crm", "dryRun": True, "onConflict": "update", "maxRejects": 5}
    assert pass_through(body) == {"source": "crm", "dryRun": True, "onConflict": "update", "maxRejects": 5}


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("dryRun", "true", "Expected true or false"),
        ("maxRejects", "5", "Expected a number"),
        ("maxRejects", True, "Expected a number"),
        ("maxRejects", -1, "Expected 0 to 1000000"),
        ("onConflict", "replace", "Expected insert, skip or update"),
        ("onConflict", ["skip"], "Not a valid string."),
    ],
)
def test_an_option_in_the_body_that_is_wrong_is_refused_by_name(member: str, value: object, message: str):
    assert refusal({"source": "crm", "data": [ADA], member: value}).issues == (Issue((member,), message),)


def test_what_is_asked_for_outside_wins_over_the_body():
    check = JsonCheck(Reading(64 * 1024), {"source": "crm", "onInvalid": "skip"})
    check.feed(json.dumps({"source": "own", "data": [BAD], "onInvalid": "abort"}).encode())
    assert check.close() == {"source": "crm", "onInvalid": "skip"}


def test_members_are_found_by_their_aliases_and_by_a_mapping():
    body = {"source": "crm", "data": [{"firstName": "Ada", "surname": "L", "emailAddress": "ada@example.org"}]}
    assert pass_through(body) == {"source": "crm"}
    check = JsonCheck(Reading(64 * 1024, mapping={"name": ["called"], "email": ["at"]}), {"source": "crm"})
    check.feed(
        b'[{"called": "Ada", "at": "ada@example.org", "email": "nobody"}, {"called": "Bob", "email": "b@example.org"}]'
    )
    with pytest.raises(InvalidContacts) as caught:
        check.close()
    assert [issue.path for issue in caught.value.issues] == [("data", 1, "email")]


def test_there_is_no_looking_on_when_more_rows_are_invalid_than_may_be() -> None:
    check = JsonCheck(Reading(64 * 1024), {"maxRejects": 3})
    check.feed(json.dumps([ADA, BAD, BAD, BAD])[:-1].encode())
    with pytest.raises(
        InputError,
        match="4 of the first 5 contacts are invalid, and maxRejects allows 3",
        check=has_code("too_many_rejects"),
    ) as caught:
        check.feed(b"," + json.dumps(BAD).encode())
    assert caught.value.issue_count == 8


@pytest.mark.parametrize("wish", [{"onInvalid": "skip"}, {"dryRun": True}])
@pytest.mark.parametrize("is_first", [True, False])
def test_too_many_bad_rows_are_the_workers_to_judge_wherever_the_body_says_so(
    wish: dict[str, Any], is_first: bool
) -> None:
    rows = {"data": [BAD] * 20}
    body = {"source": "crm", **(wish | rows if is_first else rows | wish)}
    for piece_bytes in (7, 1 << 20):
        assert pass_through({"maxRejects": 3, **body}, piece_bytes=piece_bytes) == {
            "source": "crm", "maxRejects": 3, **wish
        }  # fmt: skip


def test_the_body_itself_may_say_how_many_bad_rows_are_too_many() -> None:
    body = {"source": "crm", "maxRejects": 3, "data": [BAD] * 9}
    with pytest.raises(
        InputError,
        match="4 of the first 4 contacts are invalid, and maxRejects allows 3",
        check=has_code("too_many_rejects"),
    ):
        pass_through(body, piece_bytes=1)
    assert refusal({**body, "maxRejects": 9}).issue_count == 18


@pytest.mark.parametrize("name", ["mapping", "encoding", "delimiter", "skipRows"])
def test_an_option_that_must_be_known_before_the_rows_is_refused_in_the_body_by_name(name: str) -> None:
    found = refusal({"source": "crm", "data": [ADA], name: "x"}).issues
    assert found == (Issue((name,), "Send it as a query parameter or a header"),)
