"""TUS 1.0.0 under `/upload/resumable`: creation, PATCH, HEAD and termination, with true statuses and plain text.

Where uploads live and who holds one is `uploads`, what becomes of their bytes `tus_writing`.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate

from tests.doubles.storage import refusals, rules, tokens
from tests.doubles.storage.database import NoConnection
from tests.doubles.storage.messages import PREFIX, Request, Response, refused
from tests.doubles.storage.refusals import tus_refusal
from tests.doubles.storage.service import Service
from tests.doubles.storage.state import Bucket
from tests.doubles.storage.tus_metadata import parse_metadata
from tests.doubles.storage.tus_writing import append, finish
from tests.doubles.storage.uploads import LockTimeout, Upload

BASE = "/upload/resumable"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,termination,expiration"
CHUNK_TYPE = "application/offset+octet-stream"
NO_LENGTH = "Upload-Length or Upload-Defer-Length header required"


def upload_id(path: str) -> str:
    """The last segment of an upload's URL; empty for the base."""
    return path.removeprefix(PREFIX).removeprefix(BASE).strip("/")


def answer(service: Service, request: Request) -> Response:
    try:
        response = _answer(service, request)
    except refusals.Refusal as refusal:
        response = refused(refusal)
    except LockTimeout:
        response = refused(tus_refusal(503, "acquiring lock timeout"))
    except NoConnection:
        response = refused(tus_refusal(544, "The connection to the database timed out"))
    response.headers["Tus-Resumable"] = "1.0.0"
    # Unlike the object API it takes in what it has refused, so that the client comes to read the answer.
    response.drain = True
    return response


def _answer(service: Service, request: Request) -> Response:
    name = upload_id(request.path)
    if request.method == "OPTIONS":
        limit = service.settings.global_limit
        return Response(204, {"Tus-Version": "1.0.0", "Tus-Extension": EXTENSIONS, "Tus-Max-Size": str(limit)})
    allowed = _allowed(service, request)
    _check_protocol(request)
    if request.method == "PATCH" and name:
        with service.database.connection():
            return _patch(service, request, name, allowed)
    service.database.use()
    match request.method, bool(name):
        case "POST", False:
            return _create(service, request, allowed)
        case "HEAD", True:
            return _head(service, request, name)
        case "DELETE", True:
            return _terminate(service, request, name, allowed)
    raise tus_refusal(404, "Not found")


def _allowed(service: Service, request: Request) -> bool:
    """A bad key is the one thing that is refused in the manner of the object API."""
    try:
        claims = service.claims(request)
    except tokens.TokenRefused as error:
        raise refusals.access_denied(str(error)) from error
    if claims is None:
        raise refusals.access_denied("Invalid Compact JWS")
    return claims.get("role") == "service_role"


def _check_protocol(request: Request) -> None:
    version = request.headers.get("tus-resumable")
    if version is None:
        raise tus_refusal(412, "Tus-Resumable Required")
    if version != "1.0.0":
        raise tus_refusal(400, "Invalid tus-resumable")
    if "upload-concat" in request.headers:
        raise tus_refusal(501, "Concatenation extension is not (yet) supported")


def _create(service: Service, request: Request, allowed: bool) -> Response:
    length_bytes = _announced_length(request)
    header = request.headers.get("upload-metadata", "")
    metadata = parse_metadata(header)
    bucket = _target(service, request, metadata.bucket, metadata.key, allowed)
    if (length_bytes or 0) > service.limit_bytes(bucket):
        raise tus_refusal(413, "Maximum size exceeded")
    if not rules.mime_allowed(metadata.content_type, bucket.allowed_mime_types):
        raise tus_refusal(415, f"mime type {metadata.content_type} is not supported")
    if length_bytes == 0 and service.settings.s3:
        raise tus_refusal(404, "NotFound")
    version = service.state.new_version()
    upload = Upload(version, metadata.bucket, metadata.key, length_bytes, header, time.time())
    service.uploads.create(upload)
    headers = {"Location": _location(service, request, upload)} | _expiry(service, upload)
    if request.headers.get("content-type") == CHUNK_TYPE:
        headers |= append(service, request, upload, service.limit_bytes(bucket))
        service.uploads.save(upload)
    return Response(201, headers | finish(service, request, upload))


def _announced_length(request: Request) -> int | None:
    """None when it is deferred."""
    length, deferred = (request.headers.get(name) for name in ("upload-length", "upload-defer-length"))
    if (length is None) == (deferred is None) or deferred not in (None, "1"):
        raise tus_refusal(400, NO_LENGTH)
    return None if length is None else _number(length, "upload-length")


def _patch(service: Service, request: Request, name: str, allowed: bool) -> Response:
    if (given := request.headers.get("upload-offset")) is None:
        raise tus_refusal(403, "Upload-Offset header required")
    kind = request.headers.get("content-type")
    if kind is None:
        raise tus_refusal(403, "Content-Type header required")
    if kind != CHUNK_TYPE:
        raise tus_refusal(400, "Invalid content-type")
    with _held(service, request, name) as must_end:
        upload, bucket = _checked(service, request, name, allowed)
        if service.uploads.offset(upload) != _number(given, "upload-offset"):
            raise tus_refusal(409, "Upload-Offset conflict")
        limit_bytes = service.limit_bytes(bucket)
        if (length := request.headers.get("upload-length")) is not None:
            _declare_length(service, upload, _number(length, "upload-length"), limit_bytes)
        try:
            headers = append(service, request, upload, limit_bytes, must_end)
        finally:
            service.uploads.save(upload)
    # Without the lock: who asks meanwhile is answered at once, and disturbs nothing.
    headers |= finish(service, request, upload)
    return Response(204, headers | _expiry(service, upload), close="Connection" in headers)


def _declare_length(service: Service, upload: Upload, length_bytes: int, limit_bytes: int) -> None:
    """It stays declared when the PATCH that brings it fails later."""
    if upload.length_bytes is not None or length_bytes < (service.uploads.offset(upload) or 0):
        raise tus_refusal(400, NO_LENGTH)
    if length_bytes > limit_bytes:
        raise tus_refusal(413, "Maximum size exceeded")
    upload.length_bytes = length_bytes
    service.uploads.save(upload)


def _head(service: Service, request: Request, name: str) -> Response:
    """Any valid key will do."""
    with _held(service, request, name):
        upload = _existing(service, name)
        length = (
            {"Upload-Defer-Length": "1"} if upload.length_bytes is None else {"Upload-Length": str(upload.length_bytes)}
        )
        offset = {"Upload-Offset": str(service.uploads.offset(upload))}
    rest = {"Upload-Metadata": upload.metadata_header, "Cache-Control": "no-store"}
    return Response(200, offset | length | rest | _expiry(service, upload))


def _terminate(service: Service, request: Request, name: str, allowed: bool) -> Response:
    with _held(service, request, name):
        upload, _ = _checked(service, request, name, allowed)
        if service.uploads.offset(upload) == upload.length_bytes:
            raise tus_refusal(400, "Cannot terminate an already completed upload")
        service.uploads.terminate(upload)
    return Response(204)


def _checked(service: Service, request: Request, name: str, allowed: bool) -> tuple[Upload, Bucket]:
    """The upload and its bucket, once the request may write there."""
    upload = _find(service, name)
    bucket = _target(service, request, upload.bucket, upload.key, allowed)
    return _existing(service, name), bucket


def _target(service: Service, request: Request, bucket_id: str, key: str, allowed: bool) -> Bucket:
    """The bucket; `x-upsert` is looked at on each request anew."""
    bucket = service.state.buckets.get(bucket_id)
    if bucket is None:
        raise tus_refusal(404, "Bucket not found")
    if not allowed:
        raise tus_refusal(403, "new row violates row-level security policy")
    if not request.is_upsert and service.state.find(bucket_id, key):
        raise tus_refusal(409, "The resource already exists")
    return bucket


def _find(service: Service, name: str) -> Upload:
    try:
        upload = service.uploads.find(name)
    except ValueError as error:
        raise tus_refusal(400, "Invalid upload id") from error
    if upload is None:
        raise tus_refusal(404, "The file for this url was not found")
    return upload


def _existing(service: Service, name: str) -> Upload:
    upload = _find(service, name)
    expired = service.settings.s3 and time.time() > upload.created + service.settings.expiry_seconds
    if expired or service.uploads.offset(upload) is None:
        raise tus_refusal(410, "The file for this url no longer exists")
    return upload


@contextlib.contextmanager
def _held(service: Service, request: Request, name: str) -> Iterator[Callable[[], bool]]:
    """The upload's lock; yields what tells that somebody else wants it."""
    lock = service.uploads.lock(name)
    with lock.hold(service.settings.lock_seconds):
        request.hold_inside()
        yield lock.must_end(service.settings.drain_seconds)


def _location(service: Service, request: Request, upload: Upload) -> str:
    """Wrong in host and prefix as behind a gateway that was set up so, unless an honest one is asked for."""
    if service.settings.honest_location:
        return f"http://{request.headers['host']}{PREFIX}{BASE}/{upload.id}"
    return f"http://storage.internal:5000{BASE}/{upload.id}"


def _expiry(service: Service, upload: Upload) -> dict[str, str]:
    if not service.settings.s3:
        return {}
    return {"Upload-Expires": formatdate(upload.created + service.settings.expiry_seconds, usegmt=True)}


def _number(text: str, header: str) -> int:
    if not text.isdecimal():
        raise tus_refusal(400, f"Invalid {header}")
    return int(text)
