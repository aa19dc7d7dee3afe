"""One database and one web process for each module of this folder, emptied before each test."""

import itertools
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dataflow import db
from tests.doubles.storage.process import StorageDouble
from tests.support.databases import on_server, url_of
from tests.support.processes import Web
from tests.support.silence import Refused, Silence

_numbers = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def begin_early(request: pytest.FixtureRequest) -> None:
    """What takes a minute of mere waiting goes on beside the other tests of this folder."""
    if any("silence" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("silence")


@pytest.fixture(scope="session")
def silence(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Silence]:
    """Two uploads into a storage that makes uploads and then says nothing more; everything is their own."""
    name, folder = f"dataflow_test_{os.getpid()}_silence", tmp_path_factory.mktemp("silence")
    on_server(server, "CREATE DATABASE {name} TEMPLATE {template}", name, template=template)
    with StorageDouble.start(folder / "double") as double, ThreadPoolExecutor(2) as clients:
        double.make_bucket("imports")
        for method in ("PATCH", "HEAD", "DELETE"):
            double.fault("stall", method=method, times=100)
        places = {"DATABASE_URL": url_of(server, name), "DATA_DIR": folder / "state"}
        key = {"SUPABASE_URL": double.project_url, "SUPABASE_SERVICE_ROLE_KEY": double.key()}
        web = Web.start({**places, **key})
        yield {
            "last chunk": clients.submit(_send, web, b"name,email\n"),
            "mid-body": clients.submit(_send, web, b"name,email" + b"\n" * (20 << 20)),
        }
        web.kill_all()
    on_server(server, "DROP DATABASE {name} WITH (FORCE)", name)


def _send(web: Web, content: bytes) -> Refused:
    headers = {"Content-Type": "text/csv", "X-Source": "crm", "X-Use-Resumable": "true"}
    began = time.monotonic()
    answer = web.post(data=content, headers=headers)
    return Refused(answer, time.monotonic() - began)


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
def state_folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(scope="module")
def web(
    database: str, state_folder: Path, storage_variables: dict[str, str], request: pytest.FixtureRequest
) -> Iterator[Web]:
    """A module's WEB_VARIABLES are further settings."""
    further = getattr(request.module, "WEB_VARIABLES", {})
    started = Web.start({"DATABASE_URL": database, "DATA_DIR": state_folder, **storage_variables, **further})
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def fresh_start(connection: db.Connection, empty_storage: None) -> None:
    connection.execute("TRUNCATE jobs, contacts, rejects")
