"""The refused rows of an import: on disk while its COPY runs, in the table `rejects` from the moment it is settled.

Memory must stay bounded when every row is bad, and nothing else can be written while the contacts are copied.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from itertools import chain
from uuid import UUID

from dataflow.contacts.copy_text import escape
from dataflow.contacts.validation import Refusal
from dataflow.db import Connection, query
from dataflow.errors import DataFlowError
from dataflow.formats.block import PIECE_BYTES, Block
from dataflow.text import MARK, cut_and_marked, marked, storable

MAX_ORIGINAL_BYTES = 4096  #: of a row: enough to correct it, and no place to hide a file in
MAX_VALUE_CHARACTERS = 500  #: of a value beside its row
_MEMORY_BYTES = 256 * 1024  #: up to this size no file is made
_MIN_CELL_BYTES = 4  #: MARK takes three of them
_WRITE_BYTES_PER_SECOND = 4 * 1024 * 1024  #: at least, from the disk into the table
_dump_cell = json.JSONEncoder(ensure_ascii=False).encode


class RejectSpool:
    """The refused rows of one attempt, as lines of COPY.

    The file has no buffer: what a full disk does not take is still in memory to be written with the outcome, and does
    not fail once more when the file is read or closed.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.size_bytes = 0
        self._latest = bytearray()
        self._file: FileIO | None = None  #: made when memory is full
        self._file_bytes = 0  #: beyond these a full disk has cut lines off

    @property
    def write_seconds(self) -> float:
        return self.size_bytes / _WRITE_BYTES_PER_SECOND

    def add(self, block: Block, refusals: Sequence[Refusal]) -> None:
        """:raises DataFlowError: spool_unavailable when the disk takes no more; these rows are kept all the same."""
        for refusal in refusals:
            # One by one: the block of a hostile file has thirty thousand of them.
            line = _line(block, refusal).encode()
            self._latest += line
            self.size_bytes += len(line)
        self.rows += len(refusals)
        if len(self._latest) > _MEMORY_BYTES:
            self._spill()

    def write(self, connection: Connection, job_id: UUID) -> None:
        """In the transaction that is open; may be called again when that has failed.

        :raises DataFlowError: spool_unavailable when the disk does not give the rows back.
        """
        if not self.rows:
            return
        prefix = f"{job_id}\t".encode()
        with connection.cursor() as cursor, cursor.copy(query("rejects/copy")) as copy:
            for lines in self._read():
                copy.write(b"".join([b"%b%b\n" % (prefix, line) for line in lines]))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _spill(self) -> None:
        with _spooling():
            self._file = self._file or tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the spool
            self._file.seek(self._file_bytes)
            rest = memoryview(bytes(self._latest))
            while rest:
                rest = rest[self._file.write(rest) :]
        self._file_bytes += len(self._latest)
        self._latest.clear()

    def _read(self) -> Iterator[list[bytes]]:
        begun = b""
        for piece in chain(self._read_file(), [bytes(self._latest)]):
            *lines, begun = (begun + piece).split(b"\n")
            yield lines

    def _read_file(self) -> Iterator[bytes]:
        read_bytes = 0
        while self._file is not None and read_bytes < self._file_bytes:
            with _spooling():
                piece = os.pread(self._file.fileno(), min(PIECE_BYTES, self._file_bytes - read_bytes), read_bytes)
            if not piece:
                raise DataFlowError("The file with refused rows has lost its end.", code="spool_unavailable")
            read_bytes += len(piece)
            yield piece


@contextmanager
def _spooling() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # Not gettempdir(): where no folder can be written, it raises once more.
        where = tempfile.tempdir or "any temporary folder"
        raise DataFlowError(
            f"The worker cannot keep refused rows in {where} (TMPDIR): {error.strerror or error}.",
            code="spool_unavailable",
        ) from error


def _line(block: Block, refusal: Refusal) -> str:
    """A row of `rejects` without the job's id."""
    first, *others = refusal.problems
    message = "; ".join([first.message, *(f"{other.field}: {other.message}" for other in others)])
    name, email = _shown(block.names[refusal.index]), _shown(block.emails[refusal.index])
    row = block.origin.row(refusal.index)
    original, is_truncated = _original(row, f"{name}\0{email}")
    # Name and e-mail of cells are not given back beside them.
    is_truncated |= isinstance(row, str) and MARK in ((name or "")[-1:], (email or "")[-1:])
    line = block.origin.line(refusal.index)
    values = (
        str(refusal.record + 1),
        None if line is None else str(line),
        first.field,
        first.code,
        message,
        name,
        email,
        original,
        "t" if is_truncated else "f",
    )
    return "\t".join(map(_column, values)) + "\n"


def _column(value: str | None) -> str:
    """A value of COPY's text format."""
    return r"\N" if value is None else escape(storable(value))


def _shown(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    return marked(value) if len(value) <= MAX_VALUE_CHARACTERS else marked(value[:MAX_VALUE_CHARACTERS]) + MARK


def _original(row: str | list[str], needed: str) -> tuple[str, bool]:
    """A row as it is kept, and whether something of it is left out; cells that are part of `needed` are not cut."""
    if isinstance(row, list):
        return _as_json(row, needed)
    text = marked(row[: MAX_ORIGINAL_BYTES + 1])
    return cut_and_marked(text, MAX_ORIGINAL_BYTES), len(text.encode()) > MAX_ORIGINAL_BYTES


def _as_json(row: list[str], needed: str) -> tuple[str, bool]:
    """Cells as a JSON array; when it is too long the longest ones are cut, names and addresses last."""
    # A megabyte is not encoded again and again; a cell of one more character than there is room for is still cut.
    cells = [marked(cell[:MAX_ORIGINAL_BYTES]) for cell in row[:MAX_ORIGINAL_BYTES]]
    text, allowed = _dump(cells), MAX_ORIGINAL_BYTES
    if len(text.encode()) <= MAX_ORIGINAL_BYTES:
        return text, False
    spared = {cell for cell in cells if (word := cell.strip()) and word in needed}
    if len(_dump([*spared]).encode()) > MAX_ORIGINAL_BYTES:
        spared.clear()
    while (size_bytes := len(text.encode())) > MAX_ORIGINAL_BYTES:
        if allowed == _MIN_CELL_BYTES:
            cells = cells[: len(cells) * MAX_ORIGINAL_BYTES // size_bytes]
        # Few steps: each writes everything again.
        allowed = max(allowed // 4, _MIN_CELL_BYTES)
        text = _dump([cell if cell in spared else cut_and_marked(cell, allowed) for cell in cells])
    return text, True


def _dump(cells: list[str]) -> str:
    # To make an encoder for a list takes longer than to encode the few cells of most.
    return f"[{','.join(map(_dump_cell, cells))}]"
