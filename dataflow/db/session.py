"""What a session of ours sets, and how behind a pooler.

A direct session is ours until it is closed: it is configured once. A pooler gives each transaction to whichever server
process is free and keeps what the one before has SET there for the next client: so behind one, nothing is set but for
the transaction that is open, every statement has a transaction, and nothing is listened for.

A pooler answers for the server when somebody connects, and makes up the process id that it gives (measured with
PgBouncer 1.18). An id that is not that of the process which runs the first statement, or none, tells it. In session
mode it does so as well, and could do more; what is safe in transaction mode is safe there, too. One that did not would
still be told by a worker, which would not hear itself (`queue.notify`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.abc import Params
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row

from dataflow.db import statements


class Connection(psycopg.Connection[DictRow]):
    """A connection in autocommit mode that leaves nothing in a server process which is not its own."""

    is_pooled = True  #: until `configure` has found the server process to be ours

    @classmethod
    def open(cls, url: str, **parameters: Any) -> "Connection":
        """Connect; to be configured before anything else is done.

        :raises psycopg.OperationalError: when there is no server, or it refuses.
        """
        # Server-side prepared statements do not survive a transaction pooler.
        made = cls.connect(url, autocommit=True, row_factory=dict_row, prepare_threshold=None, **parameters)
        # Said at every BEGIN: behind a pooler, a session's default may be another's.
        made.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        return made

    def configure(self) -> None:
        """Find out whether a pooler is in between, and if not, set what is ours to set."""
        configured = self.cursor().execute(statements.query("session/configure"), {"pid": self.info.backend_pid})
        self.is_pooled = configured.fetchone() is None
        if not self.is_pooled:
            self.execute(statements.query("session/notice_dead_client"))

    @contextmanager
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Iterator[psycopg.Transaction]:
        """As psycopg's; behind a pooler with the settings of a session of ours until it ends."""
        is_outermost = self.info.transaction_status == TransactionStatus.IDLE
        with super().transaction(savepoint_name, force_rollback) as transaction:
            if self.is_pooled and is_outermost:
                self.execute(statements.query("session/configure_transaction"))
            yield transaction

    def execute(self, query: Any, params: Params | None = None, **options: Any) -> psycopg.Cursor[DictRow]:
        """As psycopg's; behind a pooler in a transaction of its own when none is open."""
        if not self.is_pooled or self.info.transaction_status != TransactionStatus.IDLE:
            return super().execute(query, params, **options)
        with self.transaction():
            return super().execute(query, params, **options)

    def limit_statements(self, seconds: float, lock_seconds: float, in_session: bool = False) -> None:
        """Have what takes longer in the open transaction given up; with `in_session`, unless pooled, also after it."""
        limits = {"statement": f"{seconds * 1000:.0f}", "lock": f"{lock_seconds * 1000:.0f}"}
        is_local = self.is_pooled or not in_session
        self.execute(statements.query("session/limit_statements"), {**limits, "is_local": is_local})

    def rename(self, role: str) -> None:
        """Have the session go by another `application_name`; not behind a pooler, which would keep it."""
        self.execute(statements.query("session/rename"), {"role": role})
