"""The header Prefer, as RFC 7240 has it."""

from itertools import product

import pytest

from dataflow.web.preferences import MAX_WAIT_SECONDS, wait_seconds
from dataflow.web.server.request_head import Kind, RequestHead

pytestmark = pytest.mark.unit

WAITING = {
    "wait=10": 10,
    "Wait=10": 10,
    "wait = 10": 10,
    'wait="10"': 10,
    "wait=10; x=y": 10,
    'wait=10;x="a, wait=3; \\" b";y': 10,
    "respond-async, wait=7": 7,
    "respond-async,wait=7,handling=lenient": 7,
    'foo="a, wait=3", wait=7': 7,
    "foo; wait=3, wait=7": 7,
    ",, wait=7": 7,
    "wait=7, wait=9": 7,
    f"wait={MAX_WAIT_SECONDS}": MAX_WAIT_SECONDS,
    "wait=30": MAX_WAIT_SECONDS,
    "wait=999999999": MAX_WAIT_SECONDS,
}
NOT_WAITING = (
    *("", " ", "wait", "wait=", 'wait=""', "wait=x", "wait=1.5", "wait=-1", "wait=+1", "wait=0", "wait=\u0661"),
    *("wait=99999999999", "await=9", "foo; wait=3", 'foo="wait=3', "wait=x, wait=7", "return=minimal", "wait=1 0"),
    *("respond-async wait=10", "=7", '"wait=7"', "wait;7"),
)


@pytest.mark.parametrize(("header", "seconds"), WAITING.items())
def test_how_long_a_client_waits_is_understood(header: str, seconds: int) -> None:
    assert wait_seconds(header) == seconds


@pytest.mark.parametrize("header", NOT_WAITING)
def test_what_is_malformed_or_something_else_is_ignored(header: str) -> None:
    assert wait_seconds(header) == 0


def test_a_long_header_takes_no_long_time() -> None:
    """Also when it is malformed at its end, or holds blanks that could belong to what is before or behind them."""
    pieces = (
        "a=",
        "wait;",
        '"',
        "a; ",
        " ",
        'a="\\',
        "\\",
        ",",
        "a",
        "a;a=a;",
        ";  ",
        ";a=  ",
        " \t;",
        "a \t= \t;",
        ", ,",
    )
    for piece, begin, end in product(pieces, ("", "wait;", "wait=1"), ("", "\x01", '"', "=")):
        wait_seconds(begin + piece * (60_000 // len(piece)) + end)


@pytest.mark.parametrize("header", WAITING)
def test_who_waits_gets_a_thread_for_that(header: str) -> None:
    for before in ("", "X-A: wait=1\r\n"):
        head = RequestHead(8190, 100)
        assert head.feed(f"GET /jobs/1 HTTP/1.1\r\nHost: x\r\n{before}prefer: {header}\r\n\r\n".encode())
        assert head.kind() is Kind.STREAM


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /jobs/1 HTTP/1.1\r\nX-Prefer: wait=1",
        "GET /jobs/1 HTTP/1.1\r\nPrefer: return=minimal\r\nX-A: wait=1",
        "GET /prefer:wait=1 HTTP/1.1\r\nHost: x",
        "POST /jobs/1/cancel HTTP/1.1\r\nPrefer: wait=1",
        "POST /jobs/1/cancel HTTP/1.1\r\nContent-Length: 99\r\n\r\nGET /\r\nPrefer: wait=1",
        "GET /jobs/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /jobs/1 HTTP/1.1\r\nPrefer: wait=1",
    ],
)
def test_who_does_not_wait_gets_none(request_text: str) -> None:
    head = RequestHead(8190, 100)
    assert head.feed(f"{request_text}\r\n\r\n".encode())
    assert head.kind() is Kind.ORDINARY
