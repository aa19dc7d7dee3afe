"""How workers learn that a job may be due, and others that one has ended: triggers notify channels of their own."""

import time
from secrets import token_hex
from typing import LiteralString

from psycopg import sql

from dataflow.db import Connection, query

CHANNEL: LiteralString = "dataflow_jobs"  #: whenever a job becomes queued
ENDED_CHANNEL: LiteralString = "dataflow_ended"  #: with its id, whenever one reaches a final state


def listen(connection: Connection, channel: LiteralString = CHANNEL) -> None:
    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))


def hears(listener: Connection, sender: Connection, seconds: float) -> bool:
    """Whether `listener` is told what `sender` sends: behind a pooler only what it sends to itself is passed on."""
    token = token_hex(8)
    sender.execute(query("session/notify"), {"channel": CHANNEL, "payload": token})
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if any(notice.payload == token for notice in listener.notifies(timeout=left, stop_after=1)):
            return True
    return False


def seconds_until_due(connection: Connection) -> float | None:
    """When the next queued job is due, 0 or less when one is; None when none is queued."""
    row = connection.execute(query("jobs/next_due")).fetchone()
    return row["seconds"] if row else None
