"""A job while its body arrives. All but `insert` raise UploadTaken when it was cancelled, or given up by the sweep."""

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from dataflow.db import Connection, query
from dataflow.errors import UploadTaken


def insert(connection: Connection, values: dict[str, Any]) -> None:
    connection.execute(query("jobs/insert_upload"), {**values, "options": Jsonb(values["options"])})


def beat(
    connection: Connection, job_id: UUID, bytes_done: int, upload_url: str | None, error: str | None = None
) -> None:
    """Show that the body is still arriving, and where in the storage it goes; or what has gone wrong with it."""
    values = {"bytes_done": bytes_done, "upload_url": upload_url, "error": error}
    guarded(connection, "jobs/beat_upload", job_id, values)


def queue(connection: Connection, job_id: UUID, values: dict[str, Any]) -> None:
    guarded(connection, "jobs/queue_upload", job_id, _complete(values))


def await_object(connection: Connection, job_id: UUID, values: dict[str, Any]) -> None:
    """Write down all that queueing needs but the object, which the storage still makes of a body that is there."""
    guarded(connection, "jobs/await_object", job_id, _complete(values))


def _complete(values: dict[str, Any]) -> dict[str, Any]:
    """The digest of the only request that delivered bytes is that of the content."""
    digests = values["digests"]
    content_sha256 = digests[0][1] if len(digests) == 1 else None
    documents = {"options": Jsonb(values["options"]), "digests": Jsonb(digests)}
    return {**values, **documents, "content_sha256": content_sha256}


def discard(connection: Connection, job_id: UUID) -> None:
    """Remove the row of a refused request; after UploadTaken its object is somebody else's to delete."""
    guarded(connection, "jobs/discard_upload", job_id, {})


def guarded(connection: Connection, name: str, job_id: UUID, values: dict[str, Any]) -> None:
    if connection.execute(query(name), {"id": job_id, **values}).fetchone() is None:
        raise UploadTaken(f"Job {job_id} was cancelled while its body was arriving; nothing was imported.")
