"""MAX_UPLOAD_BYTES: a body that is larger is refused as soon as that is known, while its client still sends.

Bodies are written by hand where their length is declared and they never come.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dataflow import db
from dataflow.errors import RequestError
from dataflow.imports.size_limit import FORM_BYTES, SizeLimit
from tests.support.processes import Web
from tests.support.raw_http import Raw

KIB, MIB = 1024, 1024 * 1024
#: More than a chunk, so that some of a body is stored when it passes the limit.
LIMIT = 7 * MIB
JSON, CSV, OCTETS = "application/json", "text/csv", "application/octet-stream"
FORM = "multipart/form-data; boundary=edge"
HEADER = b"name,email\n"
RUNS_OVER = ("local", "supabase")
WEB_VARIABLES = {"MAX_UPLOAD_BYTES": LIMIT}
ENOUGH = f"A body may have {LIMIT} bytes (MAX_UPLOAD_BYTES), and this one has "


@pytest.fixture
def left_behind(connection: db.Connection, stored_files: Callable[[], list[Path]]) -> Callable[[], list[Any]]:
    """Rows of jobs, and files of the object storage, partial ones included."""
    return lambda: [*connection.execute("SELECT id::text, state FROM jobs").fetchall(), *stored_files()]


def table(size_bytes: int) -> bytes:
    """A CSV of exactly so many bytes."""
    row = b"Ann,ann@example.com\n"
    rows, rest = divmod(size_bytes - len(HEADER) - 100, len(row))
    return HEADER + row * rows + b"A" * (rest + 100 - len(row)) + row


def document(size_bytes: int) -> bytes:
    """The same as JSON, whose white space counts as well."""
    row = json.dumps({"name": "Ann", "email": "ann@example.com"}).encode() + b","
    begin, end = b'{"source": "crm", "data": [', row.rstrip(b",") + b"]}"
    rows, rest = divmod(size_bytes - len(begin) - len(end), len(row))
    return begin + row * rows + b" " * rest + end


def form(content: bytes) -> bytes:
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    return head + content + b"\r\n--edge--\r\n"


@pytest.mark.parametrize(("media_type", "form_bytes"), [(CSV, 0), (JSON, 0), (OCTETS, 0), (FORM, FORM_BYTES)])
def test_a_length_over_the_limit_is_refused_before_a_byte_is_read(
    media_type: str, form_bytes: int, web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    length = LIMIT + form_bytes + 1
    with Raw(web, media_type, {"Content-Length": length}) as raw:
        answer = raw.answer()
    assert (answer.status, answer.code, answer.body["status"]) == (413, "upload_too_large", 413)
    assert answer.body["error"] == f"{ENOUGH}{length} or more."
    assert answer.headers["Connection"] == "close"
    assert not left_behind()


@pytest.mark.parametrize(("media_type", "make"), [(CSV, table), (JSON, document), (OCTETS, table)])
def test_a_body_of_exactly_the_limit_is_taken(media_type: str, make: Callable[[int], bytes], web: Web) -> None:
    for length in (LIMIT, LIMIT - 1):
        content = make(length)
        assert len(content) == length
        answer = web.post(data=content, headers={"Content-Type": media_type, "X-Source": "crm"})
        assert answer.status_code == 200, answer.text
        assert web.job(answer.json()["jobId"])["bytesTotal"] == length


@pytest.mark.parametrize(("media_type", "make"), [(CSV, table), (JSON, document), (OCTETS, table)])
def test_what_comes_without_a_length_is_counted(
    media_type: str, make: Callable[[int], bytes], web: Web, left_behind: Callable[[], list[Any]]
) -> None:
    headers = {"Content-Type": media_type, "X-Source": "crm"}
    assert web.post(data=_pieces(make(LIMIT)), headers=headers).status_code == 200
    before = left_behind()
    answer = web.post(data=_pieces(make(LIMIT + 1)), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    assert answer.json()["error"] == f"{ENOUGH}{LIMIT + 1} or more."
    assert left_behind() == before


def _pieces(content: bytes) -> Iterator[bytes]:
    yield from (content[start : start + 64 * KIB] for start in range(0, len(content), 64 * KIB))


def test_of_a_form_the_file_is_counted(web: Web, left_behind: Callable[[], list[Any]]) -> None:
    headers = {"Content-Type": FORM, "X-Source": "crm"}
    taken = web.post(data=form(table(LIMIT)), headers=headers)
    assert taken.status_code == 200, taken.text
    before = left_behind()
    refused = web.post(data=form(table(LIMIT + 1)), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (413, "upload_too_large")
    assert left_behind() == before


def test_a_compressed_body_counts_as_it_is_sent(web: Web) -> None:
    content = gzip.compress(table(3 * LIMIT))
    assert len(content) < LIMIT
    for headers in ({"Content-Type": CSV, "Content-Encoding": "gzip"}, {"Content-Type": OCTETS}):
        assert web.post(data=content, headers={**headers, "X-Source": "crm"}).status_code == 200


def test_a_client_that_goes_on_sending_sees_why_it_is_refused(web: Web, left_behind: Callable[[], list[Any]]) -> None:
    for headers in ({"Content-Length": 64 * MIB}, {"Transfer-Encoding": "chunked"}):
        with Raw(web, CSV, headers) as raw:
            send = raw.send_chunk if "Transfer-Encoding" in headers else raw.send
            send(HEADER)
            # More than the sockets hold, in both directions.
            for _ in range(32):
                send(b"Ann,ann@example.com\n" * 20_000)
            answer = raw.answer()
        assert (answer.status, answer.code) == (413, "upload_too_large")
    assert not left_behind()


def test_the_connection_serves_the_next_request_where_the_rest_is_short(web: Web) -> None:
    with web.session() as session:
        for _ in range(2):
            body = table(LIMIT + 1)
            refused = session.post(
                f"{web.url}/import", data=_pieces(body), headers={"Content-Type": CSV, "X-Source": "a"}
            )
            assert refused.status_code == 413
            assert session.get(f"{web.url}/jobs").status_code == 200


def test_a_preview_takes_what_an_import_does_not(web: Web) -> None:
    answer = web.post("/import/preview", data=table(LIMIT + 1), headers={"Content-Type": CSV})
    assert answer.status_code == 200, answer.text


@pytest.mark.one_storage
def test_a_body_too_large_is_told_so_when_there_is_no_room_either(start_web: Callable[..., Web]) -> None:
    web = start_web(MAX_UPLOAD_BYTES=LIMIT, MAX_UPLOADS=1)
    with Raw(web, CSV, {"Content-Length": LIMIT}) as first:
        first.send(HEADER)
        with Raw(web, CSV, {"Content-Length": 64 * MIB}) as raw:
            assert raw.answer().status == 413


@pytest.mark.one_storage
def test_without_a_limit_nothing_is_refused_for_its_size(start_web: Callable[..., Web]) -> None:
    answer = start_web().post(data=table(3 * LIMIT), headers={"Content-Type": CSV, "X-Source": "crm"})
    assert answer.status_code == 200


@pytest.mark.unit
@pytest.mark.parametrize(
    ("setting", "token", "limit"),
    [
        (0, 0, SizeLimit(0, "MAX_UPLOAD_BYTES")),
        (5, 0, SizeLimit(5, "MAX_UPLOAD_BYTES")),
        (0, 5, SizeLimit(5, "maxBytes of the token")),
        (4, 5, SizeLimit(4, "MAX_UPLOAD_BYTES")),
        (5, 4, SizeLimit(4, "maxBytes of the token")),
        (5, 5, SizeLimit(5, "MAX_UPLOAD_BYTES")),
    ],
)
def test_of_two_limits_the_smaller_counts_and_is_named(setting: int, token: int, limit: SizeLimit) -> None:
    assert SizeLimit.of(setting, token) == limit


@pytest.mark.unit
def test_a_limit_is_checked_to_the_byte() -> None:
    SizeLimit(5, "x").check(5)
    SizeLimit(0, "x").check(10**18)
    with pytest.raises(RequestError, match="5 bytes") as refused:
        SizeLimit(5, "x").check(6)
    assert refused.value.code == "upload_too_large"
