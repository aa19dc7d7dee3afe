"""A job is followed until it has ended, however long that takes and however often the service is away meanwhile."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from dataflow.client.looks import looks
from dataflow.client.patience import is_no
from dataflow.client.progress import Progress
from dataflow.client.service import Service
from dataflow.errors import RequestError

LOST_SECONDS = 60.0  #: a job goes on without us; only after this long without an answer we stop looking
CLAIM_SECONDS = 30.0  #: when to say that no worker has taken the job


def finished(
    service: Service, job_id: str, progress: Progress, before_look: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """The job once it has ended. `before_look` is called before each look at it, and ends the wait by raising.

    :raises RequestError: when the service stays away, or does not show it.
    """
    answered = time.monotonic()
    claim_deadline = answered + CLAIM_SECONDS
    before_look()
    with closing(looks(service, job_id)) as found:
        for look in found:
            now = time.monotonic()
            if isinstance(look, RequestError) and is_no(look):
                raise look
            if isinstance(look, RequestError) and now > answered + LOST_SECONDS:
                url = f"{service.url}/jobs/{job_id}"
                raise RequestError(f"{look.message} The job may go on; look at {url} later.") from look
            if isinstance(look, dict):
                answered = now
                progress.show(look["state"], look["bytesDone"], look["bytesTotal"], f"{_rows(look):,} rows")
                if look["finishedAt"]:
                    return look
                if look["state"] != "queued":
                    # The storage may still make an object of it.
                    claim_deadline = now + CLAIM_SECONDS
                elif now > claim_deadline:
                    claim_deadline = float("inf")
                    progress.note(
                        f"No worker has taken the job within {CLAIM_SECONDS:g} s. Is one running? Still waiting."
                    )
            before_look()
    raise AssertionError("looks do not end")


def _rows(job: dict[str, Any]) -> int:
    """How far it is: an import also counts what it refuses."""
    counted: int = job["rowsExported"] if job["kind"] == "export" else job["rowsRead"]
    return counted
