"""The refused rows of a job, read again: page by page, and as the file that people correct and send back.

Such a file has the columns of its original, cells as they came, and beside them where each row stood and what is wrong
with it; an import ignores these. How refused rows get into the table is left to `rejects`, HTTP to `web`.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from dataflow.db import Connection, Pool, borrowed, query
from dataflow.errors import JobError, JobUnfinished
from dataflow.formats.columns import REJECTS_COLUMNS
from dataflow.rejects import EXTRA_COLUMNS, MAX_ORIGINAL_BYTES

Reject = dict[str, Any]

#: Refused rows read in one go: with 4 KiB of each row, and what is kept beside it, 4 MB at most.
PAGE_ROWS: Final = 500
#: A refused row without columns: what it has for each field, and itself.
_FIELDS_AND_ROW: Final = ("name", "email", "_row")
_TRUNCATED: Final = f"(Only {MAX_ORIGINAL_BYTES} bytes of this row were kept: what is long in it was cut.)"


def page(connection: Connection, job_id: UUID, finished_at: datetime, after: int, limit: int) -> list[Reject]:
    """At most `limit` refused rows behind record `after`, in the order of the file.

    :param finished_at: when the job ended, as the caller knows it.
    :raises JobUnfinished: when it has been tried again since.
    """
    values = {"job_id": job_id, "finished_at": finished_at, "after": after, "limit": limit}
    found = _unchanged(connection.execute(query("list_rejects"), values).fetchall(), job_id)
    return [row for row in found if row["record"] is not None]


def every(pool: Pool, job_id: UUID, finished_at: datetime) -> Iterator[Reject]:
    """All refused rows. No connection, and no snapshot, is held between pages: whoever takes the rows may be slow.

    What has ended does not change, but the job may be tried again or forgotten while they are given; then nobody must
    take a part for the whole.

    :raises JobUnfinished: when it has been tried again.
    :raises JobError: when the rest of the rows has been removed.
    """
    with borrowed(pool) as connection:
        values = {"job_id": job_id, "finished_at": finished_at}
        [counted] = _unchanged(connection.execute(query("count_rejects"), values).fetchall(), job_id)
    given, after = 0, 0
    while given < counted["rejects"]:
        with borrowed(pool) as connection:
            rows = page(connection, job_id, finished_at, after, PAGE_ROWS)
        if not rows:
            raise JobError(f"The refused rows of job {job_id} were removed while they were being sent.")
        yield from rows
        given, after = given + len(rows), rows[-1]["record"]


def _unchanged(found: list[Reject], job_id: UUID) -> list[Reject]:
    if not found:
        raise JobUnfinished(f"Job {job_id} has just been tried again, or removed; what it had refused is gone.")
    return found


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns the rejects file of a job has in front of EXTRA_COLUMNS."""

    names: tuple[str, ...]
    places: tuple[int, ...] | None = None  #: of each among the cells of a row; None when rows are no cells
    cells: int = 0  #: of the original's header row

    @classmethod
    def of(cls, columns: Sequence[str]) -> Self:
        """The layout for a file with the header row `columns`; without one, rows are given as text.

        Columns of a rejects file that was sent back are left out, so that they do not come twice.
        """
        if not columns:
            return cls(_FIELDS_AND_ROW)
        places = tuple(at for at, column in enumerate(columns) if column.strip() not in REJECTS_COLUMNS)
        return cls(tuple(columns[at] for at in places), places, len(columns))

    def values(self, reject: Reject) -> list[object]:
        """The row's own values, one for each name, and what is said about it."""
        own = [reject["name"], reject["email"], _without_wrapping(reject["original"])]
        if self.places is not None:
            own = self._arranged(_cells(reject["original"]), reject["code"] == "wrong_column_count")
        return [*own, reject["record"], reject["line"], reject["code"], _error(reject)]

    def _arranged(self, cells: list[str], is_ragged: bool) -> list[object]:
        """One cell for each name: missing ones are empty.

        What a ragged row has too much goes with the last. In any other row it is a note beside a sheet's table, which
        was no part of the contact and must not become one.
        """
        assert self.places is not None  # noqa: S101 - tells mypy what `values` has asked
        own: list[object] = [cells[at] if at < len(cells) else "" for at in self.places]
        surplus = cells[self.cells :] if is_ragged else []
        while surplus and not surplus[-1].strip():
            surplus.pop()
        if surplus and own:
            own[-1] = ",".join([str(own[-1]), *surplus])
        return own


def csv_lines(layout: Layout, rejects: Iterable[Reject]) -> Iterator[str]:
    """RFC 4180: commas, CRLF, a header row. What is not there is an empty cell.

    Cells that a spreadsheet would take for formulas stay as they came: changed ones would be imported.
    """
    line = io.StringIO()
    writer = csv.writer(line)

    def written(values: Iterable[object]) -> str:
        line.seek(0)
        line.truncate()
        writer.writerow(values)
        return line.getvalue()

    yield written([*layout.names, *EXTRA_COLUMNS])
    for reject in rejects:
        yield written(layout.values(reject))


def ndjson_lines(layout: Layout, rejects: Iterable[Reject]) -> Iterator[str]:
    """One object a row. What is not there is null, an empty cell is an empty text."""
    keys = [*_distinct(layout.names), *EXTRA_COLUMNS]
    dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for reject in rejects:
        yield dump(dict(zip(keys, layout.values(reject), strict=True))) + "\n"


def _cells(original: str) -> list[str]:
    """The cells of a row that is kept as a JSON array."""
    try:
        cells = json.loads(original)
    except ValueError:
        return [original]
    return list(map(str, cells)) if isinstance(cells, list) else [original]


def _without_wrapping(original: str) -> str:
    """The row of a line that comes from a rejects file itself, so that rows do not grow with each attempt."""
    if '"_row"' not in original:
        return original
    try:
        row = json.loads(original)
    except (ValueError, RecursionError):
        return original
    is_ours = isinstance(row, dict) and row.keys() >= {*EXTRA_COLUMNS} and isinstance(row.get("_row"), str)
    return str(row["_row"]) if is_ours else original


def _error(reject: Reject) -> str:
    """What no other column tells: the message with its field, and whether some of the row is missing."""
    message = f"{reject['field']}: {reject['message']}" if reject["field"] else reject["message"]
    return f"{message} {_TRUNCATED}" if reject["truncated"] else message


def _distinct(names: Sequence[str]) -> list[str]:
    """Names for the members of an object: a later column of the same name is numbered, one without a name as well."""
    keys: list[str] = []
    taken = set(EXTRA_COLUMNS)
    for number, name in enumerate(names, 1):
        key = wanted = name.strip() or f"column {number}"
        count = 1
        while key in taken:
            count += 1
            key = f"{wanted} ({count})"
        taken.add(key)
        keys.append(key)
    return keys
