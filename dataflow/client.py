"""The HTTP client of `dataflow import`: upload a file, wait for its contacts, say how it went."""

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NoReturn
from urllib.parse import quote

import requests
from tqdm import tqdm

from dataflow.errors import RequestError

PIECE_BYTES = 64 * 1024
#: For one send as well as for the answer: the service itself tries for 45 s to store a chunk, and removes it for 8.
UPLOAD_TIMEOUT_SECONDS = 60.0
POLL_TIMEOUT_SECONDS = 10.0
LOST_SECONDS = 60.0  #: an import goes on without us; only after this long without an answer we stop looking
CLAIM_SECONDS = 30.0  #: when to say that no worker has taken the job
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 1.0
#: The environment's proxies lead to other machines, never to this one.
THIS_MACHINE = re.compile(r"https?://(localhost|127\.[\d.]+|\[::1\])(:|/|$)")


def import_file(url: str, path: Path, options: Mapping[str, str], key: str = "") -> int:
    """Import the file through the service at `url`, print what became of it, return the exit code.

    :raises RequestError: when it is refused, or the service cannot be reached.
    """
    job = finished_job(url, path, options, key=key)
    print(summary(job))
    if job["error"] or job["issues"]:
        print(_with_issues(job["error"] or "Refused rows:", job["issues"]), file=sys.stderr)
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
    with requests.Session() as session, closing(_Progress()) as progress:
        session.trust_env = not THIS_MACHINE.match(url)
        if key:
            session.auth = _bearer(key)
        job_id = _upload(session, f"{url.rstrip('/')}/import", path, options, progress)
        return _wait(session, f"{url.rstrip('/')}/jobs/{job_id}", progress, before_look)


def _bearer(key: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """Sends the key; as a header of the session, requests would put what .netrc has in its place.

    :raises RequestError: when no header can carry it: requests would show it.
    """
    if not key.isascii() or not key.isprintable() or " " in key:
        raise RequestError("The key is not one line of ASCII without spaces.")

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {key}"
        return request

    return sign


def _upload(session: requests.Session, url: str, path: Path, options: Mapping[str, str], progress: "_Progress") -> str:
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
            body = _Body(file, progress)
            answer = _ask(session, "POST", url, UPLOAD_TIMEOUT_SECONDS, params=options, data=body, headers=headers)
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}.") from error
    return str(answer["jobId"])


class _Body:
    """A file that is read while it is sent; its length becomes the Content-Length."""

    def __init__(self, file: BinaryIO, progress: "_Progress") -> None:
        self._file, self._progress = file, progress
        self._size_bytes = os.fstat(file.fileno()).st_size

    def __len__(self) -> int:
        return self._size_bytes

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, self._size_bytes, PIECE_BYTES):
            self._progress.show("uploading", start, self._size_bytes, f"{start / 1e6:,.1f} MB")
            yield self._file.read(min(PIECE_BYTES, self._size_bytes - start))
        self._progress.show("uploading", 1, 1, f"{self._size_bytes / 1e6:,.1f} MB")


def _wait(
    session: requests.Session, url: str, progress: "_Progress", before_look: Callable[[], None]
) -> dict[str, Any]:
    answered = time.monotonic()
    pause, claim_deadline = FIRST_PAUSE_SECONDS, answered + CLAIM_SECONDS
    while True:
        before_look()
        try:
            job = _ask(session, "GET", url, POLL_TIMEOUT_SECONDS)
            answered = time.monotonic()
        except RequestError as error:
            if time.monotonic() > answered + LOST_SECONDS:
                raise RequestError(f"{error.message} The import may go on; look at {url} later.") from error
        else:
            progress.show(job["state"], job["bytesDone"], job["bytesTotal"], f"{job['rowsRead']:,} rows")
            if job["finishedAt"]:
                return job
            if job["state"] == "uploading":
                # The storage still makes an object of it.
                claim_deadline = answered + CLAIM_SECONDS
            if job["state"] == "queued" and answered > claim_deadline:
                claim_deadline = float("inf")
                progress.note(f"No worker has taken the job within {CLAIM_SECONDS:g} s. Is one running? Still waiting.")
        time.sleep(pause)
        pause = min(pause * 1.3, LONGEST_PAUSE_SECONDS)


def _ask(session: requests.Session, method: str, url: str, seconds: float, **arguments: Any) -> dict[str, Any]:
    """The service's answer, or a RequestError: its refusal, somebody else's answer, or none within `seconds`."""
    try:
        response = session.request(method, url, timeout=seconds, allow_redirects=False, **arguments)
    except requests.RequestException as error:
        cause: BaseException = error
        while cause.__context__:
            cause = cause.__context__
        reason = getattr(cause, "strerror", None) or cause
        raise RequestError(f"No answer from {url}: {reason}. Is the service running there?") from error
    try:
        answer: dict[str, Any] = response.json()
        refusal = "" if response.ok and answer["jobId"] else _with_issues(answer["error"], answer.get("issues", ()))
    except (ValueError, KeyError, TypeError) as error:
        found = f"{response.status_code} {response.reason}"
        raise RequestError(f"{url} answered {found}, but not as this service does: check the URL.") from error
    if refusal:
        raise RequestError(refusal)
    return answer


def _with_issues(text: str, issues: Sequence[Mapping[str, Any]]) -> str:
    """The text, and below it a line for each issue, such as data[0].email: Invalid email format."""
    lines = [text]
    for issue in issues:
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in issue["path"])
        lines.append(f"{path.lstrip('.')}: {issue['message']}")
    return "\n  ".join(lines)


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


class _Progress:
    """A bar on standard error: redrawn on a terminal, elsewhere a line for each new label."""

    def __init__(self) -> None:
        self._label = ""
        self._bar: tqdm[NoReturn] | None = None

    def show(self, label: str, done: int, total: int | None, detail: str) -> None:
        part = min(done / total, 1.0) if total else 0.0
        form = f"{label:<9} [{{bar:30}}] {{percentage:3.0f}}% {detail}"
        if not sys.stderr.isatty():
            if label != self._label:
                print(tqdm.format_meter(part, 1.0, 0, bar_format=form, ascii=" #"), file=sys.stderr)
        elif self._bar is None:
            # tqdm itself draws nothing on a terminal that does not tell its size.
            columns, rows = shutil.get_terminal_size()
            self._bar = tqdm(
                total=1.0, initial=part, bar_format=form, ascii=" #", miniters=0, ncols=columns, nrows=rows
            )
        else:
            self._bar.bar_format = form
            self._bar.update(part - self._bar.n)
            if label != self._label:
                self._bar.refresh()
        self._label = label

    def note(self, text: str) -> None:
        self.close()
        print(text, file=sys.stderr)

    def close(self) -> None:
        """Leave the bar standing as it is."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None
