"""The double of the storage server, row by row of the measured contract: keys, outages and buckets."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.doubles.storage import outages
from tests.doubles.storage.contract import (
    DENIED,
    EXPIRED,
    FORGED,
    NO_BUCKET,
    NO_JWT,
    NO_KEY,
    NO_OBJECT,
    TOO_LARGE,
    Call,
    error_body,
    refused_fields,
)
from tests.doubles.storage.plain import Plain
from tests.doubles.storage.process import StorageDouble

pytestmark = pytest.mark.unit

GET, POST, PUT, PATCH, HEAD, DELETE = "GET", "POST", "PUT", "PATCH", "HEAD", "DELETE"


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
