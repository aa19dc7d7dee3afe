"""Uploads are held by one request at a time, whichever process it is in, and dead holders keep nobody waiting."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from uuid import UUID

import pytest

from dataflow import db
from dataflow.errors import UploadLocked, UploadTaken
from dataflow.ids import uuid7
from dataflow.imports.upload_holds import DEAD_SECONDS, WAIT_SECONDS, Hold, UploadHolds
from dataflow.queue import jobs, resumable_uploads
from dataflow.queue.resumable_uploads import UploadRow
from dataflow.queue.scope import ALL, Scope
from tests.support.jobs import UPLOAD
from tests.support.waiting import eventually

VALUES = {"expires_seconds": 3600, "length": 10, "metadata": None}


@pytest.fixture
def processes(database: str) -> Iterator[tuple[UploadHolds, UploadHolds]]:
    """What two web processes have."""
    with (
        closing(db.open_pool(database, "dataflow/web")) as one,
        closing(db.open_pool(database, "dataflow/web")) as other,
    ):
        both = UploadHolds(partial(db.borrowed_once, one)), UploadHolds(partial(db.borrowed_once, other))
        yield both
        for holds in both:
            _stop_beating(holds)


def _stop_beating(holds: UploadHolds) -> None:
    for hold in list(holds._held.values()):
        holds.forget(hold)
    eventually(lambda: holds._beating is None)


def new_upload(connection: db.Connection) -> UUID:
    """One that nobody holds."""
    job_id = uuid7()
    row = resumable_uploads.insert(connection, {**UPLOAD, **VALUES, "id": job_id, "source": "s", "holder": "first"})
    resumable_uploads.let_go(connection, row)
    return job_id


def row_of(connection: db.Connection, job_id: UUID) -> UploadRow:
    found = resumable_uploads.find(connection, job_id, ALL)
    assert found is not None
    return found


def taken(holds: UploadHolds, job_id: UUID, evicted: threading.Event | None = None) -> Hold:
    hold = holds.take(job_id, ALL, (evicted or threading.Event()).set)
    assert hold is not None
    return hold


def test_what_nobody_holds_is_held_at_once(
    connection: db.Connection, processes: tuple[UploadHolds, UploadHolds]
) -> None:
    job_id = new_upload(connection)
    hold = taken(processes[0], job_id)
    assert row_of(connection, job_id).worker == hold.row.worker
    processes[0].release(hold)
    assert row_of(connection, job_id).worker is None
    assert taken(processes[1], job_id).row.attempt == hold.row.attempt + 1


@pytest.mark.parametrize("is_same_process", [True, False])
def test_a_holder_is_told_to_let_go_and_stores_nothing_more(
    connection: db.Connection, processes: tuple[UploadHolds, UploadHolds], is_same_process: bool
) -> None:
    job_id, evicted = new_upload(connection), threading.Event()
    first = taken(processes[0], job_id, evicted)
    with ThreadPoolExecutor(1) as clients:
        began = time.monotonic()
        second = clients.submit(taken, processes[0 if is_same_process else 1], job_id)
        assert evicted.wait(DEAD_SECONDS)
        with pytest.raises(UploadLocked):
            processes[0].confirm(first)
        processes[0].release(first)
        assert second.result(WAIT_SECONDS).row.worker == row_of(connection, job_id).worker
        assert time.monotonic() - began < WAIT_SECONDS
    with pytest.raises(UploadTaken), connection.transaction():
        resumable_uploads.note(connection, first.row)


def test_a_holder_that_does_not_let_go_keeps_others_waiting_for_a_bounded_time(
    connection: db.Connection, processes: tuple[UploadHolds, UploadHolds]
) -> None:
    job_id = new_upload(connection)
    first = taken(processes[0], job_id)
    began = time.monotonic()
    with pytest.raises(UploadLocked):
        taken(processes[1], job_id)
    assert WAIT_SECONDS - 1 < time.monotonic() - began < WAIT_SECONDS + 3
    processes[0].release(first)
    assert taken(processes[1], job_id)


def test_a_holder_whose_process_was_killed_is_no_holder(
    connection: db.Connection, processes: tuple[UploadHolds, UploadHolds]
) -> None:
    job_id = new_upload(connection)
    # Nobody beats for it.
    assert resumable_uploads.take(connection, job_id, "killed", DEAD_SECONDS, ALL)
    began = time.monotonic()
    assert taken(processes[0], job_id)
    assert time.monotonic() - began < DEAD_SECONDS + 1.5


def test_while_the_object_is_made_nobody_is_evicted(
    connection: db.Connection, processes: tuple[UploadHolds, UploadHolds]
) -> None:
    job_id, evicted = new_upload(connection), threading.Event()
    first = taken(processes[0], job_id, evicted)
    first.is_final = True
    with pytest.raises(UploadLocked):
        taken(processes[0], job_id)
    assert not evicted.is_set()


def test_of_many_that_wait_the_last_one_gets_it(
    connection: db.Connection, processes: tuple[UploadHolds, UploadHolds]
) -> None:
    job_id = new_upload(connection)
    first = taken(processes[0], job_id)
    with ThreadPoolExecutor(6) as clients:
        waiting = [clients.submit(taken, processes[number % 2], job_id) for number in range(6)]
        while row_of(connection, job_id).attempt < first.row.attempt + 6:
            assert any(not each.done() for each in waiting)
        processes[0].release(first)
        outcomes = [each.exception(WAIT_SECONDS + 3) for each in waiting]
    assert [type(outcome) for outcome in outcomes if outcome] == [UploadLocked] * 5


@pytest.mark.parametrize("end", ["cancelled", "expired", "other owner", "other source"])
def test_what_is_not_open_to_the_caller_is_not_held_and_not_touched(
    connection: db.Connection, processes: tuple[UploadHolds, UploadHolds], end: str
) -> None:
    job_id, scope = new_upload(connection), ALL
    if end == "cancelled":
        jobs.cancel(connection, job_id, ALL)
    elif end == "expired":
        connection.execute("UPDATE jobs SET expires_at = now() - INTERVAL '1 second'")
    elif end == "other owner":
        scope = Scope(created_by="somebody", is_own_only=True)
    else:
        scope = Scope(frozenset({"another"}))
    before = row_of(connection, job_id).attempt
    assert processes[0].take(job_id, scope, lambda: None) is None
    assert row_of(connection, job_id).attempt == before


def test_an_upload_that_came_with_a_copy_of_the_database_is_the_originals(
    connection: db.Connection, processes: tuple[UploadHolds, UploadHolds]
) -> None:
    job_id = new_upload(connection)
    connection.execute("UPDATE jobs SET database_id = 'another'")
    assert processes[0].take(job_id, ALL, lambda: None) is None
    assert resumable_uploads.find(connection, job_id, ALL) is None
