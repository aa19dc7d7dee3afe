"""Servers and storages that refuse: rows, for want of a table, for want of room, for want of the file."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataflow.local.system_user import Account
from tests.drills.drill import drill
from tests.drills.ground import open_ground
from tests.drills.rig import Rig
from tests.drills.scenes import retried, wait_until_put_off
from tests.drills.sending import Sent

#: A first retry waits for 5 s, half to one and a half of it.
RETRY_BAR_SECONDS = 10.0
#: What lies between worker and server, the block at hand, and the MiB that tells the encoding.
MOST_READ_BYTES = 2_000_000
TMPFS_MEGABYTES = 16

_REFUSE = """
CREATE FUNCTION drill_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'refused by the drill' USING ERRCODE = '{sqlstate}';
END $$;
CREATE TRIGGER drill_refuse BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION drill_refuse()
"""


def refuse(rig: Rig, sqlstate: str) -> None:
    """Have the server refuse every contact."""
    rig.connection.execute(_REFUSE.format(sqlstate=sqlstate).encode())


@drill()
def rows_refused(rig: Rig) -> None:
    """The first row of a long file refused by the server."""
    refuse(rig, "P0001")
    sent = rig.put(rows=200_000 if rig.is_quick else 1_000_000)
    sent.ends = "failed"
    rig.start()
    rig.wait_until_done(sent)
    job = rig.job(sent)
    assert job["attempt"] == 1
    assert job["bytes_done"] < min(MOST_READ_BYTES, job["bytes_total"] / 2), job


@drill()
def object_vanished(rig: Rig) -> None:
    """The file vanished from the storage."""
    sent = rig.put()
    sent.ends = "failed"
    for path in rig.stored_files():
        path.unlink()
    rig.start()
    rig.wait_until_done(sent)
    job = rig.job(sent)
    assert job["attempt"] == 1
    assert job["error"].startswith("object_missing: "), job


@drill(bar_seconds=RETRY_BAR_SECONDS, rounds=3)
def table_missing(rig: Rig) -> float:
    """The table contacts missing, then restored."""
    rig.connection.execute("ALTER TABLE contacts RENAME TO contacts_elsewhere")
    rig.start()
    sent = rig.put()
    wait_until_put_off(rig, sent, "database_unavailable")
    rig.connection.execute("ALTER TABLE contacts_elsewhere RENAME TO contacts")
    return _retried(rig, sent)


@drill(bar_seconds=RETRY_BAR_SECONDS, rounds=3)
def disk_full(rig: Rig) -> float:
    """The server says that its disk is full (53100), for a while."""
    refuse(rig, "53100")
    rig.start()
    sent = rig.put()
    wait_until_put_off(rig, sent, "database_unavailable")
    rig.connection.execute("DROP TRIGGER drill_refuse ON contacts")
    return _retried(rig, sent)


def _retried(rig: Rig, sent: Sent) -> float:
    seconds = retried(rig, sent)
    assert rig.job(sent)["attempt"] == 2
    return seconds


def no_tmpfs() -> str:
    """Why none can be mounted here; empty when one can."""
    if os.geteuid() != 0:
        return "needs root, to mount a small file system"
    probe = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, check=False
    )
    return f"no file system can be mounted: {probe.stderr.strip()}" if probe.returncode else ""


@drill(bar_seconds=RETRY_BAR_SECONDS, rounds=2, quick_rounds=0, ground=open_ground, missing=no_tmpfs)
def real_disk_full(rig: Rig) -> float:
    """A real disk that is full, for a while."""
    with _small_disk(rig) as disk:
        rig.connection.execute(f"CREATE TABLESPACE drill_small LOCATION '{disk}'".encode())
        rig.connection.execute("ALTER TABLE contacts SET TABLESPACE drill_small")
        ballast = disk / "ballast"
        ballast.write_bytes(bytes((TMPFS_MEGABYTES - 2) << 20))
        rig.start()
        sent = rig.put(rows=100_000)
        wait_until_put_off(rig, sent, "database_unavailable")
        assert "53100" in rig.job(sent)["error"], rig.job(sent)
        ballast.unlink()
        seconds = _retried(rig, sent)
        rig.connection.execute("ALTER TABLE contacts SET TABLESPACE pg_default")
        rig.connection.execute("DROP TABLESPACE drill_small")
    return seconds


@contextmanager
def _small_disk(rig: Rig) -> Iterator[Path]:
    disk = rig.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MEGABYTES}m", "tmpfs", disk], check=True)
    try:
        Account.for_cluster(rig.ground.folder / "postgres").own(disk)
        disk.chmod(0o700)
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)
