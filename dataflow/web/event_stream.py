"""Waiting for a job on behalf of one client: what it is told meanwhile, and how it is noticed to have left."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final
from uuid import UUID

from dataflow.web import server_sent_events
from dataflow.web.client_line import ClientLine
from dataflow.web.event_feed import EventFeed

#: How often a client that waits is looked at.
LOOK_UP_SECONDS: Final = 1.0
COMMENT_SECONDS: Final = 15.0

Row = dict[str, Any]


class EventStream:
    def __init__(self, feed: EventFeed, line: ClientLine, job_id: UUID) -> None:
        self._feed = feed
        self._line = line
        self._job_id = job_id

    def wait(self, seconds: float) -> None:
        """Until the job has ended or was deleted, its client has left, or the time is over."""
        ends_at = time.monotonic() + seconds
        with self._feed.watch(self._job_id) as watch:
            while (left := ends_at - time.monotonic()) > 0 and not watch.is_over and not self._line.has_left():
                row = watch.next(min(left, LOOK_UP_SECONDS))
                if row is not None and row["finished_at"]:
                    return

    def pieces(self, first: Row, seen: str | None, show: Callable[[Row], Row]) -> Iterator[bytes]:
        """What the client is sent: `first`, unless it has `seen` that, and what the job becomes until it has ended.

        There is no `done` when the client has left, the job is deleted or the process ends.
        """
        yield server_sent_events.BEGIN
        row, sent_at = first, time.monotonic()
        with self._feed.watch(self._job_id, self._line.hang_up) as watch:
            while not (watch.is_over or self._line.has_left()):
                piece = b""
                if (event_id := server_sent_events.id_of(row)) != seen:
                    seen, piece = event_id, server_sent_events.event(row, show(row))
                elif time.monotonic() - sent_at >= COMMENT_SECONDS:
                    piece = server_sent_events.COMMENT
                if piece:
                    with watch.sending():
                        yield piece
                    sent_at = time.monotonic()
                if row["finished_at"]:
                    return
                row = watch.next(LOOK_UP_SECONDS) or row
