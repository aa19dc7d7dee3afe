"""Duplicates: the rows of a file beside one another and beside the contacts, by e-mail whatever its case.

The caller's transaction, which must read committed, runs `stage`, COPY_STAGED, then `merge` or `count`. Only merges see
one another; a plain import that commits meanwhile is not seen.
"""

from dataclasses import dataclass
from typing import Final

from dataflow.db import Connection, query, translated, value

COPY_STAGED: Final = "staging/copy"


@dataclass(frozen=True, slots=True)
class Counts:
    rows_imported: int
    rows_updated: int  #: rows that changed at least one contact
    rows_skipped: int  #: their address was there already, or comes again in the file


def stage(connection: Connection) -> None:
    connection.execute(query("staging/create"))
    connection.execute(query("staging/add_key"))


def merge(connection: Connection, on_conflict: str, source: str) -> Counts:
    """By `skip` or `update`. Other merges wait until this transaction ends, so let it be short from here on.

    :raises DatabaseUnavailable: also when another application has just taken an address that must be unique.
    """
    with translated(passing="23505"):  # unique_violation
        repeats, rows = _prepare(connection, on_conflict)
        connection.execute(query("staging/lock_merge"))
        updated = 0
        if on_conflict == "update":
            known = connection.execute(query("staging/find_outdated")).rowcount
            [found] = connection.execute(query("contacts/update_known")).fetchall()
            updated = found["row_count"]
            if found["contact_count"] < known:
                connection.execute(query("staging/forget_vanished"))
        else:
            connection.execute(query("staging/find_known"))
        imported = connection.execute(query("contacts/insert_unknown"), {"source": source}).rowcount
    return Counts(imported, updated, repeats + rows - imported - updated)


def count(connection: Connection, on_conflict: str) -> Counts:
    """What `merge` would do at this moment, without waiting for others."""
    repeats, rows = _prepare(connection, on_conflict)
    connection.execute(query("staging/find_known"))
    known = value(connection, "staging/count_known")
    if on_conflict == "update":
        return Counts(rows - known, known, repeats)
    return Counts(rows - known, 0, repeats + known)


def _prepare(connection: Connection, on_conflict: str) -> tuple[int, int]:
    """How many rows the file itself makes superfluous, and how many are left, each with an address of its own."""
    connection.execute(query("staging/configure"))
    [staged] = connection.execute(query("staging/count")).fetchall()
    repeats, rows = 0, staged["row_count"]
    if staged["address_count"] < rows:
        is_last_kept = on_conflict == "update"
        repeats = connection.execute(query("staging/drop_repeats"), {"is_last_kept": is_last_kept}).rowcount
        rows -= repeats
    connection.execute(query("staging/analyze"))
    distributed_bytes = value(connection, "contacts/citus_bytes") if value(connection, "server/has_citus") else None
    plan = {"row_count": rows, "distributed_bytes": distributed_bytes}
    connection.execute(query("staging/plan_merge"), plan)
    return repeats, rows
