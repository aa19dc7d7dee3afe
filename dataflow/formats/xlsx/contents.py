"""What a workbook says of itself before its rows: its sheets, where their parts are, how its styles show numbers.

Why it is so: openpyxl looks through the number format of every style in quadratic time (10 s for a workbook of 2 KB).
Reading these parts here takes time in proportion to their size.
"""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dataflow.errors import ExpandsTooFar, MalformedInput
from dataflow.formats import archives
from dataflow.formats.xlsx.package import Package
from dataflow.formats.xlsx.sheet_choice import SheetEntry
from dataflow.formats.xlsx.xml_events import Attributes, elements

MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
MAX_FORMAT_CHARACTERS: Final = 255
#: Of sheets, of links to parts, and of number formats, of which Excel takes some 250.
MAX_ITEMS: Final = 8192
#: Excel takes as many, and 26 more.
MAX_STYLES: Final = 65_536

_TYPES_PART, _STYLES_PART, _WORKBOOK_PART = "[Content_Types].xml", "xl/styles.xml", "xl/workbook.xml"
_TYPES: Final = "http://schemas.openxmlformats.org/package/2006/content-types}"
_LINKS: Final = "http://schemas.openxmlformats.org/package/2006/relationships}"
_LINK_ID: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_OPEN_XML: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml."
_TEXTS_TYPE: Final = f"{_OPEN_XML}sharedStrings+xml"
_WORKBOOK_TYPES: Final = (
    f"{_OPEN_XML}sheet.main+xml",
    f"{_OPEN_XML}template.main+xml",
    "application/vnd.ms-excel.sheet.macroEnabled.main+xml",
    "application/vnd.ms-excel.template.macroEnabled.main+xml",
)


@dataclass(frozen=True, slots=True)
class Contents:
    sheets: list[SheetEntry]
    texts_part: str | None  #: with the texts that all sheets share
    has_1904_dates: bool  #: days are counted from 1904
    formats: list[int | str]  #: of the numbers of each style: a built-in one, or what it looks like


def read(package: Package) -> Contents:
    """What the workbook in `package` says of itself.

    :raises MalformedInput: when there is no workbook in it, or no sheet in that.
    :raises ExpandsTooFar: when it is larger than any that people make.
    :raises KeyError, ValueError, ExpatError: when it is damaged.
    """
    parts = _parts_by_type(package)
    part = next((parts[kind] for kind in _WORKBOOK_TYPES if kind in parts), None)
    if part is None or part not in package:
        raise archives.refusal(package)
    links = _links(package, part)
    sheets, has_1904_dates = _book(package, part, links)
    linked = {kind.rpartition("/")[2]: linked_part for kind, linked_part in links.values()}
    texts_part = parts.get(_TEXTS_TYPE, linked.get("sharedStrings"))
    return Contents(sheets, texts_part, has_1904_dates, _formats(package))


def _elements(package: Package, part: str) -> Iterator[tuple[str, str, Attributes]]:
    return elements(package.small_part(part))


def _parts_by_type(package: Package) -> dict[str, str]:
    if _TYPES_PART not in package:
        return {}
    declared: dict[str, str] = {}
    default: dict[str, str] = {}
    for _, tag, attributes in _elements(package, _TYPES_PART):
        kind = attributes.get("ContentType", "")
        if kind not in (*_WORKBOOK_TYPES, _TEXTS_TYPE):
            continue
        if tag == f"{_TYPES}Override":
            declared.setdefault(kind, attributes.get("PartName", "")[1:])
        elif tag == f"{_TYPES}Default":
            # Some writers declare the type of the workbook as that of every part.
            default[kind] = _WORKBOOK_PART
    return default | declared


def _links(package: Package, part: str) -> dict[str | None, tuple[str, str]]:
    folder, name = posixpath.split(part)
    links: dict[str | None, tuple[str, str]] = {}
    for _, tag, attributes in _elements(package, posixpath.join(folder, "_rels", f"{name}.rels")):
        if tag == f"{_LINKS}Relationship":
            target = posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", "")))[1:]
            links[attributes.get("Id")] = attributes.get("Type", ""), target
            _limit(len(links), MAX_ITEMS, "links to parts")
    return links


def _book(package: Package, part: str, links: dict[str | None, tuple[str, str]]) -> tuple[list[SheetEntry], bool]:
    found: list[SheetEntry] = []
    has_1904_dates = False
    for parent, tag, attributes in _elements(package, part):
        if tag == f"{MAIN}workbookPr":
            has_1904_dates = attributes.get("date1904") in ("1", "true")
        if (parent, tag) != (f"{MAIN}sheets", f"{MAIN}sheet"):
            continue
        kind, sheet_part = links.get(attributes.get(_LINK_ID), ("", ""))
        if kind.endswith("/worksheet") and len(found) < MAX_ITEMS:  # and no chart
            is_visible = attributes.get("state", "visible") == "visible"
            found.append(SheetEntry(attributes.get("name", ""), sheet_part, is_visible))
    if not found:
        raise MalformedInput("The workbook has no sheet. Save it as .xlsx (not Strict Open XML) or as CSV.")
    return found, has_1904_dates


def _formats(package: Package) -> list[int | str]:
    if _STYLES_PART not in package:
        return []
    codes: dict[int, str] = {}
    numbers: list[int] = []
    for parent, tag, attributes in _elements(package, _STYLES_PART):
        if (parent, tag) == (f"{MAIN}cellXfs", f"{MAIN}xf"):
            numbers.append(int(attributes.get("numFmtId", "0")))
            _limit(len(numbers), MAX_STYLES, "styles")
        elif (parent, tag) == (f"{MAIN}numFmts", f"{MAIN}numFmt"):
            code = attributes.get("formatCode", "")
            # Looking for dates in a longer one may take long.
            codes[int(attributes.get("numFmtId", "0"))] = code if len(code) <= MAX_FORMAT_CHARACTERS else ""
            _limit(len(codes), MAX_ITEMS, "number formats")
    return [codes.get(number, number) for number in numbers]


def _limit(count: int, most: int, what: str) -> None:
    if count > most:
        raise ExpandsTooFar(f"The workbook has more than {most} {what}. Save the sheet as CSV.")
