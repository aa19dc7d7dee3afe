"""The double of the storage server, row by row of the measured contract: objects, and links to them."""

import base64
import uuid
from typing import Any

import pytest

from tests.doubles.storage.contract import (
    CONTENT,
    ETAG,
    NO_BUCKET,
    NO_OBJECT,
    TAKEN,
    TOO_LARGE,
    Call,
    error_body,
    refused_fields,
    refused_type,
)
from tests.doubles.storage.plain import Plain

pytestmark = pytest.mark.unit

GET, POST, PUT, PATCH, HEAD, DELETE = "GET", "POST", "PUT", "PATCH", "HEAD", "DELETE"


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
