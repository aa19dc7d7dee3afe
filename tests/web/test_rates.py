"""RATE_LIMIT: what a caller may send in a minute, over all processes, and what everybody else notices of it."""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
import requests
from flask import g

from dataflow import db, error_codes
from dataflow.config import Config
from dataflow.errors import RequestError
from dataflow.storage.registry import open_storage
from dataflow.web.app import create_app
from dataflow.web.caller import Caller
from dataflow.web.rate_storage import PAUSE_SECONDS, WINDOW_SECONDS, RateStorage
from dataflow.worker.sweeper import Sweep
from tests.support.processes import Web, free_port
from tests.support.raw_http import Raw
from tests.support.waiting import eventually

LIMIT = 5
WEB_VARIABLES = {"RATE_LIMIT": LIMIT, "TRUSTED_PROXIES": "127.0.0.1", "CORS_ORIGINS": "https://app.example.com"}
_addresses = count(1)


@pytest.fixture
def client() -> dict[str, str]:
    """Headers of somebody who has sent nothing yet."""
    return {"X-Forwarded-For": f"192.0.2.{next(_addresses)}"}


def standing(answer: requests.Response) -> tuple[int, int]:
    """What is left, and for how many seconds."""
    assert answer.headers["RateLimit-Policy"] == f'"default";q={LIMIT};w=60'
    found = re.fullmatch(r'"default";r=(\d+);t=(\d+)', answer.headers["RateLimit"])
    assert found, answer.headers["RateLimit"]
    return int(found[1]), int(found[2])


def use_up(web: Web, client: dict[str, str]) -> None:
    for _ in range(LIMIT):
        assert web.get("/jobs", headers=client).status_code == 200


def test_every_answer_says_what_is_left(web: Web, client: dict[str, str]) -> None:
    paths = ["/jobs", "/nowhere", "/jobs?limit=x", "/metrics", "/v1/jobs/00000000-0000-0000-0000-000000000000"]
    answers = [web.get(path, headers=client) for path in paths]
    assert [answer.status_code for answer in answers] == [200, 404, 400, 200, 404]
    assert [standing(answer)[0] for answer in answers] == [4, 3, 2, 1, 0]
    assert all(0 < standing(answer)[1] <= WINDOW_SECONDS for answer in answers)
    assert not any("Retry-After" in answer.headers for answer in answers)


def test_what_is_over_the_limit_is_refused_until_the_minute_ends(web: Web, client: dict[str, str]) -> None:
    use_up(web, client)
    for path in ("/jobs", "/nowhere", "/v1/jobs"):
        answer = web.get(path, headers=client)
        body = answer.json()
        assert (answer.status_code, body["code"], body["status"]) == (429, "rate_limited", 429), path
        left, seconds = standing(answer)
        assert left == 0
        assert answer.headers["Retry-After"] == str(seconds)
        assert "RATE_LIMIT" in body["error"]


def test_others_notice_nothing_of_it(web: Web, client: dict[str, str]) -> None:
    use_up(web, client)
    assert web.get("/jobs", headers=client).status_code == 429
    assert web.get("/jobs").status_code == 200


def test_a_body_is_refused_before_it_is_read(web: Web, client: dict[str, str], connection: db.Connection) -> None:
    use_up(web, client)
    with Raw(web, "text/csv", {"Content-Length": 10**9, **client}) as raw:
        answer = raw.answer()
        assert (answer.status, answer.code, answer.headers["Connection"]) == (429, "rate_limited", "close")
    assert connection.execute("SELECT FROM jobs").fetchall() == []


def test_a_client_that_goes_on_sending_sees_why_it_is_refused(web: Web, client: dict[str, str]) -> None:
    use_up(web, client)
    with Raw(web, "text/csv", {"Transfer-Encoding": "chunked", **client}) as raw:
        for _ in range(32):
            raw.send_chunk(b"Ann,ann@example.com\n" * 20_000)
        assert raw.answer().status == 429


def test_health_and_options_are_never_limited(web: Web, client: dict[str, str]) -> None:
    use_up(web, client)
    page = {"Origin": "https://app.example.com"}
    for _ in range(LIMIT + 1):
        health = web.get("/health", headers=client)
        assert health.status_code == 200
        assert "RateLimit" not in health.headers
        assert web.request("OPTIONS", "/import", headers=client).status_code == 200
        preflight = {**client, **page, "Access-Control-Request-Method": "POST"}
        assert web.request("OPTIONS", "/import", headers=preflight).status_code == 204


def test_a_page_of_another_origin_may_read_the_refusal(web: Web, client: dict[str, str]) -> None:
    use_up(web, client)
    answer = web.get("/jobs", headers={**client, "Origin": "https://app.example.com"})
    assert answer.status_code == 429
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= {name.strip() for name in exposed.split(",")}


def test_no_count_is_lost_between_processes(start_web: Callable[..., Web]) -> None:
    webs = [start_web(RATE_LIMIT=100, WEB_CONCURRENCY=2) for _ in range(2)]
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda number: webs[number % 2].get("/jobs"), range(130)))
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(429)) == (100, 30)
    left = sorted(int(re.findall(r"r=(\d+)", answer.headers["RateLimit"])[0]) for answer in answers)
    assert left == [*[0] * 30, *range(100)]


def test_the_next_minute_begins_with_the_next_request(
    web: Web, client: dict[str, str], connection: db.Connection
) -> None:
    for _ in range(LIMIT):
        assert web.get("/jobs", headers=client).status_code == 200
    connection.execute("UPDATE rate_limits SET ends_at = now()")
    assert standing(web.get("/jobs", headers=client)) == (LIMIT - 1, WINDOW_SECONDS)


def test_without_a_limit_nothing_is_counted_and_nothing_said(
    start_web: Callable[..., Web], connection: db.Connection
) -> None:
    answer = start_web().get("/jobs")
    assert not {"RateLimit", "RateLimit-Policy"} & {*answer.headers}
    assert connection.execute("SELECT FROM rate_limits").fetchall() == []


# A database that is away, or slow.


def test_without_a_database_requests_fail_by_themselves(start_web: Callable[..., Web]) -> None:
    web = start_web(RATE_LIMIT=LIMIT, DATABASE_URL=f"postgresql://postgres:hush@127.0.0.1:{free_port()}/none")
    for _ in range(LIMIT + 2):
        assert web.get("/jobs").json()["code"] == "database_unavailable"
        assert web.get("/nowhere").json()["code"] == "not_found"
        assert web.get("/metrics").status_code == 200
    said = [line for line in web.log().splitlines() if "not counted" in line]
    assert len(said) == 1
    assert "hush" not in web.log()


def test_before_migrations_requests_are_let_through(start_web: Callable[..., Web], connection: db.Connection) -> None:
    connection.execute("DROP TABLE rate_limits")
    web = start_web(RATE_LIMIT=1)
    assert [web.get("/jobs").status_code for _ in range(3)] == [200] * 3


def test_a_row_that_is_locked_keeps_nobody_waiting_for_long(
    web: Web, client: dict[str, str], database: str, connection: db.Connection
) -> None:
    assert web.get("/jobs", headers=client).status_code == 200
    with db.connect(database, "dataflow/test") as other, other.transaction():
        other.execute("SELECT FROM rate_limits FOR UPDATE")
        began = time.monotonic()
        answers = [web.get("/jobs", headers=client) for _ in range(3)]
        assert time.monotonic() - began < 5
    assert [answer.status_code for answer in answers] == [200] * 3
    assert "RateLimit" not in answers[0].headers
    # It is counted again soon after.
    eventually(lambda: "RateLimit" in web.get("/jobs", headers=client).headers, PAUSE_SECONDS + 5)


# What one process knows.


@pytest.fixture
def pool(database: str) -> Iterator[db.Pool]:
    opened = db.open_pool(database, "dataflow/test")
    yield opened
    opened.close()


def test_who_is_over_the_limit_costs_no_statement_until_the_window_ends(
    pool: db.Pool, connection: db.Connection
) -> None:
    now = 0.0
    storage = RateStorage(pool, 2, lambda: now)
    rates = [storage.count("key:a") for _ in range(10)]
    assert [rate and rate.is_exceeded for rate in rates] == [False] * 2 + [True] * 8
    assert [rate and rate.remaining for rate in rates] == [1] + [0] * 9
    assert connection.execute("SELECT caller, requests FROM rate_limits").fetchall() == [
        {"caller": "key:a", "requests": 3}
    ]
    now = 30.0
    rate = storage.count("key:a")
    assert rate
    assert (rate.is_exceeded, rate.left_seconds) == (True, 30)
    now = 61.0
    connection.execute("UPDATE rate_limits SET ends_at = now()")
    rate = storage.count("key:a")
    assert rate
    assert not rate.is_exceeded


def test_what_is_known_of_callers_is_bounded(pool: db.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataflow.web.rate_storage.MAX_KNOWN", 3)
    storage = RateStorage(pool, 1)
    for number in range(8):
        for _ in range(2):
            storage.count(f"address:192.0.2.{number}")
        assert len(storage._exceeded_until) <= 3


def test_a_silent_database_is_not_asked_for_each_request(pool: db.Pool) -> None:
    pool.close()
    now = 0.0
    storage = RateStorage(db.open_pool("postgresql://127.0.0.1:1/none", "dataflow/test"), 2, lambda: now)
    assert storage.count("key:a") is None
    began = time.monotonic()
    assert [storage.count("key:a") for _ in range(1000)] == [None] * 1000
    # To ask takes three seconds each time.
    assert time.monotonic() - began < 10


def test_the_sweep_removes_what_is_over_and_nothing_else(
    config: Config, pool: db.Pool, connection: db.Connection
) -> None:
    storage = RateStorage(pool, 2)
    storage.count("key:over")
    connection.execute("UPDATE rate_limits SET ends_at = now()")
    storage.count("key:now")
    Sweep(config, open_storage(config), "dataflow/test").sweep()
    assert [row["caller"] for row in connection.execute("SELECT caller FROM rate_limits").fetchall()] == ["key:now"]


# Who is counted.


@pytest.fixture
def callers(connection: db.Connection) -> Callable[[], dict[str, int]]:
    def look() -> dict[str, int]:
        rows = connection.execute("SELECT caller, requests FROM rate_limits").fetchall()
        return {row["caller"]: row["requests"] for row in rows}

    return look


def test_a_caller_is_counted_by_key_or_token_and_what_is_refused_by_address(
    make_config: Callable[..., Config], callers: Callable[[], dict[str, int]]
) -> None:
    app = create_app(make_config(RATE_LIMIT=3))
    # As authentication does, before the requests are counted.
    outcomes = {"key": Caller("key:crm"), "token": Caller("token:7f", is_token=True)}

    def authenticate() -> None:
        from flask import request

        if (given := request.headers.get("X-API-Key")) not in outcomes:
            raise RequestError("No.", code="not_a_key")
        g.caller = outcomes[given]

    app.before_request_funcs[None].insert(0, authenticate)
    error_codes.CODES["not_a_key"] = error_codes.Code(401, "For this test.")
    try:
        client = app.test_client()
        sent = {
            key: [client.get("/jobs", headers={"X-API-Key": key}) for _ in range(5)] for key in ("key", "token", "x")
        }
    finally:
        del error_codes.CODES["not_a_key"]
        app.extensions["dataflow"].pool.close()
    assert {key: [answer.status_code for answer in answers] for key, answers in sent.items()} == {
        "key": [200] * 3 + [429] * 2,
        "token": [200] * 3 + [429] * 2,
        "x": [401] * 3 + [429] * 2,
    }
    assert callers() == {"key:crm": 4, "token:7f": 4, "address:127.0.0.1": 4}
    assert sent["x"][2].headers["RateLimit"].startswith('"default";r=0;')
    assert sent["x"][3].get_json()["code"] == "rate_limited"
    assert "Retry-After" in sent["x"][3].headers
