"""What the server answers instead of doing what was asked.

The object API answers HTTP 400 nearly always and puts the true status into its JSON; TUS answers true statuses and
plain text. Failures of the server's own surroundings (its database, its gateway) are in `outages`.
"""

import json
from collections.abc import Mapping
from typing import Any


class Refusal(Exception):
    """An answer raised from anywhere in a handler; `close` also ends the connection."""

    def __init__(self, status: int, body: bytes, content_type: str, close: bool = False) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.content_type = content_type
        self.close = close


def as_json(status: int, body: Mapping[str, Any]) -> Refusal:
    return Refusal(status, json.dumps(body).encode(), "application/json; charset=utf-8")


def object_refusal(status: int, code: str, message: str, error: str = "", http_status: int = 400) -> Refusal:
    """`status` is the one in the body."""
    return as_json(http_status, {"statusCode": str(status), "error": error or code, "message": message, "code": code})


def tus_refusal(status: int, text: str) -> Refusal:
    return Refusal(status, text.encode(), "text/plain; charset=utf-8", close=True)


def no_such_bucket() -> Refusal:
    return object_refusal(404, "NoSuchBucket", "Bucket not found", "Bucket not found")


def no_such_key() -> Refusal:
    return object_refusal(404, "NoSuchKey", "Object not found", "not_found")


def already_exists(code: str = "KeyAlreadyExists") -> Refusal:
    return object_refusal(409, code, "The resource already exists", "Duplicate")


def access_denied(message: str = "new row violates row-level security policy") -> Refusal:
    return object_refusal(403, "AccessDenied", message, "Unauthorized")


def invalid_request(message: str) -> Refusal:
    """What the schema of a request refuses."""
    return object_refusal(400, "InvalidRequest", message, "Error")


def invalid_key(key: str) -> Refusal:
    return object_refusal(400, "InvalidKey", f"Invalid key: {key}")


def too_large(message: str = "The object exceeded the maximum allowed size") -> Refusal:
    return object_refusal(413, "EntityTooLarge", message, "Payload too large")


def mime_refused(message: str) -> Refusal:
    return object_refusal(415, "InvalidMimeType", message, "invalid_mime_type")


def no_route(method: str, path: str) -> Refusal:
    return as_json(404, {"message": f"Route {method}:{path} not found", "error": "Not Found", "statusCode": 404})
