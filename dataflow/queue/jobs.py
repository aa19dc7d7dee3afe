"""The jobs state machine: uploading -> queued -> running -> succeeded | failed | cancelled.

`attempt` is the fencing token and grows with every claim: whoever settles a job or beats for it does so WHERE attempt
AND state = 'running'. Contacts and `succeeded` commit together, so that an overtaken worker rolls its own rows back.
Triggers keep a row legal whoever writes it. Every function but `beat` runs in the transaction that is open.
"""

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from dataflow.db import Connection, limited, query, value
from dataflow.errors import JobError, LeaseLost
from dataflow.queue.progress import Progress
from dataflow.queue.scope import Scope
from dataflow.text import storable_json

FINAL_STATES = ("succeeded", "failed", "cancelled")
STATES = ("uploading", "queued", "running", *FINAL_STATES)
KINDS = ("import", "export", "revert")
RETRY_BASE_SECONDS, RETRY_MAX_SECONDS = 5.0, 600.0  #: the wait after the first failure is doubled up to the last
UNCHARGED_SECONDS = 1800.0  #: for so long a job that finds no connection is not charged
CONNECTIONS_RETRY_MAX_SECONDS = 60.0  #: and waits at most about so long for the next attempt


@dataclass(frozen=True, slots=True)
class Job:
    id: UUID
    kind: str  #: what follows of files is an import's only
    attempt: int  #: the fencing token of this claim
    failures: int  #: charged attempts; with `max_failures` of them the job fails
    max_failures: int
    losses: int  #: workers that died with it; the first is put down to the platform
    source: str
    object_key: str
    bytes_total: int
    format: str | None  #: of an upload whose beginning came in small parts the worker finds it out
    #: [(end_offset, sha256 in hex, or None if nobody knows it)], ascending, the last at bytes_total
    digests: list[tuple[int, str | None]]
    options: dict[str, Any]
    request_id: str | None
    of_job: UUID | None  #: the import that a revert undoes
    first_contact_id: UUID | None  #: of a revert: where it goes on
    last_contact_id: UUID | None
    backend_pid: int | None = None  #: the server process that does the work; None behind a pooler
    content_type: str | None = None
    file_name: str | None = None

    @property
    def runs_alone(self) -> bool:
        """Whether its file may be what kills workers, so that no job may be lost beside it. As in jobs/claim.sql."""
        return self.losses > 1


_JOB_FIELDS = [f.name for f in fields(Job)]
_COUNTS = [f.name for f in fields(Progress) if f.name.startswith(("rows_", "bytes_"))]


def claim(
    connection: Connection,
    worker: str,
    is_direct: bool = True,  #: behind a pooler no backend is recorded
    is_idle: bool = True,  #: only then it may have a job that must run alone
    database_id: str | None = None,  #: where the connection leads, if that is known
) -> Job | None:
    """The job that has been due longest, now `running` for `worker`; on the connection that will do the work."""
    values = {"worker": worker, "is_direct": is_direct, "is_idle": is_idle, "database_id": database_id}
    row = connection.execute(query("jobs/claim"), values).fetchone()
    return Job(**{name: row[name] for name in _JOB_FIELDS}) if row else None


def beat(connection: Connection, job: Job, progress: Progress, seconds: float) -> None:
    """Write a sign of life and the progress, in a transaction of its own that may take `seconds`."""
    try:
        with limited(connection, seconds):
            fenced(connection, "jobs/beat", job, **_counts(progress))
    except psycopg.errors.LockNotAvailable:
        return  # It counts as a beat: nobody can take the job before whoever holds its row lets go.


def note_format(connection: Connection, job: Job, format_name: str) -> None:
    fenced(connection, "jobs/note_format", job, format=format_name)


def succeed(connection: Connection, job: Job, progress: Progress) -> None:
    ids = {"first_contact_id": progress.first_contact_id, "last_contact_id": progress.last_contact_id}
    ids_and_digest = {**ids, "content_sha256": progress.content_sha256}
    fenced(connection, "jobs/succeed", job, **_counts(progress), **_findings(progress), **ids_and_digest)


def end(connection: Connection, job: Job, progress: Progress, state: str, error: str) -> None:
    values = {"state": state, "charge": int(state == "failed"), "error": error}
    fenced(connection, "jobs/settle_failed", job, **values, **_counts(progress), **_findings(progress))


def requeue(connection: Connection, job: Job, delay_seconds: float, charge: int, error: str | None) -> None:
    fenced(connection, "jobs/requeue", job, delay_seconds=delay_seconds, charge=charge, error=error)


def requeue_uncharged(connection: Connection, job: Job, error: str) -> float | None:
    """How many seconds the job waits now; None after UNCHARGED_SECONDS, or when it is no longer this attempt's."""
    values = {"id": job.id, "attempt": job.attempt, "error": error, "uncharged_seconds": UNCHARGED_SECONDS}
    delays = {"least_seconds": RETRY_BASE_SECONDS, "most_seconds": CONNECTIONS_RETRY_MAX_SECONDS}
    seconds: float | None = value(connection, "jobs/requeue_uncharged", **values, **delays)
    return seconds


def _counts(progress: Progress) -> dict[str, int]:
    return {name: getattr(progress, name) for name in _COUNTS}


def _findings(progress: Progress) -> dict[str, Any]:
    issues = storable_json([issue.as_json() for issue in progress.issues])
    return {"issues": Jsonb(issues), "detected": Jsonb(progress.detected())}


def fenced(connection: Connection, name: str, job: Job, **values: Any) -> None:
    """:raises LeaseLost: when the job was cancelled, or is no longer this attempt's."""
    parameters = {"id": job.id, "attempt": job.attempt, **values}
    if connection.execute(query(name), parameters).fetchone() is None:
        raise LeaseLost(f"Job {job.id} was cancelled, or attempt {job.attempt} is no longer the current one.")


def cancel(connection: Connection, job_id: UUID, scope: Scope) -> None:
    """:raises JobError: job_not_found, or job_finished when it has ended."""
    scope.check(connection, job_id)
    if connection.execute(query("jobs/cancel"), {"id": job_id}).fetchone() is None:
        raise JobError(
            f"Job {job_id} has {get(connection, job_id, scope)['state']}; only an unfinished one can stop.",
            code="job_finished",
        )


def retry(connection: Connection, job_id: UUID, scope: Scope) -> None:
    """Queue a failed or cancelled job again, with a new budget.

    :raises JobError: job_not_found, or job_finished when it has succeeded.
    :raises JobError: job_unfinished when it, or another revert of its import, is unfinished.
    :raises JobError: job_held when its file is another database's, object_forgotten when it is not kept, or not whole.
    """
    scope.check(connection, job_id)
    try:
        if connection.execute(query("jobs/retry"), {"id": job_id}).fetchone() is not None:
            return
    except psycopg.errors.UniqueViolation as error:
        raise JobError(
            f"The import of revert {job_id} is being reverted by another job.", code="job_unfinished"
        ) from error
    found = get(connection, job_id, scope)
    if found["state"] == "succeeded":
        raise JobError(f"Job {job_id} has succeeded; there is nothing to try again.", code="job_finished")
    if found["state"] not in FINAL_STATES:
        raise JobError(
            f"Job {job_id} is {found['state']}; only a failed or cancelled one can be tried again.",
            code="job_unfinished",
        )
    if value(connection, "jobs/is_held", id=job_id):
        raise JobError(
            f"Job {job_id} was made in another database, which may need its file: see `dataflow adopt`.",
            code="job_held",
        )
    reason = "was never received as a whole" if found["bytes_total"] is None else "is no longer kept"
    raise JobError(f"The file of job {job_id} {reason}; send it again.", code="object_forgotten")


def get(connection: Connection, job_id: UUID, scope: Scope) -> dict[str, Any]:
    """:raises JobError: job_not_found when there is none."""
    scope.check(connection, job_id)
    row = get_all(connection, [job_id]).get(job_id)
    if row is None:
        raise JobError(f"There is no job {job_id}.", code="job_not_found")
    return row


def get_all(connection: Connection, job_ids: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
    """Those of the jobs that there are, whoever may see them."""
    rows = connection.execute(query("jobs/get"), {"ids": [*job_ids]}).fetchall()
    return {row["job_id"]: row for row in rows}


def page(connection: Connection, scope: Scope, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """At most `limit` jobs behind `cursor`, the newest first; of a `state`, `source` and `kind` if not None."""
    values = {**wanted, "ids": None}
    if not scope.is_all:
        own = scope.of(wanted["source"]).as_values()
        found = connection.execute(query("jobs/list_in_scope"), {**wanted, **own}).fetchall()
        values |= {"state": None, "source": None, "kind": None, "cursor": None, "ids": [row["id"] for row in found]}
    return connection.execute(query("jobs/list"), values).fetchall()


def sent_by(connection: Connection, created_by: str | None, job_ids: list[UUID]) -> set[UUID]:
    """Those of the jobs that a key or token has made."""
    rows = connection.execute(query("jobs/sent_by"), {"ids": job_ids, "created_by": created_by}).fetchall()
    return {row["id"] for row in rows}
