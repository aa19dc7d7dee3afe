"""Which of our errors an answer of the storage is: the contract's tables, row by row, and what gateways say."""

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataflow.errors import (
    BucketMissing,
    DataFlowError,
    ObjectMissing,
    ObjectTooLarge,
    StorageDenied,
    StorageError,
    StorageUnavailable,
    UnsupportedMediaType,
)
from dataflow.storage.messages import Answer

pytestmark = pytest.mark.unit

RLS = "new row violates row-level security policy"


def said(status: str, code: str, message: str, error: str = "Error") -> str:
    """The body with which the object API refuses: its true status is a text."""
    return json.dumps({"statusCode": status, "error": error, "message": message, "code": code})


class Refusal(NamedTuple):
    http_status: int
    text: str
    kind: type[DataFlowError]
    retryable: bool = False
    status: int | None = None  #: the true one, where it is not the one of HTTP


REFUSALS = {
    # Section 1: keys
    "no authorization": Refusal(
        400, said("400", "InvalidRequest", "headers must have required property 'authorization'"), StorageError
    ),
    "not a JWT": Refusal(400, said("403", "AccessDenied", "Invalid Compact JWS"), StorageDenied, status=403),
    "wrong secret": Refusal(
        400, said("403", "AccessDenied", "signature verification failed"), StorageDenied, status=403
    ),
    "expired": Refusal(
        400, said("403", "AccessDenied", '"exp" claim timestamp check failed'), StorageDenied, status=403
    ),
    "anon key, upload": Refusal(400, said("403", "AccessDenied", RLS, "Unauthorized"), StorageDenied, status=403),
    "anon key, private object": Refusal(
        400, said("404", "NoSuchKey", "Object not found", "not_found"), ObjectMissing, status=404
    ),
    "bad key, object": Refusal(
        400, said("404", "NoSuchBucket", "Bucket not found", "Bucket not found"), BucketMissing, status=404
    ),
    "refused by a gateway": Refusal(401, '{"message":"Unauthorized"}', StorageDenied),
    "forbidden by a gateway": Refusal(403, "<html>Forbidden</html>", StorageDenied),
    # Section 2: classes
    "NoSuchBucket": Refusal(400, said("404", "NoSuchBucket", "Bucket not found"), BucketMissing, status=404),
    "NoSuchBucket, worded otherwise": Refusal(400, said("404", "NoSuchBucket", "?"), BucketMissing, status=404),
    "NoSuchKey": Refusal(400, said("404", "NoSuchKey", "Object not found"), ObjectMissing, status=404),
    "KeyAlreadyExists": Refusal(
        400, said("409", "KeyAlreadyExists", "The resource already exists", "Duplicate"), StorageError, status=409
    ),
    "ResourceAlreadyExists": Refusal(
        400, said("409", "ResourceAlreadyExists", "The resource already exists", "Duplicate"), StorageError, status=409
    ),
    "EntityTooLarge": Refusal(
        400,
        said("413", "EntityTooLarge", "The object exceeded the maximum allowed size"),
        ObjectTooLarge,
        status=413,
    ),
    "InvalidMimeType": Refusal(
        400, said("415", "InvalidMimeType", "mime type text/csv is not supported"), UnsupportedMediaType, status=415
    ),
    "InvalidKey": Refusal(400, said("400", "InvalidKey", "Invalid key: é.csv"), StorageError),
    "AccessDenied": Refusal(400, said("403", "AccessDenied", RLS), StorageDenied, status=403),
    "InvalidJWT": Refusal(400, said("400", "InvalidJWT", '"exp" claim timestamp check failed'), StorageDenied),
    "InternalError": Refusal(500, said("500", "InternalError", "Internal server error"), StorageUnavailable, True),
    "DatabaseTimeout": Refusal(
        544, said("544", "DatabaseTimeout", "The connection to the database timed out"), StorageUnavailable, True
    ),
    "SlowDown": Refusal(429, said("429", "SlowDown", "Too many connections"), StorageUnavailable, True),
    "LockTimeout": Refusal(
        400, said("503", "LockTimeout", "acquiring lock timeout"), StorageUnavailable, True, status=503
    ),
    "status as a number": Refusal(
        400, '{"statusCode":503,"error":"e","message":"m"}', StorageUnavailable, True, status=503
    ),
    "headers too big": Refusal(431, "", StorageError),
    "bad gateway": Refusal(502, "<html>\r\n<h1>Bad Gateway</h1>\r\n</html>", StorageUnavailable, True),
    "unavailable": Refusal(503, "upstream connect error", StorageUnavailable, True),
    "gateway timeout": Refusal(504, "<html>Gateway Timeout</html>", StorageUnavailable, True),
    "origin timeout": Refusal(524, "error code: 524", StorageUnavailable, True),
    # The true status of an answer other than 400 is its own, whatever its body says.
    "500 that says 404": Refusal(500, said("404", "NoSuchKey", "Object not found"), StorageUnavailable, True),
    # Section 3: buckets
    "BucketAlreadyExists": Refusal(
        400, said("409", "BucketAlreadyExists", "The resource already exists", "Duplicate"), StorageError, status=409
    ),
    "InvalidBucketName": Refusal(400, said("400", "InvalidBucketName", "Bucket name invalid"), StorageError),
    "ResourceNotEmpty": Refusal(400, said("409", "ResourceNotEmpty", "Not empty"), StorageError, status=409),
    # Section 4 and 5: objects
    "invalid content type": Refusal(
        400, said("415", "InvalidMimeType", "Invalid Content-Type header"), UnsupportedMediaType, status=415
    ),
    "half-closed socket": Refusal(
        400, '{"error":"Bad Request","message":"Client Error","statusCode":400}', StorageError
    ),
    "range past the end": Refusal(416, said("416", "InvalidRange", "The range is invalid"), StorageError),
    "missing object, HEAD": Refusal(400, "", StorageError),
    # Section 8: tus, whose status is true and whose text is plain
    "tus, bad key": Refusal(400, said("403", "AccessDenied", "Invalid Compact JWS"), StorageDenied, status=403),
    "tus, anon key": Refusal(403, RLS, StorageDenied),
    "no such route at a gateway": Refusal(404, '{"message":"no Route matched with those values"}', StorageError),
    "tus, no bucket": Refusal(404, "Bucket not found", BucketMissing),
    "tus, no upload": Refusal(404, "The file for this url was not found", ObjectMissing),
    "tus, no length": Refusal(400, "Upload-Length or Upload-Defer-Length header required", StorageError),
    "tus, no metadata": Refusal(400, "Metadata header is required", StorageError),
    "tus, bad bucket": Refusal(400, "Bucket name invalid", StorageError),
    "tus, bad key of object": Refusal(400, "Invalid key: é.csv", StorageError),
    "tus, bad upload": Refusal(400, "Invalid upload id", StorageError),
    "tus, exists": Refusal(409, "The resource already exists", StorageError),
    "tus, expired": Refusal(410, "The file for this url no longer exists", StorageError),
    "tus, no version": Refusal(412, "Tus-Resumable Required", StorageError),
    "tus, too large": Refusal(413, "Maximum size exceeded", ObjectTooLarge),
    "tus, longer than declared": Refusal(413, "upload's size exceeded", ObjectTooLarge),
    "tus, type": Refusal(415, "mime type text/csv is not supported", UnsupportedMediaType),
    "tus, lock": Refusal(503, "acquiring lock timeout", StorageUnavailable, True),
    "tus, pool": Refusal(544, "The connection to the database timed out", StorageUnavailable, True),
    "tus, database": Refusal(500, "Something went wrong with that request", StorageUnavailable, True),
    "tus, locked, HEAD": Refusal(503, "", StorageUnavailable, True),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_each_refusal_of_the_contract_is_the_error_that_it_means(refusal: Refusal):
    answer = Answer(refusal.http_status, {}, refusal.text)
    error = answer.error("imports")
    assert not answer.is_success
    assert type(error) is refusal.kind
    assert error.retryable is refusal.retryable
    assert answer.status == (refusal.status or refusal.http_status)


@pytest.mark.parametrize("http_status", [200, 201, 204, 206])
def test_a_success_is_one_whatever_its_text_says(http_status: int):
    assert Answer(http_status, {}, said("404", "NoSuchKey", "Object not found")).is_success


@pytest.mark.parametrize("http_status", [301, 302, 303, 307, 308])
def test_a_redirection_names_the_settings_to_correct(http_status: int):
    answer = Answer(http_status, {"Location": "https://elsewhere.example"}, "")
    error = answer.error("imports")
    assert not answer.is_success
    assert type(error) is StorageError
    assert not error.retryable
    assert "SUPABASE_URL or STORAGE_URL" in error.message


def test_a_missing_bucket_is_named_with_what_to_do():
    message = Answer(404, {}, "Bucket not found").error("imports-2").message
    assert "imports-2" in message
    assert "STORAGE_BUCKET" in message
    assert "dataflow migrate" in message


def test_a_refused_key_is_named_by_its_setting():
    assert "SUPABASE_SERVICE_ROLE_KEY" in Answer(403, {}, RLS).error("imports").message


# What is quoted


def quoted(http_status: int, text: str) -> str:
    """The server's words in the message."""
    found = Answer(http_status, {}, text).error("imports").message.partition(": ")[2]
    assert found.endswith(")")
    return found.rpartition(" (status ")[0]


def test_the_message_quotes_the_reason_and_the_true_status():
    message = Answer(400, {}, said("503", "LockTimeout", "acquiring lock timeout")).error("imports").message
    assert message.endswith(": acquiring lock timeout (status 503)")


def test_without_a_text_no_reason_is_given():
    assert quoted(400, "") == "no reason given"


@pytest.mark.parametrize("text", ["{}", '{"message":""}', '{"message":null}', '{"error":"Not Found"}'])
def test_without_a_message_the_whole_text_is_the_reason(text: str):
    assert quoted(400, text) == text


def test_a_long_text_is_cut():
    assert quoted(502, "é" * 201) == "é" * 200
    assert quoted(502, "é" * 200) == "é" * 200
    assert quoted(400, said("400", "InvalidKey", "x" * 5000)) == "x" * 200


def test_line_breaks_and_runs_of_blanks_become_one_blank():
    assert quoted(502, "<html>\r\n\r\n  <h1>Bad\tGateway</h1>\n</html>\n") == "<html> <h1>Bad Gateway</h1> </html>"
    assert quoted(400, said("400", "InvalidKey", "one\n\u2028two\x0b three ")) == "one two three"


def test_white_space_does_not_count_when_a_text_is_cut():
    assert quoted(502, "\n" * 1000 + "reason") == "reason"


@pytest.mark.parametrize("text", ['[{"message":"m"}]', '"message"', "1", "null", "true", "<p>{}</p>", '{"message":"m"'])
def test_a_text_that_is_no_json_object_is_quoted_as_it_is(text: str):
    answer = Answer(400, {}, text)
    assert answer.members == {}
    assert answer.status == 400
    assert quoted(400, text) == text


@pytest.mark.parametrize("said_status", ["", "abc", "-1", "4.5", "50 3", None, [], {}, True, 404.0])
def test_a_status_in_the_text_that_is_no_whole_number_is_not_one(said_status: Any):
    assert Answer(400, {}, json.dumps({"statusCode": said_status})).status == 400


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-999, 9999), st.text(max_size=300)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=4,
)
members = st.fixed_dictionaries({}, optional=dict.fromkeys(["statusCode", "message", "code", "error"], json_values))
answer_texts = st.one_of(st.text(max_size=400), members.map(json.dumps))


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.integers(300, 599), answer_texts)
@example(400, '{"code":["AccessDenied"],"message":{"a":1},"statusCode":[503]}')
@example(400, '{"statusCode":' + "9" * 5000 + "}")
def test_whatever_the_text_is_the_answer_is_an_error_of_ours_and_short(http_status: int, text: str):
    error = Answer(http_status, {}, text).error("imports")
    assert isinstance(error, DataFlowError)
    assert len(error.message) < 300
    assert "\n" not in error.message


@pytest.mark.parametrize(
    "text",
    [
        "[" * 60_000,
        '{"message":' * 5000,
        json.dumps({"statusCode": "9" * 5000, "message": "m"}),
        json.dumps({"statusCode": "9" * 400, "message": "m"}),
    ],
    ids=["deep lists", "deep objects", "5000 digits", "400 digits"],
)
def test_a_text_that_no_parser_likes_is_a_short_error_of_ours_too(text: str):
    error = Answer(400, {}, text).error("imports")
    assert type(error) is StorageError
    assert len(error.message) < 300


@pytest.mark.parametrize(
    ("http_status", "text"),
    [
        (502, "\0\x01\ufffd binary"),
        (400, '{"message":"not\\u0000a text"}'),
        (400, '{"message":"half of a pair: \\ud83d"}'),
    ],
    ids=["binary", "escaped NUL", "half of a surrogate pair"],
)
def test_a_message_can_be_kept_in_a_text_of_postgres(http_status: int, text: str):
    message = Answer(http_status, {}, text).error("imports").message
    assert "\0" not in message
    assert message == message.encode(errors="replace").decode()
