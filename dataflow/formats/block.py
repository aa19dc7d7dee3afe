"""What every format yields: blocks of consecutive rows, held as whole columns.

Why it is so: checking and escaping whole columns makes the import about as fast as the database (measured: 0.55 of its
speed row by row, 0.75 to 0.95 by column).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import AnyStr, Final, Protocol, TypeVar

Item = TypeVar("Item")
#: A row that its block can show as it came: its line, its cells or text, its name and its e-mail.
Kept = tuple[int, str | list[str], object, object]

#: Bytes that a parser is given at once; a block holds the rows that end in them.
PIECE_BYTES = 64 * 1024
#: Lists of more than 128 KiB would be given back to the system and asked for again with every block.
BLOCK_ROWS = 800
#: Where more rows end in a piece, they take few bytes each, but what is said of a refused row takes hundreds.
PART_ROWS: Final = 2 * BLOCK_ROWS
#: A block of long rows ends with so much text: an empty cell takes many times its one comma in memory.
BLOCK_CHARACTERS: Final = 256 * 1024

MALFORMED_ROW, WRONG_COLUMN_COUNT, BAD_ENCODING = "malformed_row", "wrong_column_count", "bad_encoding"


class Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class Malformed:
    """Stands for both values of a row that could not be read."""

    message: str
    code: str = MALFORMED_ROW


class Origin(Protocol):
    """Where the rows of a block come from. It is asked about the refused rows, before the next block is asked for."""

    def line(self, index: int) -> int | None:
        """The line, from 1, on which row `index` of the block begins; None where lines mean nothing."""

    def row(self, index: int) -> str | list[str]:
        """The row as it came: its cells, or its text."""


@dataclass(frozen=True, slots=True)
class Block:
    """Two columns of JSON scalars, types of nested values, ABSENT, or a Malformed that is in both."""

    first_record: int  #: number of the first row in the file, from 0
    names: Sequence[object]
    emails: Sequence[object]
    origin: Origin


@dataclass(frozen=True, slots=True)
class _PartOrigin:
    whole: Origin
    rows_before: int

    def line(self, index: int) -> int | None:
        return self.whole.line(self.rows_before + index)

    def row(self, index: int) -> str | list[str]:
        return self.whole.row(self.rows_before + index)


def in_parts(block: Block) -> Iterator[Block]:
    """The block in blocks of at most PART_ROWS."""
    if len(block.names) <= PART_ROWS:
        yield block
        return
    for start in range(0, len(block.names), PART_ROWS):
        names, emails = block.names[start : start + PART_ROWS], block.emails[start : start + PART_ROWS]
        yield Block(block.first_record + start, names, emails, _PartOrigin(block.origin, start))


@dataclass(frozen=True, slots=True)
class _KeptOrigin:
    rows: list[Kept]

    def line(self, index: int) -> int:
        return self.rows[index][0]

    def row(self, index: int) -> str | list[str]:
        return self.rows[index][1]


def packed(rows: Iterable[tuple[int, Kept | None]]) -> Iterator[Block]:
    """Rows, each with its size in characters, as blocks; of many that are None come blocks without rows."""
    record = 0
    for batch in batched(rows, itemgetter(0), BLOCK_ROWS, BLOCK_CHARACTERS):
        kept = [row for _, row in batch if row]
        yield Block(record, [row[2] for row in kept], [row[3] for row in kept], _KeptOrigin(kept))
        record += len(kept)


def batched(
    items: Iterable[Item], size_of: Callable[[Item], int], max_items: int, max_size: int
) -> Iterator[list[Item]]:
    """The items in lists, each of which ends when it has `max_items` or reaches `max_size`."""
    batch, size = list[Item](), 0
    for item in items:
        batch.append(item)
        size += size_of(item)
        if len(batch) == max_items or size >= max_size:
            # It may have megabytes, and the batch may be done with before the next item comes.
            del item
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def cut(content: AnyStr) -> Iterator[AnyStr]:
    """A content in pieces of PIECE_BYTES bytes or characters."""
    return (content[start : start + PIECE_BYTES] for start in range(0, len(content), PIECE_BYTES))


def peeked(pieces: Iterable[bytes], size_bytes: int) -> tuple[bytes, Iterator[bytes]]:
    """The first `size_bytes` or more as one piece, and all pieces once more."""
    pieces, taken, missing_bytes = iter(pieces), list[bytes](), size_bytes
    for piece in pieces:
        taken.append(piece)
        missing_bytes -= len(piece)
        if missing_bytes <= 0:
            break
    return b"".join(taken), chain(emptied(taken), pieces)


def emptied(taken: list[Item]) -> Iterator[Item]:
    """The items of a list, from which each is removed before it is given."""
    taken.reverse()
    while taken:
        yield taken.pop()
