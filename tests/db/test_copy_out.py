"""COPY TO in blocks: every row once, errors when they come, and an end as soon as nobody wants more."""

import threading
import time
from collections.abc import Callable

import psycopg
import pytest

from dataflow import db
from dataflow.db.copy_out import CopyOut


def wanted() -> None:
    pass


def begun(connection: db.Connection, select: str, check: Callable[[], None] = wanted, seconds: float = 5) -> CopyOut:
    copy = CopyOut(connection, check)
    copy.begin(f"COPY ({select}) TO STDOUT".encode(), seconds)
    return copy


@pytest.mark.parametrize("rows", [0, 1, 2, 1000, 100_000])
@pytest.mark.parametrize("size_bytes", [1, 100, 65_536])
def test_every_row_comes_once_and_whole(rows: int, size_bytes: int, connection: db.Connection) -> None:
    blocks = list(begun(connection, f"SELECT n FROM generate_series(1, {rows}) n").blocks(size_bytes))
    assert b"".join(blocks) == b"".join(b"%d\n" % n for n in range(1, rows + 1))
    assert all(block.endswith(b"\n") and len(block) < size_bytes + 10 for block in blocks)
    assert all(len(block) >= size_bytes for block in blocks[:-1]) or size_bytes > 8000
    assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}


def test_a_statement_that_is_refused_says_so_at_once(connection: db.Connection) -> None:
    with pytest.raises(psycopg.errors.UndefinedColumn):
        begun(connection, "SELECT nothing FROM contacts")
    with pytest.raises(psycopg.errors.DivisionByZero):
        begun(connection, "SELECT 1 / 0")
    assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}


def test_a_statement_that_fails_later_gives_the_rows_before_it(connection: db.Connection) -> None:
    copy, found = begun(connection, "SELECT 1 / (50000 - n) FROM generate_series(1, 60000) n"), []
    with pytest.raises(psycopg.errors.DivisionByZero):
        found.extend(copy.blocks(1000))
    assert sum(map(len, found)) > 50_000


def test_rows_that_come_slowly_do_not_wait_for_a_full_block(connection: db.Connection) -> None:
    # The server keeps back what does not fill 8 KiB.
    sleep = "pg_sleep(CASE WHEN n = 3 THEN 3 ELSE 0 END)"
    began = time.monotonic()
    rows = begun(connection, f"SELECT repeat('x', 9000) || {sleep} FROM generate_series(1, 3) n").blocks(1 << 20)
    assert len(next(rows)) == 9001
    assert time.monotonic() - began < 2
    assert len(b"".join(rows)) == 2 * 9001


def test_it_is_looked_at_while_no_row_comes_and_can_be_cancelled(connection: db.Connection) -> None:
    class Unwanted(Exception):
        pass

    looks = iter([Unwanted()])

    def check() -> None:
        for unwanted in looks:
            raise unwanted

    began = time.monotonic()
    copy = begun(connection, "SELECT pg_sleep(60)", check, seconds=0)
    with pytest.raises(Unwanted):
        next(copy.blocks(1000))
    copy.cancel()
    with pytest.raises(psycopg.errors.QueryCanceled):
        list(copy.blocks(1000))
    assert time.monotonic() - began < 10
    assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}
    copy.cancel()


def test_a_server_process_that_dies_is_an_error(connection: db.Connection, database: str) -> None:
    def kill() -> None:
        with db.connect(database, "dataflow/test") as other:
            other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])

    copy = begun(connection, "SELECT pg_sleep(60)", seconds=0)
    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(psycopg.OperationalError):
        list(copy.blocks(1000))
    killer.join()
