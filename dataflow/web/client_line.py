"""The connection by which a request has come: whether its client is still there, and how long it may take."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR
from typing import Any, Self

from flask import request

from dataflow.web.server.client_socket import has_left


class ClientLine:
    """Around the server's socket; None where there is no server, and a client that stays for ever."""

    def __init__(self, answer_socket: Any) -> None:
        self._socket = answer_socket

    @classmethod
    def of_request(cls) -> Self:
        return cls(request.environ.get("gunicorn.socket"))

    @property
    def is_put_off(self) -> bool:
        """Whether `server.thread_pools` has found no thread of its kind for the request."""
        return bool(getattr(self._socket, "is_put_off", False))

    @property
    def may_wait(self) -> bool:
        """Whether this thread is one for waiting: there are MAX_EVENT_STREAMS of them."""
        return self._socket is None or not self._socket.defers

    def has_left(self) -> bool:
        return self._socket is not None and has_left(self._socket)

    def hang_up(self) -> None:
        """From any thread: whoever waits for the client does not any more."""
        with suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(SHUT_RDWR)

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Have the socket wait so long for a client that takes nothing."""
        if self._socket is None:
            yield
            return
        before = self._socket.stall_seconds, self._socket.gettimeout()
        self._socket.stall_seconds = seconds
        self._socket.settimeout(seconds)
        try:
            yield
        finally:
            self._socket.stall_seconds = before[0]
            with suppress(OSError):  # it may be closed
                self._socket.settimeout(before[1])
