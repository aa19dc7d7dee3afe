"""The zip file that a workbook is, read in bounded memory whatever is written in it.

`zipfile` believes the directory and unpacks a part in one go; the XML parser resolves what a document type declares.
Here every read is bounded, every part has a limit, and document types, which no workbook has, are refused. defusedxml
does only the last of these, and its parser, written in Python, takes twice as long.
"""

from typing import IO, Any, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from dataflow.errors import ExpandsTooFar, MalformedInput, RowTooLarge

#: Of the directory, which zipfile holds in memory at fifteen times its size.
MAX_DIRECTORY_BYTES: Final = 1024 * 1024
#: Of a part that is read as a tree: the styles, the list of sheets. 64 KiB are many.
MAX_TREE_BYTES: Final = 1024 * 1024
_READ_BYTES: Final = 64 * 1024
_SAVE_AS_CSV: Final = "Save the sheet as CSV."
#: The beginning of a document type, in UTF-8 and in either UTF-16.
_DOCUMENT_TYPES: Final = (b"<!DOC", "<!DOC".encode("utf-16-le"), "<!DOC".encode("utf-16-be"))


class Package:
    """The archive of a workbook. Names of parts have no case (ECMA-376 part 2), and backslashes in old .NET."""

    def __init__(self, file: IO[bytes]) -> None:
        bounded: Any = BoundedReads(file)
        self._archive = ZipFile(bounded)
        # Of several with one name the first counts.
        self._parts = {_plain(info.filename): info for info in reversed(self._archive.infolist())}

    def __contains__(self, name: str) -> bool:
        return _plain(name) in self._parts

    def read(self, name: str) -> bytes:
        """A part as a whole.

        :raises ExpandsTooFar: when it is larger than MAX_TREE_BYTES.
        :raises KeyError: when there is none of the name.
        """
        part = self.part(name, MAX_TREE_BYTES, MAX_TREE_BYTES, MAX_TREE_BYTES)
        return b"".join(iter(part.read, b""))

    def part(self, name: str, max_bytes: int, max_item_bytes: int, max_read_bytes: int) -> "Part":
        """A part as a stream, which ends with ExpandsTooFar when more than `max_read_bytes` are read of it.

        :raises ExpandsTooFar: when it is larger than `max_bytes`.
        :raises KeyError: when there is none of the name.
        """
        info = self._parts[_plain(name)]
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise BadZipFile("compressed in a way that workbooks are not")  # and that zipfile unpacks without a bound
        if info.file_size > max_bytes:
            raise _too_large(info, max_bytes)
        # Only what is read is held against this: whoever wants the first rows need not care for all.
        too_large = _too_large(info, max_read_bytes)
        return Part(self._archive.open(info), max_item_bytes, max_read_bytes, too_large)


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _too_large(info: ZipInfo, max_bytes: int) -> ExpandsTooFar:
    return ExpandsTooFar(
        f"{info.filename} in the workbook expands to {info.file_size} bytes, the limit is {max_bytes}. {_SAVE_AS_CSV}"
    )


class Part:
    """A part of a package as a stream of XML, made of items of which none may be too large for the memory.

    Never longer than the directory says: zipfile ends it there, and then misses its checksum.
    """

    def __init__(self, stream: IO[bytes], max_item_bytes: int, max_read_bytes: int, too_large: ExpandsTooFar) -> None:
        self._stream = stream
        self._left_bytes = max_read_bytes
        self._too_large = too_large
        self._max_item_bytes = max_item_bytes
        self._item_bytes = 0
        self._seen = b""  #: the last bytes read, as many as half a document type may hide in

    def read(self, size: int = _READ_BYTES) -> bytes:
        """The next bytes.

        :raises ExpandsTooFar: when that is more than may be read.
        :raises RowTooLarge: when the item that is being read is too large.
        :raises MalformedInput: at a document type.
        """
        piece = self._stream.read(size)
        self._left_bytes -= len(piece)
        if self._left_bytes < 0:
            raise self._too_large
        self._item_bytes += len(piece)
        if self._item_bytes > self._max_item_bytes + 2 * _READ_BYTES:
            raise RowTooLarge(f"A row of the sheet is larger than {self._max_item_bytes} bytes (MAX_ROW_BYTES).")
        seen = self._seen + piece
        if any(mark in seen for mark in _DOCUMENT_TYPES):
            raise MalformedInput("The workbook declares a document type. Save it as .xlsx again, or as CSV.")
        self._seen = seen[-10:]
        return piece

    def end_item(self) -> None:
        """What is read from now on belongs to the next item."""
        self._item_bytes = 0


class BoundedReads:
    """A file that nobody reads more of at a time than a directory may have."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > MAX_DIRECTORY_BYTES:
            raise ExpandsTooFar(
                f"The directory of the workbook has {size} bytes, the limit is {MAX_DIRECTORY_BYTES}. {_SAVE_AS_CSV}"
            )
        return self._file.read(MAX_DIRECTORY_BYTES if size < 0 else size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
