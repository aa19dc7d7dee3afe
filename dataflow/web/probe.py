"""Asks something that may hang, and answers in time all the same."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Probe(Generic[Answer]):
    """Runs `ask` in a thread, at most one at a time.

    While one hangs, whoever asks next waits for that one, so a database that is frozen for an hour costs one
    thread and not one a request.
    """

    def __init__(self, ask: Callable[[], Answer]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._running: _Question[Answer] | None = None

    def answer(self, seconds: float) -> Answer:
        """What `ask` returns.

        :raises TimeoutError: when that takes longer than `seconds`.
        :raises Exception: whatever `ask` raises.
        """
        with self._lock:
            question = self._running
            if question is None or question.done.is_set():
                question = self._running = _Question(self._ask)
                threading.Thread(target=question.run, name="probe", daemon=True).start()
        if not question.done.wait(seconds):
            raise TimeoutError(f"no answer within {seconds:g} s")
        if question.error is not None:
            raise question.error
        return question.answers[0]


class _Question(Generic[Answer]):
    def __init__(self, ask: Callable[[], Answer]) -> None:
        self._ask = ask
        self.done = threading.Event()
        self.answers: list[Answer] = []
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.answers.append(self._ask())
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            self.error = error
        finally:
            self.done.set()
