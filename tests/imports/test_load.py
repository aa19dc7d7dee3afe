"""From a stored object to contacts: all of it in one transaction, or none of it."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest

from dataflow import db
from dataflow.config import Config
from dataflow.db import query
from dataflow.errors import (
    DatabaseError,
    DataFlowError,
    InputError,
    InvalidContacts,
    LeaseLost,
    NoContacts,
    ObjectMissing,
    RowTooLarge,
    StorageError,
    WorkerStopping,
)
from dataflow.formats.block import PIECE_BYTES
from dataflow.formats.time_limit import TimeLimit
from dataflow.ids import uuid7
from dataflow.imports.load import ImportHandler
from dataflow.queue import jobs, uploads
from dataflow.queue.attempt import Attempt
from dataflow.queue.jobs import Job
from dataflow.queue.scope import ALL
from dataflow.storage.base import Storage
from tests.support.errors import has_code
from tests.support.objects import store
from tests.support.waiting import eventually

RUNS_OVER = ("local", "supabase")
MAX_ROW_BYTES = 1 << 20


def csv_of(rows: Iterable[tuple[str, str]]) -> bytes:
    return b"name,email\n" + b"".join(f"{name},{email}\n".encode() for name, email in rows)


def many(count: int) -> bytes:
    return csv_of((f"Name {i}", f"user{i}@example.com") for i in range(count))


@pytest.fixture
def claim(connection: db.Connection, storage: Storage) -> Callable[..., Job]:
    """Stores content as an upload and claims its job."""

    def make(content: bytes, format_name: str = "csv", cuts: Iterable[int] = (), **options: object) -> Job:
        job_id = uuid7()
        key = f"{job_id}.{format_name}"
        ends = [*cuts, len(content)]
        digests = [
            [end, hashlib.sha256(content[begin:end]).hexdigest()] for begin, end in zip([0, *ends], ends, strict=False)
        ]
        values: dict[str, Any] = {
            "source": "s",
            "file_name": None,
            "content_type": "text/csv",
            "options": {"onInvalid": "skip", **options},
        }
        uploads.insert(connection, {"id": job_id, "object_key": key, "request_id": None, "created_by": None, **values})
        stored = store(storage, key, [content])
        complete = {"format": format_name, "bytes_total": len(content), "object_etag": stored.etag, "digests": digests}
        uploads.queue(connection, job_id, {**values, **complete})
        job = jobs.claim(connection, "w")
        assert job is not None
        return job

    return make


@pytest.fixture
def load(connection: db.Connection, storage: Storage, config: Config) -> Callable[[Job], Attempt]:
    def run(job: Job) -> Attempt:
        attempt = Attempt(job)
        with closing(ImportHandler(attempt, storage, config)) as handler:
            handler.run(connection)
        return attempt

    return run


def state_of(connection: db.Connection, job_id: UUID) -> dict[str, Any]:
    return jobs.get(connection, job_id, ALL)


def count(connection: db.Connection) -> int:
    found = connection.execute("SELECT count(*) FROM contacts").fetchone()
    assert found is not None
    return int(found["count"])


def assert_untouched(connection: db.Connection, job: Job) -> None:
    """Nothing imported, the job still this attempt's to settle, the connection still usable."""
    assert count(connection) == 0
    assert state_of(connection, job.id)["state"] == "running"


def test_a_file_that_takes_too_long_without_a_row_fails_its_job(
    claim: Callable[..., Job], load: Callable[[Job], Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = partial(next, itertools.count(step=30.0))
    monkeypatch.setattr("dataflow.imports.load.TimeLimit", partial(TimeLimit, 4.0, clock=clock))
    with pytest.raises(InputError, match="more than 4 s without a further row", check=has_code("takes_too_long")):
        load(claim(many(1) + b"\n" * (5 * PIECE_BYTES) + b"Ann,ann@example.org\n"))


def test_contacts_and_job_commit_together_with_their_range(
    connection: db.Connection, claim: Callable[..., Job], load: Callable[[Job], Attempt]
) -> None:
    job = claim(many(5000))
    load(job)
    found = state_of(connection, job.id)
    assert (found["state"], found["rows_imported"], found["bytes_done"]) == ("succeeded", 5000, job.bytes_total)
    in_range = connection.execute(
        "SELECT count(*), min(id::text)::uuid AS first, max(id::text)::uuid AS last"
        " FROM contacts WHERE id BETWEEN %s AND %s",
        [found["first_contact_id"], found["last_contact_id"]],
    ).fetchone()
    assert in_range == {"count": 5000, "first": found["first_contact_id"], "last": found["last_contact_id"]}


def test_ids_follow_the_order_of_the_file(
    claim: Callable[..., Job],
    load: Callable[[Job], Attempt],
    stored_contacts: Callable[[], list[tuple[Any, ...]]],
) -> None:
    load(claim(many(4000)))
    assert [email for _, email, _ in stored_contacts()] == [f"user{i}@example.com" for i in range(4000)]


def test_bad_rows_are_counted_and_the_good_ones_land(
    connection: db.Connection, claim: Callable[..., Job], load: Callable[[Job], Attempt]
) -> None:
    rows = [("Good", f"g{i}@example.com") if i % 2 else ("", f"b{i}@example.com") for i in range(500)]
    attempt = load(claim(csv_of(rows)))
    found = state_of(connection, attempt.job.id)
    assert (found["rows_imported"], found["rows_rejected"], count(connection)) == (250, 250, 250)
    assert len(found["issues"]) == 100
    assert found["issues"][1] == {"path": ["data", 2, "name"], "message": "Must not be empty"}


def test_abort_imports_nothing_and_still_counts_every_refused_row_of_the_file(
    connection: db.Connection, claim: Callable[..., Job], load: Callable[[Job], Attempt]
) -> None:
    rows = [("Good", f"g{i}@example.com") for i in range(9000)]
    job = claim(csv_of([*rows[:4000], ("Bad", "no address"), *rows[4000:], ("Bad", "none")]), onInvalid="abort")
    with pytest.raises(InvalidContacts, match="2 rows"):
        load(job)
    assert_untouched(connection, job)


@pytest.mark.parametrize(
    ("content", "format_name", "error"),
    [
        (b"name,email\n", "csv", NoContacts),
        (b"name,email\n,\n", "csv", NoContacts),
        (b"\n", "ndjson", NoContacts),
        (b"[]", "json", NoContacts),
        (many(3000) + b'"open', "csv", DataFlowError),
        (json.dumps([{"name": "a", "email": "a@b.co"}] * 3000).encode()[:-1], "json", DataFlowError),
        (b'{"name": "' + b"x" * (MAX_ROW_BYTES + 1), "ndjson", RowTooLarge),
    ],
)
def test_content_that_cannot_be_imported_leaves_nothing(
    connection: db.Connection,
    claim: Callable[..., Job],
    load: Callable[[Job], Attempt],
    content: bytes,
    format_name: str,
    error: type[DataFlowError],
) -> None:
    job = claim(content, format_name)
    with pytest.raises(error):
        load(job)
    assert_untouched(connection, job)


def test_bytes_that_differ_from_what_was_received_are_never_imported(
    connection: db.Connection, claim: Callable[..., Job], load: Callable[[Job], Attempt], storage: Storage
) -> None:
    content = many(3000)
    job = claim(content)
    for damaged in (content.replace(b"Name 7,", b"Name 8,"), content[:-20], content + b"a,a@b.co\n"):
        store(storage, job.object_key, [damaged])
        with pytest.raises(StorageError, check=has_code("digest_mismatch")):
            load(job)
        assert_untouched(connection, job)


@pytest.mark.parametrize("cuts", [(1,), (PIECE_BYTES,), (PIECE_BYTES - 1, PIECE_BYTES + 1), (5, 70_000, 70_001)])
def test_each_request_that_delivered_bytes_has_its_own_digest(
    connection: db.Connection,
    claim: Callable[..., Job],
    load: Callable[[Job], Attempt],
    storage: Storage,
    cuts: tuple[int, ...],
) -> None:
    content = many(6000)
    load(claim(content, cuts=cuts))
    assert count(connection) == 6000
    connection.execute("TRUNCATE contacts")
    job = claim(content, cuts=cuts)
    damaged = bytearray(content)
    damaged[cuts[-1] - 1] ^= 1
    store(storage, job.object_key, [bytes(damaged)])
    with pytest.raises(DataFlowError):
        load(job)
    assert_untouched(connection, job)


def test_an_object_that_vanished_is_said_to_be_missing(
    connection: db.Connection, claim: Callable[..., Job], load: Callable[[Job], Attempt], storage: Storage
) -> None:
    job = claim(many(1))
    storage.delete(job.object_key)
    with pytest.raises(ObjectMissing):
        load(job)
    assert_untouched(connection, job)


def test_an_overtaken_attempt_rolls_its_own_rows_back(
    connection: db.Connection, claim: Callable[..., Job], load: Callable[[Job], Attempt]
) -> None:
    job = claim(many(100))
    connection.execute("UPDATE jobs SET attempt = attempt + 1 WHERE id = %s", [job.id])
    with pytest.raises(LeaseLost):
        load(job)
    assert_untouched(connection, job)


def test_a_stopped_attempt_ends_with_the_reason_it_was_given(
    connection: db.Connection, claim: Callable[..., Job], storage: Storage, config: Config
) -> None:
    attempt = Attempt(claim(many(20_000)))
    attempt.stop(WorkerStopping("stop"))
    with pytest.raises(WorkerStopping):
        ImportHandler(attempt, storage, config).run(connection)
    assert_untouched(connection, attempt.job)


REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'row seen';
    IF new.email LIKE 'user%s@%%' THEN RAISE EXCEPTION 'refused by the server'; END IF;
    RETURN new;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION refuse()
"""


# The server is slower than we are: before the second it has kept us waiting, and libpq has looked at what it said.
@pytest.mark.parametrize("row", [10, 70_000])
def test_a_row_that_the_server_refuses_ends_the_copy_long_before_the_end_of_the_file(
    connection: db.Connection, claim: Callable[..., Job], storage: Storage, config: Config, row: int
) -> None:
    connection.execute((REFUSE.replace("RAISE NOTICE 'row seen';", "") % row).encode())
    attempt = Attempt(claim(many(200_000)))
    with pytest.raises(psycopg.errors.RaiseException, match="refused by the server"):
        ImportHandler(attempt, storage, config).run(connection)
    assert attempt.progress.bytes_done < attempt.job.bytes_total * 0.75
    assert_untouched(connection, attempt.job)


def test_a_trigger_that_raises_a_notice_for_each_row_neither_blocks_nor_ends_the_copy(
    connection: db.Connection, claim: Callable[..., Job], load: Callable[[Job], Attempt]
) -> None:
    connection.execute((REFUSE % "-").encode())
    load(claim(many(20_000)))
    assert count(connection) == 20_000


DROP_SOME = """
CREATE FUNCTION drop_some() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE WHEN new.email LIKE 'user1%' THEN NULL ELSE new END;
END $$;
CREATE TRIGGER drop_some BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION drop_some()
"""


def test_rows_that_a_trigger_of_the_owner_drops_count_as_skipped(
    connection: db.Connection, claim: Callable[..., Job], load: Callable[[Job], Attempt]
) -> None:
    connection.execute(DROP_SOME)
    job = claim(many(20))
    load(job)
    found = state_of(connection, job.id)
    assert (found["rows_imported"], found["rows_skipped"], found["rows_read"], count(connection)) == (9, 11, 20, 9)


GIVE_OTHER_IDS = """
CREATE FUNCTION give_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.email LIKE 'user1%' THEN new.id = gen_random_uuid(); END IF;
    RETURN new;
END $$;
CREATE TRIGGER give_id BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION give_id()
"""
REMOVE_AGAIN = """
CREATE FUNCTION give_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM contacts WHERE id = new.id AND email LIKE 'user1%';
    RETURN NULL;
END $$;
CREATE TRIGGER give_id AFTER INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION give_id()
"""


@pytest.mark.parametrize("on_conflict", ["insert", "skip", "update"])
@pytest.mark.parametrize("trigger", [GIVE_OTHER_IDS, REMOVE_AGAIN], ids=["other ids", "removed"])
def test_an_import_that_could_not_be_reverted_because_of_a_trigger_fails_and_names_it(
    connection: db.Connection, claim: Callable[..., Job], load: Callable[[Job], Attempt], trigger: str, on_conflict: str
) -> None:
    connection.execute(trigger.encode())
    job = claim(many(20), onConflict=on_conflict)
    with pytest.raises(DatabaseError, match=r"^11 of 20 contacts .*\(give_id\)", check=has_code("contacts_moved")):
        load(job)
    assert_untouched(connection, job)


@pytest.mark.parametrize("switch", ["DISABLE TRIGGER give_id", "ENABLE TRIGGER give_id"])
def test_a_trigger_that_leaves_the_ids_alone_is_no_obstacle(
    connection: db.Connection, claim: Callable[..., Job], load: Callable[[Job], Attempt], switch: str
) -> None:
    harmless = "IF new.email LIKE 'nobody%'" if switch.startswith("ENABLE") else "IF new.email LIKE 'user1%'"
    connection.execute(GIVE_OTHER_IDS.replace("IF new.email LIKE 'user1%'", harmless).encode())
    connection.execute(f"ALTER TABLE contacts {switch}".encode())
    load(claim(many(20)))
    assert count(connection) == 20


@pytest.mark.one_storage
def test_rows_that_wait_to_be_merged_are_no_contacts_yet_and_the_merge_can_be_watched(
    connection: db.Connection, database: str, claim: Callable[..., Job], storage: Storage, config: Config
) -> None:
    job = claim(many(2000), onConflict="skip")
    attempt = Attempt(job)
    with ThreadPoolExecutor() as threads, closing(ImportHandler(attempt, storage, config)) as handler:
        with db.connect(database, "merging") as other, other.transaction():
            other.execute(query("staging/lock_merge"))
            running = threads.submit(handler.run, connection)
            eventually(lambda: other.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall() or running.done())
            assert attempt.statement_pid == connection.info.backend_pid
            assert (attempt.progress.rows_read, attempt.progress.rows_imported) == (2000, 0)
        running.result()
    assert attempt.statement_pid is None
    assert (attempt.progress.rows_imported, count(connection)) == (2000, 2000)


def test_an_import_that_made_no_contact_has_no_range_of_ids(
    connection: db.Connection, claim: Callable[..., Job], load: Callable[[Job], Attempt]
) -> None:
    load(claim(many(3)))
    job = claim(many(3), onConflict="skip")
    load(job)
    found = state_of(connection, job.id)
    assert (found["rows_skipped"], found["first_contact_id"], found["last_contact_id"]) == (3, None, None)


@pytest.mark.one_storage
def test_a_mapping_that_no_row_has_is_blamed_for_a_file_without_contacts(
    claim: Callable[..., Job], load: Callable[[Job], Attempt]
) -> None:
    rows = b'{"name":"Ann","email":"a@example.com"}\n'
    with pytest.raises(NoContacts, match=r"1 rows were refused\. None has both members that mapping asks for\."):
        load(claim(rows, "ndjson", mapping={"name": ["called"]}))
    with pytest.raises(NoContacts, match=r"refused\.$"):
        load(claim(b'{"name":"","email":"a@example.com"}\n', "ndjson", mapping={"name": ["name"]}))
    card = b"BEGIN:VCARD\nVERSION:3.0\nEMAIL:nowhere\nEND:VCARD\n"
    with pytest.raises(NoContacts, match=r"refused\.$"):
        load(claim(card, "vcard", mapping={"name": ["email"]}))
