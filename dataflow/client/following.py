"""A job is followed until it has ended, however long that takes and however often the service is away meanwhile."""

import time
from collections.abc import Callable
from typing import Any

from dataflow.client.progress import Progress
from dataflow.client.service import Service
from dataflow.errors import RequestError

POLL_TIMEOUT_SECONDS = 10.0
LOST_SECONDS = 60.0  #: a job goes on without us; only after this long without an answer we stop looking
CLAIM_SECONDS = 30.0  #: when to say that no worker has taken the job
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 1.0


def finished(
    service: Service, job_id: str, progress: Progress, before_look: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """The job once it has ended. `before_look` is called before each look at it, and ends the wait by raising.

    :raises RequestError: when the service stays away.
    """
    answered = time.monotonic()
    pause, claim_deadline = FIRST_PAUSE_SECONDS, answered + CLAIM_SECONDS
    while True:
        before_look()
        try:
            job = service.ask("GET", f"/jobs/{job_id}", POLL_TIMEOUT_SECONDS)
            answered = time.monotonic()
        except RequestError as error:
            if time.monotonic() > answered + LOST_SECONDS:
                url = f"{service.url}/jobs/{job_id}"
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
