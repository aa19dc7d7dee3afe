"""One database and one web process for each module of this folder, emptied before each test."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataflow import db
from tests.conftest import on_server, url_of
from tests.processes import Web

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def database(server: str, template: str) -> Iterator[str]:
    name = f"dataflow_test_{os.getpid()}_http_{next(_numbers)}"
    on_server(server, "CREATE DATABASE {name} TEMPLATE {template}", name, template=template)
    yield url_of(server, name)
    on_server(server, "DROP DATABASE {name} WITH (FORCE)", name)


@pytest.fixture(scope="module")
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("http")


@pytest.fixture(scope="module")
def web(
    database: str, tmp_path: Path, storage_variables: dict[str, str], request: pytest.FixtureRequest
) -> Iterator[Web]:
    """A module's WEB_VARIABLES are further settings."""
    further = getattr(request.module, "WEB_VARIABLES", {})
    started = Web.start({"DATABASE_URL": database, "DATA_DIR": tmp_path / "state", **storage_variables, **further})
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def fresh_start(connection: db.Connection, empty_storage: None) -> None:
    connection.execute("TRUNCATE jobs, contacts")
