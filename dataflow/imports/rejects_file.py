"""The refused rows of a job, read again: page by page, and as the file that people correct and send back.

Such a file has the columns of its original, and beside them where each row stood and what is wrong with it, which an
import ignores. Sent back as it is, each row is refused again, for MARK if for nothing else. `rejects` fills the table.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from dataflow.db import Connection, Pool, borrowed, query
from dataflow.errors import InputError, JobError
from dataflow.formats.block import WRONG_COLUMN_COUNT
from dataflow.formats.columns.contact_columns import REJECTS_COLUMNS, Columns, require
from dataflow.formats.reading import Mapping
from dataflow.text import MARK

Reject = dict[str, Any]

#: Refused rows read in one go: with 4 KiB of each row, and what is kept beside it, 4 MB at most.
PAGE_ROWS: Final = 500
_ROW_COLUMN, *_EXTRA_COLUMNS = REJECTS_COLUMNS
#: A refused row without columns: what it has for each field, and itself.
_FIELDS_AND_ROW: Final = ("name", "email", _ROW_COLUMN)
_TRUNCATED: Final = "(This row is too long to be kept whole: what was cut must be written anew.)"


def page(connection: Connection, job_id: UUID, finished_at: datetime, after: int, limit: int) -> list[Reject]:
    """At most `limit` refused rows behind record `after` of a job that ended at `finished_at`.

    :raises JobError: job_unfinished when it has been tried again since.
    """
    values = {"job_id": job_id, "finished_at": finished_at, "after": after, "limit": limit}
    found = _unchanged(connection.execute(query("rejects/list"), values).fetchall(), job_id)
    return [row for row in found if row["record"] is not None]


def every(pool: Pool, job_id: UUID, finished_at: datetime) -> Iterator[Reject]:
    """All refused rows. No connection or snapshot is held between pages, because who takes the rows may be slow.

    :raises JobError: job_unfinished when it has been tried again.
    :raises JobError: when the rest of the rows has been removed.
    """
    with borrowed(pool) as connection:
        values = {"job_id": job_id, "finished_at": finished_at}
        [counted] = _unchanged(connection.execute(query("rejects/count"), values).fetchall(), job_id)
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
        raise JobError(
            f"Job {job_id} has just been tried again, or removed; what it had refused is gone.", code="job_unfinished"
        )
    return found


@dataclass(frozen=True, slots=True)
class Layout:
    own: tuple[str, ...]
    said: tuple[str, ...] = tuple(_EXTRA_COLUMNS)  #: numbered where name or e-mail is made of one that is called so
    width: int = 0  #: of the original's header row; 0 when rows are no cells
    names: tuple[int, ...] = ()  #: the columns that make up the name, best first
    reach: int = 0  #: how many cells a row needs, so that none of name and e-mail is missing

    @classmethod
    def of(cls, header: Sequence[str], mapping: Mapping | None) -> Self:
        """The layout for a file with this header row, which may be a rejects file's: our columns come once."""
        if not header:
            return cls(_FIELDS_AND_ROW)
        found = Columns(((0,),), ())  # when another version has read it
        with suppress(InputError):
            found = require(header, mapping)
        titles = [column.strip() for column in header]
        used = {titles[at] for at in found.used}
        said = tuple(f"{column} (2)" if column in used else column for column in _EXTRA_COLUMNS)
        while titles and not titles[-1]:
            titles.pop()  # spreadsheets add empty columns
        end = len(titles) - len(said)
        own = header[:end] if titles[end:] == [*said] else header
        return cls(tuple(own), said, len(header), tuple(at for place in found.names for at in place), found.reach)

    def values(self, reject: Reject) -> list[object]:
        if self.width:
            own: list[Any] = self._arranged(_cells(reject["original"]), reject["code"] == WRONG_COLUMN_COUNT)
        else:
            own = [reject["name"], reject["email"], _without_wrapping(reject["original"])]
        return [*own, reject["record"], reject["line"], reject["code"], _error(reject)]

    def _arranged(self, cells: list[str], is_ragged: bool) -> list[str]:
        """One cell for each own column; the surplus of a ragged row goes with the last, else it is a note.

        Filled up or joined, half of a name could be one: it is marked, and so refused until somebody writes it anew.
        """
        count = len(self.own)
        own = cells[:count] + [""] * (count - len(cells))
        if is_ragged and len(cells) > self.width:
            own[-1] = ",".join(cells[count - 1 :]).rstrip(", ")
        if is_ragged or len(cells) < self.reach:
            name = next((at for at in self.names if own[at].strip()), None)
            if name is not None and MARK not in own[name]:
                own[name] = MARK + own[name]
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

    yield written([*layout.own, *layout.said])
    for reject in rejects:
        yield written(layout.values(reject))


def ndjson_lines(layout: Layout, rejects: Iterable[Reject]) -> Iterator[str]:
    """One object a row. What is not there is null, an empty cell is an empty text."""
    keys = [*_distinct(layout), *layout.said]
    dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for reject in rejects:
        yield dump(dict(zip(keys, layout.values(reject), strict=True))) + "\n"


def _cells(original: str) -> list[str]:
    try:
        cells = json.loads(original)
    except ValueError:
        return [original]
    return list(map(str, cells)) if isinstance(cells, list) else [original]


def _without_wrapping(original: str) -> str:
    """The row within a line of a rejects file, so that rows do not grow with each attempt."""
    if f'"{_ROW_COLUMN}"' not in original:
        return original
    try:
        row = json.loads(original)
    except (ValueError, RecursionError):
        return original
    is_ours = isinstance(row, dict) and row.keys() >= {*_EXTRA_COLUMNS} and isinstance(row.get(_ROW_COLUMN), str)
    return str(row[_ROW_COLUMN]) if is_ours else original


def _error(reject: Reject) -> str:
    """The message with its field, and what to do about a row that is not whole."""
    message = f"{reject['field']}: {reject['message']}" if reject["field"] else reject["message"]
    if reject["code"] == WRONG_COLUMN_COUNT:
        message += ". Write the name anew when the row is right."
    return f"{message} {_TRUNCATED}" if reject["truncated"] else message


def _distinct(layout: Layout) -> list[str]:
    """Names for the members of an object: repeated and empty ones are numbered."""
    keys: list[str] = []
    taken = set(layout.said)
    for number, name in enumerate(layout.own, 1):
        key = wanted = name.strip() or f"column {number}"
        count = 1
        while key in taken:
            count += 1
            key = f"{wanted} ({count})"
        taken.add(key)
        keys.append(key)
    return keys
