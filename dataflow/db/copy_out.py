"""COPY TO STDOUT as blocks of many rows, while somebody looks every second whether they are still wanted.

Why it is so: each row is a message. Through `psycopg.Copy` 1,000,000 of them took 6.6 s, asked of libpq one after the
other 2.0 (psql: 1.6). libpq has no call that gives several.
"""

import select
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

import psycopg
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from dataflow.db.session import Connection

#: How often `check` is called while the server says nothing.
LOOK_UP_SECONDS: Final = 1.0
#: Rows that have come wait so long for others to fill their block.
_FILL_SECONDS: Final = 0.05
_CANCEL_SECONDS: Final = 2.0


class CopyOut:
    """One statement on a connection that does nothing else; `check` raises when its rows are not wanted any more."""

    def __init__(self, connection: Connection, check: Callable[[], None]) -> None:
        self._connection = connection
        self._server = connection.pgconn
        self._check = check
        # `select` takes no descriptor over 1023, and a web process has more.
        self._poll = select.poll()
        self._poll.register(self._server.socket, select.POLLIN)
        self._has_answered = False
        self._first: tuple[int, bytes | memoryview] = (0, b"")  #: what libpq has said first of the rows
        self.row_count = 0  #: given out by `blocks`

    def begin(self, statement: bytes, answer_seconds: float) -> None:
        """Send the statement, and wait `answer_seconds` at most for what the server says to it.

        :raises psycopg.Error: when it refuses, or fails at the first row, within that time.
        """
        self._server.send_query(statement)
        sending = select.poll()
        sending.register(self._server.socket, select.POLLOUT)
        while self._server.flush():
            sending.poll(1000 * LOOK_UP_SECONDS)
            self._check()
        if not self._server.is_busy() or self._can_read(answer_seconds):
            self._take_answer()
            self._first = self._server.get_copy_data(1)
            if self._first[0] < 0:
                self._take_end()

    def blocks(self, size_bytes: int) -> Iterator[bytes]:
        """Whole rows, together `size_bytes` or a row more; fewer while the server is slow.

        :raises psycopg.Error: when the statement fails, then or later.
        """
        if not self._has_answered:
            self._take_answer()
        take = self._server.get_copy_data
        count, row = self._first
        if count < 0:
            return
        rows, size = [row], count
        while count >= 0:
            while size < size_bytes:
                count, row = take(1)
                if count <= 0:
                    break
                rows.append(row)
                size += count
            if size and (count or not self._can_read(_FILL_SECONDS)):
                self.row_count += len(rows) - (not rows[0])
                yield b"".join(rows)
                rows, size = [], 0
            if count == 0:
                self._read()
        self._take_end()

    def cancel(self) -> None:
        """Have the server end the statement, if it is not over."""
        if self._server.transaction_status == TransactionStatus.ACTIVE:
            # Closing the connection ends it as well, within the second in which the server looks for its client.
            with suppress(psycopg.Error):
                self._connection.cancel_safe(timeout=_CANCEL_SECONDS)

    def _take_answer(self) -> None:
        result = self._result()
        if result is None or result.status != ExecStatus.COPY_OUT:
            raise self._error(result)
        self._has_answered = True

    def _take_end(self) -> None:
        result = self._result()
        if result is None or result.status != ExecStatus.COMMAND_OK:
            raise self._error(result)
        self._finish()

    def _error(self, result: PGresult | None) -> psycopg.Error:
        if result is None:
            return psycopg.OperationalError("the connection broke during COPY")
        self._finish()
        return psycopg.errors.error_from_result(result)

    def _finish(self) -> None:
        while self._result() is not None:
            pass

    def _result(self) -> PGresult | None:
        while self._server.is_busy():
            self._read()
        return self._server.get_result()

    def _read(self) -> None:
        while not self._can_read(LOOK_UP_SECONDS):
            self._check()
        self._server.consume_input()

    def _can_read(self, seconds: float) -> bool:
        return bool(self._poll.poll(1000 * seconds))
