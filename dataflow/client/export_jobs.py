"""`dataflow export --job`: the service writes a file, which is then fetched, also by a later command."""

import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from dataflow.client.download import Damaged, Download
from dataflow.client.exports import report, size
from dataflow.client.following import finished
from dataflow.client.new_file import STANDARD_OUTPUT, free_name, keep, standard_output, told
from dataflow.client.once import post_once
from dataflow.client.patience import Patience, may_pass
from dataflow.client.progress import Progress
from dataflow.client.service import Refused, Service
from dataflow.errors import RequestError

ASK_SECONDS = 30.0


def export_by_job(url: str, path: Path | None, wanted: Mapping[str, str], key: str = "") -> int:
    """Have a file made of the contacts that are wanted, and fetch it; an address stands in no URL.

    :raises RequestError: when it is refused, cannot be made, or cannot be had whole.
    """
    with Service(url, key) as service:
        job_id = post_once(service, "/exports", ASK_SECONDS, Progress().note, json=dict(wanted))["jobId"]
        return _fetched(service, job_id, path)


def resume_export(url: str, path: Path | None, job_id: str, key: str = "") -> int:
    """Fetch the file of an export that was begun, or what is missing of it.

    :raises RequestError: when there is none, or it cannot be had whole.
    """
    with Service(url, key) as service:
        # So that a wrong id is not waited for.
        service.ask("GET", f"/exports/{job_id}", ASK_SECONDS)
        return _fetched(service, job_id, path)


def _fetched(service: Service, job_id: str, path: Path | None) -> int:
    began = time.monotonic()
    with _how_to_go_on(service, job_id, path), closing(Progress()) as progress:
        job = finished(service, job_id, progress)
        progress.close()
        if job["state"] != "succeeded":
            raise _NoFile(f"Export {job_id} {job['state']}: {job['error'] or 'there is no file.'}")
        path = path or free_name(job["fileName"])
        size_bytes = _download(service, job, path, progress)
    report(path, size_bytes, time.monotonic() - began, job["rowsExported"])
    return 0


class _NoFile(RequestError):
    """There will be none."""


def _is_final(error: RequestError) -> bool:
    """Whether what the job has made cannot be had any more."""
    return isinstance(error, Damaged | _NoFile) or (isinstance(error, Refused) and not may_pass(error))


@contextmanager
def _how_to_go_on(service: Service, job_id: str, path: Path | None) -> Iterator[None]:
    """Say it when the command ends before there is a file: the job does not end with it."""
    words = ["dataflow", "export", "--resume", job_id, "--url", service.url, *([str(path)] if path else [])]
    how = f"To go on: {shlex.join(words)}"
    try:
        yield
    except RequestError as error:
        if _is_final(error):
            raise
        raise RequestError(f"{error.message}\n  {how}") from error
    except (KeyboardInterrupt, SystemExit):
        print(f"dataflow: interrupted; the service still has the export. {how}", file=sys.stderr)
        raise


def _download(service: Service, job: dict[str, Any], path: Path, progress: Progress) -> int:
    def show(done_bytes: int, total_bytes: int) -> None:
        progress.show("fetching", done_bytes, total_bytes, size(done_bytes))

    target = standard_output() if path == STANDARD_OUTPUT else _continued_file(path, job["jobId"])
    with target as file:
        download = Download(service, f"/exports/{job['jobId']}/file", file, path != STANDARD_OUTPUT, Patience())
        download.run(show)
    return download.size_bytes


@contextmanager
def _continued_file(path: Path, job_id: str) -> Iterator[BinaryIO]:
    """Beside `path`, under a name that a later command finds, until all of it is there or none of it is of use."""
    part = path.with_name(f".{path.name}.{job_id}.part")
    with told(path):
        try:
            with part.open("r+b" if part.exists() else "x+b") as file:
                yield file
                keep(file)
            part.replace(path)
        except RequestError as error:
            if _is_final(error):
                part.unlink(missing_ok=True)
            raise
