"""One hostile client and the connection that it has now, and what is counted of all that are of its crowd."""

import select
import socket
import statistics
from collections import Counter
from dataclasses import dataclass, field

from tests.support.hostile.crowds import Crowd, Held


@dataclass(slots=True, eq=False)
class Client:
    """One of a crowd, and the connection that it has now."""

    crowd: Crowd
    connection: socket.socket | None = None
    unsent: bytes = b""
    pieces: int = 0
    received: bytes = b""
    is_at_work: bool = False  #: connected, its head sent
    has_come: bool = False  #: was at work, on this connection or an earlier one
    is_done: bool = False  #: it had its answer, and does not come again

    @property
    def has_left(self) -> bool:
        """Whether the server has ended the connection of a client that would not notice, because it hardly reads."""
        asked = select.poll()
        asked.register(self.connection or -1, getattr(select, "POLLRDHUP", 0))
        return bool(asked.poll(0))


@dataclass(slots=True)
class Outcomes:
    """What became of a crowd so far."""

    opened: int = 0
    at_work: list[int] = field(default_factory=list)  #: how many were, at each look
    ends: Counter[str] = field(default_factory=Counter)
    answers: list[str] = field(default_factory=list)

    def held(self, name: str, count: int) -> Held:
        """The same of a crowd of so many, for whoever reads it."""
        usual = int(statistics.median(self.at_work)) if self.at_work else 0
        return Held(name, count, self.opened, usual, dict(self.ends), self.answers)
