"""Duplicates: the rows of a file beside one another and beside the contacts, by e-mail whatever its case.

`stage`, COPY of (id, name, email) by the query COPY_STAGED, then `merge` or `count`: all in one transaction of the
caller's, which must read committed. Only merges see one another; a plain import that commits meanwhile is not seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dataflow.db import Connection, lock_within, query

COPY_STAGED: Final = "copy_staged"
#: How long to wait for another merge before saying that this one still waits.
TURN_SECONDS: Final = 10.0

Step = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the staged rows; together they are all of them."""

    rows_imported: int
    rows_updated: int  #: rows that changed at least one contact
    rows_skipped: int  #: their address was there already, or comes again in the file


def stage(connection: Connection) -> None:
    """Make the table for COPY_STAGED, which is gone when the transaction ends."""
    connection.execute(query("create_staging"))
    connection.execute(query("add_staging_key"))


def merge(connection: Connection, on_conflict: str, source: str, step: Step = lambda: None) -> Counts:
    """Bring the staged rows into contacts, by `skip` or `update`; waits for merges of other transactions to end.

    The others wait in turn until this transaction ends, so let it be short from here on. `step` is called between the
    statements, and now and then while it waits; what it raises ends the merge.
    """
    repeats, rows = _prepare(connection, on_conflict, step)
    # Whoever waits for its turn leaves the queue for a moment to call `step`; those behind it may pass.
    while not lock_within(connection, "lock_merge", TURN_SECONDS):
        step()
    step()
    updated = 0
    if on_conflict == "update":
        connection.execute(query("find_outdated"))
        step()
        updated = _row_count(connection, "update_known")
    else:
        connection.execute(query("find_known"))
    step()
    imported = connection.execute(query("insert_unknown"), {"source": source}).rowcount
    return Counts(imported, updated, repeats + rows - imported - updated)


def count(connection: Connection, on_conflict: str, step: Step = lambda: None) -> Counts:
    """What `merge` would do at this moment. Waits for nobody."""
    repeats, rows = _prepare(connection, on_conflict, step)
    connection.execute(query("find_known"))
    step()
    known = _row_count(connection, "count_known")
    if on_conflict == "update":
        return Counts(rows - known, known, repeats)
    return Counts(rows - known, 0, repeats + known)


def _prepare(connection: Connection, on_conflict: str, step: Step) -> tuple[int, int]:
    """How many rows the file itself makes superfluous, and how many are left, each with an address of its own.

    All that can be done before others have to wait.
    """
    repeats = connection.execute(query("drop_repeats"), {"is_last_kept": on_conflict == "update"}).rowcount
    step()
    connection.execute(query("analyze_staged"))
    step()
    return repeats, _row_count(connection, "plan_merge")


def _row_count(connection: Connection, name: str) -> int:
    row = connection.execute(query(name)).fetchone()
    return int(row["row_count"]) if row else 0
