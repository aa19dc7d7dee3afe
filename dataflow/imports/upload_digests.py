"""The digests of an upload in several requests: which bytes of it were hashed as they came, and by what.

Kept as `[[end_offset, sha256], ...]`, ascending; null for bytes that nobody hashed, as after an append whose answer was
lost. The entries grow with the content, however small the requests are: beyond SMALL_ENTRIES and one a MiB, small ones
become one that is not compared, or a byte a request would have the row rewritten with kilobytes each time.
"""

import hashlib
from collections import deque
from collections.abc import Iterator

from dataflow.queue.resumable_uploads import Digests

SMALL_ENTRIES = 100
MIB = 1 << 20


def known_to(digests: Digests, offset: int) -> Digests:
    """The entries as far as the storage has the bytes: those beyond `offset` are dropped, a gap before it is null."""
    known = [entry for entry in digests if entry[0] <= offset]
    return _with(known, offset, None) if offset > _end(known) else known


def appended(digests: Digests, size_bytes: int, digest: str, offset: int) -> Digests:
    """With the entry of an append of `size_bytes`, whose last byte is before `offset`."""
    known = known_to(digests, offset - size_bytes)
    if len(known) >= SMALL_ENTRIES + offset // MIB:
        return _with(known[:-1], offset, None)
    return _with(known, offset, digest)


class ChunkDigests:
    """The digests of the chunks of a body, made as its pieces come: the client sends the next ones meanwhile."""

    def __init__(self, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self._left_bytes = chunk_bytes
        self._hash = hashlib.sha256()
        self._full: deque[str] = deque()

    def passing(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            rest = memoryview(piece)
            while len(rest) > self._left_bytes:
                part, rest = rest[: self._left_bytes], rest[self._left_bytes :]
                self._take(part)
                self._full.append(self._hash.hexdigest())
                self._hash, self._left_bytes = hashlib.sha256(), self._chunk_bytes
            self._take(rest)
            yield piece

    def next(self) -> str:
        """That of the next chunk, in the order in which `storage.chunks` gives them."""
        return self._full.popleft() if self._full else self._hash.hexdigest()

    def _take(self, part: memoryview) -> None:
        self._hash.update(part)
        self._left_bytes -= len(part)


def _with(known: Digests, end: int, digest: str | None) -> Digests:
    if digest is None and known and known[-1][1] is None:
        known = known[:-1]
    return [*known, [end, digest]]


def _end(digests: Digests) -> int:
    return int(digests[-1][0]) if digests else 0
