"""What a workbook says of itself before its rows: its sheets, where their parts are, how its styles show numbers.

openpyxl would read fonts, names and links as well, and look through the number format of every style in time that grows
with the square of its length: a workbook of 2 KB took 10 s. What is read here takes time in proportion to its size.
"""

import posixpath
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, fromstring

from dataflow.errors import MalformedInput
from dataflow.formats.package import Package

MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
#: The longest number format that Excel takes.
MAX_FORMAT_CHARACTERS: Final = 255

_TYPES_PART, _STYLES_PART, _WORKBOOK_PART = "[Content_Types].xml", "xl/styles.xml", "xl/workbook.xml"
_TYPES: Final = "{http://schemas.openxmlformats.org/package/2006/content-types}"
_LINKS: Final = "{http://schemas.openxmlformats.org/package/2006/relationships}"
_LINK_ID: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_OPEN_XML: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml."
_TEXTS_TYPE: Final = f"{_OPEN_XML}sharedStrings+xml"
#: Workbooks and templates, without and with macros.
_WORKBOOK_TYPES: Final = (
    f"{_OPEN_XML}sheet.main+xml",
    f"{_OPEN_XML}template.main+xml",
    "application/vnd.ms-excel.sheet.macroEnabled.main+xml",
    "application/vnd.ms-excel.template.macroEnabled.main+xml",
)


@dataclass(frozen=True, slots=True)
class Contents:
    """The first visible sheet of a workbook, and what it takes to read it."""

    title: str
    sheet_part: str
    texts_part: str | None  #: with the texts that all sheets share
    has_1904_dates: bool  #: days are counted from 1904
    formats: list[int | str]  #: of the numbers of each style: a built-in one, or what it looks like


def read(package: Package) -> Contents:
    """What the workbook in `package` says of itself.

    :raises MalformedInput: when there is no workbook in it, or no sheet in that.
    :raises KeyError, ValueError, ParseError: when it is damaged.
    """
    types = _part_types(package)
    parts = {kind: part for part, kind in reversed(types)}
    part = next((parts[kind] for kind in _WORKBOOK_TYPES if kind in parts), None)
    if part is None or part not in package:
        raise MalformedInput("This is no .xlsx workbook. Save the sheet or table in it as .xlsx or CSV.")
    book = _tree(package, part)
    links = _links(package, part)
    title, sheet_part = _first_visible(book, links)
    linked = {kind.rpartition("/")[2]: linked_part for kind, linked_part in links.values()}
    properties = book.find(f"{MAIN}workbookPr")
    has_1904_dates = properties is not None and properties.get("date1904") in ("1", "true")
    texts_part = parts.get(_TEXTS_TYPE, linked.get("sharedStrings"))
    return Contents(title, sheet_part, texts_part, has_1904_dates, _formats(package))


def _tree(package: Package, part: str) -> Element:
    return fromstring(package.read(part))  # noqa: S314  # Package refuses document types


def _part_types(package: Package) -> list[tuple[str, str]]:
    """The names of parts with their types."""
    if _TYPES_PART not in package:
        if "mimetype" in package and b"opendocument" in package.read("mimetype"):
            raise MalformedInput("This is an OpenDocument file. Save it as .xlsx or CSV.")
        raise MalformedInput("This ZIP archive is no workbook. Send the file in it.")
    root = _tree(package, _TYPES_PART)
    types = [(each.get("PartName", "")[1:], each.get("ContentType", "")) for each in root.iter(f"{_TYPES}Override")]
    # Some writers declare the type of the workbook as that of every part.
    return [*types, *((_WORKBOOK_PART, each.get("ContentType", "")) for each in root.iter(f"{_TYPES}Default"))]


def _links(package: Package, part: str) -> dict[str | None, tuple[str, str]]:
    """The type and the name of each part that a part refers to."""
    folder, name = posixpath.split(part)
    root = _tree(package, posixpath.join(folder, "_rels", f"{name}.rels"))
    return {
        each.get("Id"): (
            each.get("Type", ""),
            posixpath.normpath(posixpath.join("/", folder, each.get("Target", "")))[1:],
        )
        for each in root.iter(f"{_LINKS}Relationship")
    }


def _first_visible(book: Element, links: dict[str | None, tuple[str, str]]) -> tuple[str, str]:
    """The title of the sheet, and the name of its part."""
    sheets = []
    for sheet in book.iterfind(f"{MAIN}sheets/{MAIN}sheet"):
        kind, part = links.get(sheet.get(_LINK_ID), ("", ""))
        if kind.endswith("/worksheet"):  # and no chart
            sheets.append((sheet.get("state", "visible") == "visible", sheet.get("name", ""), part))
    if not sheets:
        raise MalformedInput("The workbook has no sheet. Save it as .xlsx (not Strict Open XML) or as CSV.")
    _, title, part = max(sheets, key=lambda sheet: sheet[0])
    return title, part


def _formats(package: Package) -> list[int | str]:
    if _STYLES_PART not in package:
        return []
    root = _tree(package, _STYLES_PART)
    codes = {
        int(each.get("numFmtId", "0")): each.get("formatCode", "")
        for each in root.iterfind(f"{MAIN}numFmts/{MAIN}numFmt")
    }
    # Excel has none that is longer, and whoever looks for dates in it may take long.
    codes = {number: code if len(code) <= MAX_FORMAT_CHARACTERS else "" for number, code in codes.items()}
    numbers = (int(each.get("numFmtId", "0")) for each in root.iterfind(f"{MAIN}cellXfs/{MAIN}xf"))
    return [codes.get(number, number) for number in numbers]
