"""Contacts are found by the way that is shortest, with and without the indexes that an operator may make: plans."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dataflow import db
from tests.support.databases import on_server, url_of

ROWS = 100_000
#: Ascending with n, as UUIDv7 are.
ID = """
(lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '7' || substr(md5(n::text), 1, 3)
 || '8' || substr(md5(n::text), 4, 15))::uuid
"""
#: Half of them are of one source; the oldest twentieth is of another.
FILL = f"""
INSERT INTO contacts (id, name, email, source, imported_at)
SELECT {ID}, 'Name ' || n, 'User' || n || '@example.com',
       CASE WHEN n <= {ROWS} / 20 THEN 'old' WHEN n % 2 = 0 THEN 'shop' ELSE 'source-' || n % 50 END,
       timestamp '2025-01-01' + n * INTERVAL '1 minute'
FROM generate_series(1, {ROWS}) n
"""
WANTED: dict[str, Any] = dict.fromkeys(
    ("email", "sources", "imported_after", "imported_before", "first_id", "last_id", "cursor", "ids")
)
BY_PRIMARY_KEY, SCAN = "using contacts_pkey on contacts", "Seq Scan on contacts"


@pytest.fixture(scope="module")
def full(server: str, template: str) -> Iterator[db.Connection]:
    """A connection to a database with many contacts."""
    name = f"dataflow_test_{os.getpid()}_contact_plans"
    on_server(server, "CREATE DATABASE {name} TEMPLATE {template}", name, template=template)
    with db.connect(url_of(server, name), "dataflow/test") as connection:
        connection.execute(FILL.encode())
        connection.execute("VACUUM ANALYZE contacts")
        yield connection
    on_server(server, "DROP DATABASE {name} WITH (FORCE)", name)


@contextmanager
def index(connection: db.Connection, columns: str, is_analyzed: bool = True) -> Iterator[None]:
    connection.execute(f"CREATE INDEX made ON contacts ({columns})".encode())
    if is_analyzed:
        connection.execute("ANALYZE contacts")
    yield
    connection.execute("DROP INDEX made")
    connection.execute("ANALYZE contacts")


def plan(connection: db.Connection, name: str = "contacts/list", limit: int = 101, **wanted: Any) -> str:
    rows = connection.execute(b"EXPLAIN " + db.query(name), {**WANTED, "limit": limit, **wanted}).fetchall()
    return "\n".join(row["QUERY PLAN"] for row in rows)


def id_at(connection: db.Connection, number: int) -> Any:
    [row] = connection.execute(f"SELECT {ID} AS id FROM (SELECT {number} AS n) numbers".encode()).fetchall()
    return row["id"]


def test_pages_without_a_filter_and_those_of_a_job_walk_the_primary_key(full: db.Connection) -> None:
    first, last = id_at(full, 20_000), id_at(full, 60_000)
    for wanted in ({}, {"cursor": last}, {"first_id": first, "last_id": last}):
        found = plan(full, **wanted)
        assert BY_PRIMARY_KEY in found, found
        assert "Sort" not in found, found
        assert "Filter" not in found, found


def test_a_frequent_source_is_met_soon_by_the_primary_key(full: db.Connection) -> None:
    found = plan(full, sources=["shop"])
    assert BY_PRIMARY_KEY in found, found
    assert "Sort" not in found, found


@pytest.mark.parametrize("limit", [2, 101, 1001])
def test_nobody_waits_for_an_address_at_the_primary_key(limit: int, full: db.Connection) -> None:
    for name in ("contacts/list", "contacts/find_by_email"):
        found = plan(full, name, limit, email="user777@example.com")
        assert SCAN in found, found


@pytest.mark.parametrize("is_analyzed", [True, False])
def test_an_address_is_found_by_its_index_with_and_without_statistics(is_analyzed: bool, full: db.Connection) -> None:
    with index(full, "lower(email)", is_analyzed):
        for name in ("contacts/list", "contacts/find_by_email"):
            for sources in (None, ["shop"]):
                found = plan(full, name, email="user777@example.com", sources=sources)
                assert "made" in found, found
                assert SCAN not in found, found


@pytest.mark.parametrize("sources", [["shop"], ["old"], ["old", "source-7", "nobody"]])
@pytest.mark.parametrize("is_first", [True, False])
def test_the_newest_of_each_source_are_walked_to_by_its_index(
    sources: list[str], is_first: bool, full: db.Connection
) -> None:
    with index(full, "source, id"):
        assert db.value(full, "contacts/has_source_index") is True
        cursor = None if is_first else id_at(full, 50_000)
        found = plan(full, "contacts/list_of_sources", sources=sources, cursor=cursor)
    assert "using made on contacts" in found, found
    assert BY_PRIMARY_KEY not in found, found
    assert SCAN not in found, found


@pytest.mark.parametrize("columns", ["source", "id, source", "source DESC, imported_at", "lower(source), id"])
def test_another_index_is_none_that_has_the_contacts_of_each_source_in_order(columns: str, full: db.Connection) -> None:
    with index(full, columns):
        assert db.value(full, "contacts/has_source_index") is False


def test_contacts_whose_ids_are_known_are_fetched_by_these(full: db.Connection) -> None:
    found = plan(full, ids=[id_at(full, number) for number in range(1, 101)])
    assert "Index Cond: (id = ANY" in found, found


@pytest.mark.parametrize("limit", [2, 101, 1001])
def test_what_is_older_than_a_time_is_not_looked_for_among_what_is_newer(limit: int, full: db.Connection) -> None:
    wanted = {"imported_after": "2025-01-10T00:00:00Z", "imported_before": "2025-01-11T00:00:00Z"}
    assert BY_PRIMARY_KEY not in (found := plan(full, limit=limit, **wanted)), found
    with index(full, "imported_at"):
        assert "made" in (found := plan(full, limit=limit, **wanted)), found


def test_the_next_pages_of_what_is_older_begin_in_its_midst(full: db.Connection) -> None:
    found = plan(full, imported_before="2025-02-10T00:00:00Z", cursor=id_at(full, 50_000))
    assert BY_PRIMARY_KEY in found, found
    assert "Sort" not in found, found
