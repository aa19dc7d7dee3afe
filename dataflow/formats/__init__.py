"""The formats that contacts come in: one module each, one line in the registry.

A format module has `read_blocks(pieces, max_row_bytes)`: bytes in pieces of any size in, blocks of rows out, memory
bounded by a piece and a row. Which of the rows are good contacts is left to `contacts`.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from dataflow.errors import UnsupportedMediaType
from dataflow.formats import delimited, json_document, ndjson
from dataflow.formats.rows import ABSENT, PIECE_BYTES, Absent, Block, Malformed

__all__ = [
    "ABSENT",
    "FORMATS",
    "PIECE_BYTES",
    "Absent",
    "Block",
    "Format",
    "Malformed",
    "by_media_type",
    "recognise",
]


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write contacts down. `name` is also the extension of stored objects."""

    name: str
    media_types: tuple[str, ...]
    extensions: tuple[str, ...]
    read_blocks: Callable[[Iterable[bytes], int], Iterator[Block]]


FORMATS = {
    known.name: known
    for known in (
        Format("json", ("application/json",), (".json",), json_document.read_blocks),
        Format(
            "ndjson",
            ("application/x-ndjson", "application/ndjson", "application/jsonl"),
            (".ndjson", ".jsonl"),
            ndjson.read_blocks,
        ),
        Format("csv", ("text/csv",), (".csv",), delimited.read_blocks),
    )
}


def by_media_type(media_type: str) -> Format | None:
    """The format that a Content-Type (without parameters, lower case) declares."""
    return next((known for known in FORMATS.values() if media_type in known.media_types), None)


def recognise(head: bytes, media_type: str, file_name: str | None) -> Format:
    """The format of content that begins with `head` (up to 64 KiB).

    The content decides. The declared type and the file name break the one tie there is: a JSON object may be a
    request with its `data`, or the first line of NDJSON.

    :raises UnsupportedMediaType: for content that is binary.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    if text.startswith(b"["):
        return FORMATS["json"]
    if text.startswith(b"{"):
        declared = by_media_type(media_type) or _by_name(file_name)
        return FORMATS["ndjson" if _is_line_of_its_own(text, declared) else "json"]
    if b"\0" in head:
        raise UnsupportedMediaType("The content is binary, or text in UTF-16. Send JSON, NDJSON or CSV in UTF-8.")
    return FORMATS["csv"]


def _by_name(file_name: str | None) -> Format | None:
    lowered = (file_name or "").lower()
    return next((known for known in FORMATS.values() if lowered.endswith(known.extensions)), None)


def _is_line_of_its_own(text: bytes, declared: Format | None) -> bool:
    """Whether `text`, which begins with an object, is NDJSON rather than one JSON document."""
    line, newline, _ = text.partition(b"\n")
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        # Not complete on its line: pretty-printed or cut JSON, unless it is declared to be a (bad) NDJSON line.
        return declared is FORMATS["ndjson"]
    if "data" in first and declared is not FORMATS["ndjson"]:
        return False
    return bool(newline) or declared is not FORMATS["json"]
