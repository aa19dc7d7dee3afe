"""A service with keys over real HTTP: what it never reads, never logs and never says, and what a restart changes."""

import socket
import time
from collections.abc import Callable
from uuid import UUID

import pytest

from dataflow import db
from dataflow.ids import uuid7
from tests.support.holders import ALL_KEY, CLOSED, CRM_KEY, SHOP_KEY, bearer, created_by, tampered, token
from tests.support.processes import Web
from tests.support.waiting import eventually

METRICS_KEY = "metrics-hunter2-hunter2"
WEB_VARIABLES = {**CLOSED, "METRICS_KEY": METRICS_KEY}
CSV = {"Content-Type": "text/csv", "X-Source": "crm"}
BODY = b"name,email\nAnn,ann@example.com\n"
OPEN = "API_KEYS is not set"


def answered(web: Web, head: str, begun: bytes = b"") -> tuple[bytes, float]:
    """What comes back on a connection that sends so much and then waits, until it is closed, and after how long."""
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as line:
        began = time.monotonic()
        line.sendall(head.replace("\n", "\r\n").encode() + b"\r\n" + begun)
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    return answer, time.monotonic() - began


REFUSED = {
    "nobody": ("", "crm", 401),
    "unknown key": ("nobody-hunter2-hunter2", "crm", 401),
    "expired token": (token(seconds=-1), "crm", 401),
    "tampered token": (tampered(token()), "crm", 401),
    "key of another source": (SHOP_KEY, "crm", 403),
    "token of another source": (token(), "shop", 403),
}
FRAMES = {
    "long": "Content-Length: 100000000000\n",
    "chunked": "Transfer-Encoding: chunked\n",
    "asks first": "Content-Length: 100000000000\nExpect: 100-continue\n",
}


@pytest.mark.parametrize("begun", [b"", b"name,email\n" * 100], ids=["nothing", "a little"])
@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("holder", REFUSED)
def test_who_is_refused_is_told_at_once_and_nothing_of_his_body_is_waited_for(
    holder: str, frame: str, begun: bytes, web: Web, connection: db.Connection
) -> None:
    text, source, status = REFUSED[holder]
    credentials = f"Authorization: Bearer {text}\n" if text else ""
    head = (
        f"POST /import HTTP/1.1\nHost: test\nContent-Type: text/csv\nX-Source: {source}\n{credentials}{FRAMES[frame]}"
    )
    if frame == "chunked" and begun:
        begun = b"%x\r\n%s\r\n" % (len(begun), begun)
    answer, seconds = answered(web, head, begun)
    # gunicorn says this to whoever asks, before there is a request.
    answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
    assert b"connection: close" in answer.lower()
    assert seconds < 10  # UPLOAD_STALL_SECONDS is 30
    assert connection.execute("SELECT FROM jobs").fetchall() == []


def test_a_wish_for_a_token_that_does_not_come_ends_as_every_stalled_body(start_web: Callable[..., Web]) -> None:
    web = start_web(**CLOSED, UPLOAD_STALL_SECONDS=1)
    head = f"POST /tokens HTTP/1.1\nHost: test\nAuthorization: Bearer {CRM_KEY}\nContent-Length: 20\n"
    answer, seconds = answered(web, head + "Connection: close\n", b'{"source"')
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert seconds < 20
    body = b'{"source": "crm"}'
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as line:
        line.sendall(head.replace("20", str(len(body))).replace("\n", "\r\n").encode() + b"\r\n")
        for letter in body:
            line.sendall(bytes([letter]))
        assert line.recv(65536).startswith(b"HTTP/1.1 201 ")


# Logs.


def insert_rejects(connection: db.Connection, rows: int, sender: str) -> UUID:
    """A job of the source crm that has refused so many rows of 4 KB."""
    job_id = uuid7()
    with connection.transaction():
        connection.execute(
            "INSERT INTO jobs (id, state, source, rows_read, rows_rejected, finished_at, object_key, created_by) "
            "VALUES (%s, 'succeeded', 'crm', %s, %s, now(), 'k.csv', %s)",
            [job_id, rows, rows, sender],
        )
        connection.execute(
            "INSERT INTO rejects (job_id, record, code, message, original) "
            "SELECT %s, n, 'c', 'm', repeat('x', 4000) FROM generate_series(1, %s) n",
            [job_id, rows],
        )
    return job_id


PATHS = ("/jobs", "/jobs/x", "/nowhere", "/import?x=1", "/metrics", "/v1/jobs?limit=x", "//jobs", "/tokens")


def test_no_key_and_no_token_is_in_a_log_whatever_goes_wrong(
    start_web: Callable[..., Web], connection: db.Connection
) -> None:
    web = start_web(**WEB_VARIABLES)
    made = web.post("/tokens", json={"source": "crm"}, headers=bearer(CRM_KEY)).json()["token"]
    keys = (ALL_KEY, CRM_KEY, SHOP_KEY, METRICS_KEY, CLOSED["TOKEN_SECRET"])
    used = (made, token(seconds=-1), tampered(made), *keys)
    answers = []
    for text in used:
        for path in PATHS:
            mark = "&" if "?" in path else "?"
            for method in ("GET", "POST", "DELETE"):
                answers += [
                    web.request(method, path, headers=bearer(text)),
                    web.request(method, f"{path}{mark}token={text}", headers={"X-API-Key": text}),
                    web.request(method, f"{path}{mark}token={text}"),
                ]
    for broken in (
        f"GET /jobs?token={made} HTTP/9.9\nHost: x\n",
        f"GET /jobs?token={made}\x01 HTTP/1.1\nHost: x\n",
        f"GET  /jobs?token={made} HTTP/1.1\nHost: x\n",
        f"G@T /jobs?token={made} HTTP/1.1\nHost: x\n",
        f"GET jobs?token={made} HTTP/1.1\nHost: x\n",
        f"GET /jobs HTTP/1.1\nHost: x\nAuthorization : Bearer {CRM_KEY}\n",
        f"GET /jobs HTTP/1.1\nHost: x\nAuthorization: Bearer {CRM_KEY}\x00\n",
        f"GET /jobs HTTP/1.1\nHost: x\nX-API-Key: a\n {CRM_KEY}\n",
        f"GET /jobs HTTP/1.1\nHost: x\nBearer {CRM_KEY}\n",
        f"GET /jobs HTTP/1.1\nHost: x\nContent-Length: {CRM_KEY}\n",
        f"GET /jobs HTTP/1.1\nHost: x\nTransfer-Encoding: {CRM_KEY}\n",
    ):
        answered(web, broken + "Connection: close\n")
    break_off_a_file(web, connection, made)
    log = eventually(lambda: (found := web.log()) and "Error handling request" in found and found)
    web.stop()
    for text in used:
        assert text not in log + web.log()
        assert not any(text in answer.text + str(answer.headers) for answer in answers)
    assert "token=" not in log
    assert "hunter2" not in web.log()


def break_off_a_file(web: Web, connection: db.Connection, text: str) -> None:
    """An error that comes when the answer has begun, so that only gunicorn is left to log it."""
    job_id = insert_rejects(connection, 8_000, created_by(text))
    path = f"/jobs/{job_id}/rejects?format=csv&token={text}"
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(20)
        line.connect(("127.0.0.1", web.port))
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        assert line.recv(1024).startswith(b"HTTP/1.1 200 ")
        connection.execute("DELETE FROM rejects WHERE job_id = %s", [job_id])
        while line.recv(1 << 20):
            pass


# Starts.


@pytest.mark.parametrize(
    ("variables", "warnings"), [({}, 1), ({"API_KEYS": "open"}, 0), (CLOSED, 0)], ids=["unset", "open", "keys"]
)
def test_that_everybody_may_use_it_is_said_once_a_start(
    variables: dict[str, str], warnings: int, start_web: Callable[..., Web]
) -> None:
    web = start_web(**variables, WEB_CONCURRENCY=3)
    web.stop()
    assert web.log().count(OPEN) == warnings
    if warnings:
        [line] = [line for line in web.log().splitlines() if OPEN in line]
        assert '"level": "WARNING"' in line


def test_a_token_is_good_in_every_process_and_after_a_restart_until_its_key_is_gone(
    start_web: Callable[..., Web],
) -> None:
    web = start_web(**CLOSED)
    made = web.post("/tokens", json={"source": "crm"}, headers=bearer(CRM_KEY)).json()["token"]
    job_id = web.post(data=BODY, headers={"Content-Type": "text/csv", **bearer(made)}).json()["jobId"]
    other = start_web(**CLOSED, WEB_CONCURRENCY=2)
    assert other.get(f"/jobs/{job_id}?token={made}").status_code == 200
    without = start_web(**{**CLOSED, "API_KEYS": f"shop:{SHOP_KEY}:shop"})
    assert without.get(f"/jobs/{job_id}?token={made}").status_code == 401
    assert without.get(f"/jobs/{job_id}", headers=bearer(CRM_KEY)).status_code == 401
    changed = start_web(**{**CLOSED, "API_KEYS": f"crm:{SHOP_KEY}:crm"})
    assert changed.get(f"/jobs/{job_id}?token={made}").status_code == 401
    assert changed.get(f"/jobs/{job_id}", headers=bearer(SHOP_KEY)).status_code == 200
