"""A request that is sent again under its Idempotency-Key imports once: over real HTTP, whatever breaks between."""

import gzip
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import requests

from dataflow import db
from dataflow.errors import RequestError
from dataflow.local.postgres import EmbeddedPostgres
from dataflow.queue.idempotency import Answer
from dataflow.web import idempotency
from tests.support.flask_web import FlaskWeb
from tests.support.processes import Web, WorkerProcess
from tests.support.raw_http import Raw, wait_for_uploads
from tests.support.waiting import eventually

CSV = b"name,email\nAnn,ann@example.com\n"
OTHER_CSV = b"name,email\nBob,bob@example.com\n"
CONTACTS = [{"name": "Ann", "email": "ann@example.com"}]
HEADERS = {"Content-Type": "text/csv", "X-Source": "crm", "Idempotency-Key": '"abc"'}
KEYS = {"Idempotency-Key": "abc"}

ANSWER = Answer({}, 200, {})

Rows = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def rows(connection: db.Connection) -> Rows:
    return lambda: connection.execute("SELECT * FROM jobs ORDER BY id").fetchall()


@pytest.fixture
def is_held(connection: db.Connection) -> Callable[[], bool]:
    """Whether any key is held or answered."""
    return lambda: bool(connection.execute("SELECT FROM idempotency_keys").fetchall())


def send(web: Web | FlaskWeb, body: bytes = CSV, path: str = "/import", **headers: Any) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.post(path, data=body, headers={**HEADERS, **named})


def refusal(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def accepted(answer: requests.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["jobId"])


def told(answer: requests.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.text, answer.headers["Location"]


REUSED, IN_USE = (422, "idempotency_key_reused"), (409, "idempotency_key_in_use")


def test_fifty_at_once_over_two_processes_are_one_import(
    start_web: Callable[..., Web], rows: Rows, work_off: Callable[[], int], stored_contacts: Callable[[], list[Any]]
) -> None:
    web = start_web(WEB_CONCURRENCY=2)
    for name in ("first", "second", "third"):
        barrier = Barrier(50)

        def ask(_: int, name: str = name, barrier: Barrier = barrier) -> requests.Response:
            barrier.wait()
            return send(web, Idempotency_Key=name)

        with ThreadPoolExecutor(50) as threads:
            answers = list(threads.map(ask, range(50)))
        counts = Counter(answer.status_code for answer in answers)
        assert counts[200] >= 1, counts
        assert counts[200] + counts[409] == 50, counts
        assert len({told(answer) for answer in answers if answer.status_code == 200}) == 1
        assert {refusal(answer) for answer in answers if answer.status_code == 409} <= {IN_USE}
    assert [row["idempotency_key"] for row in rows()] == ["first", "second", "third"]
    assert work_off() == 0
    assert stored_contacts() == [("Ann", "ann@example.com", "crm")] * 3


def test_while_it_is_under_way_others_are_refused_before_their_body_is_read(web: Web, rows: Rows) -> None:
    length = {"Content-Length": len(CSV), **KEYS}
    with Raw(web, "text/csv", length) as first:
        first.send(CSV[:9])
        eventually(rows)
        with Raw(web, "text/csv", length) as second:
            refused = second.answer()
        assert (refused.status, refused.code, refused.headers["Retry-After"]) == (*IN_USE, "5")
        first.send(CSV[9:])
        answer = first.answer()
    assert answer.status == 200
    assert accepted(send(web)) == answer.body["jobId"]
    assert len(rows()) == 1


def test_other_options_are_refused_before_the_body_is_read_also_while_it_is_under_way(web: Web, rows: Rows) -> None:
    length = {"Content-Length": len(CSV), **KEYS}
    with Raw(web, "text/csv", length) as first:
        first.send(CSV[:9])
        eventually(rows)
        with Raw(web, "text/csv", {**length, "X-Dry-Run": "true"}) as second:
            assert second.answer()[:2] == REUSED
        first.send(CSV[9:])
        assert first.answer().status == 200
    with Raw(web, "text/csv", {**length, "X-Source": "other"}) as third:
        assert third.answer()[:2] == REUSED


def test_the_same_request_is_answered_the_same_after_the_import_and_over_a_restart(
    start_web: Callable[..., Web],
    start_worker: Callable[..., WorkerProcess],
    rows: Rows,
    stored_files: Callable[[], list[Path]],
    stored_contacts: Callable[[], list[Any]],
) -> None:
    web = start_web()
    first = send(web, path="/v1/import")
    assert told(send(web)) == told(first)
    start_worker()
    web.finished_job(accepted(first))
    web.stop()
    again = start_web()
    assert told(send(again)) == told(first)
    eventually(lambda: rows()[0]["object_deleted_at"])
    assert told(send(again, Idempotency_Key="abc")) == told(first)
    assert (len(rows()), stored_files()) == (1, [])
    assert len(stored_contacts()) == 1


def test_an_answer_that_was_lost_is_given_to_who_asks_again(web: Web, rows: Rows) -> None:
    with Raw(web, "text/csv", {"Content-Length": len(CSV), **KEYS}) as raw:
        raw.send(CSV)
        raw.vanish()
    # It may have been noticed before the body was complete, or have been queued without anybody to tell.
    job_id = accepted(eventually(lambda: found if (found := send(web)).ok else None))
    assert [str(row["id"]) for row in rows()] == [job_id]


def test_a_client_that_vanishes_behind_its_last_byte_is_led_to_its_job(
    web: Web, connection: db.Connection, rows: Rows
) -> None:
    """The job is queued while the client cannot be told: a lock keeps the statement until the connection is gone."""
    with db.connect(connection.info.dsn, "dataflow/test") as other:
        with Raw(web, "text/csv", {"Content-Length": len(CSV), **KEYS}) as raw:
            raw.send(CSV[:9])
            wait_for_uploads(connection, 1)
            with other.transaction():
                other.execute("SELECT FROM jobs FOR UPDATE")
                raw.send(CSV[9:])
                eventually(
                    lambda: connection.execute(
                        "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
                    ).fetchall()
                )
                raw.vanish()
        eventually(lambda: rows()[0]["state"] == "queued")
    assert accepted(send(web)) == str(rows()[0]["id"])
    assert len(rows()) == 1


def test_a_killed_web_process_does_not_keep_the_key(start_web: Callable[..., Web], rows: Rows) -> None:
    web = start_web()
    with Raw(web, "text/csv", {"Content-Length": len(CSV), **KEYS}) as raw:
        raw.send(CSV[:9])
        eventually(rows)
        web.kill_all()
    again = start_web()
    assert refusal(send(again)) == IN_USE
    job_id = accepted(eventually(lambda: found if (found := send(again)).ok else None))
    assert {str(row["id"]): row["state"] for row in rows()}[job_id] == "queued"
    assert sorted(row["state"] for row in rows()) == ["queued", "uploading"]
    assert accepted(send(again)) == job_id


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"X_Source": "other"}, "/import"),
        ({"X_On_Conflict": "skip"}, "/import"),
        ({}, "/import?onConflict=skip"),
        ({}, "/import?source=query"),
        ({"Content_Type": "application/octet-stream"}, "/import"),
        ({"Content_Type": "text/csv; charset=cp1252"}, "/import"),
    ],
)
def test_other_options_under_the_same_key_are_refused(change: dict[str, str], path: str, web: Web, rows: Rows) -> None:
    first = send(web)
    assert refusal(send(web, path=path, **change)) == REUSED
    assert told(send(web)) == told(first)
    assert len(rows()) == 1


@pytest.mark.parametrize("body", [OTHER_CSV, CSV + b"\n", CSV[:-1], b"", b"x" * 200_000, CSV * 300_000])
def test_another_body_under_the_same_key_is_refused_and_nothing_of_it_is_left(
    body: bytes, web: Web, rows: Rows, stored_files: Callable[[], list[Path]]
) -> None:
    first, files = send(web), stored_files()
    assert refusal(send(web, body)) == REUSED
    assert stored_files() == files
    assert told(send(web)) == told(first)
    assert len(rows()) == 1


def test_a_body_is_the_same_however_it_is_cut_and_called(web: Web, rows: Rows) -> None:
    first = send(web)
    chunks = web.post(data=iter([CSV[:3], CSV[3:]]), headers=HEADERS)
    named = send(web, Content_Disposition='attachment; filename="later.csv"')
    assert told(chunks) == told(named) == told(first)
    assert len(rows()) == 1


def test_a_body_that_breaks_off_when_it_is_sent_again_is_that_and_nothing_else(web: Web) -> None:
    first = send(web)
    with Raw(web, "text/csv", {"Content-Length": len(CSV), **KEYS}) as raw:
        raw.send(CSV[:9])
        raw.end()
        assert raw.answer()[:2] == (400, "incomplete_body")
    assert told(send(web)) == told(first)


FORM: dict[str, Any] = {"files": {"file": ("a.csv", CSV, "text/csv")}, "data": {"source": "crm", "dryRun": "true"}}


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"file": ("a.csv", OTHER_CSV, "text/csv")}},
        {"files": {"file": ("a.csv", CSV, "text/plain")}},
        {"data": {"source": "crm", "dryRun": "false"}},
        {"data": {"source": "other", "dryRun": "true"}},
        {"data": {"source": "crm"}},
        {"data": {}},
        {"params": {"onConflict": "skip"}},
    ],
)
def test_the_fields_of_a_form_belong_to_its_body(change: dict[str, Any], web: Web, rows: Rows) -> None:
    first = web.post(headers=KEYS, **FORM)
    assert first.status_code == 200, first.text
    # Another boundary, another order of the fields and another name of the file are the same form.
    fields = dict(reversed(FORM["data"].items()))
    assert told(web.post(headers=KEYS, files={"file": ("b.csv", CSV, "text/csv")}, data=fields)) == told(first)
    assert refusal(web.post(headers=KEYS, **{**FORM, **change})) == REUSED
    assert refusal(send(web)) == REUSED
    assert len(rows()) == 1


def test_the_members_of_a_request_object_belong_to_its_body(web: Web, rows: Rows) -> None:
    document = {"source": "crm", "data": CONTACTS}
    first = web.post(json=document, headers=KEYS)
    assert told(web.post(json=document, headers=KEYS)) == told(first)
    for change in ({"source": "other"}, {"dryRun": True}, {"data": CONTACTS * 2}):
        assert refusal(web.post(json={**document, **change}, headers=KEYS)) == REUSED
    assert refusal(web.post(json=document, headers={**KEYS, "X-Source": "crm"})) == REUSED
    assert len(rows()) == 1


def test_a_compressed_body_is_compared_as_it_comes(web: Web, rows: Rows) -> None:
    packed = gzip.compress(CSV, mtime=1)
    first = send(web, packed, Content_Encoding="gzip")
    assert told(send(web, packed, Content_Encoding="gzip")) == told(first)
    assert refusal(send(web, gzip.compress(OTHER_CSV, mtime=1), Content_Encoding="gzip")) == REUSED
    assert refusal(send(web)) == REUSED
    assert len(rows()) == 1


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"phone\n1\n", {}),
        (b"\x1f\x8b rubbish", {"Content_Encoding": "gzip"}),
        (b'{"data": [', {"Content_Type": "application/json"}),
    ],
)
def test_a_refused_request_frees_its_key(
    body: bytes, headers: dict[str, str], web: Web, rows: Rows, is_held: Callable[[], bool]
) -> None:
    assert send(web, body, **headers).status_code == 400
    assert not is_held()
    accepted(send(web))
    assert len(rows()) == 1


def test_a_client_that_vanishes_frees_its_key(web: Web, rows: Rows, is_held: Callable[[], bool]) -> None:
    with Raw(web, "text/csv", {"Content-Length": len(CSV), **KEYS}) as raw:
        raw.send(CSV[:9])
        eventually(rows)
        assert is_held()
        raw.vanish()
    eventually(lambda: not is_held())
    accepted(send(web))
    assert len(rows()) == 1


def test_an_upload_that_is_cancelled_frees_its_key_at_once(web: Web, rows: Rows) -> None:
    with Raw(web, "text/csv", {"Content-Length": len(CSV), **KEYS}) as raw:
        raw.send(CSV[:9])
        [row] = eventually(rows)
        assert web.post(f"/jobs/{row['id']}/cancel").ok
        job_id = accepted(send(web))
        raw.send(CSV[9:])
        assert raw.answer()[:2] == (409, "upload_cancelled")
    assert accepted(send(web)) == job_id
    assert sorted(row["state"] for row in rows()) == ["cancelled", "queued"]


def test_who_was_taken_for_dead_and_is_not_gives_way_and_leaves_nothing(
    web: Web, connection: db.Connection, rows: Rows, stored_files: Callable[[], list[Path]]
) -> None:
    with Raw(web, "text/csv", {"Content-Length": len(CSV), **KEYS}) as raw:
        raw.send(CSV[:9])
        eventually(rows)
        connection.execute("UPDATE idempotency_keys SET claim_id = gen_random_uuid()")
        raw.send(CSV[9:])
        assert raw.answer()[:2] == IN_USE
    assert (rows(), stored_files()) == ([], [])


def test_a_database_that_goes_away_meanwhile_neither_blocks_the_key_nor_imports_twice(
    start_web: Callable[..., Web], tmp_path: Path
) -> None:
    with EmbeddedPostgres(tmp_path / "postgres", {"fsync": "off"}) as postgres:
        db.migrate(postgres.url)
        web = start_web(DATABASE_URL=postgres.url)
        with Raw(web, "text/csv", {"Content-Length": len(CSV), **KEYS}) as raw:
            raw.send(CSV[:9])
            with db.connect(postgres.url, "dataflow/test") as connection:
                wait_for_uploads(connection, 1)
            postgres.stop()
            raw.send(CSV[9:])
            assert raw.answer()[:2] == (503, "database_unavailable")
        assert refusal(send(web)) == (503, "database_unavailable")
        postgres.start()
        job_id = accepted(eventually(lambda: found if (found := send(web)).ok else None))
        assert accepted(send(web)) == job_id
        with db.connect(postgres.url, "dataflow/test") as connection:
            queued = connection.execute("SELECT id FROM jobs WHERE state = 'queued'").fetchall()
        assert [str(row["id"]) for row in queued] == [job_id]


def test_a_long_upload_keeps_its_key_while_its_client_is_silent(
    web: Web, connection: db.Connection, rows: Rows
) -> None:
    with Raw(web, "text/csv", {"Content-Length": len(CSV), **KEYS}) as raw:
        raw.send(CSV[:9])
        eventually(rows)
        long_ago = "UPDATE idempotency_keys SET touched_at = touched_at - INTERVAL '14 seconds' RETURNING touched_at"
        [row] = connection.execute(long_ago).fetchall()
        later = "SELECT FROM idempotency_keys WHERE touched_at > %s + INTERVAL '14 seconds'"
        eventually(lambda: connection.execute(later, [row["touched_at"]]).fetchall())
        assert refusal(send(web)) == IN_USE
        raw.send(CSV[9:])
        assert raw.answer().status == 200


def test_after_a_day_the_key_is_new(web: Web, connection: db.Connection) -> None:
    first = accepted(send(web))
    connection.execute("UPDATE idempotency_keys SET touched_at = touched_at - INTERVAL '23 hours 59 minutes'")
    assert accepted(send(web)) == first
    connection.execute("UPDATE idempotency_keys SET touched_at = touched_at - INTERVAL '1 minute'")
    assert accepted(send(web, OTHER_CSV)) != first


@pytest.mark.parametrize(
    "key",
    [
        *("", '""', '"', '"abc', 'abc"', '"a"b"', '"a\\b"', "a b", "a,b", "a;b", '"a", "b"', '"a";v=1', "a\tb"),
        *("é".encode(), b"\xff", b'"\xc3\xa9"', "k" * 256, f'"{"k" * 256}"', "k" * 300),
    ],
)
def test_a_malformed_key_is_refused_without_being_quoted(key: str | bytes, web: Web, rows: Rows) -> None:
    answer = send(web, Idempotency_Key=key)
    assert refusal(answer) == (400, "invalid_request")
    assert "Idempotency-Key" in answer.json()["error"]
    assert len(answer.json()["error"]) < 200
    assert rows() == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("abc", '"abc"'),
        ("8e03978e-40d5-43e8-bc93-6894a57f9324", '"8e03978e-40d5-43e8-bc93-6894a57f9324"'),
        ("k" * 255, f'"{"k" * 255}"'),
        (f'"{chr(92) * 2 * 255}"', f'"{chr(92) * 2 * 255}"'),
        ("a+/=.~!{}[]()@?<>:'", '"a+/=.~!{}[]()@?<>:\'"'),
        ('"a, \\"b\\"; c"', '"a, \\"b\\"; c"'),
        ("'; DROP TABLE jobs; --".replace(" ", "_").replace(";", "."), '"\'._DROP_TABLE_jobs._--"'),
        ("%s%(key)s", '"%s%(key)s"'),
    ],
)
def test_a_bare_key_is_the_same_as_a_quoted_one(one: str, other: str, web: Web, rows: Rows) -> None:
    first = send(web, Idempotency_Key=one)
    assert told(send(web, Idempotency_Key=other)) == told(first)
    assert len(rows()) == 1


def test_a_key_that_is_sent_twice_in_one_request_is_malformed(web: Web) -> None:
    with Raw(web, "text/csv", {"Content-Length": len(CSV), "Idempotency-Key": "a\r\nIdempotency-Key: b"}) as raw:
        assert raw.answer()[:2] == (400, "invalid_request")


def test_without_a_key_nothing_is_the_same(web: Web, rows: Rows, is_held: Callable[[], bool]) -> None:
    headers = {"Content-Type": "text/csv", "X-Source": "crm"}
    assert len({accepted(web.post(data=CSV, headers=headers)) for _ in range(3)}) == 3
    assert not is_held()
    assert {row["idempotency_key"] for row in rows()} == {None}


def test_no_key_is_in_the_log(start_web: Callable[..., Web]) -> None:
    web = start_web()
    for key in ("unique-key-of-mine", "unique-key-of-mine", '"unique-key-of-mine'):
        send(web, Idempotency_Key=key)
    send(web, OTHER_CSV, Idempotency_Key="unique-key-of-mine")
    assert "unique-key" not in web.log()


@pytest.mark.parametrize("key", ['"a\x7f"', "a\x7f", '"a\x00"', "a\x1b", '"\n"', '"a\r\nX: b"', " "])
def test_control_characters_are_refused_whatever_the_server_lets_through(key: str, flask_web: FlaskWeb) -> None:
    with (
        flask_web.app.test_request_context("/import", environ_base={"HTTP_IDEMPOTENCY_KEY": key}),
        pytest.raises(RequestError, match="malformed"),
        idempotency.claimed("import", [], lambda *_: ANSWER),
    ):
        raise AssertionError(key)


def test_each_caller_has_keys_of_its_own(flask_web: FlaskWeb, rows: Rows) -> None:
    callers = ("web", "crm", "web#1", "web#2", "")
    answers = [told(send(flask_web, X_Test_Caller=name)) for name in callers]
    assert len(set(answers)) == len(rows()) == 5
    assert [told(send(flask_web, X_Test_Caller=name)) for name in callers] == answers
    assert len(rows()) == 5
