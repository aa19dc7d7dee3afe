"""gunicorn's threaded worker, so that no client holds a thread before its request is here, or after it is answered.

Of gunicorn 27 it relies on `ThreadWorker` as a whole: on `run` calling `set_accept_enabled`, `murder_keepalived`,
`murder_pending`, `wait_for_and_dispatch_events` and `_cap_keepalive`, and watching `nr_conns` and `worker_connections`;
on `handle` calling `conn.sock.setblocking`, `conn.init`, `next(conn.parser)`, `handle_request` and `_keepalive_after`;
on `handle_error` telling the client by `util.write_error`; on `tpool`, `poller` and `method_queue`; on `TConn` (`sock`,
`parser`, `init`, `initialized`, `close`), the parser's `mesg` and `unreader` (`buf`, `unread`, `take_buffered`), a
message's `force_close` and `should_close`, which the head of an answer follows, and the `reader` of its body (`length`
of one kind, `parser` and `limit_trailer_section` of the other). A test asks for all of it.
"""

import errno
import math
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any, Final, Self

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.workers.gthread import ThreadWorker

from dataflow.config import Config
from dataflow.errors import ConfigError
from dataflow.web.server.answer_socket import AnswerSocket
from dataflow.web.server.connection import Connection, Phase
from dataflow.web.server.connections import LINGER_SECONDS, Connections
from dataflow.web.server.file_limit import most_connections, most_streams, raise_file_limit
from dataflow.web.server.refusal import JsonRefusal
from dataflow.web.server.shared_places import SharedPlaces, free_number
from dataflow.web.server.thread_pools import ThreadPools, ordinary_pool

#: gunicorn's own limit is that of a head, of which it looks at every byte again with each piece that comes.
MAX_TRAILER_BYTES: Final = 8 * 1024
#: Often enough for gunicorn's `timeout`.
NOTIFY_SECONDS: Final = 1.0
LOOK_UP_SECONDS: Final = 0.25
#: Established connections get their turn between such batches.
_ACCEPT_AT_ONCE: Final = 16
#: Pauses: until another process, whose turn it is, has accepted, and until a connection may have ended.
_OTHERS_TURN_SECONDS: Final = 0.002
_FULL_SECONDS: Final = 0.05
#: When descriptors have run out: so many connections at least, and until as many as before are tried again.
_LEAST_CONNECTIONS: Final = 8
_SAVE_FILES_SECONDS: Final = 60.0
_OUT_OF_FILES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class HttpWorker(ThreadWorker):  # type: ignore[misc]
    """One web process: this thread accepts and looks after connections, pools of others serve requests."""

    #: Made when gunicorn's master imports this, before there are processes.
    shared_places: Final = SharedPlaces()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.max_keepalived = self.worker_connections = sys.maxsize  # the oldest gives way instead
        self.number = 0
        self._accept_again_at = self._look_up_at = self._notify_at = self._restore_at = 0.0
        self._cut_at = math.inf

    @classmethod
    def check_config(cls, cfg: Any, _log: Any) -> None:
        """:raises ConfigError: for TLS and HTTP/2, which need a thread for each client, and for PROXY."""
        if cfg.is_ssl or "h2" in cfg.http_protocols or cfg.proxy_protocol != "off":
            raise ConfigError("This service speaks HTTP/1.1 without TLS: leave TLS, HTTP/2 and PROXY to the platform.")

    def take_number(self, others: Iterable[Self]) -> None:
        """Called before the fork, for an entry of the shared places."""
        self.number = free_number(other.number for other in others if other is not self)

    def init_process(self) -> None:
        self._possible_connections = min(
            self.cfg.worker_connections, most_connections(raise_file_limit(), self.cfg.threads)
        )
        self._max_connections = self._possible_connections
        super().init_process()

    def get_thread_pool(self) -> Executor:
        return ordinary_pool(self.cfg.threads)

    def load_wsgi(self) -> None:
        super().load_wsgi()
        services = self.wsgi.extensions["dataflow"]
        config: Config = services.config
        self._max_uploads, self._stall_seconds = config.max_uploads, config.upload_stall_seconds
        self._grace_seconds, self._cut_transfers = config.shutdown_grace_seconds, services.transfers.cut
        self._end_streams = services.event_feed.stop
        self._threads = ThreadPools(
            self.tpool,
            self.cfg.threads,
            most_streams(self._possible_connections, config.max_event_streams),
            services.transfers,
            self.handle,
            lambda conn, future: self.method_queue.defer(self.finish_request, conn, future),
        )
        seconds = {
            Phase.HEAD: config.head_seconds,
            Phase.CLOSING: LINGER_SECONDS,
            Phase.SILENT: self.cfg.keepalive,
            Phase.KEPT: self.cfg.keepalive,
            Phase.ANSWER: config.upload_stall_seconds,
        }
        self._connections = Connections(self.poller, self.enqueue_req, self._count_end, seconds)

    # What gunicorn's loop calls, in the order of a connection's life.

    def notify(self) -> None:
        # Not in each round: the call lets the other threads have the interpreter's lock.
        if (now := time.monotonic()) >= self._notify_at:
            self._notify_at = now + NOTIFY_SECONDS
            super().notify()

    def set_accept_enabled(self, enabled: bool) -> None:
        if not enabled or time.monotonic() >= self._accept_again_at:
            super().set_accept_enabled(enabled)

    def accept(self, listener: Any) -> None:
        # All before the first is served: a thread that computes would keep this one waiting.
        for connection in list(self._accepted(listener)):
            self._connections.expect_first_request(connection)
            if self.nr_conns > self._max_connections:
                self._connections.end_oldest(but=connection)

    def _accepted(self, listener: Any) -> Iterator[Connection]:
        for number in range(_ACCEPT_AT_ONCE):
            now = time.monotonic()
            if not self.shared_places.is_turn_of(self.number, max(0, self._publish(now) - number), now):
                return self._pause_accepting(_OTHERS_TURN_SECONDS)
            if self.nr_conns - self._max_connections >= len(self._connections):  # so many may give way
                return self._pause_accepting(_FULL_SECONDS)
            try:
                taken, address = listener.accept()
            except OSError as error:
                if error.errno in _OUT_OF_FILES:
                    self._save_files(now)
                elif error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED):
                    raise
                return None
            self.nr_conns += 1
            yield Connection(self.cfg, AnswerSocket(taken, self._stall_seconds), address, listener.getsockname(), now)
        return None

    def _save_files(self, now: float) -> None:
        """Keep fewer connections for a while: no descriptor is left, for the threads either."""
        self.log.warning("Out of file descriptors with %d connections: closing the oldest.", self.nr_conns)
        self._max_connections = max(_LEAST_CONNECTIONS, self.nr_conns - int(self.cfg.threads))
        self._restore_at = now + _SAVE_FILES_SECONDS
        while self.nr_conns >= self._max_connections and self._connections.end_oldest():
            pass
        self._pause_accepting(_FULL_SECONDS)

    def enqueue_req(self, conn: Connection) -> None:
        if conn.head.is_too_large:
            self.handle_error(None, conn.sock, conn.client, LimitRequestHeaders("The head is too large"))
            conn.is_kept = False
            self._connections.finish_answer(conn)
            return
        conn.take_request()
        self._threads.start(conn)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """As gunicorn, but a client whose body is long and has not come is told `Connection: close`."""
        if isinstance(req.body.reader, ChunkedReader):
            req.body.reader.limit_trailer_section = MAX_TRAILER_BYTES
        should_close = req.should_close

        def should_close_now() -> bool:
            if not should_close() and not conn.can_skip(req.body):
                req.force_close()
            return bool(should_close())

        req.should_close = should_close_now  # asked when the head of the answer is made
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        super().handle_error(req, JsonRefusal(client, exc), addr, exc)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """As gunicorn, but nothing is waited for to find out whether the connection can be used again."""
        body = conn.parser.mesg.body
        if not keepalive or not conn.can_skip(body):
            return False
        conn.skip(body)
        return bool(super()._keepalive_after(conn, keepalive))

    def finish_request(self, conn: Connection, fs: Future[Any]) -> None:
        self._threads.end(conn)
        conn.is_kept = fs.exception() is None and bool(fs.result())
        self._connections.finish_answer(conn)
        if not self.alive:
            self._connections.end_phases(Phase.HEAD, Phase.SILENT, Phase.KEPT)

    def _count_end(self) -> None:
        self.nr_conns -= 1

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        now = time.monotonic()
        self._publish(now)
        paused_seconds = self._accept_again_at - now
        timeout = min(timeout, LOOK_UP_SECONDS, paused_seconds if paused_seconds > 0 else LOOK_UP_SECONDS)
        super().wait_for_and_dispatch_events(timeout)

    def murder_pending(self) -> None:
        if (now := time.monotonic()) >= self._look_up_at:
            self._look_up_at = now + LOOK_UP_SECONDS
            self._connections.end_overdue(now)
            self._threads.look_up(now)
            if now >= self._cut_at:
                self._cut_transfers()
            if now >= self._restore_at:
                self._max_connections = self._possible_connections

    def murder_keepalived(self, force: bool = False) -> None:
        if force:
            self._connections.end_phases(*Phase)

    def _cap_keepalive(self, _deadline: float) -> None:
        """Called at SIGTERM, and when the master is gone: idle connections are closed and streams ended at once, bodies
        are cut when the grace period is over, and nobody is kept waiting at our end of the listening sockets.
        """
        self._cut_at = time.monotonic() + self._grace_seconds
        self._end_streams()
        self._connections.end_phases(Phase.HEAD, Phase.SILENT, Phase.KEPT)
        for listener in self.sockets:
            listener.close()

    def _publish(self, now: float) -> int:
        """Tell the other processes how many more uploads may come here; new connections count as uploads."""
        if self.cfg.workers == 1:
            return 0
        places = 0
        if self.alive:
            places = self._threads.free_places(self._max_uploads)
            places -= self._connections.count_new(now, places)
        self.shared_places.publish(self.number, places, now)
        return places

    def _pause_accepting(self, seconds: float) -> None:
        self.set_accept_enabled(False)
        self._accept_again_at = time.monotonic() + seconds
