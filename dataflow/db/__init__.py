"""Postgres: connections and pools, sessions and time limits, statements by name, migrations.

What the statements mean is left to `queue` and to whoever is handed a connection. May import `errors`.
"""

from dataflow.db.connection import (
    CONNECT_TIMEOUT_SECONDS,
    Connection,
    answers,
    connect,
    has_ended,
    has_spoken,
    limited,
    translated,
    value,
    wait_to_send,
    widen_send_buffer,
)
from dataflow.db.migrations import migrate
from dataflow.db.pool import POOL_CONNECTIONS, POOL_TIMEOUT_SECONDS, Pool, borrowed, borrowed_once, open_pool
from dataflow.db.statements import SQL, query
from dataflow.db.waiting import cut, deadline

__all__ = [
    "CONNECT_TIMEOUT_SECONDS",
    "POOL_CONNECTIONS",
    "POOL_TIMEOUT_SECONDS",
    "SQL",
    "Connection",
    "Pool",
    "answers",
    "borrowed",
    "borrowed_once",
    "connect",
    "cut",
    "deadline",
    "has_ended",
    "has_spoken",
    "limited",
    "migrate",
    "open_pool",
    "query",
    "translated",
    "value",
    "wait_to_send",
    "widen_send_buffer",
]
