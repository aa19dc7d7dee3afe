"""One connection of a client: what gunicorn keeps of it, and what is known about it while no thread has it."""

import fcntl
import struct
import termios
from enum import Enum, auto
from typing import Any

from gunicorn.http.body import ChunkedReader
from gunicorn.workers.gthread import TConn

from dataflow.web.answer_socket import AnswerSocket
from dataflow.web.request_head import Kind, RequestHead


class Phase(Enum):
    """Why a connection holds no thread; in this order they are closed when there are too many."""

    HEAD = auto()  #: some of a request's head has come
    CLOSING = auto()  #: answered; its client may not have taken everything yet
    SILENT = auto()  #: has never sent anything
    KEPT = auto()  #: between two requests
    ANSWER = auto()  #: its client takes the answer


class Connection(TConn):  # type: ignore[misc]
    """gunicorn's, and what is known about it while no thread has it."""

    sock: AnswerSocket

    def __init__(self, cfg: Any, sock: AnswerSocket, client: Any, server: Any, now: float) -> None:
        super().__init__(cfg, sock, client, server)
        self.init()  # makes the parser, into which heads are read
        sock.setblocking(False)
        self.accepted_at = now
        self.phase: Phase | None = None
        self.deadline = 0.0  #: by the monotonic clock
        self.held_bytes = 0
        self.discarded_bytes = 0
        self.kind = Kind.ORDINARY
        self.is_kept = False  #: whether another request may follow the answer
        self.expect_request()

    def expect_request(self) -> None:
        self.head = RequestHead(self.cfg.limit_request_line, self.cfg.limit_request_fields)

    def take_request(self) -> None:
        """Give the parser what has come."""
        self.kind = self.head.kind()
        self.parser.unreader.unread(bytes(self.head.received))
        self.expect_request()

    def has_body_end(self, body: Any) -> bool:
        """Whether what is left of a request's body can be read without waiting."""
        reader = body.reader
        if isinstance(reader, ChunkedReader):
            return reader.parser is None
        if not reader.length:
            return True
        here: int = struct.unpack("i", fcntl.ioctl(self.sock, termios.FIONREAD, bytes(4)))[0]
        return bool(reader.length <= len(self.parser.unreader.buf.getvalue()) + here)
