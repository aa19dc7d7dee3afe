"""No statement reads the whole jobs table, whatever is in it: plans, as speeds depend on the machine."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from dataflow import db
from dataflow.ids import uuid7
from dataflow.queue import database_identity, job_counts, jobs
from dataflow.queue.scope import Scope
from tests.support.databases import on_server, url_of
from tests.support.many_jobs import fill

ENDED, QUEUED = 20_000, 4_000
#: What the statements are given, but for what a test is about.
VALUES: dict[str, Any] = {
    **{"own": [], "overdue": [], "worker": "w", "is_direct": True, "is_settled": True, "is_idle": False},
    **{
        "silent_seconds": 150.0,
        "lease_seconds": 30.0,
        "retry_base_seconds": 5.0,
        "retry_max_seconds": 600.0,
        "database_id": None,
    },
    **{"kept_seconds": 86_400.0 * 7, "settled_seconds": 150.0, "days": 1, "limit": 50, "after": None, "after_id": None},
    **{"sources": ["source-7"], "created_by": "shop", "is_own_only": False},
    **{"id": uuid7(), "of_job": uuid7(), "job_id": uuid7(), "attempt": 1, "finished_at": datetime.now(UTC)},
    **{"ids": [uuid7()], "created_by": "web"},
    **{
        "rows_read": 1,
        "rows_imported": 1,
        "rows_rejected": 0,
        "rows_exported": 0,
        "bytes_done": 1,
        "rows": 1,
        "is_done": False,
        "error": "",
    },
}
STATEMENTS = (
    *("jobs/abandon_uploads", "jobs/beat", "jobs/cancel", "jobs/claim", "jobs/count_reverted", "jobs/delete_old"),
    *(
        "jobs/find_revert",
        "jobs/forget",
        "jobs/get",
        "jobs/give_up_file",
        "jobs/is_held",
        "jobs/leftovers",
        "jobs/lock",
    ),
    "jobs/is_in_scope",
    *("jobs/mark_object_deleted", "jobs/next_due", "jobs/overdue", "jobs/reclaim", "jobs/retry", "jobs/sent_by"),
    *("rejects/count", "rejects/list"),
)
OF_CONTACTS = {"contact_sources": ["source-7"], "contact_times": [datetime.now(UTC)], "email": "ann@example.com"}
VIEWS = (
    "SELECT * FROM job_status LIMIT 4",
    "SELECT * FROM job_status WHERE id = '01a1f9f7-5b1d-7c7e-8f3b-6f0f2f3b8a51'",
    "SELECT * FROM job_status WHERE state IN ('uploading', 'running')",
)


@pytest.fixture(scope="module")
def old_database(server: str, template: str) -> Iterator[db.Connection]:
    """A connection to a database with many jobs."""
    name = f"dataflow_test_{os.getpid()}_plans"
    on_server(server, "CREATE DATABASE {name} TEMPLATE {template}", name, template=template)
    with db.connect(url_of(server, name), "dataflow/test") as connection:
        fill(connection, ENDED, QUEUED)
        yield connection
    on_server(server, "DROP DATABASE {name} WITH (FORCE)", name)


def plan_of(connection: db.Connection, statement: bytes, values: dict[str, Any]) -> str:
    """As the server makes it for these parameters, which are sent as ours always are; the statement is not run."""
    rows = connection.execute(b"EXPLAIN " + statement, values).fetchall()
    return "\n".join(row["QUERY PLAN"] for row in rows)


def test_the_queue_is_counted_by_index_before_autovacuum_has_been_there(old_database: db.Connection) -> None:
    with old_database.transaction(force_rollback=True):
        old_database.execute("UPDATE jobs SET bytes_done = 0 WHERE state = 'queued'")
        job_counts.totals(old_database)
        plan = plan_of(old_database, db.query("job_counts/totals"), {})
    assert "Seq Scan on jobs " not in plan, plan


@pytest.mark.parametrize("name", ["jobs/count_held", "jobs/release_held", "jobs/give_up_held"])
def test_what_is_held_is_found_by_where_it_was_made(old_database: db.Connection, name: str) -> None:
    with old_database.transaction(force_rollback=True):
        database_identity.count_held(old_database)
        plan = plan_of(old_database, db.query(name), VALUES)
    assert plan.count("using jobs_holdable on jobs") == 2, plan
    assert "Seq Scan on jobs " not in plan, plan


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_of_the_queue_reads_all_jobs(old_database: db.Connection, name: str) -> None:
    plan = plan_of(old_database, db.query(name), VALUES)
    assert "Seq Scan on jobs " not in plan, plan


def test_the_earlier_job_of_a_content_is_found_by_that(old_database: db.Connection) -> None:
    [row] = old_database.execute("SELECT prosrc FROM pg_proc WHERE proname = 'dataflow_duplicate_of'").fetchall()
    statement = row["prosrc"]
    for name in ("id", "sha256", "source"):
        statement = statement.replace(f"this_{name}", f"%(this_{name})s")
    values = {"this_id": uuid7(), "this_sha256": "0" * 64, "this_source": "source-7"}
    assert "using jobs_of_content on jobs" in (plan := plan_of(old_database, statement.encode(), values)), plan


def test_erasing_a_person_reads_jobs_and_refused_rows_by_portions(old_database: db.Connection) -> None:
    [middle] = old_database.execute("SELECT id FROM jobs ORDER BY id OFFSET 10000 LIMIT 1").fetchall()
    old_database.execute(
        "INSERT INTO rejects (job_id, record, code, message, original) SELECT %s, n, 'x', 'x', 'x' "
        "FROM generate_series(1, 50000) n",
        [middle["id"]],
    )
    old_database.execute("ANALYZE rejects")
    erased = {"spellings": ["ann@example.com"], "contact_ids": [uuid7()], **OF_CONTACTS, "others_than": [uuid7()]}
    place = {"after": middle["id"], "after_job": middle["id"], "after_record": 10_000, "limit": 500}
    for sources in (None, ["source-7"]):
        values = {**VALUES, **erased, **place, "sources": sources}
        for name in (
            "find_texts",
            "kept_files",
            "count_kept_files",
            "with_files_of_contacts",
            "with_exports_of_contacts",
        ):
            plan = plan_of(old_database, db.query(f"jobs/{name}"), values)
            assert "Seq Scan on jobs " not in plan, plan
        plan = plan_of(old_database, db.query("rejects/find_address"), values)
        assert "Seq Scan on rejects" not in plan, plan
        assert plan.count("using rejects_pkey on rejects") == 2, plan


@pytest.mark.parametrize("statement", VIEWS)
def test_the_view_for_eyes_reads_only_what_it_shows(old_database: db.Connection, statement: str) -> None:
    plan = plan_of(old_database, statement.encode(), {})
    assert "Seq Scan on jobs " not in plan, plan
    assert "CTE" not in plan, plan


@pytest.mark.parametrize(("state", "source"), list(product([None, *jobs.STATES], [None, "source-7", "nobody"])))
def test_every_filter_of_the_list_walks_an_index_of_its_own(
    old_database: db.Connection, state: str | None, source: str | None
) -> None:
    [row] = old_database.execute("SELECT id FROM jobs ORDER BY id DESC OFFSET 12000 LIMIT 1").fetchall()
    for cursor in (None, row["id"]):
        values = {"limit": 51, "state": state, "source": source, "kind": None, "cursor": cursor, "ids": None}
        plan = plan_of(old_database, db.query("jobs/list"), values)
        assert "Seq Scan on jobs " not in plan, plan
        if state or source:
            # In the order of the primary key it would have to pass by all the others.
            assert "jobs_pkey" not in plan, plan


@pytest.mark.parametrize(("state", "source"), [(None, None), ("succeeded", None), (None, "source-7")])
@pytest.mark.parametrize("kind", ["export", "revert"])
def test_the_kinds_of_which_there_are_few_are_listed_by_their_own_index(
    old_database: db.Connection, kind: str, state: str | None, source: str | None
) -> None:
    values = {"limit": 51, "state": state, "source": source, "kind": kind, "cursor": uuid7(), "ids": None}
    plan = plan_of(old_database, db.query("jobs/list"), values)
    assert "jobs_of_kind" in plan, plan


SCOPES: dict[str, Scope] = {
    "three sources": Scope(frozenset({"source-7", "source-8", "nobody"}), "shop"),
    "one source": Scope(frozenset({"source-7"}), "shop"),
    "a source that is filtered by": Scope(frozenset({"source-7", "source-8"}), "shop").of("source-7"),
    "what a token has made": Scope(frozenset({"source-7"}), "shop#1", is_own_only=True),
}


@pytest.mark.parametrize(("state", "scope"), list(product([None, *jobs.STATES], SCOPES)))
def test_the_list_of_a_scope_walks_to_the_newest_of_each_source_and_reads_nobody_elses(
    old_database: db.Connection, state: str | None, scope: str
) -> None:
    [row] = old_database.execute("SELECT id FROM jobs ORDER BY id DESC OFFSET 12000 LIMIT 1").fetchall()
    for cursor in (None, row["id"]):
        values = {"limit": 51, "state": state, "kind": None, "cursor": cursor, **SCOPES[scope].as_values()}
        plan = plan_of(old_database, db.query("jobs/list_in_scope"), values)
        assert "Seq Scan on jobs" not in plan, plan
        assert "jobs_pkey" not in plan, plan
        if state is None:
            assert "Bitmap" not in plan, plan
        if "source" in scope:
            assert "jobs_of_creator" not in plan, plan


def test_the_jobs_of_a_page_are_fetched_by_their_ids(old_database: db.Connection) -> None:
    rows = old_database.execute("SELECT id FROM jobs ORDER BY id DESC LIMIT 51").fetchall()
    values = {
        "limit": 51,
        "state": None,
        "source": None,
        "kind": None,
        "cursor": None,
        "ids": [row["id"] for row in rows],
    }
    plan = plan_of(old_database, db.query("jobs/list"), values)
    assert "jobs_pkey" in plan, plan
    assert "Index Cond: (id = ANY" in plan, plan
