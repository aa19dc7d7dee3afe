"""Rows of a table as lists of cells: how many lines they take, which are blank, and which are refused as a whole."""

from typing import Final

from dataflow.formats.block import Malformed

#: The number of a row, or the line on which it begins, from 1, and its cells.
Row = tuple[int, list[str]]

DELIMITERS: Final = (",", ";", "\t", "|")
#: What a spreadsheet can have, up to XFD. Of a row with more cells only so many are kept.
MAX_COLUMNS: Final = 16_384
#: The line by which Postgres ends the rows of a COPY.
END_OF_COPY: Final = ["\\."]


class Refused(list[str]):
    """A row that is refused as a whole; its cells are those that a client is shown."""

    __slots__ = ("height", "problem")

    def __init__(self, cells: list[str], problem: Malformed, height: int) -> None:
        super().__init__(cells)
        self.problem = problem
        self.height = height  #: how many physical lines it takes, cells that are left out included


def count_lines(text: str) -> int:
    """How many line ends there are, of whichever kind."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def height(cells: list[str]) -> int:
    """How many physical lines a record takes."""
    text = "|".join(cells)  # a CR at the end of one cell and an LF at the beginning of the next are two line ends
    return 1 + count_lines(text) if "\n" in text or "\r" in text else 1


def height_of(row: list[str]) -> int:
    return row.height if isinstance(row, Refused) else height(row)


def is_blank(cells: list[str]) -> bool:
    """Whether a record has nothing but white space, or ends a COPY. One that is refused is none of these."""
    return type(cells) is not Refused and (not any(map(str.strip, cells)) or cells == END_OF_COPY)
