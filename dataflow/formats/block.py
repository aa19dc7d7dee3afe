"""What every format yields: blocks of consecutive rows, held as whole columns.

Columns instead of one object a row because checking and escaping whole columns is what makes the pipeline as fast
as the database (measured: 0.55 of the limit row by row, 0.75 to 0.95 by column). Whether a value makes a good
contact is left to `contacts`; a format only says what it found.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import AnyStr, Final, Protocol, TypeVar

Item = TypeVar("Item")
#: A row that is kept as it came, so that its block can show it: its line, itself, its name and its e-mail.
Kept = tuple[int, str | list[str], object, object]

#: Bytes a parser looks at in one go; a block holds the rows that end in one piece.
PIECE_BYTES = 64 * 1024
#: Rows in a block. Lists of more than 128 KiB would be given back to the system and asked for again with every block.
BLOCK_ROWS = 800
#: Blocks of rows that take a few bytes each come in parts of so many: what is said of a refused row takes hundreds.
PART_ROWS: Final = 2 * BLOCK_ROWS
#: A block ends earlier when so much text has been read: what a cell takes in memory is many times its one comma.
BLOCK_CHARACTERS: Final = 256 * 1024

#: Codes of rows that are no rows; `contacts` has those of values.
MALFORMED_ROW, WRONG_COLUMN_COUNT, BAD_ENCODING = "malformed_row", "wrong_column_count", "bad_encoding"


class Absent:
    """Stands for a value that the row does not have."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class Malformed:
    """Stands for both values of a row that could not be read as one at all."""

    message: str
    code: str = MALFORMED_ROW


class Origin(Protocol):
    """Where the rows of a block come from. Asked only about the few that are refused, before the next block is."""

    def line(self, index: int) -> int | None:
        """The physical line, from 1, on which row `index` of the block begins; None where lines mean nothing."""

    def row(self, index: int) -> str | list[str]:
        """The row as it came: its cells, or its text (JSON with all members, a line that is none, a card)."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows `first_record`, `first_record + 1`, ... (counted from 0) as two columns of equal length.

    A value is what the file holds there (any JSON scalar, a dict or list type for a nested one), ABSENT, or the
    same Malformed in both columns.
    """

    first_record: int
    names: Sequence[object]
    emails: Sequence[object]
    origin: Origin


@dataclass(frozen=True, slots=True)
class _PartOrigin:
    """Of rows that stand behind `rows_before` others of their block."""

    whole: Origin
    rows_before: int

    def line(self, index: int) -> int | None:
        return self.whole.line(self.rows_before + index)

    def row(self, index: int) -> str | list[str]:
        return self.whole.row(self.rows_before + index)


def in_parts(block: Block) -> Iterator[Block]:
    """The block in blocks of at most PART_ROWS; nearly all are small enough."""
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
    """Rows as blocks. Each comes with its size in characters; of many that are None come blocks without any row, for
    whoever wants to stop.
    """
    record = 0
    for batch in batched(rows, itemgetter(0), BLOCK_ROWS, BLOCK_CHARACTERS):
        kept = [row for _, row in batch if row]
        yield Block(record, [row[2] for row in kept], [row[3] for row in kept], _KeptOrigin(kept))
        record += len(kept)


def batched(
    items: Iterable[Item], size_of: Callable[[Item], int], max_items: int, max_size: int
) -> Iterator[list[Item]]:
    """The items in lists that end with the one by which `max_items` or `max_size` is reached."""
    batch, size = list[Item](), 0
    for item in items:
        batch.append(item)
        size += size_of(item)
        if len(batch) == max_items or size >= max_size:
            # An item may have megabytes, and whoever takes the batch be done with it before the next one comes.
            del item
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def cut(content: AnyStr) -> Iterator[AnyStr]:
    """A content in pieces of PIECE_BYTES, or a text in pieces of as many characters."""
    return (content[start : start + PIECE_BYTES] for start in range(0, len(content), PIECE_BYTES))


def peeked(pieces: Iterable[bytes], size_bytes: int) -> tuple[bytes, Iterator[bytes]]:
    """The first pieces as one, `size_bytes` or more when there are as many, and all of the pieces once more."""
    pieces, taken, missing_bytes = iter(pieces), list[bytes](), size_bytes
    for piece in pieces:
        taken.append(piece)
        missing_bytes -= len(piece)
        if missing_bytes <= 0:
            break
    return b"".join(taken), chain(emptied(taken), pieces)


def emptied(taken: list[Item]) -> Iterator[Item]:
    """The items of a list, which lets go of each before it is given."""
    taken.reverse()
    while taken:
        yield taken.pop()
