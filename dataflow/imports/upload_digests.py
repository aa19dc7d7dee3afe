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
    """With an entry of `size_bytes` whose last byte is before `offset`; what it covers it replaces."""
    known = known_to(digests, offset - size_bytes)
    if len(known) >= SMALL_ENTRIES + offset // MIB:
        return _with(known[:-1], offset, None)
    return _with(known, offset, digest)


def _with(known: Digests, end: int, digest: str | None) -> Digests:
    if digest is None and known and known[-1][1] is None:
        known = known[:-1]
    return [*known, [end, digest]]


def _end(digests: Digests) -> int:
    return int(digests[-1][0]) if digests else 0


class BodyDigests:
    """Those of a body that is stored in chunks, made as its pieces come, while the client sends the next ones.

    An entry is begun every `entry_bytes` at the end of a chunk; until then each chunk replaces it by a longer one.
    """

    def __init__(self, chunk_bytes: int, entry_bytes: int) -> None:
        self._chunk_bytes, self._entry_bytes = chunk_bytes, entry_bytes
        self._left_bytes = chunk_bytes  #: of the chunk
        self._size_bytes, self._hash = 0, hashlib.sha256()  #: of the entry
        self._full: deque[tuple[int, str]] = deque()

    def passing(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            rest = memoryview(piece)
            while len(rest) > self._left_bytes:
                part, rest = rest[: self._left_bytes], rest[self._left_bytes :]
                self._take(part)
                self._full.append((self._size_bytes, self._hash.hexdigest()))
                self._left_bytes = self._chunk_bytes
                if self._size_bytes >= self._entry_bytes:
                    self._size_bytes, self._hash = 0, hashlib.sha256()
            self._take(rest)
            yield piece

    def next(self) -> tuple[int, str]:
        """Size and digest of the entry at the end of the next chunk, in the order of `storage.chunks`."""
        return self._full.popleft() if self._full else (self._size_bytes, self._hash.hexdigest())

    def _take(self, part: memoryview) -> None:
        self._hash.update(part)
        self._size_bytes += len(part)
        self._left_bytes -= len(part)
