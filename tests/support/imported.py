"""Imports that have succeeded, put into the database without a file."""

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from dataflow.db import Connection
from dataflow.ids import IdRange, uuid7

_ENDED = """
INSERT INTO jobs (id, state, source, finished_at, object_key, object_deleted_at, digests, rows_read, rows_imported,
                  rows_updated, first_contact_id, last_contact_id)
VALUES (%s, 'succeeded', %s, now(), 'k.csv', now(), %s, %s, %s, %s, %s, %s)
"""


def imported(connection: Connection, rows: int, source: str = "crm", rows_updated: int = 0) -> UUID:
    """The id of one that has created so many contacts, and changed others."""
    job_id, ids = uuid7(), IdRange()
    with connection.transaction(), connection.cursor() as cursor:
        if rows:
            high, lows = ids.take(rows)
            with cursor.copy("COPY contacts (id, name, email, source) FROM STDIN") as copy:
                lines = [f"{high}{low}\tName\tuser{row}@example.com\t{source}\n" for row, low in enumerate(lows)]
                copy.write("".join(lines))
        digests = Jsonb([[10, "0" * 64]])
        counts = [rows + rows_updated, rows, rows_updated]
        cursor.execute(_ENDED, [job_id, source, digests, *counts, ids.first, ids.last])
    return job_id


def count_contacts(connection: Connection, source: str = "crm") -> int:
    """How many contacts have this source."""
    [row] = connection.execute("SELECT count(*) AS contacts FROM contacts WHERE source = %s", [source]).fetchall()
    return int(row["contacts"])


def row_of(connection: Connection, job_id: UUID | str) -> dict[str, Any]:
    """All of a job."""
    row = connection.execute("SELECT * FROM jobs WHERE id = %s", [job_id]).fetchone()
    assert row is not None
    return row
