"""Asks something that may hang, and answers in time all the same."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Question(Future[Answer]):
    def __init__(self) -> None:
        super().__init__()
        self.asked_at = time.monotonic()


class Probe(Generic[Answer]):
    """Runs `ask` once at a time, for all who ask: a database that hangs costs one thread, not one for each request."""

    def __init__(self, ask: Callable[[], Answer]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._latest: Question[Answer] | None = None

    def ask(self) -> Question[Answer]:
        """The answer that is under way; returns at once."""
        with self._lock:
            if self._latest is None or self._latest.done():
                latest: Question[Answer] = Question()
                # A thread of its own: at its end the interpreter would wait for one of an executor that hangs.
                threading.Thread(target=self._run, args=[latest], name="probe", daemon=True).start()
                # Only now: without a thread nobody would ever answer it.
                self._latest = latest
            return self._latest

    def _run(self, answer: Question[Answer]) -> None:
        try:
            answer.set_result(self._ask())
        except BaseException as error:  # noqa: BLE001 - handed to whoever asked
            answer.set_exception(error)
