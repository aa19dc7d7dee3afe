"""The verdict on a block: that the quick look never says more than the rule, and what a refused row is told."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataflow.contacts.emails import clean
from dataflow.contacts.plain_emails import is_plain
from dataflow.contacts.schema import ContactSchema
from dataflow.contacts.validation import Problem, Refusal, Verdict, judge
from dataflow.errors import Issue
from dataflow.formats.block import ABSENT, BAD_ENCODING, MALFORMED_ROW, WRONG_COLUMN_COUNT, Block, Malformed
from dataflow.formats.wrapping import bare
from tests.support import effort

pytestmark = pytest.mark.unit

quick = settings(max_examples=300, deadline=None, derandomize=True, database=None)
SCHEMA = ContactSchema()


class Nowhere:
    """The origin of rows that are never asked where they come from."""

    def line(self, index: int) -> int | None:
        raise AssertionError("a verdict needs no line")

    def row(self, index: int) -> str | list[str]:
        raise AssertionError("a verdict needs no row")


def block(names: Sequence[object], emails: Sequence[object], first_record: int = 0) -> Block:
    return Block(first_record, names, emails, Nowhere())


def problems(name: object = "Ada", email: object = "ada@example.org") -> tuple[Problem, ...]:
    """What is wrong with one row, the second of its file."""
    verdict = judge(block([name], [email], 1))
    if not verdict.refusals:
        return ()
    [refusal] = verdict.refusals
    assert (refusal.index, refusal.record) == (0, 1)
    assert list(verdict.names) == list(verdict.emails) == []
    return refusal.problems


def by_the_rule(name: object, email: object) -> dict[str, str]:
    """What the schema says about a row once its e-mail is clean, and its name bare."""
    name = bare(name) if isinstance(name, str) else name
    members = {"name": name, "email": clean(email) if isinstance(email, str) else email}
    found = SCHEMA.validate({key: value for key, value in members.items() if value is not ABSENT})
    return {key: str(texts[0]) for key, texts in found.items()}


# What is wrong


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (ABSENT, "missing_name"),
        (None, "missing_name"),
        ("", "missing_name"),
        (" \t\n\u3000\xa0", "missing_name"),
        (" " * 300, "missing_name"),
        (5, "wrong_type"),
        (0, "wrong_type"),
        (False, "wrong_type"),
        (dict, "wrong_type"),
        (list, "wrong_type"),
        ("x" * 256, "too_long"),
        ("\U0001f600" * 300, "too_long"),
        ("a\0b", "bad_character"),
        ("\0", "bad_character"),
        ("a\ud83d", "bad_encoding"),
        ("Andr\udce9", "bad_encoding"),
        ("\udc80" * 300, "bad_encoding"),
    ],
)
def test_a_bad_name_has_a_code(name: object, code: str) -> None:
    [problem] = problems(name=name)
    assert (problem.field, problem.code) == ("name", code)
    assert problem.message == by_the_rule(name, "ada@example.org")["name"]


@pytest.mark.parametrize(
    ("email", "code"),
    [
        (ABSENT, "missing_email"),
        (None, "missing_email"),
        ("", "missing_email"),
        (" \t\xa0", "missing_email"),
        ("\u200b \ufeff", "missing_email"),
        (5, "wrong_type"),
        (True, "wrong_type"),
        (list, "wrong_type"),
        ("nobody", "invalid_email"),
        ("ada@localhost", "invalid_email"),
        ("ada@exa_mple.org", "invalid_email"),
        ("a@b.co or c@d.org", "invalid_email"),
        ("Ann <nobody>", "invalid_email"),
        ("<>", "invalid_email"),
        ("a" * 65 + "@example.org", "invalid_email"),
        ("a" * 300 + "@example.org", "too_long"),
        ("x" * 100_000, "too_long"),
        ("a\0@example.org", "bad_character"),
        ("ada@example.org\0", "bad_character"),
        ("a\ud83d@example.org", "bad_encoding"),
        ("andr\udce9@example.org", "bad_encoding"),
    ],
)
def test_a_bad_email_has_a_code(email: object, code: str) -> None:
    [problem] = problems(email=email)
    assert (problem.field, problem.code) == ("email", code)
    assert problem.message == by_the_rule("Ada", email)["email"]
    assert type(problem.message) is type(problem.code) is str


def test_both_members_of_a_row_are_reported_the_name_first() -> None:
    assert problems(name=ABSENT, email=None) == (
        Problem("name", "missing_name", "Required"),
        Problem("email", "missing_email", "Expected a string"),
    )


@pytest.mark.parametrize("code", [MALFORMED_ROW, WRONG_COLUMN_COUNT, BAD_ENCODING])
def test_a_row_that_is_none_keeps_the_code_of_its_format(code: str) -> None:
    broken = Malformed("Has 2 cells, the header row 3", code)
    assert problems(broken, broken) == (Problem(None, code, "Has 2 cells, the header row 3"),)


def test_an_answer_shows_a_problem_at_the_place_of_its_member_or_of_its_row() -> None:
    both = Refusal(0, 7, (Problem("name", "missing_name", "Required"), Problem("email", "wrong_type", "Expected")))
    assert list(both.issues()) == [Issue(("data", 7, "name"), "Required"), Issue(("data", 7, "email"), "Expected")]
    row = Refusal(0, 7, (Problem(None, MALFORMED_ROW, "Invalid JSON"),))
    assert list(row.issues()) == [Issue(("data", 7), "Invalid JSON")]


# What is good


@pytest.mark.parametrize(
    ("email", "cleaned"),
    [
        (" ada@example.org ", "ada@example.org"),
        ("\xa0ADA@Example.org\u200b", "ADA@Example.org"),
        ("mailto:ada@example.org?subject=x", "ada@example.org"),
        ('"Lovelace, Ada" <ada@example.org>', "ada@example.org"),
        ("ada@example.org; bob@example.org", "ada@example.org"),
        ("b@example.org ::: * ada@example.org", "ada@example.org"),
        (" é@exämple.de", "é@exämple.de"),
        ('"a;b"@example.org', '"a;b"@example.org'),
        (f"Ada <{'a' * 64}@example.org>", f"{'a' * 64}@example.org"),
        (f"{' ' * 300}ada@example.org", "ada@example.org"),
    ],
)
def test_an_email_is_imported_clean(email: str, cleaned: str) -> None:
    verdict = judge(block(["Ada", "Bob"], [email, "bob@example.org"]))
    assert verdict == Verdict(["Ada", "Bob"], [cleaned, "bob@example.org"])


@pytest.mark.parametrize(
    "name", [" Ada ", "Ade\u0301le", "Ad\u00e8le", "\xa0Ada", "Ada\u200b", "mailto:Ada", "Ada <a@b.co>"]
)
def test_a_name_is_never_changed(name: str) -> None:
    for email in ("ada@example.org", " ada@example.org"):
        assert list(judge(block([name, "Bob"], [email, "nobody"])).names) == [name]


def test_a_verdict_keeps_the_good_rows_in_order_and_numbers_the_bad_ones() -> None:
    broken = Malformed("Invalid JSON: expected an object")
    names: list[object] = ["A", "", "C", broken, "E", 5]
    emails: list[object] = ["a@x.org", "b@x.org", " c@x.org", broken, "é@exämple.de", "no"]
    verdict = judge(block(names, emails, 1_000))
    assert (verdict.names, verdict.emails) == (["A", "C", "E"], ["a@x.org", "c@x.org", "é@exämple.de"])
    assert [(refusal.index, refusal.record) for refusal in verdict.refusals] == [(1, 1_001), (3, 1_003), (5, 1_005)]
    issues = [issue for refusal in verdict.refusals for issue in refusal.issues()]
    assert issues[:2] == [
        Issue(("data", 1_001, "name"), "Must not be empty"),
        Issue(("data", 1_003), "Invalid JSON: expected an object"),
    ]
    assert [issue.path for issue in issues[2:]] == [("data", 1_005, "name"), ("data", 1_005, "email")]


def test_a_verdict_leaves_the_columns_of_its_block_alone() -> None:
    names, emails = ["A", "", "C"], ["a@x.org", "no", " c@x.org"]
    judge(block(names, emails))
    assert (names, emails) == (["A", "", "C"], ["a@x.org", "no", " c@x.org"])


def test_a_block_of_good_rows_is_handed_on_whole() -> None:
    good = block(("A", "B"), ("a@x.org", "b@x.org"))
    verdict = judge(good)
    assert verdict.names is good.names
    assert verdict.emails is good.emails
    assert verdict.refusals == []


def test_a_block_without_rows_has_no_good_and_no_bad_ones() -> None:
    verdict = judge(block([], []))
    assert (list(verdict.names), list(verdict.emails), verdict.refusals) == ([], [], [])


anything = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=5),
    st.sampled_from(["Ada", "ada@example.org", " é@exämple.de ", "\0", "\ud800", "\udce9", " ", "x" * 256, "no@"]),
    st.sampled_from(
        ["A <a@b.co>", "mailto:a@b.co", "a@b.co;c@d.org", '"a;b"@c.de', "a" * 65 + "@b.co", "tab\tnew\nline"]
    ),
    st.sampled_from(['="Ada"', '="a@b.co"', "\\N", "\ufeffAda", "Ada\x1a", '="Ada', "\\", "NULL"]),
    st.sampled_from([ABSENT, None, 5, 1.5, False, dict, list]),
)
ordinary = st.tuples(st.just("Ada"), st.just("ada@example.org"))
broken_row = st.sampled_from(["malformed_row", "wrong_column_count"]).map(lambda code: (Malformed("x", code),) * 2)


@quick
@given(
    st.lists(
        st.one_of(ordinary, st.tuples(anything, anything), st.tuples(anything, anything), broken_row), max_size=12
    ),
    st.integers(0, 10**9),
)
def test_a_verdict_agrees_with_the_rule_row_by_row(rows: list[tuple[object, object]], first_record: int) -> None:
    verdict = judge(block([name for name, _ in rows], [email for _, email in rows], first_record))
    good = []
    refused = {refusal.index: refusal for refusal in verdict.refusals}
    assert list(refused) == sorted(refused)
    for index, (name, email) in enumerate(rows):
        if isinstance(name, Malformed):
            assert refused[index].problems == (Problem(None, name.code, name.message),)
        elif expected := by_the_rule(name, email):
            assert refused[index].record == first_record + index
            assert [(problem.field, problem.message) for problem in refused[index].problems] == list(expected.items())
        else:
            assert index not in refused
            good.append((bare(str(name)), clean(str(email))))
    assert list(zip(verdict.names, verdict.emails, strict=True)) == good


# The quick look

PLAIN = [
    "a@b.co",
    "Ada.Lovelace@example.org",
    "x_y+z-1@mail.sub-domain.example.museum",
    "1@2.com",
    "A-@B.CO",
    f"{'a' * 59}@b.co",
]


def are_surely_valid(names: Sequence[object], emails: Sequence[object]) -> bool:
    """Whether the quick look accepts every row: only then are the columns handed on as they are."""
    whole = block(names, emails)
    verdict = judge(whole)
    return verdict.names is whole.names and verdict.emails is whole.emails


def test_ordinary_rows_need_no_schema() -> None:
    assert are_surely_valid(["Ada", "José", "名前 \U0001f600", "tab\tnew\nline", "x" * 255, "\\"], PLAIN)


@pytest.mark.parametrize("name", [None, 5, "", " ", "x" * 256, "\0", "\ud800", ABSENT, ["Ada"], b"Ada"])
def test_a_single_bad_name_among_many_is_left_to_the_schema(name: object) -> None:
    assert not are_surely_valid(["Ada"] * 50 + [name] + ["Bob"] * 50, ["a@b.co"] * 101)


@pytest.mark.parametrize(
    "email", [None, 5, "", "a@b", "a@b.c", "é@b.co", '"a"@b.co', "a@b--c.co", "a@b.co\n", ABSENT, b"a@b.co"]
)
def test_a_single_unusual_address_among_many_is_left_to_the_schema(email: object) -> None:
    assert not are_surely_valid(["Ada"] * 101, ["a@b.co"] * 50 + [email] + ["b@b.co"] * 50)


crumbs = st.sampled_from(
    [
        *"aZ90_+-.@é'\"\\ \n\r\t\0",
        *("--", "..", "com", "xn--", "localhost", "a" * 30, "b" * 60),
        # Letters that lower to ASCII, a digit of another script, full-width punctuation, marks, half a pair.
        *"\u017f\u212a\u0130\u0663\uff0e\uff20\u0301\u200d\ud800",
    ]
)


@st.composite
def edge_addresses(draw: st.DrawFn) -> str:
    """An address as the grammar has it, more often than not with something that breaks a rule."""
    label = st.text("aZ09-", min_size=1, max_size=8)
    local = ".".join(draw(st.lists(st.text("aZ09_+-", min_size=1, max_size=8), min_size=1, max_size=3)))
    domain = ".".join(draw(st.lists(label, min_size=1, max_size=3)))
    tops = ["co", "org", "museum", "test", "local", "arpa", "invalid", "c", "123", "c0m", "xn--p1ai"]
    address = f"{local}@{domain}.{draw(st.sampled_from(tops))}"
    for crumb in draw(st.lists(crumbs, max_size=2)):
        at = draw(st.integers(0, len(address)))
        address = address[:at] + crumb + address[at:]
    return address


@settings(quick, max_examples=500)
@given(st.one_of(edge_addresses(), edge_addresses(), st.lists(crumbs, max_size=12).map("".join)))
@example("a@b.test")
@example(f"{'a' * 61}@b.co")
@example("a@" + "b" * 62)
@example("a@" + "b." * 30 + "co")
@example(f"{'a' * 64}@{'b' * 63}.{'c' * 63}")
@example(f"{'a' * 65}@b.co")
@example(f"a@{'b' * 64}.co")
@example(f"a@b.{'c' * 64}")
@example("a@b.co\n")
def test_what_the_quick_look_accepts_as_address_the_schema_accepts(address: str) -> None:
    found = SCHEMA.validate({"name": "Ada", "email": address})
    if are_surely_valid(("Ada",), (address,)):
        assert found == {}
    assert all(text.startswith(("Invalid email format", "Contains ")) for text in found.get("email", []))


any_character = st.characters(exclude_categories=())


@settings(quick, max_examples=150)
@given(
    st.lists(
        st.one_of(st.text(any_character), st.text(st.sampled_from(" \t\n\0\ud83d\udc00a\xa0\u3000"), max_size=4)),
        min_size=1,
    )
)
@example(["\x1c\x1d\x1e\x1f\x85"])
@example(["\u180e", "\u200b", "\ufeff"])
@example(["a" * 256])
def test_what_the_quick_look_accepts_as_names_the_schema_accepts(names: list[str]) -> None:
    if are_surely_valid(names, ["a@b.co"] * len(names)):
        for name in names:
            assert SCHEMA.validate({"name": name, "email": "a@b.co"}) == {}


@pytest.mark.parametrize(
    "address", ["a" * 100_000, "a." * 50_000 + "@", "a@" + "b-" * 50_000, "a@" + "b." * 50_000, "@" * 100_000]
)
def test_no_address_makes_the_check_slow(address: str) -> None:
    """Without possessive matching these take time that grows with the square of their length, or worse."""
    with effort.at_most():
        assert not is_plain(address)
        assert problems(email=address)
