"""What the rows of the contract's tables are made of: the bodies of refusals, and a call with what it must answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.storage.plain import Plain
from tests.doubles.storage.process import StorageDouble

CONTENT = b"hello world"
ETAG = '"5eb63bbbe01eeed093cb22bb8f5acdc3"'
RLS = "new row violates row-level security policy"


def furnish(double: StorageDouble) -> StorageDouble:
    """The server, now with the buckets and objects that the rows speak of."""
    double.make_bucket("small", file_size_limit=100_000)
    double.make_bucket("csv", allowed_mime_types=["text/csv", "image/*"])
    client = Plain(double, double.key())
    for bucket, key, content in (("imports", "there.txt", CONTENT), ("imports", "empty", b""), ("csv", "a.csv", b"a")):
        stored = client.ask("PUT", f"/object/{bucket}/{key}", content, content_type="text/csv")
        assert stored.status == 200, stored
    return double


def error_body(status: int, code: str, message: str, error: str) -> dict[str, str]:
    return {"statusCode": str(status), "error": error, "message": message, "code": code}


NO_BUCKET = error_body(404, "NoSuchBucket", "Bucket not found", "Bucket not found")
NO_OBJECT = error_body(404, "NoSuchKey", "Object not found", "not_found")
DENIED = error_body(403, "AccessDenied", RLS, "Unauthorized")
NO_KEY = error_body(400, "InvalidRequest", "headers must have required property 'authorization'", "Error")
NO_JWT = error_body(403, "AccessDenied", "Invalid Compact JWS", "Unauthorized")
FORGED = error_body(403, "AccessDenied", "signature verification failed", "Unauthorized")
EXPIRED = error_body(403, "AccessDenied", '"exp" claim timestamp check failed', "Unauthorized")
TAKEN = error_body(409, "KeyAlreadyExists", "The resource already exists", "Duplicate")
TOO_LARGE = error_body(413, "EntityTooLarge", "The object exceeded the maximum allowed size", "Payload too large")


def refused_type(message: str) -> dict[str, str]:
    return error_body(415, "InvalidMimeType", message, "invalid_mime_type")


def refused_fields(message: str) -> dict[str, str]:
    return error_body(400, "InvalidRequest", message, "Error")


@dataclass(frozen=True)
class Call:
    """A request with the service key, and the JSON expected of it; with `http` the status that is not 400."""

    method: str
    path: str
    expected: Any
    body: bytes | Mapping[str, Any] = b""
    headers: dict[str, str] = field(default_factory=dict)
    http: int = 400

    def check(self, client: Plain) -> None:
        answer = client.ask(self.method, self.path, self.body, **self.headers)
        assert (answer.status, answer.json) == (self.http, self.expected)
