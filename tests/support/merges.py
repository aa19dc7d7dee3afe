"""Contacts that are there, and contacts that an import merges with them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dataflow import db
from dataflow.contacts import copy_text
from dataflow.db import query
from dataflow.ids import IdRange
from dataflow.imports import merge
from dataflow.imports.merge import Counts

Rows = Sequence[tuple[str, str]]


@contextmanager
def staged(connection: db.Connection, rows: Rows) -> Iterator[None]:
    """A transaction as an import opens it, with its rows staged in the order of the file."""
    with connection.transaction():
        connection.execute(query("session/configure_import"))
        merge.stage(connection)
        copy(connection, merge.COPY_STAGED, rows, None)
        yield


def copy(connection: db.Connection, statement: str, rows: Rows, source: str | None) -> None:
    names, emails = zip(*rows, strict=True)
    with connection.cursor() as cursor, cursor.copy(query(statement)) as opened:
        opened.write(copy_text.copy_lines(names, emails, source, IdRange()))


def plain(connection: db.Connection, rows: Rows, source: str = "before") -> None:
    copy(connection, "contacts/copy", rows, source)


def merged(connection: db.Connection, on_conflict: str, rows: Rows, source: str = "new") -> Counts:
    with staged(connection, rows):
        return merge.merge(connection, on_conflict, source)
