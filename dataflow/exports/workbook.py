"""Rows of contacts as a workbook (.xlsx), which is made on disk: its archive needs the sheets as a whole.

Every cell is text, so that none is ever run as a formula. What is beyond the rows of one sheet goes on in another.
"""

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final, Self

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.worksheet import Worksheet

from dataflow.errors import DataFlowError, Issue
from dataflow.formats import formulas
from dataflow.formats.block import PIECE_BYTES

MAX_ROWS: Final = 1_048_576  #: of a sheet, its header included
MAX_CHARACTERS: Final = 32_767  #: of a cell, in units of UTF-16
PREFIX: Final = "dataflow-export-"
#: Nobody has a folder that is new and not locked for longer.
_LOCKED_AFTER_SECONDS: Final = 60.0
_OPTIONS: Final = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
_ESCAPE: Final = re.compile(r"\\(.)")
#: Where a reader would see an escape, also one that ends with the `_` of another.
_LIKE_ESCAPE: Final = re.compile("_(?=x[0-9A-Fa-f]{4}[_\x00-\x08\x0b-\x1f\ufffe\uffff])")
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")
_MEANT: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

Note = Callable[[Issue], None]


def written(blocks: Iterable[bytes], fields: Sequence[str], check: Callable[[], None], note: Note) -> Iterator[bytes]:
    """The workbook of lines of COPY in text format; `note` is told of each cell that had to be cut.

    :raises DataFlowError: spool_unavailable when the disk takes no more.
    """
    with _spooling(), _folder() as folder:
        path = folder / "contacts.xlsx"
        _make(path, blocks, fields, check, note)
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece


def _make(path: Path, blocks: Iterable[bytes], fields: Sequence[str], check: Callable[[], None], note: Note) -> None:
    with _Archive(path, check) as archive:
        workbook = xlsxwriter.Workbook(archive, {**_OPTIONS, "tmpdir": str(path.parent)})
        sheets = _Sheets(workbook, fields, note)
        try:
            for block in blocks:
                check()
                for line in block.decode().split("\n")[:-1]:
                    sheets.add(line)
            workbook.close()
        except BaseException:
            sheets.abandon()
            raise


class _Sheet(Worksheet):  # type: ignore[misc]
    """With two mends of how the library writes text."""

    @staticmethod
    def _escape_control_characters(text: str) -> str:
        """In the way of workbooks; the library's own takes no notice of escapes that share a `_`."""
        if text.isprintable() and "_x" not in text:
            return text
        return _NOT_IN_XML.sub(lambda match: f"_x{ord(match[0]):04X}_", _LIKE_ESCAPE.sub("_x005F_", text))

    def _xml_rich_inline_string(self, string: str, attributes: Sequence[tuple[str, str]] = ()) -> None:
        """Text that looks like what the library makes of formatted text would else be taken for XML."""
        self._xml_inline_string(string, True, attributes)


class _Sheets:
    def __init__(self, workbook: xlsxwriter.Workbook, fields: Sequence[str], note: Note) -> None:
        self._workbook = workbook
        self._fields = fields
        self._note = note
        self._rows = count()  #: of all sheets, without headers
        self._begin()

    def add(self, line: str) -> None:
        number = next(self._rows)
        if self._next == MAX_ROWS:
            self._begin()
        for column, cell in enumerate(line.split("\t")):
            if "\\" in cell:
                if cell == r"\N":
                    continue
                cell = _ESCAPE.sub(_unescaped, cell)  # noqa: PLW2901
            if self._sheet.write_string(self._next, column, cell) < 0:
                limit = f"Cut to {MAX_CHARACTERS:,} characters: more do not fit into a cell of a workbook."
                self._note(Issue(("data", number, self._fields[column]), limit))
        self._next += 1

    def abandon(self) -> None:
        """Close the files of a workbook that is not going to be one."""
        self._workbook.fileclosed = True
        for sheet in self._workbook.worksheets():
            with suppress(OSError):
                sheet.row_data_fh.close()

    def _begin(self) -> None:
        number = len(self._workbook.worksheets()) + 1
        name = "contacts" if number == 1 else f"contacts {number}"
        self._sheet = self._workbook.add_worksheet(name, worksheet_class=_Sheet)
        # Nothing has a guard, and its column says so: an import takes nothing off the values.
        for column, field in enumerate((*self._fields, formulas.COLUMN)):
            self._sheet.write_string(0, column, field)
        self._next = 1


def _unescaped(match: re.Match[str]) -> str:
    return _MEANT.get(match[1], match[1])


class _Archive:
    """The file that the library packs. Packing takes a while, too, and is ended by what `check` raises."""

    def __init__(self, path: Path, check: Callable[[], None]) -> None:
        self._file = path.open("w+b")
        self._check = check

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, content: bytes) -> int:
        # The library writes an end also to an archive that was given up.
        if self._file.closed:
            return len(content)
        self._check()
        return self._file.write(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return 0 if self._file.closed else self._file.seek(offset, whence)

    def tell(self) -> int:
        return 0 if self._file.closed else self._file.tell()

    def flush(self) -> None:
        if not self._file.closed:
            self._file.flush()


@contextmanager
def _folder() -> Iterator[Path]:
    """One of its own, locked as long as somebody uses it; those of workers that were killed are removed."""
    _remove_abandoned()
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        lock = os.open(name, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(lock)


def _remove_abandoned() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        # Another may be about to do the same, or it is somebody else's.
        with suppress(OSError):
            lock = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - os.fstat(lock).st_mtime > _LOCKED_AFTER_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


@contextmanager
def _spooling() -> Iterator[None]:
    try:
        yield
    except (OSError, FileCreateError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataFlowError(
            f"The worker cannot make a workbook in {tempfile.gettempdir()} (TMPDIR): {reason}.",
            code="spool_unavailable",
        ) from error
