"""Which format a content is in, by how it begins.

The declared format counts only where the content leaves a choice: a JSON object may be a request with its `data` or the
first line of NDJSON, and text in brackets may be broken JSON.
"""

import json
import re

from dataflow.errors import MalformedInput, RowTooLarge, UnsupportedMediaType
from dataflow.formats import foreign
from dataflow.formats.encoding import as_utf8
from dataflow.formats.gzip import is_gzip
from dataflow.formats.json.events import EventReader
from dataflow.formats.reading import Findings

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
#: In a file that is declared to be of cards, BEGIN may come later or be damaged.
_CARD_LINE = re.compile(
    rb"(?:\A|[\r\n])[ \t]*(?:(?:BEGIN|END)[ \t]*:[ \t]*VCARD|VERSION:[234]\.[01]|(?:FN|N|EMAIL)[;:])", re.IGNORECASE
)
MAX_BAD_LINES = 20
#: Texts have none of these. ESC is in use in ISO-2022-JP, VT and FF within cells.
_CONTROLS = bytes({*range(9), *range(14, 32)} - {27})
#: Beside one in a hundred bytes, which is none in a file of two rows.
_STRAY_CONTROLS = 3


def name_of(head: bytes, declared: str | None, encoding: str | None) -> str:
    """The format of content that begins with `head`; `declared` is the format that its sender names.

    :raises UnsupportedMediaType: for content that is binary, or of another format.
    """
    if head.startswith(_ZIP):
        return "xlsx"
    # Zeros fill up the last block of a file; U+001E begins each row of a JSON text sequence (RFC 7464).
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
    # In UTF-16 they are every other byte, but for a few characters such as U+4E00.
    if nuls[likely] > max(len(head) // 4, 10 * (sum(nuls.values()) - nuls[likely])):
        return UnsupportedMediaType(
            f"The content is UTF-16 without a byte order mark, or binary. {formats}, or name the encoding with "
            f"encoding={likely}."
        )
    return UnsupportedMediaType(f"The content is binary. {formats}.")


def _goes_over_lines(text: bytes, is_cut: bool) -> bool:
    """Whether `text` begins with a value that takes more than its first line, so that it is no line of NDJSON.

    A value that is not complete counts only if the rest `is_cut` off; else it may be bad lines of NDJSON.
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
    reader = EventReader(len(text) + 1, Findings())
    try:
        for part in reader.parts(text):
            for _ in reader.read(part):
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
        # Pretty-printed or cut JSON, unless it is declared to be a (bad) line of NDJSON, or an object is on the next.
        return declared == "ndjson" or (declared is None and _is_json(rest.partition(b"\n")[0], dict))
    if declared != "ndjson" and not first.keys() & {"name", "email"}:
        # An object that only holds rows, under whatever name, is no row.
        is_alone = not rest.strip() and any(_has_rows(value) for value in first.values())
        if "data" in first or is_alone:
            return False
    return bool(newline) or declared != "json"


def _has_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _has_lines_of_json(text: bytes) -> bool:
    """Whether NDJSON begins with bad lines, and is no array that takes several lines."""
    first, *others = text.splitlines()[:MAX_BAD_LINES] or [b""]
    if first.startswith(b"["):
        return _is_json(first, list) and bool(others) and _is_json(others[0], dict)
    return any(_is_json(line, dict) for line in others)


def _is_json(line: bytes, kind: type) -> bool:
    try:
        return isinstance(json.loads(line), kind)
    except (ValueError, RecursionError):
        return False
