"""Authorised HTTP to one bucket of a storage server: the only place that opens sockets for the backend.

Every answer is given back, whatever it says; without one, StorageUnavailable is raised.
"""

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from urllib.parse import quote

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.util import Timeout

from dataflow.errors import StorageUnavailable
from dataflow.storage.base import Observer
from dataflow.storage.messages import Answer, Request
from dataflow.storage.retry import Retries
from dataflow.storage.stop import Stop
from dataflow.storage.supabase.line import Line

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 64 * 1024  #: of one that is no object
MAX_IDLE_LINES = 4
#: A connection that has been idle for longer may have been forgotten on the way, and nobody would tell.
KEPT_SECONDS = 15.0
REPEATABLE = ("GET", "HEAD", "DELETE", "OPTIONS")
NETWORK_ERRORS = (requests.RequestException, HTTPError, OSError)  #: urllib3's come from a streamed body


class NotConnected(StorageUnavailable):
    """There was no connection, so the server has not seen the request."""


def _authorise(key: str, request: requests.PreparedRequest) -> requests.PreparedRequest:
    request.headers["Authorization"] = f"Bearer {key}"
    # Ignored by the server, asked for by the gateways in front of it (contract section 1).
    request.headers["apikey"] = key
    return request


class Api:
    """The server at `base_url` (its prefix included), seen with `key`; may be used by any number of threads."""

    def __init__(self, base_url: str, key: str, bucket: str, observer: Observer) -> None:
        self.base_url = base_url.rstrip("/")
        self.bucket = bucket
        self.observer = observer
        self._key = key
        self._idle: deque[Line] = deque()
        weakref.finalize(self, _close_all, self._idle)

    def object_path(self, kind: str, key: str) -> str:
        return "/".join(filter(None, ("/object", kind, quote(self.bucket), quote(key))))

    def exchange(
        self, request: Request, seconds: float, stop: Stop | None = None, send_seconds: float | None = None
    ) -> Answer:
        """Send a request and read the answer, within `seconds`, of which sending may take `send_seconds`.

        :raises NotConnected: when the request has not been sent.
        :raises StorageUnavailable: when there is no answer.
        """
        start, outcome = time.monotonic(), "unreachable"
        # For urllib3, to send a body is part of connecting.
        limits = Timeout(connect=send_seconds or seconds, total=seconds)
        try:
            with self.line() as line, (stop or Stop()).cutting(line):
                answer = self._answer_in_time(line, request, limits, seconds)
                outcome = "ok" if answer.is_success else str(answer.status)
                if request.body and not answer.is_success:
                    # Refused without reading the body, which is still in the way of the next request.
                    line.close()
                return answer
        finally:
            self.observer.answered(request.operation, outcome, time.monotonic() - start)

    def _answer_in_time(self, line: Line, request: Request, limits: Timeout, seconds: float) -> Answer:
        """A socket's limit is for each of its calls, and an answer may trickle: so the line is cut in the end."""
        timer = threading.Timer(seconds, line.cut)
        timer.daemon = True
        timer.start()
        try:
            with self.send(line, request, limits) as response:
                answer = self.answer(response)
        except StorageUnavailable as error:
            if isinstance(error, NotConnected) or not line.is_cut:
                raise
        finally:
            timer.cancel()
        # A head that was cut looks like one that is short.
        if line.is_cut:
            raise StorageUnavailable(f"The storage does not answer: timed out after {seconds:.1f} s.")
        return answer

    @contextmanager
    def line(self) -> Iterator[Line]:
        line = self._idle_line() or Line(partial(_authorise, self._key))
        try:
            yield line
        finally:
            if len(self._idle) >= MAX_IDLE_LINES or line.is_cut:
                line.close()
            else:
                line.kept_since = time.monotonic()
                self._idle.append(line)

    def _idle_line(self) -> Line | None:
        with suppress(IndexError):
            while True:
                line = self._idle.pop()
                if not line.is_cut and time.monotonic() - (line.kept_since or 0.0) <= KEPT_SECONDS:
                    return line
                line.close()
        return None

    def send(self, line: Line, request: Request, limits: Timeout) -> requests.Response:
        """:raises NotConnected, StorageUnavailable: when no answer begins, for the caller to read and close."""
        try:
            return self._request(line, request, limits)
        except StorageUnavailable as error:
            if not _has_gone_stale(line, error):
                raise
            _close_all(self._idle)
            if request.method not in REPEATABLE:
                raise
        # The server has not answered because the connection had ended: no attempt has failed yet.
        return self._request(line, request, limits)

    def _request(self, line: Line, request: Request, limits: Timeout) -> requests.Response:
        with network():
            return line.session.request(
                request.method,
                self.base_url + request.path,
                headers=dict(request.headers),
                data=request.body,  # type: ignore[arg-type]
                timeout=limits,  # type: ignore[arg-type]
                allow_redirects=False,
                stream=True,
            )

    def answer(self, response: requests.Response) -> Answer:
        """:raises StorageUnavailable: when the answer breaks off."""
        with network():
            text = response.raw.read(MAX_ANSWER_BYTES, decode_content=True).decode(errors="replace")
        return Answer(response.status_code, response.headers, text.replace(self._key, "***"))

    def pause(self, retries: Retries, error: StorageUnavailable, operation: str, key: str, offset: int = 0) -> None:
        """:raises StorageUnavailable: `error`, when `operation` is not to be tried again."""
        facts = {"operation": operation, "object": key, "offset": offset, "attempt": retries.failures + 1}
        logger.warning("storage failed", extra={**facts, "error": error.message})
        retries.pause(error)
        self.observer.retried(operation)


def _close_all(lines: deque[Line]) -> None:
    with suppress(IndexError):
        while True:
            lines.pop().close()


def _has_gone_stale(line: Line, error: StorageUnavailable) -> bool:
    is_ended = isinstance(error.__cause__, requests.ConnectionError) and not isinstance(error, NotConnected)
    return is_ended and line.kept_since is not None and not line.is_cut


@contextmanager
def network() -> Iterator[None]:
    """:raises NotConnected, StorageUnavailable: instead of the libraries' errors."""
    try:
        yield
    except NETWORK_ERRORS as error:
        raise _unreachable(error) from error


def _unreachable(error: Exception) -> StorageUnavailable:
    kind, reason, deeper = StorageUnavailable, type(error).__name__, error
    while deeper is not None:
        if isinstance(deeper, NewConnectionError | ConnectTimeoutError):
            kind = NotConnected
        told = "timed out" if isinstance(deeper, TimeoutError) else getattr(deeper, "strerror", None)
        reason, deeper = told or reason, deeper.__cause__ or deeper.__context__  # type: ignore[assignment]
    return kind(f"The storage does not answer: {reason}.")
