"""Who holds a running job, and how it is taken from a worker that is gone.

A worker holds a job by a lease: a heartbeat within LEASE_SECONDS. What it does with the job is left to `jobs`, how
often somebody looks to `recovery`.

Every function runs on the connection it is given, in whatever transaction is open there.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from dataflow.db import Connection, query
from dataflow.queue.jobs import RETRY_BASE_SECONDS, RETRY_MAX_SECONDS

#: Without a confirmed heartbeat for this long, a job is no longer its worker's.
LEASE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class LostJob:
    """A job that was taken from a worker that is gone."""

    id: UUID
    state: str  #: `queued`, or `failed` when its budget is spent
    attempt: int  #: the one that was lost
    failures: int
    losses: int
    request_id: str | None
    worker: str
    backend_pid: int | None
    backend_start: datetime | None
    is_expired: bool  #: found by its lease, so that its backend may still be there


def overdue(connection: Connection, own: list[UUID], silent_seconds: float) -> list[tuple[UUID, int]]:
    """(id, attempt) of running jobs that have not beaten for `silent_seconds` and whose row nobody holds."""
    values = {"own": own, "silent_seconds": silent_seconds}
    return [(row["id"], row["attempt"]) for row in connection.execute(query("jobs/overdue"), values).fetchall()]


@dataclass(frozen=True, slots=True)
class Sight:
    """What one worker knows when it looks for lost jobs."""

    worker: str  #: its name
    own: list[UUID]  #: jobs that run in its process: left alone
    overdue: list[UUID]  #: jobs that it has seen without a beat for longer than between two of them
    is_direct: bool  #: only then does a backend that is gone prove anything
    is_settled: bool  #: its session is old enough for others to be back after a crash of the server


def reclaim(connection: Connection, sight: Sight) -> list[LostJob]:
    """Take the jobs of workers that are gone, and queue them again or, with their budget spent, fail them."""
    delays = {"retry_base_seconds": RETRY_BASE_SECONDS, "retry_max_seconds": RETRY_MAX_SECONDS}
    values = {**asdict(sight), "lease_seconds": LEASE_SECONDS, **delays}
    return [LostJob(**row) for row in connection.execute(query("jobs/reclaim"), values).fetchall()]


def terminate_backend(connection: Connection, lost: LostJob) -> bool:
    """End the server process that still works for a lost job; False when it is gone already, or another's by now.

    :raises psycopg.Error: when this role may not.
    """
    values = {name: getattr(lost, name) for name in ("backend_pid", "backend_start", "worker")}
    row = connection.execute(query("server/terminate_backend"), values).fetchone()
    return bool(row and row["is_terminated"])
