"""Authorised HTTP to one bucket of a storage server: the only place that opens sockets for the backend.

Gives answers back whatever they say; what never was an answer becomes StorageUnavailable. What to send, and whether
to send it again, is left to the modules beside this one.
"""

import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from dataflow.errors import StorageUnavailable
from dataflow.storage.base import Observer
from dataflow.storage.messages import Answer, Request

CONNECT_SECONDS = 5.0
#: Of an answer that is no object; whatever a gateway sends beyond that is of no use.
MAX_ANSWER_BYTES = 64 * 1024
#: What reading from or writing to a server can raise: requests' own, urllib3's from a streamed body, the socket's.
NETWORK_ERRORS = (requests.RequestException, HTTPError, OSError)


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

    Each has a requests.Session to itself while it needs one, and so one connection; kept for the next one who does.
    """

    def __init__(self, base_url: str, key: str, bucket: str, observer: Observer) -> None:
        self.base_url = base_url.rstrip("/")
        self.bucket = bucket
        self.observer = observer
        self._key = key
        self._idle: deque[requests.Session] = deque()
        weakref.finalize(self, _close_all, self._idle)

    def object_path(self, kind: str, key: str) -> str:
        """The path of one object under /object; `kind` is empty, `authenticated`, `info` or `sign`."""
        return "/".join(filter(None, ("/object", kind, quote(self.bucket), quote(key))))

    def exchange(self, request: Request, seconds: float, send_seconds: float | None = None) -> Answer:
        """Send a request and read the answer, within about `seconds`, of which sending may take `send_seconds`.

        :raises StorageUnavailable: when there is no answer.
        """
        # For urllib3, to send a body is part of connecting.
        limits = Timeout(connect=send_seconds or (seconds if request.body else CONNECT_SECONDS), total=seconds)
        with self.streamed(request, limits) as response:
            return self.answer(response)

    @contextmanager
    def streamed(self, request: Request, limits: Timeout) -> Iterator[requests.Response]:
        """Send a request and leave reading the answer to the block; `limits.read` is for each read then.

        :raises StorageUnavailable: when no answer begins.
        """
        session = self._borrow()
        try:
            with self._send(session, request, limits) as response:
                yield response
                if request.body and not response.ok:
                    # Refused without reading the body, which is still in the way of the next request.
                    session.close()
        finally:
            self._idle.append(session)

    def answer(self, response: requests.Response) -> Answer:
        """All that matters of an answer which is no object.

        :raises StorageUnavailable: when it breaks off.
        """
        try:
            text = response.raw.read(MAX_ANSWER_BYTES, decode_content=True).decode(errors="replace")
        except NETWORK_ERRORS as error:
            raise unreachable(error) from error
        return Answer(response.status_code, response.headers, text.replace(self._key, "***"))

    def _borrow(self) -> requests.Session:
        with suppress(IndexError):
            return self._idle.pop()
        session = requests.Session()
        session.auth = _KeyAuth(self._key)
        # A compressed download would have neither the length nor the ranges of the object.
        session.headers["Accept-Encoding"] = "identity"
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
        for scheme in ("http://", "https://"):
            session.mount(scheme, adapter)
        return session

    def _send(self, session: requests.Session, request: Request, limits: Timeout) -> requests.Response:
        began, outcome = time.monotonic(), "unreachable"
        try:
            response = session.request(
                request.method,
                self.base_url + request.path,
                headers=dict(request.headers),
                data=request.body,  # type: ignore[arg-type]
                timeout=limits,  # type: ignore[arg-type]
                allow_redirects=False,
                stream=True,
            )
            outcome = "ok" if 200 <= response.status_code < 300 else str(response.status_code)
        except NETWORK_ERRORS as error:
            raise unreachable(error) from error
        finally:
            self.observer.answered(request.operation, outcome, time.monotonic() - began)
        return response


def _close_all(sessions: deque[requests.Session]) -> None:
    while sessions:
        sessions.pop().close()


def unreachable(error: Exception) -> StorageUnavailable:
    """Our error for one of NETWORK_ERRORS, with the reason that lies deepest."""
    reason, deeper = type(error).__name__, error
    while deeper is not None:
        told = "timed out" if isinstance(deeper, TimeoutError) else getattr(deeper, "strerror", None)
        reason, deeper = told or reason, deeper.__cause__ or deeper.__context__  # type: ignore[assignment]
    return StorageUnavailable(f"The storage does not answer: {reason}.")
