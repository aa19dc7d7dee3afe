"""Jobs whose worker is gone: who takes them, how soon, at which price, and which ones nobody may take."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from statistics import median
from typing import Any
from uuid import UUID

import psycopg
import pytest

from dataflow import db
from dataflow.errors import DatabaseUnavailable, LeaseLost
from dataflow.ids import uuid7
from dataflow.queue import jobs, leases, notify
from dataflow.queue.jobs import Job
from dataflow.queue.leases import LEASE_SECONDS
from dataflow.queue.progress import Progress
from dataflow.worker.recovery import Recovery
from tests.support.jobs import enqueue, reclaim, row, set_state
from tests.support.waiting import eventually

RECLAIM_VALUES: dict[str, Any] = {
    "worker": "w",
    "own": [],
    "overdue": [],
    "is_direct": True,
    "is_settled": True,
    "lease_seconds": LEASE_SECONDS,
    "retry_base_seconds": 5.0,
    "retry_max_seconds": 600.0,
}


def is_alive(connection: db.Connection, pid: int) -> bool:
    return connection.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone() is not None


def set_columns(connection: db.Connection, job: Job, assignments: str) -> None:
    connection.execute(f"UPDATE jobs SET {assignments} WHERE id = '{job.id}'".encode())


def expire(connection: db.Connection, job: Job) -> None:
    """As if the last sign of life were a moment longer ago than the lease allows."""
    set_columns(connection, job, f"heartbeat_at = clock_timestamp() - INTERVAL '{LEASE_SECONDS + 0.5} seconds'")


@pytest.fixture(scope="module")
def database(module_database: str) -> str:
    """One for all tests here, which is emptied and not put back."""
    return module_database


@pytest.fixture(autouse=True)
def fresh_start(connection: db.Connection) -> None:
    """Empty tables; and a statement that waits for a test's own transaction fails it instead of hanging."""
    connection.execute("SET lock_timeout = '10s'; TRUNCATE jobs, contacts")


def claimed(connection: db.Connection, worker: str = "w") -> Job:
    enqueue(connection)
    job = jobs.claim(connection, worker)
    assert job is not None
    return job


@pytest.fixture
def session(database: str) -> Iterator[Callable[..., db.Connection]]:
    """Opens sessions as those of workers."""
    opened: list[db.Connection] = []

    def connect(worker: str = "w") -> db.Connection:
        opened.append(db.connect(database, f"dataflow/{worker}/work"))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


@pytest.fixture
def lose(connection: db.Connection, session: Callable[..., db.Connection]) -> Callable[..., Job]:
    """Makes a job whose worker has gone, and its backend with it."""

    def make(assignments: str = "", progress: Progress | None = None, worker: str = "gone") -> Job:
        work = session(worker)
        job = claimed(work, worker)
        jobs.beat(work, job, progress or Progress(), 5.0)
        if assignments:
            set_columns(connection, job, assignments)
        pid = work.info.backend_pid
        work.close()
        eventually(lambda: not is_alive(connection, pid))
        return job

    return make


@pytest.fixture
def recovery(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Recovery]]:
    """Makes recoveries that need not watch for long before they take something."""
    monkeypatch.setattr("dataflow.worker.heartbeat.INTERVAL_SECONDS", 0.1)
    monkeypatch.setattr("dataflow.worker.recovery.SETTLING_SECONDS", 0.0)
    made: list[Recovery] = []

    def make(every_seconds: float = 0.0) -> Recovery:
        made.append(Recovery(database, "dataflow/rescuer/recover", "rescuer", every_seconds))
        return made[-1]

    yield make
    for one in made:
        one.connection.close()


def look_until_taken(recovery: Recovery, connection: db.Connection, job: Job, is_direct: bool = True) -> None:
    def is_taken() -> bool:
        recovery.look([], is_direct)
        return bool(row(connection, job.id)["state"] == "queued")

    eventually(is_taken, seconds=5)


@contextmanager
def role_without_statistics(connection: db.Connection) -> Iterator[None]:
    """The connection acts as an ordinary role, which does not see much of other roles' sessions."""
    name = f"dataflow_plain_{connection.info.backend_pid}"
    connection.execute(f"CREATE ROLE {name}".encode())
    try:
        connection.execute(f"GRANT USAGE ON SCHEMA public TO {name}; GRANT SELECT, UPDATE ON jobs TO {name}".encode())
        connection.execute(f"SET ROLE {name}".encode())
        yield
    finally:
        connection.execute("RESET ROLE")
        connection.execute(f"DROP OWNED BY {name}".encode())
        connection.execute(f"DROP ROLE {name}".encode())


def test_a_job_whose_backend_is_gone_is_due_again_at_once_and_says_why(
    connection: db.Connection, lose: Callable[..., Job]
) -> None:
    job = lose(progress=Progress(rows_imported=7, bytes_done=99))
    (lost,) = reclaim(connection)
    assert (lost.id, lost.state, lost.worker, lost.is_expired) == (job.id, "queued", "gone", False)
    assert (lost.attempt, lost.failures, lost.losses) == (1, 0, 1), "a first loss is the platform's"
    found = row(connection, job.id)
    assert found["error"] == (
        "worker_lost: Worker gone went away at row 7 of attempt 1 (1 of 5); nothing of it was kept."
    )
    assert (found["state"], found["rows_imported"], found["bytes_done"]) == ("queued", 0, 0)
    assert (found["failures"], found["losses"], found["worker"], found["backend_pid"]) == (0, 1, None, None)
    again = jobs.claim(connection, "w2")
    assert again is not None
    assert (again.id, again.attempt, again.losses) == (job.id, 2, 1)


def test_a_job_that_became_due_by_a_loss_wakes_the_listeners(
    database: str, connection: db.Connection, lose: Callable[..., Job]
) -> None:
    lose()
    with db.connect(database, "listener") as listener:
        notify.listen(listener)
        reclaim(connection)
        assert list(listener.notifies(timeout=5, stop_after=1))


@pytest.mark.parametrize(("failures", "seconds"), [(1, 10), (3, 40), (30, 600), (2000, 600)])
def test_from_the_second_loss_on_a_job_waits_longer_each_time_and_not_all_jobs_alike(
    connection: db.Connection, failures: int, seconds: float
) -> None:
    connection.execute(
        "INSERT INTO jobs (id, state, source, digests, worker, heartbeat_at, failures, max_failures, losses)"
        " SELECT gen_random_uuid(), 'running', 's', '[[1, \"\"]]', 'w', now() - INTERVAL '1 hour', %s, 9999, 1"
        " FROM generate_series(1, 60)",
        [failures],
    )
    assert len(reclaim(connection)) == 60
    statement = "SELECT extract(epoch FROM run_at - clock_timestamp())::float AS seconds FROM jobs"
    waits = [found["seconds"] for found in connection.execute(statement).fetchall()]
    assert seconds * 0.5 - 1 <= min(waits) < seconds * 0.8
    assert seconds * 1.2 < max(waits) <= seconds * 1.5
    assert jobs.claim(connection, "w2") is None


def test_a_file_that_kills_every_worker_is_charged_with_all_of_them_from_the_second_on_and_stops_at_its_fifth(
    connection: db.Connection, session: Callable[..., db.Connection]
) -> None:
    job_id, charged = enqueue(connection), []
    for _ in range(5):
        connection.execute("UPDATE jobs SET run_at = now() WHERE id = %s", [job_id])
        with session("gone") as work:
            job = jobs.claim(work, "gone")
        assert job is not None
        eventually(lambda: reclaim(connection))
        charged.append((row(connection, job_id)["failures"], row(connection, job_id)["state"]))
    assert charged == [(0, "queued"), (2, "queued"), (3, "queued"), (4, "queued"), (5, "failed")]
    assert "(5 of 5)" in row(connection, job_id)["error"]


def test_a_job_that_has_spent_its_budget_on_lost_workers_fails_and_says_why(
    connection: db.Connection, lose: Callable[..., Job]
) -> None:
    job = lose("failures = 4, losses = 4", Progress(rows_imported=7))
    (lost,) = reclaim(connection)
    assert (lost.state, lost.failures, lost.losses) == ("failed", 5, 5)
    found = row(connection, job.id)
    assert found["error"].startswith("worker_lost: Worker gone went away at row 7 of attempt 1 (5 of 5)")
    assert (found["state"], found["rows_imported"], found["finished_at"] is not None) == ("failed", 0, True)


@pytest.mark.parametrize("gap", ["digests = '[]'", "object_deleted_at = now()"])
def test_a_lost_job_whose_file_somebody_has_removed_fails_and_keeps_no_other_from_being_taken(
    connection: db.Connection, lose: Callable[..., Job], gap: str
) -> None:
    hopeless, other = lose(gap), lose()
    assert {lost.id: lost.state for lost in reclaim(connection)} == {hopeless.id: "failed", other.id: "queued"}


def test_a_living_backend_within_its_lease_keeps_its_job(
    connection: db.Connection, session: Callable[..., db.Connection]
) -> None:
    job = claimed(session())
    set_columns(connection, job, f"heartbeat_at = clock_timestamp() - INTERVAL '{LEASE_SECONDS - 5} seconds'")
    assert reclaim(connection) == []
    expire(connection, job)
    (lost,) = reclaim(connection)
    assert (lost.id, lost.is_expired, lost.losses) == (job.id, True, 1)


def test_recovery_ends_exactly_the_backend_whose_lease_has_expired(
    connection: db.Connection, session: Callable[..., db.Connection], recovery: Callable[..., Recovery]
) -> None:
    zombie, healthy, idle = session(), session(), session()
    job, other = claimed(zombie), claimed(healthy)
    contact = {"id": uuid7()}
    insert = "INSERT INTO contacts (id, name, email, source) VALUES (%(id)s, 'N', 'e@example.com', 's')"
    zombie.execute("BEGIN")
    zombie.execute(insert, contact)
    expire(connection, job)
    look_until_taken(recovery(), connection, job)
    with connection.transaction():
        # The key that the zombie's transaction held is free as soon as its backend is gone.
        connection.execute("SET LOCAL lock_timeout = '5s'")
        connection.execute(insert, contact)
    with pytest.raises(psycopg.OperationalError):
        zombie.execute("COMMIT")
    assert healthy.execute("SELECT 1").fetchone() and idle.execute("SELECT 1").fetchone()
    assert [row(connection, one.id)["state"] for one in (job, other)] == ["queued", "running"]


def test_recovery_terminates_nothing_behind_a_pooler(
    connection: db.Connection, session: Callable[..., db.Connection], recovery: Callable[..., Recovery]
) -> None:
    work = session()
    job = claimed(work)
    expire(connection, job)
    look_until_taken(recovery(), connection, job, is_direct=False)
    assert work.execute("SELECT 1").fetchone()


def test_recovery_spares_a_session_that_says_it_is_no_longer_the_workers(
    connection: db.Connection, session: Callable[..., db.Connection], recovery: Callable[..., Recovery]
) -> None:
    work = session("somebody-else")
    job = claimed(work, "w")
    expire(connection, job)
    look_until_taken(recovery(), connection, job)
    assert work.execute("SELECT 1").fetchone()


def test_recovery_takes_a_silent_job_only_after_it_has_watched_it_for_longer_than_a_beat(
    connection: db.Connection,
    session: Callable[..., db.Connection],
    recovery: Callable[..., Recovery],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever held the row may just have let go, and its worker's next beat be on its way; or a clock was set."""
    monkeypatch.setattr("dataflow.worker.heartbeat.INTERVAL_SECONDS", 0.4)
    work, watcher = session(), recovery()
    job = claimed(work)
    for _ in range(3):
        expire(connection, job)
        watcher.look([], True)
        time.sleep(0.2)
        watcher.look([], True)
        jobs.beat(work, job, Progress(), 5.0)
        watcher.look([], True)
    assert row(connection, job.id)["state"] == "running"
    expire(connection, job)
    began = time.monotonic()
    look_until_taken(watcher, connection, job)
    assert time.monotonic() - began > 0.4


def test_recovery_looks_no_more_often_than_it_was_told_and_again_after_an_error(
    connection: db.Connection, lose: Callable[..., Job], recovery: Callable[..., Recovery]
) -> None:
    seldom = recovery(3600.0)
    seldom.look([], True)
    job = lose()
    seldom.look([], True)
    assert row(connection, job.id)["state"] == "running"
    seldom.hasten()
    connection.execute("ALTER TABLE jobs RENAME TO gone")
    try:
        with pytest.raises(DatabaseUnavailable):
            seldom.look([], True)
    finally:
        connection.execute("ALTER TABLE gone RENAME TO jobs")
    seldom.look([], True)
    assert row(connection, job.id)["state"] == "queued"


def test_recovery_gives_others_time_to_be_back_after_it_had_to_connect(
    database: str, connection: db.Connection, lose: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataflow.worker.recovery.SETTLING_SECONDS", 0.5)
    job, began = lose(), time.monotonic()
    early = Recovery(database, "dataflow/rescuer/recover", "rescuer", 0.0)
    look_until_taken(early, connection, job)
    early.connection.close()
    assert time.monotonic() - began >= 0.5


def test_a_worker_that_has_lost_only_the_backend_of_a_job_settles_that_itself_or_takes_it_again(
    connection: db.Connection, lose: Callable[..., Job], session: Callable[..., db.Connection]
) -> None:
    job = lose(worker="alive")
    session("alive")
    assert reclaim(connection) == [], "another worker leaves it to the one that is alive"
    assert [lost.id for lost in reclaim(connection, worker="alive", is_settled=False)] == [job.id]


REUSED = "backend_start = backend_start - INTERVAL '1 millisecond'"


def test_a_backend_whose_process_id_has_a_new_owner_is_gone(
    connection: db.Connection, session: Callable[..., db.Connection]
) -> None:
    job = claimed(session("somebody-else"), "w")
    assert reclaim(connection) == []
    set_columns(connection, job, REUSED)
    (lost,) = reclaim(connection)
    assert (lost.id, lost.is_expired, lost.losses) == (job.id, False, 1)


def test_the_new_owner_of_a_process_id_is_not_terminated_even_if_it_is_the_same_worker(
    connection: db.Connection, session: Callable[..., db.Connection], recovery: Callable[..., Recovery]
) -> None:
    reused = session()
    job = claimed(reused)
    set_columns(connection, job, REUSED)
    expire(connection, job)
    look_until_taken(recovery(), connection, job)
    assert reused.execute("SELECT 1").fetchone()


def test_where_connections_are_not_direct_the_lease_alone_decides(
    connection: db.Connection, lose: Callable[..., Job]
) -> None:
    job = lose()
    assert reclaim(connection, is_direct=False) == []
    expire(connection, job)
    assert [lost.id for lost in reclaim(connection, is_direct=False)] == [job.id]


def test_a_job_without_a_recorded_backend_has_until_its_lease_expires(connection: db.Connection) -> None:
    enqueue(connection)
    job = jobs.claim(connection, "pooled", is_direct=False)
    assert job is not None
    found = row(connection, job.id)
    assert (found["backend_pid"], found["backend_start"]) == (None, None)
    assert reclaim(connection) == []
    expire(connection, job)
    (lost,) = reclaim(connection)
    assert (lost.backend_pid, lost.losses) == (None, 1)


def test_a_worker_never_takes_its_own_jobs(connection: db.Connection, lose: Callable[..., Job]) -> None:
    own, other = lose(), lose()
    expire(connection, own)
    assert [lost.id for lost in reclaim(connection, own)] == [other.id]


def test_a_job_in_its_final_commit_is_skipped_without_waiting_and_stays_what_it_became(
    connection: db.Connection, session: Callable[..., db.Connection]
) -> None:
    work = session()
    job = claimed(work)
    expire(connection, job)
    with work.transaction():
        jobs.succeed(work, job, Progress())
        began = time.monotonic()
        assert reclaim(connection) == []
        assert time.monotonic() - began < 3
    assert reclaim(connection) == []
    assert row(connection, job.id)["state"] == "succeeded"


@pytest.mark.parametrize("state", ["queued", "succeeded", "failed", "cancelled"])
def test_only_running_jobs_are_taken(connection: db.Connection, lose: Callable[..., Job], state: str) -> None:
    job = lose()
    set_state(connection, job.id, state)
    before = row(connection, job.id)
    assert reclaim(connection) == []
    assert row(connection, job.id) == before


def test_between_a_success_and_a_reclaim_at_the_same_moment_exactly_one_wins(
    database: str, connection: db.Connection, session: Callable[..., db.Connection]
) -> None:
    work = session()
    claims = [claimed(work) for _ in range(60)]
    connection.execute("UPDATE jobs SET heartbeat_at = now() - INTERVAL '1 hour'")
    done: list[Job] = []
    begun = threading.Event()

    def finish() -> None:
        for number, job in enumerate(claims):
            if number == 20:
                begun.set()
            with suppress(LeaseLost):
                jobs.succeed(work, job, Progress(rows_read=1, rows_imported=1))
                done.append(job)

    finisher = threading.Thread(target=finish)
    finisher.start()
    begun.wait(10)
    taken = {lost.id for lost in reclaim(connection)}
    finisher.join()
    assert taken.isdisjoint(job.id for job in done)
    assert len(taken) + len(done) == len(claims)
    states = {found["id"]: found["state"] for found in connection.execute("SELECT id, state FROM jobs").fetchall()}
    assert states == {job.id: "queued" if job.id in taken else "succeeded" for job in claims}


def test_a_role_that_may_not_see_other_sessions_takes_no_living_job_and_every_dead_one(
    connection: db.Connection, session: Callable[..., db.Connection], lose: Callable[..., Job]
) -> None:
    living, dead = claimed(session()), lose()
    with role_without_statistics(connection):
        pid = row(connection, living.id)["backend_pid"]
        seen = connection.execute("SELECT backend_start FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
        assert seen == {"backend_start": None}, "which is the case that this test is about"
        assert [lost.id for lost in reclaim(connection)] == [dead.id]
        expire(connection, living)
        (lost,) = reclaim(connection)
        assert lost.id == living.id
        assert leases.terminate_backend(connection, lost) is False
    assert is_alive(connection, pid)


@pytest.mark.parametrize(("failures", "is_delayed"), [(0, False), (1, True)])
def test_backends_that_went_with_their_whole_server_are_no_loss_of_a_worker(
    connection: db.Connection, lose: Callable[..., Job], failures: int, is_delayed: bool
) -> None:
    job = lose(f"backend_start = pg_postmaster_start_time() - INTERVAL '1 second', failures = {failures}")
    (lost,) = reclaim(connection)
    assert (lost.losses, lost.failures) == (0, failures + 1)
    again = jobs.claim(connection, "w2", is_idle=False)
    assert (again is None) == is_delayed, f"{job.id} need not run alone, but waits if it has failed before"


def test_of_two_reclaimers_at_once_one_gets_a_job_and_neither_waits(
    connection: db.Connection, lose: Callable[..., Job], session: Callable[..., db.Connection]
) -> None:
    job, other = lose(), session()
    with other.transaction():
        assert [lost.id for lost in reclaim(other)] == [job.id]
        assert reclaim(connection) == []
    assert reclaim(connection) == []
    assert row(connection, job.id)["losses"] == 1


def test_many_reclaimers_take_each_of_many_jobs_once(
    connection: db.Connection, session: Callable[..., db.Connection]
) -> None:
    work = session()
    claims = [claimed(work) for _ in range(40)]
    connection.execute("UPDATE jobs SET heartbeat_at = now() - INTERVAL '1 hour'")
    with ThreadPoolExecutor(4) as workers:
        taken = [lost.id for found in workers.map(reclaim, [session() for _ in range(4)]) for lost in found]
    assert sorted(taken) == sorted(job.id for job in claims)
    statement = "SELECT DISTINCT state, failures, losses FROM jobs"
    assert connection.execute(statement).fetchall() == [{"state": "queued", "failures": 0, "losses": 1}]


def test_a_job_that_lost_one_worker_goes_back_like_any_other(connection: db.Connection) -> None:
    job_id = enqueue(connection)
    connection.execute("UPDATE jobs SET losses = 1 WHERE id = %s", [job_id])
    job = jobs.claim(connection, "busy", is_idle=False)
    assert job is not None
    assert (job.id, job.losses, job.runs_alone) == (job_id, 1, False)


def test_a_job_that_lost_two_workers_is_left_to_idle_ones_and_busy_ones_go_past_it(connection: db.Connection) -> None:
    dangerous, harmless = enqueue(connection), enqueue(connection)
    connection.execute("UPDATE jobs SET losses = 2 WHERE id = %s", [dangerous])
    first = jobs.claim(connection, "busy", is_idle=False)
    assert first is not None
    assert first.id == harmless
    assert jobs.claim(connection, "busy", is_idle=False) is None
    second = jobs.claim(connection, "idle", is_idle=True)
    assert second is not None
    assert (second.id, second.losses, second.runs_alone) == (dangerous, 2, True)


def wait_alone(connection: db.Connection, job_id: UUID, seconds: float) -> None:
    """As if a job that lost two workers had been due for so long."""
    statement = (
        "UPDATE jobs SET losses = 2, run_at = clock_timestamp() - make_interval(secs => %s::float) WHERE id = %s"
    )
    connection.execute(statement, [seconds, job_id])


@pytest.mark.parametrize(
    ("seconds", "is_held_up"),
    [
        (-61, False),  # not due for a minute
        (0, False),
        (3, True),
        (28, True),
        (31, False),
        (58, False),
        (61, True),
        (10 * 60 + 50, True),
        (11 * 60 + 10, False),
        (60 * 60 - 5, False),
        (60 * 60 + 61, True),
    ],
)
def test_busy_workers_take_nothing_for_half_a_minute_of_its_wait_and_then_for_ten_minutes_of_every_hour(
    connection: db.Connection, seconds: float, is_held_up: bool
) -> None:
    dangerous, harmless = enqueue(connection), enqueue(connection)
    wait_alone(connection, dangerous, seconds)
    job = jobs.claim(connection, "busy", is_idle=False)
    assert (job and job.id) == (None if is_held_up else harmless)


def test_an_idle_worker_takes_such_a_job_first_whatever_else_has_waited_for_longer(connection: db.Connection) -> None:
    older, dangerous = enqueue(connection), enqueue(connection)
    connection.execute("UPDATE jobs SET run_at = now() - INTERVAL '1 hour' WHERE id = %s", [older])
    wait_alone(connection, dangerous, 0)
    alone = jobs.claim(connection, "idle", is_idle=True)
    assert alone is not None
    assert alone.id == dangerous
    assert jobs.claim(connection, "busy", is_idle=False) is not None, "which held the others up no longer than this"


def test_idle_workers_at_the_same_moment_take_one_such_job_and_one_other(
    database: str, connection: db.Connection
) -> None:
    dangerous, harmless = enqueue(connection), enqueue(connection)
    wait_alone(connection, dangerous, 3)
    with db.connect(database, "other") as other, other.transaction():
        claims = [jobs.claim(one, "idle", is_idle=True) for one in (other, connection)]
    assert [claim and claim.id for claim in claims] == [dangerous, harmless]


FILL = """
INSERT INTO jobs (id, state, source, digests, object_key, object_deleted_at, format, bytes_total, attempt, run_at,
                  finished_at)
SELECT gen_random_uuid(), CASE WHEN n > %(queued)s THEN 'succeeded' ELSE 'queued' END, 's', '[[1, ""]]', 'k',
       CASE WHEN n > %(queued)s THEN now() END, 'csv', 1, 1, now() - make_interval(secs => n),
       CASE WHEN n > %(queued)s THEN now() END
FROM generate_series(1, %(queued)s + %(finished)s) n
"""


def fill(connection: db.Connection, queued: int, finished: int) -> None:
    connection.execute("ALTER TABLE jobs DISABLE TRIGGER USER")
    connection.execute(FILL, {"queued": queued, "finished": finished})
    connection.execute("ALTER TABLE jobs ENABLE TRIGGER USER")
    connection.execute("VACUUM ANALYZE jobs")


def milliseconds(call: Callable[[], object], rounds: int) -> list[float]:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        assert call()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def test_claiming_stays_fast_beside_a_hundred_thousand_finished_and_ten_thousand_queued_jobs(
    connection: db.Connection,
) -> None:
    fill(connection, queued=10_000, finished=100_000)
    reference = median(milliseconds(lambda: connection.execute("SELECT 1").fetchone(), 200))
    for is_idle in (True, False):
        claims = milliseconds(lambda: jobs.claim(connection, "w", is_idle=is_idle), 200)  # noqa: B023 - called at once
        print(f"claim, idle {is_idle}: {median(claims):.2f} ms in the median, SELECT 1 {reference:.2f} ms")
        assert median(claims) < 20


def indexes_used(connection: db.Connection, name: str, values: dict[str, Any]) -> set[str]:
    """Those in the server's plan for a statement of ours."""
    found = connection.execute(b"EXPLAIN (FORMAT JSON) " + db.query(name), values).fetchone()
    assert found is not None
    used: set[str] = set()

    def collect(node: dict[str, Any]) -> dict[str, Any]:
        used.update({node["Index Name"]} if "Index Name" in node else ())
        return node

    json.loads(json.dumps(found["QUERY PLAN"]), object_hook=collect)
    return used


def test_the_statements_of_every_poll_and_sweep_use_the_indexes_that_were_made_for_them(
    connection: db.Connection,
) -> None:
    fill(connection, queued=2_000, finished=20_000)
    claim = {"worker": "w", "is_direct": True, "database_id": None}
    assert "jobs_due" in indexes_used(connection, "jobs/claim", {**claim, "is_idle": True})
    assert {"jobs_due", "jobs_due_alone"} <= indexes_used(connection, "jobs/claim", {**claim, "is_idle": False})
    assert "jobs_unfinished" in indexes_used(connection, "jobs/reclaim", RECLAIM_VALUES)
    overdue = {"own": [], "silent_seconds": LEASE_SECONDS}
    assert "jobs_unfinished" in indexes_used(connection, "jobs/overdue", overdue)
    assert "jobs_unfinished" in indexes_used(connection, "jobs/abandon_uploads", {"silent_seconds": 150})
    kept = {"settled_seconds": 150.0, "kept_seconds": 604_800.0, "limit": 1000, "after": None, "after_id": None}
    assert "jobs_with_object" in indexes_used(connection, "jobs/leftovers", kept)
    assert "jobs_finished" in indexes_used(connection, "jobs/delete_old", {"days": 30, "limit": 1000})
