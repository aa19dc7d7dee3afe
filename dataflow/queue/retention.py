"""How long files and finished jobs are kept: the statements that find what is over and write down that it is gone.

A job gives its file up before that is removed, so that nobody can queue it again when the removal's answer is lost; a
file that is given up and not marked as deleted is removed once more.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dataflow.db import Connection, query, value
from dataflow.errors import JobError
from dataflow.queue import jobs
from dataflow.queue.scope import Scope

BATCH_ROWS = 1000  #: what one statement finds or deletes
REJECTS_BATCH_ROWS = 20_000  #: a fraction of a second


@dataclass(frozen=True, slots=True)
class Leftover:
    id: UUID
    finished_at: datetime  #: tells whether it has been tried again since


@dataclass(frozen=True, slots=True)
class File:
    object_key: str
    upload_url: str | None
    is_complete: bool = True  #: if not, its request may still be sending


def abandon_uploads(connection: Connection, silent_seconds: float) -> list[UUID]:
    """Settle as failed the uploads that nobody has fed for `silent_seconds`; their ids."""
    values = {"silent_seconds": silent_seconds}
    return [row["id"] for row in connection.execute(query("jobs/abandon_uploads"), values).fetchall()]


def leftovers(
    connection: Connection, kept_seconds: float, settled_seconds: float, after: Leftover | None = None
) -> list[Leftover]:
    """Jobs whose file can go, in the order in which they ended; at most BATCH_ROWS, those that follow `after`."""
    values = {"kept_seconds": kept_seconds, "settled_seconds": settled_seconds, "limit": BATCH_ROWS}
    place = {"after": after and after.finished_at, "after_id": after and after.id}
    return [Leftover(**row) for row in connection.execute(query("jobs/leftovers"), {**values, **place}).fetchall()]


def made_file(connection: Connection, job_id: UUID) -> str | None:
    """The key of what a job has made; None when it is not kept any more."""
    key: str | None = value(connection, "jobs/made_file", id=job_id)
    return key


def give_up_file(connection: Connection, leftover: Leftover) -> File | None:
    """The file to remove once this is committed; None when the job needs it again."""
    values = {"id": leftover.id, "finished_at": leftover.finished_at}
    row = connection.execute(query("jobs/give_up_file"), values).fetchone()
    return File(**row) if row else None


def forget(connection: Connection, job_id: UUID, scope: Scope) -> File | None:
    """Clear what a job keeps of people; returns its file, to be removed once this is committed, unless it is held.

    :raises JobError: job_not_found, or job_unfinished when it has not ended.
    """
    scope.check(connection, job_id)
    row = connection.execute(query("jobs/forget"), {"id": job_id}).fetchone()
    if row is None:
        state = jobs.get(connection, job_id, scope)["state"]
        raise JobError(f"Job {job_id} is {state}; cancel it first.", code="job_unfinished")
    return File(**row) if row["object_key"] is not None else None


def forget_rejects(connection: Connection, job_id: UUID) -> int:
    return connection.execute(query("rejects/forget"), {"id": job_id, "limit": REJECTS_BATCH_ROWS}).rowcount


def mark_object_deleted(connection: Connection, job_id: UUID) -> None:
    connection.execute(query("jobs/mark_object_deleted"), {"id": job_id})


def delete_old_rejects(connection: Connection, days: int) -> int:
    return int(value(connection, "rejects/delete_old", days=days, limit=REJECTS_BATCH_ROWS))


def delete_old_jobs(connection: Connection, days: int) -> int:
    """Those whose file is gone, at most BATCH_ROWS; returns how many."""
    return connection.execute(query("jobs/delete_old"), {"days": days, "limit": BATCH_ROWS}).rowcount
