"""Ordinary clients beside others: one that asks /health all the time, and some that import."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from uuid import UUID

from tests.drills.sending import Sent, content

EVERY_SECONDS = 0.25
#: An answer that takes longer has not come.
MOST_SECONDS = 5.0
IMPORT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request came to. A failed one has the error's name and no body."""

    outcome: str  #: the status, or why there is none
    seconds: float
    body: str = ""

    @property
    def is_good(self) -> bool:
        return self.outcome == "200"


class HealthWatch:
    """Asks for /health at every quarter of a second, on a new connection, whether the answer before is there or not."""

    def __init__(self, port: int) -> None:
        self.answers: list[Answer] = []
        self._port = port
        self._is_over = threading.Event()
        self._clients = ThreadPoolExecutor(int(MOST_SECONDS / EVERY_SECONDS) + 2)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask as long as the block runs; all answers are there behind it."""
        asker = threading.Thread(target=self._ask_on)
        asker.start()
        try:
            yield
        finally:
            self._is_over.set()
            asker.join()
            self._clients.shutdown()

    def _ask_on(self) -> None:
        while not self._is_over.wait(EVERY_SECONDS):
            asked = self._clients.submit(ask, self._port, "GET", "/health", MOST_SECONDS)
            asked.add_done_callback(lambda answered: self.answers.append(answered.result()))


def ask(
    port: int, method: str, path: str, seconds: float, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Answer:
    """The answer to a request on a connection of its own; all of it comes within about `seconds`."""
    began = time.monotonic()
    with closing(HTTPConnection("127.0.0.1", port, timeout=seconds)) as connection:
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            text = response.read().decode()
        except (OSError, HTTPException) as error:
            return Answer(type(error).__name__, time.monotonic() - began)
        return Answer(str(response.status), time.monotonic() - began, text)


@dataclass(frozen=True, slots=True)
class Import:
    """An import that was asked for once."""

    sent: Sent
    answer: Answer

    @property
    def accepted(self) -> Sent:
        """What is to come of it, under the id that was answered."""
        return replace(self.sent, id=UUID(json.loads(self.answer.body)["jobId"]))


def import_each(
    port: int, sents: Sequence[Sent], over_seconds: float, pause: Callable[[float], object]
) -> list[Import]:
    """Begin these imports evenly over a time, none of them waiting for another; return when each is answered."""
    with ThreadPoolExecutor(len(sents)) as clients:
        begun: list[Future[Import]] = []
        for sent in sents:
            begun.append(clients.submit(_import, port, sent))
            pause(over_seconds / len(sents))
        return [each.result() for each in begun]


def _import(port: int, sent: Sent) -> Import:
    headers = {"Content-Type": "text/csv", "X-Source": sent.source}
    return Import(sent, ask(port, "POST", "/import", IMPORT_SECONDS, content(sent), headers))
