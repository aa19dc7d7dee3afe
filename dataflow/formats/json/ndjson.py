"""NDJSON: one JSON object a line. A line that is not one is one bad row, never a bad file.

The standard library's scanner is faster on single lines than ijson: 0.6 us against 1 us a row.
"""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat
from operator import itemgetter
from typing import Any, Final

from dataflow.errors import RowTooLarge
from dataflow.formats.block import BAD_ENCODING, Block, Malformed
from dataflow.formats.columns.joining import in_rows
from dataflow.formats.json.members import MAX_VALUES, TOO_MANY_VALUES, Members
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.signs import without_end

#: A byte order mark, and what stands before each row of a JSON text sequence (RFC 7464).
_BEGINNINGS: Final = "\ufeff\x1e"
_BLANKS: Final = b" \t\n\r\v\f\0\x1a\x1e"
#: Texts, and what stands before each value but the first; matched in one way only, so in one pass.
_MARK: Final = re.compile(rb'"[^"]*"?|,|[\[{](?!\s*[\]}])')
#: A line with too many values has a block of so many bytes without a line end.
_LOOK_BYTES: Final = MAX_VALUES


class _NotJson(ValueError):
    """NaN and Infinity, which the standard library reads and writes."""


def _refuse_constant(name: str) -> None:
    raise _NotJson(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)
_scan = _decoder.scan_once  # type: ignore[attr-defined]
_get_value, _get_end = itemgetter(0), itemgetter(1)
_get_name = itemgetter("name")
_get_email = itemgetter("email")


def read_blocks(pieces: Iterable[bytes], reading: Reading, findings: Findings) -> Iterator[Block]:
    """The rows of an NDJSON stream; blank lines are no rows.

    :raises RowTooLarge: when a line is longer than `max_row_bytes`.
    """
    members = Members(reading, findings)
    findings.facts.setdefault("encoding", "utf-8")
    record, line = 0, 1
    for lines in _whole_lines(without_end(pieces, b""), reading):
        names, emails, line_count = _columns(lines, reading.max_row_bytes, members)
        if names:
            yield Block(record, names, emails, LineOrigin(lines, line, len(names)))
            record += len(names)
        line += line_count


class LineOrigin:
    """The lines of a block, cut into rows only when one of them is asked for."""

    def __init__(self, lines: bytes, first_line: int, rows: int) -> None:
        self._lines = lines
        self._first_line = first_line
        self._rows = rows
        self._cut: list[bytes] = []
        self._places: Sequence[int] = ()  #: of the rows among the lines

    def line(self, index: int) -> int:
        return self._row(index)[0]

    def row(self, index: int) -> str:
        """The line as it came; a byte that is no UTF-8 as the surrogate U+DC00 and itself."""
        line = self._row(index)[1].removeprefix(BOM_UTF8).removesuffix(b"\r")
        return line.decode(errors="surrogateescape")

    def _row(self, index: int) -> tuple[int, bytes]:
        if not self._cut:
            self._cut = self._lines.split(b"\n")
            # As many lines as rows: none is blank.
            is_flat = len(self._cut) == self._rows
            self._places = (
                range(self._rows) if is_flat else [at for at, line in enumerate(self._cut) if line.strip(_BLANKS)]
            )
        place = self._places[index]
        return self._first_line + place, self._cut[place]


def _whole_lines(pieces: Iterable[bytes], reading: Reading) -> Iterator[bytes]:
    rest: list[bytes] = []
    rest_bytes = 0
    for piece in pieces:
        complete, newline, tail = piece.rpartition(b"\n")
        if newline:
            yield b"".join([*rest, complete])
            rest, rest_bytes = [], 0
        rest.append(tail)
        rest_bytes += len(tail)
        if rest_bytes > reading.max_row_bytes:
            raise _too_large(reading.max_row_bytes)
    if not reading.is_beginning:
        yield b"".join(rest)


def _too_large(max_row_bytes: int) -> RowTooLarge:
    return RowTooLarge(f"A line is larger than {max_row_bytes} bytes (MAX_ROW_BYTES). Split the row.")


def _columns(lines: bytes, max_row_bytes: int, members: Members) -> tuple[list[object], list[object], int]:
    """Names, e-mails and the number of lines, which would cost a thirtieth of all to count in the bytes."""
    if len(lines) > max_row_bytes and max(map(len, lines.split(b"\n"))) > max_row_bytes:
        raise _too_large(max_row_bytes)
    try:
        if _has_long_line(lines):
            raise ValueError("each line has to be looked at")
        texts = _texts(lines)
        return *_columns_of_objects(_values(texts), members), len(texts)
    except (ValueError, TypeError, RecursionError):
        found = lines.split(b"\n")
        rows = [_row(line) for line in found if line.strip(_BLANKS)]
        names, emails = map(iter, _columns_of_objects([row for row in rows if isinstance(row, dict)], members))
        return (
            [row if isinstance(row, Malformed) else next(names) for row in rows],
            [row if isinstance(row, Malformed) else next(emails) for row in rows],
            len(found),
        )


def _has_long_line(lines: bytes) -> bool:
    """Whether a line may have too many values; takes a microsecond at most."""
    return any(lines.find(b"\n", at, at + _LOOK_BYTES) < 0 for at in range(0, len(lines) - _LOOK_BYTES, _LOOK_BYTES))


def _has_too_many_values(line: bytes) -> bool:
    if sum(map(line.count, (b",", b"[", b"{"))) <= MAX_VALUES:
        return False
    # Without escapes each quote begins or ends a text.
    plain = line.replace(rb"\\", b"").replace(rb"\"", b"")
    marks = (mark for mark in _MARK.finditer(plain) if not mark[0].startswith(b'"'))
    return next(islice(marks, MAX_VALUES, None), None) is not None


def _texts(lines: bytes) -> list[str]:
    text = lines.decode()
    if "\r" in text:
        text = text.replace("\r\n", "\n").removesuffix("\r")
    return text.split("\n")


def _values(texts: list[str]) -> list[dict[str, object]]:
    """The values of lines, all at once. ValueError or RecursionError when a line does not hold exactly one."""
    scanned: list[tuple[Any, int]] = list(map(_scan, texts, repeat(0)))
    # A value that ends before its line makes the sums differ. So does a line without a value, for which the scanner
    # raises StopIteration: map() takes it for its own end.
    if sum(map(_get_end, scanned)) != sum(map(len, texts)):
        raise ValueError("not one value a line")
    return list(map(_get_value, scanned))


def _columns_of_objects(rows: Sequence[dict[str, object]], members: Members) -> tuple[list[object], list[object]]:
    """:raises TypeError: when one of them is none."""
    if (not members.has_mapping or not rows) and (usual := _usual_columns(rows)):
        members.note(rows)
        return usual
    if set(map(type, rows)) != {dict}:
        raise TypeError("not an object")
    keys = tuple(rows[0])
    places = members.of(keys)
    are_alike = sum(map(len, rows)) == len(keys) * len(rows) and len(set[str]().union(*rows)) == len(keys)
    if isinstance(places, Malformed) or not are_alike:
        names, emails = zip(*map(members.pick, rows), strict=True)
        return list(names), list(emails)

    def values_at(position: int) -> list[object]:
        return list(map(itemgetter(keys[position]), rows))

    return in_rows(places.names, len(rows), values_at), in_rows(places.emails, len(rows), values_at)


def _usual_columns(rows: Sequence[dict[str, object]]) -> tuple[list[object], list[object]] | None:
    """The columns of rows that all have `name` and `email`, else None. TypeError when one of them is no object."""
    try:
        return list(map(_get_name, rows)), list(map(_get_email, rows))
    except KeyError:
        return None


def _row(line: bytes) -> dict[str, object] | Malformed:
    if _has_too_many_values(line):
        return TOO_MANY_VALUES
    try:
        row = _decoder.decode(line.decode().lstrip(_BEGINNINGS))
    except UnicodeDecodeError as error:
        return Malformed(f"Invalid UTF-8 at byte {error.start} of the line", BAD_ENCODING)
    except RecursionError:
        return Malformed("Invalid JSON: nested too deeply")
    except ValueError as error:
        return Malformed(f"Invalid JSON: {_reason(error)}")
    return row if isinstance(row, dict) else Malformed("Invalid JSON: expected an object")


def _reason(error: ValueError) -> str:
    """What the parser says, without the part of the row that some messages quote."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.removesuffix(' at')} at character {error.pos} of the line"
    return str(error) if isinstance(error, _NotJson) else "a number is out of range"
