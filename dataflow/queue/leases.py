"""How a job is taken from a worker that is gone: a worker holds it by a heartbeat within LEASE_SECONDS."""

from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from dataflow.db import Connection, query
from dataflow.queue.jobs import RETRY_BASE_SECONDS, RETRY_MAX_SECONDS

LEASE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class LostJob:
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
    worker: str  #: its name
    own: list[UUID]  #: jobs that run in its process: left alone
    overdue: list[UUID]  #: jobs that it has watched without a beat for longer than between two beats
    is_direct: bool  #: only then does a backend that is gone prove anything
    is_settled: bool  #: its session is old enough for others to be back after a crash of the server


def reclaim(connection: Connection, sight: Sight) -> list[LostJob]:
    """Queue the jobs of workers that are gone again or, with their budget spent, fail them."""
    delays = {"retry_base_seconds": RETRY_BASE_SECONDS, "retry_max_seconds": RETRY_MAX_SECONDS}
    values = {**asdict(sight), "lease_seconds": LEASE_SECONDS, **delays}
    return [LostJob(**row) for row in connection.execute(query("jobs/reclaim"), values).fetchall()]


def terminate_backend(connection: Connection, lost: LostJob) -> bool:
    """:raises psycopg.Error: when this role may not."""
    values = {name: getattr(lost, name) for name in ("backend_pid", "backend_start", "worker")}
    row = connection.execute(query("server/terminate_backend"), values).fetchone()
    return bool(row and row["is_terminated"])
