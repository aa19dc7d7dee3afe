"""Refused rows from the spool into the table: as they came, cut where they are too long, and on a full disk."""

import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from dataflow.contacts.schema import check_storable
from dataflow.contacts.validation import Problem, Refusal, judge
from dataflow.db import Connection
from dataflow.errors import DataFlowError
from dataflow.formats.block import ABSENT, Block, Malformed
from dataflow.imports import rejects
from dataflow.imports.rejects import MAX_ORIGINAL_BYTES, MAX_VALUE_CHARACTERS, RejectSpool
from dataflow.text import MARK
from tests.support.errors import has_code

quick = settings(max_examples=80, deadline=None, derandomize=True, database=None)
MIB = 1024 * 1024


class Rows:
    """The origin of rows that a test has written out, on every second line from the first."""

    def __init__(self, rows: list[Any], has_lines: bool = True) -> None:
        self._rows = rows
        self._has_lines = has_lines

    def line(self, index: int) -> int | None:
        return 2 * index + 1 if self._has_lines else None

    def row(self, index: int) -> str | list[str]:
        row: str | list[str] = self._rows[index]
        return row


@pytest.fixture
def spool() -> Iterator[RejectSpool]:
    opened = RejectSpool()
    yield opened
    opened.close()


def keep(spool: RejectSpool, *rows: str | list[str], message: str = "No address") -> None:
    """Refuse rows for their e-mail; cells are name and e-mail."""
    names = [row[0] if isinstance(row, list) else "" for row in rows]
    emails = [row[-1] if isinstance(row, list) else "" for row in rows]
    problem = Problem("email", "invalid_email", message)
    refusals = [Refusal(index, index, (problem,)) for index in range(len(rows))]
    spool.add(Block(0, names, emails, Rows([*rows])), refusals)


def written(connection: Connection, spool: RejectSpool) -> list[dict[str, Any]]:
    """The rows of `rejects` after the spool was written for a job."""
    job_id = uuid4()
    with connection.transaction():
        spool.write(connection, job_id)
    return stored(connection, job_id)


def stored(connection: Connection, job_id: UUID) -> list[dict[str, Any]]:
    found = connection.execute("SELECT * FROM rejects WHERE job_id = %s ORDER BY record", [job_id]).fetchall()
    return [{**row} for row in found]


def kept(row: str | list[str], needed: str = "-") -> tuple[str, bool]:
    """What is kept of a row, and whether that is less than all."""
    return rejects._original(row, needed)


# Into the table


def test_a_refused_row_is_kept_with_its_place_its_problems_and_all_its_cells(
    connection: Connection, spool: RejectSpool
) -> None:
    rows = [["Ada", "ada@example.org", "x"], ["", "nobody", "more"], ["Bob", "", ""]]
    block = Block(10, [row[0] for row in rows], [row[1] for row in rows], Rows(rows))
    spool.add(block, judge(block).refusals)
    job_id = uuid4()
    with connection.transaction():
        spool.write(connection, job_id)
    no_sign = "Invalid email format: An email address must have an @-sign."
    assert stored(connection, job_id) == [
        {
            "job_id": job_id,
            "record": 12,
            "line": 3,
            "field": "name",
            "code": "missing_name",
            "message": f"Must not be empty; email: {no_sign}",
            "name": "",
            "email": "nobody",
            "original": '["","nobody","more"]',
            "truncated": False,
        },
        {
            "job_id": job_id,
            "record": 13,
            "line": 5,
            "field": "email",
            "code": "missing_email",
            "message": no_sign,
            "name": "Bob",
            "email": "",
            "original": '["Bob","",""]',
            "truncated": False,
        },
    ]
    assert spool.rows == 2
    assert spool.size_bytes > 0


def test_what_is_no_text_and_what_has_no_line_is_null(connection: Connection, spool: RejectSpool) -> None:
    broken = Malformed("Expected an object, found a number")
    block = Block(0, [ABSENT, broken, dict], [5, broken, None], Rows(['{"email":5}', "17", "{}"], has_lines=False))
    spool.add(block, judge(block).refusals)
    found = written(connection, spool)
    assert [(row["line"], row["name"], row["email"]) for row in found] == [(None, None, None)] * 3
    assert [(row["field"], row["code"]) for row in found] == [
        ("name", "missing_name"),
        (None, "malformed_row"),
        ("name", "wrong_type"),
    ]
    assert [row["original"] for row in found] == ['{"email":5}', "17", "{}"]


AWKWARD = [
    "tab\tnew\nline\r\n",
    "back\\slash \\N \\. \\t \\",
    "quo\"te, 'comma'; |",
    "\x01\x1f\x7f\x85\u2028\ufeff",
    "名前 \U0001f600 e\u0301",
    "\\.",
    "\\N",
    "",
]


def test_awkward_text_comes_back_as_it_was(connection: Connection, spool: RejectSpool) -> None:
    joined = "".join(AWKWARD)
    keep(spool, *[[text, text] for text in AWKWARD], *AWKWARD, message=joined)
    found = written(connection, spool)
    assert {row["message"] for row in found} == {joined}
    assert [json.loads(row["original"]) for row in found[: len(AWKWARD)]] == [[text, text] for text in AWKWARD]
    assert [row["name"] for row in found[: len(AWKWARD)]] == AWKWARD
    assert [row["email"] for row in found[: len(AWKWARD)]] == AWKWARD
    assert [row["original"] for row in found[len(AWKWARD) :]] == AWKWARD
    assert not any(row["truncated"] for row in found)


def test_what_postgres_cannot_store_is_shown_as_an_escape(connection: Connection, spool: RejectSpool) -> None:
    text, shown = "a\0 Andr\udce9\udc80 \ud83d \udd00\\", r"a\x00 Andr\xe9\x80 \ud83d \udd00" + "\\"
    marked = rejects.marked(text)
    keep(spool, [text, text], text, message=text)
    as_cells, as_text = written(connection, spool)
    assert json.loads(as_cells["original"]) == [marked, marked]
    assert (as_cells["name"], as_cells["email"], as_cells["message"]) == (marked, marked, shown)
    assert as_text["original"] == marked
    assert marked.replace(MARK, "") == shown
    with pytest.raises(ValidationError):
        # Sent back as it is, it must not be imported with its escapes.
        check_storable(marked)


def test_a_spool_may_be_written_again_after_its_transaction_was_rolled_back(
    connection: Connection, spool: RejectSpool
) -> None:
    keep(spool, *[[f"Person {number}", "nobody"] for number in range(5_000)])
    job_id = uuid4()
    with pytest.raises(psycopg.errors.DivisionByZero), connection.transaction():
        spool.write(connection, job_id)
        connection.execute("SELECT 1 / 0")
    assert stored(connection, job_id) == []
    with connection.transaction():
        spool.write(connection, job_id)
    assert [row["record"] for row in stored(connection, job_id)] == [*range(1, 5_001)]


def test_without_refused_rows_nothing_is_written(connection: Connection, spool: RejectSpool) -> None:
    assert written(connection, spool) == []
    assert (spool.rows, spool.size_bytes) == (0, 0)


def test_forty_thousand_refused_rows_take_hardly_any_memory(connection: Connection, spool: RejectSpool) -> None:
    rows = [[f"Person {number}", "x" * 50] for number in range(1_000)]
    block = Block(0, [row[0] for row in rows], [row[1] for row in rows], Rows(rows))
    problem = (Problem("email", "invalid_email", "No address"),)
    for thousand in range(40):
        if thousand == 35:
            # To trace every allocation takes ten times the time.
            tracemalloc.start()
        spool.add(block, [Refusal(index, 1_000 * thousand + index, problem) for index in range(1_000)])
    assert spool.rows == 40_000
    assert spool.size_bytes > 5 * MIB
    job_id = uuid4()
    with connection.transaction():
        spool.write(connection, job_id)
    assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    tracemalloc.stop()
    counted = connection.execute("SELECT count(*), max(record) FROM rejects WHERE job_id = %s", [job_id]).fetchone()
    assert counted == {"count": 40_000, "max": 40_000}


# What is left out


def test_up_to_4_kib_nothing_is_left_out() -> None:
    assert kept("x" * 4096) == ("x" * 4096, False)
    assert kept("é" * 2048) == ("é" * 2048, False)
    assert kept(["x" * 4092]) == (f'["{"x" * 4092}"]', False)
    assert kept([""] * 1365) == (json.dumps([""] * 1365, separators=(",", ":")), False)


def test_a_text_is_cut_between_characters() -> None:
    assert kept("x" * 4097) == ("x" * 4093 + MARK, True)
    assert kept("é" * 5000) == ("é" * 2046 + MARK, True)
    assert kept("x" + "é" * 5000) == ("x" + "é" * 2046 + MARK, True)
    assert kept("xx" + "\U0001f600" * 5000) == ("xx" + "\U0001f600" * 1022 + MARK, True)


def test_the_longest_cells_are_cut_and_short_ones_survive() -> None:
    text, is_truncated = kept(["Ada", "n" * MIB, "ada@example", "é" * 3_000, "", "x" * 300])
    cells = json.loads(text)
    assert is_truncated
    assert [cells[0], cells[2], cells[4], cells[5]] == ["Ada", "ada@example", "", "x" * 300]
    assert len(cells[1]) >= 1_000
    assert set(cells[1]) == {"n", MARK}
    assert len(cells[3]) >= 500
    assert set(cells[3]) == {"é", MARK}
    assert len(text.encode()) > MAX_ORIGINAL_BYTES / 2


def test_one_cell_of_one_character_too_many_is_cut() -> None:
    text, is_truncated = kept(["x" * 4093])
    assert is_truncated
    assert set(json.loads(text)[0]) == {"x", MARK}


@pytest.mark.parametrize(
    "row", [["x" * 100] * 5_000, [""] * 100_000, ["\x01" * 5_000] * 1_000, ["Ada", *["é"] * 9_999]]
)
def test_of_too_many_cells_the_first_ones_survive(row: list[str]) -> None:
    text, is_truncated = kept(row)
    cells = json.loads(text)
    assert is_truncated
    assert len(cells) >= 340
    for whole, cell in zip(row, cells, strict=False):
        assert cell == whole or (cell[-1] == MARK and whole.startswith(cell[:-1]))


def test_the_cells_that_make_up_name_and_address_survive_whatever_is_beside_them() -> None:
    mail = "firstname.lastname@some-long-domain.example.org"
    row = [*["x" * 60] * 100, " Ada", "Lovelace", mail]
    text, is_truncated = kept(row, f"Ada Lovelace\0{mail}")
    assert is_truncated
    assert json.loads(text)[-3:] == row[-3:]
    for width in (1_365, 1_400, 2_000, 100_000):
        assert json.loads(kept(["", f" {mail}", "Ada", *["note"] * width], mail)[0])[:2] == ["", f" {mail}"]


def test_names_that_are_too_long_themselves_are_cut_with_a_mark_and_the_others_stay() -> None:
    [name, mail, note] = json.loads(
        kept(["\ud83d" * 500, "ada@example.org", "x" * 9_000], rejects.marked("\ud83d" * 500))[0]
    )
    assert (name[-1], mail, note[-1]) == (MARK, "ada@example.org", MARK)


long_text = st.builds(
    lambda text, times: text * times, st.text(st.characters(exclude_categories=()), max_size=8), st.integers(1, 3_000)
)


@quick
@given(st.one_of(long_text, st.lists(long_text, max_size=60)))
@example("")
@example([])
@example(["\0" * 4_096])
@example("\udce9" * 4_096)
@example(['"' * 4_000])
@example(["\U0001f600" * 4_000] * 300)
def test_what_is_kept_of_a_row_never_takes_more_than_4_kib(row: str | list[str]) -> None:
    text, is_truncated = kept(row)
    assert len(text.encode()) <= MAX_ORIGINAL_BYTES
    assert "\0" not in text
    whole = json.dumps([*map(rejects.marked, row)], ensure_ascii=False, separators=(",", ":"))
    if isinstance(row, str):
        whole = rejects.marked(row)
        assert whole.startswith(text.removesuffix(MARK))
        assert is_truncated == (text[-1:] == MARK)
    else:
        assert len(json.loads(text)) <= len(row)
    assert is_truncated == (text != whole)
    assert is_truncated or text == whole


def test_a_value_beside_its_row_is_cut_as_well(connection: Connection, spool: RejectSpool) -> None:
    keep(spool, ["\udce9" * 10_000, "\U0001f600" * 10_000])
    [row] = written(connection, spool)
    assert row["name"] == rf"{MARK}\xe9" * MAX_VALUE_CHARACTERS + MARK
    assert row["email"] == "\U0001f600" * MAX_VALUE_CHARACTERS + MARK
    assert row["truncated"]


def test_a_row_as_text_is_truncated_when_its_name_or_its_address_is(connection: Connection, spool: RejectSpool) -> None:
    values = ["x" * 500, "x" * 501, "x", "x" * 501]
    block = Block(0, values, values[::-1], Rows(["{}", "{}", "{}", ["x" * 501]]))
    spool.add(block, [Refusal(index, index, (Problem("email", "invalid_email", "No"),)) for index in range(4)])
    assert [row["truncated"] for row in written(connection, spool)] == [True, True, True, False]


# When the disk does not take them

FILL = """
import resource, signal, sys
from dataflow.errors import DataFlowError
from dataflow.formats.block import Block
from dataflow.imports.rejects import RejectSpool
from dataflow.contacts.validation import Problem, Refusal

class Same:
    def line(self, index): return None
    def row(self, index): return "x" * 4000

def limit_files(size_bytes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

def refuse_rows():
    problem = Problem("email", "invalid_email", "No")
    for record in range(spool.rows, spool.rows + 1000):
        spool.add(Block(0, ["Ada"], ["x"], Same()), [Refusal(0, record, (problem,))])

def are_all_kept():
    lines = [line for lines in spool._read() for line in lines]
    records = [int(line.split(b"\\t")[0]) for line in lines]
    return records == [*range(1, spool.rows + 1)]

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = RejectSpool()
limit_files(1 << 20)
try:
    refuse_rows()
except DataFlowError as error:
    assert error.code == "spool_unavailable"
    print(spool.rows, are_all_kept(), error.retryable, error.message)
limit_files(1 << 30)
refuse_rows()
print(spool.rows, are_all_kept())
limit_files(1 << 20)
spool.close()
"""


def test_a_disk_that_takes_no_more_makes_the_spool_unavailable_and_loses_nothing(tmp_path: Path) -> None:
    """With a limit on the size of files, which is what a full disk looks like. Closing the spool is no error then."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FILL],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    full, with_room_again = done.stdout.splitlines()
    rows, are_all_kept, retryable, message = full.split(maxsplit=3)
    assert 200 < int(rows) < 400
    assert are_all_kept == retryable == "True"
    assert message == f"The worker cannot keep refused rows in {tmp_path} (TMPDIR): File too large."
    assert with_room_again == f"{int(rows) + 1_000} True"
    assert done.stderr == ""


def test_a_folder_that_cannot_be_written_makes_the_spool_unavailable(
    connection: Connection, spool: RejectSpool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(
        DataFlowError, match=r"/gone \(TMPDIR\): No such file or directory\.", check=has_code("spool_unavailable")
    ):
        keep(spool, *["x" * 4_000] * 100)
    assert len(written(connection, spool)) == spool.rows == 100


def test_a_small_number_of_refused_rows_needs_no_disk(
    connection: Connection, spool: RejectSpool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    keep(spool, *["x" * 1_000] * 100)
    assert len(written(connection, spool)) == 100
