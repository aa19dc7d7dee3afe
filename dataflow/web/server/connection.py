"""One connection of a client: what gunicorn keeps of it, and what is known about it while no thread has it."""

import fcntl
import struct
import termios
from contextlib import suppress
from enum import Enum, auto
from typing import Any, Final

from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.workers.gthread import TConn

from dataflow.web.server.answer_socket import AnswerSocket
from dataflow.web.server.request_head import Kind, RequestHead

#: A client with 50 KB/s has sent as much in a third of a second, one with 1 KB/s not while it may wait for a thread.
BEGUN_BYTES: Final = 16 * 1024
#: To take so much of a refused body costs less than a new connection.
SMALL_BODY_BYTES: Final = 16 * 1024


class Phase(Enum):
    """Why a connection holds no thread, in the order in which connections are closed when there are too many."""

    HEAD = auto()  #: some of a request's head has come, or not all of a body that was refused
    CLOSING = auto()  #: answered; its client may not have taken everything yet
    SILENT = auto()  #: has never sent anything
    KEPT = auto()  #: between two requests
    ANSWER = auto()  #: its client takes the answer


class Connection(TConn):  # type: ignore[misc]
    sock: AnswerSocket

    def __init__(self, cfg: Any, sock: AnswerSocket, client: Any, server: Any, now: float) -> None:
        super().__init__(cfg, sock, client, server)
        self.accepted_at = now
        self.phase: Phase | None = None
        self.deadline = 0.0  #: by the monotonic clock
        self.held_bytes = 0
        self.kind = Kind.ORDINARY
        self.is_kept = False  #: whether another request may follow the answer
        self._skipped_bytes = 0  #: of a body that nobody has read, still to come
        self.expect_request()

    def expect_request(self) -> None:
        self.head = RequestHead(self.cfg.limit_request_line, self.cfg.limit_request_fields)

    def take_request(self) -> None:
        self.init()  # makes it
        self.kind = self.head.kind()
        if self.kind is Kind.TRANSFER:
            body_bytes, early_bytes = self.head.body_bytes()
            self._wanted_bytes = min(BEGUN_BYTES, body_bytes) - early_bytes
            self._expects_continue = self.head.expects_continue()
        self.parser.unreader.unread(bytes(self.head.content))
        self.expect_request()

    def ask_for_body(self) -> None:
        """Have a client that waits for `100 Continue` begin with its body; gunicorn asks again, which is allowed."""
        if self._expects_continue:
            with suppress(OSError):  # its client has gone, which is seen when it is answered
                self.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def has_body_come(self) -> bool:
        """Whether so much of the body is here, before any of it is read, that the client is not slow."""
        return self._unread_bytes() >= self._wanted_bytes

    @property
    def is_amid_request(self) -> bool:
        return bool(self._skipped_bytes or self.head.content)

    def can_skip(self, body: Any) -> bool:
        """Whether another request may follow: the unread rest of the body is short, or here already."""
        reader = body.reader
        if isinstance(reader, ChunkedReader):
            return reader.parser is None
        if reader.length <= SMALL_BODY_BYTES:
            return True
        return bool(reader.length <= len(self.parser.unreader.buf.getvalue()) + self._unread_bytes())

    def skip(self, body: Any) -> None:
        """Ignore the rest of a body when it comes; many clients send bodies apart from heads."""
        if isinstance(body.reader, LengthReader):
            self._skipped_bytes, body.reader.length = body.reader.length, 0

    def behind_body(self, piece: bytes) -> bytes:
        skipped = min(self._skipped_bytes, len(piece))
        self._skipped_bytes -= skipped
        return piece[skipped:]

    def _unread_bytes(self) -> int:
        here: int = struct.unpack("i", fcntl.ioctl(self.sock, termios.FIONREAD, bytes(4)))[0]
        return here
