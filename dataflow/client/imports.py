"""`dataflow import`: upload a file, wait for its contacts, say how it went."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from dataflow.client.following import finished
from dataflow.client.once import post_once
from dataflow.client.progress import Progress
from dataflow.client.service import Service, with_issues
from dataflow.errors import RequestError

PIECE_BYTES = 64 * 1024
#: For one send as well as for the answer: the service itself tries for 45 s to store a chunk, and removes it for 8.
UPLOAD_TIMEOUT_SECONDS = 60.0


def import_file(url: str, path: Path, options: Mapping[str, str], key: str = "") -> int:
    """Import the file through the service at `url`, print what became of it, return the exit code.

    :raises RequestError: when it is refused, or the service cannot be reached.
    """
    job = finished_job(url, path, options, key=key)
    print(summary(job))
    if job["error"] or job["issues"]:
        print(with_issues(job["error"] or "Refused rows:", job["issues"]), file=sys.stderr)
    if job["rowsRejected"]:
        print(f"To correct and send again: {url.rstrip('/')}/jobs/{job['jobId']}/rejects?format=csv", file=sys.stderr)
    return 0 if job["state"] == "succeeded" else 1


def finished_job(
    url: str, path: Path, options: Mapping[str, str], before_look: Callable[[], None] = lambda: None, key: str = ""
) -> dict[str, Any]:
    """Upload the file, wait for its job however long it takes, and return it as GET /jobs/{id} shows it.

    The options include the source. `before_look` is called before each look at the job; it ends the wait by raising.

    :raises RequestError: when the import is refused, or the service cannot be reached.
    """
    with Service(url, key) as service, closing(Progress()) as progress:
        job_id = _upload(service, path, options, progress)
        try:
            return finished(service, job_id, progress, before_look)
        except KeyboardInterrupt:
            where = f"{service.url}/jobs/{job_id}"
            progress.note(f"dataflow: interrupted; the import goes on without us, see {where}")
            raise


def _upload(service: Service, path: Path, options: Mapping[str, str], progress: Progress) -> str:
    try:
        if not path.is_file():
            raise RequestError(f"{path}: there is no such file (folders and pipes cannot be uploaded).")
        # A body that is declared as JSON would be refused as a whole for one bad row.
        name = quote(path.name, safe="", errors="replace")
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        }
        with path.open("rb") as file, closing(progress):
            body, seconds = _Body(file, progress), UPLOAD_TIMEOUT_SECONDS
            answer = post_once(service, "/import", seconds, progress.note, headers, params=options, data=body)
            return str(answer["jobId"])
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}.") from error


class _Body:
    """A file that is read while it is sent; its length becomes the Content-Length."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file, self._progress = file, progress
        self._size_bytes = os.fstat(file.fileno()).st_size

    def __len__(self) -> int:
        return self._size_bytes

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        for start in range(0, self._size_bytes, PIECE_BYTES):
            self._progress.show("uploading", start, self._size_bytes, f"{start / 1e6:,.1f} MB")
            yield self._file.read(min(PIECE_BYTES, self._size_bytes - start))
        self._progress.show("uploading", 1, 1, f"{self._size_bytes / 1e6:,.1f} MB")


def summary(job: Mapping[str, Any]) -> str:
    """What became of a job, in one line; its time is that of the import, without upload and queue."""
    times = [datetime.fromisoformat(job[name]) for name in ("startedAt", "finishedAt") if job[name]]
    seconds = (times[-1] - times[0]).total_seconds()
    counts = f"{job['rowsImported']:,} rows imported, {job['rowsRejected']:,} rejected"
    others = {"updated": "rowsUpdated", "skipped": "rowsSkipped", "not imported": "rowsNotImported"}
    counts += "".join(f", {job[name]:,} {what}" for what, name in others.items() if job[name])
    if would := job["detected"].get("dryRun"):
        told = "would be {rowsImported:,} imported, {rowsUpdated:,} updated, {rowsSkipped:,} skipped"
        counts += f" ({told.format(**would)})"
    rate = max(job["rowsRead"], job["rowsImported"]) / max(seconds, 0.001)
    return f"Job {job['jobId']} {job['state']}: {counts} in {seconds:.2f} s ({rate:,.0f} rows/s)"
