"""Counts that add up: whatever a file holds and whatever is asked of an import, each of its rows is accounted for once.

The whole work of a worker's thread is run against a model of it in a few lines: what a person would expect.
"""

import csv
import hashlib
import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflow import db
from dataflow.config import Config
from dataflow.ids import uuid7
from dataflow.imports.options import Options
from dataflow.queue import job_counts, jobs, uploads
from dataflow.queue.attempt import Attempt
from dataflow.queue.scope import ALL
from dataflow.storage.base import Storage
from dataflow.worker.runner import Runner
from tests.support.objects import store

COUNTS = ("imported", "updated", "skipped", "rejected", "not_imported")
ADDRESSES = [
    "ada@example.org",
    "ADA@example.org",
    " Bob@Example.org ",
    "bob@example.org",
    "c@example.org",
    "d@example.org",
]
ROWS = st.tuples(
    st.sampled_from(["Ada", "Bob", "Cy", "", "  "]), st.sampled_from([*ADDRESSES, *ADDRESSES, "", "nobody", "a@b"])
)
OPTIONS = st.fixed_dictionaries(
    {
        "onInvalid": st.sampled_from(["skip", "skip", "abort"]),
        "onConflict": st.sampled_from(["insert", "skip", "update"]),
        "dryRun": st.booleans(),
        "maxRejects": st.sampled_from([0, 2, 100]),
    }
)
Row = tuple[str, str]
Work = Callable[[list[Row], dict[str, Any]], dict[str, Any]]


@pytest.fixture
def work(connection: db.Connection, config: Config, storage: Storage) -> Work:
    """Runs one file through a runner; the job as it is then."""

    def run(rows: list[Row], options: dict[str, Any]) -> dict[str, Any]:
        text = io.StringIO()
        csv.writer(text).writerows([("name", "email"), *rows])
        content, job_id = text.getvalue().encode(), uuid7()
        values: dict[str, Any] = {"source": "s", "file_name": None, "content_type": "text/csv"}
        values["options"] = Options.of(options).as_json()
        uploads.insert(
            connection, {"id": job_id, "object_key": f"{job_id}.csv", "request_id": None, "created_by": None, **values}
        )
        stored = store(storage, f"{job_id}.csv", [content])
        digests = [[len(content), hashlib.sha256(content).hexdigest()]]
        complete = {"format": "csv", "bytes_total": len(content), "object_etag": stored.etag, "digests": digests}
        uploads.queue(connection, job_id, {**values, **complete})
        job = jobs.claim(connection, "w")
        assert job is not None
        attempt = Attempt(job)
        Runner(config, storage, "settle").work(connection, attempt)
        return jobs.get(connection, job_id, ALL)

    return run


def is_good(row: Row) -> bool:
    return bool(row[0].strip()) and row[1].strip().lower() in {address.strip().lower() for address in ADDRESSES}


def expected(rows: list[Row], options: dict[str, Any], before: list[Row]) -> tuple[dict[str, int], list[Row]]:
    """The counts of each outcome, and the contacts afterwards."""
    good = [(name, email.strip()) for name, email in rows if is_good((name, email))]
    rejected = len(rows) - len(good)
    counts = dict.fromkeys(COUNTS, 0) | {"rejected": rejected}
    if not good or (rejected and options["onInvalid"] == "abort") or options["dryRun"]:
        return counts | {"not_imported": len(good)}, before
    if options["onConflict"] == "insert":
        return counts | {"imported": len(good)}, [*before, *good]
    there = {email.lower() for _, email in before}
    wanted: dict[str, Row] = {}
    for name, email in good:
        if options["onConflict"] == "update" or email.lower() not in wanted:
            wanted[email.lower()] = (name, email)
    new = [row for address, row in wanted.items() if address not in there]
    hit = [address for address in wanted if address in there]
    if options["onConflict"] == "skip":
        return counts | {"imported": len(new), "skipped": len(good) - len(new)}, [*before, *new]
    updated = [(wanted[email.lower()][0] if email.lower() in hit else name, email) for name, email in before]
    return (
        counts | {"imported": len(new), "updated": len(hit), "skipped": len(good) - len(wanted)},
        [*updated, *new],
    )


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROWS, max_size=12), OPTIONS, st.lists(st.sampled_from(ADDRESSES[::2]), max_size=3))
def test_every_row_of_a_file_is_accounted_for_once(
    connection: db.Connection, work: Work, rows: list[Row], options: dict[str, Any], before: list[str]
) -> None:
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    connection.execute("TRUNCATE contacts, jobs, rejects, job_counts")
    there = [("Old", email.strip()) for email in before]
    for name, email in there:
        connection.execute("INSERT INTO contacts (name, email, source) VALUES (%s, %s, 'old')", [name, email])

    job = work(rows, options)

    found = {name: job[f"rows_{name}"] for name in COUNTS}
    assert job["rows_read"] == sum(found.values())
    rejects = connection.execute("SELECT count(*) AS count FROM rejects").fetchone()
    assert rejects == {"count": found["rejected"]}
    contacts = [(row["name"], row["email"]) for row in connection.execute("SELECT name, email FROM contacts")]
    refused = sum(not is_good(row) for row in rows)
    if refused > options["maxRejects"]:
        assert (job["state"], job["error"].partition(":")[0]) == ("failed", "too_many_rejects")
        assert sorted(contacts) == sorted(there)
        return
    counts, afterwards = expected(rows, options, there)
    assert found == counts
    assert sorted(contacts) == sorted(afterwards)
    failed = not any(map(is_good, rows)) or (refused and options["onInvalid"] == "abort")
    assert job["state"] == ("failed" if failed else "succeeded")
    assert job["partial"] == (not failed and refused > 0)
    status = connection.execute("SELECT * FROM job_status").fetchone()
    assert status is not None
    assert (status["read"], status["rows"], status["updated"], status["skipped"], status["rejected"]) == (
        job["rows_read"],
        *(counts[name] for name in ("imported", "updated", "skipped", "rejected")),
    )
    totals = job_counts.totals(connection)
    assert {name: totals[f"rows_{name}"] for name in (*COUNTS, "read")} == {**counts, "read": job["rows_read"]}


def test_a_job_whose_refused_rows_are_refused_by_the_database_ends_without_them_and_says_so(
    connection: db.Connection, work: Work
) -> None:
    connection.execute("ALTER TABLE rejects ADD CONSTRAINT none_of_it CHECK (code <> 'invalid_email')")
    job = work([("Ada", "ada@example.org"), ("Bob", "nobody")], {})
    assert (job["state"], job["attempt"]) == ("failed", 1)
    assert job["error"].startswith("database_error: The database refused: ")
    assert "Its refused rows could not be kept: The database refused: " in job["error"]
    assert (job["rows_read"], job["rows_rejected"], job["rows_not_imported"]) == (2, 1, 1)


def test_refused_rows_are_kept_whatever_time_a_transaction_may_take_by_default(
    connection: db.Connection, config: Config, work: Work
) -> None:
    name = connection.info.dbname
    setting = connection.execute("SELECT FROM pg_settings WHERE name = 'transaction_timeout'").fetchone()
    if setting is None:
        pytest.skip("transaction_timeout exists from Postgres 17 on")
    connection.execute(f"ALTER DATABASE \"{name}\" SET transaction_timeout = '200ms'".encode())
    rows = [("Ada", "nobody")] * 60_000
    try:
        job = work(rows, {"maxRejects": 100_000})
    finally:
        connection.execute(f'ALTER DATABASE "{name}" RESET transaction_timeout'.encode())
    assert (job["state"], job["rows_rejected"]) == ("failed", 60_000)
    assert job["error"].startswith("no_contacts: ")
    assert connection.execute("SELECT count(*) AS count FROM rejects").fetchone() == {"count": 60_000}
