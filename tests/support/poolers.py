"""Transaction poolers in front of a server: a small one of our own, which is always there, and PgBouncer."""

import random
import select
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from dataflow.local.system_user import Account
from tests.support.acceptor import Acceptor
from tests.support.processes import free_port
from tests.support.waiting import eventually

_SETTINGS = """
[databases]
* = {target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
"""
_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST = 80877103, 80877104, 80877102
_REPORTED = ("server_version", "server_encoding", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes")


class _End(Exception):
    """One of the two has hung up."""


class _Line:
    """A connection, read message by message."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection

    def take(self, count: int) -> bytes:
        content = bytearray()
        while len(content) < count:
            piece = self.socket.recv(count - len(content))
            if not piece:
                raise _End
            content += piece
        return bytes(content)

    def message(self) -> bytes:
        head = self.take(5)
        return head + self.take(struct.unpack("!I", head[1:])[0] - 4)


class TransactionPooler:
    """Lends each of `size` server connections for a transaction, and never resets one.

    The process id that it gives is any but one that exists, unless it is to be `process_id`.
    """

    def __init__(self, url: str, size: int, process_id: int | None = None) -> None:
        self._target = url
        self._process_id = process_id
        known = conninfo_to_dict(url)
        self._free = threading.Semaphore(size)
        self._idle: list[psycopg.Connection] = []
        self._acceptor = Acceptor(self._serve)
        self.url = f"postgresql://{quote(str(known['user']))}@127.0.0.1:{self._acceptor.port}/{known['dbname']}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._acceptor.close()
        while self._idle:
            self._idle.pop().close()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError, _End):
            # Messages are passed on one by one, and each would wait for the other side's word that the last has come.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = _Line(client)
            if not self._greet(line):
                return
            while (message := line.message())[:1] != b"X":
                with self._lent() as server:
                    _relay(message, line, _Line(server))

    def _greet(self, client: _Line) -> bool:
        """Answer for the server, with a process id that is nobody's; False to who wants something cancelled."""
        while True:
            size, code = struct.unpack("!II", client.take(8))
            if code not in (_SSL_REQUEST, _GSS_REQUEST):
                break
            client.socket.sendall(b"N")
        client.take(size - 8)
        if code == _CANCEL_REQUEST:
            return False
        with psycopg.connect(self._target) as known:
            values = {name: known.info.parameter_status(name) for name in _REPORTED}
        answer = _made(b"R", struct.pack("!I", 0))
        for name, value in values.items():
            answer += _made(b"S", f"{name}\0{value}\0".encode())
        process_id = random.randrange(2**30, 2**31) if self._process_id is None else self._process_id
        answer += _made(b"K", struct.pack("!II", process_id, 0)) + _made(b"Z", b"I")
        client.socket.sendall(answer)
        return True

    @contextmanager
    def _lent(self) -> Iterator[socket.socket]:
        """A server connection; one that was left within a transaction, or has ended, is not lent again."""
        with self._free:
            server = self._working()
            with socket.socket(fileno=server.fileno()) as line:
                line.setblocking(True)
                try:
                    yield line
                except BaseException:
                    server.close()
                    raise
                finally:
                    line.detach()
            self._idle.append(server)

    def _working(self) -> psycopg.Connection:
        while self._idle:
            server = self._idle.pop()
            if not select.select([server], [], [], 0)[0]:
                return server
            server.close()
        return psycopg.connect(self._target, autocommit=True, application_name="pooler")


def _relay(message: bytes, client: _Line, server: _Line) -> None:
    """Pass on `message` and what follows, both ways, until the server is out of a transaction."""
    server.socket.sendall(message)
    while True:
        readable, _, _ = select.select([client.socket, server.socket], [], [])
        if client.socket in readable:
            server.socket.sendall(client.message())
        if server.socket in readable:
            answer = server.message()
            client.socket.sendall(answer)
            if answer[:1] == b"Z" and answer[5:] == b"I":
                return


def _made(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("!I", len(content) + 4) + content


def no_pgbouncer() -> str:
    """Why there is none here."""
    return "" if shutil.which("pgbouncer") else "needs pgbouncer"


@contextmanager
def pgbouncer(url: str, folder: Path, size: int) -> Iterator[str]:
    """URL of the same database behind a PgBouncer whose files are in `folder`."""
    known = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    target = " ".join(f"{name}={known[name]}" for name in ("host", "port", "user", "password") if name in known)
    port = free_port()
    settings = folder / "pgbouncer.ini"
    settings.write_text(_SETTINGS.format(target=target, port=port, size=size))
    pooled_url = f"postgresql://{quote(known['user'])}@127.0.0.1:{port}/{known['dbname']}"
    with (folder / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen([*_prefix(known["host"], settings), settings], stdout=log, stderr=log)
    try:
        eventually(lambda: _answers(pooled_url))
        yield pooled_url
    finally:
        process.terminate()
        process.wait(10)


def _prefix(host: str, settings: Path) -> list[str | Path]:
    """PgBouncer does not run as root; as who owns the server's socket it gets there."""
    program = shutil.which("pgbouncer") or ""
    socket_folder = Path(host) if host.startswith("/") else Path("/nonexistent")
    return [*Account.for_cluster(socket_folder).prefix((Path(program), socket_folder, settings)), program]


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False
