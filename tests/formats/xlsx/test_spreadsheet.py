"""XLSX: what spreadsheets make of a list of contacts, and files that are made to break their readers."""

import csv
import datetime
import io
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from random import Random

import pytest
from openpyxl import Workbook

from dataflow.contacts import validation
from dataflow.errors import (
    AmbiguousColumns,
    DataFlowError,
    ExpandsTooFar,
    InputError,
    MalformedInput,
    MissingColumns,
    NoContacts,
    RowTooLarge,
)
from dataflow.formats.block import BLOCK_ROWS, MALFORMED_ROW, Block, Malformed
from dataflow.formats.csv import delimited
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.xlsx import spreadsheet
from dataflow.formats.xlsx.package import MAX_DIRECTORY_BYTES, MAX_SMALL_PART_BYTES
from dataflow.formats.xlsx.shared_strings import SharedStrings
from dataflow.formats.xlsx.xml_events import MAX_DEPTH
from dataflow.text import MARK
from tests.support import effort
from tests.support.workbooks import LINKS, MAIN, package, parts, row, saved

pytestmark = pytest.mark.unit

LIMIT = 64 * 1024
DOCTYPE = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
HEADER = ["Name", "Email", "Phone"]
ADA, BOB = ("Ada", "ada@example.org"), ("Bob", "bob@example.org")


def read(content: bytes, reading: Reading | None = None) -> tuple[list[Block], Findings]:
    findings = Findings()
    pieces = (content[at : at + 4096] for at in range(0, len(content), 4096))
    return list(spreadsheet.read_blocks(pieces, reading or Reading(LIMIT), findings)), findings


def rows(content: bytes, reading: Reading | None = None) -> list[tuple[object, object]]:
    found: list[tuple[object, object]] = []
    for block in read(content, reading)[0]:
        assert block.first_record == len(found)
        found += zip(block.names, block.emails, strict=True)
    return found


def refused(kind: type[DataFlowError], content: bytes, reading: Reading | None = None) -> str:
    with pytest.raises(kind) as caught:
        read(content, reading)
    assert type(caught.value) is kind
    return caught.value.message


HEAD, ADA_ROW = row("name", "email"), row(*ADA)
SHARED = '<c t="s"><v>0</v></c>'
GOOD = saved(list(HEADER), [*ADA, 1], [*BOB, 2])


# Sheets and headers


def test_the_rows_below_the_header_are_read() -> None:
    [block], findings = read(GOOD)
    assert (block.names, block.emails) == (["Ada", "Bob"], ["ada@example.org", "bob@example.org"])
    assert [block.origin.line(index) for index in (0, 1)] == [2, 3]
    assert block.origin.row(1) == ["Bob", "bob@example.org", "2"]
    assert findings.facts == {
        "sheet": "Sheet",
        "headerLine": 1,
        "mapping": {
            "name": {"columns": ["Name"], "reason": "called name"},
            "email": {"columns": ["Email"], "reason": "called email"},
        },
    }
    assert (findings.columns, findings.ignored_columns) == (HEADER, ["Phone"])


def test_the_first_visible_sheet_counts() -> None:
    def prepare(book: Workbook) -> None:
        assert book.active is not None
        book.active.sheet_state = "hidden"
        book.create_chartsheet("Chart")
        for title in ("Contacts", "Others"):
            book.create_sheet(title).append([*HEADER])
        book["Contacts"].append([*BOB])

    content = saved([*HEADER], [*ADA], prepare=prepare)
    assert rows(content) == [BOB]
    assert read(content)[1].facts["sheet"] == "Contacts"


def test_the_header_may_stand_below_a_preamble_and_blank_rows() -> None:
    content = saved(["Our contacts"], [], ["as of", 2024], [None, None], ["", "E-Mail", "Name"], ["x", *reversed(ADA)])
    [block], findings = read(content)
    assert (block.names, block.emails, block.origin.line(0)) == (["Ada"], ["ada@example.org"], 6)
    assert findings.facts["headerLine"] == 5


def test_skipped_rows_are_not_looked_at() -> None:
    content = saved(["name", "email"], [], ["First", "Last", "Mail"], ["Ada", "Love", "a@x.org"])
    assert rows(content, Reading(LIMIT, skip_rows=1)) == [("Ada Love", "a@x.org")]
    found = rows(content, Reading(LIMIT, skip_rows=0))
    assert [type(name) for name, _ in found] == [Malformed] * 2


def test_a_mapping_names_the_columns() -> None:
    content = saved(["Title"], ["Who", "Family", "Where"], ["Ada", "Love", "a@x.org"])
    reading = Reading(LIMIT, mapping={"name": ["Who", "Family"], "email": ["Where"]})
    assert rows(content, reading) == [("Ada Love", "a@x.org")]
    assert "mapping names 'No'" in refused(MissingColumns, content, Reading(LIMIT, mapping={"email": ["No"]}))


def test_a_sheet_without_a_header_row_is_refused_and_its_widest_row_shown() -> None:
    assert "It has: Nome, Posta." in refused(MissingColumns, saved(["Contatti"], ["Nome", "Posta"], ["Ada", "a@x.org"]))
    assert "2 columns" in refused(AmbiguousColumns, saved(["Name", "Mail", "mail"], ["Ada", "a@x.org", "b@x.org"]))


def test_an_empty_sheet_has_no_contacts() -> None:
    assert "empty" in refused(NoContacts, saved())
    assert rows(saved([*HEADER])) == []


@pytest.mark.parametrize(("kind", "content"), [(NoContacts, saved()), (MissingColumns, saved(["Notes"], ["none"]))])
def test_a_sheet_that_has_no_contacts_is_named_as_the_only_one_that_is_read(
    kind: type[DataFlowError], content: bytes
) -> None:
    assert refused(kind, content).endswith(' Only the first visible sheet is read: "Sheet".')


def test_empty_rows_are_no_rows() -> None:
    content = saved([*HEADER], [], [*ADA], [None, "", " "], [], [*BOB], [None])
    [block], _ = read(content)
    assert block.names == ["Ada", "Bob"]
    assert [block.origin.line(index) for index in (0, 1)] == [3, 6]


def test_many_rows_come_in_blocks_whose_records_go_on() -> None:
    content = saved(["email", "name"], *([f"{number}@x.org", number] for number in range(BLOCK_ROWS + 1)))
    assert rows(content) == [(str(number), f"{number}@x.org") for number in range(BLOCK_ROWS + 1)]
    assert len(read(content)[0]) == 2


def test_formatted_rows_down_to_the_end_are_quick() -> None:
    blank = '<row s="1" customFormat="1"><c s="1"/><c s="1"/></row>'
    content = package(parts(HEAD, ADA_ROW, blank * 10_000, row(*BOB)))
    with effort.at_most():
        blocks, _ = read(content)
    assert (blocks[0].names, blocks[-1].names, blocks[-1].origin.line(0)) == (["Ada"], ["Bob"], 10_003)


def test_among_very_many_empty_rows_there_are_empty_blocks_at_which_to_stop() -> None:
    blank = f"<row>{'<c/>' * 1000}</row>"
    blocks, _ = read(package(parts(HEAD, blank * 600, ADA_ROW)))
    assert [(block.first_record, list(block.names)) for block in blocks] == [(0, []), (0, []), (0, ["Ada"])]
    assert [list(validation.judge(block).names) for block in blocks] == [[], [], ["Ada"]]


# Cells


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Ada", "Ada"),
        (" Ada ", " Ada "),
        ("_x000D_a_x005F_x000D_", "\ra_x000D_"),
        (12345, "12345"),
        (12345.0, "12345"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (1.23e10, "12300000000"),
        (1e300, "1e+300"),
        (True, "TRUE"),
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (datetime.datetime(2024, 2, 29, 13, 5), "2024-02-29T13:05:00"),
        (datetime.time(13, 5), "13:05:00"),
        ("#N/A", ""),
    ],
)
def test_a_cell_is_taken_as_text(value: object, text: str) -> None:
    assert rows(saved([*HEADER], [value, "a@x.org"])) == [(text, "a@x.org")]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('<c t="str"><f>A1&amp;B1</f><v>Ada</v></c>', "Ada"),
        ("<c><f>1+1</f><v>2</v></c>", "2"),
        ('<c t="inlineStr"><is><t>Ada</t></is></c>', "Ada"),
        ('<c t="inlineStr"><is><r><t>A</t></r><r><rPr><b/></rPr><t>da</t></r></is></c>', "Ada"),
        ('<c t="str"><f>""</f><v></v></c>', ""),
        ('<c t="e"><v>#REF!</v></c>', ""),
        ('<c t="s"><v>0</v></c>', "plain"),
        ('<c t="s"><v>1</v></c>', "rich text"),
        ('<c t="s"><v>2</v></c>', "東京"),
        ('<c t="s"><v>3</v></c>', ""),
        ("<c><v>1E999</v></c>", ""),
        ("<c><v>NaN</v></c>", "NaN"),
        ("<c><v>1,5</v></c>", "1,5"),
        ("<c><v>1.5.2</v></c>", "1.5.2"),
        ('<c t="d"><v>2024-02-29</v></c>', "2024-02-29"),
        ('<c t="d"><v>nope</v></c>', "nope"),
        ('<c t="b"><v>0</v></c>', "FALSE"),
        ("<c/>", ""),
    ],
)
def test_a_cell_is_taken_as_it_is_shown(cell: str, text: str) -> None:
    strings = (
        "<si><t>plain</t></si><si><r><t>rich </t></r><r><rPr><i/></rPr><t>text</t></r></si>"
        '<si><t>東京</t><rPh sb="0" eb="2"><t>トウキョウ</t></rPh><phoneticPr fontId="1"/></si><si/>'
    )
    assert rows(package(parts(HEAD, row(cell, "a@x.org"), strings=strings))) == [(text, "a@x.org")]


def test_a_linked_address_is_taken_as_it_is_shown() -> None:
    def prepare(book: Workbook) -> None:
        book["Sheet"]["B2"].hyperlink = "mailto:other@example.org"
        book["Sheet"]["B2"].value = "ada@example.org"

    assert rows(saved([*HEADER], [*ADA], prepare=prepare)) == [ADA]


def test_cells_and_rows_may_say_where_they_are() -> None:
    cells = row('<c r="B7" t="str"><v>a@x.org</v></c>', '<c r="E7"><v>5</v></c>', number=7)
    [block], _ = read(package(parts(HEAD, cells)))
    assert (block.names, block.emails, block.origin.line(0)) == ([""], ["a@x.org"], 7)
    assert block.origin.row(0) == ["", "a@x.org", "", "", "5"]


def test_a_formula_whose_result_is_not_stored_refuses_its_row() -> None:
    formulas = ['=A9&"x"', '="a"&"@example.com"']
    [block], _ = read(saved([*HEADER], [*formulas, 1], [*ADA], ["=A3", "b@x.org"], ["Bob", "=B3"]))
    unstored = block.names[0]
    assert isinstance(unstored, Malformed)
    assert (unstored.code, "Open it in Excel and save it" in unstored.message) == (MALFORMED_ROW, True)
    assert block.names == [unstored, "Ada", unstored, unstored]
    assert block.emails == [unstored, ADA[1], unstored, unstored]
    assert block.origin.row(0) == [*(MARK + formula for formula in formulas), "1"]


@pytest.mark.parametrize("cell", ["<c><f>A1</f></c>", "<c><f/><v/></c>", '<c t="str"><f>A1</f></c>'])
def test_a_result_that_is_not_stored_is_not_taken_for_an_empty_text(cell: str) -> None:
    [(name, email)] = rows(package(parts(HEAD, row(cell))))
    assert isinstance(name, Malformed)
    assert name is email


def test_a_formula_where_nothing_is_taken_from_refuses_nothing() -> None:
    header = ["Name", "First name", "Last name", "E-Mail", "E-mail 2", "Age"]
    assert rows(saved(header, ["Ada", "=LEFT(A2)", "=MID(A2)", "ada@example.org", "=D2", "=1+1"])) == [ADA]
    [(name, _)] = rows(saved(header, ["", "Ada", "=MID(A2)", "ada@example.org"]))
    assert isinstance(name, Malformed)


def test_a_row_of_errors_is_a_row_without_values() -> None:
    [block], _ = read(saved([*HEADER], ["#N/A", "#NAME?"], ["Ada", "#REF!"]))
    assert (block.names, block.emails) == (["", "Ada"], ["", ""])
    assert block.origin.row(0) == [f"{MARK}#N/A", f"{MARK}#NAME?", ""]


@pytest.mark.parametrize("cells", [["=A1", "Lee", "a@x.org"], ["Ann", "=A1", "a@x.org"], ["#N/A", "#N/A", "a@x.org"]])
def test_a_row_that_is_refused_for_what_it_lacks_is_refused_again_when_it_is_sent_back(cells: list[object]) -> None:
    header = ["First name", "Last name", "Mail"]
    [block], _ = read(saved([*header], cells))
    assert len(validation.judge(block).refusals) == 1
    text = io.StringIO()
    csv.writer(text).writerows([header, block.origin.row(0)])
    [again] = delimited.read_blocks([text.getvalue().encode()], Reading(LIMIT), Findings())
    assert len(validation.judge(again).refusals) == 1


# What is no workbook


@pytest.mark.parametrize("content", [b"", b"P", b"name,email\n", b"PK\x03\x04", b"PK\x03\x04" + b"\0" * 100])
def test_what_is_no_workbook_is_refused(content: bytes) -> None:
    assert "damaged, or none at all" in refused(MalformedInput, content)


DOCUMENT_TYPES = str(parts()["[Content_Types].xml"]).replace("spreadsheetml.sheet", "wordprocessingml.document")


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        ({"contacts.csv": "name,email"}, "This ZIP archive is no workbook. Send the file in it."),
        (
            {"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<a/>"},
            "This is an OpenDocument file. Save it as .xlsx or CSV.",
        ),
        (
            {"[Content_Types].xml": DOCUMENT_TYPES, "word/document.xml": "<a/>"},
            "This is a Word document (.docx) and no .xlsx workbook. Save the sheet or table in it as .xlsx or CSV.",
        ),
        (
            {"a.csv": "name,email", "b/": "", "b/b.csv": ""},
            "This ZIP archive is no workbook. It holds 2 files: send each alone.",
        ),
        (
            {"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<a/>"},
            "This is an OpenDocument text, drawing or presentation. Save the sheet or table in it as .xlsx or CSV.",
        ),
        (
            {"[Content_Types].xml": DOCUMENT_TYPES, "xl/workbook.bin": "x"},
            "This is an Excel binary workbook (.xlsb) and no .xlsx workbook. Save it as .xlsx or CSV.",
        ),
        (
            {"Index/Document.iwa": "x", "Metadata/Properties.plist": "x"},
            "This is a document of Apple's Numbers, Pages or Keynote and no .xlsx workbook. Export it as .xlsx or CSV "
            "there.",
        ),
        (
            {"com.microsoft.__Messages/x.xml": "x", "Address Book/Contacts.xml": "x"},
            "This is an archive of Outlook for Mac (.olm). Export the contacts as CSV there.",
        ),
        (
            {"Ann.abbu/Metadata/1.abcdp": "x", "Ann.abbu/AddressBook-v22.abcddb": "x"},
            "This is an archive of Apple's Contacts. Export the contacts as vCard there.",
        ),
        (
            {"[Content_Types].xml": parts()["[Content_Types].xml"]},
            "This is no .xlsx workbook. Save the sheet or table in it as .xlsx or CSV.",
        ),
        (
            {**parts(), "xl/workbook.xml": "<workbook"},
            "The workbook is damaged, or none at all. Save it as .xlsx again, or as CSV.",
        ),
    ],
    ids=[
        *(
            "file",
            "OpenDocument",
            "document",
            "files",
            "OpenDocument text",
            "xlsb",
            "Numbers",
            "Outlook",
            "address book",
        ),
        *("no workbook", "damaged"),
    ],
)
def test_an_archive_of_something_else_is_refused_with_the_way_out(
    archive: dict[str, str | bytes], message: str
) -> None:
    assert refused(MalformedInput, package(archive)) == message


def test_the_type_of_a_workbook_may_be_that_of_all_parts_and_names_of_parts_absolute() -> None:
    whole = {name: str(text) for name, text in parts(HEAD, ADA_ROW).items()}
    types, links = "[Content_Types].xml", "xl/_rels/workbook.xml.rels"
    whole[types] = whole[types].replace('Override PartName="/xl/workbook.xml"', 'Default Extension="xml"')
    whole[links] = whole[links].replace("worksheets/sheet1.xml", "/xl/worksheets/sheet1.xml")
    assert rows(package({**whole})) == [ADA]


def test_names_of_parts_have_no_case_and_either_slash() -> None:
    whole = parts(HEAD, row(SHARED, "a@x.org"), strings="<si><t>Ada</t></si>")
    assert rows(package({name.upper(): text for name, text in whole.items()})) == [("Ada", "a@x.org")]
    assert rows(package({name.replace("/", "\\"): text for name, text in whole.items()})) == [("Ada", "a@x.org")]


def test_of_parts_whose_names_differ_in_case_the_first_counts() -> None:
    whole = parts(HEAD, ADA_ROW)
    assert rows(package(whole | {"XL/worksheets/sheet1.xml": "<broken>"})) == [ADA]
    assert "damaged" in refused(MalformedInput, package({"XL/worksheets/sheet1.xml": "<broken>"} | whole))


def test_shared_strings_may_be_linked_without_a_type_of_their_own() -> None:
    whole = {name: str(text) for name, text in parts(HEAD, row(SHARED, "a@x.org")).items()}
    types, links = "[Content_Types].xml", "xl/_rels/workbook.xml.rels"
    whole[types] = whole[types].replace("sharedStrings+xml", "other+xml")
    link = f'<Relationship Id="rId2" Type="{LINKS}/sharedStrings" Target="/texts.xml"/>'
    whole[links] = whole[links].replace("</Relationships>", f"{link}</Relationships>")
    texts = f'<sst xmlns="{MAIN}"><si><t>Ada</t></si></sst>'
    assert rows(package({**whole, "texts.xml": texts})) == [("Ada", "a@x.org")]


def test_a_directory_that_points_before_the_beginning_is_damage() -> None:
    content = bytearray(package(parts(HEAD, ADA_ROW)))
    end = content.rindex(b"PK\x05\x06")
    size, offset = (int.from_bytes(content[end + at : end + at + 4], "little") for at in (12, 16))
    content[end + 16 : end + 20] = (offset + size).to_bytes(4, "little")
    assert "damaged" in refused(MalformedInput, bytes(content))


def test_only_a_whole_workbook_can_be_previewed() -> None:
    beginning = Reading(LIMIT, is_beginning=True)
    assert rows(GOOD, beginning) == [ADA, BOB]
    assert "only be previewed as a whole" in refused(MalformedInput, GOOD[:-100], beginning)


def test_a_damaged_workbook_is_refused_whatever_is_damaged() -> None:
    random = Random(5)
    seen = set()
    for _ in range(60):
        content = bytearray(GOOD)
        for _ in range(random.choice((1, 1, 8))):
            content[random.randrange(len(content))] ^= random.randrange(1, 256)
        try:
            rows(bytes(content[: random.choice((len(content), random.randrange(len(content))))]))
        except InputError as error:
            seen.add(type(error))
    assert MalformedInput in seen


# What is made to break readers


def test_a_part_that_expands_too_far_is_refused_with_its_size_and_the_way_out() -> None:
    content = package(parts(HEAD, ADA_ROW * 100))
    size = len(parts(HEAD, ADA_ROW * 100)["xl/worksheets/sheet1.xml"])
    assert len(rows(content, Reading(LIMIT, max_expanded_bytes=size))) == 100
    message = refused(ExpandsTooFar, content, Reading(LIMIT, max_expanded_bytes=size - 1))
    assert (
        f"sheet1.xml in the workbook expands to {size} bytes, the limit is {size - 1}. Save the sheet as CSV" in message
    )


def test_a_workbook_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheet, "MAX_WORKBOOK_BYTES", len(GOOD) - 1)
    assert f"larger than {len(GOOD) - 1} bytes" in refused(ExpandsTooFar, GOOD)


@pytest.mark.parametrize("name", ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/workbook.xml"])
def test_a_directory_that_lies_about_sizes_is_not_believed(name: str) -> None:
    """A part of 8 MiB that calls itself 100 bytes long."""
    content = bytearray(package(parts(HEAD, row(SHARED)) | {name: b"<a>" + b" " * 8 * 1024**2}))
    entry = content.index(name.encode(), content.index(b"PK\x01\x02")) - 46
    content[entry + 24 : entry + 28] = (100).to_bytes(4, "little")
    tracemalloc.start()
    try:
        assert "damaged" in refused(MalformedInput, bytes(content))
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024**2
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("name", ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/workbook.xml"])
def test_entities_are_never_expanded(name: str, encoding: str) -> None:
    whole = parts(HEAD, row(SHARED), strings="<si><t>a</t></si>")
    declaration = f'<?xml version="1.0" encoding="{encoding}"?>'
    text = f"{declaration}{' ' * 9000}{DOCTYPE}{whole[name]!s}".encode(encoding)
    assert "declares a document type" in refused(MalformedInput, package(whole | {name: text}))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_cannot_be_bounded_is_refused(compression: int) -> None:
    assert "damaged" in refused(MalformedInput, package(parts(HEAD, ADA_ROW), compression))


def test_a_huge_directory_is_refused() -> None:
    names = {f"xl/media/{number:05}{'x' * 60000}": "" for number in range(MAX_DIRECTORY_BYTES // 60000 + 1)}
    assert "The directory of the workbook" in refused(ExpandsTooFar, package(parts(HEAD, ADA_ROW) | names))


def test_huge_styles_are_refused() -> None:
    styles = f'<styleSheet xmlns="{MAIN}">{"<x/>" * (MAX_SMALL_PART_BYTES // 4)}</styleSheet>'
    assert "xl/styles.xml" in refused(ExpandsTooFar, package(parts(HEAD, ADA_ROW) | {"xl/styles.xml": styles}))


def test_cells_in_opposite_corners_take_no_memory() -> None:
    corner = row('<c r="XFD1048576"><v>1</v></c>', number=1048576)
    [block], _ = read(package(parts(HEAD, ADA_ROW, corner)))
    assert (block.origin.line(1), len(block.origin.row(1))) == (1048576, 16384)


@pytest.mark.parametrize("cell", ["<c><!----></c>", f"<c>{' ' * 9}</c>", SHARED])
def test_a_row_that_is_too_large_is_refused(cell: str) -> None:
    content = package(parts(HEAD, row(*[cell] * 16_384), strings=f"<si><t>{'x' * 1000}</t></si>"))
    assert "A row of the sheet is larger than 65536 bytes" in refused(RowTooLarge, content)


def test_a_row_that_brings_too_much_text_with_it_is_refused() -> None:
    content = package(parts(HEAD, row(*[SHARED] * 66), strings=f"<si><t>{'x' * 1000}</t></si>"))
    assert "A row of the sheet is larger than 65536 bytes" in refused(RowTooLarge, content)


def test_a_text_that_is_too_large_is_refused() -> None:
    content = package(parts(HEAD, row(SHARED), strings=f"<si><t>{'x' * 300_000}</t></si>"))
    assert "larger than 65536 bytes" in refused(RowTooLarge, content)


def test_a_row_has_at_most_as_many_cells_as_a_sheet_has_columns() -> None:
    content = package(parts(HEAD, row(*["<c/>"] * 16385)))
    assert "16385 cells, the limit is 16384" in refused(MalformedInput, content)


@pytest.mark.parametrize("number", ["0", "-1", "1048577", "9" * 20])
def test_a_row_that_no_sheet_can_have_is_refused(number: str) -> None:
    content = package(parts(HEAD, f'<row r="{number}"><c t="str"><v>x</v></c></row>'))
    assert "rows beyond 1048576" in refused(MalformedInput, content)


def test_the_number_of_a_row_may_have_a_fraction_of_zero() -> None:
    [block], _ = read(package(parts(HEAD, '<row r="7.0"><c t="str"><v>Ada</v></c></row>')))
    assert block.origin.line(0) == 7


@pytest.mark.parametrize("place", ["", ' r="1"'], ids=["unnumbered", "all the same"])
def test_rows_end_where_a_sheet_does_however_they_are_numbered(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataflow.formats.xlsx.sheet_events.MAX_ROWS", 100)
    assert rows(package(parts(HEAD, f"<row{place}/>" * 99))) == []
    assert "rows beyond" in refused(MalformedInput, package(parts(HEAD, f"<row{place}/>" * 100)))


@pytest.mark.parametrize("place", ["XFE1", "ZZZZZZZ1"])
def test_a_cell_beyond_the_last_column_is_refused(place: str) -> None:
    content = package(parts(HEAD, row(f'<c r="{place}"><v>1</v></c>')))
    assert "the last that there can be is XFD" in refused(MalformedInput, content)


def test_wide_rows_come_in_small_blocks() -> None:
    corner = row('<c r="XFD1"><v>1</v></c>')
    blocks, _ = read(package(parts(HEAD, corner * 40)))
    assert max(len(block.names) for block in blocks) <= 16


def styles(numbers: str, xfs: str) -> str:
    return f'<styleSheet xmlns="{MAIN}"><numFmts>{numbers}</numFmts><cellXfs>{xfs}</cellXfs></styleSheet>'


#: What took openpyxl seconds to minutes.
SLOW_STYLES = {
    "one long format": styles(f'<numFmt numFmtId="170" formatCode="{"[" * 60_000}"/>', '<xf numFmtId="170"/>' * 5000),
    "many formats": styles(
        "".join(f'<numFmt numFmtId="{number}" formatCode="{number}{"[" * 250}"/>' for number in range(200, 3200)),
        "".join(f'<xf numFmtId="{number}"/>' for number in range(200, 3200)),
    ),
    "many styles": styles("", '<xf numFmtId="14"/>' * 50_000),
}


@pytest.mark.parametrize("name", SLOW_STYLES)
def test_styles_that_are_made_to_be_slow_are_quick(name: str) -> None:
    content = package(parts(HEAD, ADA_ROW) | {"xl/styles.xml": SLOW_STYLES[name]})
    with effort.at_most():
        assert rows(content) == [ADA]


def test_names_and_sheets_without_number_are_quick() -> None:
    sheet = '<sheet name="One" sheetId="1" r:id="rId1"/>'
    name = "<definedName name=\"a\">''''!A</definedName>"
    whole = {name: str(text) for name, text in parts(HEAD, ADA_ROW).items()}
    book = whole["xl/workbook.xml"].replace(sheet, sheet * 10_000)
    whole["xl/workbook.xml"] = book.replace("</sheets>", f"</sheets><definedNames>{name * 10_000}</definedNames>")
    with effort.at_most():
        assert rows(package({**whole})) == [ADA]


def test_custom_formats_tell_dates_and_durations_from_numbers() -> None:
    formats = ["yyyy-mm-dd", "[h]:mm:ss", '0.00" days"', "[Red]0", "d" * 256]
    numbers = "".join(
        f'<numFmt numFmtId="{at}" formatCode="{code.replace(chr(34), "&quot;")}"/>'
        for at, code in enumerate(formats, 164)
    )
    xfs = "".join(f'<xf numFmtId="{at}"/>' for at in range(164, 169))
    lines = [row(f'<c s="{at}"><v>1.5</v></c>', "a@x.org") for at in (*range(5), 99)]
    lines += [row(f'<c s="0"><v>{number}</v></c>', "a@x.org") for number in ("1E9", "NaN")]
    found = rows(package(parts(HEAD, *lines) | {"xl/styles.xml": styles(numbers, xfs)}))
    assert [name for name, _ in found] == ["1900-01-01T12:00:00", "1 day, 12:00:00", *["1.5"] * 4, "", "NaN"]


def test_dates_may_be_counted_from_1904() -> None:
    whole = parts(HEAD, row('<c s="0"><v>1</v></c>', "a@x.org"))
    book = str(whole["xl/workbook.xml"]).replace("<sheets>", '<workbookPr date1904="1"/><sheets>')
    content = package(whole | {"xl/workbook.xml": book, "xl/styles.xml": styles("", '<xf numFmtId="14"/>')})
    assert rows(content) == [("1904-01-02", "a@x.org")]


def test_elements_inside_of_one_another_are_limited() -> None:
    def nested(depth: int) -> bytes:
        inner = f"{'<a>' * depth}{'</a>' * depth}"
        return package(parts(HEAD, f'<row><c t="inlineStr"><is><t>Ada</t>{inner}</is></c>{ADA_ROW[5:]}'))

    assert rows(nested(MAX_DEPTH - 5)) == [("Ada", "Ada")]
    assert f"more than {MAX_DEPTH} inside of one another" in refused(MalformedInput, nested(MAX_DEPTH - 4))


@pytest.mark.parametrize("number", ["-1", "2", "x", "1.5", "9" * 5000])
def test_a_text_that_is_not_there_is_refused(number: str) -> None:
    content = package(parts(HEAD, row(f'<c t="s"><v>{number}</v></c>'), strings="<si><t>a</t></si><si><t>b</t></si>"))
    assert "damaged" in refused(MalformedInput, content)


# Shared strings


def test_shared_strings_are_found_again_in_any_order() -> None:
    texts = [f"{number} \U0001f600 {chr(number)}" * (number % 50) for number in range(2000)]
    strings = SharedStrings(texts, io.BytesIO(), 10**9)
    for number in [*range(2000), *reversed(range(2000)), *Random(3).sample(range(2000), 500)]:
        assert strings[number] == texts[number]
    for number in (-1, 2000, 10**30):
        with pytest.raises(IndexError):
            strings[number]


@pytest.mark.parametrize("texts", [[""], ["", ""], ["\n", "a\r\n"], ["\x1f"], ["x" * 300_000, "", "\U0001f600"]])
def test_shared_strings_that_are_empty_or_have_line_ends_stay_as_they_are(texts: list[str]) -> None:
    strings = SharedStrings(texts, io.BytesIO(), 10**9)
    assert [strings[number] for number in range(len(texts))] == texts


def test_shared_strings_take_no_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        with (tmp_path / "texts").open("w+b") as file:
            strings = SharedStrings((f"ada{number}@example.org" for number in range(20_000)), file, LIMIT)
            assert strings[19_999] == "ada19999@example.org"
        assert tracemalloc.get_traced_memory()[1] < 128 * 1024
    finally:
        tracemalloc.stop()


def test_no_more_shared_strings_are_read_than_are_asked_for() -> None:
    texts = iter(map(str, range(2000)))
    strings = SharedStrings(texts, io.BytesIO(), LIMIT)
    assert strings[5] == "5"
    assert int(next(texts)) < 1000
    assert strings[1999 - 1] == "1999"  # the one that was taken here is missing there


FULL_DISK = """
import resource, signal, sys
from dataflow.errors import DataFlowError
from dataflow.formats.xlsx import spreadsheet
from dataflow.formats.reading import Findings, Reading

content = sys.stdin.buffer.read()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    list(spreadsheet.read_blocks([content], Reading(1 << 20), Findings()))
except DataFlowError as error:
    assert error.code == "spool_unavailable"
    print(error.message)
"""


def test_a_disk_that_takes_no_workbook_is_no_fault_of_the_file() -> None:
    content = saved(["name", "email"], *([f"Name {number}", f"a{number}@example.org"] for number in range(2_000)))
    done = subprocess.run([sys.executable, "-c", FULL_DISK], input=content, capture_output=True, timeout=30, check=True)
    assert done.stdout.startswith(b"A workbook cannot be kept on disk (TMPDIR): ")


def test_contacts_above_the_header_row_are_refused_and_not_lost_as_titles() -> None:
    content = saved(["Ann", "ann@example.com"], ["Name", "Email"], ["Bob", "bob@example.com"])
    with pytest.raises(AmbiguousColumns, match=r"Line 1 looks like a contact.* skipRows=1"):
        read(content)
    assert rows(content, Reading(LIMIT, skip_rows=1)) == [("Bob", "bob@example.com")]
