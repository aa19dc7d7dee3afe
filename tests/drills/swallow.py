"""A network between a worker and the server that can go silent: it acknowledges all, and passes on nothing."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

from tests.support.acceptor import Acceptor


class Swallower:
    """Listens on this machine and passes on to the server of `database_url`, until it is told to `cut`."""

    def __init__(self, database_url: str) -> None:
        self._known = {name: str(value) for name, value in conninfo_to_dict(database_url).items()}
        self._is_cut = False
        self._lines: list[_Line] = []
        self._acceptor = Acceptor(self._serve)

    @property
    def url(self) -> str:
        """The same database, through here."""
        user, password, name = (quote(self._known.get(key, ""), safe="") for key in ("user", "password", "dbname"))
        return f"postgresql://{user}:{password}@127.0.0.1:{self._acceptor.port}/{name}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._acceptor.close()
        for line in self._lines:
            line.close()

    def cut(self) -> None:
        """Swallow everything from here on, in both directions; nobody is told of it."""
        self._is_cut = True
        for line in self._lines:
            line.is_cut = True

    def heal(self) -> None:
        """Pass new connections on again; those that were cut stay so, as bytes of theirs are missing."""
        self._is_cut = False

    def _serve(self, client: socket.socket) -> None:
        line = _Line(client, None if self._is_cut else self._connect())
        self._lines.append(line)
        line.is_cut |= self._is_cut

    def _connect(self) -> socket.socket:
        host, port = self._known.get("host", "localhost"), self._known.get("port", "5432")
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server


class _Line:
    """One connection; without a server it has been cut from the beginning."""

    def __init__(self, client: socket.socket, server: socket.socket | None) -> None:
        self.is_cut = server is None
        self._ends = [client, *([server] if server else [])]
        pairs = [(client, server), (server, client)] if server else [(client, None)]
        self._pumps = [threading.Thread(target=self._pump, args=pair, daemon=True) for pair in pairs]
        for pump in self._pumps:
            pump.start()

    def close(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for pump in self._pumps:
            pump.join()
        for end in self._ends:
            end.close()

    def _pump(self, source: socket.socket, sink: socket.socket | None) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                if not self.is_cut and sink is not None:
                    sink.sendall(content)
            # The end of a connection does not get through a network that is silent.
            if not self.is_cut and sink is not None:
                sink.shutdown(socket.SHUT_WR)
