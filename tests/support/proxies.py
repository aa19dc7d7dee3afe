"""A proxy between us and a storage server: what a network does that a server cannot be told to do."""

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme

from tests.support.acceptor import Acceptor


class Proxy:
    """Listens on this machine and passes everything on to `port`.

    With `folder` over TLS, under a certificate whose authority is in `ca_path`. With `trickle_seconds` what comes
    back comes byte by byte, that far apart.
    """

    def __init__(self, port: int, folder: Path | None = None, trickle_seconds: float = 0.0) -> None:
        self._target = ("127.0.0.1", port)
        self._trickle_seconds = trickle_seconds
        self._closed = threading.Event()
        self._acceptor = Acceptor(self._serve)
        self._tls: ssl.SSLContext | None = None
        self.ca_path = ""
        if folder:
            authority = trustme.CA()
            self.ca_path = str(folder / "ca.pem")
            authority.cert_pem.write_to_path(self.ca_path)
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            authority.issue_cert("127.0.0.1").configure_cert(self._tls)
        self.port = self._acceptor.port
        self.url = f"{'https' if folder else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._acceptor.close()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(self._target) as server:
            near = self._tls.wrap_socket(client, server_side=True) if self._tls else client
            with near:
                back = threading.Thread(target=self._pump, args=(server, near, self._trickle_seconds), daemon=True)
                back.start()
                self._pump(near, server, 0.0)
                back.join()

    def _pump(self, source: socket.socket, sink: socket.socket, trickle_seconds: float) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                for start in range(0, len(content), 1 if trickle_seconds else len(content)):
                    sink.sendall(content[start : start + 1] if trickle_seconds else content)
                    if trickle_seconds and self._closed.wait(trickle_seconds):
                        break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(end, socket.SHUT_RDWR)
