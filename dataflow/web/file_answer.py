"""A file that a job has made as an answer: whole or a part of it (RFC 9110 sections 13 and 14), with its digest."""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, Final

from flask import Response, request
from werkzeug.http import parse_range_header, quote_etag

from dataflow.errors import RangeNotSatisfiable, StorageError
from dataflow.exports.formats import JOB_FORMATS, file_name
from dataflow.formats.block import PIECE_BYTES
from dataflow.web.client_line import ClientLine
from dataflow.web.export_body import ExportBody, broken_off, disposition
from dataflow.web.services import services

#: So long a storage that does not answer any more is asked again; then the client has to come again.
PATIENCE_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class _Part:
    start: int
    size_bytes: int
    status: int = 200


def of(job: dict[str, Any], object_key: str) -> Response:
    """The answer to the request for the file of `job`.

    :raises RangeNotSatisfiable: when no byte of it is asked for.
    """
    size, changed_at = job["bytes_total"], job["finished_at"].replace(microsecond=0)
    digest = bytes.fromhex(job["content_sha256"])
    if _is_known(digest.hex(), changed_at):
        return _described(Response(status=304), digest, changed_at)
    part = _wanted(size, digest.hex(), changed_at)
    is_read = request.method != "HEAD" and part.size_bytes > 0
    response = _sent(object_key, part, digest) if is_read else Response()
    response.status_code = part.status
    if part.status == 206:
        response.headers["Content-Range"] = f"bytes {part.start}-{part.start + part.size_bytes - 1}/{size}"
    response.headers["Content-Length"] = str(part.size_bytes)
    response.headers["Content-Type"] = job["content_type"]
    response.headers["Content-Disposition"] = disposition(_name(job))
    return _described(response, digest, changed_at)


def _name(job: dict[str, Any]) -> str:
    """What was forgotten of a job is not known when it is tried again."""
    return job["file_name"] or file_name(job["source"], JOB_FORMATS[job["format"]].extension)


def _described(response: Response, digest: bytes, changed_at: datetime) -> Response:
    response.headers["ETag"] = quote_etag(digest.hex())
    response.headers["Repr-Digest"] = f"sha-256=:{b64encode(digest).decode()}:"
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "private, no-cache"
    response.last_modified = changed_at
    return response


def _is_known(etag: str, changed_at: datetime) -> bool:
    """Whether the client has it already; the date counts only for those who give no tag (section 13.2.2)."""
    if "If-None-Match" in request.headers:
        return request.if_none_match.contains_weak(etag)
    since = request.if_modified_since
    return since is not None and changed_at <= since


def _wanted(size_bytes: int, etag: str, changed_at: datetime) -> _Part:
    """Several ranges, or what is no range, are answered with the whole."""
    whole = _Part(0, size_bytes)
    if request.method != "GET" or not _is_unchanged(etag, changed_at):
        return whole
    found = parse_range_header(request.headers.get("Range"))
    if found is None or found.units != "bytes" or len(found.ranges) != 1:
        return whole
    limits = found.range_for_length(size_bytes)
    if limits is None:
        raise RangeNotSatisfiable(size_bytes)
    return _Part(limits[0], limits[1] - limits[0], 206)


def _is_unchanged(etag: str, changed_at: datetime) -> bool:
    """Whether the file is the one of which the client has a part already (section 13.1.5)."""
    condition = request.if_range
    if condition.etag is not None:
        return condition.etag == etag and not request.headers["If-Range"].startswith("W/")
    return condition.date is None or condition.date == changed_at


def _sent(object_key: str, part: _Part, digest: bytes) -> Response:
    body = ExportBody(services(), ClientLine.of_request(), is_gzipped=False)
    expected = digest if part.status == 200 else None
    pieces = body.pieces(lambda check: _read(body, object_key, part, expected, check))
    # Begun while an error can still be told.
    response = Response(chain([next(pieces)], broken_off(pieces)))
    response.call_on_close(pieces.close)
    return response


def _read(
    body: ExportBody, object_key: str, part: _Part, expected: bytes | None, check: Callable[[], None]
) -> Generator[bytes, None, None]:
    """The bytes of the part; the last of a whole file only when its digest is the `expected` one.

    :raises StorageError: when it cannot be read, is shorter than it was, or is another.
    """
    left, digest, storage = part.size_bytes, hashlib.sha256(), services().storage
    with storage.open(object_key, part.start, PATIENCE_SECONDS) as reader, body.reading(reader):
        for piece in reader.pieces(PIECE_BYTES):
            wanted = piece[:left]
            left -= len(wanted)
            if expected is not None:
                digest.update(wanted)
                if not left and digest.digest() != expected:
                    raise StorageError("The storage has other bytes than were stored.", code="digest_mismatch")
            yield wanted
            if not left:
                return
            check()
    raise StorageError(f"The storage has {left} bytes fewer of the file than were stored.", code="object_missing")
