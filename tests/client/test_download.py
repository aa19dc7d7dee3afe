"""Downloads of one file over connections that break, from a server that does what a test says."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dataflow.client.download import Damaged, Download
from dataflow.client.patience import PAUSES_SECONDS, Patience
from dataflow.client.service import BrokenOff, Refused, Service, Unanswered
from dataflow.errors import RequestError
from tests.support.file_server import FileServer, serving

pytestmark = pytest.mark.unit

CONTENT = random.Random(16).randbytes(300_000)
OTHER = random.Random(17).randbytes(200_000)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(CONTENT) as started:
        yield started


class Client:
    """Downloads into one file; the pauses that it would have made are in `slept`."""

    def __init__(self, url: str, path: Path) -> None:
        self.url, self.path = url, path
        self.slept: list[float] = []
        self.while_asleep: Callable[[], None] = lambda: None
        self.shown: list[tuple[int, int]] = []

    def run(self, is_ours: bool = True) -> bytes:
        with Service(self.url) as service, self.path.open("r+b" if self.path.exists() else "x+b") as file:
            Download(service, "/file", file, is_ours, Patience(self._sleep)).run(
                lambda done, total: self.shown.append((done, total))
            )
        return self.path.read_bytes()

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.while_asleep()


@pytest.fixture
def client(server: FileServer, tmp_path: Path) -> Client:
    return Client(server.url, tmp_path / "part")


def test_a_file_comes_in_one_request_when_nothing_breaks(server: FileServer, client: Client) -> None:
    assert client.run() == CONTENT
    assert server.asked == [(None, None)]
    assert client.shown[-1] == (len(CONTENT), len(CONTENT))
    assert client.slept == []


def test_an_empty_file_is_a_file(server: FileServer, client: Client) -> None:
    server.put(b"")
    assert client.run() == b""


def test_a_download_goes_on_where_it_broke_off(server: FileServer, client: Client) -> None:
    server.cuts = [100_000, 50_000, 1]
    assert client.run() == CONTENT
    assert server.asked == [
        (None, None),
        *((f"bytes={start}-", server.etag) for start in (100_000, 150_000, 150_001)),
    ]


def test_bytes_that_come_renew_the_patience(server: FileServer, client: Client) -> None:
    server.cuts = [1000] * (3 * len(PAUSES_SECONDS))
    assert client.run() == CONTENT
    assert set(client.slept) == {PAUSES_SECONDS[0]}


def test_a_service_that_is_away_is_asked_again_for_a_while_and_as_late_as_it_says(
    server: FileServer, client: Client
) -> None:
    server.cuts = [1000]
    server.refusals = [(503, {}), (502, {}), (429, {"Retry-After": "7"}), (503, {"Retry-After": "9999"})]
    assert client.run() == CONTENT
    assert client.slept[:4] == [0.5, 1.0, 7.0, 60.0]


@pytest.mark.parametrize("cut_bytes", [0, 1000])
def test_what_fails_too_often_without_a_byte_is_given_up(server: FileServer, client: Client, cut_bytes: int) -> None:
    server.cuts = [cut_bytes] + [0] * 100
    with pytest.raises(BrokenOff):
        client.run()
    assert client.slept == list(PAUSES_SECONDS)
    # What has come is left to a later command.
    server.cuts = []
    assert client.path.stat().st_size == cut_bytes
    assert client.run() == CONTENT


def test_a_refusal_is_final(server: FileServer, client: Client) -> None:
    server.refusals = [(410, {})]
    with pytest.raises(Refused):
        client.run()
    assert client.slept == []


def test_a_server_that_is_not_there_is_tried_again(client: Client) -> None:
    client.url = "http://127.0.0.1:1"
    with pytest.raises(Unanswered):
        client.run()
    assert client.slept == list(PAUSES_SECONDS)


@pytest.mark.parametrize("left", [1, 100_000, len(CONTENT) - 1, len(CONTENT)])
def test_a_later_command_fetches_only_what_is_missing(server: FileServer, client: Client, left: int) -> None:
    client.path.write_bytes(CONTENT[:left])
    assert client.run() == CONTENT
    # One byte is asked for again, so that there is something to ask for.
    assert server.asked == [(f"bytes={left - 1}-" if left > 1 else None, None)]


@pytest.mark.parametrize("left", [OTHER[:1000], CONTENT + b"longer", OTHER + OTHER])
def test_what_was_left_of_another_file_is_fetched_anew(server: FileServer, client: Client, left: bytes) -> None:
    client.path.write_bytes(left)
    assert client.run() == CONTENT


def test_a_file_that_changes_meanwhile_is_fetched_anew(server: FileServer, client: Client) -> None:
    server.cuts = [100_000]
    client.while_asleep = lambda: server.put(OTHER)
    assert client.run() == OTHER


@pytest.mark.parametrize(
    "headers",
    [{"Repr-Digest": "sha-256=:a:"}, {"Repr-Digest": "sha-256=:====:"}, {"Content-Length": "\xb2"}],
    ids=["half a digest", "padding alone", "a length that is no number"],
)
def test_headers_that_say_nothing_are_told_as_such(server: FileServer, client: Client, headers: dict[str, str]) -> None:
    server.headers = headers
    with pytest.raises(RequestError, match=r"The digest of the file|does not say how long"):
        client.run()


def test_a_file_that_is_not_what_its_digest_says_is_refused(server: FileServer, client: Client) -> None:
    server.digest = bytes(32)
    with pytest.raises(Damaged):
        client.run()


def test_what_another_program_reads_goes_on_too_but_cannot_be_taken_back(server: FileServer, client: Client) -> None:
    server.cuts = [100_000]
    assert client.run(is_ours=False) == CONTENT
    client.path.write_bytes(b"")
    server.cuts = [100_000]
    client.while_asleep = lambda: server.put(OTHER)
    with pytest.raises(Damaged, match="cannot be taken back"):
        client.run(is_ours=False)
