"""The jobs state machine: what a job is, and the statements that change one whose body is there.

    uploading -> queued -> running -> succeeded | failed | cancelled

`attempt` is the fencing token: it grows with every claim and never falls. Whoever settles a job (success, failure,
requeue, heartbeat) does so WHERE id AND attempt AND state = 'running'; no row means that the job was cancelled or
belongs to another attempt: LeaseLost, and nothing of this one may be kept. Contacts and `succeeded` commit together, so
a zombie that is overtaken rolls its own rows back. Triggers keep a row legal whoever writes it, see
sql/migrations/0007_job_triggers.sql.

`failures` is the retry budget, `losses` counts the workers that died with the job: the first is put down to the
platform, from the second on the job runs alone. Jobs whose body arrives are left to `uploads`, those of workers that
are gone to `leases`, undoing an import to `imports.reverts`, what becomes of files and of old rows to `retention`.

Every function runs on the connection it is given, in whatever transaction is open there; `beat` has one of its own.
"""

from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from dataflow.db import Connection, limited, query, value
from dataflow.errors import JobFinished, JobHeld, JobNotFound, JobUnfinished, LeaseLost, ObjectForgotten
from dataflow.queue.progress import Progress
from dataflow.text import storable_json

FINAL_STATES = ("succeeded", "failed", "cancelled")
STATES = ("uploading", "queued", "running", *FINAL_STATES)
#: Waits before another attempt: the first, doubled for each failure up to the last, half to one and a half of it.
RETRY_BASE_SECONDS, RETRY_MAX_SECONDS = 5.0, 600.0
#: A job that finds no connection is not charged for so long, and waits at most about so long for the next attempt.
UNCHARGED_SECONDS, CONNECTIONS_RETRY_MAX_SECONDS = 1800.0, 60.0


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job, as its worker needs it."""

    id: UUID
    kind: str  #: `import` or `revert`; what follows of files and formats is an import's only
    attempt: int  #: the fencing token of this claim
    failures: int
    max_failures: int
    losses: int  #: workers that died with it
    source: str
    object_key: str
    bytes_total: int
    format: str
    digests: list[tuple[int, str]]  #: [(end_offset, sha256 in hex)], ascending, the last at bytes_total
    options: dict[str, Any]
    request_id: str | None
    of_job: UUID | None  #: the import that a revert undoes
    first_contact_id: UUID | None  #: of a revert: where it goes on
    last_contact_id: UUID | None
    backend_pid: int | None = None  #: the server process that does the work; None behind a pooler

    @property
    def runs_alone(self) -> bool:
        """Whether its file may kill workers, so that no other job may be lost with it; as in jobs/claim.sql."""
        return self.losses > 1


_JOB_FIELDS = [f.name for f in fields(Job)]


def claim(
    connection: Connection,
    worker: str,
    is_direct: bool = True,
    is_idle: bool = True,
    database_id: str | None = None,
) -> Job | None:
    """The job that has been due longest, now `running` for `worker`; None when none is due.

    Call it on the connection that will do the work, and commit at once. `is_direct`:
    no pooler is between us and the server, so that the backend may be recorded. `is_idle`: nothing else runs in this
    worker, so that it may have a job that must run alone. `database_id`: where the connection leads, if that is known.
    """
    values = {"worker": worker, "is_direct": is_direct, "is_idle": is_idle, "database_id": database_id}
    row = connection.execute(query("jobs/claim"), values).fetchone()
    return Job(**{name: row[name] for name in _JOB_FIELDS}) if row else None


def beat(connection: Connection, job: Job, progress: Progress, seconds: float) -> None:
    """Write a sign of life and the progress of a running job, in a transaction of its own that may take `seconds`.

    A row that is locked counts as a beat: nobody can take the job before its own final commit, or whatever else holds
    the row, is over.
    """
    try:
        with limited(connection, seconds):
            fenced(
                connection,
                "jobs/beat",
                job,
                rows_read=progress.rows_read,
                rows_imported=progress.rows_imported,
                rows_rejected=progress.rows_rejected,
                bytes_done=progress.bytes_done,
            )
    except psycopg.errors.LockNotAvailable:
        return


def succeed(connection: Connection, job: Job, progress: Progress) -> None:
    """Settle the job as `succeeded`: the last statement of the transaction that copied its contacts."""
    fenced(
        connection,
        "jobs/succeed",
        job,
        rows_imported=progress.rows_imported,
        rows_updated=progress.rows_updated,
        rows_skipped=progress.rows_skipped,
        rows_not_imported=progress.rows_not_imported,
        first_contact_id=progress.first_contact_id,
        last_contact_id=progress.last_contact_id,
        **_findings(progress),
    )


def end(connection: Connection, job: Job, progress: Progress, state: str, error: str) -> None:
    """Settle the job as `failed`, or as `cancelled` without a charge, with what the attempt found out."""
    values = {"state": state, "charge": int(state == "failed"), "error": error}
    fenced(connection, "jobs/settle_failed", job, **values, **_findings(progress))


def requeue(connection: Connection, job: Job, delay_seconds: float, charge: int, error: str | None) -> None:
    """Hand the job on, `charge` (0 or 1) added to its failures, not before `delay_seconds` from now."""
    fenced(connection, "jobs/requeue", job, delay_seconds=delay_seconds, charge=charge, error=error)


def requeue_uncharged(connection: Connection, job: Job, error: str) -> float | None:
    """Hand on, without a charge, a job whose attempt failed because there were too many connections.

    It waits the longer the more often that happens, and is not charged for UNCHARGED_SECONDS since the first time.

    :returns: how many seconds it waits; None when that time is over, or the job no longer this attempt's.
    """
    values = {"id": job.id, "attempt": job.attempt, "error": error, "uncharged_seconds": UNCHARGED_SECONDS}
    delays = {"least_seconds": RETRY_BASE_SECONDS, "most_seconds": CONNECTIONS_RETRY_MAX_SECONDS}
    seconds: float | None = value(connection, "jobs/requeue_uncharged", **values, **delays)
    return seconds


def _findings(progress: Progress) -> dict[str, Any]:
    return {
        "rows_read": progress.rows_read,
        "rows_rejected": progress.rows_rejected,
        "bytes_done": progress.bytes_done,
        "issues": Jsonb(storable_json([issue.as_json() for issue in progress.issues])),
        "detected": Jsonb(progress.detected()),
    }


def fenced(connection: Connection, name: str, job: Job, **values: Any) -> None:
    """Run the statement `name` WHERE the job is still this attempt's.

    :raises LeaseLost: when it is not.
    """
    parameters = {"id": job.id, "attempt": job.attempt, **values}
    if connection.execute(query(name), parameters).fetchone() is None:
        raise LeaseLost(f"Job {job.id} was cancelled, or attempt {job.attempt} is no longer the current one.")


def cancel(connection: Connection, job_id: UUID) -> None:
    """Stop a job that has not ended; whoever works on it finds out at its next heartbeat, and keeps nothing.

    :raises JobNotFound: when there is none.
    :raises JobFinished: when it has ended.
    """
    if connection.execute(query("jobs/cancel"), {"id": job_id}).fetchone() is None:
        raise JobFinished(f"Job {job_id} has {get(connection, job_id)['state']}; only an unfinished one can stop.")


def retry(connection: Connection, job_id: UUID) -> None:
    """Queue a failed or cancelled job again, with a new budget.

    :raises JobNotFound: when there is none.
    :raises JobFinished, JobUnfinished: when it has succeeded; when it, or another revert of its import, is unfinished.
    :raises JobHeld: when it is an import that was made in another database.
    :raises ObjectForgotten: when its file is no longer kept, or was never received as a whole.
    """
    try:
        if connection.execute(query("jobs/retry"), {"id": job_id}).fetchone() is not None:
            return
    except psycopg.errors.UniqueViolation as error:
        raise JobUnfinished(f"The import of revert {job_id} is being reverted by another job.") from error
    found = get(connection, job_id)
    if found["state"] == "succeeded":
        raise JobFinished(f"Job {job_id} has succeeded; there is nothing to try again.")
    if found["state"] not in FINAL_STATES:
        raise JobUnfinished(f"Job {job_id} is {found['state']}; only a failed or cancelled one can be tried again.")
    if value(connection, "jobs/is_held", id=job_id):
        raise JobHeld(f"Job {job_id} was made in another database, which may need its file: see `dataflow adopt`.")
    reason = "was never received as a whole" if found["bytes_total"] is None else "is no longer kept"
    raise ObjectForgotten(f"The file of job {job_id} {reason}; send it again.")


def get(connection: Connection, job_id: UUID) -> dict[str, Any]:
    """What a client may know of one job: columns in the order of the table, snake_case.

    :raises JobNotFound: when there is none.
    """
    row = connection.execute(query("jobs/get"), {"id": job_id}).fetchone()
    if row is None:
        raise JobNotFound(f"There is no job {job_id}.")
    return row


def page(
    connection: Connection, limit: int, state: str | None, source: str | None, cursor: UUID | None
) -> list[dict[str, Any]]:
    """At most `limit` jobs, newest first, older than `cursor`; without their issues."""
    values = {"limit": limit, "state": state, "source": source, "cursor": cursor}
    return connection.execute(query("jobs/list"), values).fetchall()
