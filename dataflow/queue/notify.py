"""How workers learn that there may be something to do: notifications, and when the next job is due.

A trigger notifies CHANNEL whenever a job becomes queued. That is a hint; the table is the truth.
"""

import time
from secrets import token_hex
from typing import LiteralString

from psycopg import sql

from dataflow.db import Connection, query

CHANNEL: LiteralString = "dataflow_jobs"


def listen(connection: Connection) -> None:
    """Have the connection woken whenever a job becomes queued."""
    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))


def hears(listener: Connection, sender: Connection, seconds: float) -> bool:
    """Whether `listener`, which listens, is told within `seconds` what another connection sends.

    Behind a transaction pooler that is not known for one it is not: its LISTEN went to a server process that now
    serves others. The other connection matters: a pooler does pass on what the listener sends to itself in one and the
    same statement.
    """
    token = token_hex(8)
    sender.execute(query("session/notify"), {"channel": CHANNEL, "payload": token})
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if any(notice.payload == token for notice in listener.notifies(timeout=left, stop_after=1)):
            return True
    return False


def seconds_until_due(connection: Connection) -> float | None:
    """When the next queued job is due, at most 0 when one is; None when none is queued."""
    row = connection.execute(query("jobs/next_due")).fetchone()
    return row["seconds"] if row else None
