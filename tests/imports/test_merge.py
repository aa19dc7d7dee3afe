"""Duplicates inside a file and against the table: what `skip` and `update` make of them, also two at once."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from dataflow import db
from dataflow.db import query
from dataflow.errors import DatabaseUnavailable
from dataflow.imports import merge
from dataflow.imports.merge import Counts
from tests.support.merges import Rows, merged, plain, staged
from tests.support.waiting import eventually

Stored = Callable[[], list[tuple[Any, ...]]]

EVERYBODY = [(f"Name {i}", f"user{i}@example.com") for i in range(2000)]


def plan_of(connection: db.Connection, name: str) -> str:
    rows = connection.execute(b"EXPLAIN " + query(name)).fetchall()
    return "\n".join(row["QUERY PLAN"] for row in rows)


def test_skip_keeps_the_first_row_of_an_address_and_every_contact_that_is_there(
    connection: db.Connection, stored_contacts: Stored
) -> None:
    plain(connection, [("Ann", "Ann@Example.com")])
    rows = [("Other", "ann@example.COM"), ("Ben", "ben@b.co"), ("Cleo", "cleo@c.co"), ("Benjamin", "BEN@b.co")]
    assert merged(connection, "skip", rows) == Counts(rows_imported=2, rows_updated=0, rows_skipped=2)
    assert stored_contacts() == [
        ("Ann", "Ann@Example.com", "before"),
        ("Ben", "ben@b.co", "new"),
        ("Cleo", "cleo@c.co", "new"),
    ]


def test_update_takes_the_last_row_of_an_address_for_every_contact_that_has_it(
    connection: db.Connection, stored_contacts: Stored
) -> None:
    plain(connection, [("Ann", "Ann@a.co"), ("Anne", "ann@a.co"), ("Zoe", "zoe@z.co")])
    connection.execute("UPDATE contacts SET imported_at = '2020-01-01'")
    before = connection.execute("SELECT id FROM contacts ORDER BY id").fetchall()
    rows = [("First", "ann@a.co"), ("Ben", "ben@b.co"), ("Last", "ANN@A.CO"), ("Benjamin", "Ben@b.co")]
    assert merged(connection, "update", rows) == Counts(rows_imported=1, rows_updated=1, rows_skipped=2)
    assert stored_contacts() == [
        ("Last", "Ann@a.co", "before"),
        ("Last", "ann@a.co", "before"),
        ("Zoe", "zoe@z.co", "before"),
        ("Benjamin", "Ben@b.co", "new"),
    ]
    after = connection.execute("SELECT id, imported_at > '2020-01-02' AS is_new FROM contacts ORDER BY id").fetchall()
    assert [row["id"] for row in after[:3]] == [row["id"] for row in before]
    assert [row["is_new"] for row in after] == [True, True, False, True]


@pytest.mark.parametrize("on_conflict", ["skip", "update"])
def test_any_mixture_ends_as_row_by_row_it_would_and_its_counts_are_its_rows(
    connection: db.Connection, stored_contacts: Stored, on_conflict: str
) -> None:
    chance = random.Random(on_conflict)
    for _ in range(15):
        there, rows = some_rows(chance, "old"), some_rows(chance, "new")
        connection.execute("TRUNCATE contacts")
        plain(connection, there)
        with staged(connection, rows):
            looked = merge.count(connection, on_conflict)
        assert len(stored_contacts()) == len(there), "a look writes nothing"
        counts = merged(connection, on_conflict, rows)

        old = {email.lower() for _, email in there}
        wanted = {email.lower(): name for name, email in (rows[::-1] if on_conflict == "skip" else rows)}
        if on_conflict == "update":
            there = [(wanted.get(email.lower(), name), email) for name, email in there]
        new = [name for email, name in wanted.items() if email not in old]
        found = [(name, email) for name, email, _ in stored_contacts()]
        assert found[: len(there)] == there
        assert sorted(name for name, _ in found[len(there) :]) == sorted(new)
        updated = len(wanted) - len(new) if on_conflict == "update" else 0
        assert counts == looked == Counts(len(new), updated, len(rows) - len(new) - updated)


def some_rows(chance: random.Random, role: str) -> list[tuple[str, str]]:
    """Up to a dozen rows with few addresses, in either case."""
    addresses = [f"{letter}@x.co" for letter in "abcdefABCDEF"]
    return [(f"{role}{number}", chance.choice(addresses)) for number in range(chance.randint(1, 12))]


def test_new_contacts_have_the_ids_of_the_file_in_its_order(connection: db.Connection, stored_contacts: Stored) -> None:
    plain(connection, EVERYBODY[::2])
    rows = list(reversed(EVERYBODY))
    assert merged(connection, "skip", rows).rows_imported == 1000
    assert [row[:2] for row in stored_contacts()[1000:]] == [row for row in rows if row in EVERYBODY[1::2]]
    row = connection.execute("SELECT array_agg(id ORDER BY ctid) = array_agg(id ORDER BY id) AS sorted FROM contacts")
    assert row.fetchone() == {"sorted": True}


@pytest.mark.parametrize("on_conflict", ["skip", "update"])
def test_two_imports_of_the_same_addresses_at_once_leave_each_address_once(
    connection: db.Connection, database: str, on_conflict: str
) -> None:
    at_once = threading.Barrier(2)

    def run(name: str) -> Counts:
        with db.connect(database, name) as own, staged(own, [(name, email) for _, email in EVERYBODY]):
            at_once.wait(10)
            return merge.merge(own, on_conflict, name)

    with ThreadPoolExecutor() as threads:
        counts = list(threads.map(run, ["one", "two"]))
    found = connection.execute(
        "SELECT count(*), count(DISTINCT email) AS addresses, count(DISTINCT name) AS names FROM contacts"
    ).fetchone()
    assert found == {"count": 2000, "addresses": 2000, "names": 1}
    assert sorted(each.rows_imported for each in counts) == [0, 2000]
    late = min(counts, key=lambda each: each.rows_imported)
    assert late == (Counts(0, 2000, 0) if on_conflict == "update" else Counts(0, 0, 2000))


def test_a_merge_waits_for_the_one_before_it_and_sees_what_that_has_committed(
    connection: db.Connection, database: str, stored_contacts: Stored
) -> None:
    with ThreadPoolExecutor() as threads, db.connect(database, "late") as late:
        with staged(connection, [("Ann", "ann@a.co")]):
            merge.merge(connection, "skip", "early")
            waiting = threads.submit(merged, late, "skip", [("Anna", "ANN@a.co"), ("Ben", "ben@b.co")])
            with db.connect(database, "observer") as observer:
                eventually(lambda: observer.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall())
                with staged(observer, [("Cleo", "cleo@c.co")]):
                    assert merge.count(observer, "skip") == Counts(1, 0, 0), "a look waits for nobody"
        assert waiting.result() == Counts(1, 0, 1)
    assert stored_contacts() == [("Ann", "ann@a.co", "early"), ("Ben", "ben@b.co", "new")]


@contextmanager
def meanwhile(database: str, on_conflict: str, rows: Rows) -> Iterator[tuple[db.Connection, "list[Future[Counts]]"]]:
    """A transaction of an application's, committed when a merge waits for it; and, at the end, that merge."""
    started: list[Future[Counts]] = []
    with ThreadPoolExecutor(1) as threads, db.connect(database, "late") as late, db.connect(database, "app") as app:
        with app.transaction():
            yield app, started
            started.append(threads.submit(merged, late, on_conflict, rows))
            with db.connect(database, "observer") as observer:
                eventually(lambda: observer.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall())
        started[0].exception()


def test_a_contact_that_has_another_address_by_then_keeps_its_name_and_what_is_there_no_more_is_imported(
    connection: db.Connection, database: str, stored_contacts: Stored
) -> None:
    there = [("Bob", "bob@b.co"), ("Dave", "dave@d.co"), ("Ann", "ann@a.co"), ("Anne", "ANN@a.co"), ("Eve", "eve@e.co")]
    plain(connection, there)
    rows = [("Robert", "bob@b.co"), ("David", "dave@d.co"), ("Anna", "ann@a.co"), ("Eva", "eve@e.co")]
    with meanwhile(database, "update", rows) as (app, merging):
        app.execute("UPDATE contacts SET name = 'Carol', email = 'carol@c.co' WHERE name = 'Bob'")
        app.execute("DELETE FROM contacts WHERE name IN ('Dave', 'Anne')")
        app.execute("UPDATE contacts SET name = 'Evelyn', source = 'app' WHERE name = 'Eve'")
    assert merging[0].result() == Counts(rows_imported=2, rows_updated=2, rows_skipped=0)
    assert stored_contacts() == [
        ("Carol", "carol@c.co", "before"),
        ("Anna", "ann@a.co", "before"),
        ("Eva", "eve@e.co", "app"),
        ("Robert", "bob@b.co", "new"),
        ("David", "dave@d.co", "new"),
    ]


@pytest.mark.parametrize("on_conflict", ["skip", "update"])
def test_an_address_that_must_be_unique_and_is_taken_meanwhile_is_worth_another_attempt(
    connection: db.Connection, database: str, on_conflict: str
) -> None:
    connection.execute("CREATE UNIQUE INDEX ON contacts (lower(email))")
    rows = [("Anna", "ann@a.co"), ("Ben", "ben@b.co")]
    with meanwhile(database, on_conflict, rows) as (app, merging):
        plain(app, [("Ann", "Ann@a.co")], "app")
    with pytest.raises(DatabaseUnavailable, match="SQLSTATE 23505"):
        merging[0].result()
    assert merged(connection, on_conflict, rows).rows_imported == 1


def test_what_was_staged_is_gone_with_its_transaction(connection: db.Connection, stored_contacts: Stored) -> None:
    with pytest.raises(RuntimeError), staged(connection, [("Ann", "ann@a.co")]):
        merge.merge(connection, "update", "lost")
        raise RuntimeError
    assert stored_contacts() == []
    assert merged(connection, "skip", [("Ben", "ben@b.co")]) == Counts(1, 0, 0)
    assert merged(connection, "skip", [("Ben", "ben@b.co")]) == Counts(0, 0, 1)


def test_a_table_that_was_adopted_keeps_its_own_ways(connection: db.Connection) -> None:
    connection.execute(
        'ALTER TABLE contacts ALTER name TYPE VARCHAR(5), ALTER email TYPE VARCHAR(50) COLLATE "C",'
        " ALTER email DROP NOT NULL, ALTER imported_at TYPE TIMESTAMPTZ, ALTER imported_at SET DEFAULT '2001-02-03',"
        " ADD tag TEXT NOT NULL DEFAULT 'none'"
    )
    connection.execute(
        "INSERT INTO contacts (name, email, source, tag) VALUES ('None', NULL, 's', 't'), ('Ann', 'ANN@a.co', 's', 't')"
    )
    rows = [("Anna", "ann@a.co"), ("Ben", "ben@b.co")]
    assert merged(connection, "update", rows) == Counts(1, 1, 0)
    found = connection.execute(
        "SELECT name, email, source, tag FROM contacts WHERE imported_at = '2001-02-03' ORDER BY name"
    ).fetchall()
    assert [tuple(row.values()) for row in found] == [
        ("Anna", "ANN@a.co", "s", "t"),
        ("Ben", "ben@b.co", "new", "none"),
        ("None", None, "s", "t"),
    ]
    with pytest.raises(psycopg.errors.StringDataRightTruncation), staged(connection, [("Too long", "c@c.co")]):
        pytest.fail("a value that contacts cannot hold must be refused as it is staged")


def test_a_contact_that_a_trigger_protects_or_moves_is_not_doubled(
    connection: db.Connection, stored_contacts: Stored
) -> None:
    plain(connection, [("Ann", "ann@a.co"), ("Ben", "ben@b.co")])
    connection.execute(
        """CREATE FUNCTION protect() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF old.name = 'Ann' THEN RETURN NULL; END IF;
            new.email = 'moved@b.co';
            RETURN new;
        END $$;
        CREATE TRIGGER protect BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION protect()"""
    )
    assert merged(connection, "update", [("Anna", "ann@a.co"), ("Benjamin", "ben@b.co")]) == Counts(0, 1, 1)
    assert stored_contacts() == [("Ann", "ann@a.co", "before"), ("Benjamin", "moved@b.co", "before")]


def test_an_index_on_the_address_serves_a_small_file(connection: db.Connection) -> None:
    plain(connection, EVERYBODY)
    connection.execute("CREATE INDEX by_address ON contacts (lower(email))")
    connection.execute("ANALYZE contacts")
    with staged(connection, EVERYBODY[:1]):
        merge.count(connection, "skip")
        connection.execute("DROP TABLE pg_temp.dataflow_known")
        for name in ("staging/find_known", "staging/find_outdated"):
            assert "by_address" in plan_of(connection, name)


def test_no_contact_is_compared_with_every_row_when_statistics_say_there_are_none(connection: db.Connection) -> None:
    plain(connection, EVERYBODY)
    connection.execute("CREATE INDEX by_address ON contacts (lower(email))")
    # As VACUUM leaves it where nearly all of a table was deleted, until what was imported then is analysed.
    connection.execute(
        "UPDATE pg_class SET reltuples = 1, relpages = pg_relation_size(oid) / 8192 WHERE oid = 'contacts'::regclass"
    )
    for rows in (EVERYBODY[:1], EVERYBODY):
        with staged(connection, rows):
            merge.count(connection, "update")
            connection.execute("DROP TABLE pg_temp.dataflow_known")
            plans = [plan_of(connection, "staging/find_known"), plan_of(connection, "staging/find_outdated")]
            connection.execute(query("staging/find_outdated"))
            plans += [plan_of(connection, name) for name in ("contacts/update_known", "staging/forget_vanished")]
            assert [plan for plan in plans if "Nested Loop" in plan] == []


def test_ids_ascend_in_the_table_also_where_more_contacts_are_known_than_rows_are_staged(
    connection: db.Connection,
) -> None:
    for _ in range(4):
        plain(connection, EVERYBODY[::2])
    assert merged(connection, "skip", EVERYBODY, "new") == Counts(1000, 0, 1000)
    row = connection.execute(
        "SELECT array_agg(id ORDER BY ctid) = array_agg(id ORDER BY id) AS sorted FROM contacts WHERE source = 'new'"
    )
    assert row.fetchone() == {"sorted": True}
