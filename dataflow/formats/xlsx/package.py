"""The zip file that a workbook is, read in bounded memory whatever is written in it.

`zipfile` believes the directory and unpacks a part in one go: here every read has a bound, and every part a limit.
"""

from collections.abc import Callable, Collection
from io import SEEK_END
from typing import IO, Any, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from dataflow.errors import ExpandsTooFar, RowTooLarge
from dataflow.formats.gzip import FREE_EXPANDED_BYTES, MAX_RATIO, allowed_bytes

MAX_DIRECTORY_BYTES: Final = 1024 * 1024
#: A list of contacts may have a picture in each row.
MAX_ENTRIES: Final = 10_000
_ENTRY_MARK: Final = b"PK\1\2"
#: Of a part that comes before the rows, such as styles.
MAX_SMALL_PART_BYTES: Final = 1024 * 1024
#: One read may end an item and hold half of the next.
_ITEM_MARGIN_BYTES: Final = 128 * 1024
_SAVE_AS_CSV: Final = "Save the sheet as CSV."


class Package:
    """The archive of a workbook. Names of parts have no case (ECMA-376 part 2), and backslashes in old .NET.

    `check` is called with each piece that is read of a part, and may raise to end the reading.
    """

    def __init__(self, file: IO[bytes], check: Callable[[], None]) -> None:
        bounded: Any = BoundedReads(file)
        self._archive = ZipFile(bounded)
        self._size_bytes = file.seek(0, SEEK_END)
        self._check = check
        # Of several with one name the first counts.
        self._parts = {_plain(info.filename): info for info in reversed(self._archive.infolist())}

    def __contains__(self, name: str) -> bool:
        return _plain(name) in self._parts

    @property
    def names(self) -> Collection[str]:
        return self._parts.keys()

    def small_part(self, name: str) -> "Part":
        return self.part(name, MAX_SMALL_PART_BYTES, MAX_SMALL_PART_BYTES, MAX_SMALL_PART_BYTES)

    def part(self, name: str, max_bytes: int, max_item_bytes: int, max_read_bytes: int) -> "Part":
        """A part as a stream, of which at most `max_read_bytes` can be read.

        :raises ExpandsTooFar, KeyError: when it is larger than `max_bytes`; when there is none of the name.
        """
        info = self._parts[_plain(name)]
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise BadZipFile("compressed in a way that workbooks are not")  # and that zipfile unpacks without a bound
        if info.file_size > max_bytes:
            raise _too_large(info, max_bytes)
        # No part is larger than the file, whatever the directory says.
        most = allowed_bytes(min(info.compress_size, self._size_bytes))
        # Only what is read counts: the first rows do not need all of it.
        too_large = _too_large(info, max_read_bytes) if max_read_bytes <= most else _too_dense(info, most)
        return Part(self._archive.open(info), max_item_bytes, min(max_read_bytes, most), too_large, self._check)


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _too_large(info: ZipInfo, max_bytes: int) -> ExpandsTooFar:
    return ExpandsTooFar(
        f"{info.filename} in the workbook expands to {info.file_size} bytes, the limit is {max_bytes}. {_SAVE_AS_CSV}"
    )


def _too_dense(info: ZipInfo, max_bytes: int) -> ExpandsTooFar:
    return ExpandsTooFar(
        f"{info.filename} in the workbook expands to {info.file_size} bytes from {info.compress_size}, the limit is "
        f"{max_bytes}: {MAX_RATIO}-fold beyond the first {FREE_EXPANDED_BYTES // 10**6} MB. {_SAVE_AS_CSV}"
    )


class Part:
    """A part of a package as a stream of XML, of which no item may be too large for the memory."""

    def __init__(
        self,
        stream: IO[bytes],
        max_item_bytes: int,
        max_read_bytes: int,
        too_large: ExpandsTooFar,
        check: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._left_bytes = max_read_bytes
        self._too_large = too_large
        self._check = check
        self._max_item_bytes = max_item_bytes
        self._item_bytes = 0

    def read(self, size: int) -> bytes:
        """:raises ExpandsTooFar, RowTooLarge: when the part, or the item that is being read, is too large."""
        self._check()
        piece = self._stream.read(size)
        self._left_bytes -= len(piece)
        if self._left_bytes < 0:
            raise self._too_large
        self._item_bytes += len(piece)
        if self._item_bytes > self._max_item_bytes + _ITEM_MARGIN_BYTES:
            raise RowTooLarge(f"A row of the sheet is larger than {self._max_item_bytes} bytes (MAX_ROW_BYTES).")
        return piece

    def end_item(self) -> None:
        self._item_bytes = 0


class BoundedReads:
    """A file of which no read returns more than a directory may have."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > MAX_DIRECTORY_BYTES:
            raise _large_directory(f"{size} bytes, the limit is {MAX_DIRECTORY_BYTES}")
        found = self._file.read(MAX_DIRECTORY_BYTES if size < 0 else size)
        # zipfile makes an object of 700 bytes for each.
        if (entries := found.count(_ENTRY_MARK)) > MAX_ENTRIES:
            raise _large_directory(f"{entries} entries, the limit is {MAX_ENTRIES}")
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _large_directory(problem: str) -> ExpandsTooFar:
    return ExpandsTooFar(f"The directory of the workbook has {problem}. {_SAVE_AS_CSV}")
