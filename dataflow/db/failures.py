"""Errors of Postgres and its driver become ours: the condition, its SQLSTATE and the names in the schema.

The server's own text may quote a row: a cast quotes the value that it refuses, a trigger raises what its author likes.
"""

import re

import psycopg

from dataflow.errors import DatabaseError, DatabaseUnavailable, StatementCancelled, TooManyConnections

#: SQLSTATEs, or their first characters, of what passes. Of the resources all but configured limits (53400); 25006 is a
#: standby that becomes the primary, 42P01 a table that is missing while somebody restores it.
_RESOURCES = ("53000", "53100", "53200", "53300")
_PASSING = ("08", "40", *_RESOURCES, "57P", "25006", "25P03", "25P04", "55P03", "58030", "42P01")
_CANCELLED = "57014"
#: The limit that a text is about. Of an attempt to connect libpq passes on only the text, and so do nodes and poolers.
_TOO_MANY = {
    r"too many connections for role": "the CONNECTION LIMIT of the role",
    r"too many connections for database": "the CONNECTION LIMIT of the database",
    r"too many clients already|remaining connection slots are reserved": "max_connections of the server",
    r"max_(?:db_|user_)?client_conn|max client(?: connection)?s reached": "the number of clients of the pooler",
    r"too many (?:\w+ )?connections": "a limit",
}
#: Connections that failed, internal and system errors may be about that, too.
_FAILED_TO_CONNECT = ("08", "58000", "XX000")
_FULL = "53300"
_FUNCTION = re.compile(r'PL/[^\n"]*?([\w.]+)\(')  #: as in `PL/pgSQL function check_it() line 3 at RAISE`
#: Source files of the server where functions raise on purpose, with any text for a name.
_RAISED_IN = ("pl_", "plpy_", "plperl", "pltcl")
_NAME = re.compile(r"[\w.$-]{1,127}")  #: as long as a name with its schema can be: no room for a text


def translate(error: psycopg.Error, passing: str | None = None) -> DatabaseError:
    """Our error for one of the driver; the SQLSTATE `passing` is worth another attempt here."""
    if full := _too_many_connections(error):
        return full
    if error.sqlstate is None:
        if isinstance(error, psycopg.OperationalError):
            return DatabaseUnavailable("The database cannot be reached, or the connection to it broke.")
        return DatabaseError(f"The database driver failed ({type(error).__name__}).")
    text = _described(error)
    if error.sqlstate == _CANCELLED:
        return StatementCancelled(f"The statement was cancelled in the database: {text}.")
    if error.sqlstate == passing or error.sqlstate.startswith(_PASSING):
        return DatabaseUnavailable(f"The database gave up for now: {text}.")
    return DatabaseError(f"The database refused: {text}.")


def _too_many_connections(error: psycopg.Error) -> TooManyConnections | None:
    said, where = str(error), ""
    if error.sqlstate is not None:
        if not error.sqlstate.startswith((_FULL, *_FAILED_TO_CONNECT)):
            return None
        said, where = f"{error.diag.message_primary} {error.diag.message_detail}", f" ({_described(error)})"
    limits = [limit for pattern, limit in _TOO_MANY.items() if re.search(pattern, said, re.IGNORECASE)]
    if error.sqlstate == _FULL:
        limits.append("a limit")
    if not limits:
        return None
    reached = f"{limits[0]} is reached{where}"
    return TooManyConnections(
        f"The database has too many connections: {reached}. Raise it, or lower WEB_CONCURRENCY or WORKER_CONCURRENCY."
    )


def connection_failure(error: BaseException) -> str | None:
    """The driver's text about a connection that failed, for operators; None when `error` has another cause."""
    origin = error.__cause__ or error
    if isinstance(origin, psycopg.OperationalError) and origin.sqlstate is None:
        return str(origin).strip().partition("\n")[0]
    return None


def _described(error: psycopg.Error) -> str:
    """`check violation (SQLSTATE 23514, constraint short, table contacts)`."""
    condition = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).strip("_").lower()
    diag, named = error.diag, {}
    if not (diag.source_file or "").startswith(_RAISED_IN):
        named = {"constraint": diag.constraint_name, "column": diag.column_name, "table": diag.table_name}
    if function := _FUNCTION.match(diag.context or ""):
        named["function"] = function[1]
    names = [f"{what} {name}" for what, name in named.items() if name and _NAME.fullmatch(name)]
    return f"{condition} ({', '.join([f'SQLSTATE {error.sqlstate}', *names])})"
