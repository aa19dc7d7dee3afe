"""Answers of the server's surroundings when they fail, for `StorageDouble.fault("answer", ..., **outages.NAME)`.

What the server says by itself to a wrong request is in `refusals`.
"""

from typing import Any, Final


def _object_api(http_status: int, code: str, message: str, status: int | None = None) -> dict[str, Any]:
    body = {"statusCode": str(status or http_status), "error": code, "message": message, "code": code}
    return {"status": http_status, "body": body}


INTERNAL_ERROR: Final = _object_api(500, "InternalError", "Internal server error")
DATABASE_TIMEOUT: Final = _object_api(544, "DatabaseTimeout", "The connection to the database timed out")
SLOW_DOWN: Final = _object_api(429, "SlowDown", "Too many connections issued to the database")
LOCK_TIMEOUT: Final = _object_api(400, "LockTimeout", "acquiring lock timeout", 503)

TUS_INTERNAL_ERROR: Final[dict[str, Any]] = {"status": 500, "body": "Something went wrong with that request"}
TUS_DATABASE_TIMEOUT: Final[dict[str, Any]] = {"status": 544, "body": "The connection to the database timed out"}
TUS_LOCK_TIMEOUT: Final[dict[str, Any]] = {"status": 503, "body": "acquiring lock timeout"}


def gateway(status: int) -> dict[str, Any]:
    """What a gateway answers in the server's place: HTML, and no word of what it knows."""
    page = f"<html><body><h1>{status}</h1></body></html>"
    return {"status": status, "body": page, "headers": {"Content-Type": "text/html"}, "read_body": False}
