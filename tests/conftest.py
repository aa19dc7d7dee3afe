"""What the tests share: a real Postgres, a migrated database for each test, real web and worker processes."""

import gc
import itertools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dataflow import db, logs
from dataflow.config import Config
from dataflow.local.postgres import EmbeddedPostgres
from dataflow.storage.base import Storage
from dataflow.storage.registry import open_storage
from dataflow.worker.loop import Worker
from tests.doubles.storage.process import StorageDouble
from tests.support.databases import MigratedDatabase, on_server, url_of
from tests.support.flask_web import FlaskWeb
from tests.support.processes import ChildProcess, Web, WorkerProcess, stop_all
from tests.support.scheduling import BesideOneAnother, give_way
from tests.support.storages import empty_bucket
from tests.support.tus_js_client import NotInstallable, TusJs

_numbers = itertools.count(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What a module has in RUNS_OVER, `local` or `supabase`: over each of these its tests run once.

    But for those that are marked `one_storage`: slow ones in which the storage plays no part.
    """
    kinds = getattr(metafunc.module, "RUNS_OVER", ())
    if metafunc.definition.get_closest_marker("one_storage"):
        kinds = kinds[:1]
    if kinds and "storage_kind" in metafunc.fixturenames:
        metafunc.parametrize("storage_kind", kinds, scope="module")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> BesideOneAnother:
    """Modules are handed out by a rule of ours."""
    return BesideOneAnother(config, log)


def pytest_configure() -> None:
    give_way()
    # A shell has what it runs in the background ignore Ctrl-C, and so would the programs that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def bare_environment() -> Iterator[None]:
    """No test, and no process it starts, sees the settings of whoever runs it."""
    with pytest.MonkeyPatch.context() as environment:
        for name in (*Config.__dataclass_fields__, "dataflow_api_key"):
            environment.delenv(name.upper(), raising=False)
        yield


@pytest.fixture(autouse=True)
def no_request() -> Iterator[None]:
    """No test logs the id of a request that an application in this process served for another."""
    token = logs.request_id.set(None)
    yield
    logs.request_id.reset(token)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server on which tests may make databases: TEST_DATABASE_URL, else an embedded one."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    # What a crash would lose is a test's database, and each begins with tables of which nothing is measured.
    lossy = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    quick = {**lossy, "max_connections": "200", "autovacuum": "off"}
    with EmbeddedPostgres(tmp_path_factory.mktemp("embedded"), quick) as postgres:
        yield postgres.url


@pytest.fixture(scope="session")
def template(server: str) -> Iterator[str]:
    """Name of a migrated database to copy."""
    name = f"dataflow_template_{os.getpid()}"
    on_server(server, "CREATE DATABASE {name}", name)
    db.migrate(url_of(server, name))
    yield name
    on_server(server, "DROP DATABASE {name} WITH (FORCE)", name)


@pytest.fixture
def empty_database(server: str) -> Iterator[str]:
    """URL of a database with nothing in it."""
    name = f"dataflow_test_{os.getpid()}_{next(_numbers)}"
    on_server(server, "CREATE DATABASE {name}", name)
    yield url_of(server, name)
    on_server(server, "DROP DATABASE {name} WITH (FORCE)", name)


@pytest.fixture(scope="module")
def migrated_database(server: str, template: str) -> Iterator[MigratedDatabase]:
    """One for all tests of a module, so that processes can serve one test after the other."""
    name = f"dataflow_test_{os.getpid()}_{next(_numbers)}"
    on_server(server, "CREATE DATABASE {name} TEMPLATE {template}", name, template=template)
    yield MigratedDatabase.at(url_of(server, name))
    on_server(server, "DROP DATABASE {name} WITH (FORCE)", name)


@pytest.fixture(scope="module")
def module_database(migrated_database: MigratedDatabase) -> str:
    """Its URL, for what lives as long as the module."""
    return migrated_database.url


@pytest.fixture
def remade_database(migrated_database: MigratedDatabase, request: pytest.FixtureRequest) -> str:
    """Its URL, and nothing in it but what the migrations have put there."""
    migrated_database.put_back(with_new_tables=request.node.get_closest_marker("new_tables") is not None)
    return migrated_database.url


@pytest.fixture
def database(remade_database: str) -> str:
    """URL of a freshly migrated database."""
    return remade_database


@pytest.fixture(scope="module")
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is DATA_DIR to the processes of a module."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def connection(database: str) -> Iterator[db.Connection]:
    """A connection to the test's database, in autocommit mode."""
    with db.connect(database, "dataflow/test") as opened:
        yield opened


@pytest.fixture(scope="module")
def storage_kind() -> str:
    """Where objects are, unless the module says RUNS_OVER: in the local directory."""
    return "local"


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageDouble]:
    """A storage server of the module's own, with the bucket `imports`."""
    with StorageDouble.start(tmp_path_factory.mktemp("double")) as started:
        started.make_bucket("imports")
        yield started


@pytest.fixture(scope="session")
def tus_js(tmp_path_factory: pytest.TempPathFactory) -> TusJs:
    """tus-js-client, where it can be had."""
    try:
        return TusJs.install(tmp_path_factory.mktemp("tus_js") / "script")
    except NotInstallable as error:
        pytest.skip(str(error))


@pytest.fixture
def fresh_double(double: StorageDouble) -> Iterator[StorageDouble]:
    """The module's storage server, without faults and memories."""
    double.clear_faults()
    double.clear_journal()
    yield double
    double.clear_faults()
    double.release()


@pytest.fixture(scope="module")
def storage_variables(storage_kind: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings that choose the storage."""
    if storage_kind == "local":
        return {}
    double: StorageDouble = request.getfixturevalue("double")
    return {"SUPABASE_URL": double.project_url, "SUPABASE_SERVICE_ROLE_KEY": double.key()}


@pytest.fixture
def stored_files(storage_kind: str, state_folder: Path, request: pytest.FixtureRequest) -> Callable[[], list[Path]]:
    """The files behind the storage, those of uploads that are not complete included."""
    folder = state_folder / "objects"
    if storage_kind != "local":
        folder = request.getfixturevalue("double").folder / "bytes"
    return lambda: [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def empty_storage(storage_kind: str, state_folder: Path, request: pytest.FixtureRequest) -> None:
    """Have the test begin without objects where the storage is shared with others."""
    if storage_kind == "local":
        shutil.rmtree(state_folder / "objects", ignore_errors=True)
    else:
        double = request.getfixturevalue("double")
        empty_bucket(double.url, double.key(), "imports")


@pytest.fixture
def make_config(database: str, state_folder: Path, storage_variables: dict[str, str]) -> Callable[..., Config]:
    """Settings for the test's database and the module's folder; keyword arguments are further variables."""

    def make(**variables: object) -> Config:
        return Config.from_env(
            {
                "DATABASE_URL": database,
                "DATA_DIR": str(state_folder),
                "LOG_FORMAT": "json",
                **storage_variables,
                **{name: str(value) for name, value in variables.items()},
            }
        )

    return make


@pytest.fixture
def config(make_config: Callable[..., Config]) -> Config:
    return make_config()


@pytest.fixture
def storage(config: Config) -> Storage:
    return open_storage(config)


@pytest.fixture
def work_off(config: Config) -> Iterator[Callable[[], int]]:
    """Runs every due job in this process, one after the other, and returns the worker's exit code.

    Of two at a time, the contacts of either may have the lower ids.
    """
    alone = replace(config, worker_concurrency=1)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield lambda: Worker(alone, open_storage(alone)).run(once=True)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def children() -> Iterator[list[ChildProcess]]:
    """The processes that a test has started."""
    started: list[ChildProcess] = []
    yield started
    stop_all(started)


@pytest.fixture
def start_web(
    database: str, state_folder: Path, storage_variables: dict[str, str], children: list[ChildProcess]
) -> Callable[..., Web]:
    """Starts real web processes (gunicorn on a free port); keyword arguments are further variables."""

    def start(**variables: object) -> Web:
        web = Web.start({"DATABASE_URL": database, "DATA_DIR": state_folder, **storage_variables, **variables})
        children.append(web)
        return web

    return start


@pytest.fixture(scope="module")
def shared_web(
    module_database: str, state_folder: Path, storage_variables: dict[str, str], request: pytest.FixtureRequest
) -> Iterator[Web | FlaskWeb]:
    """One for all tests of a module that do not disturb it: to start and to stop it takes more than a second.

    What the module has in WEB_VARIABLES are further settings; one with THROUGH_FLASK needs no server.
    """
    further = getattr(request.module, "WEB_VARIABLES", {})
    variables = {"DATABASE_URL": module_database, "DATA_DIR": state_folder, **storage_variables, **further}
    through_flask = getattr(request.module, "THROUGH_FLASK", False)
    started = FlaskWeb(variables) if through_flask else Web.start(variables)
    yield started
    # A connection that an error of a test still holds on to would keep gunicorn waiting.
    gc.collect()
    started.stop()


@pytest.fixture
def web(database: str, shared_web: Web | FlaskWeb) -> Web | FlaskWeb:
    """The web process of the module, in front of the test's database; to disturb one take `start_web`."""
    assert shared_web.is_running(), f"an earlier test ended it: {shared_web.log()}"
    return shared_web


@pytest.fixture
def start_worker(
    database: str, state_folder: Path, storage_variables: dict[str, str], children: list[ChildProcess]
) -> Callable[..., WorkerProcess]:
    """Starts real worker processes; keyword arguments are further variables."""

    def start(**variables: object) -> WorkerProcess:
        worker = WorkerProcess.start(
            {"DATABASE_URL": database, "DATA_DIR": state_folder, **storage_variables, **variables}
        )
        children.append(worker)
        return worker

    return start


@pytest.fixture
def stored_contacts(connection: db.Connection) -> Callable[[], list[tuple[Any, ...]]]:
    """(name, email, source) of every contact, in the order of import."""

    def fetch() -> list[tuple[Any, ...]]:
        rows = connection.execute("SELECT name, email, source FROM contacts ORDER BY id").fetchall()
        return [(row["name"], row["email"], row["source"]) for row in rows]

    return fetch
