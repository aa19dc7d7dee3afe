"""The digests of an upload in several requests: which bytes of it were hashed as they came, and by what.

Kept as `[[end_offset, sha256], ...]`, ascending; null for bytes that nobody hashed, as after an append whose answer was
lost. The entries grow with the content, however small the requests are: beyond SMALL_ENTRIES and one a MiB, small ones
become one that is not compared, or a byte a request would have the row rewritten with kilobytes each time.
"""

import hashlib

from dataflow.queue.resumable_uploads import Digests

SMALL_ENTRIES = 100
MIB = 1 << 20


def known_to(digests: Digests, offset: int) -> Digests:
    """The entries as far as the storage has the bytes: those beyond `offset` are dropped, a gap before it is null."""
    known = [entry for entry in digests if entry[0] <= offset]
    return _with(known, offset, None) if offset > _end(known) else known


def appended(digests: Digests, chunk: bytes | memoryview, offset: int) -> Digests:
    """With the entry of a `chunk` whose last byte is before `offset`."""
    known = known_to(digests, offset - len(chunk))
    if len(known) >= SMALL_ENTRIES + offset // MIB:
        return _with(known[:-1], offset, None)
    return _with(known, offset, hashlib.sha256(chunk).hexdigest())


def _with(known: Digests, end: int, digest: str | None) -> Digests:
    if digest is None and known and known[-1][1] is None:
        known = known[:-1]
    return [*known, [end, digest]]


def _end(digests: Digests) -> int:
    return int(digests[-1][0]) if digests else 0
