"""When a key is free and when it is not, by the statements alone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID, uuid4

import pytest

from dataflow import db
from dataflow.queue import idempotency, retention, uploads
from dataflow.queue.idempotency import BATCH_ROWS, KEPT_SECONDS, LEASE_SECONDS, Answer, Key, Recorded
from dataflow.queue.scope import ALL
from tests.support.jobs import COMPLETE, row, set_state, upload
from tests.support.waiting import eventually

KEY = Key("key:web", "import", "abc")
ANSWER = Answer({"jobId": "1", "a": [1, None]}, 202, {"Location": "/jobs/1"})
WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
def claim(connection: db.Connection) -> Callable[..., UUID | Recorded]:
    """The id of the new claim, or who has the key."""

    def ask(key: Key = KEY, fingerprint: str = "f") -> UUID | Recorded:
        claim_id = uuid4()
        with connection.transaction():
            return idempotency.claim(connection, key, claim_id, fingerprint) or claim_id

    return ask


Ask = Callable[..., UUID | Recorded]


def held(claim: Ask) -> UUID:
    claim_id = claim()
    assert isinstance(claim_id, UUID)
    return claim_id


def is_free(claim: Ask) -> bool:
    return isinstance(claim(), UUID)


def linked(connection: db.Connection, claim: Ask) -> tuple[UUID, UUID]:
    """A claim and its job, whose body is under way."""
    claim_id, job_id = held(claim), upload(connection)
    assert idempotency.link(connection, claim_id, job_id)
    return claim_id, job_id


def answered(connection: db.Connection, claim: Ask) -> tuple[UUID, UUID]:
    claim_id, job_id = linked(connection, claim)
    uploads.queue(connection, job_id, COMPLETE)
    assert idempotency.record(connection, claim_id, job_id, ANSWER, "sha")
    return claim_id, job_id


def age(connection: db.Connection, seconds: float) -> None:
    connection.execute("UPDATE idempotency_keys SET touched_at = touched_at - make_interval(secs => %s)", [seconds])


def test_of_fifty_connections_at_once_one_gets_the_key(database: str, connection: db.Connection) -> None:
    barrier = Barrier(50)

    def ask(_: int) -> bool:
        with db.connect(database, "dataflow/test") as own:
            barrier.wait()
            return idempotency.claim(own, KEY, uuid4(), "f") is None

    with ThreadPoolExecutor(50) as threads:
        assert sum(threads.map(ask, range(50))) == 1


def test_keys_of_others_and_for_other_routes_are_other_keys(claim: Ask) -> None:
    keys = [KEY, Key("key:web", "uploads", "abc"), Key("key:crm", "import", "abc"), Key("key:web", "import", "abC")]
    assert all(isinstance(claim(key), UUID) for key in keys)
    assert not any(isinstance(claim(key), UUID) for key in keys)


def test_who_comes_later_is_told_the_answer_as_it_was_given(connection: db.Connection, claim: Ask) -> None:
    claim_id = held(claim)
    assert claim(fingerprint="other") == Recorded("f", None, None, None)
    job_id = upload(connection)
    assert idempotency.link(connection, claim_id, job_id)
    assert idempotency.record(connection, claim_id, job_id, ANSWER, "sha")
    assert claim() == Recorded("f", ANSWER, "sha", job_id)
    assert row(connection, job_id)["idempotency_key"] == "abc"


def test_a_request_under_way_keeps_its_key_as_long_as_it_beats(connection: db.Connection, claim: Ask) -> None:
    claim_id, _ = linked(connection, claim)
    age(connection, KEPT_SECONDS + 1)
    idempotency.beat(connection, [claim_id, uuid4()])
    assert not is_free(claim)
    age(connection, LEASE_SECONDS - 5)
    assert not is_free(claim)


def test_a_request_that_has_died_frees_its_key_after_the_lease_and_can_do_nothing_more(
    connection: db.Connection, claim: Ask
) -> None:
    claim_id, job_id = linked(connection, claim)
    age(connection, LEASE_SECONDS)
    new = eventually(lambda: found if isinstance(found := claim(), UUID) else None)  # the server may be that young
    assert not idempotency.link(connection, claim_id, job_id)
    assert not idempotency.record(connection, claim_id, job_id, ANSWER, None)
    idempotency.beat(connection, [claim_id])
    idempotency.release(connection, claim_id)
    assert idempotency.record(connection, new, job_id, ANSWER, None)


@pytest.mark.parametrize("state", ["failed", "cancelled", "gone"])
@pytest.mark.parametrize("with_answer", [False, True])
def test_a_job_that_ended_before_it_was_whole_frees_its_key(
    state: str, with_answer: bool, connection: db.Connection, claim: Ask
) -> None:
    """An answer without a whole body is given by uploads in several requests, and while an object is waited for."""
    claim_id, job_id = linked(connection, claim)
    if with_answer:
        uploads.await_object(connection, job_id, {**COMPLETE, "upload_url": "u"})
        assert idempotency.record(connection, claim_id, job_id, ANSWER, "sha")
    assert not is_free(claim)
    if state == "gone":
        uploads.discard(connection, job_id)
    else:
        set_state(connection, job_id, state)
    assert is_free(claim)


@pytest.mark.parametrize("state", ["queued", "failed", "cancelled"])
def test_a_job_that_has_been_queued_keeps_the_answer_whatever_becomes_of_it(
    state: str, connection: db.Connection, claim: Ask
) -> None:
    _, job_id = answered(connection, claim)
    set_state(connection, job_id, state)
    if state != "queued":
        retention.forget(connection, job_id, ALL)
    assert claim() == Recorded("f", ANSWER, "sha", job_id)


def test_an_answer_is_given_again_for_a_day_and_not_longer(connection: db.Connection, claim: Ask) -> None:
    answered(connection, claim)
    age(connection, KEPT_SECONDS - 60)
    assert not is_free(claim)
    assert idempotency.delete_old(connection) == 0
    age(connection, 60)
    assert is_free(claim)
    assert not is_free(claim)


def test_what_is_not_kept_any_longer_is_deleted(connection: db.Connection, claim: Ask) -> None:
    answered(connection, claim)
    assert isinstance(claim(Key("s", "import", "left by a killed process")), UUID)
    age(connection, KEPT_SECONDS)
    assert isinstance(claim(Key("s", "import", "new")), UUID)
    assert [idempotency.delete_old(connection) for _ in range(2)] == [2, 0]
    connection.execute(
        "INSERT INTO idempotency_keys (scope, route, key, claim_id, fingerprint, touched_at)"
        " SELECT 's', 'r', i, gen_random_uuid(), '', now() - INTERVAL '2 days' FROM generate_series(0, %s) i",
        [BATCH_ROWS],
    )
    assert [idempotency.delete_old(connection) for _ in range(3)] == [BATCH_ROWS, 1, 0]


def test_a_released_key_is_free_and_an_answered_one_is_not_released(connection: db.Connection, claim: Ask) -> None:
    claim_id, job_id = linked(connection, claim)
    idempotency.release(connection, claim_id)
    assert not idempotency.record(connection, claim_id, job_id, ANSWER, None)
    claim_id, job_id = answered(connection, claim)
    idempotency.release(connection, claim_id)
    assert claim() == Recorded("f", ANSWER, "sha", job_id)


@pytest.mark.parametrize("ends_well", [True, False])
def test_a_release_waits_for_a_commit_under_way(
    ends_well: bool, database: str, connection: db.Connection, claim: Ask
) -> None:
    """As when the answer to the COMMIT was lost: the job may be queued, and then its answer stays."""
    claim_id, job_id = linked(connection, claim)
    with db.connect(database, "dataflow/test") as other, ThreadPoolExecutor(1) as thread:
        with other.transaction(force_rollback=not ends_well):
            uploads.queue(other, job_id, COMPLETE)
            assert idempotency.record(other, claim_id, job_id, ANSWER, "sha")
            released = thread.submit(idempotency.release, connection, claim_id)
            eventually(lambda: other.execute(WAITING).fetchall())
        released.result()
        assert row(other, job_id)["state"] == ("queued" if ends_well else "uploading")
        assert other.execute("SELECT status FROM idempotency_keys").fetchall() == [{"status": 202}] * ends_well


def test_a_job_that_is_being_inserted_is_not_taken_for_one_that_is_gone(
    database: str, connection: db.Connection, claim: Ask
) -> None:
    """Who waits for the row has an older view of the jobs than the row that it then sees."""
    claim_id = held(claim)
    with db.connect(database, "dataflow/test") as other, ThreadPoolExecutor(1) as thread:
        with other.transaction():
            assert idempotency.link(other, claim_id, upload(other))
            found = thread.submit(claim)
            eventually(lambda: other.execute(WAITING).fetchall())
        assert isinstance(found.result(), Recorded)
