"""Jobs in the database, as far as a test needs them, and what they have become."""

from typing import Any
from uuid import UUID

from dataflow import db
from dataflow.ids import uuid7
from dataflow.queue import jobs, leases, uploads
from dataflow.queue.jobs import Job
from dataflow.queue.leases import LEASE_SECONDS, LostJob, Sight

UPLOAD = {
    "source": None,
    "file_name": None,
    "object_key": "k.csv",
    "content_type": "text/csv",
    "options": {},
    "request_id": "r",
    "created_by": None,
}
COMPLETE = {
    "source": "s",
    "file_name": "f.csv",
    "content_type": "text/csv",
    "format": "csv",
    "options": {"onInvalid": "skip"},
    "bytes_total": 10,
    "object_etag": "e",
    "digests": [[10, "0" * 64]],
}


def upload(connection: db.Connection) -> UUID:
    job_id = uuid7()
    uploads.insert(connection, {"id": job_id, **UPLOAD})
    return job_id


def enqueue(connection: db.Connection) -> UUID:
    job_id = upload(connection)
    uploads.queue(connection, job_id, COMPLETE)
    return job_id


def claimed(connection: db.Connection) -> Job:
    enqueue(connection)
    job = jobs.claim(connection, "w")
    assert job is not None
    return job


def row(connection: db.Connection, job_id: UUID) -> dict[str, Any]:
    found = connection.execute("SELECT * FROM jobs WHERE id = %s", [job_id]).fetchone()
    assert found is not None
    return found


def set_state(connection: db.Connection, job_id: UUID, state: str) -> None:
    """What a person types into psql."""
    connection.execute("UPDATE jobs SET state = %s WHERE id = %s", [state, job_id])


def reclaim(
    connection: db.Connection, *own: Job, worker: str = "rescuer", is_direct: bool = True, is_settled: bool = True
) -> list[LostJob]:
    """What a worker takes that has seen for long enough which jobs do not beat."""
    ids = [job.id for job in own]
    overdue = [job_id for job_id, _ in leases.overdue(connection, ids, LEASE_SECONDS)]
    return leases.reclaim(connection, Sight(worker, ids, overdue, is_direct, is_settled))
