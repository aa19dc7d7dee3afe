"""The state machine in the database: legal rows whoever writes them, fenced outcomes, one wake-up."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from dataflow import db
from dataflow.errors import JobError, LeaseLost, UploadTaken
from dataflow.ids import uuid7
from dataflow.queue import jobs, notify, uploads
from dataflow.queue.progress import Progress
from dataflow.queue.scope import ALL
from tests.support.errors import has_code
from tests.support.jobs import COMPLETE, claimed, enqueue, row, set_state, upload
from tests.support.waiting import eventually


def test_a_claim_records_who_has_the_job_and_on_which_backend(connection: db.Connection) -> None:
    job = claimed(connection)
    found = row(connection, job.id)
    assert (found["state"], found["attempt"], found["worker"]) == ("running", 1, "w")
    assert found["backend_pid"] == connection.info.backend_pid
    assert found["backend_start"] is not None
    assert jobs.claim(connection, "w") is None


def test_jobs_are_claimed_in_the_order_they_became_due(connection: db.Connection) -> None:
    first, second = enqueue(connection), enqueue(connection)
    connection.execute("UPDATE jobs SET run_at = run_at + interval '1 hour' WHERE id = %s", [first])
    claim = jobs.claim(connection, "w")
    assert claim is not None
    assert claim.id == second
    assert jobs.claim(connection, "w") is None, "the other one is not due for an hour"


def test_two_claims_at_once_never_get_the_same_job(database: str, connection: db.Connection) -> None:
    enqueue(connection), enqueue(connection)
    with db.connect(database, "other") as other, other.transaction():
        mine = jobs.claim(other, "other")
        theirs = jobs.claim(connection, "w")
    assert mine is not None and theirs is not None
    assert mine.id != theirs.id


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_finished_at_is_set_exactly_in_final_states(connection: db.Connection, state: str) -> None:
    job = claimed(connection)
    assert row(connection, job.id)["finished_at"] is None
    set_state(connection, job.id, state)
    assert row(connection, job.id)["finished_at"] is not None


def test_requeueing_by_hand_leaves_a_row_as_good_as_new(connection: db.Connection) -> None:
    job = claimed(connection)
    jobs.end(connection, job, Progress(), "failed", "malformed_input: no")
    assert row(connection, job.id)["failures"] == 1
    set_state(connection, job.id, "queued")
    found = row(connection, job.id)
    cleared = ("finished_at", "worker", "backend_pid", "backend_start", "heartbeat_at")
    assert [found[name] for name in cleared] == [None] * 5
    assert (found["failures"], found["attempt"]) == (0, 1)
    again = jobs.claim(connection, "w2")
    assert again is not None
    assert again.attempt == 2


def test_a_requeue_keeps_a_run_at_that_is_given_and_the_failures_of_a_running_job(connection: db.Connection) -> None:
    job = claimed(connection)
    jobs.requeue(connection, job, delay_seconds=60, charge=1, error="storage_unavailable: gone")
    found = row(connection, job.id)
    assert found["failures"] == 1
    assert found["run_at"] > found["created_at"]
    assert jobs.claim(connection, "w") is None


def test_a_job_that_succeeded_never_leaves_that_state(connection: db.Connection) -> None:
    job = claimed(connection)
    jobs.succeed(connection, job, Progress())
    with pytest.raises(psycopg.errors.RaiseException, match="has succeeded"):
        set_state(connection, job.id, "queued")


def test_an_illegal_row_is_refused_whoever_writes_it(connection: db.Connection) -> None:
    job_id = upload(connection)
    for statement in (
        "UPDATE jobs SET state = 'paused' WHERE id = %s",
        "UPDATE jobs SET finished_at = now() WHERE id = %s",
        "UPDATE jobs SET state = 'running' WHERE id = %s",
        "UPDATE jobs SET run_at = 'infinity' WHERE id = %s",
        "UPDATE jobs SET state = 'queued', digests = '[[1, \"\"]]' WHERE id = %s",
    ):
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(statement, [job_id])


@pytest.mark.parametrize(("gap", "reason"), [("digests = '[]'", "as a whole"), ("object_deleted_at = now()", "kept")])
def test_a_job_without_its_file_cannot_be_queued_again(connection: db.Connection, gap: str, reason: str) -> None:
    job = claimed(connection)
    connection.execute(f"UPDATE jobs SET state = 'failed', {gap} WHERE id = '{job.id}'".encode())
    with pytest.raises(psycopg.errors.RaiseException, match=reason):
        set_state(connection, job.id, "queued")


def test_what_was_copied_but_not_committed_is_not_counted(connection: db.Connection) -> None:
    job = claimed(connection)
    jobs.beat(connection, job, replace(Progress(), rows_imported=7), 5.0)
    set_state(connection, job.id, "cancelled")
    assert row(connection, job.id)["rows_imported"] == 0


@pytest.mark.parametrize("settle", ["beat", "succeed", "fail", "requeue"])
@pytest.mark.parametrize("taken", ["cancelled", "newer attempt"])
def test_whoever_lost_the_job_can_settle_nothing(connection: db.Connection, settle: str, taken: str) -> None:
    job = claimed(connection)
    if taken == "cancelled":
        set_state(connection, job.id, "cancelled")
    else:
        connection.execute("UPDATE jobs SET attempt = attempt + 1 WHERE id = %s", [job.id])
    before = row(connection, job.id)
    calls = {
        "beat": lambda: jobs.beat(connection, job, Progress(), 5.0),
        "succeed": lambda: jobs.succeed(connection, job, Progress()),
        "fail": lambda: jobs.end(connection, job, Progress(), "failed", "x: y"),
        "requeue": lambda: jobs.requeue(connection, job, 0, 0, None),
    }
    with pytest.raises(LeaseLost):
        calls[settle]()
    assert row(connection, job.id) == before


def test_an_upload_that_was_cancelled_can_neither_beat_nor_queue_nor_vanish(connection: db.Connection) -> None:
    job_id = upload(connection)
    uploads.beat(connection, job_id, 5, None)
    set_state(connection, job_id, "cancelled")
    for call in (
        lambda: uploads.beat(connection, job_id, 6, None),
        lambda: uploads.queue(connection, job_id, COMPLETE),
        lambda: uploads.discard(connection, job_id),
    ):
        with pytest.raises(UploadTaken):
            call()
    assert row(connection, job_id)["state"] == "cancelled"


def test_becoming_queued_wakes_listeners_once_a_transaction_also_from_psql(
    database: str, connection: db.Connection
) -> None:
    with db.connect(database, "listener") as listener:
        notify.listen(listener)
        with connection.transaction():
            enqueue(connection)
            job_id = enqueue(connection)
        assert len(list(listener.notifies(timeout=0.5))) == 1
        set_state(connection, job_id, "cancelled")
        set_state(connection, job_id, "queued")
        assert len(list(listener.notifies(timeout=0.5))) == 1


@pytest.mark.new_tables
def test_heartbeats_stay_heap_only_updates(connection: db.Connection) -> None:
    job = claimed(connection)
    for count in range(20):
        jobs.beat(connection, job, replace(Progress(), rows_imported=count), 5.0)

    def counted() -> dict[str, Any] | None:
        statement = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'jobs'"
        found = connection.execute(statement).fetchone()
        return found if found and found["n_tup_upd"] >= 22 else None

    updates = eventually(counted)
    # Queueing and claiming touch the state, which is indexed; beats must not.
    assert updates["n_tup_upd"] - updates["n_tup_hot_upd"] <= 2


def test_a_job_that_is_not_there_is_said_to_be_so(connection: db.Connection) -> None:
    with pytest.raises(JobError, check=has_code("job_not_found")):
        jobs.get(connection, uuid7(), ALL)


def test_job_status_tells_the_health_of_every_kind_of_job(connection: db.Connection) -> None:
    waiting, later = enqueue(connection), enqueue(connection)
    connection.execute("UPDATE jobs SET run_at = now() + interval '90 seconds' WHERE id = %s", [later])
    uploading, late, left = (upload(connection) for _ in range(3))
    running = jobs.claim(connection, "w")
    assert running is not None
    assert running.id == waiting
    orphan, silent, behind_pooler = claimed(connection), claimed(connection), claimed(connection)
    connection.execute("UPDATE jobs SET backend_start = now() WHERE id = %s", [orphan.id])
    connection.execute("UPDATE jobs SET backend_pid = NULL, backend_start = NULL WHERE id = %s", [behind_pooler.id])
    for job_id, seconds in ((late, 70), (left, 160), (silent.id, 31), (behind_pooler.id, 16)):
        connection.execute(
            "UPDATE jobs SET heartbeat_at = now() - make_interval(secs => %s) WHERE id = %s", [seconds, job_id]
        )
    completing = upload(connection)
    whole = "UPDATE jobs SET upload_url = 'u', bytes_total = 5, bytes_done = 5 WHERE id = %s"
    connection.execute(whole, [completing])
    jobs.beat(connection, running, replace(Progress(), bytes_done=5, rows_imported=7), 5.0)
    reading, dry = claimed(connection), claimed(connection)
    connection.execute("UPDATE jobs SET started_at = now() - interval '10 s' WHERE id = %s", [reading.id])
    jobs.beat(connection, reading, Progress(rows_read=1000), 5.0)
    connection.execute("UPDATE jobs SET options = %s WHERE id = %s", [Jsonb({"dryRun": True}), dry.id])
    jobs.succeed(connection, dry, Progress(rows_read=2, rows_not_imported=2))

    status = {found["id"]: found for found in connection.execute("SELECT * FROM job_status").fetchall()}
    assert status[later]["health"].startswith("waiting 00:01:")
    health = {key: status[key]["health"] for key in status if key != later}
    assert health == {
        running.id: "ok",
        orphan.id: "orphan",
        silent.id: "orphan",
        behind_pooler.id: "late",
        uploading: "ok",
        late: "late",
        left: "orphan",
        completing: "completing",
        reading.id: "ok",
        dry.id: "dry run",
    }
    assert 80 < status[reading.id]["rows/s"] <= 100, "rows that are only read are work, too"
    assert status[running.id]["rows"] == 7
    assert list(status) == sorted(status, reverse=True), "newest first"


def test_a_success_whose_counts_do_not_add_up_is_refused(connection: db.Connection) -> None:
    job = claimed(connection)
    with pytest.raises(psycopg.errors.CheckViolation, match="jobs_counts_add_up"):
        connection.execute("UPDATE jobs SET state = 'succeeded', rows_imported = 7 WHERE id = %s", [job.id])
    assert row(connection, job.id)["state"] == "running"


def test_a_job_that_is_queued_again_has_read_nothing_yet(connection: db.Connection) -> None:
    job = claimed(connection)
    jobs.end(connection, job, Progress(bytes_done=10), "failed", "malformed_input: It is damaged.")
    assert row(connection, job.id)["bytes_done"] == 10
    set_state(connection, job.id, "queued")
    [status] = connection.execute("SELECT percent FROM job_status").fetchall()
    assert (row(connection, job.id)["bytes_done"], status["percent"]) == (0, 0)


def test_contacts_can_be_dropped_and_restored_beside_the_view_of_jobs(connection: db.Connection) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("DROP TABLE contacts")
        assert connection.execute("SELECT FROM job_status").fetchall() == []
