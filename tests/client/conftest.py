"""What the tests of the commands share: commands on the test's service."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from dataflow import db
from tests.support.commands import Outcome, dataflow
from tests.support.processes import Web


@pytest.fixture
def command(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Runs a command on the test's service, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return partial(dataflow, PORT=web.port)


@pytest.fixture
def fill(connection: db.Connection) -> Callable[..., None]:
    """Puts contacts of a source into the table."""

    def insert(rows: int, source: str = "crm") -> None:
        connection.execute(
            "INSERT INTO contacts (name, email, source)"
            " SELECT 'Person ' || n, 'person' || n || '@example.com', %s FROM generate_series(1, %s) n",
            [source, rows],
        )

    return insert
