"""What is published of jobs that have ended: counted as they end, by whoever ends them, and compared with counting."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from dataflow import db
from dataflow.ids import uuid7
from dataflow.queue import job_counts, jobs
from dataflow.queue.progress import Progress
from tests.support.jobs import claimed, enqueue, set_state, upload
from tests.support.waiting import eventually

COUNTS = ("rows_read", "rows_imported", "rows_updated", "rows_skipped", "rows_rejected", "rows_not_imported")
#: Of jobs with a file, so that any of them may be queued again.
_INSERT = """
INSERT INTO jobs (id, state, source, bytes_total, digests, object_key, finished_at, rows_read, rows_imported,
                  rows_rejected)
VALUES (%(id)s, %(state)s, 's', 1, '[[1, ""]]', 'k', CASE WHEN %(state)s = 'succeeded' THEN now() END, 7, 5, 2)
RETURNING *
"""
_PICK = "SELECT * FROM jobs WHERE {condition} ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED"


class Hand:
    """One session that does to jobs whatever occurs to it, and adds up for itself what that should have published."""

    def __init__(self, url: str, seed: int) -> None:
        self.published = dict.fromkeys(COUNTS, 0)
        self._url = url
        self._random = random.Random(seed)
        self._pending: dict[str, int] = {}

    def work(self, steps: int) -> None:
        choices: list[Callable[[db.Connection], None]] = [
            *[self._insert, self._change_state, self._change_state, self._change_state],
            *[self._change_counts, self._delete, self._fold, self._claim],
        ]
        with db.connect(self._url, "dataflow/test/hand") as connection:
            for step in range(1, steps + 1):
                if step == steps // 3:
                    connection.execute("TRUNCATE jobs")
                self._pending = dict.fromkeys(COUNTS, 0)
                is_kept = self._random.random() < 0.8
                refusals = psycopg.errors.RaiseException, psycopg.errors.CheckViolation, psycopg.errors.DeadlockDetected
                with suppress(*refusals):
                    with connection.transaction(force_rollback=not is_kept):
                        for choice in self._random.choices(choices, k=self._random.randint(1, 3)):
                            choice(connection)
                    for name, count in self._pending.items():
                        self.published[name] += count * is_kept

    def _ended(self, before: dict[str, Any] | None, after: dict[str, Any]) -> None:
        """What has ended is published once, and what somebody adds to it later; nothing is taken back."""
        for name in COUNTS if after["finished_at"] else ():
            known = before[name] if before and before["finished_at"] else 0
            self._pending[name] += max(after[name] - known, 0)

    def _insert(self, connection: db.Connection) -> None:
        values = {"id": uuid7(), "state": self._random.choice(["uploading", "queued", "succeeded"])}
        [row] = connection.execute(_INSERT, values).fetchall()
        self._ended(None, row)

    def _update(self, connection: db.Connection, condition: str, assignments: str, **values: object) -> None:
        before = connection.execute(_PICK.format(condition=condition).encode()).fetchone()
        if before is not None:
            statement = f"UPDATE jobs SET {assignments} WHERE id = %(id)s RETURNING *"
            [after] = connection.execute(statement.encode(), {"id": before["id"], **values}).fetchall()
            self._ended(before, after)

    def _change_state(self, connection: db.Connection) -> None:
        running = "worker = 'w', heartbeat_at = now(), rows_read = rows_read + 3, rows_imported = rows_imported + 3"
        state = self._random.choice(jobs.STATES)
        self._update(
            connection,
            "state <> 'succeeded'",
            f"state = %(state)s {', ' + running if state == 'running' else ''}",
            state=state,
        )

    def _change_counts(self, connection: db.Connection) -> None:
        more = self._random.choice([-1, 1, 10])
        assignments = "rows_rejected = rows_rejected + %(more)s, rows_read = rows_read + %(more)s"
        self._update(connection, "finished_at IS NOT NULL", assignments, more=more)

    def _delete(self, connection: db.Connection) -> None:
        connection.execute(
            "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs ORDER BY random() LIMIT %s FOR UPDATE SKIP LOCKED)",
            [self._random.randint(0, 3)],
        )

    def _claim(self, connection: db.Connection) -> None:
        jobs.claim(connection, "w")

    def _fold(self, connection: db.Connection) -> None:
        job_counts.fold(connection)


def counted_states(connection: db.Connection) -> dict[str, int]:
    rows = connection.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall()
    return dict.fromkeys(jobs.STATES, 0) | {row["state"]: row["count"] for row in rows}


def published(connection: db.Connection) -> dict[str, int]:
    totals = job_counts.totals(connection)
    return {name: totals[name] for name in COUNTS}


def rows_of_counts(connection: db.Connection) -> int:
    return len(connection.execute("SELECT FROM job_counts").fetchall())


def test_whatever_sessions_do_at_the_same_time_the_totals_are_what_counting_gives_and_never_fall(
    database: str, connection: db.Connection
) -> None:
    hands = [Hand(database, seed) for seed in range(3)]
    connection.execute("SET lock_timeout = '10s'")
    with ThreadPoolExecutor() as threads:
        working = [threads.submit(hand.work, 150) for hand in hands]
        latest = published(connection)
        truncated = 0
        while not all(each.done() for each in working):
            before, latest = latest, published(connection)
            assert all(latest[name] >= before[name] for name in COUNTS)
            if truncated < 2 and latest["rows_not_imported"] > 100 * truncated:
                connection.execute("TRUNCATE jobs")
                truncated += 1
        for each in working:
            each.result()
    assert all(count > 0 for name, count in latest.items() if name not in ("rows_updated", "rows_skipped")), latest
    assert job_counts.totals(connection)["jobs_by_state"] == counted_states(connection)
    assert published(connection) == {name: sum(hand.published[name] for hand in hands) for name in COUNTS}
    assert not job_counts.fold(connection)
    assert rows_of_counts(connection) == 1
    assert job_counts.totals(connection)["jobs_by_state"] == counted_states(connection)
    assert published(connection) == {name: sum(hand.published[name] for hand in hands) for name in COUNTS}


def test_only_the_end_of_a_job_is_counted_not_its_claim_nor_its_beats(connection: db.Connection) -> None:
    before = rows_of_counts(connection)
    job = claimed(connection)
    jobs.beat(connection, job, Progress(rows_read=5), 5.0)
    assert rows_of_counts(connection) == before
    jobs.succeed(connection, job, Progress(rows_read=5, rows_imported=5))
    assert rows_of_counts(connection) == before + 1
    connection.execute("UPDATE jobs SET object_deleted_at = now()")
    assert rows_of_counts(connection) == before + 1


def test_jobs_that_end_at_the_same_time_do_not_wait_for_each_other_nor_for_a_fold(
    database: str, connection: db.Connection
) -> None:
    first, second = upload(connection), upload(connection)
    connection.execute("SET lock_timeout = '2s'")
    with db.connect(database, "other") as other, other.transaction():
        set_state(other, first, "cancelled")
        set_state(connection, second, "cancelled")
        job_counts.fold(connection)
        assert job_counts.totals(connection)["jobs_by_state"]["cancelled"] == 1
    assert job_counts.totals(connection)["jobs_by_state"]["cancelled"] == 2


def test_two_folds_at_once_count_nothing_twice_and_the_second_does_not_wait(
    database: str, connection: db.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataflow.queue.job_counts.FOLDED_ROWS", 4)
    for _ in range(10):
        set_state(connection, upload(connection), "cancelled")
    connection.execute("SET lock_timeout = '2s'")
    with db.connect(database, "other") as other, other.transaction():
        assert job_counts.fold(other)
        assert not job_counts.fold(connection)
        assert job_counts.totals(connection)["jobs_by_state"]["cancelled"] == 10
    eventually(lambda: not job_counts.fold(connection))
    assert rows_of_counts(connection) < 4
    assert job_counts.totals(connection)["jobs_by_state"]["cancelled"] == 10


def test_a_truncate_that_is_rolled_back_has_not_happened(connection: db.Connection) -> None:
    set_state(connection, enqueue(connection), "cancelled")
    with connection.transaction(force_rollback=True):
        connection.execute("TRUNCATE jobs")
        assert job_counts.totals(connection)["jobs_by_state"]["cancelled"] == 0
    assert job_counts.totals(connection)["jobs_by_state"]["cancelled"] == 1
