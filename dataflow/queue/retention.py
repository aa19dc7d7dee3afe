"""How long files and finished jobs are kept: the statements that find what is over and write down that it is gone.

A file goes when nothing can need it: of a success at once, of an upload that never became whole as soon as its request
has surely ended, of a failed or cancelled job when its time to be retried is over. A row goes after its file, and
leaves its sums behind. Removing the file itself is left to whoever calls this.

A job gives its file up before that is removed: once this is committed nobody can queue the job again, also when the
removal's answer is lost. One that is given up and not marked as deleted is removed once more.

Files of jobs that were made in another database are never over here: see `database_identity`.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dataflow.db import Connection, query, value
from dataflow.errors import JobUnfinished
from dataflow.queue import jobs

#: Files found, or old rows deleted, by one statement.
BATCH_ROWS = 1000
#: Refused rows deleted by one statement: a fraction of a second.
REJECTS_BATCH_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Leftover:
    """A job whose file nothing can need any more."""

    id: UUID
    finished_at: datetime  #: tells whether it has been tried again since


@dataclass(frozen=True, slots=True)
class File:
    """What `Storage.discard` has to remove."""

    object_key: str
    upload_url: str | None
    is_complete: bool = True  #: if not, its request may still be sending


def abandon_uploads(connection: Connection, silent_seconds: float) -> list[UUID]:
    """Settle as failed the uploads that nobody has fed for `silent_seconds`; their ids.

    A request that is alive after all loses the guarded statement at its next beat.
    """
    values = {"silent_seconds": silent_seconds}
    return [row["id"] for row in connection.execute(query("jobs/abandon_uploads"), values).fetchall()]


def leftovers(
    connection: Connection, kept_seconds: float, settled_seconds: float, after: Leftover | None = None
) -> list[Leftover]:
    """Jobs whose file can go, in the order in which they ended, at most BATCH_ROWS; those that follow `after`.

    `kept_seconds` after their end go the files of failed and cancelled jobs, `settled_seconds` after it those of
    successes, of uploads that never became whole, and what is left of forgotten jobs.
    """
    values = {"kept_seconds": kept_seconds, "settled_seconds": settled_seconds, "limit": BATCH_ROWS}
    place = {"after": after and after.finished_at, "after_id": after and after.id}
    return [Leftover(**row) for row in connection.execute(query("jobs/leftovers"), {**values, **place}).fetchall()]


def give_up_file(connection: Connection, leftover: Leftover) -> File | None:
    """The file to remove once this is committed; None when it is not to be (any more)."""
    values = {"id": leftover.id, "finished_at": leftover.finished_at}
    row = connection.execute(query("jobs/give_up_file"), values).fetchone()
    return File(**row) if row else None


def forget(connection: Connection, job_id: UUID) -> File | None:
    """Clear what a finished job keeps of people: the name of its file, and what was said of its rows.

    The rows themselves go next, by `forget_rejects`, and the file once this is committed; None when it is gone already,
    or is not to go because the job is held.

    :raises JobNotFound: when there is no such job.
    :raises JobUnfinished: when it has not ended.
    """
    row = connection.execute(query("jobs/forget"), {"id": job_id}).fetchone()
    if row is None:
        state = jobs.get(connection, job_id)["state"]
        raise JobUnfinished(f"Job {job_id} is {state}; cancel it first.")
    return File(**row) if row["object_key"] is not None else None


def forget_rejects(connection: Connection, job_id: UUID) -> int:
    """Delete refused rows of a forgotten job, at most REJECTS_BATCH_ROWS; how many."""
    return connection.execute(query("rejects/forget"), {"id": job_id, "limit": REJECTS_BATCH_ROWS}).rowcount


def mark_object_deleted(connection: Connection, job_id: UUID) -> None:
    """Record that the storage has removed the job's object."""
    connection.execute(query("jobs/mark_object_deleted"), {"id": job_id})


def delete_old_rejects(connection: Connection, days: int) -> int:
    """Delete the refused rows of jobs that are to be deleted, at most REJECTS_BATCH_ROWS; how many."""
    return int(value(connection, "rejects/delete_old", days=days, limit=REJECTS_BATCH_ROWS))


def delete_old_jobs(connection: Connection, days: int) -> int:
    """Delete jobs that ended more than `days` ago and whose file is gone, at most BATCH_ROWS; how many.

    What counters have published of them stays.
    """
    return connection.execute(query("jobs/delete_old"), {"days": days, "limit": BATCH_ROWS}).rowcount
