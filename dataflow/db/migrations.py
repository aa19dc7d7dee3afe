"""The schema of a database: whether it is what this code needs, and bringing it up to date."""

import logging
from functools import cache
from pathlib import Path

import psycopg

from dataflow.db.connection import Connection, connect, value
from dataflow.db.statements import SQL, query
from dataflow.errors import DatabaseOutdated, MigrationFailed

logger = logging.getLogger(__name__)


def require(connection: Connection) -> None:
    """Return when every migration has been applied; what those of a newer version have added does no harm.

    :raises DatabaseOutdated: naming the first that is missing.
    """
    applied = set()
    if value(connection, "has_migrations"):
        applied = {row["version"] for row in connection.execute(query("applied_migrations"))}
    if missing := [name for name in _names() if int(name.partition("_")[0]) not in applied]:
        raise DatabaseOutdated(
            f"The database lacks migration {missing[0]} (in all {len(missing)}): run `dataflow migrate`."
        )


@cache
def _names() -> list[str]:
    return sorted(path.stem for path in (SQL / "migrations").glob("*.sql"))


def migrate(url: str) -> list[str]:
    """Bring the schema up to date and return the names of the migrations applied, in order.

    Forward only, each in a transaction of its own under one advisory lock: any number of processes may call this
    at the same moment, each migration runs once.

    :raises MigrationFailed: naming the migration and what the server said.
    """
    applied = []
    with connect(url, "dataflow/migrate") as connection:
        for path in sorted((SQL / "migrations").glob("*.sql")):
            if _apply(connection, path):
                applied.append(path.stem)
                logger.info("migration applied", extra={"migration": path.stem})
    return applied


def _apply(connection: Connection, path: Path) -> bool:
    version = int(path.name.partition("_")[0])
    try:
        with connection.transaction():
            connection.execute(query("lock_migrations"))
            connection.execute(query("create_migrations"))
            if version in {row["version"] for row in connection.execute(query("applied_migrations"))}:
                return False
            connection.execute(path.read_bytes())
            connection.execute(query("record_migration"), {"version": version, "name": path.stem})
    except psycopg.Error as error:
        raise MigrationFailed(f"Migration {path.stem}: {error.diag.message_primary or error}") from error
    return True
