"""What clients do to their connections: break off, lie about lengths, never end, stall, crowd, dawdle.

Requests are written by hand where no HTTP library would send them. One web process serves most of the module; every
test begins with empty tables and no stored object.
"""

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from dataflow import db
from tests.support.processes import Web, free_port
from tests.support.raw_http import Raw, wait_for_uploads
from tests.support.waiting import eventually

KIB, MIB = 1024, 1024 * 1024
JSON, CSV, NDJSON, OCTETS = "application/json", "text/csv", "application/x-ndjson", "application/octet-stream"
FORM = "multipart/form-data; boundary=edge"
GOOD = b'{"source": "crm", "data": [{"name": "Ann", "email": "ann@example.com"}]}'
GOOD_CSV = b"name,email\nAnn,ann@example.com\n"
GOOD_NDJSON = b'{"name": "Ann", "email": "ann@example.com"}\n'
FILE_PART = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + GOOD_CSV
GOOD_FORM = FILE_PART + b"\r\n--edge--\r\n"
CHUNKED = {"Transfer-Encoding": "chunked"}
RUNS_OVER = ("local", "supabase")
#: More than a chunk, so that every storage has some of it.
BEGUN_BYTES = 7 * MIB
GREAT = 4  #: bodies of more than a chunk at a time; one more place is for others
WEB_VARIABLES = {"MAX_UPLOADS": GREAT + 1}


@pytest.fixture
def left_behind(connection: db.Connection, stored_files: Callable[[], list[Path]]) -> Callable[[], list[Any]]:
    """Rows of jobs, and files of the object storage."""
    return lambda: [*connection.execute("SELECT id::text, state FROM jobs").fetchall(), *stored_files()]


HEADS: dict[str, tuple[str, dict[str, str], int]] = {
    "an unsupported type": ("text/html", {}, 415),
    "a form without boundary": ("multipart/form-data", {}, 400),
    "a bad option": (JSON, {"X-On-Invalid": "maybe"}, 400),
    "a stream without source": (CSV, {"X-Source": ""}, 400),
}


@pytest.mark.parametrize("fault", HEADS)
def test_what_the_head_tells_is_refused_before_the_body_is_read(
    fault: str, web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    media_type, headers, status = HEADS[fault]
    with Raw(web, media_type, {**headers, "Content-Length": 1024 * MIB}) as raw:
        answer = raw.answer()
    assert (answer.status, answer.headers["Connection"]) == (status, "close")
    assert not left_behind()


def test_a_header_row_that_names_no_contact_is_refused_before_the_rest_of_the_file_is_read(
    web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    with Raw(web, CSV, {"Content-Length": 1024 * MIB}) as raw:
        raw.send(b"first,last\n" + b"Ann,Example\n" * 6_000)
        answer = raw.answer()
    assert (answer.status, answer.code) == (400, "missing_columns")
    assert "first, last" in answer.body["error"]
    assert not left_behind()


@pytest.mark.one_storage
def test_without_postgres_an_upload_is_refused_before_its_body_is_read(start_web: Callable[..., Web]) -> None:
    web = start_web(DATABASE_URL=f"postgresql://postgres:hush@127.0.0.1:{free_port()}/none")
    with Raw(web, CSV, {"Content-Length": 1024 * MIB}) as raw:
        answer = raw.answer()
    assert (answer.status, answer.code) == (503, "database_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert "hush" not in str(answer.body)


CUT_BODIES = {
    "CSV at a line's end": (CSV, GOOD_CSV),
    "NDJSON at a line's end": (NDJSON, GOOD_NDJSON),
    "JSON behind its end": (JSON, GOOD),
    "JSON in its middle": (JSON, GOOD[:-5]),
    "a stream": (OCTETS, GOOD_CSV),
    "a form before its last boundary": (FORM, FILE_PART),
    "a form behind its end": (FORM, GOOD_FORM),
    "before its first byte": (CSV, b""),
}


@pytest.mark.parametrize("cut", CUT_BODIES)
def test_a_body_shorter_than_its_content_length_is_refused(
    cut: str, web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    media_type, sent = CUT_BODIES[cut]
    with Raw(web, media_type, {"Content-Length": len(sent) + 5}) as raw:
        raw.send(sent)
        raw.end()
        answer = raw.answer()
    assert (answer.status, answer.code) == (400, "incomplete_body")
    assert not left_behind()


@pytest.mark.parametrize("cut", CUT_BODIES)
def test_a_chunked_body_without_its_last_chunk_is_refused(
    cut: str, web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    media_type, sent = CUT_BODIES[cut]
    with Raw(web, media_type, CHUNKED) as raw:
        if sent:
            raw.send_chunk(sent)
        raw.end()
        answer = raw.answer()
    assert (answer.status, answer.code) == (400, "incomplete_body")
    assert not left_behind()


BROKEN_ENDS = {
    "a chunk cut short": b"ff\r\nname,",
    "a size cut short": b"5",
    "a size that is none": b"zz\r\n",
    "a chunk longer than its size": b"5\r\nname,email\r\n0\r\n\r\n",
    "no end after the last chunk": b"0\r\n",
}


@pytest.mark.parametrize("fault", BROKEN_ENDS)
def test_a_broken_chunk_is_refused(fault: str, web: Web, left_behind: Callable[[], list[Any]]) -> None:
    with Raw(web, CSV, CHUNKED) as raw:
        raw.send_chunk(GOOD_CSV)
        raw.send(BROKEN_ENDS[fault])
        raw.end()
        answer = raw.answer()
    assert (answer.status, answer.code) == (400, "incomplete_body")
    assert not left_behind()


@pytest.mark.parametrize(
    ("media_type", "body", "code"), [(JSON, GOOD, "malformed_input"), (FORM, GOOD_FORM, "incomplete_body")]
)
def test_a_body_longer_than_its_content_length_is_refused(
    media_type: str, body: bytes, code: str, web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    with Raw(web, media_type, {"Content-Length": len(body) - 10}) as raw:
        raw.send(body)
        answer = raw.answer()
    assert (answer.status, answer.code) == (400, code)
    assert not left_behind()


def test_what_follows_the_content_length_of_a_file_is_not_imported(web: Web, connection: db.Connection) -> None:
    with Raw(web, CSV, {"Content-Length": len(GOOD_CSV)}) as raw:
        raw.send(GOOD_CSV + b"Bob,bob@example.com\n")
        job_id = raw.answer().body["jobId"]
    [row] = connection.execute("SELECT id::text, bytes_total FROM jobs").fetchall()
    assert row == {"id": job_id, "bytes_total": len(GOOD_CSV)}


@pytest.mark.one_storage
def test_a_row_behind_the_content_length_is_not_quoted_in_the_log_nor_put_down_to_another_request(web: Web) -> None:
    before = len(web.log())
    with Raw(web, CSV, {"Content-Length": len(GOOD_CSV)}) as raw:
        raw.send(GOOD_CSV + b"Zoe Quill,zoe.quill@example.com\r\n\r\n")
        assert raw.answer().status == 200
        [line] = eventually(lambda: [line for line in web.log()[before:].splitlines() if "Invalid" in line])
    told = json.loads(line)
    assert told["message"] == "Invalid request from ip=127.0.0.1: Invalid HTTP request line"
    assert "request_id" not in told
    assert "quill" not in web.log().lower()


@pytest.mark.parametrize("leave", [Raw.vanish, Raw.end], ids=["reset", "closed"])
@pytest.mark.parametrize(
    ("media_type", "begin", "more"),
    [
        (JSON, GOOD[:-2], b', {"name": "Ann", "email": "ann@example.com"}'),
        (CSV, GOOD_CSV, b"\n"),
        (NDJSON, GOOD_NDJSON, b"\n"),
        (OCTETS, GOOD_CSV, b"\n"),
        (FORM, FILE_PART, b"\n"),
    ],
    ids=["JSON", "CSV", "NDJSON", "octets", "form"],
)
def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(
    media_type: str,
    begin: bytes,
    more: bytes,
    leave: Callable[[Raw], None],
    web: Web,
    connection: db.Connection,
    stored_files: Callable[[], list[Path]],
    left_behind: Callable[[], list[Any]],
) -> None:
    with Raw(web, media_type, {"Content-Length": 10 * MIB}) as raw:
        raw.send(begin + more * (BEGUN_BYTES // len(more)))
        wait_for_uploads(connection, 1)
        eventually(stored_files)
        leave(raw)
        eventually(lambda: not left_behind())


ENDLESS: dict[str, tuple[bytes, bytes, str]] = {
    "digits": (b'{"source": "crm", "data": [', b"7", "row_too_large"),
    "digits of a name": (b'{"source": "crm", "data": [{"name": ', b"7", "row_too_large"),
    "white space": (b"", b" ", "row_too_large"),
    "white space between rows": (GOOD[:-2], b"\n", "row_too_large"),
    "brackets": (b"", b"[", "malformed_input"),
    "brackets in a row": (b'{"source": "crm", "data": [{"name": ', b"[", "malformed_input"),
    "braces": (b'{"source": "crm", "data": [', b'{"a":', "malformed_input"),
    "one string": (b'{"source": "crm", "data": [{"name": "', b"x", "row_too_large"),
    "one key": (b'{"source": "crm", "data": [{"', b"x", "row_too_large"),
    "one ignored string": (b'{"source": "crm", "note": "', b"x", "row_too_large"),
    "members of one row": (b'{"source": "crm", "data": [{"name": "Ann"', b', "more": "and more"', "row_too_large"),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_gigabyte_without_end_is_refused_early_and_in_little_memory(
    kind: str, web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    begin, endless, code = ENDLESS[kind]
    [process] = psutil.Process(web.process.pid).children()
    before = peak = process.memory_info().rss
    chunk = endless * (MIB // len(endless))
    sent_mib = 0
    with Raw(web, JSON, CHUNKED) as raw:
        raw.send_chunk(begin or endless)
        while sent_mib < 1024 and not raw.is_answered():
            raw.send_chunk(chunk)
            sent_mib += 1
            peak = max(peak, process.memory_info().rss)
        answer = raw.answer()
    assert (answer.status, answer.code) == (400, code)
    # The sockets of both sides hold some of what was sent before the answer could be seen.
    assert sent_mib <= 32
    assert peak - before < 24 * MIB
    assert not left_behind()


@pytest.mark.parametrize("is_chunked", [False, True], ids=["known length", "chunked"])
def test_the_answer_to_a_refused_big_upload_arrives(
    is_chunked: bool, web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    body = b'{"source": "crm", "data": [{"name" "Ann"}' + b" " * 30 * MIB
    for _ in range(5):
        pieces = (body[start : start + 64 * KIB] for start in range(0, len(body), 64 * KIB))
        answer = web.post(data=pieces if is_chunked else body, headers={"Content-Type": JSON})
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_input")
    assert not left_behind()


STALLS = {
    "behind the head": (CSV, {"Content-Length": 100}, b""),
    "in the body": (JSON, {"Content-Length": 100}, GOOD[:20]),
    "in a chunk": (NDJSON, CHUNKED, b"ff\r\n" + GOOD_NDJSON),
    "in a form": (FORM, {"Content-Length": MIB}, FILE_PART + b" " * 300 * KIB),
}


def test_stalled_clients_are_cut_off_and_hold_up_nobody(
    start_web: Callable[..., Web], left_behind: Callable[[], list[Any]]
) -> None:
    web = start_web(UPLOAD_STALL_SECONDS=1)
    began = time.monotonic()
    with ExitStack() as stack:
        stalled = [stack.enter_context(Raw(web, media_type, headers)) for media_type, headers, _ in STALLS.values()]
        for raw, (_, _, begin) in zip(stalled, STALLS.values(), strict=True):
            raw.send(begin)
        answers = [raw.answer() for raw in stalled]
        assert 1 < time.monotonic() - began < 4
        assert [(answer.status, answer.code) for answer in answers] == [(408, "upload_stalled")] * len(STALLS)
        assert not left_behind()
        # The stalled ones still hold their ends of the connections.
        assert web.get("/health", timeout=1).status_code == 200


@pytest.mark.one_storage
def test_uploads_beyond_the_limit_are_put_off_while_small_requests_are_served(
    web: Web, connection: db.Connection
) -> None:
    body = GOOD_CSV + b"\n" * BEGUN_BYTES
    with ExitStack() as stack:
        uploads = [stack.enter_context(Raw(web, CSV, {"Content-Length": len(body)})) for _ in range(GREAT)]
        wait_for_uploads(connection, GREAT)
        with Raw(web, CSV, {"Content-Length": len(body)}) as one_more:
            answer = one_more.answer()
        assert (answer.status, answer.code) == (503, "too_many_uploads")
        assert int(answer.headers["Retry-After"]) > 0
        assert web.get("/health").status_code == 200
        assert len(web.get("/jobs").json()["jobs"]) == GREAT
        for less in (GOOD_CSV, GOOD_CSV + b"\n" * 5 * MIB):
            assert web.post(data=less, headers={"Content-Type": CSV, "X-Source": "crm"}).status_code == 200
        for raw in uploads:
            raw.send(body)
            assert raw.answer().status == 200
    assert web.post(data=body, headers={"Content-Type": CSV, "X-Source": "crm"}).status_code == 200


TAKEN = {
    "cancelled": ("UPDATE jobs SET state = 'cancelled'", ["cancelled"]),
    "deleted": ("DELETE FROM jobs", []),
}


@pytest.mark.parametrize("how", TAKEN)
def test_an_upload_whose_job_is_taken_away_meanwhile_leaves_no_object(
    how: str, web: Web, connection: db.Connection, stored_files: Callable[[], list[Path]]
) -> None:
    statement, states = TAKEN[how]
    with Raw(web, CSV, {"Content-Length": BEGUN_BYTES + len(GOOD_CSV)}) as raw:
        raw.send(b"\n" * BEGUN_BYTES)
        eventually(stored_files)
        connection.execute(statement.encode())
        raw.send(GOOD_CSV)
        answer = raw.answer()
    assert (answer.status, answer.code) == (409, "upload_cancelled")
    assert [row["state"] for row in connection.execute("SELECT state FROM jobs")] == states
    assert stored_files() == []


def test_an_upload_that_is_cancelled_and_then_abandoned_leaves_no_object(
    web: Web, connection: db.Connection, stored_files: Callable[[], list[Path]]
) -> None:
    with Raw(web, CSV, {"Content-Length": 10 * MIB}) as raw:
        raw.send(GOOD_CSV + b"\n" * BEGUN_BYTES)
        eventually(stored_files)
        connection.execute("UPDATE jobs SET state = 'cancelled'")
        raw.vanish()
        eventually(lambda: not stored_files())
    assert [row["state"] for row in connection.execute("SELECT state FROM jobs")] == ["cancelled"]


class Dawdlers:
    """`count` uploads at 1 KB/s each; they go on whatever they are answered."""

    def __init__(self, web: Web, count: int) -> None:
        self._raws = [Raw(web, CSV, {"Content-Length": 10 * MIB}) for _ in range(count)]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        for raw in self._raws:
            raw.socket.close()

    def _send(self) -> None:
        while not self._done.wait(0.25):
            for raw in self._raws:
                raw.send(b"name,email\n" + b"\n" * 239)


@pytest.mark.one_storage
def test_beside_forty_slow_uploads_and_a_silent_client_health_answers_in_a_second_and_the_uploads_show_life(
    start_web: Callable[..., Web], connection: db.Connection
) -> None:
    web = start_web()
    slowest = 0.0
    beat = "SELECT FROM jobs WHERE heartbeat_at > created_at + interval '1 s' AND bytes_done > 0"
    with Dawdlers(web, 40), socket.create_connection(("127.0.0.1", web.port)):
        end = time.monotonic() + 8
        while (began := time.monotonic()) < end:
            assert web.get("/health", timeout=5).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
        eventually(lambda: connection.execute(beat).fetchall(), seconds=4)
    assert slowest < 1


@pytest.mark.one_storage
def test_small_refused_requests_on_connections_that_stay_open_hold_no_thread(start_web: Callable[..., Web]) -> None:
    web = start_web(WEB_THREADS=25)
    with ExitStack() as stack:
        sessions = [stack.enter_context(web.session()) for _ in range(40)]
        for session in sessions:
            answer = session.post(f"{web.url}/import", data=GOOD_CSV, headers={"Content-Type": "text/xml"}, timeout=1)
            assert answer.status_code == 415
        assert web.get("/health", timeout=1).status_code == 200


def test_a_connection_stays_usable_after_a_small_refused_request(web: Web) -> None:
    connection = HTTPConnection("127.0.0.1", web.port, timeout=5)
    connection.connect()
    connection.auto_open = 0  # so that it does not connect again by itself
    with closing(connection):
        for _ in range(3):
            connection.request("POST", "/import", body=GOOD_CSV, headers={"Content-Type": "text/xml"})
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (415, True)
