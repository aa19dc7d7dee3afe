"""Thousands of connections in one thread: what is due by the clock, and what the sockets are ready for."""

import heapq
import itertools
import selectors
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from tests.support.hostile.client import Client, Outcomes
from tests.support.hostile.crowds import Crowd, Held

#: Pause of a client that was hung up on.
AGAIN_SECONDS = 1.0
#: A slow reader cannot see that it was hung up on, behind all it has not read: it comes again after so many bytes.
MOST_SIPS = 30
#: Between two new connections at the beginning.
STAGGER_SECONDS = 0.0005
#: Whole requests that are not answered at the end get this long.
PATIENCE_SECONDS = 15.0
SAMPLE_SECONDS = 1.0
#: Of a slow reader: the server's own buffer should be what fills.
RECEIVE_BUFFER_BYTES = 2048
#: Close with a reset: none of these clients waits for anything.
RUDELY = struct.pack("ii", 1, 0)


class Loop:
    """Hostile clients of the server at `port` of this machine."""

    def __init__(self, port: int, crowds: Sequence[Crowd]) -> None:
        self._address = "127.0.0.1", port
        self._clients = [Client(crowd) for crowd in crowds for _ in range(crowd.count)]
        self._outcomes = {crowd.name: Outcomes() for crowd in crowds}
        self._selector = selectors.DefaultSelector()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._have_come = 0

    def run(self, until: int, when_at_work: Callable[[], None]) -> list[Held]:
        """Besiege until the file descriptor `until` is readable; `when_at_work` is called when all have come."""
        self._selector.register(until, selectors.EVENT_READ)
        for number, client in enumerate(self._clients):
            self._after(number * STAGGER_SECONDS, lambda client=client: self._open(client))
        self._after(SAMPLE_SECONDS, self._sample)
        is_told, ends_at = False, None
        while ends_at is None or (self._are_unanswered() and time.monotonic() < ends_at):
            if self._turn() and ends_at is None:
                self._selector.unregister(until)
                ends_at = time.monotonic() + PATIENCE_SECONDS
            if not is_told and self._have_come == len(self._clients):
                is_told = True
                when_at_work()
        for client in self._clients:
            self._close(client)
        return [self._held(name) for name in self._outcomes]

    def _turn(self) -> bool:
        """Do what is due and what can be done; whether the descriptor that ends it was readable."""
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
        pause = max(0.0, self._due[0][0] - time.monotonic()) if self._due else 1.0
        is_over = False
        for key, events in self._selector.select(pause):
            if key.data is None:
                is_over = True
            elif key.data.connection is key.fileobj:
                self._guarded(key.data, self._progress, events)
        return is_over

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), act))

    def _guarded(self, client: Client, act: Callable[..., None], *arguments: object) -> None:
        try:
            act(client, *arguments)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(client, type(error).__name__)

    def _open(self, client: Client) -> None:
        client.connection = socket.socket()
        client.connection.setblocking(False)
        client.unsent, client.pieces, client.received = client.crowd.head.encode(), 0, b""
        if client.crowd.is_slow_reader:
            client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._outcomes[client.crowd.name].opened += 1
        self._selector.register(client.connection, selectors.EVENT_WRITE, client)
        client.connection.connect_ex(self._address)

    def _progress(self, client: Client, events: int) -> None:
        if events & selectors.EVENT_READ:
            self._read(client)
        elif events & selectors.EVENT_WRITE:
            self._write(client)

    def _write(self, client: Client) -> None:
        assert client.connection
        if not client.is_at_work and (code := client.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
            raise OSError(code, "")
        client.unsent = client.unsent[client.connection.send(client.unsent) :] if client.unsent else b""
        if client.unsent:
            return
        if not client.is_at_work:
            self._have_come += not client.has_come
            client.is_at_work = client.has_come = True
            self._tick_later(client)
        if client.crowd.is_slow_reader:
            self._selector.unregister(client.connection)
        else:
            self._selector.modify(client.connection, selectors.EVENT_READ, client)

    def _tick_later(self, client: Client) -> None:
        if client.crowd.piece or client.crowd.is_slow_reader:
            connection = client.connection
            # Not if it is another connection by then.
            still = lambda: client.connection is connection and self._guarded(client, self._tick)  # noqa: E731
            self._after(client.crowd.every_seconds, still)

    def _tick(self, client: Client) -> None:
        """The next piece, or the next byte."""
        assert client.connection
        self._tick_later(client)
        if client.crowd.is_slow_reader:
            self._sip(client)
        elif not client.unsent and client.pieces != client.crowd.pieces:
            client.pieces += 1
            client.unsent = client.crowd.piece.encode()
            self._selector.modify(client.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, client)

    def _sip(self, client: Client) -> None:
        assert client.connection
        with suppress(BlockingIOError):
            byte = client.connection.recv(1)
            client.received = (client.received + byte)[:64]
            client.pieces += 1
            if not byte or client.has_left or client.pieces == MOST_SIPS:
                self._end(client, "closed")

    def _read(self, client: Client) -> None:
        assert client.connection
        piece = client.connection.recv(65_536)
        client.received = (client.received + piece)[:4096]
        if not piece:
            self._end(client, "closed")

    def _end(self, client: Client, how: str) -> None:
        """The server has hung up: note what it said, and come again."""
        outcomes, answer = self._outcomes[client.crowd.name], client.received.decode("latin-1")
        status = answer[9:12] if answer.startswith("HTTP/1.") else how
        outcomes.ends[status] += 1
        client.is_at_work = False
        if client.crowd.pieces is not None:
            client.is_done = True
            outcomes.answers.append(answer)
            self._close(client)
            return
        held = client.crowd.held_seconds
        if held and how == "closed":
            client.is_at_work = True
            if client.connection in self._selector.get_map():
                self._selector.unregister(client.connection)
            self._after(held, lambda: self._close(client))
        else:
            self._close(client)
        self._after(held + AGAIN_SECONDS, lambda: self._open(client))

    def _close(self, client: Client) -> None:
        client.is_at_work = False
        if client.connection is None:
            return
        if client.connection in self._selector.get_map():
            self._selector.unregister(client.connection)
        with suppress(OSError):
            client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RUDELY)
        client.connection.close()
        client.connection = None

    def _sample(self) -> None:
        at_work = Counter(client.crowd.name for client in self._clients if client.is_at_work)
        for name, outcomes in self._outcomes.items():
            outcomes.at_work.append(at_work[name])
        self._after(SAMPLE_SECONDS, self._sample)

    def _are_unanswered(self) -> bool:
        return any(client.crowd.pieces is not None and not client.is_done for client in self._clients)

    def _held(self, name: str) -> Held:
        count = sum(client.crowd.name == name for client in self._clients)
        return self._outcomes[name].held(name, count)
