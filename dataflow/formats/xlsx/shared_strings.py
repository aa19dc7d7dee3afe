"""The texts of a workbook, which the cells of its sheets refer to by number.

They are kept in a file, and read no further than the one that is asked for, so that the first rows need not wait for
all. openpyxl keeps a list: the texts of 100,000 contacts take 49 MiB there, 1 MiB here.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from io import SEEK_END
from typing import IO

from dataflow.errors import RowTooLarge
from dataflow.formats.block import batched

#: Texts are written and read back this many together, or fewer when they are long.
_CHUNK_TEXTS, _CHUNK_CHARACTERS = 256, 64 * 1024
#: A sheet refers to them nearly in order, and to some of them all the time.
_CACHED_CHUNKS, _CACHED_BYTES = 8, 200 * 1024
#: Between texts: XML has no such character, not even escaped (XML 1.0, section 2.2).
_SEPARATOR = "\0"


class SharedStrings:
    """Texts by their number, from 0, kept in `file`. `begin_row` bounds what the next row may bring."""

    def __init__(self, texts: Iterable[str], file: IO[bytes], max_row_characters: int) -> None:
        self._file = file
        self._firsts, self._offsets = array("Q"), array("Q")
        self._count = 0
        self._max_row_characters = self._left_characters = max_row_characters
        self._cached = lru_cache(_CACHED_CHUNKS)(self._load)
        self._chunks = batched(texts, len, _CHUNK_TEXTS, _CHUNK_CHARACTERS)

    def begin_row(self) -> None:
        self._left_characters = self._max_row_characters

    def __getitem__(self, number: int) -> str:
        while number >= self._count:
            self._read_on(number)
        if number < 0:
            raise IndexError(number)
        position = bisect_right(self._firsts, number) - 1
        text = self._chunk(position)[number - self._firsts[position]]
        self._left_characters -= len(text)
        if self._left_characters < 0:
            raise RowTooLarge(
                f"A row of the sheet is larger than {self._max_row_characters} bytes (MAX_ROW_BYTES). "
                "Remove the column with the long texts."
            )
        return text

    def _read_on(self, number: int) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise IndexError(number)
        self._firsts.append(self._count)
        self._offsets.append(self._file.seek(0, SEEK_END))
        self._count += len(chunk)
        self._file.write(_SEPARATOR.join(chunk).encode())
        # Others may hold the list, and a single text may have four megabytes.
        chunk.clear()

    def _chunk(self, position: int) -> list[str]:
        end = self._offsets[position + 1] if position + 1 < len(self._offsets) else self._file.seek(0, SEEK_END)
        start = self._offsets[position]
        return (self._cached if end - start <= _CACHED_BYTES else self._load)(start, end)

    def _load(self, start: int, end: int) -> list[str]:
        self._file.seek(start)
        return self._file.read(end - start).decode().split(_SEPARATOR)
