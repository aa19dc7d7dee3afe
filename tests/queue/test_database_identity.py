"""A dump or a copy of a database leaves its original the jobs and files, until somebody says whose they are."""

import hashlib
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dataflow import cli, db
from dataflow.config import Config
from dataflow.errors import JobError
from dataflow.exports import order
from dataflow.ids import uuid7
from dataflow.local.postgres import binary
from dataflow.queue import database_identity, job_counts, jobs, leases, notify, retention, unfinished_objects, uploads
from dataflow.queue.leases import Sight
from dataflow.queue.scope import ALL
from dataflow.storage.base import Storage
from dataflow.storage.registry import open_storage
from dataflow.worker.loop import Worker
from dataflow.worker.sweeper import Sweep
from tests.support.commands import dataflow
from tests.support.errors import has_code
from tests.support.jobs import UPLOAD
from tests.support.objects import is_there, store
from tests.support.processes import Web

BODY = b"name,email\nAnn,ann@example.com\n"
COMPLETE = {
    **{"source": "crm", "file_name": None, "content_type": "text/csv", "format": "csv", "options": {}},
    **{"bytes_total": len(BODY), "object_etag": None, "digests": [[len(BODY), hashlib.sha256(BODY).hexdigest()]]},
}
ENDED = ("succeeded", "failed", "cancelled")
#: With the time of a sign of life, or of the end, of each as long ago as anybody waits.
AGE = """
UPDATE jobs SET heartbeat_at = heartbeat_at - INTERVAL '1 year', finished_at = finished_at - INTERVAL '1 year',
    backend_pid = 1, backend_start = backend_start - INTERVAL '1 year'
"""


def make(connection: db.Connection, storage: Storage, state: str) -> UUID:
    """A job in that state, with its file; `completing` is an upload whose object is still waited for."""
    job_id = uuid7()
    uploads.insert(connection, {**UPLOAD, "id": job_id, "object_key": f"{job_id}.csv"})
    store(storage, f"{job_id}.csv", [BODY])
    if state == "completing":
        uploads.await_object(connection, job_id, {**COMPLETE, "upload_url": "upload"})
    elif state != "uploading":
        uploads.queue(connection, job_id, COMPLETE)
    if state in ENDED:
        connection.execute("UPDATE jobs SET state = %s WHERE id = %s", [state, job_id])
    if state == "running":
        # The only one that is due.
        assert jobs.claim(connection, "gone.1.boot") is not None
    return job_id


@pytest.fixture
def originals(connection: db.Connection, storage: Storage, empty_storage: None) -> dict[str, UUID]:
    """Jobs of the original: one in each state, by its name."""
    made = {
        state: make(connection, storage, state) for state in ("running", "queued", "uploading", "completing", *ENDED)
    }
    connection.execute(AGE.encode())
    return made


def dump_into(target: str, source: str, *options: str) -> None:
    """What people type: pg_dump | psql."""
    dump = subprocess.run([binary("pg_dump"), *options, source], stdout=subprocess.PIPE, timeout=60, check=True).stdout
    restore = [binary("psql"), "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", target]
    subprocess.run(restore, input=dump, stdout=subprocess.DEVNULL, timeout=60, check=True)


@pytest.fixture
def copy(originals: dict[str, UUID], database: str, empty_database: str) -> str:
    """URL of another database into which the test's was dumped, jobs and all."""
    dump_into(empty_database, database)
    return empty_database


@pytest.fixture
def copied(copy: str) -> Iterator[db.Connection]:
    with db.connect(copy, "dataflow/test") as opened:
        yield opened


@pytest.fixture
def process(make_config: Callable[..., Config], work_off: Callable[[], int]) -> Callable[[str], None]:
    """Does to the jobs of a database all that processes do by themselves. (`work_off` restores signal handlers.)"""

    def process(url: str) -> None:
        config = make_config(DATABASE_URL=url, OBJECT_RETENTION_DAYS=1)
        with db.connect(url, "dataflow/test") as connection:
            retention.abandon_uploads(connection, silent_seconds=0)
            leases.reclaim(connection, Sight("me.1.boot", [], [], is_direct=True, is_settled=True))
        assert Worker(config, open_storage(config)).run(once=True) == 0
        Sweep(config, open_storage(config), "dataflow/test/sweep").sweep()

    return process


@pytest.fixture
def adopt(copy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs `dataflow adopt` in the copy, with options; what it prints."""

    def run(*options: str) -> str:
        monkeypatch.setenv("DATABASE_URL", copy)
        assert cli.main(["adopt", *options]) == 0
        return capsys.readouterr().out

    return run


def all_jobs(connection: db.Connection) -> list[dict[str, Any]]:
    return connection.execute("SELECT * FROM jobs ORDER BY id").fetchall()


def states(connection: db.Connection, made: dict[str, UUID]) -> dict[str, str]:
    found = {row["id"]: row["state"] for row in all_jobs(connection)}
    return {name: found[job_id] for name, job_id in made.items()}


def test_a_restored_dump_leaves_the_original_all_of_its_jobs_and_files(
    originals: dict[str, UUID],
    copy: str,
    copied: db.Connection,
    process: Callable[[str], None],
    stored_files: Callable[[], list[Path]],
    state_folder: Path,
    database: str,
    connection: db.Connection,
) -> None:
    before, files = all_jobs(copied), sorted(stored_files())
    assert len(files) == len(originals)
    worker = dataflow("worker", "--once", DATABASE_URL=copy, DATA_DIR=state_folder)
    assert (worker.returncode, f"Jobs that are held: {len(originals)}." in worker.stderr) == (0, True)
    process(copy)
    assert all_jobs(copied) == before
    assert sorted(stored_files()) == files
    assert copied.execute("SELECT FROM contacts").fetchone() is None
    assert notify.seconds_until_due(copied) is None
    with copied.transaction():
        assert job_counts.totals(copied)["queue_oldest_seconds"] == 0
    process(database)
    assert states(connection, originals)["queued"] == "succeeded"


def test_what_the_copy_imports_is_its_own(
    originals: dict[str, UUID], copy: str, copied: db.Connection, storage: Storage, process: Callable[[str], None]
) -> None:
    own = make(copied, storage, "queued")
    # Were it not held, no busy worker would take another job now: this one has to run alone.
    suspect = "UPDATE jobs SET losses = 2, run_at = now() - INTERVAL '10 seconds' WHERE id = %s"
    copied.execute(suspect, [originals["queued"]])
    job = jobs.claim(copied, "w", is_idle=False)
    assert job is not None
    jobs.requeue(copied, job, delay_seconds=0, charge=0, error=None)
    process(copy)
    assert states(copied, {"own": own}) == {"own": "succeeded"}


def test_over_http_a_copy_tells_what_is_held_and_keeps_its_hands_off(
    originals: dict[str, UUID],
    copy: str,
    copied: db.Connection,
    start_web: Callable[..., Web],
    stored_files: Callable[[], list[Path]],
) -> None:
    web, files = start_web(DATABASE_URL=copy), sorted(stored_files())
    health = web.get("/health")
    assert (health.status_code, health.json()["checks"]["database"]["heldJobs"]) == (200, len(originals))
    retried = web.post(f"/jobs/{originals['failed']}/retry")
    assert (retried.status_code, retried.json()["code"]) == (409, "job_held")
    assert web.post(f"/jobs/{originals['queued']}/cancel").json()["state"] == "cancelled"
    assert web.request("DELETE", f"/jobs/{originals['cancelled']}").status_code == 204
    revert = web.post(f"/jobs/{originals['succeeded']}/revert").json()["jobId"]
    assert sorted(stored_files()) == files
    told = copied.execute("SELECT DISTINCT health FROM job_status WHERE kind = 'import'").fetchall()
    assert told == [{"health": "held: made in another database, see dataflow adopt"}]
    # A revert concerns the database alone, also one that came with it.
    copied.execute("UPDATE jobs SET state = 'failed', database_id = 'original' WHERE id = %s", [revert])
    assert web.post(f"/jobs/{revert}/retry").status_code == 202
    job = jobs.claim(copied, "w")
    assert job is not None
    assert str(job.id) == revert


def test_adopted_the_jobs_go_on_where_they_are(
    originals: dict[str, UUID],
    copy: str,
    copied: db.Connection,
    adopt: Callable[..., str],
    process: Callable[[str], None],
    stored_files: Callable[[], list[Path]],
) -> None:
    assert adopt() == f"Jobs released: {len(originals)}. They and their files are this database's own now.\n"
    assert adopt() == "Nothing held: all jobs are this database's own.\n"
    process(copy)
    ended = dict.fromkeys(("running", "queued", "completing"), "succeeded") | {"uploading": "failed"}
    assert states(copied, originals) == {**{state: state for state in ENDED}, **ended}
    # One that was abandoned just now may still be arriving.
    assert [path.stem for path in stored_files()] == [str(originals["uploading"])]


def test_adopted_as_a_copy_the_jobs_fail_and_their_files_are_never_touched(
    originals: dict[str, UUID],
    copy: str,
    copied: db.Connection,
    adopt: Callable[..., str],
    process: Callable[[str], None],
    stored_files: Callable[[], list[Path]],
) -> None:
    files = sorted(stored_files())
    assert adopt("--as-copy").startswith(f"Jobs given up: {len(originals)}. Unfinished ones have failed")
    assert adopt("--as-copy").startswith("Nothing held")
    failed = copied.execute("SELECT error FROM jobs WHERE state = 'failed' AND error IS NOT NULL").fetchall()
    assert [row["error"].partition(":")[0] for row in failed] == ["database_copied"] * 4
    with pytest.raises(JobError, check=has_code("object_forgotten")):
        jobs.retry(copied, originals["queued"], ALL)
    copied.execute(AGE.encode())
    process(copy)
    assert states(copied, originals) == {**dict.fromkeys(originals, "failed"), **{state: state for state in ENDED}}
    assert retention.delete_old_jobs(copied, days=1) == len(originals)
    assert sorted(stored_files()) == files


def test_of_two_that_adopt_at_once_each_job_is_released_by_one(
    copy: str, originals: dict[str, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_identity, "BATCH_ROWS", 1)

    def adopt(_: int) -> int:
        with db.connect(copy, "dataflow/test") as connection:
            return database_identity.adopt(connection)

    with ThreadPoolExecutor() as threads:
        assert sum(threads.map(adopt, range(2))) == len(originals)


def held(connection: db.Connection) -> int:
    with connection.transaction():
        return database_identity.count_held(connection)


def test_rows_alone_that_are_copied_into_a_migrated_database_are_held(
    connection: db.Connection, originals: dict[str, UUID], empty_database: str
) -> None:
    db.migrate(empty_database)
    with db.connect(empty_database, "dataflow/test") as other:
        with (
            connection.cursor().copy("COPY jobs TO STDOUT") as rows,
            other.cursor().copy("COPY jobs FROM STDIN") as into,
        ):
            for piece in rows:
                into.write(piece)
        assert held(other) == len(originals)


def test_a_standby_has_the_identity_of_its_primary_which_is_in_the_files_they_share(connection: db.Connection) -> None:
    place = connection.execute(
        "SELECT setting AS folder, oid FROM pg_settings, pg_database"
        " WHERE name = 'data_directory' AND datname = current_database()"
    ).fetchone()
    if place is None or not (Path(place["folder"]) / "base" / str(place["oid"])).is_dir():
        pytest.skip("the server is on another machine")
    control = subprocess.run([binary("pg_controldata"), place["folder"]], capture_output=True, text=True, check=True)
    [system_identifier] = re.findall(r"^Database system identifier: +(\d+)$", control.stdout, re.MULTILINE)
    assert database_identity.of(connection) == f"{system_identifier}/{place['oid']}"


@pytest.mark.unit
def test_of_very_many_it_is_said_that_they_are_more() -> None:
    assert "are held: 9999." in database_identity.explain(9999)
    assert "are held: 10000 or more." in database_identity.explain(10_000)


@pytest.mark.parametrize("is_copy", [False, True])
def test_what_an_attempt_of_the_original_writes_is_removed_by_a_copy_only_when_it_takes_its_place(
    is_copy: bool,
    connection: db.Connection,
    storage: Storage,
    database: str,
    empty_database: str,
    process: Callable[[str], None],
) -> None:
    order.order(connection, ALL, {"format": "csv", "raw": False})
    job = jobs.claim(connection, "gone.1.boot")
    assert job is not None
    unfinished_objects.note(connection, job, "half.csv")
    store(storage, "half.csv", [BODY])
    connection.execute(AGE.encode())
    dump_into(empty_database, database)
    process(empty_database)
    assert is_there(storage, "half.csv")
    with db.connect(empty_database, "dataflow/test") as copied:
        (database_identity.adopt_as_copy if is_copy else database_identity.adopt)(copied)
    process(empty_database)
    assert is_there(storage, "half.csv") is is_copy
