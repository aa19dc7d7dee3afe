"""The client's side of tus: each rule of contract section 8, then any faults in any order against a model server."""

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from dataflow.errors import (
    BucketMissing,
    DataFlowError,
    ObjectTooLarge,
    StorageDenied,
    StorageError,
    StorageUnavailable,
    UnsupportedMediaType,
    UploadLost,
)
from dataflow.storage.base import Description
from dataflow.storage.chunks import chunks
from dataflow.storage.messages import Answer, Request
from dataflow.storage.retry import Retries, Schedule
from dataflow.storage.tus import OffsetConflict, TusUpload, creation, is_complete, is_gone, options, termination

pytestmark = pytest.mark.unit

BUCKET = "imports"
KEY = "0198.csv"
METADATA = {"jobId": "0198", "fileName": "Größe, 2 %.csv"}


def new(size_bytes: int | None = None) -> TusUpload:
    described = Description("text/csv", METADATA, size_bytes)
    return TusUpload(BUCKET, creation(BUCKET, KEY, described, cache_seconds=3600))


def exchange(tus: TusUpload, answer: Answer) -> Request:
    """The request that is next, after its answer was taken."""
    request = tus.next()
    assert request is not None
    tus.take(request, answer)
    return request


def refuse(tus: TusUpload, answer: Answer, kind: type[DataFlowError]) -> DataFlowError:
    """The error, of exactly this kind, that the answer to the next request is."""
    with pytest.raises(DataFlowError) as caught:
        exchange(tus, answer)
    assert type(caught.value) is kind
    return caught.value


def created(location: str = "/upload/resumable/aW1w_-1") -> Answer:
    return Answer(201, {"Location": location}, "")


def stored(offset: object) -> Answer:
    """The answer to a PATCH."""
    return Answer(204, {"Upload-Offset": str(offset)}, "")


def found(offset: object, length: int | None = None) -> Answer:
    """The answer to a HEAD; without a length, that is still deferred."""
    lengths = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
    return Answer(200, {"Upload-Offset": str(offset), **lengths}, "")


def begun(chunk: bytes, is_last: bool = False, size_bytes: int | None = None) -> TusUpload:
    """An upload that the server has made, its first chunk about to be sent."""
    tus = new(size_bytes)
    tus.load(chunk, is_last)
    exchange(tus, created())
    return tus


def in_second_chunk(chunk: bytes = b"efgh", is_last: bool = False) -> TusUpload:
    """An upload whose first four bytes are acknowledged, and no longer at hand."""
    tus = begun(b"abcd")
    exchange(tus, stored(4))
    assert tus.next() is None
    tus.load(chunk, is_last)
    return tus


def shown(request: Request | None) -> tuple[str, str | None, str | None, bytes]:
    """Method, offset, declared length and body."""
    assert request is not None
    headers = request.headers
    return request.method, headers.get("Upload-Offset"), headers.get("Upload-Length"), bytes(request.body or b"")


# What requests say


def test_the_creation_names_bucket_and_object_and_describes_it():
    request = new().next()
    assert request is not None
    assert (request.method, request.path, request.body) == ("POST", "/upload/resumable", b"")
    pairs = dict(pair.split(" ") for pair in request.headers["Upload-Metadata"].split(","))
    fields = {name: b64decode(value, validate=True).decode() for name, value in pairs.items()}
    assert json.loads(fields.pop("metadata")) == METADATA
    assert fields == {
        "bucketName": BUCKET,
        "objectName": KEY,
        "contentType": "text/csv",
        "cacheControl": "3600",
    }


def test_every_request_names_the_version_and_all_that_write_ask_to_replace():
    tus = in_second_chunk(is_last=True)
    patch = tus.next()
    tus.lose()
    head = tus.next()
    for request in (new().next(), patch, head, termination(tus.path), options()):
        assert request is not None
        assert request.headers["Tus-Resumable"] == "1.0.0"
        if request.method in ("POST", "PATCH", "DELETE"):
            assert request.headers["x-upsert"] == "true"


def test_a_patch_is_typed_and_goes_to_the_upload():
    request = begun(b"abcd").next()
    assert request is not None
    assert request.path == "/upload/resumable/aW1w_-1"
    assert request.headers["Content-Type"] == "application/offset+octet-stream"
    assert shown(request) == ("PATCH", "0", None, b"abcd")


def test_an_unknown_length_is_deferred_and_declared_by_the_last_patch_alone():
    creation = new().next()
    assert creation is not None
    assert creation.headers["Upload-Defer-Length"] == "1"
    assert "Upload-Length" not in creation.headers
    tus = in_second_chunk()
    assert shown(exchange(tus, stored(8))) == ("PATCH", "4", None, b"efgh")
    assert tus.next() is None
    tus.load(b"ij", is_last=True)
    assert shown(exchange(tus, stored(10))) == ("PATCH", "8", "10", b"ij")
    assert tus.next() is None


def test_a_known_length_is_declared_by_the_creation_alone():
    creation = new(size_bytes=6).next()
    assert creation is not None
    assert creation.headers["Upload-Length"] == "6"
    assert "Upload-Defer-Length" not in creation.headers
    tus = begun(b"abcd", size_bytes=6)
    assert shown(exchange(tus, stored(4))) == ("PATCH", "0", None, b"abcd")
    tus.load(b"ef", is_last=True)
    assert shown(exchange(tus, stored(6))) == ("PATCH", "4", None, b"ef")
    assert tus.next() is None


@pytest.mark.parametrize("size_bytes", [None, 0])
def test_an_empty_object_is_one_empty_patch_that_declares_its_length(size_bytes: int | None):
    tus = new(size_bytes)
    tus.load(b"", is_last=True)
    creation = exchange(tus, created())
    assert creation.headers["Upload-Defer-Length"] == "1"
    assert "Upload-Length" not in creation.headers
    assert shown(exchange(tus, stored(0))) == ("PATCH", "0", "0", b"")
    assert tus.next() is None


# Where the upload is


@pytest.mark.parametrize(
    "location",
    [
        "/upload/resumable/aW1w_-1",
        "aW1w_-1",
        "http://storage:5000/upload/resumable/aW1w_-1",
        "https://elsewhere.example/some/prefix/upload/resumable/aW1w_-1/",
        "https://project.supabase.co:0/storage/v1/upload/resumable/aW1w_-1?token=x/y",
    ],
)
def test_host_prefix_and_query_of_a_location_do_not_matter(location: str):
    tus = new()
    tus.load(b"abcd", is_last=False)
    exchange(tus, created(location))
    assert tus.path == "/upload/resumable/aW1w_-1"


@pytest.mark.parametrize(
    "location",
    [
        "/",
        "///",
        "?id=aW1w_-1",
        "/upload/resumable/a b",
        "/upload/resumable/a#b",
        "/upload/resumable/a\\..\\b",
        "/upload/resumable/a\r\nb",
        "/upload/resumable/größe",
        # What requests makes of these leads out of the upload, or to another resource altogether.
        "/upload/resumable/.",
        "/upload/resumable/..",
        "/upload/resumable/%2e%2E",
    ],
)
def test_a_location_that_cannot_name_an_upload_is_refused(location: str):
    tus = new()
    tus.load(b"abcd", is_last=False)
    refuse(tus, created(location), StorageError)
    assert tus.id is None


def test_a_creation_without_a_location_is_repeated_for_the_head_of_an_answer_may_be_cut():
    tus = new()
    first = tus.next()
    refuse(tus, Answer(201, {}, ""), StorageUnavailable)
    assert tus.next() == first


# How far it is


def test_only_the_returned_offset_counts_and_the_rest_of_the_chunk_follows():
    tus = in_second_chunk(is_last=True)
    assert shown(exchange(tus, stored(5))) == ("PATCH", "4", "8", b"efgh")
    assert tus.offset == 5
    assert shown(exchange(tus, stored(7))) == ("PATCH", "5", None, b"fgh")
    assert shown(exchange(tus, stored(8))) == ("PATCH", "7", None, b"h")
    assert tus.next() is None


def test_the_rest_of_a_chunk_is_not_a_copy():
    chunk = bytearray(b"abcd")
    tus = new()
    tus.load(chunk, is_last=False)
    exchange(tus, created())
    exchange(tus, stored(3))
    request = tus.next()
    assert request is not None
    assert isinstance(request.body, memoryview)
    assert request.body.obj is chunk


def test_a_lost_creation_is_repeated():
    tus = new()
    tus.load(b"abcd", is_last=False)
    first = tus.next()
    tus.lose()
    assert exchange(tus, created()) == first
    assert shown(tus.next()) == ("PATCH", "0", None, b"abcd")


@pytest.mark.parametrize("offset", [4, 6, 7])
def test_after_a_lost_answer_the_server_is_asked_and_believed(offset: int):
    tus = in_second_chunk()
    tus.lose()
    request = exchange(tus, found(offset))
    assert (request.method, request.path, request.body) == ("HEAD", tus.path, None)
    assert shown(tus.next()) == ("PATCH", str(offset), None, b"efgh"[offset - 4 :])


def test_after_a_lost_answer_a_chunk_that_arrived_whole_is_not_sent_again():
    tus = in_second_chunk()
    tus.lose()
    exchange(tus, found(8))
    assert tus.next() is None


@pytest.mark.parametrize("offset", [4, 7])
def test_a_conflict_of_offsets_is_settled_by_asking(offset: int):
    tus = in_second_chunk()
    exchange(tus, stored(6))
    error = refuse(tus, Answer(409, {}, "Upload-Offset conflict"), StorageUnavailable)
    assert error.retryable
    assert exchange(tus, found(offset)).method == "HEAD"
    assert shown(tus.next()) == ("PATCH", str(offset), None, b"efgh"[offset - 4 :])


@pytest.mark.parametrize("offset", [5, 8, 100])
def test_bytes_that_nobody_has_sent_from_here_are_somebody_else_s(offset: int):
    tus = in_second_chunk()
    for _ in range(2):
        # Asked again, by a caller who is sure of his chunk, it is the same.
        refuse(tus, Answer(409, {}, "Upload-Offset conflict"), StorageUnavailable)
        for _ in range(2):
            assert refuse(tus, found(offset), OffsetConflict).retryable
        tus.load(b"efgh", is_last=False)
        assert refuse(tus, found(offset), OffsetConflict).retryable
        exchange(tus, found(4))


def test_a_conflict_with_a_server_that_lost_acknowledged_bytes_is_a_loss():
    tus = in_second_chunk()
    refuse(tus, Answer(409, {}, "Upload-Offset conflict"), StorageUnavailable)
    refuse(tus, found(3), UploadLost)


def test_what_was_not_taken_is_sent_again_without_asking_so_that_nobody_else_s_bytes_are_taken_for_it():
    tus = in_second_chunk()
    refuse(tus, stored(4), StorageUnavailable)
    assert shown(tus.next()) == ("PATCH", "4", None, b"efgh")
    refuse(tus, Answer(409, {}, "Upload-Offset conflict"), StorageUnavailable)
    refuse(tus, found(8), OffsetConflict)


LOCKED = json.dumps({"statusCode": "503", "error": "LockTimeout", "message": "lock", "code": "LockTimeout"})
PASSING = [
    Answer(500, {}, "Something went wrong with that request"),
    Answer(502, {}, "<html>Bad Gateway</html>"),
    Answer(503, {}, "acquiring lock timeout"),
    Answer(504, {}, ""),
    Answer(544, {}, "The connection to the database timed out"),
    Answer(429, {}, "SlowDown"),
    Answer(400, {}, LOCKED),
]


@pytest.mark.parametrize("answer", PASSING, ids=lambda answer: str(answer.http_status))
def test_after_a_passing_refusal_the_server_is_asked_before_anything_is_sent(answer: Answer):
    tus = in_second_chunk()
    assert refuse(tus, answer, StorageUnavailable).retryable
    refuse(tus, answer, StorageUnavailable)
    assert exchange(tus, found(6)).method == "HEAD"
    assert shown(tus.next()) == ("PATCH", "6", None, b"gh")


@pytest.mark.parametrize("answer", PASSING, ids=lambda answer: str(answer.http_status))
def test_after_a_passing_refusal_of_the_creation_it_is_repeated(answer: Answer):
    tus = new()
    first = tus.next()
    refuse(tus, answer, StorageUnavailable)
    assert tus.next() == first


OUTSIDE = ["3", "9", "-4", "+4", "4.0", "4, 4", "0x4", "9" * 5000]


@pytest.mark.parametrize("offset", OUTSIDE, ids=lambda offset: offset[:4])
@pytest.mark.parametrize("answered", [stored, found])
def test_an_offset_that_is_not_in_the_chunk_means_that_the_upload_is_lost(answered, offset: str):
    tus = in_second_chunk()
    if answered is found:
        tus.lose()
    error = refuse(tus, answered(offset), UploadLost)
    assert error.retryable
    assert "4 to 8" in error.message


def test_after_an_answer_without_an_offset_the_server_is_asked_for_it():
    tus = in_second_chunk()
    refuse(tus, Answer(204, {}, ""), StorageUnavailable)
    refuse(tus, Answer(200, {}, ""), StorageUnavailable)
    assert exchange(tus, found(6)).method == "HEAD"
    assert shown(tus.next()) == ("PATCH", "6", None, b"gh")


def test_a_server_that_takes_nothing_is_unavailable_and_asked_again():
    tus = in_second_chunk()
    exchange(tus, stored(6))
    refuse(tus, stored(6), StorageUnavailable)
    tus.lose()
    assert exchange(tus, found(6)).method == "HEAD"
    refuse(tus, stored(6), StorageUnavailable)


def test_a_patch_that_leads_backwards_is_no_progress():
    # Else a server that gives and takes would be fed for ever, without a wait or a look at the time.
    tus = in_second_chunk()
    exchange(tus, stored(7))
    refuse(tus, stored(5), StorageUnavailable)


# The end


@pytest.mark.parametrize(
    ("answer", "length"), [(found(8), "8"), (found(8, length=8), None)], ids=["still deferred", "declared"]
)
def test_when_the_answer_to_the_last_patch_is_lost_an_empty_one_completes_the_upload(
    answer: Answer, length: str | None
):
    tus = in_second_chunk(is_last=True)
    assert shown(tus.next()) == ("PATCH", "4", "8", b"efgh")
    tus.lose()
    exchange(tus, answer)
    assert shown(exchange(tus, stored(8))) == ("PATCH", "8", length, b"")
    assert tus.next() is None


@pytest.mark.parametrize(
    ("answer", "length"), [(found(6), "8"), (found(6, length=8), None)], ids=["still deferred", "declared"]
)
def test_a_repeated_last_patch_declares_the_length_only_while_it_is_deferred(answer: Answer, length: str | None):
    tus = in_second_chunk(is_last=True)
    refuse(tus, Answer(500, {}, ""), StorageUnavailable)
    exchange(tus, answer)
    assert shown(tus.next()) == ("PATCH", "6", length, b"gh")


def test_a_length_that_a_patch_given_up_for_dead_has_declared_meanwhile_is_no_refusal():
    # A HEAD may come before the end, or even the beginning, of a PATCH whose connection broke. Its length stands, while
    # its bytes may be dropped: then the offset agrees, and only the length is told twice.
    tus = in_second_chunk(is_last=True)
    tus.lose()
    exchange(tus, found(4))
    twice = Answer(400, {}, "Upload-Length or Upload-Defer-Length header required")
    refuse(tus, twice, StorageUnavailable)
    exchange(tus, found(4, length=8))
    assert shown(exchange(tus, stored(8))) == ("PATCH", "4", None, b"efgh")
    assert tus.next() is None


def test_a_last_patch_in_two_steps_is_complete_only_with_the_second():
    tus = in_second_chunk(is_last=True)
    exchange(tus, stored(6))
    tus.lose()
    exchange(tus, found(8, length=8))
    assert shown(exchange(tus, stored(8))) == ("PATCH", "8", None, b"")
    assert tus.next() is None


def resumed(answer: Answer) -> TusUpload:
    tus = TusUpload(BUCKET, None, "/upload/resumable/aW1w_-1")
    tus.note_found(answer)
    return tus


@pytest.mark.parametrize(
    ("answer", "length"), [(found(4), "6"), (found(4, length=6), None)], ids=["still deferred", "declared"]
)
def test_an_upload_that_is_found_goes_on_at_its_offset(answer: Answer, length: str | None):
    tus = resumed(answer)
    assert (tus.path, tus.offset, tus.next()) == ("/upload/resumable/aW1w_-1", 4, None)
    tus.load(b"ef", is_last=True)
    assert shown(exchange(tus, stored(6))) == ("PATCH", "4", length, b"ef")
    assert (tus.next(), tus.is_complete, tus.size_bytes) == (None, True, 6)


def test_the_chunk_that_reaches_the_declared_length_is_the_last_whoever_says_so():
    tus = resumed(found(4, length=6))
    tus.load(b"ef", is_last=False)
    request = tus.next()
    assert request is not None
    assert tus.is_ending(request)
    exchange(tus, stored(6))
    with pytest.raises(StorageError, match="complete with its 6 bytes"):
        tus.load(b"g", is_last=True)


@pytest.mark.parametrize("offset", ["", "-1", "x"])
def test_an_upload_without_a_possible_offset_is_not_found(offset: str):
    with pytest.raises(StorageError):
        resumed(found(offset))


def test_an_upload_that_is_found_does_not_begin_again():
    tus = resumed(found(0))
    tus.load(b"abcd", is_last=False)
    refuse(tus, Answer(404, {}, "The file for this url was not found"), UploadLost)


# The server forgets


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("asks", [False, True], ids=["PATCH", "HEAD"])
def test_an_upload_forgotten_in_its_first_chunk_begins_again(status: int, asks: bool):
    tus = begun(b"abcd", is_last=True)
    exchange(tus, stored(2))
    if asks:
        tus.lose()
    error = refuse(tus, Answer(status, {}, "The file for this url no longer exists"), StorageUnavailable)
    assert str(status) in error.message
    creation = exchange(tus, created("/upload/resumable/second"))
    assert (creation.method, creation.headers["Upload-Defer-Length"]) == ("POST", "1")
    request = exchange(tus, stored(4))
    assert request.path == "/upload/resumable/second"
    assert shown(request) == ("PATCH", "0", "4", b"abcd")
    assert tus.next() is None


def test_an_upload_of_known_length_begins_again_with_that_length():
    tus = begun(b"abcd", is_last=True, size_bytes=4)
    refuse(tus, Answer(410, {}, ""), StorageUnavailable)
    assert exchange(tus, created()).headers["Upload-Length"] == "4"
    assert shown(tus.next()) == ("PATCH", "0", None, b"abcd")


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("asks", [False, True], ids=["PATCH", "HEAD"])
def test_an_upload_forgotten_after_its_first_chunk_is_lost(status: int, asks: bool):
    tus = in_second_chunk()
    exchange(tus, stored(6))
    if asks:
        tus.lose()
    error = refuse(tus, Answer(status, {}, "The file for this url was not found"), UploadLost)
    assert error.retryable
    assert "6 bytes" in error.message


# Refusals for good

REFUSED_CREATIONS: list[tuple[int, str, type[DataFlowError]]] = [
    (400, "Upload-Length or Upload-Defer-Length header required", StorageError),
    (400, "Invalid key: 0198.csv", StorageError),
    (400, '{"statusCode":"403","message":"Invalid Compact JWS","code":"AccessDenied"}', StorageDenied),
    (403, "new row violates row-level security policy", StorageDenied),
    (404, "Bucket not found", BucketMissing),
    (409, "The resource already exists", StorageError),
    (412, "Tus-Resumable Required", StorageError),
    (413, "Maximum size exceeded", ObjectTooLarge),
    (415, "mime type text/csv is not supported", UnsupportedMediaType),
]
REFUSED_PATCHES: list[tuple[int, str, type[DataFlowError]]] = [
    (400, "Invalid upload id", StorageError),
    (400, '{"statusCode":"403","message":"signature verification failed","code":"AccessDenied"}', StorageDenied),
    (403, "new row violates row-level security policy", StorageDenied),
    (413, "upload's size exceeded", ObjectTooLarge),
    (413, "Maximum size exceeded", ObjectTooLarge),
]


@pytest.mark.parametrize(("status", "text", "kind"), REFUSED_CREATIONS)
def test_a_creation_refused_for_good_is_not_repeated(status: int, text: str, kind: type[DataFlowError]):
    assert not refuse(new(), Answer(status, {}, text), kind).retryable


@pytest.mark.parametrize(("status", "text", "kind"), REFUSED_PATCHES)
def test_a_patch_refused_for_good_is_not_repeated(status: int, text: str, kind: type[DataFlowError]):
    assert not refuse(in_second_chunk(), Answer(status, {}, text), kind).retryable


def test_a_termination_is_a_delete_of_the_upload():
    request = termination("/upload/resumable/aW1w_-1")
    assert (request.method, request.path, request.body) == ("DELETE", "/upload/resumable/aW1w_-1", None)


@pytest.mark.parametrize(
    ("status", "text", "gone", "complete"),
    [
        (204, "", True, False),
        (404, "The file for this url was not found", True, False),
        (410, "The file for this url no longer exists", True, False),
        (409, "The resource already exists", False, True),
        (400, "Cannot terminate an already completed upload", False, True),
        (400, "Invalid upload id", False, False),
        (403, "new row violates row-level security policy", False, False),
        (503, "acquiring lock timeout", False, False),
    ],
)
def test_a_termination_tells_whether_there_is_an_upload_or_an_object_left(
    status: int, text: str, gone: bool, complete: bool
):
    answer = Answer(status, {}, text)
    assert (is_gone(answer), is_complete(answer)) == (gone, complete)


def test_what_the_server_can_do_is_asked_without_naming_an_upload():
    assert (options().method, options().path) == ("OPTIONS", "/upload/resumable")


# Any faults, in any order, against a model of the server in memory


class Fault(NamedTuple):
    """What happens to one request; `share` says to how much of a body."""

    kind: str
    share: float = 0.0


#: Those that destroy bytes which may be acknowledged.
DESTROYING = {"forgotten", "set back", "not registered"}
KINDS = ["none", "unreachable", "answer lost", "cut", "crash", "late", "short", "busy", *sorted(DESTROYING)]


class Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.answer = Answer(status, {}, text)


@dataclass(slots=True)
class Upload:
    """One upload as the server has it."""

    length: int | None
    content: bytearray = field(default_factory=bytearray)
    is_gone: bool = False

    @property
    def is_complete(self) -> bool:
        return len(self.content) == self.length


class Server:
    """Does and answers what the contract says, each request having the next of `faults`."""

    def __init__(self, faults: list[Fault], max_requests: int) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, Upload] = {}
        self.has_destroyed = False
        self.offences: list[str] = []  #: what a client that keeps the rules is never told
        self.request_count = 0
        self._max_requests = max_requests
        self._faults = list(faults)
        self._late: tuple[Request, float] | None = None

    def exchange(self, request: Request) -> Answer:
        """:raises StorageUnavailable: when there is no answer."""
        self.request_count += 1
        assert self.request_count <= self._max_requests, "the client does not come to an end"
        fault = self._faults.pop(0) if self._faults else Fault("none")
        late, self._late = self._late, None
        try:
            return self._meet(fault, request)
        finally:
            if late:
                self._serve(*late)

    def _meet(self, fault: Fault, request: Request) -> Answer:
        match fault.kind:
            case "none":
                return self._serve(request)
            case "short":
                return self._serve(request, fault.share)
            case "busy":
                return PASSING[int(fault.share * (len(PASSING) - 1))]
            case "answer lost":
                self._serve(request)
            case "cut":
                self._serve(request, fault.share)
            case "crash":
                # Between the last byte and the object, which the next PATCH makes good.
                objects = dict(self.objects)
                self._serve(request)
                self.objects = objects
            case "late" if request.method == "PATCH":
                # Dead for the client, still at work in the server: the next request sees what was before it.
                self._late = request, fault.share
            case "forgotten":
                return self._forget(request, fault.share)
            case "set back":
                self._set_back(fault.share)
            case "not registered":
                return self._fail_to_register(request)
        raise StorageUnavailable("The storage does not answer.")

    def _serve(self, request: Request, share: float = 1.0) -> Answer:
        try:
            if request.headers.get("Tus-Resumable") != "1.0.0":
                raise self._offence(412, "Tus-Resumable Required")
            if request.method == "POST":
                return self._create(request.headers)
            upload = self._find(request.path)
            if request.method == "PATCH":
                self._patch(upload, request, share)
            return self._tell(upload, 200 if request.method == "HEAD" else 204)
        except Refused as refused:
            return refused.answer

    def _create(self, headers: Mapping[str, str]) -> Answer:
        if ("Upload-Length" in headers) == ("Upload-Defer-Length" in headers):
            raise self._offence(400, "Upload-Length or Upload-Defer-Length header required")
        name = f"upload{len(self.uploads)}"
        self.uploads[name] = Upload(int(headers["Upload-Length"]) if "Upload-Length" in headers else None)
        return Answer(201, CaseInsensitiveDict({"location": f"https://inside:5000/upload/resumable/{name}"}), "")

    def _find(self, path: str) -> Upload:
        upload = self.uploads.get(path.removeprefix("/upload/resumable/"))
        if upload is None:
            raise Refused(404, "The file for this url was not found")
        if upload.is_gone:
            raise Refused(410, "The file for this url no longer exists")
        return upload

    def _patch(self, upload: Upload, request: Request, share: float) -> None:
        """Takes over the given share of the body; a declared length stands even if nothing of it is taken."""
        body = bytes(request.body or b"")
        if request.headers.get("x-upsert") != "true":
            raise self._offence(409, "The resource already exists")
        if int(request.headers["Upload-Offset"]) != len(upload.content):
            raise Refused(409, "Upload-Offset conflict")
        if "Upload-Length" in request.headers:
            if upload.length is not None:
                # Not an offence: the client cannot know what a late PATCH has told.
                raise Refused(400, "Upload-Length or Upload-Defer-Length header required")
            upload.length = int(request.headers["Upload-Length"])
        if upload.length is not None and len(upload.content) + len(body) > upload.length:
            raise self._offence(413, "upload's size exceeded")
        upload.content += body[: round(share * len(body))]
        if upload.is_complete:
            self.objects[KEY] = bytes(upload.content)

    def _tell(self, upload: Upload, status: int) -> Answer:
        length = {"upload-defer-length": "1"} if upload.length is None else {"upload-length": str(upload.length)}
        offset = {"upload-offset": str(len(upload.content))}
        return Answer(status, CaseInsensitiveDict(offset | (length if status == 200 else {})), "")

    def _offence(self, status: int, text: str) -> Refused:
        self.offences.append(text)
        return Refused(status, text)

    def _forget(self, request: Request, share: float) -> Answer:
        name = request.path.rpartition("/")[2]
        if name in self.uploads:
            self.has_destroyed = True
            if share < 0.5:
                del self.uploads[name]
            else:
                self.uploads[name].is_gone = True
        return self._serve(request)

    def _set_back(self, share: float) -> None:
        """A crash that takes acknowledged bytes along."""
        for upload in self.uploads.values():
            if not upload.is_complete:
                self.has_destroyed = True
                del upload.content[round(share * len(upload.content)) :]

    def _fail_to_register(self, request: Request) -> Answer:
        """When the last byte is there, but the database is not, the server deletes all of it."""
        objects = dict(self.objects)
        answer = self._serve(request)
        upload = self.uploads.get(request.path.rpartition("/")[2])
        if request.method != "PATCH" or upload is None or not upload.is_complete:
            return answer
        self.objects, self.has_destroyed, upload.is_gone = objects, True, True
        return PASSING[0]


def send(server: Server, source: bytes, chunk_bytes: int, size_bytes: int | None, max_failures: int) -> None:
    """Upload the way that `supabase.upload` does, by a clock that stands still."""
    schedule = Schedule((0.0,) * max_failures, clock=lambda: 0.0, wait=lambda seconds: None)
    tus = new(size_bytes)
    for chunk, is_last in chunks([source], chunk_bytes):
        retries = Retries(schedule, limit_seconds=1.0)
        tus.load(chunk, is_last)
        while request := tus.next():
            before = tus.offset
            try:
                tus.take(request, server.exchange(request))
            except StorageUnavailable as error:
                tus.lose()
                retries.pause(error)
            if tus.offset > before:
                retries.succeeded()


def chunk_count(source: bytes, chunk_bytes: int) -> int:
    return max(1, -(-len(source) // chunk_bytes))


@pytest.mark.parametrize("is_length_known", [False, True])
@pytest.mark.parametrize("size_bytes", [0, 1, 4, 5, 8, 9])
def test_without_faults_an_upload_is_one_request_for_each_chunk_and_one_before(size_bytes: int, is_length_known: bool):
    source = bytes(range(size_bytes))
    server = Server([], max_requests=1 + chunk_count(source, 4))
    send(server, source, 4, size_bytes if is_length_known else None, max_failures=0)
    assert server.objects == {KEY: source}
    assert server.request_count == 1 + chunk_count(source, 4)


faults = st.builds(Fault, st.sampled_from(KINDS), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.binary(max_size=24), st.integers(1, 8), st.booleans(), st.lists(faults, max_size=10), st.integers(0, 24))
@example(b"abcdefgh", 4, False, [Fault("none"), Fault("none"), Fault("answer lost")], 1)
@example(b"abcdefgh", 4, False, [Fault("none"), Fault("none"), Fault("crash")], 1)
@example(b"abcdefgh", 4, False, [Fault("none"), Fault("none"), Fault("short", 0.5), Fault("crash")], 1)
@example(b"abcdefgh", 4, False, [Fault("none"), Fault("none"), Fault("late", 0.5)], 2)
@example(b"abcdefgh", 4, False, [Fault("none"), Fault("none"), Fault("late", 0.0)], 2)
@example(b"", 4, False, [Fault("none"), Fault("late")], 2)
@example(b"abcdefgh", 4, True, [Fault("none"), Fault("none"), Fault("not registered")], 2)
@example(b"abcd", 4, True, [Fault("none"), Fault("not registered")], 2)
def test_whatever_happens_the_object_is_whole_or_the_upload_fails_for_a_reason(
    source: bytes, chunk_bytes: int, is_length_known: bool, faults: list[Fault], max_failures: int
):
    # A fault costs its own request, and at most three to find out, be refused and ask again before the next success.
    server = Server(faults, max_requests=1 + chunk_count(source, chunk_bytes) + 4 * len(faults))
    try:
        send(server, source, chunk_bytes, len(source) if is_length_known else None, max_failures)
    except UploadLost:
        assert server.has_destroyed
    except StorageUnavailable:
        assert max_failures < 2 * len(faults)
    else:
        assert server.objects == {KEY: source}
    assert server.objects in ({}, {KEY: source})
    assert all(source.startswith(upload.content) for upload in server.uploads.values())
    assert server.offences == []
