"""What content is, told by how it begins: a gzip stream, a workbook, cards, JSON, lines of JSON, or delimited text.

The content decides. The declared type and the file name break ties: a JSON object may be a request with its `data`, or
the first line of NDJSON, and what begins like JSON and goes on like none may be broken, or text in brackets.
"""

import json
import re

from dataflow.errors import UnsupportedMediaType
from dataflow.formats.text import Encoding, marked

_ZIP, _OLE2, _PDF = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"%PDF-"
#: How JSON begins, also when it is cut: tools of SQL write headers as [Name],[first name],[1st phone].
_JSON = re.compile(
    rb"""(?:\[\s*)+ (?: ["{\]] | \Z | (?: null | true | false | -?\d[\d.eE+-]* ) \s* (?: [,\]] | \Z )
    | n(?:ul?)?\Z | t(?:ru?)?\Z | f(?:al?|als)?\Z | -\Z ) | (?:\[\s*)* \{\s* (?: ["}] | \Z )""",
    re.VERBOSE,
)
_CARD = re.compile(rb"BEGIN[ \t]*:[ \t]*VCARD", re.IGNORECASE)
#: In what is called a file of cards BEGIN may come later, or be damaged.
_CARD_LINE = re.compile(rb"^(?:(?:BEGIN|END)[ \t]*:[ \t]*VCARD|VERSION:[234]\.[01]|FN:)", re.IGNORECASE | re.MULTILINE)
#: How many lines may come before the first object.
MAX_BAD_LINES = 20
#: No text has these but by mistake. Others are in use: ESC in ISO-2022-JP, VT and FF within cells.
_CONTROLS = bytes({*range(9), *range(14, 32)} - {27})
#: So many are tolerated beside one in a hundred bytes: in a file of two rows a single one is more than that.
_STRAY_CONTROLS = 3


def name_of(head: bytes, declared: str | None, encoding: str | None) -> str:
    """The format of content that begins with `head`; `declared` is what its sender calls it, if that is a format.

    :raises UnsupportedMediaType: for content that is binary.
    """
    _refuse_documents(head)
    if head.startswith(_ZIP):
        return "xlsx"
    text = _as_utf8(head, encoding).lstrip(b" \t\r\n")
    if (text.startswith(b"{") and _is_line_of_its_own(text, declared)) or (
        declared == "ndjson" and _has_lines_of_json(text)
    ):
        return "ndjson"
    if _JSON.match(text):
        return "json"
    if _CARD_LINE.search(text) if declared == "vcard" else _CARD.match(text):
        return "vcard"
    stray = len(text) - len(text.translate(None, _CONTROLS))
    if text.count(b"\0") > len(text) // 4 or (declared != "csv" and stray > _STRAY_CONTROLS + len(text) // 100):
        raise _binary(head)
    if text.startswith((b"[", b"{")) and declared in ("json", "ndjson"):
        return declared
    return "csv"


def _refuse_documents(head: bytes) -> None:
    if head.startswith(_OLE2):
        raise UnsupportedMediaType(
            "This is an old Excel file (.xls), or one with a password. Save it as .xlsx without one, or as CSV."
        )
    if head.startswith(_PDF):
        raise UnsupportedMediaType("This is a PDF. Save the contacts as .xlsx or CSV.")


def _binary(head: bytes) -> UnsupportedMediaType:
    formats = "Send JSON, NDJSON, CSV, vCard or XLSX"
    nuls = {"utf-16-be": head[::2].count(0), "utf-16-le": head[1::2].count(0)}
    likely = max(nuls, key=lambda name: nuls[name])
    # Those of UTF-16 stand at every other byte, but for a few characters such as U+4E00.
    if nuls[likely] > max(len(head) // 4, 10 * (sum(nuls.values()) - nuls[likely])):
        return UnsupportedMediaType(
            f"The content is UTF-16 without a byte order mark, or binary. {formats}, or name the encoding with "
            f"encoding={likely}."
        )
    return UnsupportedMediaType(f"The content is binary. {formats}.")


def _as_utf8(head: bytes, encoding: str | None) -> bytes:
    """The beginning as far as it can be read, good enough to look at."""
    found = marked(head) or Encoding(encoding or "utf-8")
    text = head.removeprefix(found.mark)
    return text if found.name == "utf-8" else text.decode(found.name, errors="replace").encode(errors="replace")


def _is_line_of_its_own(text: bytes, declared: str | None) -> bool:
    """Whether `text`, which begins with an object, is NDJSON rather than one JSON document."""
    line, newline, rest = text.partition(b"\n")
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        # Not complete on its line: pretty-printed or cut JSON, unless it is declared to be a (bad) NDJSON line, or the
        # next one is an object of its own.
        return declared == "ndjson" or (declared is None and _is_json(rest.partition(b"\n")[0], dict))
    if "data" in first and declared != "ndjson" and not first.keys() & {"name", "email"}:
        return False
    return bool(newline) or declared != "json"


def _has_lines_of_json(text: bytes) -> bool:
    """Whether bad lines stand before an object, in what is declared to be NDJSON; an array goes over several lines."""
    first, *others = text.splitlines()[:MAX_BAD_LINES] or [b""]
    if first.startswith(b"["):
        return _is_json(first, list) and bool(others) and _is_json(others[0], dict)
    return any(_is_json(line, dict) for line in others)


def _is_json(line: bytes, kind: type) -> bool:
    try:
        return isinstance(json.loads(line), kind)
    except (ValueError, RecursionError):
        return False
