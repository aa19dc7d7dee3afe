"""POST /exports and what becomes of it, over real HTTP, with a worker and both storages."""

import csv
import hashlib
import io
import os
import socket
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from dataflow import db
from dataflow.config import Config
from dataflow.queue import jobs
from dataflow.queue.attempt import Attempt
from dataflow.storage.base import Storage
from dataflow.storage.local import LocalStorage
from dataflow.storage.registry import open_storage
from dataflow.worker.runner import Runner
from dataflow.worker.sweeper import Sweep
from tests.doubles.storage.process import StorageDouble
from tests.support.imported import row_of
from tests.support.processes import Web, WorkerProcess
from tests.support.waiting import eventually

RUNS_OVER = ("local", "supabase")
WEB_VARIABLES = {
    "API_KEYS": "all:all-hunter2-hunter2-hunter2 "
    "crm:crm-hunter2-hunter2-hunter2:crm shop:shop-hunter2-hunter2-hunter2:shop"
}
ALL, CRM, SHOP = (
    {"Authorization": f"Bearer {name}-hunter2-hunter2-hunter2", "Accept-Encoding": "identity"}
    for name in ("all", "crm", "shop")
)


def fill(connection: db.Connection, rows: int, source: str = "crm") -> None:
    connection.execute(
        "INSERT INTO contacts (name, email, source)"
        " SELECT 'Person ' || n, 'person' || n || '@example.com', %s FROM generate_series(1, %s) n",
        [source, rows],
    )


def ordered(web: Web, query: str = "", headers: dict[str, str] = ALL, **arguments: Any) -> str:
    answer = web.post(f"/exports{query}", headers=headers, **arguments)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/exports/{answer.json()['jobId']}"
    return str(answer.json()["jobId"])


def shown(web: Web, job_id: str, headers: dict[str, str] = ALL) -> dict[str, Any]:
    found: dict[str, Any] = web.get(f"/exports/{job_id}", headers=headers).json()
    return found


def fetched(web: Web, job_id: str, headers: dict[str, str] = ALL, **more: str) -> requests.Response:
    return web.get(f"/exports/{job_id}/file", headers={**headers, **more})


def names(content: bytes) -> list[str]:
    return sorted(row["name"] for row in csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_an_export_becomes_a_file_with_its_digest(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    fill(connection, 3000)
    job_id = ordered(web, "?source=crm")
    assert shown(web, job_id)["state"] == "queued"
    waiting = fetched(web, job_id)
    assert (waiting.status_code, waiting.json()["code"]) == (409, "job_unfinished")
    assert int(waiting.headers["Retry-After"]) > 0
    assert work_off() == 0
    answer, job = fetched(web, job_id), shown(web, job_id)
    digest = hashlib.sha256(answer.content)
    assert answer.status_code == 200
    assert len(names(answer.content)) == 3000
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="contacts-crm.csv"'
    assert answer.headers["ETag"] == f'"{digest.hexdigest()}"'
    assert answer.headers["Repr-Digest"] == f"sha-256=:{b64encode(digest.digest()).decode()}:"
    assert (job["state"], job["kind"], job["rowsExported"]) == ("succeeded", "export", 3000)
    assert job["bytesDone"] == job["bytesTotal"] == len(answer.content)
    assert (job["contentSha256"], job["fileName"], job["format"]) == (digest.hexdigest(), "contacts-crm.csv", "csv")
    assert job["links"] == {
        "self": f"/exports/{job_id}",
        "job": f"/jobs/{job_id}",
        "file": f"/exports/{job_id}/file",
        "events": f"/jobs/{job_id}/events",
    }
    assert web.get(f"/jobs/{job_id}", headers=ALL).json()["links"]["file"] == f"/exports/{job_id}/file"


def made(web: Web, work_off: Callable[[], int], query: str = "", headers: dict[str, str] = ALL) -> str:
    """An export that has succeeded."""
    job_id = ordered(web, query, headers)
    work_off()
    assert shown(web, job_id, headers)["state"] == "succeeded"
    return job_id


# What is asked for.


@pytest.mark.one_storage
def test_the_body_says_the_same_as_the_query_and_the_query_wins(web: Web, connection: db.Connection) -> None:
    body = {"format": "json", "source": "shop", "fields": "email,name", "limit": 5, "raw": False}
    answer = web.post("/v1/exports?source=crm&importedAfter=2026-01-02", headers=ALL, json=body)
    job_id = answer.json()["jobId"]
    assert answer.headers["Location"] == f"/v1/exports/{job_id}"
    job = web.get(f"/v1/exports/{job_id}", headers=ALL).json()
    assert (job["source"], job["format"], job["fileName"]) == ("crm", "json", "contacts-crm.json")
    expected = {"format": "json", "sources": ["crm"], "fields": ["email", "name"], "limit": 5}
    assert {name: job["options"][name] for name in expected} == expected
    assert job["options"]["importedAfter"] == "2026-01-02T00:00:00+00:00"
    assert job["links"]["file"] == f"/v1/exports/{job_id}/file"


@pytest.mark.one_storage
@pytest.mark.parametrize(
    ("query", "body", "complaint"),
    [
        ("?format=pdf", b"", "xlsx"),
        ("?format=json&raw=true", b"", "only the cells of CSV"),
        ("?format=vcard&fields=name", b"", "vCard"),
        ("?fields=name,name", b"", "each once"),
        ("?sauce=crm", b"", "sauce"),
        ("", b"[]", "is not an object"),
        ("", b"{", "is not JSON"),
        ("", b'{"limit": 0}', "limit"),
        ("", b'{"source": null}', "source"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_leaves_no_job(
    query: str, body: bytes, complaint: str, web: Web, connection: db.Connection
) -> None:
    answer = web.post(f"/exports{query}", headers=ALL, data=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert complaint in answer.text
    assert connection.execute("SELECT FROM jobs").fetchone() is None


@pytest.mark.one_storage
def test_a_stream_is_no_workbook_and_says_who_is(web: Web) -> None:
    answer = web.get("/exports?format=xlsx", headers=ALL)
    assert answer.status_code == 400
    assert "POST /exports" in answer.json()["error"]


@pytest.mark.one_storage
def test_only_the_contacts_that_are_asked_for_are_in_the_file(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    fill(connection, 3, "crm")
    fill(connection, 2, "shop")
    connection.execute("UPDATE contacts SET imported_at = '2026-01-01' WHERE name = 'Person 1'")
    found = {
        query: names(fetched(web, made(web, work_off, query)).content)
        for query in ("", "?source=shop", "?email=PERSON2@example.com", "?importedBefore=2026-01-02", "?limit=1")
    }
    assert [len(rows) for rows in found.values()] == [5, 2, 2, 2, 1]
    assert found["?importedBefore=2026-01-02"] == ["Person 1", "Person 1"]


@pytest.mark.one_storage
def test_the_contacts_of_an_import_are_those_that_it_brought(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    fill(connection, 2)
    headers = {**ALL, "Content-Type": "text/csv", "X-Source": "crm"}
    job_id = web.post(data=b"name,email\nZoe,zoe@example.com\n", headers=headers).json()["jobId"]
    unfinished = web.post(f"/exports?jobId={job_id}", headers=ALL)
    assert (unfinished.status_code, unfinished.json()["code"]) == (409, "job_unfinished")
    work_off()
    export_id = made(web, work_off, f"?jobId={job_id}")
    assert names(fetched(web, export_id).content) == ["Zoe"]
    assert shown(web, export_id)["options"]["jobId"] == job_id
    # It has brought none itself.
    assert names(fetched(web, made(web, work_off, f"?jobId={export_id}")).content) == []


@pytest.mark.parametrize("form", ["ndjson", "json", "vcard", "xlsx"])
def test_every_format_is_made_and_a_file_of_no_contacts_is_one(
    form: str, web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    for rows in (0, 3):
        fill(connection, rows)
        answer = fetched(web, made(web, work_off, f"?format={form}"))
        assert answer.status_code == 200, answer.text
        assert answer.headers["Repr-Digest"] == sha256(answer.content)
        assert int(answer.headers["Content-Length"]) == len(answer.content)
        if form != "xlsx":
            streamed = web.get(f"/exports?format={form}", headers=ALL)
            assert sorted(answer.content) == sorted(streamed.content)
            assert answer.headers["Content-Type"] == streamed.headers["Content-Type"]


@pytest.mark.one_storage
def test_a_key_makes_one_export_however_often_its_request_comes(web: Web, connection: db.Connection) -> None:
    first, again = (web.post("/exports?source=crm", headers={**ALL, "Idempotency-Key": "k1"}) for _ in range(2))
    assert (again.status_code, again.json(), again.headers["Location"]) == (
        202,
        first.json(),
        first.headers["Location"],
    )
    other = web.post("/exports?source=shop", headers={**ALL, "Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


# Whose it is.


@pytest.mark.one_storage
def test_a_key_with_sources_exports_these_and_sees_its_own_exports_and_those_of_its_sources(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    fill(connection, 1, "crm")
    fill(connection, 1, "shop")
    everything = made(web, work_off)
    own = made(web, work_off, headers=CRM)
    of_crm = made(web, work_off, "?source=crm")
    assert web.post("/exports?source=shop", headers=CRM).status_code == 403
    for headers, expected in ((ALL, [of_crm, own, everything]), (CRM, [of_crm, own]), (SHOP, [])):
        listed = web.get("/jobs?kind=export", headers=headers).json()["jobs"]
        assert [job["jobId"] for job in listed] == expected
        for job_id in (everything, own, of_crm):
            status = 200 if job_id in expected else 404
            for path in (f"/exports/{job_id}", f"/exports/{job_id}/file", f"/jobs/{job_id}"):
                assert web.get(path, headers=headers).status_code == status, (path, headers)
    assert fetched(web, own, CRM).text.count("\n") == 2
    assert fetched(web, everything).text.count("\n") == 3


@pytest.mark.one_storage
def test_a_key_that_has_lost_a_source_does_not_see_what_it_exported_of_it(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    """Nor what it made when it had all: the key is known by its name."""
    for sources in ('["crm", "shop"]', "null"):
        job_id = made(web, work_off, headers=CRM)
        statement = "UPDATE jobs SET options = jsonb_set(options, '{sources}', %s::jsonb) WHERE id = %s"
        connection.execute(statement, [sources, job_id])
        assert fetched(web, job_id, CRM).status_code == 404
        assert web.get("/jobs", headers=CRM).json()["jobs"] == []
        assert fetched(web, job_id, ALL).status_code == 200


@pytest.mark.one_storage
def test_jobs_are_listed_by_kind(web: Web, work_off: Callable[[], int]) -> None:
    headers = {**ALL, "Content-Type": "text/csv", "X-Source": "crm"}
    import_id = web.post(data=b"name,email\nZoe,zoe@example.com\n", headers=headers).json()["jobId"]
    work_off()
    revert_id = web.post(f"/jobs/{import_id}/revert", headers=ALL).json()["jobId"]
    export_id = ordered(web, "?source=crm")
    expected = {"import": import_id, "revert": revert_id, "export": export_id}
    for headers in (ALL, CRM):
        for kind, job_id in expected.items():
            for query in (f"?kind={kind}", f"?kind={kind}&source=crm"):
                answer = web.get(f"/jobs{query}", headers=headers)
                assert [job["jobId"] for job in answer.json()["jobs"]] == [job_id]
        assert len(web.get("/jobs", headers=headers).json()["jobs"]) == 3
    assert web.get("/jobs?kind=export&state=failed", headers=ALL).json()["jobs"] == []
    assert web.get("/jobs?kind=upload", headers=ALL).status_code == 400


# The file, and parts of it (RFC 9110).


def sha256(content: bytes) -> str:
    return f"sha-256=:{b64encode(hashlib.sha256(content).digest()).decode()}:"


def test_a_part_of_a_file_is_fetched_and_a_broken_download_goes_on(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    fill(connection, 5000)
    job_id = made(web, work_off)
    whole = fetched(web, job_id)
    size, content = len(whole.content), whole.content
    assert size > 3 * 65536
    for asked, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=100000-", 100_000, size),
        ("bytes=-5", size - 5, size),
        (f"bytes=70000-{size + 10}", 70_000, size),
    ):
        for condition in ({}, {"If-Range": whole.headers["ETag"]}, {"If-Range": whole.headers["Last-Modified"]}):
            part = fetched(web, job_id, Range=asked, **condition)
            assert part.status_code == 206, part.text
            assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
            assert part.content == content[start:end]
            assert part.headers["Repr-Digest"] == sha256(content)
            assert part.headers["ETag"] == whole.headers["ETag"]
    beyond = fetched(web, job_id, Range=f"bytes={size}-")
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert beyond.json()["code"] == "range_not_satisfiable"


@pytest.mark.one_storage
@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-1,4-5"},
        {"Range": "lines=0-1"},
        {"Range": "bytes=x"},
        {"Range": "bytes=0-1", "If-Range": '"another"'},
        {"Range": "bytes=0-1", "If-Range": "Thu, 01 Jan 2015 00:00:00 GMT"},
    ],
)
def test_what_asks_for_no_single_part_of_this_file_gets_the_whole(
    headers: dict[str, str], web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    fill(connection, 3)
    answer = fetched(web, made(web, work_off), **headers)
    assert answer.status_code == 200
    assert names(answer.content) == ["Person 1", "Person 2", "Person 3"]


@pytest.mark.one_storage
def test_who_has_the_file_already_is_told_so(web: Web, connection: db.Connection, work_off: Callable[[], int]) -> None:
    job_id = made(web, work_off)
    whole = fetched(web, job_id)
    tag, changed_at = whole.headers["ETag"], whole.headers["Last-Modified"]
    for headers in (
        {"If-None-Match": tag},
        {"If-None-Match": f'"x", W/{tag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": changed_at},
    ):
        answer = fetched(web, job_id, **headers)
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
    for headers in ({"If-None-Match": '"x"', "If-Modified-Since": changed_at}, {"If-Modified-Since": "yesterday"}):
        assert fetched(web, job_id, **headers).status_code == 200


@pytest.mark.one_storage
def test_head_tells_what_get_would_send(web: Web, connection: db.Connection, work_off: Callable[[], int]) -> None:
    fill(connection, 3)
    job_id = made(web, work_off)
    told, whole = (web.request(method, f"/exports/{job_id}/file", headers=ALL) for method in ("HEAD", "GET"))
    assert (told.status_code, told.content) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Repr-Digest", "Accept-Ranges", "Content-Disposition"):
        assert told.headers[name] == whole.headers[name]
    assert told.headers["Accept-Ranges"] == "bytes"


# How it ends.


def test_a_file_that_is_not_kept_any_more_is_gone(
    web: Web,
    connection: db.Connection,
    work_off: Callable[[], int],
    config: Config,
    storage: Storage,
    stored_files: Callable[[], list[Path]],
) -> None:
    job_id = made(web, work_off)
    job = shown(web, job_id)
    kept = datetime.fromisoformat(job["expiresAt"]) - datetime.fromisoformat(job["finishedAt"])
    assert abs(kept - timedelta(days=7)) < timedelta(minutes=1)
    sweep = Sweep(config, storage, "dataflow/test/sweep").sweep
    sweep()
    assert fetched(web, job_id).status_code == 200
    assert stored_files()
    connection.execute("UPDATE jobs SET kept_until = now() - INTERVAL '1 second'")
    gone = fetched(web, job_id)
    assert (gone.status_code, gone.json()["code"]) == (410, "export_expired")
    sweep()
    assert fetched(web, job_id).status_code == 410
    assert shown(web, job_id)["objectDeletedAt"]
    assert not stored_files()


def test_deleting_the_job_removes_the_file_at_once(
    web: Web, connection: db.Connection, work_off: Callable[[], int], stored_files: Callable[[], list[Path]]
) -> None:
    job_id = made(web, work_off, "?email=ann@example.com")
    assert stored_files()
    assert web.request("DELETE", f"/jobs/{job_id}", headers=ALL).status_code == 204
    assert not stored_files()
    gone = fetched(web, job_id)
    assert (gone.status_code, gone.json()["code"]) == (410, "export_expired")
    job = shown(web, job_id)
    assert (job["fileName"], job["contentSha256"], job["options"]["email"]) == (None, None, "")


@pytest.mark.one_storage
def test_an_export_that_was_cancelled_has_no_file_until_it_is_tried_again(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    fill(connection, 2)
    job_id = ordered(web)
    assert web.request("DELETE", f"/jobs/{job_id}", headers=ALL).json()["code"] == "job_unfinished"
    assert web.post(f"/jobs/{job_id}/cancel", headers=ALL).status_code == 202
    answer = fetched(web, job_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "export_not_made")
    assert "cancelled" in answer.json()["error"]
    work_off()
    assert fetched(web, job_id).status_code == 409
    assert web.post(f"/jobs/{job_id}/retry", headers=ALL).status_code == 202
    work_off()
    assert names(fetched(web, job_id).content) == ["Person 1", "Person 2"]


@pytest.mark.one_storage
def test_an_export_of_one_person_that_is_forgotten_is_not_one_of_everybody_when_it_is_tried_again(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    fill(connection, 2)
    job_id = ordered(web, "?email=person1@example.com")
    web.post(f"/jobs/{job_id}/cancel", headers=ALL)
    web.request("DELETE", f"/jobs/{job_id}", headers=ALL)
    web.post(f"/jobs/{job_id}/retry", headers=ALL)
    work_off()
    assert names(fetched(web, job_id).content) == []


@pytest.mark.one_storage
def test_a_failure_is_told_with_its_reason(web: Web, connection: db.Connection, work_off: Callable[[], int]) -> None:
    job_id = ordered(web)
    connection.execute("ALTER TABLE contacts RENAME COLUMN email TO mail")
    try:
        assert work_off() == 1
    finally:
        connection.execute("ALTER TABLE contacts RENAME COLUMN mail TO email")
    answer = fetched(web, job_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "export_not_made")
    assert "database_error" in answer.json()["error"]


@pytest.mark.one_storage
def test_what_is_no_export_has_no_file_and_an_export_is_not_reverted(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    headers = {**ALL, "Content-Type": "text/csv", "X-Source": "crm"}
    import_id = web.post(data=b"name,email\nZoe,zoe@example.com\n", headers=headers).json()["jobId"]
    work_off()
    for path in (f"/exports/{import_id}", f"/exports/{import_id}/file"):
        answer = web.get(path, headers=ALL)
        assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
    job_id = made(web, work_off)
    reverted = web.post(f"/jobs/{job_id}/revert", headers=ALL)
    assert (reverted.status_code, reverted.json()["code"]) == (409, "not_revertible")
    retried = web.post(f"/jobs/{job_id}/retry", headers=ALL)
    assert (retried.status_code, retried.json()["code"]) == (409, "job_finished")
    assert web.get(f"/jobs/{job_id}/rejects", headers=ALL).json()["rejects"] == []


def test_an_object_that_has_vanished_is_told_before_the_answer_begins(
    web: Web, connection: db.Connection, work_off: Callable[[], int], storage: Storage
) -> None:
    fill(connection, 2)
    job_id = made(web, work_off)
    storage.delete(str(row_of(connection, job_id)["object_key"]))
    answer = fetched(web, job_id)
    assert (answer.status_code, answer.json()["code"]) == (503, "object_missing")


@pytest.mark.one_storage
def test_an_export_that_takes_longer_than_it_may_is_not_tried_again(
    web: Web, connection: db.Connection, make_config: Callable[..., Config], stored_files: Callable[[], list[Path]]
) -> None:
    fill(connection, 1)
    connection.execute("ALTER TABLE contacts RENAME TO contacts_there")
    connection.execute(
        "CREATE VIEW contacts AS SELECT id, name || pg_sleep(600) AS name, email, source, imported_at "
        "FROM contacts_there"
    )
    job_id = ordered(web)
    config = make_config(EXPORT_SECONDS=1)
    with db.connect(config.database_url, "dataflow/test/work") as own:
        job = jobs.claim(own, "w")
        assert job is not None
        Runner(config, open_storage(config), "dataflow/test/settle").work(own, Attempt(job, own))
    found = shown(web, job_id)
    assert (found["state"], found["error"].partition(":")[0]) == ("failed", "export_too_long")
    assert not stored_files()


@pytest.mark.one_storage
def test_nothing_in_the_server_ends_an_export_that_takes_its_time(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    """Neither while it reads, nor while the last rows are on their way to a slow storage, or to a slow client."""
    fill(connection, 1)
    connection.execute("ALTER TABLE contacts RENAME TO contacts_there")
    settings = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    names_of_settings = " || ' ' || ".join(f"current_setting('{name}')" for name in settings)
    connection.execute(
        f"CREATE VIEW contacts AS SELECT id, {names_of_settings} AS name, email, source, imported_at "
        "FROM contacts_there".encode()
    )
    assert names(fetched(web, made(web, work_off)).content) == ["0 0 0"]
    assert names(web.get("/exports", headers=ALL).content) == ["0 0 0"]


@pytest.mark.one_storage
def test_while_it_is_made_its_rows_are_seen_and_cancelling_it_leaves_nothing(
    web: Web,
    connection: db.Connection,
    start_worker: Callable[..., WorkerProcess],
    stored_files: Callable[[], list[Path]],
) -> None:
    """The server gives out the first rows, and then no more."""
    fill(connection, 2000)
    connection.execute("ALTER TABLE contacts RENAME TO contacts_there")
    connection.execute(
        "CREATE VIEW contacts AS SELECT id, CASE WHEN name = 'Person 1500' THEN name || pg_sleep(600) ELSE name END "
        "AS name, email, source, imported_at FROM contacts_there"
    )
    worker = start_worker()
    job_id = ordered(web, "?format=ndjson")
    eventually(lambda: 0 < shown(web, job_id)["rowsExported"] < 1500)
    assert (shown(web, job_id)["state"], shown(web, job_id)["bytesTotal"]) == ("running", None)
    [seen] = connection.execute("SELECT rows, percent, health FROM job_status").fetchall()
    assert (seen["rows"] > 0, seen["percent"], seen["health"]) == (True, None, "ok")
    assert web.post(f"/jobs/{job_id}/cancel", headers=ALL).status_code == 202
    eventually(lambda: '"message": "export given up"' in worker.log())
    eventually(lambda: not stored_files())
    job = shown(web, job_id)
    assert (job["state"], job["rowsExported"], job["bytesTotal"]) == ("cancelled", 0, None)


def test_a_storage_that_fails_midway_ends_the_answer_before_its_length(
    web: Web, connection: db.Connection, work_off: Callable[[], int], storage: Storage, request: pytest.FixtureRequest
) -> None:
    fill(connection, 20_000)
    job_id = made(web, work_off)
    key = str(row_of(connection, job_id)["object_key"])
    size = shown(web, job_id)["bytesTotal"]
    if isinstance(storage, LocalStorage):
        os.truncate(storage._directory / key, size // 2)
    else:
        double: StorageDouble = request.getfixturevalue("fresh_double")
        double.fault("cut", "GET", "/object/authenticated/", after_bytes=size // 2)
        double.fault("answer", "GET", "/object/authenticated/", status=404, body={"error": "not_found"})
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        fetched(web, job_id)
    assert '"message": "export broke off"' in web.log()


@pytest.mark.one_storage
def test_a_file_that_has_changed_in_the_storage_is_not_sent_to_its_end(
    web: Web, connection: db.Connection, work_off: Callable[[], int], storage: Storage
) -> None:
    fill(connection, 20_000)
    job_id = made(web, work_off)
    assert isinstance(storage, LocalStorage)
    with (storage._directory / str(row_of(connection, job_id)["object_key"])).open("r+b") as file:
        file.seek(500_000)
        file.write(b"!")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        fetched(web, job_id)
    assert '"code": "digest_mismatch"' in web.log()


@pytest.mark.one_storage
def test_a_client_that_takes_nothing_loses_its_place(
    start_web: Callable[..., Web], connection: db.Connection, work_off: Callable[[], int]
) -> None:
    """It is cut after EXPORT_STALL_SECONDS, and its place, the only one, is another's."""
    connection.execute(
        "INSERT INTO contacts (name, email, source) SELECT repeat('x', 250), 'p' || n || '@example.com', 'crm' "
        "FROM generate_series(1, 60000) n"
    )
    web = start_web(MAX_EXPORTS=1, EXPORT_STALL_SECONDS=2)
    job_id = made(web, work_off)
    with socket.create_connection(("127.0.0.1", web.port)) as line:
        line.sendall(f"GET /exports/{job_id}/file HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        eventually(lambda: '"is_whole": false' in web.log())
        assert len(line.recv(1, socket.MSG_PEEK)) == 1
        assert web.get(f"/exports/{job_id}/file", headers={"Range": "bytes=0-1"}).status_code == 206
