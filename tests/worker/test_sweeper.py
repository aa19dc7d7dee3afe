"""What is over goes, and nothing else: abandoned uploads, files that nothing can need, old rows. Over each storage."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from psycopg.types.json import Jsonb

from dataflow import db
from dataflow.config import Config
from dataflow.errors import JobError, LeaseLost, StorageUnavailable, UploadTaken
from dataflow.ids import uuid7
from dataflow.imports.completion import Completions
from dataflow.imports.receive import Receiver
from dataflow.imports.upload import Upload
from dataflow.metrics import JobsCollector
from dataflow.queue import idempotency, job_counts, jobs, retention, unfinished_objects, uploads
from dataflow.queue.idempotency import Key
from dataflow.queue.retention import Leftover
from dataflow.queue.scope import ALL
from dataflow.storage.base import Description, Storage
from dataflow.storage.local import LocalStorage
from dataflow.worker.sweeper import Sweep
from tests.doubles.storage.process import StorageDouble
from tests.support.errors import has_code
from tests.support.jobs import COMPLETE, UPLOAD, claimed, row, set_state
from tests.support.logged import logged_by
from tests.support.objects import is_there, store
from tests.support.processes import Web
from tests.support.waiting import eventually

RUNS_OVER = ("local", "supabase")
ROLE = "dataflow/test/sweep"
DAY_SECONDS = 86_400.0
#: Longer than any settled file is kept.
HOUR_SECONDS = 3600.0


@pytest.fixture(scope="module")
def database(module_database: str) -> str:
    """One for all tests here, which is emptied and not put back."""
    return module_database


@pytest.fixture(autouse=True)
def fresh_start(connection: db.Connection) -> None:
    """Empty tables; and a statement that waits for a test's own transaction fails it instead of hanging."""
    connection.execute("SET lock_timeout = '10s'; DELETE FROM jobs; DELETE FROM contacts")
    connection.execute("DELETE FROM job_counts; DELETE FROM unfinished_objects")


@pytest.fixture
def keep(connection: db.Connection, storage: Storage) -> Callable[..., UUID]:
    """Makes a job that has ended in a state some time ago, with its file."""

    def make(state: str, ended_seconds_ago: float = 0.0) -> UUID:
        job_id = uuid7()
        key = f"{job_id}.csv"
        uploads.insert(connection, {**UPLOAD, "id": job_id, "object_key": key})
        store(storage, key, [b"name,email\n"])
        uploads.queue(connection, job_id, COMPLETE)
        set_state(connection, job_id, state)
        end_earlier(connection, job_id, ended_seconds_ago)
        return job_id

    return make


@pytest.fixture
def impatient(connection: db.Connection, monkeypatch: pytest.MonkeyPatch, make_config: Callable[..., Config]) -> Config:
    """An upload is abandoned after a second: the default is more than the tests' server has been up."""
    has_been_up = "SELECT WHERE pg_postmaster_start_time() < clock_timestamp() - INTERVAL '1.1 seconds'"
    eventually(lambda: connection.execute(has_been_up).fetchone() is not None)
    monkeypatch.setattr("dataflow.worker.sweeper.UPLOAD_SLACK_SECONDS", 0.0)
    return make_config(UPLOAD_STALL_SECONDS=1)


def end_earlier(connection: db.Connection, job_id: UUID, seconds: float) -> None:
    statement = "UPDATE jobs SET finished_at = finished_at - make_interval(secs => %s::float) WHERE id = %s"
    connection.execute(statement, [seconds, job_id])


def fall_silent(connection: db.Connection, job_id: UUID, seconds: float) -> None:
    statement = "UPDATE jobs SET heartbeat_at = now() - make_interval(secs => %s::float) WHERE id = %s"
    connection.execute(statement, [seconds, job_id])


def uploading(connection: db.Connection, source: str | None = "s") -> UUID:
    job_id = uuid7()
    uploads.insert(connection, {**UPLOAD, "id": job_id, "object_key": f"{job_id}.csv", "source": source})
    return job_id


def is_stored(storage: Storage, job_id: UUID) -> bool:
    return is_there(storage, f"{job_id}.csv")


def is_marked(connection: db.Connection, job_id: UUID) -> bool:
    return row(connection, job_id)["object_deleted_at"] is not None


def only_leftover(connection: db.Connection) -> Leftover:
    (leftover,) = retention.leftovers(connection, 0.0, 0.0)
    return leftover


# Uploads that nobody feeds.


def cut_off_upload(web: Web, bytes_sent: int) -> socket.socket:
    """A request that stops in the middle of its body; its connection stays open."""
    address = urlsplit(web.url)
    client = socket.create_connection((str(address.hostname), int(address.port or 0)))
    head = f"POST /import HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nX-Source: s\r\nContent-Length: {1 << 30}\r\n"
    client.sendall(head.encode() + b"\r\nname,email\n" + b"N,user@example.com\n" * (bytes_sent // 19))
    return client


def test_what_a_killed_web_process_leaves_of_an_upload_is_found_and_removed(
    start_web: Callable[..., Web],
    connection: db.Connection,
    storage: Storage,
    impatient: Config,
    storage_kind: str,
    stored_files: Callable[[], list[Path]],
    empty_storage: None,
) -> None:
    def arrived() -> UUID | None:
        found = connection.execute("SELECT id, upload_url FROM jobs").fetchone()
        is_open = found and (storage_kind == "local" or found["upload_url"])
        return found["id"] if found and is_open and stored_files() else None

    web = start_web()
    with cut_off_upload(web, 14 << 20):
        job_id = eventually(arrived)
        web.kill_all()
    sweep = Sweep(impatient, storage, ROLE)
    fall_silent(connection, job_id, 10)
    sweep.sweep()
    found = row(connection, job_id)
    assert (found["state"], found["error"].partition(":")[0]) == ("failed", "upload_abandoned")
    assert stored_files(), "a request that is alive after all may still be writing"
    end_earlier(connection, job_id, 10)
    sweep.sweep()
    assert stored_files() == []
    assert is_marked(connection, job_id)


def test_an_upload_that_beats_is_left_alone_beside_one_that_does_not(
    connection: db.Connection, storage: Storage, impatient: Config
) -> None:
    silent, beating = uploading(connection), uploading(connection)
    for job_id in (silent, beating):
        fall_silent(connection, job_id, 100)
    uploads.beat(connection, beating, 5, None)
    Sweep(impatient, storage, ROLE).sweep()
    assert [row(connection, job_id)["state"] for job_id in (silent, beating)] == ["failed", "uploading"]


@pytest.mark.one_storage
def test_an_upload_is_abandoned_also_when_its_source_had_not_arrived_yet(
    connection: db.Connection, storage: Storage, impatient: Config, keep: Callable[..., UUID]
) -> None:
    job_id, other = uploading(connection, source=None), keep("succeeded", 100)
    fall_silent(connection, job_id, 100)
    Sweep(impatient, storage, ROLE).sweep()
    assert row(connection, job_id)["state"] == "failed"
    assert not is_stored(storage, other), "and nothing else is held up by it"


@pytest.mark.one_storage
@pytest.mark.parametrize("state", ["queued", "running"])
def test_only_uploads_are_abandoned(connection: db.Connection, storage: Storage, impatient: Config, state: str) -> None:
    job_id = uploading(connection)
    uploads.queue(connection, job_id, COMPLETE)
    if state == "running":
        assert jobs.claim(connection, "w")
    fall_silent(connection, job_id, 100)
    Sweep(impatient, storage, ROLE).sweep()
    assert row(connection, job_id)["state"] == state


@pytest.mark.one_storage
def test_nothing_is_abandoned_before_the_server_itself_has_been_up_for_as_long(connection: db.Connection) -> None:
    """While the server was down nobody could beat. Restarting it here would hit every other test that shares it: so
    the silence that is asked for is longer than the server has been up, then shorter, for one and the same row."""
    statement = "SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float AS seconds"
    found = connection.execute(statement).fetchone()
    assert found is not None
    job_id = uploading(connection)
    fall_silent(connection, job_id, found["seconds"] + DAY_SECONDS)
    assert retention.abandon_uploads(connection, found["seconds"] + HOUR_SECONDS) == []
    assert retention.abandon_uploads(connection, found["seconds"] / 2) == [job_id]


def test_a_request_that_comes_back_after_it_was_abandoned_is_told_and_leaves_no_file(
    connection: db.Connection,
    storage: Storage,
    config: Config,
    stored_files: Callable[[], list[Path]],
    empty_storage: None,
) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"name,email\nN,user@example.com\n" * 10_000
        connection.execute("UPDATE jobs SET heartbeat_at = now() - INTERVAL '100 seconds'")
        eventually(lambda: retention.abandon_uploads(connection, 1.0))
        yield b"N,user@example.com\n"

    with closing(db.open_pool(config.database_url, "dataflow/web")) as pool:
        receiver = Receiver(config, pool, storage, Completions(partial(db.borrowed, pool), 1))
        with pytest.raises(UploadTaken):
            receiver.receive(Upload(pieces(), "text/csv", given={"source": "s"}))
    assert connection.execute("SELECT state FROM jobs").fetchall() == [{"state": "failed"}]
    assert stored_files() == []


@pytest.mark.one_storage
def test_an_abandoned_upload_can_neither_beat_nor_become_a_job(connection: db.Connection) -> None:
    job_id = uploading(connection)
    fall_silent(connection, job_id, 100)
    assert retention.abandon_uploads(connection, 0.5) == [job_id]
    for call in (
        lambda: uploads.beat(connection, job_id, 6, None),
        lambda: uploads.queue(connection, job_id, COMPLETE),
        lambda: uploads.discard(connection, job_id),
    ):
        with pytest.raises(UploadTaken):
            call()


@pytest.mark.one_storage
def test_an_upload_that_is_being_queued_at_this_moment_is_not_abandoned(
    database: str, connection: db.Connection
) -> None:
    job_id = uploading(connection)
    fall_silent(connection, job_id, 100)
    with db.connect(database, "dataflow/web") as web, web.transaction():
        uploads.queue(web, job_id, COMPLETE)
        assert retention.abandon_uploads(connection, 0.5) == []
    assert retention.abandon_uploads(connection, 0.5) == []
    assert row(connection, job_id)["state"] == "queued"


# Files of finished jobs.


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_the_file_of_a_job_that_may_be_retried_is_kept_for_its_days_and_then_removed(
    connection: db.Connection,
    storage: Storage,
    make_config: Callable[..., Config],
    keep: Callable[..., UUID],
    state: str,
) -> None:
    young, old = keep(state, 2 * DAY_SECONDS - 60), keep(state, 2 * DAY_SECONDS + 60)
    Sweep(make_config(OBJECT_RETENTION_DAYS=2), storage, ROLE).sweep()
    assert (is_stored(storage, young), is_marked(connection, young)) == (True, False)
    assert (is_stored(storage, old), is_marked(connection, old)) == (False, True)


def test_a_file_that_outlived_its_success_goes_soon_but_not_under_the_hands_of_its_worker(
    connection: db.Connection, storage: Storage, config: Config, keep: Callable[..., UUID]
) -> None:
    just_now, before = keep("succeeded", 100), keep("succeeded", 200)
    Sweep(config, storage, ROLE).sweep()
    assert [is_stored(storage, job_id) for job_id in (just_now, before)] == [True, False]
    assert is_marked(connection, before)


def test_files_that_jobs_still_need_are_never_removed(
    connection: db.Connection, storage: Storage, make_config: Callable[..., Config], keep: Callable[..., UUID]
) -> None:
    queued, running = keep("failed"), keep("failed")
    for job_id in (running, queued):
        jobs.retry(connection, job_id, ALL)
        if job_id == running:
            assert jobs.claim(connection, "w")
    Sweep(make_config(OBJECT_RETENTION_DAYS=0), storage, ROLE).sweep()
    assert is_stored(storage, queued) and is_stored(storage, running)


def local_path(config: Config, job_id: UUID) -> Path:
    return Path(config.data_dir) / "objects" / "imports" / f"{job_id}.csv"


def refuse_to_remove(storage_kind: str, folder: Path, job_id: UUID, request: pytest.FixtureRequest) -> None:
    if storage_kind == "local":
        path = folder / "objects" / "imports" / f"{job_id}.csv"
        path.unlink()
        path.mkdir()  # even root cannot unlink a folder
    else:
        double: StorageDouble = request.getfixturevalue("fresh_double")
        double.fault("answer", method="DELETE", path=str(job_id), times=100, status=403, body={"message": "no"})


def allow_to_remove(storage_kind: str, folder: Path, job_id: UUID, request: pytest.FixtureRequest) -> None:
    if storage_kind == "local":
        (folder / "objects" / "imports" / f"{job_id}.csv").rmdir()
    else:
        request.getfixturevalue("fresh_double").clear_faults()


def test_a_file_that_the_storage_refuses_to_remove_stops_no_other_and_is_tried_again(
    connection: db.Connection,
    storage: Storage,
    make_config: Callable[..., Config],
    keep: Callable[..., UUID],
    storage_kind: str,
    state_folder: Path,
    request: pytest.FixtureRequest,
) -> None:
    refused, other = keep("failed", 200), keep("failed", 100)
    refuse_to_remove(storage_kind, state_folder, refused, request)
    sweep = Sweep(make_config(OBJECT_RETENTION_DAYS=0), storage, ROLE)
    sweep.sweep()
    assert [is_marked(connection, job_id) for job_id in (refused, other)] == [False, True]
    allow_to_remove(storage_kind, state_folder, refused, request)
    sweep.sweep()
    assert is_marked(connection, refused)


@pytest.mark.one_storage
def test_files_that_cannot_be_removed_do_not_starve_those_that_can(
    connection: db.Connection,
    storage: Storage,
    make_config: Callable[..., Config],
    keep: Callable[..., UUID],
    state_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setattr("dataflow.queue.retention.BATCH_ROWS", 2)
    refused, other = [keep("failed", 200), keep("failed", 190)], keep("failed", 100)
    for job_id in refused:
        refuse_to_remove("local", state_folder, job_id, request)
    sweep = Sweep(make_config(OBJECT_RETENTION_DAYS=0), storage, ROLE)
    for _ in range(3):
        sweep.sweep()
    assert is_marked(connection, other)


def test_a_file_that_was_removed_but_not_marked_is_removed_once_more(
    connection: db.Connection, storage: Storage, make_config: Callable[..., Config], keep: Callable[..., UUID]
) -> None:
    job_id = keep("failed", 100)
    storage.delete(f"{job_id}.csv")
    Sweep(make_config(OBJECT_RETENTION_DAYS=0), storage, ROLE).sweep()
    assert is_marked(connection, job_id)


def test_a_job_that_was_tried_again_since_it_was_found_keeps_its_file(
    connection: db.Connection, storage: Storage, keep: Callable[..., UUID]
) -> None:
    job_id = keep("failed", 100)
    leftover = only_leftover(connection)
    jobs.retry(connection, job_id, ALL)
    assert retention.give_up_file(connection, leftover) is None
    set_state(connection, job_id, "failed")
    assert retention.give_up_file(connection, leftover) is None, "its time begins anew"
    jobs.retry(connection, job_id, ALL)
    assert is_stored(storage, job_id)


@pytest.mark.one_storage
def test_a_file_is_given_up_before_it_is_removed_so_that_a_retry_in_psql_never_meets_a_missing_one(
    database: str, connection: db.Connection, keep: Callable[..., UUID]
) -> None:
    job_id = keep("failed", 100)
    refusals: list[str] = []

    def retry() -> None:
        with db.connect(database, "psql") as psql, pytest.raises(psycopg.errors.RaiseException) as caught:
            set_state(psql, job_id, "queued")
        refusals.append(str(caught.value))

    person = threading.Thread(target=retry)
    waiting = "SELECT FROM pg_stat_activity WHERE application_name = 'psql' AND wait_event_type = 'Lock'"
    with db.connect(database, ROLE) as sweeping, sweeping.transaction():
        file = retention.give_up_file(sweeping, only_leftover(connection))
        person.start()
        eventually(lambda: connection.execute(waiting).fetchone() is not None)
    person.join(10)
    assert file is not None
    assert file.object_key == f"{job_id}.csv"
    assert "cannot be queued: its file is not kept" in refusals[0]
    assert row(connection, job_id)["state"] == "failed"


@pytest.mark.one_storage
def test_a_file_that_was_given_up_is_found_again_until_it_is_marked_as_removed(
    connection: db.Connection, keep: Callable[..., UUID]
) -> None:
    job_id = keep("failed", 200)
    leftover = only_leftover(connection)
    assert retention.give_up_file(connection, leftover)
    assert retention.leftovers(connection, DAY_SECONDS, 150.0) == [leftover], "it need not wait for its days any more"
    retention.mark_object_deleted(connection, job_id)
    assert retention.leftovers(connection, 0.0, 0.0) == []
    assert retention.give_up_file(connection, leftover) is None


@pytest.mark.one_storage
def test_a_person_who_has_a_job_in_an_open_transaction_holds_up_no_sweep(
    database: str,
    connection: db.Connection,
    storage: Storage,
    make_config: Callable[..., Config],
    keep: Callable[..., UUID],
) -> None:
    held, other = keep("failed", 200), keep("failed", 190)
    sweep = Sweep(make_config(OBJECT_RETENTION_DAYS=0), storage, ROLE)
    sweeping = threading.Thread(target=sweep.sweep, daemon=True)
    with db.connect(database, "psql") as psql, psql.transaction():
        set_state(psql, held, "queued")
        sweeping.start()
        eventually(lambda: is_marked(connection, other), seconds=3)
    sweeping.join(10)
    assert is_stored(storage, held)


def test_two_sweeps_at_once_remove_everything_and_harm_nothing(
    connection: db.Connection,
    storage: Storage,
    make_config: Callable[..., Config],
    keep: Callable[..., UUID],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "dataflow.worker.sweeper")
    for _ in range(12):
        keep("failed", 2 * DAY_SECONDS)
    kept = keep("failed")
    config = make_config(OBJECT_RETENTION_DAYS=1, JOB_RETENTION_DAYS=1)
    with ThreadPoolExecutor(2) as workers:
        list(workers.map(lambda sweep: sweep.sweep(), [Sweep(config, storage, ROLE) for _ in range(2)]))
    assert {record.levelname for record in logged_by(caplog, "worker.sweeper")} == {"INFO"}
    assert connection.execute("SELECT id FROM jobs").fetchall() == [{"id": kept}]
    assert is_stored(storage, kept)


def test_a_job_that_is_forgotten_keeps_neither_its_file_nor_what_was_said_of_its_rows(
    connection: db.Connection, storage: Storage, config: Config, keep: Callable[..., UUID]
) -> None:
    job_id = keep("failed")
    detected = Jsonb({"columns": ["Ann Secret"], "ignoredColumns": ["Ann Secret"], "encoding": "utf-8"})
    connection.execute(
        "UPDATE jobs SET issues = '[{}]', error = 'missing_columns: It has: Ann Secret.', detected = %s", [detected]
    )
    refuse_rows(connection, 2)
    file = retention.forget(connection, job_id, ALL)
    assert file is not None
    assert (file.object_key, file.is_complete) == (f"{job_id}.csv", True)
    found = row(connection, job_id)
    assert (found["issues"], found["file_name"]) == ([], None)
    assert (found["error"], found["detected"]) == ("missing_columns", {"encoding": "utf-8"})
    assert [retention.forget_rejects(connection, job_id) for _ in range(2)] == [2, 0]
    assert count_rejects(connection) == 0
    with pytest.raises(JobError, check=has_code("object_forgotten")):
        jobs.retry(connection, job_id, ALL)
    end_earlier(connection, job_id, 200)
    Sweep(config, storage, ROLE).sweep()
    assert not is_stored(storage, job_id), "if whoever asked did not remove it"
    assert retention.forget(connection, job_id, ALL) is None
    with pytest.raises(JobError, check=has_code("job_not_found")):
        retention.forget(connection, uuid7(), ALL)
    with pytest.raises(JobError, check=has_code("job_unfinished")):
        retention.forget(connection, uploading(connection), ALL)


@pytest.mark.one_storage
@pytest.mark.parametrize(
    ("error", "left"),
    [
        ("database_error: The database refused: no Ann Secret here (SQLSTATE P0001).", "database_error"),
        ("database_unavailable: The database gave up for now: Ann Secret (SQLSTATE 53100).", "database_unavailable"),
        ("statement_cancelled: Ann Secret.", "statement_cancelled"),
        (
            "no_contacts: All were refused. Its refused rows could not be kept: The database refused: Ann Secret.",
            "no_contacts: All were refused.",
        ),
        ("digest_mismatch: The object has 5 bytes.", "digest_mismatch: The object has 5 bytes."),
    ],
)
def test_a_job_that_is_forgotten_keeps_nothing_that_the_server_may_have_said_of_a_row(
    connection: db.Connection, error: str, left: str
) -> None:
    job_id = uploading(connection)
    connection.execute("UPDATE jobs SET state = 'failed', error = %s", [error])
    retention.forget(connection, job_id, ALL)
    assert row(connection, job_id)["error"] == left


# Old rows.


def published(connection: db.Connection) -> dict[str, float]:
    """The samples of /metrics that count contacts."""
    registry = CollectorRegistry()
    connected: Future[None] = Future()
    totals: Future[dict[str, Any]] = Future()
    totals.set_result(job_counts.totals(connection))
    registry.register(JobsCollector(lambda: connected, lambda: totals, 0.0))
    samples = [sample for family in registry.collect() for sample in family.samples]
    counters = [sample for sample in samples if sample.name.endswith("_total")]
    return {"".join([sample.name, *sample.labels.values()]): sample.value for sample in counters}


def old_rows(connection: db.Connection, state: str, count: int, days: float, is_kept: bool = False) -> None:
    """Jobs that ended some days ago, whose file is gone unless it `is_kept`."""
    connection.execute(
        "INSERT INTO jobs (id, state, source, object_key, object_deleted_at, rows_imported, rows_not_imported,"
        " rows_rejected, rows_updated, rows_skipped, rows_read, finished_at)"
        " SELECT gen_random_uuid(), %(state)s, 's', 'k', CASE WHEN NOT %(is_kept)s THEN now() END,"
        " CASE WHEN %(state)s = 'succeeded' THEN 7 ELSE 0 END, CASE WHEN %(state)s = 'succeeded' THEN 0 ELSE 7 END,"
        " 3, 2, 1, 13, now() - make_interval(secs => 86400 * %(days)s::float) FROM generate_series(1, %(count)s)",
        {"state": state, "count": count, "days": days, "is_kept": is_kept},
    )


def count(connection: db.Connection) -> int:
    return len(connection.execute("SELECT FROM jobs").fetchall())


@pytest.mark.one_storage
def test_rows_go_after_their_days_and_no_published_counter_falls(
    connection: db.Connection, storage: Storage, make_config: Callable[..., Config]
) -> None:
    old_rows(connection, "succeeded", 3, 31)
    old_rows(connection, "failed", 2, 31)
    old_rows(connection, "succeeded", 1, 29)
    before = published(connection)
    assert before == {
        "dataflow_contacts_imported_total": 28,
        "dataflow_contacts_rejected_total": 18,
        "dataflow_rows_read_total": 78,
        "dataflow_rows_totalimported": 28,
        "dataflow_rows_totalupdated": 12,
        "dataflow_rows_totalskipped": 6,
        "dataflow_rows_totalrejected": 18,
        "dataflow_rows_totalnot_imported": 14,
    }
    Sweep(make_config(JOB_RETENTION_DAYS=30), storage, ROLE).sweep()
    assert count(connection) == 1
    assert published(connection) == before


def refuse_rows(connection: db.Connection, count: int) -> None:
    """Refused rows of every job."""
    connection.execute(
        "INSERT INTO rejects (job_id, record, code, message, original)"
        " SELECT id, record, 'invalid_email', 'no', 'x' FROM jobs, generate_series(1, %s) record",
        [count],
    )


def count_rejects(connection: db.Connection) -> int:
    return len(connection.execute("SELECT FROM rejects").fetchall())


@pytest.mark.one_storage
def test_refused_rows_go_with_their_jobs_in_portions_that_end_in_time(
    connection: db.Connection, storage: Storage, make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataflow.queue.retention.REJECTS_BATCH_ROWS", 20)
    old_rows(connection, "succeeded", 5, 31)
    old_rows(connection, "succeeded", 1, 29)
    old_rows(connection, "failed", 1, 31, is_kept=True)
    refuse_rows(connection, 9)
    assert retention.delete_old_rejects(connection, 30) == 20
    assert count(connection) == 7
    Sweep(make_config(JOB_RETENTION_DAYS=30, OBJECT_RETENTION_DAYS=100), storage, ROLE).sweep()
    assert (count(connection), count_rejects(connection)) == (1, 9)


@pytest.mark.one_storage
def test_refused_rows_go_with_a_job_that_is_deleted_by_hand(connection: db.Connection) -> None:
    old_rows(connection, "succeeded", 2, 1)
    refuse_rows(connection, 3)
    connection.execute("DELETE FROM jobs WHERE id = (SELECT min(id::text)::uuid FROM jobs)")
    assert count_rejects(connection) == 3


@pytest.mark.one_storage
def test_a_job_that_is_tried_again_forgets_its_refused_rows_and_no_published_counter_falls(
    connection: db.Connection,
) -> None:
    old_rows(connection, "failed", 1, 1, is_kept=True)
    connection.execute(
        "UPDATE jobs SET digests = '[[1, \"x\"]]', bytes_total = 1, rows_updated = 0, rows_skipped = 0, rows_read = 10"
    )
    refuse_rows(connection, 3)
    before = published(connection)
    assert before["dataflow_rows_read_total"] >= 10
    connection.execute("UPDATE jobs SET state = 'queued'")
    assert count_rejects(connection) == 0
    assert published(connection) == before
    assert connection.execute("SELECT rows_read, rows_rejected, rows_not_imported FROM jobs").fetchone() == {
        "rows_read": 0,
        "rows_rejected": 0,
        "rows_not_imported": 0,
    }


@pytest.mark.one_storage
def test_rows_are_kept_for_ever_unless_their_days_are_set(
    connection: db.Connection, storage: Storage, config: Config
) -> None:
    old_rows(connection, "succeeded", 3, 3650)
    Sweep(config, storage, ROLE).sweep()
    assert count(connection) == 3


@pytest.mark.one_storage
def test_a_row_stays_as_long_as_its_file_because_nobody_else_knows_of_it(connection: db.Connection) -> None:
    old_rows(connection, "failed", 1, 100, is_kept=True)
    assert retention.delete_old_jobs(connection, 1) == 0
    connection.execute("UPDATE jobs SET object_deleted_at = now()")
    assert retention.delete_old_jobs(connection, 1) == 1


@pytest.mark.one_storage
def test_keys_of_requests_are_kept_for_a_day(connection: db.Connection, storage: Storage, config: Config) -> None:
    for key in ("new", "old"):
        assert idempotency.claim(connection, Key("s", "import", key), uuid7(), "f") is None
    connection.execute("UPDATE idempotency_keys SET touched_at = now() - INTERVAL '25 hours' WHERE key = 'old'")
    Sweep(config, storage, ROLE).sweep()
    assert connection.execute("DELETE FROM idempotency_keys RETURNING key").fetchall() == [{"key": "new"}]


def test_files_are_kept_no_longer_than_rows_may_be(
    connection: db.Connection, storage: Storage, make_config: Callable[..., Config], keep: Callable[..., UUID]
) -> None:
    job_id = keep("failed", 3 * DAY_SECONDS)
    Sweep(make_config(OBJECT_RETENTION_DAYS=7, JOB_RETENTION_DAYS=2), storage, ROLE).sweep()
    assert not is_stored(storage, job_id)
    assert count(connection) == 0


@pytest.mark.one_storage
def test_rows_are_deleted_in_batches_that_begin_with_the_oldest(
    connection: db.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataflow.queue.retention.BATCH_ROWS", 10)
    for days in (40, 30, 20):
        old_rows(connection, "succeeded", 8, days)
    assert retention.delete_old_jobs(connection, 1) == 10
    youngest = "SELECT count(*) FROM jobs WHERE finished_at > now() - INTERVAL '25 days'"
    assert connection.execute(youngest).fetchone() == {"count": 8}
    assert [retention.delete_old_jobs(connection, 1) for _ in range(3)] == [10, 4, 0]


@pytest.mark.one_storage
def test_deleting_at_the_same_moment_waits_for_nobody_and_no_published_counter_falls(
    database: str, connection: db.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_rows(connection, "succeeded", 30, 40)
    before = published(connection)
    monkeypatch.setattr("dataflow.queue.retention.BATCH_ROWS", 15)
    with db.connect(database, ROLE) as other, other.transaction():
        assert retention.delete_old_jobs(other, 1) == 15
        assert retention.delete_old_jobs(connection, 1) == 15
        assert published(connection) == published(other) == before
    assert published(connection) == before
    assert count(connection) == 0
    assert job_counts.totals(connection)["jobs_by_state"]["succeeded"] == 0


# The thread.


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataflow.worker.sweeper.EVERY_SECONDS", 0.1)


@pytest.mark.one_storage
def test_the_thread_survives_a_database_that_refuses_and_goes_on_when_it_does_not(
    connection: db.Connection,
    storage: Storage,
    make_config: Callable[..., Config],
    keep: Callable[..., UUID],
    hasty: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    job_id = keep("failed", 100)
    sweep = Sweep(make_config(OBJECT_RETENTION_DAYS=0), storage, ROLE)
    connection.execute("ALTER TABLE jobs RENAME TO away")
    try:
        sweep.start()
        eventually(lambda: "sweep ended early" in caplog.messages)
    finally:
        connection.execute("ALTER TABLE away RENAME TO jobs")
    eventually(lambda: is_marked(connection, job_id))
    sweep.stop()


class Broken(LocalStorage):
    """Fails in a way that nobody has foreseen."""

    def discard(self, key: str, upload: str | None) -> None:
        raise ZeroDivisionError


@pytest.mark.one_storage
def test_the_thread_survives_what_nobody_has_foreseen(
    make_config: Callable[..., Config],
    keep: Callable[..., UUID],
    tmp_path: Path,
    hasty: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    keep("failed", 200)
    sweep = Sweep(make_config(OBJECT_RETENTION_DAYS=0), Broken(tmp_path), ROLE)
    sweep.start()
    eventually(lambda: caplog.messages.count("sweep broke") >= 2)
    sweep.stop()


# What attempts have written that are over.


def test_what_an_attempt_has_written_is_removed_when_it_is_over_and_once_more_when_that_was_late(
    connection: db.Connection, storage: Storage, config: Config
) -> None:
    def written() -> int:
        Sweep(config, storage, ROLE).sweep()
        return len(connection.execute("SELECT FROM unfinished_objects").fetchall())

    job = claimed(connection)
    unfinished_objects.note(connection, job, "half.csv")
    store(storage, "half.csv", [b"name"])
    assert written() == 1
    assert is_there(storage, "half.csv")
    set_state(connection, job.id, "queued")
    assert written() == 1
    assert not is_there(storage, "half.csv")
    # A worker that was frozen had sent it.
    store(storage, "half.csv", [b"name"])
    assert written() == 1
    assert not is_there(storage, "half.csv")
    connection.execute("UPDATE unfinished_objects SET ended_at = ended_at - INTERVAL '1 hour'")
    assert written() == 0


def test_an_upload_that_an_attempt_has_left_open_is_removed(
    connection: db.Connection, storage: Storage, config: Config, stored_files: Callable[[], list[Path]]
) -> None:
    job = claimed(connection)
    before = len(stored_files())
    upload = storage.begin("half.csv", Description("text/csv"))
    upload.append(b"x" * storage.chunk_bytes)
    unfinished_objects.note(connection, job, "half.csv", upload.address)
    assert len(stored_files()) > before
    set_state(connection, job.id, "cancelled")
    Sweep(config, storage, ROLE).sweep()
    assert len(stored_files()) == before
    with pytest.raises(LeaseLost):
        unfinished_objects.note(connection, job, "other.csv")


def test_one_object_that_the_storage_refuses_to_remove_does_not_keep_the_others(
    connection: db.Connection, storage: Storage, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(connection)
    for key in ("a.csv", "b.csv"):
        unfinished_objects.note(connection, job, key)
        store(storage, key, [b"name"])
    set_state(connection, job.id, "cancelled")
    discard = storage.discard

    def refuse_one(key: str, address: str | None, is_hurried: bool = False) -> None:
        if key == "a.csv":
            raise StorageUnavailable("Not now.")
        discard(key, address, is_hurried)

    monkeypatch.setattr(storage, "discard", refuse_one)
    Sweep(config, storage, ROLE).sweep()
    assert (is_there(storage, "a.csv"), is_there(storage, "b.csv")) == (True, False)
