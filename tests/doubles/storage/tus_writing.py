"""The bytes of a TUS upload: appended as they arrive, and made an object when the last one is there.

That takes the server `completion_seconds`, in which its client must not leave: see `completions`.
"""

import hashlib
import os
from collections.abc import Callable
from typing import BinaryIO

from tests.doubles.storage.body import BodyTooLong, FaultReset
from tests.doubles.storage.messages import Request
from tests.doubles.storage.refusals import tus_refusal
from tests.doubles.storage.service import Service
from tests.doubles.storage.state import StoredObject
from tests.doubles.storage.tus_metadata import parse_metadata
from tests.doubles.storage.uploads import Upload
from tests.doubles.storage.wire import ClientGone, Interrupted, never


class _Sparse:
    """A file that takes bytes by growing, so that its length is all that the disk holds of them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, piece: memoryview) -> int:
        self._file.truncate(self._file.seek(len(piece), os.SEEK_CUR))
        return len(piece)


def append(
    service: Service, request: Request, upload: Upload, limit_bytes: int, must_end: Callable[[], bool] = never
) -> dict[str, str]:
    """Write the request's body at the end of the upload; the answer's headers, with the offset reached.

    What arrived stays when the client leaves, and when `must_end` cuts it short: that is a success, and the offset
    says how far it got.
    """
    offset = service.uploads.offset(upload) or 0
    room_bytes = (limit_bytes if upload.length_bytes is None else upload.length_bytes) - offset
    if (request.body.length_bytes or 0) > room_bytes:
        raise tus_refusal(413, "upload's size exceeded")
    # See `upload_api`: hashed on the way only where the rate leaves time for it.
    digest = service.uploads.digest(upload, offset) if service.settings.bytes_per_second else None
    headers = {}
    with service.uploads.path(upload).open("r+b", buffering=0) as file:
        file.seek(offset)
        try:
            into = _Sparse(file) if service.settings.sparse else file
            request.body.save(into, digest, must_end, room_bytes)  # type: ignore[arg-type]
        except Interrupted:
            headers["Connection"] = "close"
        except BodyTooLong as error:
            file.truncate(offset)
            raise tus_refusal(413, "Maximum size exceeded") from error
        except FaultReset as reset:
            if not reset.keep:
                file.truncate(offset)
            raise
        reached = file.tell()
    upload.parts += reached > offset
    if digest:
        service.uploads.keep_digest(upload, digest, reached)
    return headers | {"Upload-Offset": str(reached)}


def finish(service: Service, request: Request, upload: Upload) -> dict[str, str]:
    """Make it an object when nothing is missing; an upload that is one already stays as it is.

    :raises ClientGone: when the client has not waited for that.
    """
    offset = service.uploads.offset(upload)
    if offset is None or offset != upload.length_bytes:
        return {}
    digest = service.uploads.digest(upload, offset)
    with service.completions.under_way(upload.version, request.is_gone) as fate:
        if fate.is_kept and not _is_object(service, upload):
            _commit(service, upload, offset, digest)
        elif fate.is_lost and not _is_object(service, upload):
            service.uploads.forget(upload)
    if not fate.is_kept:
        raise ClientGone
    return {"Tus-Complete": "1"}


def _is_object(service: Service, upload: Upload) -> bool:
    there = service.state.find(upload.bucket, upload.key)
    return there is not None and there.version == upload.version


def _commit(service: Service, upload: Upload, size_bytes: int, digest: "hashlib._Hash | None") -> None:
    metadata = parse_metadata(upload.metadata_header)
    service.state.commit(
        StoredObject(
            upload.bucket,
            upload.key,
            upload.version,
            size_bytes,
            metadata.content_type,
            metadata.cache_control,
            metadata.user_metadata,
            _etag(service, upload, digest),
        )
    )


def _etag(service: Service, upload: Upload, digest: "hashlib._Hash | None") -> str | None:
    if service.settings.s3 or service.settings.sparse:
        # The form of a multipart upload's: told from an MD5 by its end, and the same for no two uploads.
        return f'"{hashlib.md5(upload.version.encode()).hexdigest()}-{max(1, upload.parts)}"'
    return f'"{digest.hexdigest()}"' if digest else None
