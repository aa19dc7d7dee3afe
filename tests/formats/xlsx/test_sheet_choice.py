"""Which sheet of a workbook is read, and what is said of the others."""

import io

import pytest
from openpyxl import Workbook

from dataflow.errors import DataFlowError, InputError, MissingColumns, NoContacts
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.registry import check_header, read_blocks
from dataflow.formats.xlsx.sheet_choice import SheetEntry, choose
from tests.support.errors import has_code

pytestmark = pytest.mark.unit

HEADER = ("Name", "Email")
LIMIT = 64 * 1024
REJECTS = b"Name,Email,_record,_line,_code,_error\nAnn,ann@example.com,1,2,invalid_email,x\n"


def workbook(**sheets: list[tuple[str, ...]]) -> bytes:
    """A workbook of these sheets; one whose name begins with an underscore is hidden, two of them very much so."""
    book = Workbook()
    assert book.active is not None
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        sheet.sheet_state = {0: "visible", 1: "hidden"}.get(len(name) - len(name.lstrip("_")), "veryHidden")
        for row in rows:
            sheet.append(row)
    book.save(file := io.BytesIO())
    return file.getvalue()


def of(name: str) -> list[tuple[str, ...]]:
    """The rows of a sheet with a contact of this name."""
    return [HEADER, (name, "someone@example.com")]


BOOK = workbook(_old=of("hidden"), Leads=of("first"), **{"2024": of("year"), "1": of("one"), "Ünï": of("accents")})


def read(content: bytes, sheet: str | None, format_name: str = "xlsx") -> tuple[list[object], object]:
    """The names of the contacts, and the sheet that they come from."""
    findings = Findings()
    blocks = read_blocks(format_name, [content], Reading(LIMIT, sheet=sheet), findings)
    return [name for block in blocks for name in block.names], findings.facts.get("sheet")


def refused(kind: type[DataFlowError], content: bytes, sheet: str | None, format_name: str = "xlsx") -> str:
    with pytest.raises(kind) as caught:
        read(content, sheet, format_name)
    assert type(caught.value) is kind
    return caught.value.message


@pytest.mark.parametrize(
    ("sheet", "title", "name"),
    [
        (None, "Leads", "first"),
        ("Leads", "Leads", "first"),
        ("leads", "Leads", "first"),
        (" LEADS ", "Leads", "first"),
        ("_old", "_old", "hidden"),
        ("_OLD", "_old", "hidden"),
        ("2", "2024", "year"),
        ("2024", "2024", "year"),
        ("1", "1", "one"),
        ("3", "1", "one"),
        ("4", "Ünï", "accents"),
        ("ünï", "Ünï", "accents"),
        ("U\u0308ni\u0308", "Ünï", "accents"),
    ],
)
def test_a_sheet_has_a_name_and_else_a_number_among_those_that_are_not_hidden(
    sheet: str | None, title: str, name: str
) -> None:
    assert read(BOOK, sheet) == ([name], title)


@pytest.mark.parametrize("sheet", ["5", "0", "-1", "1.0", "01", "99999999999999999999", "Lead", "none"])
def test_a_sheet_that_is_not_there_is_refused_with_those_that_are(sheet: str) -> None:
    assert refused(InputError, BOOK, sheet) == (
        f'The workbook has no sheet "{sheet}". It has "_old" (hidden), "Leads", "2024", "1", "Ünï". Say one of these '
        "names, or a number from 1 to 4 for those that are not hidden."
    )


def test_apostrophes_are_the_same_however_they_are_written() -> None:
    sheets = [SheetEntry("O'Brien & Co", "1.xml", True), SheetEntry("x", "2.xml", True)]
    assert choose(sheets, "o\N{RIGHT SINGLE QUOTATION MARK}brien & co") is sheets[0]


def test_names_that_differ_in_case_alone_are_told_apart_by_how_they_are_written() -> None:
    sheets = [SheetEntry(title, f"{number}.xml", True) for number, title in enumerate(["Leads", "LEADS", "x", "x"])]
    assert choose(sheets, "LEADS") is sheets[1]
    for sheet, named in (("leads", '"Leads", "LEADS"'), ("x", '"x", "x"')):
        with pytest.raises(
            InputError,
            match=f"2 sheets are called {named}. Write the name as it is, or say its number",
            check=has_code("sheet_not_found"),
        ):
            choose(sheets, sheet)
    assert choose(sheets, "3") is sheets[2]


def test_of_sheets_that_are_all_hidden_each_has_a_number() -> None:
    sheets = [SheetEntry("a", "1.xml", False), SheetEntry("b", "2.xml", False)]
    assert [choose(sheets, wish) for wish in (None, "1", "2")] == [sheets[0], sheets[0], sheets[1]]


def test_of_very_many_sheets_a_message_names_some() -> None:
    sheets = [SheetEntry(f"{number:03}" * 100, "x.xml", True) for number in range(500)]
    with pytest.raises(InputError, match="and 480 more", check=has_code("sheet_not_found")) as caught:
        choose(sheets, "none")
    assert len(caught.value.message) < 1500


OTHERS = ' The others are "Leads", "_old" (hidden): name one with sheet=...'


@pytest.mark.parametrize(
    ("kind", "rows"),
    [(NoContacts, []), (MissingColumns, [("Notes",), ("none",)])],
    ids=["empty", "no header"],
)
def test_a_sheet_without_contacts_names_the_others(kind: type[DataFlowError], rows: list[tuple[str, ...]]) -> None:
    content = workbook(Read_me=rows, Leads=of("first"), _old=of("hidden"))
    assert refused(kind, content, None).endswith(f' Only the first visible sheet is read: "Read_me".{OTHERS}')
    assert refused(kind, content, "read_me").endswith(f' This is the sheet "Read_me".{OTHERS}')
    assert read(content, "leads") == (["first"], "Leads")


def test_a_file_without_sheets_is_refused_when_it_is_asked_for_one() -> None:
    csv, lines = b"Name,Email\nAnn,ann@example.com\n", b'{"name":"Ann","email":"ann@example.com"}\n'
    for format_name, content in (("csv", csv), ("ndjson", lines), ("json", b"[" + lines + b"]")):
        message = f"The file has no sheets, because it is {format_name}. Leave out sheet=Leads."
        assert refused(InputError, content, "Leads", format_name) == message
        with pytest.raises(InputError, match="no sheets", check=has_code("sheet_not_found")):
            check_header(format_name, content, Reading(LIMIT, sheet="Leads"))


def test_the_rejects_of_a_workbook_are_read_with_the_options_that_it_had() -> None:
    assert read(REJECTS, "Leads", "csv") == (["Ann"], None)
    check_header("csv", REJECTS, Reading(LIMIT, sheet="Leads"))
