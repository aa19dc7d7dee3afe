"""What the benchmarks run on: a migrated database of their own, local storage, and jobs put in as `receive` does."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from dataflow import db
from dataflow.config import Config
from dataflow.ids import uuid7
from dataflow.local.postgres import EmbeddedPostgres
from dataflow.queue import uploads
from dataflow.storage.base import Storage
from dataflow.storage.registry import open_storage
from tests.bench.sample import LAYOUTS, SOURCE
from tests.support.objects import store
from tests.support.waiting import eventually

IMPORT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Upload:
    """An object that is stored, and what is still to be written into its job's row."""

    job_id: UUID
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rig:
    """A database and a storage, the variables with which our processes find both, a folder for files."""

    folder: Path
    variables: dict[str, str]
    connection: db.Connection
    storage: Storage

    def upload(self, format_name: str, pieces: Iterable[bytes]) -> Upload:
        """Store an object and write down its job; not queued yet."""
        upload, key = Upload(uuid7(), {}), f"{uuid7()}.{format_name}"
        media_type, options = LAYOUTS[format_name].media_type, {"onInvalid": "skip", "useResumable": False}
        known = {"source": SOURCE, "file_name": None, "content_type": media_type, "options": options}
        uploads.insert(
            self.connection, {"id": upload.job_id, "object_key": key, "request_id": None, "created_by": None, **known}
        )
        digest, size_bytes = hashlib.sha256(), 0

        def counted() -> Iterator[bytes]:
            nonlocal size_bytes
            for piece in pieces:
                digest.update(piece)
                size_bytes += len(piece)
                yield piece

        stored = store(self.storage, key, counted(), media_type)
        found = {"object_etag": stored.etag, "bytes_total": size_bytes, "digests": [[size_bytes, digest.hexdigest()]]}
        upload.values.update(**known, **found, format=format_name)
        return upload

    def queue(self, upload: Upload) -> None:
        """Make the upload due; committed when this returns."""
        uploads.queue(self.connection, upload.job_id, upload.values)

    def succeeded_job(self, upload: Upload, rows: int) -> dict[str, Any]:
        """The job's row, which must have succeeded with `rows` contacts, as soon as nothing is left to do for it."""

        def settled() -> dict[str, Any] | None:
            job = self.job(upload)
            assert job["state"] in ("queued", "running", "succeeded"), f"it ended: {job['state']}, {job['error']}"
            return job if job["object_deleted_at"] else None

        job = eventually(settled, IMPORT_SECONDS)
        assert job["rows_imported"] == rows, f"{job['rows_imported']} of {rows} rows"
        return job

    def job(self, upload: Upload) -> dict[str, Any]:
        row = self.connection.execute("SELECT * FROM jobs WHERE id = %s", [upload.job_id]).fetchone()
        assert row, f"job {upload.job_id} is gone"
        return row

    def value(self, statement: str) -> Any:
        """The one value that a statement gives."""
        row = self.connection.execute(statement.encode()).fetchone()
        assert row
        return next(iter(row.values()))

    def empty_contacts(self) -> None:
        """Bring table, index and write-ahead log back to the same beginning."""
        self.connection.execute("TRUNCATE contacts")
        self.connection.execute("CHECKPOINT")

    def forget_queued(self) -> list[int]:
        """Remove the jobs that no worker has taken, and their objects; return the sizes in bytes."""
        rows = self.connection.execute("DELETE FROM jobs WHERE state = 'queued' RETURNING object_key, bytes_total")
        removed = rows.fetchall()
        for row in removed:
            self.storage.delete(row["object_key"])
        return [row["bytes_total"] for row in removed]


@contextmanager
def open_rig() -> Iterator[Rig]:
    """A rig on TEST_DATABASE_URL's server, else on an embedded one as durable as Postgres is by default."""
    for name in Config.__dataclass_fields__:
        os.environ.pop(name.upper(), None)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dataflow-bench-")))
        given = os.environ.get("TEST_DATABASE_URL")
        server = given or stack.enter_context(EmbeddedPostgres(folder / "server")).url
        url = stack.enter_context(_new_database(server))
        variables = {"DATABASE_URL": url, "DATA_DIR": str(folder / "state")}
        connection = stack.enter_context(closing(db.connect(url, "bench")))
        yield Rig(folder, variables, connection, open_storage(Config.from_env(variables)))


@contextmanager
def _new_database(server: str) -> Iterator[str]:
    name = f"dataflow_bench_{os.getpid()}"
    with closing(db.connect(server, "bench")) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
            db.migrate(url)
            yield url
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
