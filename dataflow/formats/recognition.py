"""What content is, told by how it begins: a gzip stream, a workbook, cards, JSON, lines of JSON, or delimited text.

The content decides. The declared type and the file name break the one tie there is: a JSON object may be a request with
its `data`, or the first line of NDJSON.
"""

import json

from dataflow.errors import UnsupportedMediaType

_BOMS = {
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe\x00\x00": "utf-32-le",
    b"\x00\x00\xfe\xff": "utf-32-be",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}
_ZIP, _OLE2, _PDF = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"%PDF-"


def name_of(head: bytes, declared: str | None, encoding: str | None) -> str:
    """The format of content that begins with `head`; `declared` is what its sender calls it, if that is a format.

    :raises UnsupportedMediaType: for content that is binary.
    """
    if head.startswith(_ZIP):
        return "xlsx"
    if head.startswith((_OLE2, _PDF)):
        raise UnsupportedMediaType("This is an old Excel file or a PDF. Save the contacts as .xlsx or CSV.")
    text = _as_utf8(head, encoding).lstrip(b" \t\r\n")
    if text.startswith(b"["):
        return "json"
    if text.startswith(b"{"):
        return "ndjson" if _is_line_of_its_own(text, declared) else "json"
    if text[:11].upper() == b"BEGIN:VCARD":
        return "vcard"
    if text.count(b"\0") > len(text) // 4 or (b"\0" in text and declared != "csv"):
        raise UnsupportedMediaType(
            "The content is binary, or UTF-16 without a byte order mark. Send JSON, NDJSON, CSV, vCard or XLSX, or "
            "name the encoding with encoding=utf-16-le."
        )
    return "csv"


def _as_utf8(head: bytes, encoding: str | None) -> bytes:
    """The beginning as far as it can be read, good enough to look at."""
    bom = next((bom for bom in _BOMS if head.startswith(bom)), b"")
    name = _BOMS.get(bom, encoding) or "utf-8"
    if name == "utf-8":
        return head.removeprefix(bom)
    return head.removeprefix(bom).decode(name, errors="replace").encode(errors="replace")


def _is_line_of_its_own(text: bytes, declared: str | None) -> bool:
    """Whether `text`, which begins with an object, is NDJSON rather than one JSON document."""
    line, newline, _ = text.partition(b"\n")
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        # Not complete on its line: pretty-printed or cut JSON, unless it is declared to be a (bad) NDJSON line, or the
        # next one is an object of its own.
        return declared == "ndjson" or (declared is None and _is_object(text.partition(b"\n")[2].partition(b"\n")[0]))
    if "data" in first and declared != "ndjson":
        return False
    return bool(newline) or declared != "json"


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
