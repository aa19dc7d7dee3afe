"""The service at a URL: every request to it carries the key, and every answer is judged before it is used."""

import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import IncompleteRead
from types import TracebackType
from typing import Any, Final, Self

import requests
import urllib3

from dataflow.errors import RequestError

PIECE_BYTES: Final = 64 * 1024
CONNECT_SECONDS: Final = 10.0
#: The environment's proxies lead to other machines, never to this one.
_THIS_MACHINE: Final = re.compile(r"https?://(localhost|127\.[\d.]+|\[::1\])(:|/|$)")


class Unanswered(RequestError):
    """Nobody answers, or not in time; `has_broken` is whether there was a connection, which has ended too early."""

    def __init__(self, message: str, *, has_broken: bool) -> None:
        super().__init__(message)
        self.has_broken = has_broken


class Refused(RequestError):
    """Whoever answers does not do it. The status is that of the answer, the code as well, if it has one."""

    def __init__(self, message: str, response: requests.Response, answer_code: str = "") -> None:
        super().__init__(message)
        self.answer_status, self.answer_code = response.status_code, answer_code
        retry_after = response.headers.get("Retry-After", "")
        self.retry_after_seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0


class BrokenOff(RequestError):
    """The answer has ended before it was whole."""


class Service:
    """`path` begins with a slash, and is below the URL."""

    def __init__(self, url: str, key: str = "") -> None:
        """:raises RequestError: when no header can carry the key."""
        self.url = url.rstrip("/")
        self.is_this_machine = _THIS_MACHINE.match(url) is not None
        self._session = requests.Session()
        self._session.trust_env = not self.is_this_machine
        if key:
            self._session.auth = _bearer(key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def ask(self, method: str, path: str, seconds: float, member: str = "jobId", **arguments: Any) -> dict[str, Any]:
        """The answer, an object that has this member.

        :raises Unanswered: when there is none within so many seconds.
        :raises Refused: when it is a refusal, or somebody else's answer.
        """
        response = self._request(method, path, seconds, **arguments)
        try:
            answer: dict[str, Any] = response.json()
            if response.ok and answer[member] is not None:
                return answer
        except (ValueError, KeyError, TypeError) as error:
            raise _stranger(response) from error
        raise _refusal(response)

    @contextmanager
    def opened(self, method: str, path: str, silence_seconds: float, **arguments: Any) -> Iterator[requests.Response]:
        """The answer whose body is still to come: see `pieces`. Silence is how long nothing may come.

        :raises Unanswered: when there is none.
        :raises Refused: when it is a refusal, or somebody else's answer.
        """
        with self._request(method, path, (CONNECT_SECONDS, silence_seconds), stream=True, **arguments) as response:
            if response.status_code not in (200, 206):
                raise _refusal(response)
            yield response

    def _request(
        self, method: str, path: str, seconds: float | tuple[float, float], **arguments: Any
    ) -> requests.Response:
        url = f"{self.url}{path}"
        try:
            return self._session.request(method, url, timeout=seconds, allow_redirects=False, **arguments)
        except requests.RequestException as error:
            message = f"No answer from {url}: {_reason(error)}. Is the service running there?"
            raise Unanswered(message, has_broken=_has_broken(error)) from error


def pieces(response: requests.Response) -> Iterator[bytes]:
    """The body as it comes, each byte as soon as it is there: requests would lose the last ones when it breaks off.

    :raises BrokenOff: when it does not come to its end.
    """
    try:
        while piece := response.raw.read1(PIECE_BYTES, decode_content=True):
            yield piece
    except urllib3.exceptions.HTTPError as error:
        raise BrokenOff(f"The answer broke off: {_reason(error)}.") from error


def _has_broken(error: requests.RequestException) -> bool:
    is_broken = isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError)
    return is_broken and not any(_is_no_break(cause) for cause in _causes(error))


def _is_no_break(cause: BaseException) -> bool:
    """Whether nothing came in time, or there was no connection to a service that is trusted."""
    if isinstance(cause, ssl.SSLEOFError):
        # An encrypted connection that breaks is called an error of TLS.
        return False
    is_late = isinstance(cause, TimeoutError | requests.Timeout)
    no_service = urllib3.exceptions.NewConnectionError | requests.exceptions.ProxyError | ssl.SSLError
    return is_late or isinstance(cause, no_service)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and below it what libraries have put it around."""
    while error is not None:
        yield error
        error = error.__context__


def _reason(error: BaseException) -> str:
    """What the system said, below all that libraries have put around it."""
    causes = [*_causes(error)]
    if any(isinstance(cause, IncompleteRead) for cause in causes):
        return "the connection was closed"
    return str(getattr(causes[-1], "strerror", None) or causes[-1])


def _stranger(response: requests.Response) -> Refused:
    url = response.url.partition("?")[0]
    found = f"{response.status_code} {response.reason}"
    return Refused(f"{url} answered {found}, but not as this service does: check the URL.", response)


def _refusal(response: requests.Response) -> Refused:
    try:
        answer = response.json()
        message = with_issues(answer["error"], answer.get("issues", ()))
        return Refused(message, response, str(answer.get("code", "")))
    except (ValueError, KeyError, TypeError, requests.RequestException):
        return _stranger(response)


def _bearer(key: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """Sends the key; as a header of the session, requests would put what .netrc has in its place.

    :raises RequestError: when no header can carry it: requests would show it.
    """
    if not key.isascii() or not key.isprintable() or " " in key:
        raise RequestError("The key is not one line of ASCII without spaces.")

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {key}"
        return request

    return sign


def with_issues(text: str, issues: Sequence[Mapping[str, Any]]) -> str:
    """The text, and below it a line for each issue, such as data[0].email: Invalid email format."""
    lines = [text]
    for issue in issues:
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in issue["path"])
        lines.append(f"{path.lstrip('.')}: {issue['message']}")
    return "\n  ".join(lines)
