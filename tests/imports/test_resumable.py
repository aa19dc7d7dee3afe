"""An upload whose end is in doubt: what may be a job already is left alone, what is none leaves nothing."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from dataflow import db
from dataflow.config import Config
from dataflow.errors import DatabaseUnavailable, UnsupportedMediaType
from dataflow.imports import resumable
from dataflow.imports.completion import Completions
from dataflow.imports.resumable import ResumableUploads
from dataflow.imports.upload import Upload
from dataflow.storage.base import Storage

CSV = b"name,email\nAnn,ann@example.com\n"


@dataclass(frozen=True)
class Wanted:
    length: int | None
    metadata: str = ""


@contextmanager
def losing_the_answer(pool: db.Pool) -> Iterator[db.Connection]:
    """Commits, and then is silent, once a job is queued."""
    with db.borrowed(pool) as connection:
        yield connection
    with db.borrowed(pool) as connection:
        if connection.execute("SELECT 1 AS is_queued FROM jobs WHERE state = 'queued'").fetchone():
            raise DatabaseUnavailable("The answer was lost.")


def create(uploads: ResumableUploads, content: bytes) -> None:
    upload = Upload(iter(()), "text/csv", given={"source": "s"})
    with uploads.created(upload, Wanted(len(content)), lambda: None) as session:
        session.append(iter([content]), 0)


def test_an_upload_that_may_be_queued_keeps_its_object_when_the_answer_was_lost(
    database: str, connection: db.Connection, storage: Storage, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable, "borrowed", losing_the_answer)
    with closing(db.open_pool(database, "dataflow/web")) as pool:
        uploads = ResumableUploads(config, pool, storage, Completions(partial(db.borrowed, pool), 1))
        with pytest.raises(DatabaseUnavailable):
            create(uploads, CSV)
    [row] = connection.execute("SELECT state, object_key FROM jobs").fetchall()
    assert row["state"] == "queued"
    with storage.open(row["object_key"]) as reader:
        assert b"".join(reader.pieces(100)) == CSV


def test_a_refused_creation_leaves_neither_row_nor_object(
    database: str, connection: db.Connection, storage: Storage, config: Config
) -> None:
    with closing(db.open_pool(database, "dataflow/web")) as pool:
        uploads = ResumableUploads(config, pool, storage, Completions(partial(db.borrowed, pool), 1))
        with pytest.raises(UnsupportedMediaType):
            create(uploads, b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert connection.execute("SELECT FROM jobs").fetchall() == []
