"""NDJSON: one JSON object a line. A line that is not one is one bad row, never a bad file.

Lines are decoded many at a time by `whole_rows`, and where it is not sure by the standard library, one by one.
"""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Final

from dataflow.errors import RowTooLarge
from dataflow.formats.block import BAD_ENCODING, Block, Malformed
from dataflow.formats.json import whole_rows
from dataflow.formats.json.members import MAX_VALUES, TOO_MANY_VALUES, Contact, Members, Row
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.signs import without_end

#: A byte order mark, and what stands before each row of a JSON text sequence (RFC 7464).
_BEGINNINGS: Final = "\ufeff\x1e"
_BLANKS: Final = b" \t\n\r\v\f\0\x1a\x1e"
_NO_OBJECT: Final = Malformed("Invalid JSON: expected an object")
#: Texts, and what stands before each value but the first; matched in one way only, so in one pass.
_MARK: Final = re.compile(rb'"[^"]*"?|,|[\[{](?!\s*[\]}])')


class _NotJson(ValueError):
    """NaN and Infinity, which the standard library reads and writes."""


def _refuse_constant(name: str) -> None:
    raise _NotJson(f"{name} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode


def read_blocks(pieces: Iterable[bytes], reading: Reading, findings: Findings) -> Iterator[Block]:
    """The rows of an NDJSON stream; blank lines are no rows.

    :raises RowTooLarge: when a line is longer than `max_row_bytes`.
    """
    members = Members(reading, findings)
    findings.facts.setdefault("encoding", "utf-8")
    record, line = 0, 1
    for lines in _whole_lines(without_end(pieces, b""), reading):
        rows = _rows(lines, reading.max_row_bytes)
        if rows:
            yield Block(record, *members.columns(rows), LineOrigin(lines, line, len(rows)))
            record += len(rows)
        line += lines.count(b"\n") + 1


class LineOrigin:
    """The lines of a block, cut into rows only when one of them is asked for."""

    def __init__(self, lines: bytes, first_line: int, rows: int) -> None:
        self._lines = lines
        self._first_line = first_line
        self._rows = rows

    @cached_property
    def _numbered(self) -> Sequence[tuple[int, bytes]]:
        numbered = [*enumerate(self._lines.split(b"\n"), self._first_line)]
        # As many lines as rows: none is blank.
        return numbered if len(numbered) == self._rows else [each for each in numbered if each[1].strip(_BLANKS)]

    def line(self, index: int) -> int:
        return self._numbered[index][0]

    def row(self, index: int) -> str:
        """The line as it came; a byte that is no UTF-8 as the surrogate U+DC00 and itself."""
        line = self._numbered[index][1].removeprefix(BOM_UTF8).removesuffix(b"\r")
        return line.decode(errors="surrogateescape")


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


def _rows(lines: bytes, max_row_bytes: int) -> Sequence[Row]:
    if len(lines) > max_row_bytes and max(map(len, lines.split(b"\n"))) > max_row_bytes:
        raise _too_large(max_row_bytes)
    rows = whole_rows.of_lines(lines) if b"\n" in lines else None
    return rows if rows is not None else [_row(line) for line in lines.split(b"\n") if line.strip(_BLANKS)]


def _has_too_many_values(line: bytes) -> bool:
    if sum(map(line.count, (b",", b"[", b"{"))) <= MAX_VALUES:
        return False
    # Without escapes each quote begins or ends a text.
    plain = line.replace(rb"\\", b"").replace(rb"\"", b"")
    marks = (mark for mark in _MARK.finditer(plain) if not mark[0].startswith(b'"'))
    return next(islice(marks, MAX_VALUES, None), None) is not None


def _row(line: bytes) -> dict[str, object] | Malformed:
    if not (sure := whole_rows.of_lines(line)):
        return _careful_row(line)
    [row] = sure
    if isinstance(row, Contact):
        return {"name": row.name, "email": row.email}
    return row if isinstance(row, dict) else _NO_OBJECT


def _careful_row(line: bytes) -> dict[str, object] | Malformed:
    if _has_too_many_values(line):
        return TOO_MANY_VALUES
    try:
        row = _decode(line.decode().lstrip(_BEGINNINGS))
    except UnicodeDecodeError as error:
        return Malformed(f"Invalid UTF-8 at byte {error.start} of the line", BAD_ENCODING)
    except RecursionError:
        return Malformed("Invalid JSON: nested too deeply")
    except ValueError as error:
        return Malformed(f"Invalid JSON: {_reason(error)}")
    return row if isinstance(row, dict) else _NO_OBJECT


def _reason(error: ValueError) -> str:
    """What the parser says, without the part of the row that some messages quote."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.removesuffix(' at')} at character {error.pos} of the line"
    return str(error) if isinstance(error, _NotJson) else "a number is out of range"
