"""A listening socket of a test, whose connections are served by threads of this process."""

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Acceptor:
    """Listens on a free `port` of this machine and calls `serve` for each connection, in a thread of its own.

    After `close` nobody is accepted any more; what is being served then goes on.
    """

    def __init__(self, serve: Callable[[socket.socket], None], backlog: int = 128) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="acceptor", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        # A thread that waits in accept is not woken by a close alone, and would go on accepting.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()
