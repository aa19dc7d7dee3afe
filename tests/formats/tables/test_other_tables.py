"""Several tables in one file: the contacts are found below others, and none of another order comes in wrong."""

import json

import pytest

from dataflow.contacts import validation
from dataflow.errors import AmbiguousColumns, MissingColumns
from dataflow.formats.block import BLOCK_ROWS, WRONG_COLUMN_COUNT, Malformed
from dataflow.formats.columns.contact_columns import find
from dataflow.formats.reading import Reading
from dataflow.formats.registry import Findings, read_blocks
from dataflow.formats.tables.header_search import MAX_RECORDS
from dataflow.formats.tables.other_tables import TablesBelow, contacts_above
from dataflow.imports.rejects_file import Layout, csv_lines

pytestmark = pytest.mark.unit

MIB = 1024 * 1024


def outcome(content: str) -> tuple[list[tuple[str, str]], list[int | None]]:
    """The contacts, and the lines of the refused rows."""
    contacts: list[tuple[str, str]] = []
    lines: list[int | None] = []
    for block in read_blocks("csv", [content.encode()], Reading(MIB), Findings()):
        verdict = validation.judge(block)
        contacts += zip(verdict.names, verdict.emails, strict=True)
        lines += [block.origin.line(refusal.index) for refusal in verdict.refusals]
    return contacts, lines


# Above


@pytest.mark.parametrize("count", [1, 40, MAX_RECORDS - 1])
@pytest.mark.parametrize("between", ["", "\n", ",,\n"])
def test_contacts_are_found_below_a_summary(count: int, between: str) -> None:
    summary = "Owner,Name,Sent\n" + "Carla,News,7\n" * (count - 1)
    assert outcome(f"{summary}{between}Name,Email\nAnn,ann@x.org\n") == ([("Ann", "ann@x.org")], [])


def test_contacts_below_more_rows_than_are_looked_at_are_refused_with_the_file() -> None:
    with pytest.raises(MissingColumns):
        outcome("x,y\n" * MAX_RECORDS + "name,email\nAnn,ann@x.org\n")


@pytest.mark.parametrize(
    "row", ["Ann,ann@x.org,1", "ann@x.org", "Ann Lee;ann@x.org", "Ann,<ann@x.org>,,", 'x,"ann@x.org;bob@x.org",1']
)
def test_a_row_above_the_header_that_has_an_address_is_counted(row: str) -> None:
    assert outcome(f"{row}\n\nname,email\nBob,bob@x.org\n") == ([("Bob", "bob@x.org")], [1])


def test_a_row_above_the_header_that_is_as_wide_and_has_an_address_is_refused_with_the_file() -> None:
    with pytest.raises(AmbiguousColumns):
        outcome("Ann,ann@x.org\nname,email\nBob,bob@x.org\n")


@pytest.mark.parametrize("row", ["Sent by:,ann@x.org", "Exported by,ann@x.org", "E-mail,ann@x.org", "Ask ann@x.org"])
def test_what_a_reports_head_says_of_the_report_is_no_contact(row: str) -> None:
    assert contacts_above(2, 2, [(1, row.split(","))]) == []


def test_a_qualified_header_with_contacts_below_it_wins_over_a_later_table() -> None:
    content = "Customer Name,Customer Email,x\nAnn,ann@x.org,\n\nName,Email\nBob,bob@x.org\n"
    assert outcome(content) == ([("Ann", "ann@x.org"), ("Bob", "bob@x.org")], [4])


# Below


@pytest.mark.parametrize("blank", ["", "\n"])
def test_a_header_that_is_repeated_is_counted_and_the_rows_below_it_are_read(blank: str) -> None:
    content = f"name,email\nAnn,ann@x.org\n{blank}Name,E-mail\nBob,bob@x.org\n"
    assert outcome(content) == ([("Ann", "ann@x.org"), ("Bob", "bob@x.org")], [3 + len(blank)])


@pytest.mark.parametrize("blank", ["", "\n"])
@pytest.mark.parametrize(
    ("header", "row"), [("Last,First,Email", "Ray,Bob,bob@x.org"), ("Nickname,Name,Email", "Bobby,Bob Ray,bob@x.org")]
)
def test_a_table_with_other_columns_is_refused(header: str, row: str, blank: str) -> None:
    content = f"First,Last,Email\nAnn,Lee,ann@x.org\n{blank}{header}\n{row}\n" + "x,y,cid@x.org\n" * BLOCK_ROWS
    contacts, lines = outcome(content)
    assert contacts == [("Ann Lee", "ann@x.org")]
    assert len(lines) == 2 + BLOCK_ROWS


def test_a_table_of_something_elses_below_a_blank_line_is_refused() -> None:
    content = "name,email\nAnn,ann@x.org\n\ncompany,email\nOrr,orr@x.org\n"
    assert outcome(content) == ([("Ann", "ann@x.org")], [4, 5])


def test_a_table_that_the_mapping_does_not_fit_is_refused_below_a_blank_line() -> None:
    content = b"Wer,Adr\nAnn,ann@x.org\n\nWo,Email\nBern,bob@x.org\n"
    reading = Reading(MIB, mapping={"name": ["Wer"], "email": ["Adr"]})
    [block] = read_blocks("csv", [content], reading, Findings())
    assert [isinstance(name, Malformed) for name in block.names] == [False, True, True]


@pytest.mark.parametrize("row", ["Bob,email", "Bob,e-mail", "Bob,mail me", "name,no email", "email,", "Bob,"])
def test_a_poor_contact_is_no_header(row: str) -> None:
    contacts, lines = outcome(f"name,email\nAnn,ann@x.org\n{row}\nCid,cid@x.org\n")
    assert contacts == [("Ann", "ann@x.org"), ("Cid", "cid@x.org")]
    assert lines == [3]


def test_the_rows_below_a_header_as_the_first_are_taken_again() -> None:
    below = TablesBelow(find(["name", "email"]), None)
    rows = [["Ann", "ann@x.org"], ["email", "name"], ["bob@x.org", "Bob"], ["name", "email"], ["Cid", "cid@x.org"]]
    assert [below.look_at(row) is None for row in rows] == [True, False, False, True, True]


@pytest.mark.parametrize(
    ("rows", "searches"),
    [
        (["Ann,my mail is none"] * 5000, 0),
        (["name,email"] * 5000, 1),
        (["email,name", "Ann,ann@x.org"] * 2500, 1),
        ([f"email,name {number}" for number in range(5000)], 1000),
    ],
    ids=["no mail", "the same header", "another header", "ever another header"],
)
def test_however_many_rows_look_like_headers_few_of_them_are_searched(
    rows: list[str], searches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[object] = []

    def counting(*arguments: object) -> object:
        searched.append(arguments)
        return find(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("dataflow.formats.columns.contact_columns.find", counting)
    contacts, lines = outcome("name,email\nBob,bob@x.org\n" + "".join(f"{row}\n" for row in rows))
    assert contacts == [("Bob", "bob@x.org")]
    assert len(lines) == 5000
    # Once more for the first header, by each delimiter that splits it.
    assert len(searched) <= searches + 2


def test_what_is_refused_for_its_table_stays_refused_when_it_is_sent_back() -> None:
    header = ["First", "Last", "Email"]
    content = "First,Last,Email\nAnn,Lee,ann@x.org\nLast,First,Email\nRay,Bob,bob@x.org\n"
    reject = {"code": WRONG_COLUMN_COUNT, "field": None, "message": "x", "record": 1, "line": 1, "truncated": False}
    originals = [
        {**reject, "original": json.dumps(block.origin.row(index))}
        for block in read_blocks("csv", [content.encode()], Reading(MIB), Findings())
        for index, name in enumerate(block.names)
        if isinstance(name, Malformed)
    ]
    assert len(originals) == 2
    rejects_file = "".join(csv_lines(Layout.of(header, None), originals))
    assert outcome(rejects_file) == ([], [2, 3])
