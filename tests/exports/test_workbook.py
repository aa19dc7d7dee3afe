"""A workbook of contacts where it cannot be as usual: sheets that are full, cells that are, disks that are."""

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import openpyxl
import pytest

from dataflow.errors import DataFlowError, Issue, LeaseLost
from dataflow.exports import workbook
from dataflow.exports.workbook import MAX_CHARACTERS, PREFIX
from tests.support.errors import has_code

pytestmark = pytest.mark.unit
FIELDS = ("name", "email")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files are; nothing is left there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def lines(rows: int) -> list[bytes]:
    return [f"Ann {n}\tann{n}@example.com\n".encode() for n in range(rows)]


def cells(content: bytes) -> dict[str, list[tuple[object, ...]]]:
    book = openpyxl.load_workbook(BytesIO(content))
    return {sheet.title: list(sheet.values) for sheet in book}


def test_rows_beyond_those_of_a_sheet_go_on_in_another_with_the_header_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MAX_ROWS", 3)
    sheets = cells(b"".join(workbook.written(lines(5), FIELDS, lambda: None, print)))
    header = ("name", "email", "_quoted")
    assert {name: rows[0] for name, rows in sheets.items()} == dict.fromkeys(
        ("contacts", "contacts 2", "contacts 3"), header
    )
    names = [row[0] for rows in sheets.values() for row in rows[1:]]
    assert names == [f"Ann {n}" for n in range(5)]


def test_no_contacts_are_a_header_row() -> None:
    assert cells(b"".join(workbook.written([], FIELDS, lambda: None, print))) == {
        "contacts": [("name", "email", "_quoted")]
    }


def test_text_that_no_cell_can_hold_is_cut_and_named() -> None:
    issues: list[Issue] = []
    rows = [b"Ann\ta@example.com\n", "😀".encode() * 20_000 + b"\tb@example.com\n"]
    [sheet] = cells(b"".join(workbook.written(rows, FIELDS, lambda: None, issues.append))).values()
    assert sheet[2][0] == "😀" * (MAX_CHARACTERS // 2)
    assert [issue.path for issue in issues] == [("data", 1, "name")]
    assert "32,767" in issues[0].message


def test_no_cell_is_a_formula_a_number_or_a_link() -> None:
    texts = ["=1+1", "007", "https://example.com", "{=1}", "TRUE", "1e5", "<r><t>x</t></r>"]
    rows = [f"{text}\ta@example.com\n".encode() for text in texts]
    book = openpyxl.load_workbook(BytesIO(b"".join(workbook.written(rows, FIELDS, lambda: None, print))))
    found = [row[0] for row in list(book["contacts"])[1:]]
    assert [cell.value for cell in found] == texts
    assert {cell.data_type for cell in found} <= {"s", "inlineStr"}
    assert not any(cell.hyperlink for cell in found)


@pytest.mark.parametrize("calls", [1, 3])
def test_whoever_is_not_waited_for_any_more_ends_also_the_packing(calls: int) -> None:
    """After two blocks, each of which asks once, what asks is the writing of the archive."""
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked >= calls:
            raise LeaseLost("Gone.")

    with pytest.raises(LeaseLost):
        list(workbook.written(lines(2), FIELDS, check, print))


#: The sheet alone is larger than any file may be.
FILL = """
import resource, signal
from dataflow.exports import workbook
from dataflow.errors import DataFlowError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
rows = [f"Ann {n}\\tann{n}@example.com\\n".encode() for n in range(20_000)]
try:
    list(workbook.written(rows, ("name", "email"), lambda: None, print))
except DataFlowError as error:
    print(error.code, error.retryable, error.message)
# What measures coverage writes a file, too.
resource.setrlimit(resource.RLIMIT_FSIZE, before)
"""


def test_a_disk_that_takes_no_more_rows_is_worth_another_attempt(folder: Path) -> None:
    """With a limit on the size of files, which is what a full disk looks like."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FILL],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (
        f"spool_unavailable True The worker cannot make a workbook in {folder} (TMPDIR): File too large.\n"
    )
    assert done.stderr == ""


def test_a_disk_that_is_full_while_the_workbook_is_packed_is_worth_another_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(workbook._Archive, "write", refuse)
    with pytest.raises(DataFlowError, match="No space left on device", check=has_code("spool_unavailable")):
        list(workbook.written(lines(2), FIELDS, lambda: None, print))


def test_what_a_killed_worker_has_left_is_removed_and_what_another_uses_is_not(folder: Path) -> None:
    left, used, new = (folder / f"{PREFIX}{name}" for name in ("left", "used", "new"))
    for path in (left, used, new):
        path.mkdir()
        (path / "sheet").touch()
    for path in (left, used):
        os.utime(path, (time.time() - 3600,) * 2)
    lock = os.open(used, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    list(workbook.written(lines(1), FIELDS, lambda: None, print))
    os.close(lock)
    assert sorted(folder.iterdir()) == [new, used]
    for path in (new, used):
        (path / "sheet").unlink()
        path.rmdir()
