"""What is sent again: a request whose connection broke, and nothing that was not worth a second attempt."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from dataflow.client import once
from dataflow.client.once import post_once
from dataflow.client.service import Service, Unanswered
from dataflow.errors import RequestError
from tests.support.acceptor import Acceptor
from tests.support.processes import free_port
from tests.support.proxies import Proxy
from tests.support.scripted_server import Answer, scripted

pytestmark = pytest.mark.unit

ANSWER = Answer(body=b'{"jobId": "1"}')


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "PAUSES_SECONDS", (0.01, 0.01))


def ask(url: str, tell: Callable[[str], None], seconds: float = 20) -> object:
    with Service(url) as service:
        return post_once(service, "/jobs", seconds, tell, json={"a": 1})["jobId"]


def test_each_attempt_is_the_same_request_with_the_same_key() -> None:
    told = list[str]()
    with scripted({"/jobs": [Answer(body=b'{"jo', is_cut=True), Answer(body=b"{", is_cut=True), ANSWER]}) as server:
        assert ask(server.url, told.append) == "1"
    assert len(told) == 2
    assert set(server.bodies) == {b'{"a": 1}'}
    assert len(server.bodies) == 3
    assert len({headers["Idempotency-Key"] for _, headers in server.asked}) == 1


def test_the_next_request_has_another_key() -> None:
    with scripted({"/jobs": [ANSWER]}) as server:
        for _ in range(2):
            ask(server.url, pytest.fail)
    assert len({headers["Idempotency-Key"] for _, headers in server.asked}) == 2


def test_it_is_given_up_after_the_last_pause() -> None:
    told = list[str]()
    with scripted({"/jobs": [Answer(body=b"{", is_cut=True)]}) as server, pytest.raises(Unanswered):
        ask(server.url, told.append)
    assert (len(told), len(server.bodies)) == (2, 3)


def test_what_a_service_under_way_with_it_says_is_waited_for_only_after_a_break() -> None:
    busy = Answer(409, b'{"error": "It is under way.", "code": "idempotency_key_in_use"}')
    told = list[str]()
    with scripted({"/jobs": [Answer(body=b"{", is_cut=True), busy, ANSWER]}) as server:
        assert ask(server.url, told.append) == "1"
    with scripted({"/jobs": [busy, ANSWER]}) as server, pytest.raises(RequestError, match="under way"):
        ask(server.url, pytest.fail)


def test_a_refusal_and_a_service_that_is_not_there_are_told_at_once() -> None:
    with scripted({"/jobs": [Answer(400, b'{"error": "No."}')]}) as server, pytest.raises(RequestError, match=r"No\."):
        ask(server.url, pytest.fail)
    with pytest.raises(Unanswered, match="refused"):
        ask(f"http://127.0.0.1:{free_port()}", pytest.fail)
    with pytest.raises(Unanswered):
        ask("http://nowhere.invalid", pytest.fail)


def test_an_answer_that_does_not_come_in_time_is_not_asked_for_again() -> None:
    def keep_silent(client: socket.socket) -> None:
        with client:
            while client.recv(65536):
                pass

    with Acceptor(keep_silent) as acceptor, pytest.raises(Unanswered, match="timed out"):
        ask(f"http://127.0.0.1:{acceptor.port}", pytest.fail, 0.2)


def test_a_service_that_cannot_be_trusted_or_speaks_no_tls_is_told_at_once(tmp_path: Path) -> None:
    with scripted({"/jobs": [ANSWER]}) as server:
        with Proxy(server.server_port, tmp_path) as stranger, pytest.raises(Unanswered, match="certificate"):
            ask(stranger.url, pytest.fail)
        with pytest.raises(Unanswered, match="SSL"):
            ask(server.url.replace("http", "https"), pytest.fail)
        assert server.bodies == []


def test_a_proxy_that_is_not_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unanswered):
        ask("https://service.example", pytest.fail)
