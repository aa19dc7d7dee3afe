"""Counts the requests of each caller in Postgres, over all processes and hosts, a statement for each.

In windows that begin with a caller's first request: what is left, and until when, is exact then, it is one short row
whatever the limit, and who is over it stays so until a time that is known, so that further requests cost no statement.
A moving window would keep the time of each request; what it prevents, twice the limit in a moment, is harmless here.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dataflow import db
from dataflow.errors import DatabaseError

logger = logging.getLogger(__name__)

WINDOW_SECONDS: Final = 60
#: A database that is slower does not keep requests from failing, or succeeding, by themselves,
SILENCE_SECONDS: Final = 1.0
#: nor is it asked again before this.
PAUSE_SECONDS: Final = 1.0
#: Of those over the limit, so many are known without asking.
MAX_KNOWN: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """Where a caller stands."""

    remaining: int
    left_seconds: int  #: until the window ends
    is_exceeded: bool = False


class RateStorage:
    """What one process knows of it, used by all of its threads."""

    def __init__(self, pool: db.Pool, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._limit = limit
        self._clock = clock
        self._exceeded_until: dict[str, float] = {}
        self._ask_again_at = 0.0
        self._is_away = False

    def count(self, caller: str) -> Rate | None:
        """Count a request, and tell where its caller stands then; None when the database does not answer."""
        now = self._clock()
        if (ends_at := self._exceeded_until.get(caller, 0.0)) > now:
            return Rate(0, math.ceil(ends_at - now), is_exceeded=True)
        if now < self._ask_again_at:
            return None
        try:
            requests, left_seconds = self._counted(caller)
        except DatabaseError as error:
            self._pause(error)
            return None
        self._is_away = False
        if requests > self._limit:
            self._remember(caller, self._clock() + left_seconds)
        return Rate(max(0, self._limit - requests), math.ceil(left_seconds), requests > self._limit)

    def _counted(self, caller: str) -> tuple[int, float]:
        values = {"caller": caller, "window_seconds": WINDOW_SECONDS}
        with db.borrowed_once(self._pool, SILENCE_SECONDS) as connection:
            row = connection.execute(db.query("rate_limits/count"), values).fetchone()
        assert row is not None  # noqa: S101 - tells mypy that RETURNING returns
        # A statement that has waited for another's is older than the window that this one began.
        return row["requests"], min(row["left_seconds"], WINDOW_SECONDS)

    def _pause(self, error: DatabaseError) -> None:
        self._ask_again_at = self._clock() + PAUSE_SECONDS
        if not self._is_away:
            logger.warning("requests are not counted", extra={"code": error.code, "error": error.message})
        self._is_away = True

    def _remember(self, caller: str, ends_at: float) -> None:
        if len(self._exceeded_until) >= MAX_KNOWN:
            self._exceeded_until.clear()
        self._exceeded_until[caller] = ends_at
