"""The double of the storage server, row by row of the measured contract: what it refuses, and how it says so."""

import base64
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.storage_double import outages
from tests.storage_double.plain import Answer, Plain, begun, encoded
from tests.storage_double.process import StorageDouble

pytestmark = pytest.mark.unit

CONTENT = b"hello world"
ETAG = '"5eb63bbbe01eeed093cb22bb8f5acdc3"'
RLS = "new row violates row-level security policy"
GET, POST, PUT, PATCH, HEAD, DELETE = "GET", "POST", "PUT", "PATCH", "HEAD", "DELETE"


@pytest.fixture(scope="module")
def furnished(double: StorageDouble) -> StorageDouble:
    """The module's server with the buckets and objects that the rows below speak of."""
    double.make_bucket("small", file_size_limit=100_000)
    double.make_bucket("csv", allowed_mime_types=["text/csv", "image/*"])
    client = Plain(double, double.key())
    for bucket, key, content in (("imports", "there.txt", CONTENT), ("imports", "empty", b""), ("csv", "a.csv", b"a")):
        stored = client.ask(PUT, f"/object/{bucket}/{key}", content, content_type="text/csv")
        assert stored.status == 200, stored
    return double


@pytest.fixture
def client(furnished: StorageDouble) -> Iterator[Plain]:
    """One with the service key; what the server could not cope with by itself fails the test."""
    yield Plain(furnished, furnished.key())
    assert furnished.log() == ""


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


# Section 1: who may

KEYS: dict[str, Callable[[StorageDouble], str | None]] = {
    "none": lambda _: None,
    "not a JWT": lambda _: "sb_secret_0123456789",
    "forged": lambda double: double.key(secret="another secret"),
    "expired": lambda double: double.key(expires_in_seconds=-1),
    "anon": lambda double: double.key("anon"),
}
AUTH_ROWS: dict[tuple[str, str, str], dict[str, str]] = {
    ("none", POST, "/object/imports/new"): NO_KEY,
    ("none", GET, "/object/authenticated/imports/there.txt"): NO_KEY,
    ("none", GET, "/object/imports/there.txt"): NO_BUCKET,
    ("none", GET, "/bucket/imports"): NO_KEY,
    ("none", POST, "/upload/resumable"): NO_JWT,
    ("none", GET, "/health"): NO_KEY,
    ("not a JWT", POST, "/object/imports/new"): NO_JWT,
    ("not a JWT", GET, "/object/authenticated/imports/there.txt"): NO_JWT,
    ("not a JWT", GET, "/object/imports/there.txt"): NO_BUCKET,
    ("not a JWT", POST, "/upload/resumable"): NO_JWT,
    ("forged", POST, "/object/imports/new"): FORGED,
    ("forged", GET, "/object/authenticated/imports/there.txt"): FORGED,
    ("forged", GET, "/object/imports/there.txt"): NO_BUCKET,
    ("forged", PATCH, "/upload/resumable/x"): FORGED,
    ("expired", POST, "/object/imports/new"): EXPIRED,
    ("expired", GET, "/object/authenticated/imports/there.txt"): EXPIRED,
    ("expired", GET, "/object/imports/there.txt"): NO_BUCKET,
    ("expired", GET, "/object/info/imports/there.txt"): EXPIRED,
    ("expired", POST, "/upload/resumable"): EXPIRED,
    ("anon", POST, "/object/imports/new"): DENIED,
    ("anon", PUT, "/object/imports/there.txt"): DENIED,
    ("anon", GET, "/object/authenticated/imports/there.txt"): NO_OBJECT,
    ("anon", GET, "/object/imports/there.txt"): NO_OBJECT,
    ("anon", GET, "/object/info/imports/there.txt"): NO_OBJECT,
    ("anon", DELETE, "/object/imports/there.txt"): NO_OBJECT,
    ("anon", GET, "/bucket/imports"): NO_BUCKET,
}


@pytest.mark.parametrize("row", AUTH_ROWS, ids=" ".join)
def test_who_is_refused_and_with_which_words(row: tuple[str, str, str], furnished: StorageDouble) -> None:
    kind, method, path = row
    answer = Plain(furnished, KEYS[kind](furnished)).ask(method, path, tus_resumable="1.0.0")
    assert (answer.status, answer.json) == (400, AUTH_ROWS[row])


def test_an_apikey_alone_is_no_authorization(furnished: StorageDouble) -> None:
    answer = Plain(furnished, None).ask(GET, "/object/info/imports/there.txt", apikey=furnished.key())
    assert answer.json == NO_KEY


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "{}"])
def test_a_bearer_may_be_written_in_several_ways(form: str, furnished: StorageDouble) -> None:
    client = Plain(furnished, None)
    answer = client.ask(GET, "/object/info/imports/there.txt", authorization=form.format(furnished.key()))
    assert answer.status == 200


def test_status_is_for_everybody_and_health_for_the_service(furnished: StorageDouble, client: Plain) -> None:
    assert Plain(furnished, None).ask(GET, "/status").status == 200
    assert client.ask(GET, "/health").status == 200


# Section 2: what is worth another try


@pytest.mark.parametrize(
    ("outage", "status", "code"),
    [
        (outages.INTERNAL_ERROR, 500, ("500", "InternalError")),
        (outages.DATABASE_TIMEOUT, 544, ("544", "DatabaseTimeout")),
        (outages.SLOW_DOWN, 429, ("429", "SlowDown")),
        (outages.LOCK_TIMEOUT, 400, ("503", "LockTimeout")),
    ],
)
def test_an_outage_of_the_object_api(
    outage: dict[str, Any], status: int, code: tuple[str, str], client: Plain, furnished: StorageDouble
) -> None:
    furnished.fault("answer", method=PUT, **outage)
    refused = client.ask(PUT, "/object/imports/outage", b"x" * 300_000)
    assert (refused.status, refused.json["statusCode"], refused.json["code"]) == (status, *code)
    assert client.ask(GET, "/object/info/imports/outage").json == NO_OBJECT


@pytest.mark.parametrize(
    ("outage", "status", "text"),
    [
        (outages.TUS_INTERNAL_ERROR, 500, "Something went wrong with that request"),
        (outages.TUS_DATABASE_TIMEOUT, 544, "The connection to the database timed out"),
        (outages.TUS_LOCK_TIMEOUT, 503, "acquiring lock timeout"),
    ],
)
def test_an_outage_of_tus(
    outage: dict[str, Any], status: int, text: str, client: Plain, furnished: StorageDouble
) -> None:
    furnished.fault("answer", method=POST, path="/upload/resumable", **outage)
    refused = client.create("outage")
    assert (refused.status, refused.text, refused.headers["connection"]) == (status, text, "close")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_answers_html_in_the_server_s_place(status: int, client: Plain, furnished: StorageDouble) -> None:
    furnished.fault("answer", method=GET, **outages.gateway(status))
    answer = client.ask(GET, "/object/info/imports/there.txt")
    assert (answer.status, answer.headers["content-type"]) == (status, "text/html")


@pytest.mark.parametrize(("size", "status"), [(11_000, 200), (20_000, 431)])
def test_the_head_of_a_request_may_only_be_so_large(size: int, status: int, client: Plain) -> None:
    assert client.ask(PUT, "/object/imports/head", b"x", x_metadata="A" * size).status == status


# Section 3: buckets


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


BUCKET_TAKEN = error_body(409, "BucketAlreadyExists", "The resource already exists", "Duplicate")
BAD_BUCKET = error_body(400, "InvalidBucketName", "Bucket name invalid", "Invalid Input")
BUCKET_REFUSALS = {
    "taken": Call(POST, "/bucket", BUCKET_TAKEN, {"name": "imports"}),
    "a slash in its name": Call(POST, "/bucket", BAD_BUCKET, {"name": "a/b"}),
    "no name": Call(POST, "/bucket", refused_fields("body must have required property 'name'"), {"id": "nameless"}),
    "limit above the global one": Call(POST, "/bucket", TOO_LARGE, {"name": "vast", "file_size_limit": "60GB"}),
    "missing": Call(GET, "/bucket/none", NO_BUCKET),
    "missing, changed": Call(PUT, "/bucket/none", NO_BUCKET, {"public": False}),
    "missing, emptied": Call(POST, "/bucket/none/empty", NO_BUCKET, {}),
    "missing, removed": Call(DELETE, "/bucket/none", NO_BUCKET),
    "not empty, removed": Call(
        DELETE,
        "/bucket/imports",
        error_body(409, "ResourceNotEmpty", "The bucket you tried to delete is not empty", "ResourceNotEmpty"),
    ),
}


@pytest.mark.parametrize("row", BUCKET_REFUSALS)
def test_a_bucket_refused(row: str, client: Plain) -> None:
    BUCKET_REFUSALS[row].check(client)


def test_the_life_of_a_bucket(client: Plain) -> None:
    fields = {"id": "life", "name": "life", "public": False, "file_size_limit": "10MB", "allowed_mime_types": ["a/b"]}
    assert client.ask(POST, "/bucket", fields).json == {"name": "life"}
    found = client.ask(GET, "/bucket/life").json
    assert {**found, "created_at": 0, "updated_at": 0} == {
        **fields,
        "file_size_limit": 10_000_000,
        "owner": "",
        "created_at": 0,
        "updated_at": 0,
    }
    changed = client.ask(PUT, "/bucket/life", {"file_size_limit": 5, "allowed_mime_types": None})
    assert changed.json == {"message": "Successfully updated"}
    assert client.ask(GET, "/bucket/life").json["file_size_limit"] == 5
    assert client.ask(PUT, "/object/life/a", b"12345").status == 200
    assert client.ask(POST, "/bucket/life/empty", {}).status == 200
    assert client.ask(DELETE, "/bucket/life").json == {"message": "Successfully deleted"}
    assert client.ask(GET, "/bucket/life").json == NO_BUCKET


def test_buckets_are_listed_by_pages_and_by_name(client: Plain, furnished: StorageDouble) -> None:
    names = [bucket["name"] for bucket in client.ask(GET, "/bucket").json]
    assert {"imports", "small", "csv"} <= set(names)
    assert [bucket["name"] for bucket in client.ask(GET, "/bucket?limit=1&offset=1").json] == names[1:2]
    assert [bucket["name"] for bucket in client.ask(GET, "/bucket?search=mal").json] == ["small"]
    assert Plain(furnished, furnished.key("anon")).ask(GET, "/bucket").json == []


# Section 4: the standard upload

UNDECLARED = refused_type("mime type application/octet-stream is not supported")
UPLOAD_REFUSALS = {
    "bucket missing": Call(POST, "/object/none/k", NO_BUCKET, b"x"),
    "key taken": Call(POST, "/object/imports/there.txt", TAKEN, b"x"),
    "over the bucket's limit": Call(POST, "/object/small/k", TOO_LARGE, b"x" * 100_001),
    "replacing, over the limit": Call(PUT, "/object/small/k", TOO_LARGE, b"x" * 100_001),
    "placeholder with content": Call(POST, "/object/imports/d/.emptyFolderPlaceholder", TOO_LARGE, b"x"),
    "malformed type": Call(
        POST, "/object/imports/k", refused_type("Invalid Content-Type header"), b"x", {"content_type": "text csv"}
    ),
    "type not allowed": Call(
        POST,
        "/object/csv/k",
        refused_type("mime type text/plain is not supported"),
        b"x",
        {"content_type": "text/plain"},
    ),
    "type allowed, but with a parameter": Call(
        POST,
        "/object/csv/k",
        refused_type("mime type text/csv; charset=utf-8 is not supported"),
        b"x",
        {"content_type": "text/csv; charset=utf-8"},
    ),
    "no type where types are limited": Call(POST, "/object/csv/k", UNDECLARED, b"x"),
    "segment of 256 bytes": Call(
        POST,
        "/object/imports/" + "k" * 256,
        error_body(500, "InternalError", "Internal server error", "InternalError"),
        b"x",
        http=500,
    ),
}


@pytest.mark.parametrize("row", UPLOAD_REFUSALS)
def test_an_upload_refused(row: str, client: Plain) -> None:
    UPLOAD_REFUSALS[row].check(client)


#: As sent in the path, and the key that is meant.
REFUSED_KEYS = {f"k%{code:02X}": f"k{chr(code)}" for code in (*b'#%~[]{}|^\\"<>`', 0x07, 0x7F)} | {
    "k%C3%A9": "ké",
    "a/./b": "a/./b",
    "a/../b": "a/../b",
}


@pytest.mark.parametrize("sent", REFUSED_KEYS)
def test_a_key_that_is_refused_is_echoed(sent: str, client: Plain) -> None:
    meant = REFUSED_KEYS[sent]
    answer = client.ask(POST, f"/object/imports/{sent}", b"x")
    assert (answer.status, answer.json) == (400, error_body(400, "InvalidKey", f"Invalid key: {meant}", "InvalidKey"))


@pytest.mark.parametrize(
    "key",
    [
        "AZaz09_/!.*'()&$@=;:+,-",
        "what%3F",
        "with%20space",
        "a//b",
        "/leading",
        "trailing/",
        ".hidden",
        "a..b",
        "s" * 255,
        "/".join(["s" * 100] * 10),
    ],
)
def test_a_key_that_is_accepted(key: str, client: Plain) -> None:
    assert client.ask(POST, f"/object/imports/{key}", b"x").status == 200
    assert client.ask(GET, f"/object/authenticated/imports/{key}").body == b"x"


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "image/png", None])
def test_any_well_formed_type_is_stored_and_the_body_kept_as_it_is(content_type: str | None, client: Plain) -> None:
    headers = {"content_type": content_type} if content_type else {}
    assert client.ask(PUT, "/object/imports/typed", b'{"a": ', **headers).status == 200
    read = client.ask(GET, "/object/authenticated/imports/typed")
    assert (read.headers["content-type"], read.body) == (content_type or "application/octet-stream", b'{"a": ')


def test_an_image_passes_a_wildcard(client: Plain) -> None:
    assert client.ask(POST, "/object/csv/p.png", b"x", content_type="image/png").status == 200


@pytest.mark.parametrize("body", [b"", iter(())], ids=["no body", "chunked"])
def test_an_empty_body_makes_an_empty_object(body: Any, client: Plain) -> None:
    assert client.ask(PUT, "/object/imports/nothing", body).status == 200
    assert client.ask(GET, "/object/info/imports/nothing").json["size"] == 0


def test_a_chunked_body_escapes_the_limit_that_a_form_does_not(client: Plain) -> None:
    chunked = client.ask(POST, "/object/small/big", iter([b"x" * 200_000]))
    assert chunked.status == 200
    assert client.ask(GET, "/object/info/small/big").json["size"] == 200_000
    form = client.ask(POST, "/object/small/form", iter([_form(b"x" * 200_000)]), content_type=FORM_TYPE)
    assert (form.status, form.json) == (400, TOO_LARGE)


FORM_TYPE = "multipart/form-data; boundary=xyz"


def _form(content: bytes, content_type: str = "text/csv") -> bytes:
    head = f'Content-Disposition: form-data; name="file"; filename="f"\r\nContent-Type: {content_type}\r\n\r\n'
    fields = "".join(
        f'--xyz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("cacheControl", "60"), ("metadata", '{"a": 1}'))
    )
    return f"{fields}--xyz\r\n{head}".encode() + content + b"\r\n--xyz--\r\n"


def test_a_form_is_taken_apart(client: Plain) -> None:
    stored = client.ask(POST, "/object/csv/form", _form(b"a\r\n--b"), content_type=FORM_TYPE)
    assert stored.status == 200
    found = client.ask(GET, "/object/info/csv/form").json
    assert (found["content_type"], found["cache_control"], found["metadata"], found["size"]) == (
        "text/csv",
        "max-age=60",
        {"a": 1},
        6,
    )
    assert client.ask(GET, "/object/authenticated/csv/form").body == b"a\r\n--b"


def test_the_type_of_a_form_s_file_is_what_counts(client: Plain) -> None:
    refused = client.ask(POST, "/object/csv/other", _form(b"x", "text/plain"), content_type=FORM_TYPE)
    assert refused.json == refused_type("mime type text/plain is not supported")


@pytest.mark.parametrize(
    ("header", "stored"),
    [
        (base64.b64encode(b'{"job": "1"}').decode(), {"job": "1"}),
        ("not base64!", {}),
        (base64.b64encode(b"not json").decode(), {}),
    ],
)
def test_user_metadata_is_kept_or_silently_dropped(header: str, stored: dict[str, str], client: Plain) -> None:
    assert client.ask(PUT, "/object/imports/meta", b"x", x_metadata=header).status == 200
    assert client.ask(GET, "/object/info/imports/meta").json["metadata"] == stored


@pytest.mark.parametrize(("sent", "stored"), [({"cache_control": "max-age=5, x"}, "max-age=5, x"), ({}, "no-cache")])
def test_cache_control_is_stored_as_it_is(sent: dict[str, str], stored: str, client: Plain) -> None:
    assert client.ask(PUT, "/object/imports/cached", b"x", **sent).status == 200
    assert client.ask(GET, "/object/authenticated/imports/cached").headers["cache-control"] == stored


def test_replacing_keeps_the_identity_and_forgets_the_rest(client: Plain) -> None:
    path, metadata = "/object/info/imports/again", base64.b64encode(b'{"a": 1}').decode()
    created = client.ask(POST, "/object/imports/again", b"one", x_metadata=metadata).json
    assert created["Key"] == "imports/again"
    first = client.ask(GET, path).json
    assert client.ask(POST, "/object/imports/again", b"two", x_upsert="true").json == created
    second = client.ask(GET, path).json
    assert (
        (first["id"], first["created_at"])
        == (second["id"], second["created_at"])
        == (created["Id"], first["created_at"])
    )
    assert (first["metadata"], second["metadata"]) == ({"a": 1}, {})
    assert first["version"] != second["version"]


# Section 5: reading


@pytest.mark.parametrize("path", ["/object/authenticated/imports/there.txt", "/object/imports/there.txt"])
@pytest.mark.parametrize("method", [GET, HEAD])
def test_an_object_is_read_with_all_its_headers(method: str, path: str, client: Plain) -> None:
    answer = client.ask(method, path, accept_encoding="gzip")
    assert (answer.status, answer.body) == (200, CONTENT if method == GET else b"")
    told = {name: answer.headers.get(name) for name in ("content-length", "content-type", "etag", "accept-ranges")}
    assert told == {"content-length": "11", "content-type": "text/csv", "etag": ETAG, "accept-ranges": "bytes"}
    assert {"last-modified", "cache-control"} <= set(answer.headers)
    assert not {"content-encoding", "content-range"} & set(answer.headers)


def test_info_tells_everything(client: Plain) -> None:
    found = client.ask(GET, "/object/info/imports/there.txt").json
    assert client.ask(GET, "/object/info/authenticated/imports/there.txt").json == found
    told = {**found, "id": 0, "version": 0, "last_modified": 0, "created_at": 0}
    assert told == {
        "id": 0,
        "name": "there.txt",
        "version": 0,
        "bucket_id": "imports",
        "size": 11,
        "content_type": "text/csv",
        "cache_control": "no-cache",
        "etag": ETAG,
        "metadata": {},
        "last_modified": 0,
        "created_at": 0,
    }


READ_REFUSALS = {
    "object missing": Call(GET, "/object/authenticated/imports/none", NO_OBJECT),
    "its info": Call(GET, "/object/info/imports/none", NO_OBJECT),
    "bucket missing": Call(GET, "/object/authenticated/none/none", NO_BUCKET),
    "its info, bucket missing": Call(GET, "/object/info/none/none", NO_BUCKET),
    "public in a private bucket": Call(GET, "/object/public/imports/there.txt", NO_BUCKET),
    "no key": Call(
        GET,
        "/object/imports",
        {"message": "Route GET:/storage/v1/object/imports not found", "error": "Not Found", "statusCode": 404},
        http=404,
    ),
}


@pytest.mark.parametrize("row", READ_REFUSALS)
def test_reading_refused(row: str, client: Plain) -> None:
    READ_REFUSALS[row].check(client)


@pytest.mark.parametrize("kind", ["authenticated", "info"])
def test_the_head_of_a_missing_object_is_a_bare_400(kind: str, client: Plain) -> None:
    answer = client.ask(HEAD, f"/object/{kind}/imports/none")
    assert (answer.status, answer.body) == (400, b"")


@pytest.mark.parametrize(
    ("asked", "served", "told"),
    [
        ("bytes=0-4", b"hello", "bytes 0-4/11"),
        ("bytes=6-", b"world", "bytes 6-10/11"),
        ("bytes=-3", b"rld", "bytes 8-10/11"),
        ("bytes=-99", CONTENT, "bytes 0-10/11"),
        ("bytes=8-99", b"rld", "bytes 8-10/11"),
        ("bytes=10-10", b"d", "bytes 10-10/11"),
    ],
)
def test_a_range_is_served(asked: str, served: bytes, told: str, client: Plain) -> None:
    answer = client.ask(GET, "/object/authenticated/imports/there.txt", range=asked)
    assert (answer.status, answer.body, answer.headers["content-range"]) == (206, served, told)
    assert answer.headers["etag"] == ETAG


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("there.txt", "bytes=11-"),
        ("there.txt", "bytes=12-20"),
        ("there.txt", "bytes=0-1,3-4"),
        ("there.txt", "lines=0-1"),
        ("there.txt", "bytes=5-2"),
        ("there.txt", "bytes=-0"),
        ("there.txt", "bytes=-"),
        ("empty", "bytes=0-"),
        ("empty", "bytes=-5"),
    ],
)
def test_a_range_that_is_not_there_is_a_true_416(key: str, asked: str, client: Plain) -> None:
    answer = client.ask(GET, f"/object/authenticated/imports/{key}", range=asked)
    assert (answer.status, answer.json["code"]) == (416, "InvalidRange")


@pytest.mark.parametrize("header", [{"if_range": '"other"'}, {"if_match": '"other"'}])
def test_if_range_and_if_match_mean_nothing(header: dict[str, str], client: Plain) -> None:
    answer = client.ask(GET, "/object/authenticated/imports/there.txt", range="bytes=0-4", **header)
    assert (answer.status, answer.body) == (206, b"hello")


def test_if_none_match_means_something(client: Plain) -> None:
    path = "/object/authenticated/imports/there.txt"
    assert client.ask(GET, path, if_none_match=ETAG).status == 304
    assert client.ask(GET, path, if_none_match='"other"').status == 200


@pytest.mark.parametrize(("query", "told"), [("?download=", "attachment"), ("?download=a%20b", "filename=a%20b")])
def test_a_download_is_an_attachment(query: str, told: str, client: Plain) -> None:
    answer = client.ask(GET, f"/object/authenticated/imports/there.txt{query}")
    assert told in answer.headers["content-disposition"]


# Section 6: removing, listing, moving, copying


@pytest.fixture
def folder(client: Plain) -> str:
    """The name of a bucket of the test's own, with three objects."""
    bucket = f"b-{uuid.uuid4().hex[:8]}"
    client.double.make_bucket(bucket)
    for key in ("a.txt", "d/b.txt", "d/e/c.txt"):
        assert client.ask(PUT, f"/object/{bucket}/{key}", key.encode()).status == 200
    return bucket


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


def test_one_object_is_removed_once(client: Plain, folder: str) -> None:
    assert client.ask(DELETE, f"/object/{folder}/a.txt").json == {"message": "Successfully deleted"}
    Call(DELETE, f"/object/{folder}/a.txt", NO_OBJECT).check(client)


def test_removing_with_an_empty_json_body_is_refused(client: Plain, folder: str) -> None:
    answer = client.ask(DELETE, f"/object/{folder}/a.txt", content_type="application/json")
    assert answer.status == 400
    assert client.ask(GET, f"/object/info/{folder}/a.txt").status == 200


def test_many_objects_are_removed_by_their_exact_keys(client: Plain, folder: str) -> None:
    gone = client.ask(DELETE, f"/object/{folder}", {"prefixes": ["a.txt", "d", "none"]})
    assert (gone.status, names(gone.json)) == (200, ["a.txt"])
    assert client.ask(DELETE, "/object/none", {"prefixes": ["a.txt"]}).json == []
    anon = Plain(client.double, client.double.key("anon"))
    assert anon.ask(DELETE, f"/object/{folder}", {"prefixes": ["d/b.txt"]}).json == []
    assert client.ask(DELETE, f"/object/{folder}", {"prefixes": []}).status == 400
    assert client.ask(GET, f"/object/info/{folder}/d/b.txt").status == 200


def test_1500_keys_are_accepted(client: Plain, folder: str) -> None:
    keys = [f"k{number}" for number in range(1499)]
    assert names(client.ask(DELETE, f"/object/{folder}", {"prefixes": [*keys, "a.txt"]}).json) == ["a.txt"]


def test_a_list_is_one_level(client: Plain, folder: str) -> None:
    path = f"/object/list/{folder}"
    top = client.ask(POST, path, {"prefix": ""}).json
    assert [(row["name"], row["id"] is None) for row in top] == [("d", True), ("a.txt", False)]
    assert names(client.ask(POST, path, {"prefix": "d"}).json) == ["e", "b.txt"]
    assert names(client.ask(POST, path, {"prefix": "", "limit": 1, "offset": 1}).json) == ["a.txt"]
    assert names(client.ask(POST, path, {"prefix": "", "search": "a"}).json) == ["a.txt"]
    assert client.ask(POST, "/object/list/none", {"prefix": ""}).json == []
    Call(POST, path, refused_fields("body must have required property 'prefix'"), {"limit": 1}).check(client)


def test_a_list_is_sorted_as_asked_and_holds_100_rows(client: Plain, folder: str) -> None:
    for number in range(101):
        assert client.ask(PUT, f"/object/{folder}/many/{number:03}").status == 200
    sort = {"column": "name", "order": "desc"}
    rows = client.ask(POST, f"/object/list/{folder}", {"prefix": "many/", "sortBy": sort}).json
    assert (len(rows), rows[0]["name"], rows[99]["name"]) == (100, "100", "001")


def test_list_v2_has_full_names_in_pages(client: Plain, folder: str) -> None:
    path = f"/object/list-v2/{folder}"
    first = client.ask(POST, path, {"limit": 2}).json
    assert (names(first["objects"]), first["hasNext"]) == (["a.txt", "d/b.txt"], True)
    rest = client.ask(POST, path, {"limit": 2, "cursor": first["nextCursor"]}).json
    assert (names(rest["objects"]), rest["hasNext"]) == (["d/e/c.txt"], False)
    level = client.ask(POST, path, {"prefix": "d/", "with_delimiter": True}).json
    assert (names(level["folders"]), names(level["objects"])) == (["d/e/"], ["d/b.txt"])


def test_an_object_moves_to_a_free_place_only(client: Plain, folder: str) -> None:
    move = {"bucketId": folder, "sourceKey": "a.txt", "destinationKey": "d/b.txt"}
    Call(POST, "/object/move", TAKEN, move, {"x_upsert": "true"}).check(client)
    Call(POST, "/object/move", NO_OBJECT, {**move, "sourceKey": "none"}).check(client)
    moved = client.ask(POST, "/object/move", {**move, "destinationKey": "m", "destinationBucket": "imports"})
    assert moved.json == {"message": "Successfully moved"}
    assert client.ask(GET, "/object/authenticated/imports/m").body == b"a.txt"
    Call(GET, f"/object/info/{folder}/a.txt", NO_OBJECT).check(client)


def test_an_object_is_copied_over_another_only_when_asked_to(client: Plain, folder: str) -> None:
    copy = {"bucketId": folder, "sourceKey": "a.txt", "destinationKey": "d/b.txt"}
    Call(POST, "/object/copy", TAKEN, copy).check(client)
    copied = client.ask(POST, "/object/copy", copy, x_upsert="true").json
    assert (copied["Key"], copied["name"]) == (f"{folder}/d/b.txt", "d/b.txt")
    assert client.ask(GET, f"/object/authenticated/{folder}/d/b.txt").body == b"a.txt"
    assert client.ask(GET, f"/object/authenticated/{folder}/a.txt").body == b"a.txt"


# Section 7: signed URLs


@pytest.fixture
def nobody(client: Plain) -> Plain:
    return Plain(client.double, None)


def invalid_token(message: str) -> dict[str, str]:
    return error_body(400, "InvalidJWT", message, "InvalidJWT")


def signed(client: Plain, seconds: int) -> str:
    link: str = client.ask(POST, "/object/sign/imports/there.txt", {"expiresIn": seconds}).json["signedURL"]
    return link


def test_a_signed_url_needs_no_key(client: Plain, nobody: Plain) -> None:
    link = signed(client, 60)
    assert link.startswith("/object/sign/imports/there.txt?token=")
    assert nobody.ask(GET, link).body == CONTENT
    assert nobody.ask(GET, link, range="bytes=6-").body == b"world"


def test_a_signed_url_expires_and_is_for_one_object(client: Plain, nobody: Plain) -> None:
    Call(GET, signed(client, -1), invalid_token('"exp" claim timestamp check failed')).check(nobody)
    Call(GET, signed(client, 60) + "A", invalid_token("signature verification failed")).check(nobody)
    elsewhere = signed(client, 60).replace("there.txt", "empty")
    assert nobody.ask(GET, elsewhere).json["code"] == "InvalidSignature"
    Call(POST, "/object/sign/imports/none", NO_OBJECT, {"expiresIn": 60}).check(client)


def test_many_are_signed_at_once(client: Plain, nobody: Plain) -> None:
    items = client.ask(POST, "/object/sign/imports", {"expiresIn": 60, "paths": ["there.txt", "none"]}).json
    assert [(item["path"], item["error"] is None) for item in items] == [("there.txt", True), ("none", False)]
    assert nobody.ask(GET, items[0]["signedURL"]).body == CONTENT


def test_a_signed_upload_is_done_once_and_in_its_place(client: Plain, nobody: Plain) -> None:
    made = client.ask(POST, "/object/upload/sign/imports/signed", b"").json
    assert made["url"] == f"/object/upload/sign/imports/signed?token={made['token']}"
    elsewhere = made["url"].replace("/signed?", "/other?")
    assert nobody.ask(PUT, elsewhere, b"x").json["code"] == "InvalidSignature"
    assert nobody.ask(PUT, made["url"] + "A", b"x").json["code"] == "InvalidJWT"
    assert nobody.ask(PUT, made["url"], iter([b"chunked"])).json == {"Key": "imports/signed"}
    Call(PUT, made["url"], TAKEN, b"x").check(nobody)
    Call(POST, "/object/upload/sign/imports/signed", TAKEN).check(client)
    again = client.ask(POST, "/object/upload/sign/imports/signed", x_upsert="true").json["url"]
    assert nobody.ask(PUT, again, b"over it").status == 200


# Section 8: TUS


def test_options_tell_what_is_offered(client: Plain, nobody: Plain) -> None:
    offer = nobody.ask("OPTIONS", "/upload/resumable")
    assert offer.status == 204
    assert offer.headers["tus-extension"] == (
        "creation,creation-with-upload,creation-defer-length,termination,expiration"
    )
    assert offer.headers["tus-max-size"].isdecimal()


def create_raw(client: Plain, **headers: str) -> Answer:
    return client.ask(POST, "/upload/resumable", **headers)


def anon(client: Plain) -> Plain:
    return Plain(client.double, client.double.key("anon"))


NEITHER_OR_BOTH = "Upload-Length or Upload-Defer-Length header required"
TARGET = encoded({"bucketName": "imports", "objectName": "k"})
CREATE_REFUSALS: dict[str, tuple[Callable[[Plain], Answer], int, str]] = {
    "no version": (lambda c: create_raw(c, upload_length="1"), 412, "Tus-Resumable Required"),
    "another version": (lambda c: create_raw(c, tus_resumable="0.2.2"), 400, "Invalid tus-resumable"),
    "no length": (lambda c: c.tus(POST, "", upload_metadata=TARGET), 400, NEITHER_OR_BOTH),
    "both lengths": (lambda c: c.create("k", upload_length="1", upload_defer_length="1"), 400, NEITHER_OR_BOTH),
    "no metadata": (lambda c: c.tus(POST, "", upload_length="1"), 400, "Metadata header is required"),
    "broken metadata": (
        lambda c: c.tus(POST, "", upload_length="1", upload_metadata="bucketName !"),
        400,
        "Metadata header is required",
    ),
    "no bucket named": (
        lambda c: c.tus(POST, "", upload_length="1", upload_metadata=encoded({"objectName": "k"})),
        400,
        "Bucket name invalid",
    ),
    "a bad key": (lambda c: c.create("k#"), 400, "Invalid key: k#"),
    "bucket missing": (lambda c: c.create("k", "none"), 404, "Bucket not found"),
    "key taken": (lambda c: c.create("there.txt"), 409, "The resource already exists"),
    "over the bucket's limit": (lambda c: c.create("k", "small", upload_length="100001"), 413, "Maximum size exceeded"),
    "over the global limit": (lambda c: c.create("k", upload_length=str(1 << 50)), 413, "Maximum size exceeded"),
    "type not allowed": (
        lambda c: c.create("k", "csv", {"contentType": "text/plain"}),
        415,
        "mime type text/plain is not supported",
    ),
    "anon": (lambda c: anon(c).create("k"), 403, RLS),
    "concatenation": (
        lambda c: c.create("k", upload_concat="partial"),
        501,
        "Concatenation extension is not (yet) supported",
    ),
}


@pytest.mark.parametrize("row", CREATE_REFUSALS)
def test_an_upload_is_not_begun(row: str, client: Plain) -> None:
    act, status, text = CREATE_REFUSALS[row]
    answer = act(client)
    assert (answer.status, answer.text) == (status, text)
    assert answer.headers["content-type"].startswith("text/plain")
    assert (answer.headers["connection"], answer.headers["tus-resumable"]) == ("close", "1.0.0")


@dataclass(frozen=True)
class Begun:
    """An upload of 10 bytes of which 4 are there, under a key of its own."""

    client: Plain
    name: str
    key: str


@pytest.fixture
def upload(client: Plain) -> Begun:
    key = f"tus-{uuid.uuid4().hex}"
    name = begun(client.create(key, upload_length="10"))
    assert client.patch(name, 0, b"0123").headers["upload-offset"] == "4"
    return Begun(client, name, key)


def whole(upload: Begun) -> Begun:
    finished = upload.client.patch(upload.name, 4, b"456789")
    assert (finished.status, finished.headers["tus-complete"]) == (204, "1")
    return upload


def taken(upload: Begun) -> Begun:
    """The key has been taken by another object meanwhile."""
    assert upload.client.ask(PUT, f"/object/imports/{upload.key}", b"x").status == 200
    return upload


def terminated(upload: Begun) -> Begun:
    assert upload.client.tus(DELETE, upload.name).status == 204
    return upload


def deferred(upload: Begun, bucket: str = "imports") -> str:
    return begun(upload.client.create(upload.key, bucket))


CONFLICT, EXISTS = "Upload-Offset conflict", "The resource already exists"
NOT_FOUND, GONE = "The file for this url was not found", "The file for this url no longer exists"
PATCH_REFUSALS: dict[str, tuple[Callable[[Begun], Answer], int, str]] = {
    "offset behind": (lambda u: u.client.patch(u.name, 3, b"x"), 409, CONFLICT),
    "offset ahead": (lambda u: u.client.patch(u.name, 5, b"x"), 409, CONFLICT),
    "key taken meanwhile": (lambda u: u.client.patch(taken(u).name, 4, b"x"), 409, EXISTS),
    "replay of the last": (lambda u: u.client.patch(whole(u).name, 4, b"456789"), 409, EXISTS),
    "replay of the last, x-upsert": (
        lambda u: u.client.patch(whole(u).name, 4, b"456789", x_upsert="true"),
        409,
        CONFLICT,
    ),
    "over the length": (lambda u: u.client.patch(u.name, 4, b"4567890"), 413, "upload's size exceeded"),
    "over the length, chunked": (lambda u: u.client.patch(u.name, 4, iter([b"4567890"])), 413, "Maximum size exceeded"),
    "over the bucket's limit": (
        lambda u: u.client.patch(deferred(u, "small"), 0, b"x" * 100_001),
        413,
        "upload's size exceeded",
    ),
    "over the bucket's limit, chunked": (
        lambda u: u.client.patch(deferred(u, "small"), 0, iter([b"x" * 100_001])),
        413,
        "Maximum size exceeded",
    ),
    "terminated": (lambda u: u.client.patch(terminated(u).name, 4, b"x"), 404, NOT_FOUND),
    "garbage for a name": (lambda u: u.client.patch("garbage", 0, b"x"), 400, "Invalid upload id"),
    "object removed": (lambda u: u.client.patch(removed(u).name, 10), 410, GONE),
    "no type": (lambda u: u.client.tus(PATCH, u.name, b"x", upload_offset="4"), 403, "Content-Type header required"),
    "another type": (lambda u: u.client.patch(u.name, 4, b"x", content_type="text/csv"), 400, "Invalid content-type"),
    "no offset": (
        lambda u: u.client.tus(PATCH, u.name, b"x", content_type="application/offset+octet-stream"),
        403,
        "Upload-Offset header required",
    ),
    "length declared twice": (lambda u: u.client.patch(u.name, 4, b"456789", upload_length="10"), 400, NEITHER_OR_BOTH),
    "length below the offset": (
        lambda u: u.client.patch(_three_deferred(u), 3, upload_length="2"),
        400,
        NEITHER_OR_BOTH,
    ),
    "anon": (lambda u: anon(u.client).patch(u.name, 4, b"x"), 403, RLS),
    "no version": (lambda u: u.client.ask(PATCH, f"/upload/resumable/{u.name}"), 412, "Tus-Resumable Required"),
    "terminating what is finished": (lambda u: u.client.tus(DELETE, whole(u).name), 409, EXISTS),
    "terminating what is finished, x-upsert": (
        lambda u: u.client.tus(DELETE, whole(u).name, x_upsert="true"),
        400,
        "Cannot terminate an already completed upload",
    ),
    "terminating twice": (lambda u: u.client.tus(DELETE, terminated(u).name), 404, NOT_FOUND),
    "GET": (lambda u: u.client.tus(GET, u.name), 404, "Not found"),
    "method override": (lambda u: u.client.tus(POST, u.name, x_http_method_override=PATCH), 404, "Not found"),
}


def removed(upload: Begun) -> Begun:
    whole(upload)
    assert upload.client.ask(DELETE, f"/object/imports/{upload.key}").status == 200
    return upload


def _three_deferred(upload: Begun) -> str:
    name = deferred(upload)
    assert upload.client.patch(name, 0, b"012").status == 204
    return name


@pytest.mark.parametrize("row", PATCH_REFUSALS)
def test_a_request_for_an_upload_is_refused(row: str, upload: Begun) -> None:
    act, status, text = PATCH_REFUSALS[row]
    answer = act(upload)
    assert (answer.status, answer.text, answer.headers["connection"]) == (status, text, "close")


@pytest.mark.parametrize("body", [b"4567890", iter([b"4567890"])], ids=["announced", "chunked"])
def test_a_refused_patch_leaves_the_offset(body: Any, upload: Begun) -> None:
    assert upload.client.patch(upload.name, 4, body).status == 413
    assert upload.client.tus(HEAD, upload.name).headers["upload-offset"] == "4"
    whole(upload)


@pytest.mark.parametrize(
    ("name", "status"),
    [(lambda u: terminated(u).name, 404), (lambda u: removed(u).name, 410), (lambda _: "garbage", 400)],
    ids=["unknown", "bytes gone", "garbage"],
)
def test_a_head_is_refused_without_words(name: Callable[[Begun], str], status: int, upload: Begun) -> None:
    answer = upload.client.tus(HEAD, name(upload))
    assert (answer.status, answer.body) == (status, b"")


def test_a_head_tells_where_an_upload_is(upload: Begun) -> None:
    told = anon(upload.client).tus(HEAD, upload.name).headers
    assert (told["upload-offset"], told["upload-length"], told["cache-control"]) == ("4", "10", "no-store")
    assert told["upload-metadata"] == encoded({"bucketName": "imports", "objectName": upload.key})
    assert "upload-defer-length" not in told


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[Plain]:
    """A client of a server with the S3 backend, whose uploads expire at once."""
    with StorageDouble.start(tmp_path / "s3", s3=True, expiry_seconds=0) as double:
        double.make_bucket("imports")
        yield Plain(double, double.key())


def test_s3_expires_uploads_and_not_what_became_of_them(s3: Plain) -> None:
    created = s3.create("k", upload_length="3", content_type="application/offset+octet-stream")
    assert "upload-expires" in created.headers
    assert s3.tus(HEAD, begun(created)).status == 410
    assert (s3.patch(begun(created), 0, b"abc").text) == GONE
    whole_at_once = s3.tus(
        POST,
        "",
        b"abc",
        upload_length="3",
        content_type="application/offset+octet-stream",
        upload_metadata=encoded({"bucketName": "imports", "objectName": "o"}),
    )
    assert s3.tus(HEAD, begun(whole_at_once)).status == 410
    assert s3.ask(GET, "/object/authenticated/imports/o").body == b"abc"


def test_s3_has_etags_that_are_no_md5(s3: Plain) -> None:
    s3.double.restart_with(expiry_seconds=60)
    name = begun(s3.create("k"))
    assert s3.patch(name, 0, b"abc").status == 204
    assert s3.patch(name, 3, b"def", upload_length="6").headers["tus-complete"] == "1"
    etag = json.loads(s3.ask(GET, "/object/info/imports/k").json["etag"])
    assert etag.endswith("-2")
    assert len(etag) == 34
    assert s3.ask(PUT, "/object/imports/plain", CONTENT).status == 200
    assert s3.ask(HEAD, "/object/authenticated/imports/plain").headers["etag"] == ETAG


def test_s3_makes_no_empty_object_of_a_known_length(s3: Plain) -> None:
    answer = s3.create("nothing", upload_length="0")
    assert (answer.status, answer.text) == (404, "NotFound")
    assert s3.ask(GET, "/object/info/imports/nothing").json == NO_OBJECT
