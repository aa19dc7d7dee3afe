"""Undoing an import: `order` queues the job, `RevertHandler` deletes the contacts, however often it is interrupted.

A step deletes a part of the import's range of ids and writes down, in the same transaction and fenced, how far it came:
each contact is counted once whatever dies, and another attempt goes on from there. Contacts are known by their ids
alone, as other applications may have changed all the rest.

Why it is so: one transaction for all would begin again whenever it is interrupted, and keep other applications from its
rows until its end. 1,000,000 contacts take a second in steps of 10,000, two to three in steps of 1,000. The ranges of
two imports of 1,000,000 rows that begin in the same millisecond overlap once in two million times.
"""

import time
from dataclasses import dataclass
from uuid import UUID

from dataflow import db
from dataflow.db import Connection, query
from dataflow.errors import DatabaseError, DataFlowError, JobError
from dataflow.ids import uuid7
from dataflow.queue import jobs
from dataflow.queue.attempt import Attempt
from dataflow.queue.handler import Handler
from dataflow.queue.progress import Progress
from dataflow.queue.scope import Scope

STEP_SECONDS = 0.25  #: cancelling and stopping wait for a step
#: With foreign keys or triggers of other applications a row may take milliseconds, so each attempt begins small again.
FIRST_STEP_ROWS, MAX_STEP_ROWS, MOST_GROWTH = 10, 10_000, 10
ID_DISTANCE = 1 << 31  #: from an id of an import to the next, on average; see ids.IdRange


def order(
    connection: Connection, job_id: UUID, scope: Scope, request_id: str | None = None, created_by: str | None = None
) -> UUID:
    """Queue a revert of an import; the id of that, or of the one that is unfinished or has undone the import already.

    :raises JobError: job_not_found when there is no such job.
    :raises JobError: not_revertible when it is no import that has succeeded.
    """
    scope.check(connection, job_id)
    found = connection.execute(query("jobs/lock"), {"id": job_id}).fetchone()
    if found is None:
        raise JobError(f"There is no job {job_id}.", code="job_not_found")
    if (found["kind"], found["state"]) != ("import", "succeeded"):
        what = found["state"] if found["kind"] == "import" else f"a job of kind {found['kind']}"
        raise JobError(
            f"Job {job_id} is {what}; only an import that has succeeded can be reverted.", code="not_revertible"
        )
    if found["is_dry_run"]:
        raise JobError(f"Job {job_id} was a dry run: there is nothing to undo.", code="not_revertible")
    values = {"id": uuid7(), "of_job": job_id, "request_id": request_id, "created_by": created_by}
    while True:
        # Once more when somebody has queued an old one between the two.
        for name in ("jobs/find_revert", "jobs/insert_revert"):
            row = connection.execute(query(name), values).fetchone()
            if row is not None:
                revert_id: UUID = row["id"]
                return revert_id


@dataclass(slots=True)
class RevertProgress(Progress):
    rows_reverted: int = 0  #: contacts that this attempt has deleted

    @property
    def position(self) -> tuple[int, ...]:
        return (self.rows_reverted,)


class RevertHandler(Handler):
    """Whatever is raised, what earlier steps have deleted stays deleted."""

    progress: RevertProgress

    def __init__(self, attempt: Attempt, *_: object) -> None:
        super().__init__(attempt, RevertProgress())

    @property
    def subject(self) -> dict[str, object]:
        return {"of_job": str(self.attempt.job.of_job)}

    @property
    def counts(self) -> dict[str, int]:
        return {"reverted": self.progress.rows_reverted}

    def run(self, connection: Connection) -> None:
        """:raises LeaseLost, DatabaseError: when the job is no longer this attempt's; when the database refuses."""
        try:
            with db.translated():
                self._run(connection)
        except DataFlowError:
            # Whatever comes of a connection that `cut` has ended, the database is not to blame for it.
            self.attempt.check()
            raise

    def _run(self, connection: Connection) -> None:
        position, rows, is_done = self.attempt.job.first_contact_id, FIRST_STEP_ROWS, False
        while not is_done:
            self.attempt.check()
            began = time.monotonic()
            position, is_done = self._step(connection, position, rows)
            fitting = int(rows * STEP_SECONDS / (time.monotonic() - began))
            rows = max(1, min(fitting, MOST_GROWTH * rows, MAX_STEP_ROWS))

    def _step(self, connection: Connection, position: UUID | None, rows: int) -> tuple[UUID | None, bool]:
        """Delete about `rows` contacts from `position` on; returns where to go on, and whether nothing is left."""
        job = self.attempt.job
        with connection.transaction():
            connection.execute(query("session/configure_import"))
            end, deleted = _delete(connection, position, job.last_contact_id, rows)
            is_done = end == job.last_contact_id
            counts = {"of_job": job.of_job, "rows": deleted, "is_done": is_done}
            connection.execute(query("jobs/count_reverted"), counts)
            self.attempt.is_settling = is_done
            jobs.fenced(connection, "jobs/advance_revert", job, position=end, rows=deleted, is_done=is_done)
        self.progress.rows_reverted += deleted
        return end, is_done


def _delete(connection: Connection, position: UUID | None, last: UUID | None, rows: int) -> tuple[UUID | None, int]:
    """Up to which id there is no contact any more, and how many were deleted."""
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
