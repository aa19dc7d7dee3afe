"""The schema of a database: whether it is what this code needs, and bringing it up to date."""

import logging
from functools import cache

import psycopg

from dataflow.db.connection import Connection, connect, value
from dataflow.db.statements import SQL, query
from dataflow.errors import DatabaseError

logger = logging.getLogger(__name__)


def require(connection: Connection) -> None:
    """Return when every migration has been applied; what those of a newer version have added does no harm.

    :raises DatabaseError: database_outdated naming the first that is missing, or that has another name here.
    """
    applied = _applied(connection) if value(connection, "migrations/exist") else {}
    if difference := _difference(applied):
        raise DatabaseError(difference, code="database_outdated")
    if missing := [name for version, name in _names().items() if version not in applied]:
        raise DatabaseError(
            f"The database lacks migration {missing[0]} (in all {len(missing)}): run `dataflow migrate`.",
            code="database_outdated",
        )


def migrate(url: str) -> list[str]:
    """Bring the schema up to date and return the names of the migrations applied, in order.

    Forward only, each in a transaction of its own under one advisory lock: any number of processes may call this
    at the same moment, each migration runs once.

    :raises DatabaseError: migration_failed naming the migration that the server refused, or that has another name here.
    """
    with connect(url, "dataflow/migrate") as connection:
        return [name for version, name in _names().items() if _apply(connection, version, name)]


def _apply(connection: Connection, version: int, name: str) -> bool:
    try:
        with connection.transaction():
            connection.execute(query("migrations/lock"))
            connection.execute(query("migrations/create_table"))
            applied = _applied(connection)
            if difference := _difference(applied):
                raise DatabaseError(difference, code="migration_failed")
            if version in applied:
                return False
            connection.execute((SQL / "migrations" / f"{name}.sql").read_bytes())
            connection.execute(query("migrations/record"), {"version": version, "name": name})
    except psycopg.Error as error:
        raise DatabaseError(
            f"Migration {name}: {error.diag.message_primary or error}", code="migration_failed"
        ) from error
    logger.info("migration applied", extra={"migration": name})
    return True


def _applied(connection: Connection) -> dict[int, str]:
    return {row["version"]: row["name"] for row in connection.execute(query("migrations/applied"))}


def _difference(applied: dict[int, str]) -> str | None:
    """What to say of a database that other migrations have made; None of one that lacks some, or has newer ones."""
    for version, name in _names().items():
        if (other := applied.get(version, name)) != name:
            return (
                f"The database has migration {other} where this program has {name}: another version has made it. "
                "Run that version, or use a new database."
            )
    return None


@cache
def _names() -> dict[int, str]:
    """Our migrations by version, in order."""
    return {int(path.name.partition("_")[0]): path.stem for path in sorted((SQL / "migrations").glob("*.sql"))}
