"""Asks something that may hang, and answers in time all the same."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Probe(Generic[Answer]):
    """Runs `ask`, at most one at a time: while one hangs, whoever asks next waits for that one.

    So a database that is frozen for an hour costs one thread and not one a request.
    """

    def __init__(self, ask: Callable[[], Answer]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._latest: Future[Answer] | None = None

    def ask(self) -> Future[Answer]:
        """The answer that is under way; returns at once."""
        with self._lock:
            if self._latest is None or self._latest.done():
                latest: Future[Answer] = Future()
                # A thread of its own: at its end the interpreter would wait for one of an executor that hangs.
                threading.Thread(target=self._run, args=[latest], name="probe", daemon=True).start()
                # Only now: without a thread nobody would ever answer it.
                self._latest = latest
            return self._latest

    def _run(self, answer: Future[Answer]) -> None:
        try:
            answer.set_result(self._ask())
        except BaseException as error:  # noqa: BLE001 - handed to whoever asked
            answer.set_exception(error)
