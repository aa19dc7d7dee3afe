"""What Postgres and its driver raise becomes ours, in words of ours: the server's own may quote a row.

A trigger raises what its author likes, a cast quotes the value that it refuses, and `detail` has the key that was there
already. What is said instead: the condition, its SQLSTATE, and what the server names, which is of the schema. The
server's log has the rest.
"""

import re

import psycopg

from dataflow.errors import DatabaseError, DatabaseUnavailable, StatementCancelled

#: SQLSTATEs, or their first characters, of what passes: connection, transaction rollback, resources but for configured
#: limits (53400), operator intervention; a standby that becomes the primary, time-outs of an administrator's, a disk's
#: error, and a table that is missing while somebody restores it.
_RESOURCES = ("53000", "53100", "53200", "53300")
_PASSING = ("08", "40", *_RESOURCES, "57P", "25006", "25P03", "25P04", "55P03", "58030", "42P01")
#: Somebody has cancelled the statement (57014, query_canceled).
_CANCELLED = "57014"
#: The innermost function of a call stack: `PL/pgSQL function check_it() line 3 at RAISE`.
_FUNCTION = re.compile(r'PL/[^\n"]*?([\w.]+)\(')
#: Where functions raise on purpose (pl_exec.c, plpy_elog.c, plperl.c): the names are then what their author likes.
_RAISED_IN = ("pl_", "plpy_", "plperl", "pltcl")
#: The longest name that Postgres has, with its schema: no room for a text.
_NAME = re.compile(r"[\w.$-]{1,127}")


def translate(error: psycopg.Error, passing: str | None = None) -> DatabaseError:
    """Our error for a vendor error; the SQLSTATE `passing` is one that passes here."""
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


def connection_failure(error: BaseException) -> str | None:
    """What the driver says of a connection that failed, for operators; None when `error` comes of anything else."""
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
