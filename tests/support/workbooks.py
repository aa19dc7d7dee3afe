"""Workbooks: as openpyxl writes them, and put together part by part."""

import io
import zipfile
from collections.abc import Callable

from openpyxl import Workbook

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def saved(*cells: list[object], prepare: Callable[[Workbook], None] = lambda book: None) -> bytes:
    """A workbook of one sheet with these rows, as openpyxl writes it."""
    book = Workbook()
    assert book.active is not None
    for row in cells:
        book.active.append(row)
    prepare(book)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def package(parts: dict[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return file.getvalue()


def parts(*lines: str, strings: str = "", prolog: str = "") -> dict[str, str | bytes]:
    """The parts of a workbook with these rows of XML and shared strings."""
    return {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        f'<Override PartName="/xl/workbook.xml" ContentType="{TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{TYPE}.sharedStrings+xml"/></Types>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><sheets>'
        '<sheet name="One" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
        f'relationships"><Relationship Id="rId1" Type="{LINKS}/worksheet" Target="worksheets/sheet1.xml"/>'
        "</Relationships>",
        "xl/sharedStrings.xml": f'{prolog}<sst xmlns="{MAIN}">{strings}</sst>',
        "xl/worksheets/sheet1.xml": f'{prolog}<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}</sheetData>'
        "<mergeCells><broken></worksheet>",  # nothing after the rows is looked at
    }


def row(*cells: str, number: int | None = None) -> str:
    """A row of XML; a cell is XML itself, or a text."""
    written = [cell if cell.startswith("<c") else f'<c t="str"><v>{cell}</v></c>' for cell in cells]
    place = f' r="{number}"' if number else ""
    return f"<row{place}>{''.join(written)}</row>"
