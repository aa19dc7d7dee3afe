"""The settings of a session, which behind a pooler are made for each transaction.

Why it is so: a pooler gives each transaction to any free server process, and keeps there what was SET, for the next
client. So every statement has a transaction, settings end with it, and nobody listens. A pooler is told by the process
id that it gives on connecting, which is made up (PgBouncer 1.18, in any mode): the first statement runs in another.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.abc import Params
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row

from dataflow.db import statements
from dataflow.db.waiting import WatchedConnection


class Connection(WatchedConnection):
    is_pooled = True  #: until `configure` has found the server process to be ours

    @classmethod
    def open(cls, url: str, **parameters: Any) -> "Connection":
        """:raises psycopg.OperationalError: when there is no server, or it refuses."""
        # Server-side prepared statements do not survive a transaction pooler.
        made = cls.connect(url, autocommit=True, row_factory=dict_row, prepare_threshold=None, **parameters)
        # Said at every BEGIN: behind a pooler, a session's default may be another's.
        made.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        return made

    def configure(self) -> None:
        configured = self.cursor().execute(statements.query("session/configure"), {"pid": self.info.backend_pid})
        self.is_pooled = configured.fetchone() is None
        if not self.is_pooled:
            self.execute(statements.query("session/notice_dead_client"))

    @contextmanager
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Iterator[psycopg.Transaction]:
        is_outermost = self.info.transaction_status == TransactionStatus.IDLE
        with super().transaction(savepoint_name, force_rollback) as transaction:
            try:
                if self.is_pooled and is_outermost:
                    self.execute(statements.query("session/configure_transaction"))
                yield transaction
            except BaseException:
                self._close_if_over()  # ROLLBACK would raise instead, and the error of the block be lost.
                raise

    def execute(self, query: Any, params: Params | None = None, **options: Any) -> psycopg.Cursor[DictRow]:
        if not self.is_pooled or self.info.transaction_status != TransactionStatus.IDLE:
            return super().execute(query, params, **options)
        with self.transaction():
            return super().execute(query, params, **options)

    def limit_statements(
        self, seconds: float, lock_seconds: float, silence_seconds: float | None = None, in_session: bool = False
    ) -> None:
        """Limit the statements of the open transaction; with `in_session`, unless pooled, also those after it.

        `silence_seconds` is how long the server waits for the next before it ends the session; None changes nothing.
        """
        limits = {"statement": seconds, "lock": lock_seconds, "silence": silence_seconds}
        values = {name: None if limit is None else f"{limit * 1000:.0f}" for name, limit in limits.items()}
        is_local = self.is_pooled or not in_session
        self.execute(statements.query("session/limit_statements"), {**values, "is_local": is_local})

    def rename(self, role: str) -> None:
        """Change the `application_name`; not to be called behind a pooler, which would keep it."""
        self.execute(statements.query("session/rename"), {"role": role})

    def __exit__(self, *_: object) -> None:
        self.close()  # psycopg commits before that, which raises after `cut`; in autocommit mode there is nothing to
