"""Postgres: connections and pools, sessions and time limits, statements by name, migrations.

What the statements mean is left to `queue` and to whoever is handed a connection. Offers the names that all packages
use; stands on the shared modules alone.
"""

from dataflow.db.connection import (
    CONNECT_TIMEOUT_SECONDS,
    POOL_CONNECTIONS,
    POOL_TIMEOUT_SECONDS,
    Connection,
    Pool,
    answers,
    borrowed,
    connect,
    cut,
    deadline,
    has_ended,
    has_spoken,
    limited,
    open_pool,
    translated,
    value,
)
from dataflow.db.migrations import migrate
from dataflow.db.statements import SQL, query

__all__ = [
    "CONNECT_TIMEOUT_SECONDS",
    "POOL_CONNECTIONS",
    "POOL_TIMEOUT_SECONDS",
    "SQL",
    "Connection",
    "Pool",
    "answers",
    "borrowed",
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
]
