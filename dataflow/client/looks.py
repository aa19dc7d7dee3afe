"""Looks at a job whenever there is something new: its events, or, where a service has none for us, by asking again."""

import json
import time
from collections.abc import Generator, Iterator
from typing import Any

from dataflow.client.events import EventParser, events
from dataflow.client.service import BrokenOff, Service, Unanswered
from dataflow.errors import RequestError

POLL_TIMEOUT_SECONDS = 10.0
#: A service that lives sends something every 15 s.
EVENTS_TIMEOUT_SECONDS = 40.0
TICK_SECONDS = 0.5  #: whoever looks has other things to do, too
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 1.0

#: The job as GET /jobs/{id} shows it, why it cannot be seen now, or nothing new.
Look = dict[str, Any] | RequestError | None


def looks(service: Service, job_id: str) -> Generator[Look, None, None]:
    """One after the other, without an end. An older service has no events, and a busy one may have none for us."""
    parser = EventParser()
    while True:
        try:
            yield from _told(service, job_id, parser)
        except (Unanswered, BrokenOff) as error:
            yield error
        except RequestError:
            yield from _asked(service, job_id)
        time.sleep(min(parser.retry_seconds, LONGEST_PAUSE_SECONDS))
        parser = EventParser(parser.last_event_id, parser.retry_seconds)


def _told(service: Service, job_id: str, parser: EventParser) -> Iterator[Look]:
    """What one stream of events says; also what it has said, as long as it shows that it lives.

    :raises RequestError: when there is none; Unanswered or BrokenOff when it may be tried again.
    """
    headers = {"Accept": "text/event-stream"}
    if parser.last_event_id:
        headers["Last-Event-ID"] = parser.last_event_id
    job: Look = None
    path = f"/jobs/{job_id}/events"
    with service.opened("GET", path, EVENTS_TIMEOUT_SECONDS, headers=headers) as response:
        if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
            raise RequestError("There are no events.")
        for found in events(response, parser, TICK_SECONDS):
            for event in found or ():
                job = _job(event.content)
            yield None if found is None else job


def _job(content: str) -> dict[str, Any]:
    """:raises RequestError: when it is none."""
    try:
        job: dict[str, Any] = json.loads(content)
        return {**job, "jobId": job["jobId"]}
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError("The events are no jobs.") from error


def _asked(service: Service, job_id: str) -> Iterator[Look]:
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            yield service.ask("GET", f"/jobs/{job_id}", POLL_TIMEOUT_SECONDS)
        except RequestError as error:
            yield error
        time.sleep(pause)
        pause = min(pause * 1.3, LONGEST_PAUSE_SECONDS)
