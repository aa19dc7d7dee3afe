"""One claimed revert: the contacts that an import has created are deleted, however often that is interrupted.

A step deletes a part of the import's range of ids and writes down, in the same transaction and fenced, how far it came
and how many there were: each is counted once whatever dies, and another attempt goes on from there. One transaction for
all would begin again whenever it is interrupted, and keep other applications from its rows until its end.

Contacts are known by their ids alone: one that another application has changed since is deleted as well. Their source
is no condition, because applications change that, too. For the ranges of two imports to overlap they have to begin in
the same millisecond, and even then it happens once in two million times (with 1,000,000 rows each).
"""

import time
from uuid import UUID

from dataflow import db
from dataflow.db import Connection, query
from dataflow.errors import DatabaseError, DataFlowError
from dataflow.imports.attempt import Attempt
from dataflow.queue import jobs

#: Cancelling and stopping wait for a step. How many rows that is is found out: where foreign keys or triggers of other
#: applications are in the way, a single one may take milliseconds.
STEP_SECONDS = 0.25
#: 1,000,000 contacts take a second in steps of 10,000, two to three in steps of 1,000, half a second in a single one.
#: Each attempt begins with the first step again: a larger one of slow rows would be cut as stalled again and again.
FIRST_STEP_ROWS, MAX_STEP_ROWS, MOST_GROWTH = 10, 10_000, 10
#: From an id of an import to the next, on average; see ids.IdRange. So the end of a step need not be looked for.
ID_DISTANCE = 1 << 31


def run(connection: Connection, attempt: Attempt) -> None:
    """Delete what is left of the import and settle the revert as `succeeded`, in transactions of its own.

    Whatever is raised, what earlier steps have deleted stays deleted.

    :raises LeaseLost: when the job is no longer this attempt's.
    :raises DatabaseError: when the database refuses.
    """
    try:
        with db.translated():
            _run(connection, attempt)
    except DataFlowError:
        # Whatever comes of a connection that `cut` has ended, the database is not to blame for it.
        attempt.check()
        raise


def _run(connection: Connection, attempt: Attempt) -> None:
    position, rows, is_done = attempt.job.first_contact_id, FIRST_STEP_ROWS, False
    while not is_done:
        attempt.check()
        began = time.monotonic()
        position, is_done = _step(connection, attempt, position, rows)
        fitting = int(rows * STEP_SECONDS / (time.monotonic() - began))
        rows = max(1, min(fitting, MOST_GROWTH * rows, MAX_STEP_ROWS))


def _step(connection: Connection, attempt: Attempt, position: UUID | None, rows: int) -> tuple[UUID | None, bool]:
    """Delete about the next `rows` contacts from `position` on: where to go on, and whether nothing is left."""
    job = attempt.job
    with connection.transaction():
        connection.execute(query("session/configure_import"))
        end, deleted = _delete(connection, position, job.last_contact_id, rows)
        is_done = end == job.last_contact_id
        counts = {"of_job": job.of_job, "rows": deleted, "is_done": is_done}
        connection.execute(query("jobs/count_reverted"), counts)
        attempt.is_settling = is_done
        jobs.fenced(connection, "jobs/advance_revert", job, position=end, rows=deleted, is_done=is_done)
    attempt.progress.rows_reverted += deleted
    return end, is_done


def _delete(connection: Connection, position: UUID | None, last: UUID | None, rows: int) -> tuple[UUID | None, int]:
    """Up to which id there is no contact any more, `last` at most, and how many were deleted."""
    found = connection.execute(query("contacts/first"), {"position": position, "last": last}).fetchone()
    if found is None or last is None:
        return last, 0
    # Not from `position`: there are gaps, an import of more rows than fit below one time stamp has one of 2**80.
    first: UUID = found["id"]
    end = min(UUID(int=first.int + rows * ID_DISTANCE), last)
    part = {"first": first, "last": end}
    deleted = connection.execute(query("contacts/delete_range"), part).rowcount
    [kept] = connection.execute(query("contacts/count_range"), part).fetchall()
    if kept["row_count"]:
        what = f"{kept['row_count']} of {deleted + kept['row_count']} contacts are still there after they were deleted"
        raise DatabaseError(f"{what}: a trigger or a policy of the table contacts keeps them.")
    return end, deleted
