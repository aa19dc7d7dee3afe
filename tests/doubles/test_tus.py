"""The double of the storage server, row by row of the measured contract: TUS."""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.storage.contract import (
    CONTENT,
    ETAG,
    NO_OBJECT,
    RLS,
)
from tests.doubles.storage.plain import Answer, Plain, begun, encoded
from tests.doubles.storage.process import StorageDouble

pytestmark = pytest.mark.unit

GET, POST, PUT, PATCH, HEAD, DELETE = "GET", "POST", "PUT", "PATCH", "HEAD", "DELETE"


# Section 8: TUS


def test_options_tell_anybody_what_is_offered(furnished: StorageDouble) -> None:
    offer = Plain(furnished, None).ask("OPTIONS", "/upload/resumable")
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
