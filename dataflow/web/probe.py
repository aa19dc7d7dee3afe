"""Asks something that may hang, and answers in time all the same."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Question(Generic[Answer]):
    """One call of `ask` in a thread of its own; any number of threads may wait for it."""

    def __init__(self, ask: Callable[[], Answer]) -> None:
        self._ask = ask
        self._answers: list[Answer] = []
        self._error: Exception | None = None
        self.done = threading.Event()
        threading.Thread(target=self._run, name="probe", daemon=True).start()

    def answer(self, seconds: float) -> Answer:
        """What `ask` returned.

        :raises TimeoutError: when that takes longer than `seconds` from now.
        :raises Exception: whatever `ask` raised.
        """
        if not self.done.wait(seconds):
            raise TimeoutError("no answer in time")
        if self._error is not None:
            raise self._error
        return self._answers[0]

    def _run(self) -> None:
        try:
            self._answers.append(self._ask())
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            self._error = error
        finally:
            self.done.set()


class Probe(Generic[Answer]):
    """Runs `ask`, at most one at a time: while one hangs, whoever asks next waits for that one.

    So a database that is frozen for an hour costs one thread and not one a request.
    """

    def __init__(self, ask: Callable[[], Answer]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._latest: Question[Answer] | None = None

    def ask(self) -> Question[Answer]:
        """A question that is under way; returns at once."""
        with self._lock:
            if self._latest is None or self._latest.done.is_set():
                self._latest = Question(self._ask)
            return self._latest
