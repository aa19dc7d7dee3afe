"""PgBouncer in transaction mode in front of the server: nothing is heard, and no backend is anybody's."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from dataflow.account import Account
from tests.drills.drill import drill
from tests.drills.holds import let_go
from tests.drills.rig import Rig
from tests.drills.scenes import held_import
from tests.processes import eventually, free_port

#: The lease, a poll, and the import.
BAR_SECONDS = 33.0
WARNING = '"message": "no notifications: '
SETTINGS = """
[databases]
* = {target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 6
"""


def no_pgbouncer() -> str:
    return "" if shutil.which("pgbouncer") else "needs pgbouncer"


@drill(rounds=3, quick_rounds=0, missing=no_pgbouncer)
def pooled(rig: Rig) -> None:
    """PgBouncer in front: two workers and many small jobs."""
    with _pooled(rig) as url:
        workers = rig.start(2, settings={"WORKER_CONCURRENCY": 2, "DATABASE_URL": url})
        for _ in range(20 if rig.is_quick else 200):
            rig.put(rows=50)
        rig.wait_until_done(*rig.sent)
        assert {rig.job(sent)["attempt"] for sent in rig.sent} == {1}
        rig.stop_workers()
        assert [worker.log().count(WARNING) for worker in workers] == [1, 1]


@drill(bar_seconds=BAR_SECONDS, rounds=2, quick_rounds=0, missing=no_pgbouncer)
def pooled_kill(rig: Rig) -> float:
    """PgBouncer in front: kill -9 mid-COPY, found by the lease."""
    with _pooled(rig) as url:
        scene = held_import(rig, patience=rig.patience, settings={"DATABASE_URL": url})
        job = rig.job(scene.sent)
        assert (job["backend_pid"], job["backend_start"]) == (None, None), job
        seconds = rig.wait_until_done(scene.sent, since=scene.kill_holder())
        assert '"by": "lease"' in scene.other.log()
        assert scene.other.log().count(WARNING) == 1
        rig.stop_workers()
    return seconds


@drill(bar_seconds=BAR_SECONDS, rounds=2, quick_rounds=0, missing=no_pgbouncer)
def pooled_freeze(rig: Rig) -> float:
    """PgBouncer in front: SIGSTOP mid-COPY past the lease, then SIGCONT; no backend can be ended."""
    with _pooled(rig) as url:
        scene = held_import(rig, patience=rig.patience, settings={"DATABASE_URL": url})
        scene.holder.freeze()
        seconds = rig.wait_until_done(scene.sent, since=time.monotonic())
        let_go(rig.connection)
        scene.holder.thaw()
        eventually(lambda: '"message": "import given up"' in scene.holder.log())
        assert scene.other.stop() == 0
        rig.wait_until_done(rig.put())
        rig.stop_workers()
    return seconds


@contextmanager
def _pooled(rig: Rig) -> Iterator[str]:
    """URL of the round's database behind a PgBouncer of its own."""
    known = {name: str(value) for name, value in conninfo_to_dict(rig.url).items()}
    target = " ".join(f"{name}={known[name]}" for name in ("host", "port", "user", "password") if name in known)
    port = free_port()
    settings = rig.folder / "pgbouncer.ini"
    settings.write_text(SETTINGS.format(target=target, port=port))
    url = f"postgresql://{quote(known['user'])}@127.0.0.1:{port}/{known['dbname']}"
    with (rig.folder / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen([*_prefix(known["host"], settings), settings], stdout=log, stderr=log)
    try:
        eventually(lambda: _answers(url))
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _prefix(host: str, settings: Path) -> list[str | Path]:
    """PgBouncer does not run as root; as who owns the server's socket it gets there."""
    program = shutil.which("pgbouncer") or ""
    socket_folder = Path(host) if host.startswith("/") else Path("/nonexistent")
    return [*Account.for_cluster(socket_folder).prefix((Path(program), socket_folder, settings)), program]


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False
