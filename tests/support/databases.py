"""Databases on the server that the tests have: made by statements, and put back to how the migrations left them."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from dataflow import db

#: Sessions that a killed process has left behind may hold locks for a while yet.
END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'dataflow/web'
"""
#: Made by initdb are the objects below this number.
FIRST_OWN_OID = 16384
#: Changes with every statement that defines something, or measures a table for the planner, but with no row.
FINGERPRINT = f"""
SELECT md5(string_agg(fact, ' ' ORDER BY fact)) FROM (
    SELECT concat_ws(' ', oid, relname, relkind, relowner, relacl, reloptions, relnatts, relchecks, relhasrules,
        relhastriggers, relrowsecurity, relforcerowsecurity, relnamespace, relpersistence, reltablespace)
        FROM pg_class WHERE oid >= {FIRST_OWN_OID} AND relnamespace <> 'pg_toast'::regnamespace
    UNION ALL SELECT concat_ws(' ', attrelid, attnum, xmin) FROM pg_attribute WHERE attrelid >= {FIRST_OWN_OID}
    UNION ALL SELECT concat_ws(' ', oid, xmin) FROM pg_attrdef
    UNION ALL SELECT concat_ws(' ', oid, xmin) FROM pg_constraint WHERE oid >= {FIRST_OWN_OID}
    UNION ALL SELECT concat_ws(' ', indexrelid, xmin) FROM pg_index WHERE indexrelid >= {FIRST_OWN_OID}
    UNION ALL SELECT concat_ws(' ', oid, xmin) FROM pg_trigger
    UNION ALL SELECT concat_ws(' ', oid, xmin) FROM pg_proc WHERE oid >= {FIRST_OWN_OID}
    UNION ALL SELECT concat_ws(' ', oid, xmin) FROM pg_rewrite WHERE oid >= {FIRST_OWN_OID}
    UNION ALL SELECT concat_ws(' ', oid, xmin) FROM pg_type WHERE oid >= {FIRST_OWN_OID}
    UNION ALL SELECT concat_ws(' ', oid, xmin) FROM pg_policy
    UNION ALL SELECT concat_ws(' ', oid, xmin) FROM pg_event_trigger
    UNION ALL SELECT concat_ws(' ', oid, xmin) FROM pg_extension
    UNION ALL SELECT concat_ws(' ', oid, xmin) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'
    UNION ALL SELECT concat_ws(' ', setrole, setconfig) FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT concat_ws(' ', schemaname, tablename, attname) FROM pg_stats WHERE schemaname = 'public'
) AS facts (fact)
"""
TABLES = "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
GROWN_TABLES = (
    "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
    "AND pg_relation_size(oid) > %s"
)
LARGE_BYTES = 256 << 10
REMAKE = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"


def on_server(server: str, statement: str, name: str, **names: str) -> None:
    identifiers = {key: sql.Identifier(value) for key, value in {"name": name, **names}.items()}
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(**identifiers))


def url_of(server: str, name: str) -> str:
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


@dataclass(slots=True)
class MigratedDatabase:
    """One that is put back after each test: emptied, or made anew if a test has left its definitions changed."""

    url: str
    fingerprint: str
    rows: dict[str, bytes]  #: what the migrations have put into tables

    @classmethod
    def at(cls, url: str) -> Self:
        """One that is as the migrations left it."""
        found = cls(url, "", {})
        with psycopg.connect(url, autocommit=True) as session:
            found._remember(session)
        return found

    def put_back(self, with_new_tables: bool = False) -> None:
        """Make it as the migrations leave it; sessions of web processes live on."""
        with psycopg.connect(self.url, autocommit=True) as session:
            session.execute(END_SESSIONS.encode())
            if self._fingerprint(session) == self.fingerprint and not with_new_tables:
                self._empty(session)
            else:
                session.execute(REMAKE.encode())
                db.migrate(self.url)
                self._remember(session)

    def _empty(self, session: psycopg.Connection) -> None:
        """TRUNCATE makes new files for a table and each of its indexes, so it is kept for tables that have grown."""
        with session.transaction(), session.cursor() as cursor:
            grown = {row[0] for row in cursor.execute(GROWN_TABLES, [LARGE_BYTES]).fetchall()}
            # The trigger of `jobs` counts what is deleted, so that `job_counts` comes after it.
            for table in sorted(self.rows, reverse=True):
                cursor.execute(f"{'TRUNCATE' if table in grown else 'DELETE FROM'} {table}".encode())
            for table, rows in self.rows.items():
                if rows:
                    with cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
                        copy.write(rows)

    def _remember(self, session: psycopg.Connection) -> None:
        self.fingerprint = self._fingerprint(session)
        self.rows = {}
        for (table,) in session.execute(TABLES).fetchall():
            with session.cursor() as cursor, cursor.copy(f"COPY {table} TO STDOUT".encode()) as copy:
                self.rows[table] = b"".join(copy)

    @staticmethod
    def _fingerprint(session: psycopg.Connection) -> str:
        row = session.execute(FINGERPRINT.encode()).fetchone()
        assert row is not None
        return str(row[0])
