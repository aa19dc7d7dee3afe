"""One export on a connection of its own: one COPY, so one snapshot, piped through in bounded memory."""

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from typing import Final

from dataflow import db
from dataflow.db import Connection, query
from dataflow.db.copy_out import CopyOut
from dataflow.db.pool import REQUEST_LOCK_SECONDS, REQUEST_SECONDS
from dataflow.errors import RequestError
from dataflow.exports.formats import Format, Making
from dataflow.exports.selection import Selection

ROLE: Final = "dataflow/export"
BLOCK_BYTES: Final = 64 * 1024
#: The head is sent this soon, also when the server looks for the first rows for longer: it keeps 8 KiB back.
ANSWER_SECONDS: Final = 0.05


class Export:
    """`check` is called every second at least, and raises when nobody waits any more."""

    def __init__(self, url: str, max_seconds: float, check: Callable[[], None]) -> None:
        self._url = url
        self._max_seconds = max_seconds
        self._ends_at = time.monotonic() + max_seconds
        self._check_client = check

    def pieces(self, form: Format, fields: tuple[str, ...], selection: Selection) -> Generator[bytes, None, None]:
        """The file, the first piece of it as soon as the server has answered.

        :raises DatabaseError: when it refuses, then or later.
        :raises RequestError: export_cut when it takes too long.
        """
        with db.translated(), ExitStack() as stack:
            connection = stack.enter_context(db.connect(self._url, ROLE))
            stack.enter_context(connection.transaction())
            _prepare(connection)
            copy = CopyOut(connection, self._check)
            statement = form.copy(connection, fields, selection)
            with closing(copied(connection, copy, statement, form, Making(fields))) as pieces:
                for piece in pieces:
                    yield piece
                    self._check()

    def _check(self) -> None:
        if time.monotonic() >= self._ends_at:
            raise RequestError(
                f"The export took longer than {self._max_seconds:g} s (EXPORT_SECONDS).", code="export_cut"
            )
        self._check_client()


def copied(
    connection: Connection, copy: CopyOut, statement: bytes, form: Format, making: Making
) -> Generator[bytes, None, None]:
    """The file, in the transaction that is open; whatever ends this early ends the connection, too."""
    try:
        copy.begin(statement, ANSWER_SECONDS)
        yield from form.pieces(copy.blocks(BLOCK_BYTES), making)
    except BaseException:
        copy.cancel()
        # Nothing is to be rolled back, and behind rows that nobody has read it would be waited for.
        connection.close()
        raise


def _prepare(connection: Connection) -> None:
    connection.limit_statements(REQUEST_SECONDS, REQUEST_LOCK_SECONDS)
    connection.execute(query("exports/lock"))
    connection.execute(query("session/configure_export"))
