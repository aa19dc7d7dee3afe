"""What an import is measured against: rows that are ready, by psql's `\\copy` and as binary COPY."""

import os
import re
import struct
import subprocess
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from dataflow.ids import IdRange
from dataflow.local.postgres import binary
from tests.bench.rig import Rig
from tests.bench.sample import BLOCK_ROWS, SOURCE, contacts

BINARY_HEAD, BINARY_TAIL = b"PGCOPY\n\xff\r\n\0" + bytes(8), struct.pack("!h", -1)
PIECE_BYTES = 1 << 18


def write(path: Path, pieces: Iterable[bytes]) -> Path:
    """Write a file and wait for the disk, so that nothing is written back while the clock runs."""
    with path.open("wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
    return path


def csv_with_ids(path: Path) -> Iterator[bytes]:
    """The lines of `path`, each behind an id as the worker makes them."""
    ids = IdRange()
    with path.open("rb") as file:
        while block := list(islice(file, BLOCK_ROWS)):
            shared, own = ids.take(len(block))
            yield b"".join(f"{shared}{digits},".encode() + line for digits, line in zip(own, block, strict=True))


def binary_rows(rows: int) -> Iterator[bytes]:
    """The same contacts as COPY's binary format has them, with ids in order."""
    ids, everyone = IdRange(), contacts(rows)
    yield BINARY_HEAD
    while block := list(islice(everyone, BLOCK_ROWS)):
        shared, own = ids.take(len(block))
        keys = [bytes.fromhex(f"{shared}{digits}".replace("-", "")) for digits in own]
        yield b"".join(_binary_row(key, *contact) for key, contact in zip(keys, block, strict=True))
    yield BINARY_TAIL


def _binary_row(key: bytes, name: str, email: str) -> bytes:
    fields = (key, name.encode(), email.encode(), SOURCE.encode())
    return struct.pack("!h", len(fields)) + b"".join(struct.pack("!i", len(field)) + field for field in fields)


def copy_by_psql(rig: Rig, columns: str, path: Path) -> float:
    """Seconds by psql's own clock: its start and its connecting do not count, as they do not for the worker."""
    rig.empty_contacts()
    copy = f"\\copy contacts ({columns}) FROM '{path}' (FORMAT csv)"
    done = subprocess.run(
        [binary("psql"), rig.variables["DATABASE_URL"], "--no-psqlrc", "-c", "\\timing on", "-c", copy],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    milliseconds = re.search(r"^Time: ([\d.]+) ms", done.stdout, re.MULTILINE)
    assert milliseconds, f"psql did not say how long it took: {done.stdout}{done.stderr}"
    return float(milliseconds[1]) / 1000


def copy_binary(rig: Rig, path: Path) -> float:
    """Seconds from the statement to its commit; Python only hands pieces of the file on."""
    rig.empty_contacts()
    statement = "COPY contacts (id, name, email, source) FROM STDIN (FORMAT binary)"
    began = time.monotonic()
    with path.open("rb") as file, rig.connection.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in iter(partial(file.read, PIECE_BYTES), b""):
            copy.write(piece)
    return time.monotonic() - began
