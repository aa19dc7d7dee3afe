"""What jobs have counted, added up: published of jobs however old, read in milliseconds however many.

Triggers insert what each job adds as it ends (migration 0007); here that is read, and kept to few rows.
"""

from typing import Any, Final

from dataflow.db import Connection, query, value

#: Counts that one statement folds: a fifth of a second.
FOLDED_ROWS: Final = 100_000


def totals(connection: Connection) -> dict[str, Any]:
    """What the metrics publish: jobs_by_state, the rows_... of jobs that have ended, queue_oldest_seconds.

    In a transaction, whose planner settings it changes.
    """
    connection.execute(query("session/prefer_indexes"))
    return connection.execute(query("job_counts/totals")).fetchone() or {}


def fold(connection: Connection) -> bool:
    """Put one row in the place of many that `totals` adds up; whether there may be more to fold."""
    return bool(value(connection, "job_counts/fold", limit=FOLDED_ROWS) == FOLDED_ROWS)
