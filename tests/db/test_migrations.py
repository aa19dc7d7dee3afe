"""Migrations: forward only, safe at any time and any number at once, and kind to a contacts table that is there."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dataflow import db
from dataflow.db import migrations
from dataflow.errors import DatabaseError, DatabaseUnavailable
from tests.support.databases import on_server
from tests.support.errors import has_code

CONTRACT = [
    ("id", "uuid", "NO", "gen_random_uuid()"),
    ("name", "text", "NO", None),
    ("email", "text", "NO", None),
    ("source", "text", "NO", None),
    ("imported_at", "timestamp without time zone", "YES", "now()"),
]


def run(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_contacts_is_created_exactly_as_the_contract_says(database: str) -> None:
    columns = run(
        database,
        "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns"
        " WHERE table_name = 'contacts' ORDER BY ordinal_position",
    )
    assert columns == CONTRACT


def test_every_column_of_jobs_carries_a_comment(database: str) -> None:
    silent = run(
        database,
        "SELECT attname FROM pg_attribute WHERE attrelid = 'jobs'::regclass AND attnum > 0"
        " AND col_description(attrelid, attnum) IS NULL",
    )
    assert silent == []


def test_held_jobs_has_every_column_of_jobs(database: str) -> None:
    columns = "SELECT attname FROM pg_attribute WHERE attrelid = '{}'::regclass AND attnum > 0 ORDER BY attnum"
    assert run(database, columns.format("held_jobs")) == run(database, columns.format("jobs"))


def test_ten_processes_migrating_at_once_apply_each_migration_once(empty_database: str) -> None:
    program = f"from dataflow import db; print(len(db.migrate({empty_database!r})))"
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(10)
    ]
    applied = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * 10
    assert sum(applied) == len(list((db.SQL / "migrations").glob("*.sql")))


def test_a_second_migrate_changes_nothing(empty_database: str) -> None:
    assert db.migrate(empty_database) != []
    assert db.migrate(empty_database) == []


#: The first of those that were folded before anybody ran them.
OLD_NAMES = ("0001_contacts", "0002_jobs", "0003_job_triggers")
OF_ANOTHER = (
    "The database has migration 0002_jobs where this program has 0002_database_id: another version has made it. "
    "Run that version, or use a new database."
)


def test_a_database_that_other_migrations_have_made_is_refused_and_left_as_it_is(empty_database: str) -> None:
    with db.connect(empty_database, "dataflow/test") as connection:
        connection.execute(db.query("migrations/create_table"))
        for version, name in enumerate(OLD_NAMES, start=1):
            connection.execute(db.query("migrations/record"), {"version": version, "name": name})
        with pytest.raises(DatabaseError, check=has_code("migration_failed")) as refusal:
            db.migrate(empty_database)
        assert refusal.value.message == OF_ANOTHER
        with pytest.raises(DatabaseError, check=has_code("database_outdated")) as outdated:
            migrations.require(connection)
        assert outdated.value.message == OF_ANOTHER
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert tables == [{"tablename": "dataflow_migrations"}]
        assert len(connection.execute(db.query("migrations/applied")).fetchall()) == len(OLD_NAMES)


def test_one_that_differs_behind_those_that_are_missing_is_refused_before_they_are_applied(empty_database: str) -> None:
    with db.connect(empty_database, "dataflow/test") as connection:
        connection.execute(db.query("migrations/create_table"))
        connection.execute(db.query("migrations/record"), {"version": 5, "name": "0005_supabase_roles"})
    with pytest.raises(
        DatabaseError,
        match=r"0005_supabase_roles where this program has 0005_job_counts: ",
        check=has_code("migration_failed"),
    ):
        db.migrate(empty_database)
    assert run(empty_database, "SELECT to_regclass('contacts')") == [(None,)]


@pytest.fixture
def own_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of migrations, in the place of ours, which a test may change."""
    shutil.copytree(db.SQL / "migrations", tmp_path / "migrations")
    monkeypatch.setattr(migrations, "SQL", tmp_path)
    migrations._names.cache_clear()
    yield tmp_path / "migrations"
    migrations._names.cache_clear()


def test_a_migration_that_was_renamed_after_it_had_been_applied_is_refused(
    empty_database: str, own_migrations: Path
) -> None:
    db.migrate(empty_database)
    (own_migrations / "0003_jobs.sql").rename(own_migrations / "0003_work.sql")
    migrations._names.cache_clear()
    with pytest.raises(
        DatabaseError,
        match="has migration 0003_jobs where this program has 0003_work",
        check=has_code("migration_failed"),
    ):
        db.migrate(empty_database)


def test_a_program_serves_a_database_that_a_newer_one_has_migrated(empty_database: str, own_migrations: Path) -> None:
    (own_migrations / "0999_more.sql").write_text("CREATE TABLE more ()")
    migrations._names.cache_clear()
    assert db.migrate(empty_database)[-1] == "0999_more"
    (own_migrations / "0999_more.sql").unlink()
    migrations._names.cache_clear()
    assert db.migrate(empty_database) == []
    with db.connect(empty_database, "dataflow/test") as connection:
        migrations.require(connection)


def test_a_migration_that_fails_leaves_nothing_of_itself_and_is_tried_again(
    empty_database: str, own_migrations: Path
) -> None:
    broken = own_migrations / "0999_more.sql"
    broken.write_text("CREATE TABLE more (); SELECT 1 / 0")
    migrations._names.cache_clear()
    with pytest.raises(
        DatabaseError, match=r"^Migration 0999_more: division by zero$", check=has_code("migration_failed")
    ):
        db.migrate(empty_database)
    assert run(empty_database, "SELECT to_regclass('more')") == [(None,)]
    broken.write_text("CREATE TABLE more ()")
    assert db.migrate(empty_database) == ["0999_more"]


def test_jobs_of_the_release_before_are_as_they_were_when_exports_come(
    empty_database: str, own_migrations: Path
) -> None:
    later = [path for path in sorted(own_migrations.glob("*.sql")) if path.name >= "0014"]
    texts = {path: path.read_text() for path in later}
    for path in later:
        path.unlink()
    migrations._names.cache_clear()
    db.migrate(empty_database)
    run(
        empty_database,
        "INSERT INTO jobs (id, state, source, bytes_total, digests) "
        "VALUES (gen_random_uuid(), 'queued', 's', 1, '[[1]]');"
        "UPDATE jobs SET state = 'cancelled'; UPDATE jobs SET state = 'queued'",
    )
    for path, text in texts.items():
        path.write_text(text)
    migrations._names.cache_clear()
    assert db.migrate(empty_database)[0] == "0014_export_jobs"
    run(empty_database, "UPDATE jobs SET state = 'cancelled'")
    assert run(
        empty_database, "SELECT state, rows_exported, kept_until, rows FROM jobs JOIN job_status USING (id, state)"
    ) == [("cancelled", 0, None, 0)]


def test_migrations_are_numbered_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in sorted((db.SQL / "migrations").glob("*.sql"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_statement_begins_with_a_comment_that_says_why() -> None:
    for path in db.SQL.rglob("*.sql"):
        assert path.read_text().startswith("-- "), path.name


def test_a_contacts_table_that_fits_is_adopted_with_its_rows_and_extra_columns(empty_database: str) -> None:
    # The nullable columns are those of the original exercise.
    run(
        empty_database,
        "CREATE TABLE contacts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text, email text, source text,"
        " imported_at timestamp DEFAULT now(), phone text, rank int NOT NULL DEFAULT 0);"
        " INSERT INTO contacts (name, email, source) VALUES ('a', 'a@example.com', 's')",
    )
    db.migrate(empty_database)
    assert run(empty_database, "SELECT name FROM contacts") == [("a",)]


def test_a_contacts_table_that_does_not_fit_is_refused_naming_every_difference(empty_database: str) -> None:
    run(
        empty_database,
        "CREATE TABLE contacts (id bigint, name varchar(20), source text, imported_at timestamp, tag text NOT NULL)",
    )
    with pytest.raises(DatabaseError, check=has_code("migration_failed")) as refusal:
        db.migrate(empty_database)
    for difference in (
        "column email is missing",
        "column id is bigint, expected uuid",
        "column name is character varying(20), expected text",
        "column imported_at has no default",
        "column tag is NOT NULL without a default",
        "column id is not the primary key",
    ):
        assert difference in refusal.value.message
    assert run(empty_database, "SELECT to_regclass('jobs')") == [(None,)]


@pytest.fixture
def supabase_roles(server: str) -> Iterator[None]:
    """The two roles that every Supabase project has, for as long as a test runs."""
    for name in ("anon", "authenticated"):
        on_server(server, "CREATE ROLE {name}", name)
    yield
    for name in ("anon", "authenticated"):
        on_server(server, "DROP ROLE {name}", name)


TABLES = (
    *("contacts", "jobs", "job_counts", "rejects", "worker_beats", "rate_limits", "idempotency_keys"),
    *("dataflow_migrations", "unfinished_objects"),
)


@pytest.mark.usefixtures("supabase_roles")
def test_on_supabase_the_browser_roles_can_read_nothing_of_ours(empty_database: str) -> None:
    # Supabase grants everything in public to its roles by default; so does this database.
    run(empty_database, "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated")
    db.migrate(empty_database)
    secured = run(empty_database, "SELECT relname FROM pg_class WHERE relrowsecurity ORDER BY relname")
    assert secured == [(table,) for table in sorted(TABLES)]
    for table in (*TABLES, "job_status", "held_jobs"):
        for role in ("anon", "authenticated"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                run(empty_database, f"SET ROLE {role}; SELECT * FROM {table}")
    run(empty_database, "DROP OWNED BY anon, authenticated")


@pytest.mark.usefixtures("supabase_roles")
def test_an_adopted_contacts_table_keeps_its_grants_and_policies(empty_database: str) -> None:
    run(
        empty_database,
        "CREATE TABLE contacts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL,"
        " email text NOT NULL, source text NOT NULL, imported_at timestamp DEFAULT now());"
        " GRANT SELECT ON contacts TO anon",
    )
    db.migrate(empty_database)
    assert run(empty_database, "SELECT relrowsecurity FROM pg_class WHERE relname = 'contacts'") == [(False,)]
    assert run(empty_database, "SELECT has_table_privilege('anon', 'contacts', 'SELECT')") == [(True,)]
    run(empty_database, "DROP OWNED BY anon, authenticated")


def test_a_server_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        db.migrate("postgresql://postgres@/postgres?host=/nonexistent")
