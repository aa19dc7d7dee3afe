"""Sums over all jobs that have ended, in few rows: a trigger inserts what each job adds, `fold` adds them up."""

from typing import Any, Final

from dataflow.db import Connection, query, value

FOLDED_ROWS: Final = 100_000  #: what one statement folds: a fifth of a second


def totals(connection: Connection) -> dict[str, Any]:
    """What the metrics publish. In a transaction, whose planner settings it changes."""
    connection.execute(query("session/prefer_indexes"))
    return connection.execute(query("job_counts/totals")).fetchone() or {}


def fold(connection: Connection) -> bool:
    """Put one row in the place of many; returns whether there may be more."""
    return bool(value(connection, "job_counts/fold", limit=FOLDED_ROWS) == FOLDED_ROWS)
