"""What tests can make go wrong: which request, and what happens to it.

The description is shared by the tests' side and the server's; the deeds themselves are done where the request is
served (`exchange`).
"""

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

Deed = Literal["answer", "reset", "lose_answer", "cut", "stall", "offset", "forget_upload", "set_back"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; it happens `times` times, after `skip` requests that match have passed.

    answer: `status`, `headers` and `body` (text, or what becomes JSON) are answered and nothing is done; without
        `read_body` the request's body is left alone.
    reset: RST after `after_bytes` of the request's body, at its end at the latest; with `keep` what arrived is kept.
    lose_answer: everything is done, then RST instead of the answer.
    cut: the answer's head and `after_bytes` of its body are sent, then the connection ends with RST or FIN (`end`).
    stall: held until `release` or until the client has gone: before it is done, with `locked` inside, where it has
        the upload's lock, or with `after_bytes` in the middle of the answer's body.
    offset: it is done, but the Upload-Offset that is answered is `delta` off.
    forget_upload: the bytes of the TUS upload are gone before the request is served, so it answers 410.
    set_back: the last `lost_bytes` bytes of the upload are gone before the request is served.
    """

    deed: Deed
    method: str | None = None
    path: str | None = None  #: a regular expression, searched in the path
    skip: int = 0
    times: int = 1
    status: int = 500
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    read_body: bool = True
    after_bytes: int | None = None
    keep: bool = True
    end: Literal["rst", "fin"] = "rst"
    locked: bool = False
    delta: int = 0
    lost_bytes: int = 0

    def __post_init__(self) -> None:
        if self.deed not in get_args(Deed):
            raise ValueError(f"no such deed: {self.deed}")

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def matches(self, method: str, path: str) -> bool:
        return self.method in (None, method) and (self.path is None or re.search(self.path, path) is not None)


class Faults:
    """The faults still to come, and the gate that holds stalled requests. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Countdown] = []
        self._released = threading.Event()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._waiting.append(_Countdown(fault, fault.skip, fault.times))

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets: the first that matches and has let its share pass."""
        with self._lock:
            for countdown in self._matching(method, path):
                if countdown.skip:
                    countdown.skip -= 1
                    continue
                countdown.times -= 1
                if not countdown.times:
                    self._waiting.remove(countdown)
                return countdown.fault
        return None

    def _matching(self, method: str, path: str) -> Iterator["_Countdown"]:
        return iter([countdown for countdown in self._waiting if countdown.fault.matches(method, path)])

    def gate(self) -> threading.Event:
        """Set by the next `release`."""
        with self._lock:
            return self._released

    def release(self) -> None:
        with self._lock:
            self._released.set()
            self._released = threading.Event()


@dataclass(slots=True, eq=False)
class _Countdown:
    fault: Fault
    skip: int
    times: int
