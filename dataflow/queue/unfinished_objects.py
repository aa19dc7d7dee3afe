"""Objects that attempts at jobs write into the storage: known before anything is sent, so that none is left behind.

Each attempt has a key of its own, so that two never write one object. Whoever succeeds takes his with the job, in one
transaction; of all others the sweep finds that their attempt is over.
"""

from dataclasses import dataclass

from dataflow.db import Connection, query
from dataflow.queue import jobs
from dataflow.queue.jobs import Job

BATCH_ROWS = 1000


@dataclass(frozen=True, slots=True)
class UnfinishedObject:
    object_key: str
    upload_url: str | None


def note(connection: Connection, job: Job, object_key: str, upload_url: str | None = None) -> None:
    """:raises LeaseLost: when the job is no longer this attempt's."""
    jobs.fenced(connection, "unfinished_objects/note", job, object_key=object_key, upload_url=upload_url)


def take(connection: Connection, object_key: str) -> None:
    """In the transaction in which the job names it."""
    connection.execute(query("unfinished_objects/take"), {"object_key": object_key})


def mark_ended(connection: Connection) -> None:
    connection.execute(query("unfinished_objects/mark_ended"))


def ended(connection: Connection, after: UnfinishedObject | None = None) -> list[UnfinishedObject]:
    """Those of attempts that are over, by key; at most BATCH_ROWS, those that follow `after`."""
    values = {"after": after and after.object_key, "limit": BATCH_ROWS}
    return [UnfinishedObject(**row) for row in connection.execute(query("unfinished_objects/ended"), values).fetchall()]


def forget(connection: Connection, found: UnfinishedObject, settled_seconds: float) -> bool:
    """After it was removed; False when something of it may still come, and it has to be removed once more."""
    values = {"object_key": found.object_key, "settled_seconds": settled_seconds}
    return connection.execute(query("unfinished_objects/forget"), values).fetchone() is not None
