"""A network between a client and several servers that cuts connections at random, in the middle of bodies above all."""

import contextlib
import itertools
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from tests.support.acceptor import Acceptor

PIECE_BYTES = 65536
#: Of the connections so many lose the answer.
LOST_ANSWERS = 0.1
RESET = struct.pack("ii", 1, 0)

Ends = tuple[socket.socket, socket.socket]


class CuttingProxy:
    """Listens on this machine; its connections take turns with `ports`, which may change at any time.

    While `cutting`, whatever connection sends the byte that is due for it is cut there, and some are cut when their
    answer comes; by RST or FIN, on both sides.
    """

    def __init__(self, ports: Sequence[int], seed: int = 0) -> None:
        self.ports = list(ports)
        self.cuts = 0
        self._mean_bytes = 0.0
        self._sent_bytes, self._next_cut_bytes = 0, 0.0
        self._calls: list[tuple[int, Callable[[], None]]] = []
        self._answer_cuts: list[tuple[int, Callable[[], None]]] = []
        self._random = random.Random(seed)
        self._turns = itertools.count()
        self._lock = threading.Lock()
        self._acceptor = Acceptor(self._serve)
        self.url = f"http://127.0.0.1:{self._acceptor.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._acceptor.close()

    @contextlib.contextmanager
    def cutting(self, mean_bytes: float) -> Iterator[None]:
        """Cut once every so many bytes that go up, on average, as long as the context lasts."""
        with self._lock:
            self._mean_bytes = mean_bytes
            self._plan_cut()
        try:
            yield
        finally:
            self._mean_bytes = 0.0

    def call_after(self, count: int, call: Callable[[], None]) -> None:
        """Call once so many more bytes have gone up in all, in the middle of whatever goes up then."""
        with self._lock:
            self._calls.append((self._sent_bytes + count, call))

    def cut_answers_after(self, count: int, call: Callable[[], None] = lambda: None) -> None:
        """Cut once, where so many bytes have come down over one connection, and call then."""
        with self._lock:
            self._answer_cuts.append((count, call))

    def _plan_cut(self) -> None:
        self._next_cut_bytes = self._sent_bytes + self._mean_bytes * self._random.uniform(0.2, 1.8)

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            port = self.ports[next(self._turns) % len(self.ports)]
            loses_answer = bool(self._mean_bytes) and self._random.random() < LOST_ANSWERS
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", port)) as server:
            ends = (client, server)
            back = threading.Thread(target=self._pass_back, args=(ends, loses_answer), daemon=True)
            back.start()
            self._pass_up(ends)
            back.join()

    def _pass_up(self, ends: Ends) -> None:
        client, server = ends
        with contextlib.suppress(OSError):
            while content := client.recv(PIECE_BYTES):
                passed, due = self._count(len(content))
                server.sendall(content[:passed])
                for call in due:
                    call()
                if passed < len(content):
                    self._cut(ends)
                    return
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _count(self, count: int) -> tuple[int, list[Callable[[], None]]]:
        """How many of so many bytes may pass, and what is to be called then."""
        with self._lock:
            if self._mean_bytes and self._sent_bytes + count > self._next_cut_bytes:
                count = min(count - 1, max(0, int(self._next_cut_bytes - self._sent_bytes)))
                self._plan_cut()
            self._sent_bytes += count
            due = [call for at, call in self._calls if at <= self._sent_bytes]
            self._calls = [(at, call) for at, call in self._calls if at > self._sent_bytes]
        return count, due

    def _pass_back(self, ends: Ends, loses_answer: bool) -> None:
        client, server = ends
        sent_bytes = 0
        with contextlib.suppress(OSError):
            while content := server.recv(PIECE_BYTES):
                cut = self._answer_cut(sent_bytes + len(content))
                if loses_answer or cut is not None:
                    if cut is not None:
                        client.sendall(content[: cut[0] - sent_bytes])
                        cut[1]()
                    self._cut(ends)
                    return
                client.sendall(content)
                sent_bytes += len(content)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _answer_cut(self, sent_bytes: int) -> tuple[int, Callable[[], None]] | None:
        """What is to be cut by the time that so many bytes have come down."""
        with self._lock:
            if self._answer_cuts and sent_bytes > self._answer_cuts[0][0]:
                return self._answer_cuts.pop(0)
        return None

    def _cut(self, ends: Ends) -> None:
        with self._lock:
            self.cuts += 1
            by_reset = self._random.random() < 0.5
        for end in ends:
            with contextlib.suppress(OSError):
                if by_reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RDWR)
