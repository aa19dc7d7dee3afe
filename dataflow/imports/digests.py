"""The bytes of an object are compared with the size and the digests that were recorded when it was uploaded."""

import hashlib
from collections.abc import Iterator

from dataflow.errors import StorageError
from dataflow.formats.block import PIECE_BYTES
from dataflow.imports.import_progress import ImportProgress
from dataflow.queue.jobs import Job
from dataflow.storage.base import ObjectReader


def verified(reader: ObjectReader, job: Job, progress: ImportProgress) -> Iterator[bytes]:
    """The object in pieces of at most PIECE_BYTES, counted in `progress`; with its SHA-256 when that was not recorded.

    :raises StorageError: digest_mismatch at each recorded end where size or SHA-256 differ.
    """
    pieces = _verified(reader, job, progress)
    return pieces if _is_recorded(job) else _hashed(pieces, progress)


def _is_recorded(job: Job) -> bool:
    return len(job.digests) == 1 and job.digests[0][1] is not None


def _hashed(pieces: Iterator[bytes], progress: ImportProgress) -> Iterator[bytes]:
    whole = hashlib.sha256()
    for piece in pieces:
        whole.update(piece)
        yield piece
    progress.content_sha256 = whole.hexdigest()


def _verified(reader: ObjectReader, job: Job, progress: ImportProgress) -> Iterator[bytes]:
    digests = iter(job.digests)
    end, expected = next(digests)
    digest = hashlib.sha256()
    progress.bytes_done = 0
    for piece in reader.pieces(PIECE_BYTES):
        rest = piece
        while progress.bytes_done + len(rest) > end:
            head, rest = rest[: end - progress.bytes_done], rest[end - progress.bytes_done :]
            digest.update(head)
            progress.bytes_done += len(head)
            _compare(job, digest.hexdigest(), expected, end)
            end, expected = next(digests, (job.bytes_total + len(piece), ""))
            digest = hashlib.sha256()
        digest.update(rest)
        progress.bytes_done += len(rest)
        yield piece
    if progress.bytes_done != job.bytes_total:
        raise StorageError(
            f"The stored object has {progress.bytes_done} bytes, {job.bytes_total} were received.",
            code="digest_mismatch",
        )
    _compare(job, digest.hexdigest(), expected, end)


def _compare(job: Job, found: str, expected: str | None, end: int) -> None:
    """None is the digest of bytes that nobody has hashed."""
    if expected is not None and found != expected:
        raise StorageError(
            f"The stored object {job.object_key} differs from what was received before byte {end}.",
            code="digest_mismatch",
        )
