"""How often in a row something may fail that may be better soon, and how long is waited before the next time."""

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

from dataflow.client.service import BrokenOff, Refused, Unanswered
from dataflow.errors import RequestError

PAUSES_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
#: The service says so itself, or a proxy that does not find it.
_PASSING_STATUSES: Final = {429, 502, 503, 504}
#: The same request, of which the service has not noticed yet that its client has gone.
_STILL_UNDER_WAY: Final = "idempotency_key_in_use"
LONGEST_PAUSE_SECONDS: Final = 60.0


def may_pass(error: RequestError) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, Refused):
        return error.answer_status in _PASSING_STATUSES or error.answer_code == _STILL_UNDER_WAY
    return isinstance(error, Unanswered | BrokenOff)


def is_no(error: RequestError) -> bool:
    """Whether the service itself says that it will not; a proxy before one that is restarted says anything."""
    is_ours = (
        isinstance(error, Refused) and error.answer_code and error.answer_status < HTTPStatus.INTERNAL_SERVER_ERROR
    )
    return bool(is_ours) and not may_pass(error)


class Patience:
    def __init__(
        self, sleep: Callable[[float], None] = time.sleep, pauses_seconds: Sequence[float] = PAUSES_SECONDS
    ) -> None:
        self._sleep, self._pauses_seconds = sleep, pauses_seconds
        self._failures = 0

    def renew(self) -> None:
        """Something went well."""
        self._failures = 0

    def wait_after(self, error: RequestError) -> None:
        """:raises RequestError: the same when it was once too often, or will not pass."""
        if self._failures == len(self._pauses_seconds) or not may_pass(error):
            raise error
        asked = error.retry_after_seconds if isinstance(error, Refused) else 0.0
        self._sleep(min(max(self._pauses_seconds[self._failures], asked), LONGEST_PAUSE_SECONDS))
        self._failures += 1
