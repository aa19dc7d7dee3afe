"""One database and one web process for each module of this folder, emptied before each test."""

import io
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from dataflow.config import Config
from tests.doubles.storage.process import StorageDouble
from tests.support.databases import on_server, url_of
from tests.support.flask_web import FlaskWeb
from tests.support.processes import Web
from tests.support.silence import Refused, Silence
from tests.support.tus import Tus


@pytest.fixture(scope="module")
def silence(
    server: str, template: str, tmp_path_factory: pytest.TempPathFactory, storage_kind: str
) -> Iterator[Silence]:
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


class _Timed(io.BytesIO):
    """A body that knows when pieces of it were taken."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.taken_at: list[float] = []

    def read(self, size: int | None = -1) -> bytes:
        self.taken_at.append(time.monotonic())
        return super().read(size)


def _send(web: Web, content: bytes) -> Refused:
    headers = {"Content-Type": "text/csv", "X-Source": "crm", "X-Use-Resumable": "true"}
    body = _Timed(content)
    answer = web.post(data=body, headers=headers)
    times = [*body.taken_at, time.monotonic()]
    return Refused(answer, max(later - earlier for earlier, later in pairwise(times)))


@pytest.fixture(scope="module")
def database(module_database: str) -> str:
    """The module's own, so that the web processes of a module can have it."""
    return module_database


@pytest.fixture(autouse=True)
def fresh_start(request: pytest.FixtureRequest) -> None:
    """Have each test that uses the database begin with an empty one, and with no objects in the storage."""
    if "database" in request.fixturenames:
        request.getfixturevalue("remade_database")
        request.getfixturevalue("empty_storage")


@pytest.fixture
def tus(web: Web | FlaskWeb, stored_files: Callable[[], list[Path]]) -> Tus:
    """Requests to `/uploads` of the module's web process."""
    # What other tests have left open is no object, and stays when a bucket is emptied.
    for path in stored_files():
        path.unlink()
    return Tus(web)


@pytest.fixture
def limited_tus(database: str, state_folder: Path, storage_variables: dict[str, str]) -> Iterator[Tus]:
    """The same of an application that takes a thousand bytes at most."""
    places = {"DATABASE_URL": database, "DATA_DIR": state_folder, **storage_variables}
    limited = FlaskWeb({**places, "MAX_UPLOAD_BYTES": 1000})
    yield Tus(limited)
    limited.stop()


@pytest.fixture
def flask_web(config: Config) -> Iterator[FlaskWeb]:
    """One to which a header says who the caller is."""
    web = FlaskWeb({"DATABASE_URL": config.database_url, "DATA_DIR": config.data_dir})
    web.trust_callers()
    yield web
    web.stop()
