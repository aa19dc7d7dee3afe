"""Whether the schema of a database is what this code needs; bringing it up to date is left to `connection.migrate`."""

from functools import cache

from dataflow.db import SQL, Connection, query, value
from dataflow.errors import DatabaseOutdated


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
