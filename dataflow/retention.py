"""How long files and finished jobs are kept: the statements that find what is over and write down that it is gone.

A file goes when nothing can need it: of a success at once, of an upload that never became whole as soon as its request
has surely ended, of a failed or cancelled job when its time to be retried is over. A row goes after its file, and
leaves its sums behind. Who calls this and when is left to `sweep` and `web`.

Removing a file holds the lock of its job's row, so that whoever queues the job again meanwhile waits, and then finds
that the file is gone. A file that is removed but not marked, because we died in between, is removed once more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dataflow.db import Connection, query
from dataflow.errors import JobNotFound, JobUnfinished
from dataflow.jobs import FINAL_STATES

#: Removes the object of a key, and what the upload at an address has left of it.
Remove = Callable[[str, str | None], None]

#: Files found, or old rows deleted, by one statement.
BATCH_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Leftover:
    """A job whose file nothing can need any more."""

    id: UUID
    finished_at: datetime  #: tells whether it has been tried again since


def abandon_uploads(connection: Connection, silent_seconds: float) -> list[UUID]:
    """Settle as failed the uploads that nobody has fed for `silent_seconds`; their ids.

    A request that is alive after all loses the guarded statement at its next beat.
    """
    values = {"silent_seconds": silent_seconds}
    return [row["id"] for row in connection.execute(query("abandon_uploads"), values).fetchall()]


def leftovers(connection: Connection, kept_seconds: float, settled_seconds: float) -> list[Leftover]:
    """Jobs whose file can go, those that ended first first, at most BATCH_ROWS.

    `kept_seconds` after their end go the files of failed and cancelled jobs, `settled_seconds` after it those of
    successes and of uploads that never became whole.
    """
    values = {"kept_seconds": kept_seconds, "settled_seconds": settled_seconds, "limit": BATCH_ROWS}
    return [Leftover(**row) for row in connection.execute(query("leftovers"), values).fetchall()]


def remove_file(connection: Connection, leftover: Leftover, remove: Remove) -> bool:
    """Remove the file and mark the job, in a transaction of its own; False when it is not for us (any more).

    Whatever `remove` raises goes on, and then nothing is marked.
    """
    values = {"id": leftover.id, "finished_at": leftover.finished_at}
    with connection.transaction():
        row = connection.execute(query("lock_leftover"), values).fetchone()
        if row is None:
            return False
        remove(row["object_key"], row["upload_url"])
        mark_object_deleted(connection, leftover.id)
    return True


def mark_object_deleted(connection: Connection, job_id: UUID) -> None:
    """Record that the storage has removed the job's object."""
    connection.execute(query("mark_object_deleted"), {"id": job_id})


def forget(connection: Connection, job_id: UUID, remove: Remove) -> None:
    """Remove at once what a finished job keeps of people: its file, its name, and what was said of refused rows.

    In a transaction of its own. Doing it again does no harm; whatever `remove` raises goes on, and nothing is changed.

    :raises JobNotFound: when there is none.
    :raises JobUnfinished: when it has not ended.
    """
    with connection.transaction():
        row = connection.execute(query("lock_job"), {"id": job_id}).fetchone()
        if row is None:
            raise JobNotFound(f"There is no job {job_id}.")
        if row["state"] not in FINAL_STATES:
            raise JobUnfinished(f"Job {job_id} is {row['state']}; cancel it first.")
        if row["object_key"] is not None and row["object_deleted_at"] is None:
            remove(row["object_key"], row["upload_url"])
        connection.execute(query("forget_job"), {"id": job_id})


def delete_old_jobs(connection: Connection, days: int) -> int:
    """Delete jobs that ended more than `days` ago and whose file is gone, at most BATCH_ROWS; how many.

    What counters have published of them goes into the totals in the same statement.
    """
    row = connection.execute(query("delete_old_jobs"), {"days": days, "limit": BATCH_ROWS}).fetchone()
    return int(row["jobs_deleted"]) if row else 0
