"""Authorised HTTP to one bucket of a storage server: the only place that opens sockets for the backend.

Gives answers back whatever they say; what never was an answer becomes StorageUnavailable. What to send, and whether
to send it again, is left to the modules beside this one.
"""

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

import requests
from requests.auth import AuthBase
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.util import Timeout

from dataflow.errors import StorageUnavailable
from dataflow.storage.base import Observer
from dataflow.storage.messages import Answer, Request
from dataflow.storage.retry import Retries
from dataflow.storage.stop import Stop
from dataflow.storage.supabase.line import Line

logger = logging.getLogger(__name__)

#: Of an answer that is no object; whatever a gateway sends beyond that is of no use.
MAX_ANSWER_BYTES = 64 * 1024
MAX_IDLE_LINES = 4
#: A line that has been idle for longer is not used again: what is between us and the server may have forgotten it, and
#: nobody would tell.
KEPT_SECONDS = 15.0
#: What may be sent again without a look at what became of it.
REPEATABLE = ("GET", "HEAD", "DELETE", "OPTIONS")
#: What reading from or writing to a server can raise: requests' own, urllib3's from a streamed body, the socket's.
NETWORK_ERRORS = (requests.RequestException, HTTPError, OSError)


class NotConnected(StorageUnavailable):
    """There was no connection, so the server has not seen the request."""


class _KeyAuth(AuthBase):
    """An explicit auth: without one, requests would let a ~/.netrc replace the header."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        # Ignored by the server, asked for by the gateways in front of it (contract section 1).
        request.headers["apikey"] = self._key
        return request


class Api:
    """The server at `base_url` (its prefix included), seen with `key`; may be used by any number of threads.

    Each has a line of its own while it needs one; a few are kept for those who come next.
    """

    def __init__(self, base_url: str, key: str, bucket: str, observer: Observer) -> None:
        self.base_url = base_url.rstrip("/")
        self.bucket = bucket
        self.observer = observer
        self._key = key
        self._idle: deque[Line] = deque()
        weakref.finalize(self, _close_all, self._idle)

    def object_path(self, kind: str, key: str) -> str:
        """The path of one object under /object; `kind` is empty, `authenticated` or `info/authenticated`."""
        return "/".join(filter(None, ("/object", kind, quote(self.bucket), quote(key))))

    def exchange(
        self,
        request: Request,
        seconds: float,
        stop: Stop | None = None,
        send_seconds: float | None = None,
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
        """A socket's limits are for each of its calls, and an answer may trickle: so the line is cut in the end."""
        timer = threading.Timer(seconds, line.cut)
        timer.daemon = True
        timer.start()
        try:
            with self.send(line, request, limits) as response:
                answer = self.answer(response)
        except NotConnected:
            raise
        except StorageUnavailable:
            if not line.is_cut:
                raise
        finally:
            timer.cancel()
        # A head that was cut looks like one that is short.
        if line.is_cut:
            raise StorageUnavailable(f"The storage does not answer: timed out after {seconds:.1f} s.")
        return answer

    @contextmanager
    def line(self) -> Iterator[Line]:
        """A line for this thread alone."""
        line = self._idle_line() or Line(_KeyAuth(self._key))
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
        """Send a request; reading the answer, and closing it, is left to the caller.

        :raises NotConnected, StorageUnavailable: when no answer begins.
        """
        try:
            return self._request(line, request, limits)
        except StorageUnavailable as error:
            if not _has_gone_stale(line, error):
                raise
            # Those beside it were kept as long, and will not be any better.
            _close_all(self._idle)
            if request.method not in REPEATABLE:
                raise
        # No attempt has failed yet: the server has not answered because it was not there any more.
        return self._request(line, request, limits)

    def _request(self, line: Line, request: Request, limits: Timeout) -> requests.Response:
        try:
            return line.session.request(
                request.method,
                self.base_url + request.path,
                headers=dict(request.headers),
                data=request.body,  # type: ignore[arg-type]
                timeout=limits,  # type: ignore[arg-type]
                allow_redirects=False,
                stream=True,
            )
        except NETWORK_ERRORS as error:
            raise unreachable(error) from error

    def answer(self, response: requests.Response) -> Answer:
        """All that matters of an answer which is no object.

        :raises StorageUnavailable: when it breaks off.
        """
        try:
            text = response.raw.read(MAX_ANSWER_BYTES, decode_content=True).decode(errors="replace")
        except NETWORK_ERRORS as error:
            raise unreachable(error) from error
        return Answer(response.status_code, response.headers, text.replace(self._key, "***"))

    def pause(self, retries: Retries, error: StorageUnavailable, operation: str, key: str, offset: int = 0) -> None:
        """Wait before `operation` is tried again.

        :raises StorageUnavailable: `error`, when it is not.
        """
        facts = {"operation": operation, "object": key, "offset": offset, "attempt": retries.failures + 1}
        logger.warning("storage failed", extra={**facts, "error": error.message})
        retries.pause(error)
        self.observer.retried(operation)


def _close_all(lines: deque[Line]) -> None:
    with suppress(IndexError):
        while True:
            lines.pop().close()


def _has_gone_stale(line: Line, error: StorageUnavailable) -> bool:
    """Whether a connection that was kept had ended before the request, with its server or on the way."""
    is_ended = isinstance(error.__cause__, requests.ConnectionError) and not isinstance(error, NotConnected)
    return is_ended and line.kept_since is not None and not line.is_cut


def unreachable(error: Exception) -> StorageUnavailable:
    """Our error for one of NETWORK_ERRORS, with the reason that lies deepest."""
    kind, reason, deeper = StorageUnavailable, type(error).__name__, error
    while deeper is not None:
        if isinstance(deeper, NewConnectionError | ConnectTimeoutError):
            kind = NotConnected
        told = "timed out" if isinstance(deeper, TimeoutError) else getattr(deeper, "strerror", None)
        reason, deeper = told or reason, deeper.__cause__ or deeper.__context__  # type: ignore[assignment]
    return kind(f"The storage does not answer: {reason}.")
