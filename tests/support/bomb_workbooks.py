"""Small workbooks that are made to take memory or time from whoever reads them; each builder gives the bytes of one.

XML can be put into any of their parts, at a place where the reader looks at it.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from tests.support.bombs import MIB

MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES: Final = "http://schemas.openxmlformats.org/package/2006/content-types"
_PACKAGE_LINKS: Final = "http://schemas.openxmlformats.org/package/2006/relationships"
_KIND: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"

SHEET, STRINGS, BOOK, STYLES, TYPES, RELATIONS = (
    "xl/worksheets/sheet1.xml",
    "xl/sharedStrings.xml",
    "xl/workbook.xml",
    "xl/styles.xml",
    "[Content_Types].xml",
    "xl/_rels/workbook.xml.rels",
)
HEAD: Final = '<row><c t="str"><v>name</v></c><c t="str"><v>email</v></c></row>'
#: The parts, and what stands before and after what is put into each.
PARTS: Final = {
    TYPES: (
        f'<Types xmlns="{_TYPES}"><Override PartName="/{BOOK}" ContentType="{_KIND}.sheet.main+xml"/>'
        f'<Override PartName="/{STRINGS}" ContentType="{_KIND}.sharedStrings+xml"/>',
        "</Types>",
    ),
    RELATIONS: (
        f'<Relationships xmlns="{_PACKAGE_LINKS}">'
        f'<Relationship Id="rId1" Type="{LINKS}/worksheet" Target="worksheets/sheet1.xml"/>',
        "</Relationships>",
    ),
    BOOK: (
        f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><sheets><sheet name="One" sheetId="1" r:id="rId1"/>',
        "</sheets></workbook>",
    ),
    STYLES: (f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/>', "</cellXfs></styleSheet>"),
    STRINGS: (f'<sst xmlns="{MAIN}">', "</sst>"),
    SHEET: (f'<worksheet xmlns="{MAIN}"><sheetData>{HEAD}', "</sheetData></worksheet>"),
}
#: A row that asks for the last text, so that all of them are read.
_ASKING: Final = '<row><c t="s"><v>{}</v></c><c t="str"><v>a@example.org</v></c></row>'


def workbook(contents: dict[str, str | Iterable[str]], more_parts: Iterable[str] = ()) -> bytes:
    """A workbook with `contents` in its parts, and further empty parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (head, tail) in PARTS.items():
            content = contents.get(name, "")
            texts = (content,) if isinstance(content, str) else content
            with archive.open(name, "w") as part:
                part.writelines(text.encode() for text in chain((head,), texts, (tail,)))
        for name in more_parts:
            archive.writestr(name, b"")
    return file.getvalue()


def deep(depth: int, part: str = SHEET) -> bytes:
    """Elements inside of one another."""
    return workbook({part: "<a>" * depth + "</a>" * depth})


def deep_sheet(depth: int) -> bytes:
    """A sheet whose row is so deep."""
    return workbook({SHEET: f"<row>{'<a>' * depth}{'</a>' * depth}</row>"})


def wide(count: int, part: str = SHEET) -> bytes:
    """Elements beside one another."""
    return workbook({part: "<a/>" * count})


def wide_row(count: int, cell: str = "<c/>") -> bytes:
    """A row of so many cells."""
    return workbook({SHEET: f"<row>{cell * count}</row>"})


def many_names(count: int, part: str = SHEET) -> bytes:
    """Elements of which each has another name."""
    return workbook({part: "".join(f"<a{number:x}/>" for number in range(count))})


def many_attributes(count: int, part: str = SHEET) -> bytes:
    """An element with so many attributes."""
    attributes = " ".join(f'a{number:x}=""' for number in range(count))
    return workbook({part: f"<a {attributes}/>"})


def many_attribute_names(count: int, part: str = SHEET) -> bytes:
    """Elements with an attribute each, and each with another."""
    return workbook({part: "".join(f'<a b{number:x}=""/>' for number in range(count))})


def many_namespaces(count: int, part: str = SHEET) -> bytes:
    """Elements of which each declares another namespace."""
    return workbook({part: "".join(f'<a xmlns:b{number:x}="{number:x}"/>' for number in range(count))})


def nested_namespaces(count: int, part: str = SHEET) -> bytes:
    """An element that declares so many namespaces."""
    declarations = " ".join(f'xmlns:b{number:x}="{number:x}"' for number in range(count))
    return workbook({part: f"<a {declarations}/>"})


def long_attribute(size_bytes: int, part: str = SHEET) -> bytes:
    """An element with an attribute of this length."""
    return workbook({part: f'<a b="{"x" * size_bytes}"/>'})


def long_name(size_bytes: int, part: str = SHEET) -> bytes:
    """An element with a name of this length."""
    return workbook({part: f"<{'a' * size_bytes}/>"})


def long_text(size_bytes: int, part: str = SHEET) -> bytes:
    """A text between elements."""
    return workbook({part: "x" * size_bytes})


def long_comment(size_bytes: int, part: str = SHEET) -> bytes:
    return workbook({part: f"<!--{'x' * size_bytes}-->"})


def long_instruction(size_bytes: int, part: str = SHEET) -> bytes:
    return workbook({part: f"<?x {'x' * size_bytes}?>"})


def many_comments(count: int, part: str = SHEET) -> bytes:
    return workbook({part: "<!---->" * count})


def shared_text(text: str) -> bytes:
    """A cell that refers to this text."""
    return workbook({STRINGS: f"<si><t>{text}</t></si>", SHEET: _ASKING.format(0)})


def inline_text(text: str) -> bytes:
    """A cell that holds this text."""
    return workbook({SHEET: f'<row><c t="inlineStr"><is><t>{text}</t></is></c></row>'})


def many_shared_strings(count: int, text: str = "a") -> bytes:
    """So many texts that all sheets share, and a cell that refers to the last."""
    return workbook({STRINGS: _repeated(f"<si><t>{text}</t></si>", count), SHEET: _ASKING.format(count - 1)})


def many_runs(count: int) -> bytes:
    """A shared text of so many runs."""
    return workbook({STRINGS: f"<si>{'<r><t>a</t></r>' * count}</si>", SHEET: _ASKING.format(0)})


def rotating_texts(count: int, characters: int) -> bytes:
    """Rows that refer to long texts in turn."""
    texts = "".join(f"<si><t>{number}{'x' * characters}</t></si>" for number in range(count))
    return workbook({STRINGS: texts, SHEET: "".join(map(_ASKING.format, range(count))) * 50})


def many_sheets(count: int) -> bytes:
    """A list of so many sheets."""
    return workbook({BOOK: "".join(f'<sheet name="{number}" r:id="rId{number}"/>' for number in range(count))})


def many_relations(count: int) -> bytes:
    """A list of so many links to parts."""
    links = (f'<Relationship Id="r{number}" Type="a/x{number}" Target="{number}"/>' for number in range(count))
    return workbook({RELATIONS: "".join(links)})


def many_types(count: int) -> bytes:
    """A list of the types of so many parts."""
    types = (f'<Override PartName="/{number}" ContentType="{number}"/>' for number in range(count))
    return workbook({TYPES: "".join(types)})


def many_formats(count: int) -> bytes:
    """So many number formats, and a style for each."""
    formats = (f'<numFmt numFmtId="{number}" formatCode="{number}{"d" * 20}"/>' for number in range(1000, 1000 + count))
    styles = (f'<xf numFmtId="{number}"/>' for number in range(1000, 1000 + count))
    cells = "".join(f'<row><c s="{number % count}"><v>1</v></c></row>' for number in range(3000))
    between = f"</cellXfs><numFmts>{''.join(formats)}</numFmts><cellXfs>"
    return workbook({STYLES: between + "".join(styles), SHEET: cells})


def many_styles(count: int) -> bytes:
    return workbook({STYLES: '<xf numFmtId="99999"/>' * count})


def many_empty_cells(count: int) -> bytes:
    """Rows of a hundred cells that are only formatted."""
    return workbook({SHEET: _repeated(f"<row>{'<c/>' * 100}</row>", count // 100)})


def many_empty_rows(count: int) -> bytes:
    return workbook({SHEET: _repeated("<row/>", count)})


def corner_cells(count: int) -> bytes:
    """Rows of which only the last cell has a value."""
    return workbook({SHEET: _repeated('<row><c r="XFD1"><v>1</v></c></row>', count)})


def full_rows(count: int) -> bytes:
    """Rows with a value in every column there can be."""
    return workbook({SHEET: _repeated(f"<row>{'<c><v>1</v></c>' * 16_384}</row>", count)})


def many_formulas(count: int) -> bytes:
    """A row of so many formulas without their results."""
    return workbook({SHEET: f"<row>{'<c><f>1</f></c>' * count}</row>"})


def many_merged_cells(count: int) -> bytes:
    merged = '<mergeCell ref="A1:B2"/>' * count
    return workbook({SHEET: f"</sheetData><mergeCells>{merged}</mergeCells><sheetData>"})


def many_entries(count: int) -> bytes:
    """An archive of so many files."""
    return workbook({}, (f"{number:x}" for number in range(count)))


def with_entities(part: str = SHEET) -> bytes:
    """A part with a document type that declares entities of entities."""
    head, tail = PARTS[part]
    entities = "".join(f'<!ENTITY a{number + 1} "{f"&a{number};" * 10}">' for number in range(9))
    document_type = f'<!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">{entities}]>'
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (begin, end) in PARTS.items():
            archive.writestr(name, f"{document_type}{head}&a9;{tail}" if name == part else begin + end)
    return file.getvalue()


def _repeated(text: str, count: int) -> Iterator[str]:
    """The text so many times, in pieces of a megabyte."""
    many = max(1, MIB // len(text))
    for _ in range(count // many):
        yield text * many
    yield text * (count % many)
