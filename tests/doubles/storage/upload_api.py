"""The standard upload: one request, raw or as a form. The object appears when the last byte is there, or never."""

import base64
import binascii
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from tests.doubles.storage import refusals, rules, tokens
from tests.doubles.storage.messages import Request, Response, json_response
from tests.doubles.storage.multipart import find_file
from tests.doubles.storage.service import Service
from tests.doubles.storage.state import Bucket, StoredObject

DEFAULT_CONTENT_TYPE = "application/octet-stream"
PLACEHOLDER = ".emptyFolderPlaceholder"


def upload(service: Service, request: Request, bucket_id: str, key: str) -> Response:
    """POST makes an object, PUT and `x-upsert: true` make or replace it."""
    allowed = service.may_everything(request)
    row = store(service, request, bucket_id, key, request.method == "PUT" or request.is_upsert, allowed)
    return json_response({"Key": f"{bucket_id}/{key}", "Id": row.id})


def sign(service: Service, request: Request, bucket_id: str, key: str) -> Response:
    """A permission to upload; the bearer is asked for the same right as by an upload. Nobody redeems it here."""
    allowed = service.may_everything(request)
    service.check_writable(service.bucket(bucket_id), key, request.is_upsert, allowed)
    token = tokens.make(service.settings.secret, {"url": f"{bucket_id}/{key}"})
    return json_response({"url": f"/object/upload/sign/{bucket_id}/{key}?token={token}", "token": token})


def store(service: Service, request: Request, bucket_id: str, key: str, is_upsert: bool, allowed: bool) -> StoredObject:
    """Everything that can be told from the head is refused before the body is read."""
    bucket = service.bucket(bucket_id)
    service.check_writable(bucket, key, is_upsert, allowed)
    sent_type = request.headers.get("content-type", DEFAULT_CONTENT_TYPE)
    limit_bytes = 0 if key.endswith(PLACEHOLDER) else service.limit_bytes(bucket)
    is_form = sent_type.lower().startswith("multipart/form-data")
    if not is_form:
        _check_type(bucket, sent_type)
        # Only the announced length is looked at: a chunked body of any size passes, here as in the real server.
        _check_size(request.body.length_bytes or 0, limit_bytes)
    version = service.state.new_version()
    path = service.state.bytes_path(version)
    row = StoredObject(
        bucket_id,
        key,
        version,
        0,
        sent_type,
        request.headers.get("cache-control", "no-cache"),
        _metadata(request.headers.get("x-metadata")),
        None,
    )
    try:
        _receive(service, request, path, row)
        if is_form:
            _take_from_form(path, row, sent_type, bucket, limit_bytes)
        if not rules.fits_file_system(key):
            raise refusals.object_refusal(500, "InternalError", "Internal server error", http_status=500)
        row.size_bytes = path.stat().st_size
        return service.state.commit(row)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _receive(service: Service, request: Request, path: Path, row: StoredObject) -> None:
    # At a limited rate there is time to hash on the way; else it is left to the first reader.
    digest = hashlib.md5() if service.settings.bytes_per_second else None
    with path.open("xb", buffering=0) as file:
        request.body.save(file, digest)
    if digest:
        row.etag = f'"{digest.hexdigest()}"'


def _take_from_form(path: Path, row: StoredObject, sent_type: str, bucket: Bucket, limit_bytes: int) -> None:
    part = find_file(path, sent_type)
    if part is None:
        raise refusals.object_refusal(400, "InvalidRequest", "No content provided")
    row.content_type = part.fields.get("contentType") or part.content_type or DEFAULT_CONTENT_TYPE
    _check_type(bucket, row.content_type)
    _check_size(part.size_bytes, limit_bytes)
    if age := part.fields.get("cacheControl"):
        row.cache_control = f"max-age={age}"
    if text := part.fields.get("metadata"):
        row.metadata = json_object(text)
    row.etag = None
    # Moved to the front of its own file: writing never overtakes reading.
    with path.open("rb") as form, path.open("r+b") as file:
        form.seek(part.offset)
        shutil.copyfileobj(form, file, 1 << 20)
        file.truncate(part.size_bytes)


def _check_type(bucket: Bucket, content_type: str) -> None:
    if not rules.is_content_type(content_type):
        raise refusals.mime_refused("Invalid Content-Type header")
    if not rules.mime_allowed(content_type, bucket.allowed_mime_types):
        raise refusals.mime_refused(f"mime type {content_type} is not supported")


def _check_size(size_bytes: int, limit_bytes: int) -> None:
    if size_bytes > limit_bytes:
        raise refusals.too_large()


def _metadata(header: str | None) -> dict[str, Any] | None:
    try:
        return json_object(base64.b64decode(header or "", validate=True).decode())
    except (binascii.Error, UnicodeDecodeError):
        return None


def json_object(text: str) -> dict[str, Any] | None:
    """What is no JSON object is dropped without a word."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
