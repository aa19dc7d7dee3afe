"""The embedded Postgres: real servers, real kills, as root and as an ordinary user."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from dataflow.errors import ConfigError, DatabaseUnavailable
from dataflow.local.postgres import EmbeddedPostgres, binary
from dataflow.settings.embedded_database import socket_dir

ROOT = Path(__file__).resolve().parents[2]
FAST = {"fsync": "off"}
DEADLINE_SECONDS = 30
NOBODY = 65534

OWNER = """
import os, sys
from pathlib import Path
from dataflow.local.postgres import EmbeddedPostgres
os.umask(0)  # nothing may depend on a careful umask
with EmbeddedPostgres(Path(sys.argv[1]), {"fsync": "off"}):
    print("ready", flush=True)
    sys.stdin.read()
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal of Linux")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with EmbeddedPostgres(folder, FAST) as server, psycopg.connect(server.url, autocommit=True) as session:
        session.execute("CREATE TABLE kept (n int)")
        session.execute("INSERT INTO kept VALUES (7)")
    return folder


@pytest.fixture
def folder(tmp_path: Path, made_once: Path) -> Path:
    """A data directory with a cluster in it that holds the table `kept`."""
    shutil.copytree(made_once / "postgres", tmp_path / "d" / "postgres")
    return tmp_path / "d"


@contextmanager
def owner(folder: Path, prefix: Sequence[str] = (), wait: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """A process that owns the server of `folder` until it is killed."""
    command = [*prefix, sys.executable, "-c", OWNER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            assert process.stdout
            assert not wait or process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()
            shutil.rmtree(socket_dir(folder), ignore_errors=True)


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.02)


def server_pid(folder: Path) -> int:
    return int((folder / "postgres" / "postmaster.pid").read_text().split()[0])


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE  # not every init reaps orphans at once
    except psutil.NoSuchProcess:
        return False


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def kept(server: EmbeddedPostgres) -> list[tuple[int]]:
    with psycopg.connect(server.url) as session:
        return session.execute("SELECT n FROM kept ORDER BY n").fetchall()


def test_data_survives_stop_and_start(folder: Path) -> None:
    server = EmbeddedPostgres(folder, FAST)
    for _ in range(2):
        server.start()
        assert server.is_running
        assert kept(server) == [(7,)]
        server.stop()
        assert not server.is_running
    server.stop()
    assert not socket_dir(folder).exists()


def test_a_new_cluster_is_utf8_and_utc_and_has_no_tcp(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path, FAST) as server, psycopg.connect(server.url) as session:
        for name, value in [
            ("server_encoding", "UTF8"),
            ("timezone", "UTC"),
            ("listen_addresses", ""),
            ("fsync", "off"),
        ]:
            assert session.execute("SELECT current_setting(%s)", [name]).fetchone() == (value,)
        row = session.execute("SELECT upper('é'), 'Z' < 'a', current_user").fetchone()
        assert row == ("É", True, "postgres")


def test_a_killed_owner_with_an_open_session_does_not_stop_the_next_one(folder: Path) -> None:
    with owner(folder) as first, psycopg.connect(EmbeddedPostgres(folder).url) as session:
        session.execute("INSERT INTO kept VALUES (8)")
        session.commit()
        left_behind = server_pid(folder)
        first.kill()
        first.wait()
        assert is_alive(left_behind)  # the session keeps it alive, and the pid file is not stale
        with EmbeddedPostgres(folder, FAST) as server:
            eventually(lambda: not is_alive(left_behind))
            assert kept(server) == [(7,), (8,)]
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")


@on_linux
def test_a_server_without_sessions_ends_with_its_killed_owner(folder: Path) -> None:
    with owner(folder) as first:
        left_behind = server_pid(folder)
        first.kill()
    eventually(lambda: not is_alive(left_behind))


def test_a_killed_server_is_noticed_and_can_be_started_again(folder: Path) -> None:
    with EmbeddedPostgres(folder, FAST) as server:
        os.kill(server_pid(folder), signal.SIGKILL)
        eventually(lambda: not server.is_running)
        server.stop()
        server.start()
        assert kept(server) == [(7,)]


def test_a_reused_process_id_in_the_pid_file_stops_nothing(folder: Path) -> None:
    user = NOBODY if os.geteuid() == 0 else None
    with subprocess.Popen(["sleep", "60"], user=user) as stranger:
        (folder / "postgres" / "postmaster.pid").write_text(f"{stranger.pid}\n{folder / 'postgres'}\n")
        with EmbeddedPostgres(folder, FAST) as server:
            assert kept(server) == [(7,)]
        assert stranger.poll() is None
        stranger.kill()


def test_an_owner_killed_during_initdb_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    half_made = tmp_path / "postgres.initdb"
    half_made.mkdir()
    (half_made / "left by a power failure").touch()
    with owner(tmp_path, wait=False) as first:
        eventually((half_made / "PG_VERSION").exists)
        first.kill()
    assert not (tmp_path / "postgres").exists()
    with EmbeddedPostgres(tmp_path, FAST) as server, psycopg.connect(server.url) as session:
        assert not half_made.exists()
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_second_owner_is_refused_and_the_first_keeps_working(folder: Path) -> None:
    with EmbeddedPostgres(folder, FAST) as first:
        with pytest.raises(ConfigError, match=f"Another process already runs .* {folder}"):
            EmbeddedPostgres(folder).start()
        assert kept(first) == [(7,)]


def test_nothing_is_open_to_group_or_others(tmp_path: Path) -> None:
    folder = tmp_path / "missing" / "too"
    with owner(folder):
        found = [tmp_path / "missing", *(tmp_path / "missing").rglob("*"), *socket_dir(folder).rglob("*")]
        assert [path for path in found if stat.S_ISSOCK(path.lstat().st_mode)]
        assert [path for path in found if stat.S_IMODE(path.lstat().st_mode) & 0o077] == []


def test_a_long_path_gets_a_private_socket_folder_that_goes_away(folder: Path) -> None:
    long = folder.parent / ("long" * 30)
    folder.rename(long)
    sockets = socket_dir(long)
    with EmbeddedPostgres(long, FAST) as server:
        assert long not in sockets.parents
        assert stat.S_IMODE(sockets.lstat().st_mode) == 0o700
        assert kept(server) == [(7,)]
    assert not sockets.exists()


def test_a_socket_folder_that_somebody_else_made_is_refused(folder: Path, tmp_path: Path) -> None:
    long = folder.parent / ("long" * 30)
    folder.rename(long)
    sockets = socket_dir(long)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(0o700)
    try:
        sockets.symlink_to(elsewhere)
        with pytest.raises(ConfigError, match=f"{sockets}.* not a private folder of this user"):
            EmbeddedPostgres(long, FAST).start()
        sockets.unlink()
        sockets.touch(0o600)
        with pytest.raises(ConfigError, match="not a private folder"):
            EmbeddedPostgres(long, FAST).start()
        sockets.unlink()
        sockets.mkdir()
        sockets.chmod(0o777)
        with pytest.raises(ConfigError, match="not a private folder"):
            EmbeddedPostgres(long, FAST).start()
        if os.geteuid() == 0:
            sockets.chmod(0o700)
            os.chown(sockets, 12345, 12345)
            with pytest.raises(ConfigError, match="not a private folder"):
                EmbeddedPostgres(long, FAST).start()
    finally:
        sockets.rmdir()


def test_variables_for_other_servers_are_ignored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = EmbeddedPostgres(folder, FAST)
    with monkeypatch.context() as patch, ExitStack() as stack:
        for name, value in [
            ("PGDATA", "/nonexistent"),
            ("PGHOST", "elsewhere.invalid"),
            ("PGPORT", "1"),
            ("PGUSER", "somebody"),
            ("PGOPTIONS", "-c nonsense=1"),
            ("LANG", "C.UTF-8"),
        ]:
            patch.setenv(name, value)
        patch.delenv("HOME", raising=False)
        stack.enter_context(server)
        patch.undo()
        with psycopg.connect(server.url) as session:
            assert session.execute("SHOW port").fetchone() == ("5432",)


def test_a_failing_start_quotes_the_log_and_gives_up_ownership(folder: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match='invalid value for parameter "work_mem": "much"'):
        EmbeddedPostgres(folder, {"work_mem": "much"}).start()
    with EmbeddedPostgres(folder, FAST) as server:
        assert kept(server) == [(7,)]


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot use .*/file/d: .*set DATA_DIR"):
        EmbeddedPostgres(tmp_path / "file" / "d").start()


def test_a_missing_program_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"dataflow-import\[embedded\].* or set DATABASE_URL"):
        binary("no-such-program")


def test_the_terminal_cannot_interrupt_the_server(folder: Path) -> None:
    with EmbeddedPostgres(folder, FAST):
        assert os.getsid(server_pid(folder)) != os.getsid(0)


@as_root
def test_root_keeps_a_closed_folder_closed(folder: Path) -> None:
    folder.parent.chmod(0o700)
    with EmbeddedPostgres(folder, FAST) as server:
        assert kept(server) == [(7,)]
        status = status_of(server_pid(folder))
        assert status["Uid"].split() == [str(NOBODY)] * 4
        assert status["Groups"] == ""
        assert int(status["CapEff"], 16) == 1 << 2  # dac_read_search
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert folder.parent.stat().st_uid == 0


@as_root
def test_root_without_dac_read_search_uses_dac_override(folder: Path) -> None:
    with owner(folder, ["setpriv", "--inh-caps=-dac_read_search", "--bounding-set=-dac_read_search"]):
        assert int(status_of(server_pid(folder))["CapEff"], 16) == 1 << 1


@as_root
def test_root_gives_no_capability_where_none_is_needed(folder: Path) -> None:
    if not all(parent.stat().st_mode & stat.S_IXOTH for parent in binary("postgres").parents):
        pytest.skip("the server's own programs are in a closed folder")
    long = Path("/tmp") / f"dataflow-test-{os.getpid()}" / ("long" * 30)
    try:
        long.mkdir(0o755, parents=True)
        folder.rename(long / "d")
        (long / "d").chmod(0o755)
        with EmbeddedPostgres(long / "d", FAST) as server:
            assert kept(server) == [(7,)]
            assert int(status_of(server_pid(long / "d"))["CapEff"], 16) == 0
    finally:
        shutil.rmtree(long.parent)


@as_root
def test_root_runs_the_cluster_of_an_ordinary_user_as_that_user(folder: Path) -> None:
    for path in (folder / "postgres", *(folder / "postgres").rglob("*")):
        os.chown(path, 12345, 12345)
    with EmbeddedPostgres(folder, FAST) as server:
        assert kept(server) == [(7,)]
        assert status_of(server_pid(folder))["Uid"].split()[0] == "12345"
    assert (folder / "postgres").stat().st_uid == 12345


@as_root
def test_root_without_setpriv_is_told_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ConfigError, match="install util-linux, or set DATABASE_URL"):
        EmbeddedPostgres(folder, FAST).start()
    assert not socket_dir(folder).exists()
