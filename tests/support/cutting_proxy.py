"""A network between a client and several servers that cuts connections at random, in the middle of bodies above all."""

import contextlib
import itertools
import random
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

PIECE_BYTES = 65536
#: Of the connections that are not cut on the way up, so many lose the answer instead.
LOST_ANSWERS = 0.1
RESET = struct.pack("ii", 1, 0)


class CuttingProxy:
    """Listens on this machine; its connections take turns with `ports`, which may change at any time.

    Each is cut once so many bytes have gone up on it that on average `mean_bytes` have, or when its answer comes; by
    RST or FIN on both sides. With `mean_bytes` of 0 nothing is cut.
    """

    def __init__(self, ports: Sequence[int], mean_bytes: float = 0.0, seed: int = 0) -> None:
        self.ports = list(ports)
        self.mean_bytes = mean_bytes
        self.cuts = 0
        self._calls: list[tuple[int, Callable[[], None]]] = []
        self._sent_bytes = 0
        self._random = random.Random(seed)
        self._turns = itertools.count()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._accepter = threading.Thread(target=self._accept, daemon=True)
        self._accepter.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A thread that waits in accept is not woken by a close alone.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepter.join()

    def call_after(self, count: int, call: Callable[[], None]) -> None:
        """Call once so many more bytes have gone up in all, in the middle of whatever goes up then."""
        with self._lock:
            self._calls.append((self._sent_bytes + count, call))

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            port = self.ports[next(self._turns) % len(self.ports)]
            left_bytes = self._random.expovariate(1 / self.mean_bytes) if self.mean_bytes else float("inf")
            loses_answer = bool(self.mean_bytes) and self._random.random() < LOST_ANSWERS
            by_reset = self._random.random() < 0.5
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", port)) as server:
            ends = (client, server)
            back = threading.Thread(target=self._pass_back, args=(ends, loses_answer, by_reset), daemon=True)
            back.start()
            self._pass_up(ends, left_bytes, by_reset)
            back.join()

    def _pass_up(self, ends: tuple[socket.socket, socket.socket], left_bytes: float, by_reset: bool) -> None:
        client, server = ends
        with contextlib.suppress(OSError):
            while content := client.recv(PIECE_BYTES):
                server.sendall(content[: int(min(left_bytes, len(content)))])
                self._count(len(content))
                left_bytes -= len(content)
                if left_bytes < 0:
                    self._cut(ends, by_reset)
                    return
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _pass_back(self, ends: tuple[socket.socket, socket.socket], loses_answer: bool, by_reset: bool) -> None:
        client, server = ends
        with contextlib.suppress(OSError):
            while content := server.recv(PIECE_BYTES):
                if loses_answer:
                    self._cut(ends, by_reset)
                    return
                client.sendall(content)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _cut(self, ends: tuple[socket.socket, socket.socket], by_reset: bool) -> None:
        self.cuts += 1
        for end in ends:
            with contextlib.suppress(OSError):
                if by_reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RDWR)

    def _count(self, count: int) -> None:
        with self._lock:
            self._sent_bytes += count
            due = [call for at, call in self._calls if at <= self._sent_bytes]
            self._calls = [(at, call) for at, call in self._calls if at > self._sent_bytes]
        for call in due:
            call()
