"""Reading an object and asking about it: whole, a range of it, its headers, or what is known of it as JSON."""

import re
from datetime import datetime
from typing import Any
from urllib.parse import quote

from tests.doubles.storage import refusals
from tests.doubles.storage.messages import Request, Response, json_response
from tests.doubles.storage.service import Service
from tests.doubles.storage.state import StoredObject

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def read(service: Service, request: Request, row: StoredObject) -> Response:
    """GET and HEAD of the content. `If-Range` and `If-Match` mean nothing to the server."""
    opened = service.state.open(row)
    if opened is None:
        raise refusals.no_such_key()
    row, file = opened
    try:
        headers = _headers(service, request, row)
        if request.headers.get("if-none-match") in (headers["ETag"], "*"):
            return Response(304, headers, file=file)
        start, end, status = 0, row.size_bytes, 200
        if wanted := request.headers.get("range"):
            start, end = _range(wanted, row.size_bytes)
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{row.size_bytes}"
            status = 206
    except BaseException:
        file.close()
        raise
    headers["Content-Type"] = row.content_type
    return Response(status, headers, file=file, offset=start, count=end - start)


def info(service: Service, row: StoredObject) -> Response:
    return json_response(
        {
            "id": row.id,
            "name": row.key,
            "version": row.version,
            "bucket_id": row.bucket,
            "size": row.size_bytes,
            "content_type": row.content_type,
            "cache_control": row.cache_control,
            "etag": _etag(service, row),
            "metadata": row.metadata or {},
            "last_modified": row.updated_at,
            "created_at": row.created_at,
        }
    )


def listed(service: Service, row: StoredObject, name: str) -> dict[str, Any]:
    """The row as lists and deletions show it."""
    return {
        "name": name,
        "bucket_id": row.bucket,
        "id": row.id,
        "version": row.version,
        "updated_at": row.updated_at,
        "created_at": row.created_at,
        "last_accessed_at": row.updated_at,
        "metadata": {
            "eTag": _etag(service, row),
            "size": row.size_bytes,
            "mimetype": row.content_type,
            "cacheControl": row.cache_control,
            "lastModified": row.updated_at,
            "contentLength": row.size_bytes,
            "httpStatusCode": 200,
        },
        "user_metadata": row.metadata,
    }


def _headers(service: Service, request: Request, row: StoredObject) -> dict[str, str]:
    changed = datetime.fromisoformat(row.updated_at)
    headers = {
        "ETag": _etag(service, row),
        "Last-Modified": changed.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "Accept-Ranges": "bytes",
        "Cache-Control": row.cache_control,
    }
    if (name := request.query.get("download")) is not None:
        named = f"; filename={quote(name)}; filename*=UTF-8''{quote(name)};" if name else ""
        headers["Content-Disposition"] = f"attachment{named}"
    return headers


def _etag(service: Service, row: StoredObject) -> str:
    try:
        return service.state.etag(row)
    except FileNotFoundError as error:
        raise refusals.no_such_key() from error


def _range(wanted: str, size_bytes: int) -> tuple[int, int]:
    """The bytes from the first to before the second; only one range is served, and never an empty one."""
    first, last = found.groups() if (found := _RANGE.fullmatch(wanted)) else ("", "")
    if first:
        start, end = int(first), min(int(last) + 1 if last else size_bytes, size_bytes)
    elif last:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start = end = 0
    if start >= end:
        raise refusals.object_refusal(416, "InvalidRange", "invalid range provided", "invalid_range", http_status=416)
    return start, end
