"""Export jobs whose worker is killed, frozen, stopped or cut off, or whose storage is full or stalls.

In the end the file is whole and has its digest, or there is none; and nothing else is left in the storage.
"""

import hashlib
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from dataflow.exports.order import order
from dataflow.queue.scope import ALL
from dataflow.storage.registry import open_storage
from tests.drills.cuts import wait_for_age_of_beat
from tests.drills.drill import drill
from tests.drills.holds import hold, let_go, wait_until_held
from tests.drills.pooler import POOL_SIZE
from tests.drills.refusals import RETRY_BAR_SECONDS, no_tmpfs
from tests.drills.rig import Rig
from tests.drills.scenes import Scene, killed, retried, scene_of, stopped, wait_until_asked, wait_until_put_off
from tests.drills.sending import Sent
from tests.drills.stops import BEAT_BAR_SECONDS, EXIT_SECONDS
from tests.drills.swallow import Swallower
from tests.support.objects import read
from tests.support.poolers import no_pgbouncer, pgbouncer
from tests.support.waiting import eventually

BAR_SECONDS = 5.0
LEASE_BAR_SECONDS = 33.0
#: More than a chunk, and a marked row in the middle; what a single file may have on the disk that is full.
ROWS, FULL_DISK_BYTES = 60_000, 512 * 1024
GIVEN_UP: Final = '"message": "export given up"'
RESUMABLE = "/upload/resumable/"


def _order(rig: Rig) -> Sent:
    """What POST /exports does; a job that imports nothing."""
    sent = Sent(order(rig.connection, ALL, {"format": "csv", "raw": True}), "export", ())
    rig.sent.append(sent)
    return sent


def _fill(rig: Rig, is_marked: bool = True) -> None:
    """Contacts to export."""
    rig.put(ROWS, is_marked)
    rig.wait_until_done(*rig.sent)


def _held_export(rig: Rig) -> Scene:
    """The server has given out half of the rows, and comes no further; to another attempt it gives all."""
    workers = rig.start(2, rig.patience)
    _fill(rig)
    hold(rig.connection, "read")
    sent = _order(rig)
    wait_until_held(rig.connection)
    # What has come so far is a chunk, and more, on its way.
    eventually(lambda: rig.stored_files() or "SUPABASE_URL" in rig.variables)
    return scene_of(rig, sent, workers)


def _stalled_export(rig: Rig) -> Scene:
    """The storage does not answer to the first bytes; another attempt it takes."""
    double = rig.use_double()
    workers = rig.start(2, rig.patience)
    _fill(rig)
    double.fault("stall", "PATCH", RESUMABLE)
    double.clear_journal()
    sent = _order(rig)
    wait_until_asked(double, "PATCH", RESUMABLE)
    return scene_of(rig, sent, workers)


def _assert_whole(rig: Rig, sent: Sent) -> None:
    """The file has every contact and its digest, and is all that there is in the storage."""
    job = rig.job(sent)
    content = read(open_storage(rig.config()), job["object_key"])
    assert hashlib.sha256(content).hexdigest() == job["content_sha256"], job
    assert (len(content), content.count(b"\n")) == (job["bytes_total"], job["rows_exported"] + 1), job
    assert job["rows_exported"] == sum(len(each.imported) for each in rig.sent), job
    _assert_nothing_left(rig, files=1)


def _assert_nothing_left(rig: Rig, files: int = 0) -> None:
    rig.sweep()
    assert len(rig.stored_files()) == files, rig.stored_files()
    rig.connection.execute("UPDATE unfinished_objects SET ended_at = ended_at - INTERVAL '1 hour'")
    rig.sweep()
    assert rig.connection.execute("SELECT FROM unfinished_objects").fetchone() is None


@drill(bar_seconds=BAR_SECONDS)
def kill_in_export(rig: Rig) -> float:
    """kill -9 mid-export, the server at work on a row."""
    return _killed(rig, _held_export(rig))


@drill(bar_seconds=BAR_SECONDS, quick_rounds=0)
def kill_in_export_upload(rig: Rig) -> float:
    """kill -9 mid-export, the storage not answering to a chunk."""
    return _killed(rig, _stalled_export(rig))


def _killed(rig: Rig, scene: Scene) -> float:
    seconds = killed(rig, scene.holder, scene.sent)
    _assert_whole(rig, scene.sent)
    return seconds


@drill(bar_seconds=LEASE_BAR_SECONDS, rounds=2, quick_rounds=0)
def freeze_in_export(rig: Rig) -> float:
    """SIGSTOP mid-export past the lease, then SIGCONT."""
    return _frozen(rig, _held_export(rig))


@drill(bar_seconds=LEASE_BAR_SECONDS, rounds=2)
def freeze_in_export_upload(rig: Rig) -> float:
    """SIGSTOP while the storage has a chunk of an export, past the lease; swept before SIGCONT."""
    return _frozen(rig, _stalled_export(rig), rig.sweep)


def _frozen(rig: Rig, scene: Scene, before_thaw: Callable[[], object] = lambda: None) -> float:
    scene.holder.freeze()
    seconds = rig.wait_until_done(scene.sent, since=time.monotonic())
    assert rig.worker_in(rig.job(scene.sent)) is scene.other
    before_thaw()
    scene.holder.thaw()
    eventually(lambda: GIVEN_UP in scene.holder.log())
    _assert_whole(rig, scene.sent)
    return seconds


@drill(bar_seconds=LEASE_BAR_SECONDS, rounds=2)
def network_swallows_in_export(rig: Rig) -> float:
    """Network to the database cut mid-export: it acknowledges and swallows everything."""
    with Swallower(rig.url) as network:
        [worker] = rig.start(patience=rig.patience, settings={"DATABASE_URL": network.url})
        _fill(rig)
        hold(rig.connection, "read")
        sent = _order(rig)
        wait_until_held(rig.connection)
        [other] = rig.start(patience=rig.patience)
        wait_for_age_of_beat(rig, sent, 1.5)
        network.cut()
        seconds = rig.wait_until_done(sent, since=time.monotonic())
        assert rig.worker_in(rig.job(sent)) is other
        eventually(lambda: GIVEN_UP in worker.log() or not worker.is_alive(), rig.patience.lease_seconds + 60)
        network.heal()
        worker.kill()
        rig.workers.remove(worker)
        _assert_whole(rig, sent)
    return seconds


@drill(bar_seconds=RETRY_BAR_SECONDS)
def file_limit_in_export(rig: Rig) -> float:
    """The disk of the local storage takes no more mid-export, and another worker's does."""
    rig.start()
    _fill(rig, is_marked=False)
    rig.stop_workers()
    # The shell counts in units of 512 or 1024 bytes.
    limit = f'ulimit -f {FULL_DISK_BYTES // 1024}; exec "$0" "$@"'
    [limited] = rig.start(prefix=("sh", "-c", limit))
    sent = _order(rig)
    wait_until_put_off(rig, sent, "storage_unavailable")
    assert limited.stop() == 0
    rig.workers.remove(limited)
    rig.start()
    return _retried(rig, sent)


@drill(bar_seconds=RETRY_BAR_SECONDS, rounds=2, quick_rounds=0, missing=no_tmpfs)
def disk_full_in_export(rig: Rig) -> float:
    """The real disk of the local storage is full mid-export, for a while."""
    with _small_disk(rig):
        ballast = rig.folder / "state" / "objects" / "ballast"
        rig.start()
        _fill(rig, is_marked=False)
        ballast.write_bytes(bytes((8 << 20) - FULL_DISK_BYTES))
        sent = _order(rig)
        wait_until_put_off(rig, sent, "storage_unavailable")
        assert rig.stored_files() == [ballast]
        ballast.unlink()
        return _retried(rig, sent)


@contextmanager
def _small_disk(rig: Rig) -> Iterator[None]:
    disk = rig.folder / "state" / "objects"
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], check=True)
    rig.stack.callback(subprocess.run, ["umount", "--lazy", disk], check=True)
    yield


def _retried(rig: Rig, sent: Sent) -> float:
    seconds = retried(rig, sent)
    _assert_whole(rig, sent)
    return seconds


@drill(bar_seconds=BEAT_BAR_SECONDS, rounds=3)
def cancel_in_export(rig: Rig) -> float:
    """Cancelled in psql mid-export, the server at work on a row."""
    return _cancelled(rig, _held_export(rig))


@drill(bar_seconds=BEAT_BAR_SECONDS, rounds=3, quick_rounds=0)
def cancel_in_export_upload(rig: Rig) -> float:
    """Cancelled in psql mid-export, the storage not answering to a chunk."""
    return _cancelled(rig, _stalled_export(rig))


def _cancelled(rig: Rig, scene: Scene) -> float:
    scene.sent.ends = "cancelled"
    began = time.monotonic()
    rig.connection.execute("UPDATE jobs SET state = 'cancelled' WHERE id = %s", [scene.sent.id])
    eventually(lambda: GIVEN_UP in scene.holder.log())
    seconds = time.monotonic() - began
    job = rig.job(scene.sent)
    assert (job["object_key"], job["rows_exported"], job["attempt"]) == (None, 0, 1), job
    if "SUPABASE_URL" not in rig.variables:
        # By the worker itself; a storage that stalls is asked again by the sweep.
        eventually(lambda: not rig.stored_files())
    _assert_nothing_left(rig)
    return seconds


@drill(bar_seconds=EXIT_SECONDS, rounds=2, quick_rounds=0)
def sigterm_in_export(rig: Rig) -> float:
    """SIGTERM mid-export, the server at work on a row."""
    rig.variables["SHUTDOWN_GRACE_SECONDS"] = "0" if rig.is_quick else "25"
    scene = _held_export(rig)
    seconds = stopped(rig, scene.holder, scene.sent)
    _assert_whole(rig, scene.sent)
    return seconds


@drill(rounds=2, quick_rounds=0)
def storage_stalls_in_export(rig: Rig) -> None:
    """The storage does not answer to a chunk of an export for as long as a chunk may take, then it does."""
    scene = _stalled_export(rig)
    rig.wait_until_done(scene.sent, seconds=120)
    assert rig.job(scene.sent)["attempt"] == 1
    _assert_whole(rig, scene.sent)


@drill(rounds=3)
def overtaken_in_export(rig: Rig) -> None:
    """Queued again in psql at the very moment of its success: only the fence is left, and one object of two."""
    workers = rig.start(2, rig.patience)
    _fill(rig)
    hold(rig.connection, "settling")
    sent = _order(rig)
    wait_until_held(rig.connection)
    scene = scene_of(rig, sent, workers)
    rig.connection.execute("UPDATE jobs SET state = 'queued' WHERE id = %s", [sent.id])
    rig.wait_until_done(sent)
    let_go(rig.connection)
    eventually(lambda: GIVEN_UP in scene.holder.log())
    assert rig.job(sent)["attempt"] == 2
    _assert_whole(rig, sent)


@drill(rounds=2, quick_rounds=0, missing=no_pgbouncer)
def pooled_export(rig: Rig) -> None:
    """PgBouncer in front: an export, and one whose worker is killed, found by the lease."""
    with pgbouncer(rig.url, rig.folder, POOL_SIZE) as url:
        rig.variables["DATABASE_URL"] = url
        first = _order(rig)
        scene = _held_export(rig)
        rig.wait_until_done(first)
        scene.holder.kill()
        rig.wait_until_done(scene.sent)
        rig.connection.execute("UPDATE jobs SET kept_until = clock_timestamp() WHERE id = %s", [first.id])
        _assert_whole(rig, scene.sent)
        rig.stop_workers()
