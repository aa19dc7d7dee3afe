"""One upload by a client that we did not write, through a network that cuts, to web processes that are killed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataflow.storage.base import Storage
from tests.support import tuspy_client
from tests.support.contact_files import write_contacts
from tests.support.taking_turns import TakingTurns
from tests.support.tus_js_client import TusJs

MIB = 1 << 20
CLIENTS = ("tus-js", "tuspy")
#: What tus-js-client calls what of the protocol; tuspy has checksums alone.
FEATURES = {"creation-with-upload": "uploadDataDuringCreation", "method override": "overridePatchMethod"}
CHUNKS = (MIB, 5 * MIB, 6 * MIB, None)
#: Cuts in a file, on average; and the bytes of a request beside its body, which are most of it where bodies are small.
CUTS, HEAD_BYTES = 5, 400
#: Waits of tus-js-client: as long as a web process needs to come back on a busy machine.
RETRY_MILLISECONDS = (0, 50, 100, 200, 400, *[800] * 20)


@dataclass(frozen=True, slots=True)
class Crossing:
    """What is sent, how, and what happens meanwhile."""

    client: str  #: tus-js or tuspy
    chunk_bytes: int | None  #: None: all in one request
    size_bytes: int = 12_000_000
    is_deferred: bool = False  #: the length is told at the end
    is_killed: bool = False  #: both web processes are, one after the other
    feature: str = ""  #: that the client uses beside: checksums, or one of FEATURES

    def __str__(self) -> str:
        chunk = "unlimited" if self.chunk_bytes is None else f"{self.chunk_bytes} B"
        chunk = f"{self.chunk_bytes // MIB} MiB" if self.chunk_bytes and self.chunk_bytes >= MIB else chunk
        said = [
            self.client,
            chunk,
            "deferred" if self.is_deferred else "known",
            "killed" if self.is_killed else "",
            self.feature,
        ]
        return " ".join(filter(None, said))

    @property
    def sent_bytes(self) -> int:
        """With the heads of all requests."""
        requests = -(-self.size_bytes // (self.chunk_bytes or self.size_bytes))
        return self.size_bytes + requests * HEAD_BYTES


@dataclass(frozen=True, slots=True)
class SentFile:
    source: str
    rows: Sequence[tuple[str, str]] = field(repr=False)
    size_bytes: int
    sha256: str
    retried: Sequence[int | None]  #: statuses after which the client tried again; None or 0: no answer
    cuts: int


def send(
    crossing: Crossing, webs: TakingTurns, tus_js: TusJs | None, path: Path, number: int = 0, seconds: float = 60
) -> SentFile:
    """Write a file and upload it; returns when the client has been told that all of it is there."""
    rows = write_contacts(path, crossing.size_bytes, number)
    source, cuts = f"{crossing}, {number}", webs.proxy.cuts
    metadata = {"filename": path.name, "filetype": "text/csv", "source": source}
    if crossing.is_killed:
        webs.kill_each_once(crossing.sent_bytes)
    with webs.proxy.cutting(crossing.sent_bytes / CUTS):
        retried = _upload(crossing, f"{webs.proxy.url}/uploads", tus_js, path, metadata, seconds)
    if crossing.is_killed:
        webs.wait_for_kills()
    content = path.read_bytes()
    return SentFile(source, rows, len(content), hashlib.sha256(content).hexdigest(), retried, webs.proxy.cuts - cuts)


def _upload(
    crossing: Crossing, endpoint: str, tus_js: TusJs | None, path: Path, metadata: dict[str, str], seconds: float
) -> Sequence[int | None]:
    chunks: dict[str, Any] = {"chunk_bytes": crossing.chunk_bytes, "is_deferred": crossing.is_deferred}
    if tus_js is None:
        has_checksums = crossing.feature == "checksums"
        return tuspy_client.upload(endpoint, path, metadata, has_checksums=has_checksums, seconds=seconds, **chunks)
    # A stream has no length that could be deferred, and only a buffer can be gone back in.
    source = "buffer" if crossing.is_deferred else "stream"
    options = {FEATURES[crossing.feature]: True} if crossing.feature else {}
    waits: dict[str, Any] = {"retry_milliseconds": RETRY_MILLISECONDS, "seconds": seconds}
    happened = tus_js.upload(endpoint, path, metadata, source=source, options=options, **waits, **chunks)
    retried: Sequence[int | None] = happened["retried"]
    return retried


def sha256_of_object(storage: Storage, key: str) -> str:
    digest = hashlib.sha256()
    with storage.open(key) as reader:
        for piece in reader.pieces(MIB):
            digest.update(piece)
    return digest.hexdigest()
