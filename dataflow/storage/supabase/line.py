"""One connection to the storage server, which any thread can cut, and which has a limit of its own for connecting."""

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

Authorise = Callable[[requests.PreparedRequest], requests.PreparedRequest]
CONNECT_SECONDS = 5.0  #: for each address of the server's name


class Line:
    """A requests.Session for one thread at a time, its single connection kept alive."""

    def __init__(self, authorise: Authorise) -> None:
        self.is_cut = False
        self.kept_since: float | None = None  #: since when its connection has been idle; None for one made since
        self._socket: socket.socket | None = None
        self.session = requests.Session()
        # A function and no header: that would be replaced by what a ~/.netrc says.
        self.session.auth = authorise
        # A compressed download would have neither the length nor the ranges of the object.
        self.session.headers["Accept-Encoding"] = "identity"
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, _Adapter(self))

    def connected(self, opened: socket.socket) -> None:
        self._socket, self.kept_since = opened, None
        if self.is_cut:
            self.cut()

    def cut(self) -> None:
        """End whatever goes on, from any thread, for good.

        A time-out of the socket cannot replace it: http.client cannot go on reading after one, so nobody can look
        meanwhile whether the reader was closed. Closing the socket would not wake the thread that waits for it, and the
        shutdown of TLS would have the reader take encrypted bytes for content (measured): so it is done below TLS.
        """
        self.is_cut = True
        if self._socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def limit(self, seconds: float) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.settimeout(seconds)

    def close(self) -> None:
        self.session.close()


class _Adapter(HTTPAdapter):
    def __init__(self, line: Line) -> None:
        self._line = line
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self._teach(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        self._teach(manager)
        return manager

    def _teach(self, manager: Any) -> None:
        pools = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}
        manager.pool_classes_by_scheme = {scheme: _told(self._line, pool) for scheme, pool in pools.items()}


def _told(line: Line, pool: Any) -> type:
    class Told(pool.ConnectionCls):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            return _dial(self, super()._new_conn)

        def connect(self) -> None:
            super().connect()
            line.connected(self.sock)

    return type("ToldPool", (pool,), {"ConnectionCls": Told})


def _dial(connection: Any, dial: Any) -> socket.socket:
    """Connect within CONNECT_SECONDS, then leave the connection's own limit to what is sent."""
    limit = connection.timeout
    connection.timeout = min(CONNECT_SECONDS, limit)
    try:
        opened: socket.socket = dial()
    finally:
        connection.timeout = limit
    opened.settimeout(limit)
    return opened
