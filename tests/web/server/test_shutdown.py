"""SIGTERM while bodies arrive: they have SHUTDOWN_GRACE_SECONDS, then their clients are told, and nothing is left."""

import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from dataflow import db
from tests.doubles.storage.faults import Deed
from tests.doubles.storage.process import StorageDouble
from tests.support.processes import Web
from tests.support.raw_http import Raw, wait_for_uploads
from tests.support.waiting import eventually

RUNS_OVER = ("local", "supabase")
GOOD_CSV = b"name,email\nAnn,ann@example.com\n"
MIB = 1024 * 1024
FORM = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + GOOD_CSV
GRACE_SECONDS = 2


def test_who_is_not_done_after_the_grace_is_told_and_leaves_nothing(
    start_web: Callable[..., Web], connection: db.Connection, stored_files: Callable[[], list[Path]]
) -> None:
    web = start_web(SHUTDOWN_GRACE_SECONDS=GRACE_SECONDS, WEB_CONCURRENCY=1)
    ended = threading.Event()

    def send_on(raw: Raw, piece: bytes) -> None:
        while not ended.wait(0.01):
            raw.send(piece)

    with ExitStack() as stack:

        def begin(media_type: str, headers: dict[str, object], *beginning: bytes) -> Raw:
            raw = stack.enter_context(Raw(web, media_type, headers))
            for piece in beginning:
                raw.send(piece)
            return raw

        chunked = {"Transfer-Encoding": "chunked"}
        silent = begin("text/csv", {"Content-Length": MIB}, GOOD_CSV)
        large = begin("text/csv", {"Content-Length": 100 * MIB}, GOOD_CSV, b"\n" * 7 * MIB)
        form = begin("multipart/form-data; boundary=x", {"Content-Length": MIB}, FORM)
        document = begin("application/json", {"Content-Length": MIB}, b'{"data": [')
        steady = begin("text/csv", chunked, b"%x\r\n%s\r\n" % (len(GOOD_CSV), GOOD_CSV))
        quick = begin("text/csv", {"Content-Length": len(GOOD_CSV)}, GOOD_CSV[:9])
        wait_for_uploads(connection, 6)
        sender = threading.Thread(target=send_on, args=(steady, b"1000\r\n%s\r\n" % (b"\n" * 4096)))
        sender.start()
        began = time.monotonic()
        web.process.send_signal(signal.SIGTERM)
        quick.send(GOOD_CSV[9:])
        assert quick.answer().status == 200
        for raw in (silent, large, form, document, steady):
            answer = raw.answer()
            assert (answer.status, answer.code) == (503, "upload_cut")
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Connection"] == "close"
        assert time.monotonic() - began >= GRACE_SECONDS
        ended.set()
        sender.join()
    assert web.process.wait(20) == 0
    rows = connection.execute("SELECT state, object_key FROM jobs").fetchall()
    assert [row["state"] for row in rows] == ["queued"]
    assert len(stored_files()) == len(rows)


def test_who_waits_for_the_storage_at_the_end_of_the_grace_is_told_as_well(
    start_web: Callable[..., Web],
    connection: db.Connection,
    storage_kind: str,
    request: pytest.FixtureRequest,
    stored_files: Callable[[], list[Path]],
) -> None:
    if storage_kind == "local":
        pytest.skip("a directory is not waited for")
    double: StorageDouble = request.getfixturevalue("fresh_double")
    web = start_web(SHUTDOWN_GRACE_SECONDS=1, WEB_CONCURRENCY=1)
    with ExitStack() as stack:

        def waiting(deed: Deed, method: str, size_bytes: int, sent: bytes, count: int, **fields: object) -> Raw:
            """One for whose request the storage does this instead of answering."""
            double.clear_journal()
            double.fault(deed, method, **fields)
            raw = stack.enter_context(Raw(web, "text/csv", {"Content-Length": size_bytes}))
            raw.send(sent)
            eventually(lambda: any(entry["method"] == method for entry in double.journal()))
            wait_for_uploads(connection, count)
            return raw

        large = GOOD_CSV + b"\n" * 7 * MIB
        whole = waiting("stall", "POST", len(GOOD_CSV), GOOD_CSV, 1)
        [first] = connection.execute("SELECT id, state FROM jobs").fetchall()
        uploads = [
            whole,
            waiting("stall", "PATCH", 100 * MIB, large, 2),
            waiting("answer", "PATCH", 100 * MIB, large, 3, status=503, times=99),
        ]
        web.process.send_signal(signal.SIGTERM)
        for raw in uploads:
            answer = raw.answer()
            assert (answer.status, answer.code) == (503, "upload_cut")
    assert web.process.wait(20) == 0
    assert stored_files() == []
    # What the first has asked for may be done later than it is removed: the sweep looks again.
    [left] = connection.execute("SELECT id, state FROM jobs").fetchall()
    assert (left, left["state"]) == (first, "uploading")


@pytest.mark.one_storage
def test_a_process_whose_master_was_killed_finishes_its_body_and_keeps_nobody_waiting(
    start_web: Callable[..., Web], connection: db.Connection
) -> None:
    web = start_web(WEB_CONCURRENCY=1)
    with Raw(web, "text/csv", {"Content-Length": len(GOOD_CSV)}) as raw:
        raw.send(GOOD_CSV[:9])
        wait_for_uploads(connection, 1)
        web.kill()

        def is_refused() -> bool:
            try:
                socket.create_connection(("127.0.0.1", web.port), 1).close()
            except ConnectionRefusedError:
                return True
            return False

        eventually(is_refused, 5)
        raw.send(GOOD_CSV[9:])
        assert raw.answer().status == 200
