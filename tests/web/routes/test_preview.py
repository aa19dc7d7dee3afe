"""POST /import/preview over real HTTP: an answer from the first MiB of any body, and nothing left of it.

One web process serves the whole module. It has one place for slow clients and loses patience after a second.
"""

import gzip
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from dataflow import db
from tests.support.processes import Web

WEB_VARIABLES = {"MAX_UPLOADS": 1, "UPLOAD_STALL_SECONDS": 1}
MIB = 1024 * 1024
HEADER, ROW = b"name,email\n", b"Ann,ann@example.com\n"
CSV = {"Content-Type": "text/csv"}
Left = Callable[[], list[Any]]


@pytest.fixture
def left(connection: db.Connection, stored_files: Callable[[], list[Path]]) -> Left:
    """Jobs, contacts and stored bytes, of which there must be none."""

    def find() -> list[Any]:
        rows = connection.execute("SELECT id FROM jobs UNION ALL SELECT id FROM contacts").fetchall()
        return [*rows, *stored_files()]

    return find


def preview(web: Web, content: bytes = HEADER + ROW, query: str = "", **arguments: Any) -> requests.Response:
    return web.post(f"/import/preview{query}", **{"data": content, "headers": CSV, **arguments})


def emails(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["email"] for row in answer.json()["rows"]]


def refusal(answer: requests.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["status"] == answer.status_code
    return body["status"], body["code"]


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_a_body_is_described_and_nothing_is_left_of_it(prefix: str, web: Web, left: Left) -> None:
    answer = web.post(
        f"{prefix}/import/preview", data="name;email;id\nÄnn;änn@example.com;1\nBob;bob\n".encode(), headers=CSV
    )
    body = answer.json()
    assert list(body) == [
        *("format", "encoding", "hasByteOrderMark", "delimiter", "headerLine", "mapping", "columns"),
        *("ignoredColumns", "isComplete", "rows"),
    ]
    assert [(row["line"], len(row["problems"])) for row in body["rows"]] == [(2, 0), (3, 1)]
    assert left() == []


def test_all_kinds_of_requests_are_taken_and_need_no_source(web: Web) -> None:
    contacts = {"data": [{"name": "Ann", "email": "ann@example.com"}]}
    compressed = gzip.compress(HEADER + ROW)
    answers = [
        preview(web),
        web.post("/import/preview", json=contacts),
        web.post("/import/preview", json={"source": "crm", **contacts}),
        web.post("/import/preview", files={"file": ("a.csv", HEADER + ROW)}, data={"source": "crm"}),
        preview(web, compressed, headers={"Content-Type": "application/octet-stream"}),
        preview(web, compressed, headers={**CSV, "Content-Encoding": "gzip"}),
        preview(web, json.dumps(contacts["data"][0]).encode(), headers={"Content-Type": "application/x-ndjson"}),
    ]
    assert [emails(answer) for answer in answers] == [["ann@example.com"]] * len(answers)


def test_options_come_from_query_headers_and_form(web: Web) -> None:
    content = "Wer|Post\nÄnn|ann@example.com\n".encode("cp1252")
    options = {"mapping": '{"name":"Wer","email":"Post"}', "encoding": "cp1252"}
    answers = [
        web.post(
            "/import/preview", data=content, headers=CSV, params={**options, "dryRun": "true", "onConflict": "skip"}
        ),
        preview(web, content, headers={**CSV, "X-Mapping": options["mapping"], "X-Encoding": "cp1252"}),
        # Behind the file.
        web.post(
            "/import/preview",
            files={"file": ("a.csv", content), **{name: (None, text) for name, text in options.items()}},
        ),
    ]
    assert [answer.json()["rows"][0]["name"] for answer in answers] == ["Änn"] * 3


def test_fields_behind_a_file_of_more_than_a_mebibyte_count(web: Web) -> None:
    content = b"Who,Where\n" + ROW * (3 * MIB // len(ROW))
    fields = {"mapping": (None, '{"name":"Who","email":"Where"}')}
    answer = web.post("/import/preview", files={"file": ("a.csv", content), **fields})
    assert emails(answer) == ["ann@example.com"] * 20
    assert answer.json()["isComplete"] is False


REFUSED: list[tuple[dict[str, Any], tuple[int, str]]] = [
    ({"query": "?limit=5"}, (400, "invalid_request")),
    ({"query": "?skipRows=-1"}, (400, "invalid_request")),
    ({"content": b""}, (400, "no_contacts")),
    ({"content": b"a,b\n1,2\n"}, (400, "missing_columns")),
    ({"content": b"name,mail,Mail\n1,2,3\n"}, (400, "ambiguous_columns")),
    ({"content": HEADER + b'"Ann'}, (400, "malformed_input")),
    ({"content": b"{", "headers": {"Content-Type": "application/json"}}, (400, "malformed_input")),
    ({"headers": {**CSV, "Content-Encoding": "gzip"}}, (400, "malformed_input")),
    ({"headers": {**CSV, "Content-Encoding": "br"}}, (415, "unsupported_media_type")),
    ({"headers": {"Content-Type": "image/png"}}, (415, "unsupported_media_type")),
]


def test_what_cannot_be_imported_is_refused_as_there(web: Web, left: Left) -> None:
    found = [(arguments, refusal(preview(web, **arguments))) for arguments, _ in REFUSED]
    assert found == REFUSED
    assert left() == []


class Client:
    """Sends the beginning of a body and no more, and then waits for its answer."""

    def __init__(self, web: Web, content: bytes, header: str) -> None:
        self.began = time.monotonic()
        self._line = socket.socket()
        self._line.settimeout(20)
        # As good as nothing waits on its way: what is sent is received.
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        self._line.connect(("127.0.0.1", web.port))
        self._line.sendall(
            f"POST /import/preview HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n{header}\r\n\r\n".encode()
        )
        self._line.sendall(content)

    def answer(self) -> tuple[int, dict[str, Any]]:
        with self._line, self._line.makefile("rb") as answer:
            status = int(answer.readline().split()[1])
            headers = dict(line.decode().lower().strip().split(": ", 1) for line in iter(answer.readline, b"\r\n"))
            return status, json.loads(answer.read(int(headers["content-length"])))


#: A mebibyte, and the 4 KiB that gunicorn may keep back. Blank lines instead of a long one would take two seconds.
LARGE = (HEADER + ROW).ljust(MIB + 4096, b" ")


@pytest.mark.parametrize(
    ("content", "header"),
    [(LARGE, f"Content-Length: {10**10}"), (b"%x\r\n%s" % (2 * MIB, LARGE), "Transfer-Encoding: chunked")],
    ids=["declared", "chunked"],
)
def test_a_body_without_end_is_answered_when_a_mebibyte_is_here(
    content: bytes, header: str, web: Web, left: Left
) -> None:
    client = Client(web, content, header)
    # Whoever waits for more loses patience, and answers that.
    status, body = client.answer()
    assert (status, body["isComplete"], len(body["rows"])) == (200, False, 1)
    assert left() == []


def test_a_client_that_sends_more_than_is_looked_at_gets_its_answer(web: Web) -> None:
    answer = preview(web, HEADER + ROW + b" " * 8 * MIB)
    assert (emails(answer), answer.json()["isComplete"]) == (["ann@example.com"], False)
    # The rest is not waited for, and nobody should send another request behind it.
    assert (answer.headers["Connection"], preview(web).headers["Connection"]) == ("close", "keep-alive")


def test_a_client_that_stalls_is_cut_off_and_holds_the_place_no_longer(web: Web, left: Left) -> None:
    client = Client(web, LARGE[: MIB * 7 // 8], f"Content-Length: {10 * MIB}")
    assert emails(preview(web, LARGE)) == ["ann@example.com"]
    assert time.monotonic() - client.began >= 1, "the place was free"
    status, body = client.answer()
    assert (status, body["code"]) == (408, "upload_stalled")
    assert left() == []
