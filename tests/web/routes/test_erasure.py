"""DELETE /contacts over HTTP: what is erased of a person, what is left, and what is said about it."""

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from dataflow import db, logs
from dataflow.errors import StorageUnavailable
from dataflow.imports import erasure
from dataflow.queue import jobs, unfinished_objects
from dataflow.storage.base import Storage
from tests.support.flask_web import FlaskWeb
from tests.support.holders import ALL_KEY, CLOSED, CRM_KEY, SHOP_KEY, bearer
from tests.support.imported import row_of
from tests.support.objects import is_there

RUNS_OVER = ("local", "supabase")
WEB_VARIABLES = CLOSED
THROUGH_FLASK = True
ADDRESS = "zzq@example.com"
GOOD = b"name,email\nAnn,zzq@example.com\nBob,bob@example.com\n"
#: Its second row is refused: it has no name.
BAD = b"name,email\nBob,bob@example.com\n,Zzq@Example.com\n"
WorkOff = Callable[[], int]


def erase(web: FlaskWeb, address: str = ADDRESS, key: str = ALL_KEY, prefix: str = "") -> dict[str, Any]:
    answer = asked(web, key=key, prefix=prefix, email=address)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def asked(web: FlaskWeb, query: str = "", key: str = ALL_KEY, prefix: str = "", **parameters: Any) -> requests.Response:
    return web.request("DELETE", f"{prefix}/contacts{query}", params=parameters, headers=dict(bearer(key)))


def outcome(**counts: Any) -> dict[str, Any]:
    return {**dict.fromkeys(("contacts", "rejects", "jobs", "files"), 0), "filesLeft": [], "filesUnread": 0, **counts}


def put(connection: db.Connection, *emails: str, source: str = "crm") -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO contacts (name, email, source) VALUES ('Ann', %s, %s)", [(email, source) for email in emails]
        )


def emails(connection: db.Connection) -> list[str]:
    return [row["email"] for row in connection.execute('SELECT email FROM contacts ORDER BY email COLLATE "C"')]


def send(web: FlaskWeb, content: bytes, source: str = "crm", **options: str) -> str:
    headers = {"Content-Type": "text/csv", **bearer(ALL_KEY)}
    answer = web.post(params={"source": source, **options}, data=content, headers=headers)
    assert answer.status_code == 200, answer.text
    job_id: str = answer.json()["jobId"]
    return job_id


def job(web: FlaskWeb, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = web.get(f"/jobs/{job_id}", headers=dict(bearer(ALL_KEY))).json()
    return found


def key(connection: db.Connection, job_id: str) -> str:
    """Of the job's object."""
    return str(row_of(connection, job_id)["object_key"])


def change(web: FlaskWeb, job_id: str, action: str) -> requests.Response:
    return web.post(f"/jobs/{job_id}/{action}", headers=dict(bearer(ALL_KEY)))


def failed(web: FlaskWeb, work_off: WorkOff, content: bytes = BAD, source: str = "crm") -> str:
    """A job that has failed because of a refused row, and whose file is kept."""
    job_id = send(web, content, source, onInvalid="abort")
    work_off()
    assert job(web, job_id)["state"] == "failed"
    return job_id


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_the_contacts_of_an_address_go_whatever_its_case(prefix: str, web: FlaskWeb, connection: db.Connection) -> None:
    put(connection, "zzq@example.com", "ZZQ@EXAMPLE.COM", "azzq@example.com", "zzq@example.com.au", "bob@example.com")
    put(connection, "Zzq@example.com", source="shop")
    assert erase(web, "zZq@example.com", prefix=prefix) == outcome(contacts=3)
    assert emails(connection) == ["azzq@example.com", "bob@example.com", "zzq@example.com.au"]
    assert erase(web, prefix=prefix) == outcome()


def test_a_plus_and_other_signs_are_percent_encoded(web: FlaskWeb, connection: db.Connection) -> None:
    put(connection, "a+b%@example.com", "a b@example.com", '"a b"@example.com', "jörg@bücher.de")
    for written in ("a%2Bb%25@example.com", "%22a%20b%22%40example.com", "J%C3%B6rg@b%C3%BCcher.de"):
        assert asked(web, f"?email={written}").json() == outcome(contacts=1)
    assert emails(connection) == ["a b@example.com"]


@pytest.mark.parametrize(
    "query",
    [
        *("", "?email=", "?email=zzq", "?email=zzq+1@example.com", "?email=zzq%00@example.com", "?email=%FF@a.com"),
        *("?email=zzq@example.com&email=bob@example.com", "?email=zzq@example.com&source=crm", "?email=%25@"),
    ],
)
def test_what_is_no_address_erases_nobody(query: str, web: FlaskWeb, connection: db.Connection) -> None:
    put(connection, ADDRESS)
    answer = asked(web, query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "zzq" not in answer.text
    assert emails(connection) == [ADDRESS]


def test_refused_rows_that_hold_the_address_go_and_others_stay(
    web: FlaskWeb, work_off: WorkOff, connection: db.Connection
) -> None:
    rows = [
        ",Zzq@example.com,",
        '"zzq@example.com",nowhere,',
        'Ann,nowhere,"see\nzzq@example.com"',
        "Ann,azzq@example..com,azzq@example.com",
        "Ann,nowhere,zzq@example.com.au",
        "zzq,example.com,",
    ]
    job_id = send(web, "\n".join(["name,email,note", *rows, "Bob,bob@example.com,"]).encode())
    work_off()
    assert job(web, job_id)["rowsRejected"] == 6
    assert erase(web) == outcome(rejects=3)
    kept = web.get(f"/jobs/{job_id}/rejects", headers=dict(bearer(ALL_KEY))).json()["rejects"]
    assert [row["record"] for row in kept] == [4, 5, 6]


@pytest.mark.parametrize(
    "content",
    [
        b'{"name": "Ann", "email": 1, "other": "zzq\\u0040example.com zzq@example.com"}\n',
        b'{"name": "", "email": "zzq\\u0040example.com"}\n',
        b'{"name": "Ann" "email": "zzq@example.com"}\n',
    ],
)
def test_refused_rows_of_json_are_found_by_their_text_and_their_email(
    content: bytes, web: FlaskWeb, work_off: WorkOff
) -> None:
    send(web, b'{"name": "Bob", "email": "bob@example.com"}\n' + content)
    work_off()
    assert erase(web) == outcome(rejects=1)


def test_the_file_of_a_job_whose_refused_row_holds_the_address_goes(
    web: FlaskWeb, work_off: WorkOff, storage: Storage, connection: db.Connection
) -> None:
    known = failed(web, work_off)
    unknown = failed(web, work_off, BAD.replace(b"Zzq", b"Bob"))
    assert erase(web) == outcome(rejects=1, files=1, filesUnread=1)
    assert (job(web, known)["objectDeletedAt"] is None, job(web, unknown)["objectDeletedAt"]) == (False, None)
    assert change(web, known, "retry").json()["code"] == "object_forgotten"
    assert not is_there(storage, key(connection, known))
    assert is_there(storage, key(connection, unknown))
    assert change(web, unknown, "retry").status_code == 202


def test_a_kept_file_is_known_by_an_import_of_the_same_content(web: FlaskWeb, work_off: WorkOff) -> None:
    cancelled = send(web, GOOD)
    assert change(web, cancelled, "cancel").status_code == 202
    other = send(web, GOOD.replace(b"zzq", b"other"))
    assert change(web, other, "cancel").status_code == 202
    send(web, GOOD, source="shop")
    work_off()
    assert erase(web) == outcome(contacts=1, files=1, filesUnread=1)
    assert job(web, cancelled)["objectDeletedAt"]
    assert not job(web, other)["objectDeletedAt"]


def test_the_file_of_a_job_that_has_not_ended_is_named(web: FlaskWeb, work_off: WorkOff) -> None:
    send(web, GOOD)
    work_off()
    waiting = send(web, GOOD)
    assert erase(web) == outcome(contacts=1, filesLeft=[waiting])
    work_off()
    assert erase(web) == outcome(contacts=1)


def test_a_file_that_another_database_may_need_is_named(
    web: FlaskWeb, work_off: WorkOff, connection: db.Connection, storage: Storage
) -> None:
    held = failed(web, work_off)
    connection.execute("UPDATE jobs SET database_id = 'another'")
    assert erase(web) == outcome(rejects=1, filesLeft=[held])
    assert is_there(storage, key(connection, held))


def test_a_file_that_the_storage_does_not_let_go_of_is_named_and_given_up(
    web: FlaskWeb, work_off: WorkOff, connection: db.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StorageUnavailable("It is away.")

    left = failed(web, work_off)
    with monkeypatch.context() as away:
        away.setattr(type(web.app.extensions["dataflow"].storage), "discard", refuse)
        assert erase(web) == outcome(rejects=1, filesLeft=[left])
    # What the sweep comes back to.
    rows = connection.execute("SELECT digests, object_deleted_at FROM jobs").fetchall()
    assert rows == [{"digests": [], "object_deleted_at": None}]


def test_what_jobs_keep_of_their_files_goes_too(web: FlaskWeb, work_off: WorkOff, connection: db.Connection) -> None:
    headerless = failed(web, work_off, BAD.replace(b"Zzq", b"Bob"))
    answer = web.post(
        files={"file": ("cv zzq@example.com.csv", GOOD[:11] + b"Bob,bob@example.com\n")},
        data={"source": "crm"},
        headers=dict(bearer(ALL_KEY)),
    )
    named = answer.json()["jobId"]
    work_off()
    connection.execute(
        'UPDATE jobs SET detected = \'{"columns": ["Ann", "zzq@example.com"]}\' WHERE id = %s', [headerless]
    )
    connection.execute("UPDATE jobs SET upload_metadata = 'filename enpxQGV4YW1wbGUuY29t'")
    assert erase(web) == outcome(jobs=2, files=1)
    assert job(web, named)["fileName"] is None
    assert "zzq" not in json.dumps([job(web, named), job(web, headerless)])
    assert connection.execute("SELECT FROM jobs WHERE upload_metadata IS NOT NULL").rowcount == 0
    assert erase(web) == outcome()


def test_a_key_erases_of_its_own_sources_alone(web: FlaskWeb, work_off: WorkOff, connection: db.Connection) -> None:
    own, other = failed(web, work_off, source="leads"), failed(web, work_off, source="shop")
    put(connection, ADDRESS, source="crm")
    put(connection, ADDRESS, source="shop")
    assert erase(web, key=CRM_KEY) == outcome(contacts=1, rejects=1, files=1)
    assert (bool(job(web, own)["objectDeletedAt"]), bool(job(web, other)["objectDeletedAt"])) == (True, False)
    assert emails(connection) == [ADDRESS]
    assert erase(web, key=SHOP_KEY) == outcome(contacts=1, rejects=1, files=1)


def test_many_are_erased_in_portions(
    web: FlaskWeb, work_off: WorkOff, connection: db.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, rows in (("FOUND_ROWS", 4), ("ERASED_ROWS", 3), ("PORTION_ROWS", 2)):
        monkeypatch.setattr(erasure, name, rows)
    for _ in range(3):
        send(web, BAD + b",other@example.com\n" + b",zzq@example.com\n" * 2)
    work_off()
    put(connection, *[ADDRESS] * 12)
    connection.execute("DELETE FROM contacts WHERE email LIKE 'bob%'")
    assert erase(web) == outcome(contacts=12, rejects=9)
    assert emails(connection) == []
    [left] = connection.execute("SELECT count(*) AS rejects FROM rejects").fetchall()
    assert left["rejects"] == 3


def test_two_who_erase_the_same_person_count_each_contact_once(web: FlaskWeb, connection: db.Connection) -> None:
    put(connection, *[ADDRESS] * 2000)
    with ThreadPoolExecutor(4) as officers:
        counted = [found["contacts"] for found in officers.map(lambda _: erase(web), range(4))]
    assert sum(counted) == 2000
    assert emails(connection) == []


def test_contacts_that_a_trigger_keeps_are_an_error_that_names_nobody(web: FlaskWeb, connection: db.Connection) -> None:
    put(connection, ADDRESS)
    connection.execute("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    connection.execute("CREATE TRIGGER keep BEFORE DELETE ON contacts FOR EACH ROW EXECUTE FUNCTION keep()")
    answer = asked(web, email=ADDRESS)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_error")
    assert "1 of 1 contacts are still there" in answer.json()["error"]
    assert "zzq" not in answer.text


def test_contacts_that_other_tables_need_are_an_error_that_names_nobody(
    web: FlaskWeb, connection: db.Connection
) -> None:
    put(connection, ADDRESS)
    connection.execute("CREATE TABLE orders AS SELECT id AS contact_id, email FROM contacts")
    connection.execute("ALTER TABLE orders ADD CONSTRAINT of_contact FOREIGN KEY (contact_id) REFERENCES contacts")
    answer = asked(web, email=ADDRESS)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_error")
    assert "of_contact" in answer.json()["error"]
    assert "zzq" not in answer.text


def test_the_log_counts_and_names_nobody(
    web: FlaskWeb, work_off: WorkOff, connection: db.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    failed(web, work_off)
    put(connection, ADDRESS)
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    answer = asked(web, email=ADDRESS)
    lines = [logs.formatter("json").format(record) for record in caplog.records]
    [line] = [json.loads(line) for line in lines if "person erased" in line]
    assert {name: line[name] for name in ("contacts", "rejects", "jobs", "files", "files_left")} == {
        **{"contacts": 1, "rejects": 1, "jobs": 0, "files": 1, "files_left": 0}
    }
    metrics = web.get("/metrics", headers=dict(bearer(ALL_KEY))).text
    for text in ("\n".join(lines), metrics, answer.text, str(answer.headers)):
        assert "zzq" not in text.lower()


def test_refused_rows_without_a_job_are_erased_by_who_may_see_everything(
    web: FlaskWeb, connection: db.Connection
) -> None:
    orphan: UUID = uuid4()
    connection.execute(
        "INSERT INTO rejects (job_id, record, code, message, original) VALUES (%s, 1, 'x', 'x', %s)", [orphan, ADDRESS]
    )
    assert erase(web, key=CRM_KEY) == outcome()
    assert erase(web) == outcome(rejects=1)


# Files that exports have made.


def exported(web: FlaskWeb, work_off: WorkOff, query: str = "", key: str = ALL_KEY) -> str:
    """An export whose file is kept."""
    answer = web.post(f"/exports{query}", headers=dict(bearer(key)))
    assert answer.status_code == 202, answer.text
    work_off()
    job_id: str = answer.json()["jobId"]
    assert job(web, job_id)["state"] == "succeeded"
    return job_id


def are_kept(connection: db.Connection, storage: Storage, *job_ids: str) -> list[bool]:
    return [is_there(storage, key(connection, job_id)) for job_id in job_ids]


def test_files_of_exports_that_may_hold_the_person_go_and_others_are_counted(
    web: FlaskWeb, work_off: WorkOff, connection: db.Connection, storage: Storage
) -> None:
    import_id = send(web, GOOD)
    work_off()
    put(connection, "bob@example.com", source="shop")
    queries = ("", "?source=crm", "?email=ZZQ@example.com", f"?jobId={import_id}", "?importedAfter=2026-01-01")
    may_hold = [exported(web, work_off, query) for query in (*queries, "?limit=10")]
    others = ("?source=shop", "?email=bob@example.com", "?importedBefore=2026-01-01")
    do_not = [exported(web, work_off, query) for query in others]
    assert erase(web) == outcome(contacts=1, files=len(may_hold), filesUnread=len(do_not), jobs=1)
    assert are_kept(connection, storage, *may_hold) == [False] * len(may_hold)
    assert are_kept(connection, storage, *do_not) == [True] * len(do_not)
    for job_id in may_hold:
        assert web.get(f"/exports/{job_id}/file", headers=dict(bearer(ALL_KEY))).status_code == 410
    assert erase(web) == outcome(filesUnread=len(do_not))
    assert ADDRESS not in json.dumps([job(web, job_id)["options"] for job_id in may_hold]).lower()


def test_an_export_that_is_being_made_is_named_as_left(
    web: FlaskWeb, work_off: WorkOff, connection: db.Connection
) -> None:
    put(connection, ADDRESS)
    answer = web.post("/exports", headers=dict(bearer(ALL_KEY)))
    claimed = jobs.claim(connection, "w")
    assert claimed is not None
    unfinished_objects.note(connection, claimed, "k")
    assert erase(web) == outcome(contacts=1, filesLeft=[answer.json()["jobId"]])


def test_a_key_with_sources_removes_the_exports_that_it_may_see(
    web: FlaskWeb, work_off: WorkOff, connection: db.Connection, storage: Storage
) -> None:
    put(connection, ADDRESS)
    own, of_source = exported(web, work_off, key=CRM_KEY), exported(web, work_off, "?source=crm")
    everything = exported(web, work_off)
    assert erase(web, key=SHOP_KEY) == outcome()
    assert erase(web, key=CRM_KEY) == outcome(contacts=1, files=2)
    assert are_kept(connection, storage, own, of_source, everything) == [False, False, True]
