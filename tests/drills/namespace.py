"""A network namespace of Linux with a wire to this one that can be pulled. Needs root."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.drills.ground import Ground, open_ground

#: Two ends of a wire, from a range that is reserved for tests of networks (RFC 2544).
SERVER, WORKER = "198.18.77.1", "198.18.77.2"
NAME = f"drill{os.getpid()}"
HERE, THERE = f"here{os.getpid()}", f"there{os.getpid()}"
#: What makes a command run on the far side.
PREFIX = ("ip", "netns", "exec", NAME)


def missing() -> str:
    """Why there can be none here; empty when there can."""
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which("ip") is None:
        return "needs ip, of iproute2"
    probe = subprocess.run(["ip", "netns", "add", f"{NAME}p"], capture_output=True, text=True, check=False)
    if probe.returncode:
        return f"no network namespace can be made: {probe.stderr.strip()}"
    _ip("netns", "delete", f"{NAME}p")
    return ""


@contextmanager
def open_wired_ground(folder: Path) -> Iterator[Ground]:
    """A server that listens on the near end of a wire into the namespace."""
    hba = folder / "pg_hba.conf"
    folder.mkdir(parents=True)
    hba.write_text("local all all trust\nhost all all samenet trust\n")
    with _wire(), open_ground(folder / "wired", {"listen_addresses": SERVER, "hba_file": str(hba)}) as ground:
        yield ground


def pull() -> None:
    """Pull the wire out."""
    _ip("link", "set", HERE, "down")


def plug() -> None:
    """Put the wire in again."""
    _ip("link", "set", HERE, "up")


@contextmanager
def _wire() -> Iterator[None]:
    _ip("netns", "add", NAME)
    try:
        _ip("link", "add", HERE, "type", "veth", "peer", "name", THERE, "netns", NAME)
        _ip("address", "add", f"{SERVER}/30", "dev", HERE)
        _ip("link", "set", HERE, "up")
        _ip("-netns", NAME, "address", "add", f"{WORKER}/30", "dev", THERE)
        _ip("-netns", NAME, "link", "set", THERE, "up")
        yield
    finally:
        # The wire goes with its far end.
        _ip("netns", "delete", NAME)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
