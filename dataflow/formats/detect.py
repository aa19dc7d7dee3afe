"""What content is, told by how it begins: a gzip stream, a workbook, cards, JSON, lines of JSON, or delimited text.

The content decides. The declared type and the file name break ties: a JSON object may be a request with its `data`, or
the first line of NDJSON, and what begins like JSON and goes on like none may be broken, or text in brackets.
"""

import json
import re

from dataflow.errors import MalformedInput, RowTooLarge, UnsupportedMediaType
from dataflow.formats import foreign
from dataflow.formats.encoding import as_utf8
from dataflow.formats.gzip import is_gzip
from dataflow.formats.json.events import EventReader
from dataflow.formats.reading import Findings

#: How much of a content is looked at.
LOOK_BYTES = 64 * 1024
_DECODER = json.JSONDecoder()
_ZIP = b"PK\x03\x04"
#: How JSON begins, also when it is cut: tools of SQL write headers as [Name],[first name],[1st phone].
_JSON = re.compile(
    rb"""(?:\[\s*)+ (?: ["{\]] | \Z | (?: null | true | false | -?\d[\d.eE+-]* ) \s* (?: [,\]] | \Z )
    | n(?:ul?)?\Z | t(?:ru?)?\Z | f(?:al?|als)?\Z | -\Z ) | (?:\[\s*)* \{\s* (?: ["}] | \Z )""",
    re.VERBOSE,
)
_CARD = re.compile(rb"BEGIN[ \t]*:[ \t]*VCARD", re.IGNORECASE)
#: In what is called a file of cards BEGIN may come later, or be damaged.
_CARD_LINE = re.compile(
    rb"(?:\A|[\r\n])[ \t]*(?:(?:BEGIN|END)[ \t]*:[ \t]*VCARD|VERSION:[234]\.[01]|(?:FN|N|EMAIL)[;:])", re.IGNORECASE
)
#: How many lines may come before the first object.
MAX_BAD_LINES = 20
#: No text has these but by mistake. Others are in use: ESC in ISO-2022-JP, VT and FF within cells.
_CONTROLS = bytes({*range(9), *range(14, 32)} - {27})
#: So many are tolerated beside one in a hundred bytes: in a file of two rows a single one is more than that.
_STRAY_CONTROLS = 3


def name_of(head: bytes, declared: str | None, encoding: str | None) -> str:
    """The format of content that begins with `head`; `declared` is what its sender calls it, if that is a format.

    :raises UnsupportedMediaType: for content that is binary, or of another format.
    """
    if head.startswith(_ZIP):
        return "xlsx"
    # What fills up the last block of a file says nothing, nor does what begins each row of a JSON text sequence.
    text = as_utf8(head, encoding).lstrip(b" \t\r\n\x1e").rstrip(b"\0\x1a")
    if is_gzip(head) or (b"\0" in head and not text):
        raise _binary(head)
    foreign.refuse_certain(head, text)
    is_document = text.startswith(b"{") and _goes_over_lines(text, is_cut=len(head) >= LOOK_BYTES)
    if not is_document and (
        (text.startswith(b"{") and _is_line_of_its_own(text, declared))
        or (declared == "ndjson" and _has_lines_of_json(text))
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


def _binary(head: bytes) -> UnsupportedMediaType:
    formats = foreign.SEND
    nuls = {"utf-16-be": head[::2].count(0), "utf-16-le": head[1::2].count(0)}
    likely = max(nuls, key=lambda name: nuls[name])
    # Those of UTF-16 stand at every other byte, but for a few characters such as U+4E00.
    if nuls[likely] > max(len(head) // 4, 10 * (sum(nuls.values()) - nuls[likely])):
        return UnsupportedMediaType(
            f"The content is UTF-16 without a byte order mark, or binary. {formats}, or name the encoding with "
            f"encoding={likely}."
        )
    return UnsupportedMediaType(f"The content is binary. {formats}.")


def _goes_over_lines(text: bytes, is_cut: bool) -> bool:
    """Whether `text` begins with one value of which its first line is only a part, so that it is no line of NDJSON.

    One that is not complete counts only where more `is_cut` off: else it may be bad lines of NDJSON.
    """
    decoded = text.decode(errors="replace")
    try:
        _, end = _DECODER.raw_decode(decoded)
    except (ValueError, RecursionError):
        return is_cut and "\n" in decoded.rstrip() and _is_sound(decoded.encode())
    # Rows on lines of their own may follow, which a document would not let in.
    followers = decoded[end:].splitlines()[:MAX_BAD_LINES]
    return "\n" in decoded[:end] and not any(_is_json(line.encode(), dict) for line in followers)


def _is_sound(text: bytes) -> bool:
    """Whether it is JSON as far as it goes."""
    reader = EventReader(len(text) + 1, Findings())
    try:
        for _ in reader.feed(text):
            pass
    except (MalformedInput, RowTooLarge):
        return False
    return True


def _is_line_of_its_own(text: bytes, declared: str | None) -> bool:
    """Whether `text`, which begins with an object, is NDJSON rather than one JSON document."""
    line, newline, rest = text.partition(b"\n")
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        # Not complete on its line: pretty-printed or cut JSON, unless it is declared to be a (bad) NDJSON line, or the
        # next one is an object of its own.
        return declared == "ndjson" or (declared is None and _is_json(rest.partition(b"\n")[0], dict))
    if declared != "ndjson" and not first.keys() & {"name", "email"}:
        # Rows under another name are no row, either.
        is_alone = not rest.strip() and any(_has_rows(value) for value in first.values())
        if "data" in first or is_alone:
            return False
    return bool(newline) or declared != "json"


def _has_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


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
