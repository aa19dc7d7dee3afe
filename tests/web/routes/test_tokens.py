"""POST /tokens, and what holders of tokens can do: send imports of one source, and nothing with anybody else's."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
import requests

from dataflow import db
from dataflow.errors import Unauthorized
from dataflow.imports.options import Options
from tests.support.flask_web import FlaskWeb
from tests.support.holders import ALL_KEY, CLOSED, CRM_KEY, SHOP_KEY, bearer, created_by, signer, token
from tests.support.waiting import eventually

WEB_VARIABLES = CLOSED
THROUGH_FLASK = True
CSV = {"Content-Type": "text/csv"}
BODY = b"name,email\nAnn,ann@example.com\nBob,bob\n"
ROW = {"name": "Ann", "email": "ann@example.com"}


def make(web: FlaskWeb, key: str = CRM_KEY, path: str = "/tokens", **wanted: Any) -> requests.Response:
    return web.post(path, json={"source": "crm", **wanted}, headers=bearer(key))


def made(web: FlaskWeb, **wanted: Any) -> str:
    answer = make(web, **wanted)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def code_of(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def job_of(web: FlaskWeb, connection: db.Connection, text: str, **arguments: Any) -> dict[str, Any]:
    """The job of an import that the holder of a token has sent."""
    headers = {**CSV, **bearer(text), **arguments.pop("headers", {})}
    answer = web.post(**{"data": BODY, **arguments, "headers": headers})
    assert answer.status_code == 200, answer.text
    [row] = connection.execute("SELECT * FROM jobs WHERE id = %s", [answer.json()["jobId"]]).fetchall()
    return row


# Making one.


@pytest.mark.parametrize("path", ["/tokens", "/v1/tokens"])
def test_a_token_is_made_for_a_source_and_a_while(path: str, web: FlaskWeb) -> None:
    answer = make(web, path=path)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    body = answer.json()
    assert list(body) == ["token", "expiresAt", "source"]
    assert body["source"] == "crm"
    left = datetime.fromisoformat(body["expiresAt"]) - datetime.now(UTC)
    assert abs(left - timedelta(hours=1)) < timedelta(minutes=1)
    # As it is in an address and in a header (RFC 6750 section 2.1).
    assert requests.utils.quote(body["token"], safe="") == body["token"]
    holder = signer().read(body["token"])
    assert (holder.sources, holder.max_bytes, holder.options, holder.is_token) == ({"crm"}, 0, {}, True)
    assert holder.scope.startswith("token:")
    assert holder.created_by == f"crm#{holder.scope.removeprefix('token:')}"


def test_no_two_tokens_are_the_same(web: FlaskWeb) -> None:
    assert len({created_by(made(web)) for _ in range(5)}) == 5


def test_a_token_ends_when_it_was_told_to(web: FlaskWeb) -> None:
    for seconds in (1, 604_800):
        ends = datetime.fromisoformat(make(web, expiresSeconds=seconds).json()["expiresAt"])
        assert abs(ends - datetime.now(UTC) - timedelta(seconds=seconds)) < timedelta(minutes=1)
    text = made(web, expiresSeconds=1)
    eventually(lambda: web.get("/jobs", headers=bearer(text)).status_code == 401)
    answer = web.get("/jobs", headers=bearer(text))
    assert code_of(answer) == (401, "token_expired")
    assert text not in answer.text


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ({"source": None}, "source"),
        ({"source": ""}, "source"),
        ({"source": 5}, "source"),
        ({"source": "x" * 101}, "source"),
        ({"source": "a\x00"}, "source"),
        ({"expiresSeconds": 0}, "expiresSeconds"),
        ({"expiresSeconds": 604_801}, "expiresSeconds"),
        ({"expiresSeconds": -1}, "expiresSeconds"),
        ({"expiresSeconds": 1.5}, "expiresSeconds"),
        ({"expiresSeconds": True}, "expiresSeconds"),
        ({"expiresSeconds": None}, "expiresSeconds"),
        ({"maxBytes": 0}, "maxBytes"),
        ({"maxBytes": 2**53 + 1}, "maxBytes"),
        ({"maxBytes": "many"}, "maxBytes"),
        ({"options": []}, "options"),
        ({"options": "dryRun"}, "options"),
        ({"options": {"source": "crm"}}, "source"),
        ({"options": {"color": "red"}}, "color"),
        ({"options": {"onConflict": "explode"}}, "onConflict"),
        ({"options": {"dryRun": 1}}, "dryRun"),
        ({"options": {"mapping": {"phone": "x"}}}, "mapping"),
        ({"scope": "everything"}, "scope"),
        ({"name": "x"}, "name"),
    ],
)
def test_a_wrong_wish_is_refused_by_its_name(wanted: dict[str, Any], named: str, web: FlaskWeb) -> None:
    answer = make(web, **wanted)
    assert code_of(answer) == (400, "invalid_request")
    assert [issue["path"] for issue in answer.json()["issues"]] == [[named]]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"crm"', b"null", b"\xff", b"[" * 50_000, b'{"a":' + b"9" * 5000 + b"}"]
)
def test_a_body_that_is_no_object_is_refused(body: bytes, web: FlaskWeb) -> None:
    assert code_of(web.post("/tokens", data=body, headers=bearer(CRM_KEY))) == (400, "invalid_request")


def test_a_body_has_a_limit(web: FlaskWeb) -> None:
    def answer_to(body: Any) -> requests.Response:
        return web.post("/tokens", data=body, headers=bearer(CRM_KEY))

    body = json.dumps({"source": "crm"}).encode()
    assert answer_to(body + b" " * (65_536 - len(body))).status_code == 201
    too_large = answer_to(body + b" " * (65_537 - len(body)))
    assert code_of(too_large) == (413, "request_entity_too_large")
    assert "65536" in too_large.json()["error"]


def test_a_query_is_refused(web: FlaskWeb) -> None:
    assert code_of(web.post("/tokens?source=crm", json={"source": "crm"}, headers=bearer(CRM_KEY)))[0] == 400


def test_a_token_that_no_address_could_hold_is_refused(web: FlaskWeb) -> None:
    letters = Random(1)
    names = ["".join(chr(letters.randrange(0x4E00, 0x9FA5)) for _ in range(200)) for _ in range(10)]
    answer = make(web, options={"mapping": {"name": names}})
    assert code_of(answer) == (400, "invalid_request")
    assert "an address takes 4096" in answer.json()["error"]


def test_a_key_makes_tokens_for_its_own_sources_and_a_token_makes_none(web: FlaskWeb) -> None:
    assert code_of(make(web, SHOP_KEY)) == (403, "forbidden")
    assert make(web, ALL_KEY).status_code == 201
    assert make(web, CRM_KEY, source="leads").status_code == 201
    assert code_of(make(web, token())) == (403, "forbidden")


# What its imports are.


def test_an_import_has_the_source_and_the_options_of_its_token(web: FlaskWeb, connection: db.Connection) -> None:
    options = {"onConflict": "skip", "dryRun": True, "maxRejects": 7, "mapping": {"name": "Full", "email": ["Mail"]}}
    text = made(web, options={**options, "encoding": "UTF-8", "delimiter": "semicolon"})
    body = b"Full;Mail\nAnn;ann@example.com\n"
    job = job_of(web, connection, text, data=body)
    assert (job["source"], job["created_by"]) == ("crm", created_by(text))
    own = {"mapping": {"name": ["Full"], "email": ["Mail"]}, "encoding": "utf-8", "delimiter": ";"}
    assert job["options"].items() >= {**options, **own}.items()
    preview = web.post("/import/preview", data=body, headers={**CSV, **bearer(text)}).json()
    assert [row["name"] for row in preview["rows"]] == ["Ann"]


def test_an_import_of_json_needs_no_source_in_it(web: FlaskWeb, connection: db.Connection) -> None:
    text = made(web, options={"onInvalid": "skip"})
    headers = {"Content-Type": "application/json"}
    for body in ({"data": [ROW]}, {"source": "crm", "data": [ROW], "onInvalid": "skip"}):
        job = job_of(web, connection, text, data=json.dumps(body), headers=headers)
        assert (job["source"], job["options"]["onInvalid"]) == ("crm", "skip")


def test_without_options_of_its_own_a_token_has_the_usual_ones(web: FlaskWeb, connection: db.Connection) -> None:
    assert job_of(web, connection, made(web))["options"] == Options.of({"onInvalid": "skip"}).as_json()


@pytest.mark.parametrize(
    "arguments",
    [
        {"headers": {"X-On-Conflict": "update"}},
        {"headers": {"X-Dry-Run": "true"}},
        {"headers": {"X-Max-Rejects": "8"}},
        {"headers": {"X-Use-Resumable": "true"}},
        {"headers": {"X-On-Invalid": "skip"}},
        {"headers": {"X-Source": "shop"}},
        {"params": {"onConflict": "update"}},
        {"params": {"source": "shop"}},
        {"params": {"mapping": '{"name": "email"}'}},
        {"files": {"file": ("a.csv", BODY)}, "data": {"dryRun": "true"}},
        {"files": {"file": ("a.csv", BODY)}, "data": {"source": "leads"}},
        {"json": {"data": [ROW], "onConflict": "update"}},
        {"json": {"onInvalid": "skip", "data": [ROW]}},
        {"json": {"data": [ROW], "maxRejects": 8}},
        {"json": {"data": [ROW], "source": "shop"}},
        {"json": {"data": [ROW], "mapping": {"name": "x"}}},
        {"json": {"data": [ROW], "encoding": "latin-1"}},
    ],
)
def test_an_option_that_is_not_the_tokens_is_refused_and_nothing_is_left(
    arguments: dict[str, Any], web: FlaskWeb, connection: db.Connection, stored_files: Callable[[], list[object]]
) -> None:
    text = made(web, options={"onConflict": "skip", "maxRejects": 7})
    given = {} if "files" in arguments or "json" in arguments else {"data": BODY}
    media_type = CSV if given else {}
    headers = {**media_type, **arguments.get("headers", {}), **bearer(text)}
    for path in ("/import", "/import/preview"):
        answer = web.post(path, **{**given, **arguments, "headers": headers})
        assert code_of(answer) == (403, "forbidden"), answer.text
    assert connection.execute("SELECT FROM jobs").fetchall() == []
    assert stored_files() == []


def test_options_that_are_the_tokens_may_be_said_again(web: FlaskWeb, connection: db.Connection) -> None:
    text = made(web, options={"onConflict": "skip", "maxRejects": 7, "mapping": {"name": ["name"], "email": "email"}})
    same = {"onConflict": "skip", "maxRejects": "7", "mapping": '{"email": ["email"], "name": "name"}', "source": "crm"}
    assert job_of(web, connection, text, params=same)["options"]["onConflict"] == "skip"
    form = {"files": {"file": ("a.csv", BODY)}, "data": same, "headers": bearer(text)}
    assert web.post(**form).status_code == 200


# Whose jobs its holder sees.


def test_the_holder_sees_and_stops_what_was_sent_with_it(web: FlaskWeb, connection: db.Connection) -> None:
    mine, others = made(web), made(web)
    first, second = (str(job_of(web, connection, mine)["id"]) for _ in range(2))
    foreign = str(job_of(web, connection, others)["id"])
    by_key = web.post(data=BODY, headers={**CSV, "X-Source": "crm", **bearer(CRM_KEY)}).json()["jobId"]

    def listed(text: str, query: str = "") -> list[str]:
        return [job["jobId"] for job in web.get(f"/jobs{query}", headers=bearer(text)).json()["jobs"]]

    assert listed(mine) == [second, first]
    assert (listed(mine, "?source=crm"), listed(mine, "?state=queued")) == ([second, first], [second, first])
    assert (listed(mine, "?state=failed"), listed(mine, f"?cursor={second}")) == ([], [first])
    assert listed(others) == [foreign]
    assert listed(CRM_KEY) == [by_key, foreign, second, first]
    assert web.post(f"/jobs/{first}/cancel", headers=bearer(mine)).json()["state"] == "cancelled"
    for job_id in (foreign, by_key):
        for answer in (
            web.get(f"/jobs/{job_id}", headers=bearer(mine)),
            web.get(f"/jobs/{job_id}/rejects?format=csv", headers=bearer(mine)),
            web.post(f"/jobs/{job_id}/cancel", headers=bearer(mine)),
            web.post(f"/jobs/{job_id}/revert", headers=bearer(mine)),
        ):
            assert code_of(answer) == (404, "job_not_found")
    states = {str(row["id"]): row["state"] for row in connection.execute("SELECT id, state FROM jobs").fetchall()}
    assert states == {first: "cancelled", second: "queued", foreign: "queued", by_key: "queued"}


def test_the_holder_reads_what_was_refused_and_undoes_the_import(
    web: FlaskWeb, connection: db.Connection, work_off: Callable[[], int], stored_contacts: Callable[[], list[object]]
) -> None:
    text = made(web)
    job_id = job_of(web, connection, text)["id"]
    assert work_off() == 0
    assert len(stored_contacts()) == 1
    rejects = web.get(f"/jobs/{job_id}/rejects?format=csv&token={text}")
    assert (rejects.status_code, b"bob" in rejects.content) == (200, True)
    reverted = web.post(f"/jobs/{job_id}/revert?token={text}")
    assert (reverted.status_code, reverted.json()["createdBy"]) == (202, created_by(text))
    assert work_off() == 0
    assert stored_contacts() == []
    assert web.get(f"/jobs/{reverted.json()['jobId']}", headers=bearer(text)).json()["state"] == "succeeded"


def test_the_holder_sees_a_revert_of_his_import_that_others_have_ordered(
    web: FlaskWeb, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    text = made(web)
    job_id = job_of(web, connection, text)["id"]
    assert work_off() == 0
    ordered = web.post(f"/jobs/{job_id}/revert", headers=bearer(CRM_KEY)).json()
    assert ordered["createdBy"] == "crm"
    same = web.post(f"/jobs/{job_id}/revert", headers=bearer(text))
    assert (same.status_code, same.json()["jobId"]) == (202, ordered["jobId"])
    assert web.get(f"/jobs/{ordered['jobId']}", headers=bearer(text)).status_code == 200
    assert web.get(f"/jobs/{ordered['jobId']}", headers=bearer(made(web))).status_code == 404


def test_a_token_in_the_address_is_in_no_link_and_no_answer(web: FlaskWeb, connection: db.Connection) -> None:
    text = made(web)
    for _ in range(3):
        job_of(web, connection, text)
    page = web.get(f"/v1/jobs?limit=2&token={text}&state=queued")
    assert (page.status_code, len(page.json()["jobs"])) == (200, 2)
    link = page.headers["Link"]
    assert "state=queued" in link and "limit=2" in link
    sent = web.post(f"/import?token={text}", data=BODY, headers=CSV)
    assert sent.headers["Location"] == f"/jobs/{sent.json()['jobId']}"
    refused = web.get(f"/jobs?limit=x&token={text}")
    assert code_of(refused) == (400, "invalid_request")
    metrics = web.get("/metrics", headers=bearer(ALL_KEY))
    for answer in (page, sent, refused, metrics):
        assert text not in answer.text + str(answer.headers)
        assert "token=" not in answer.text + str(answer.headers)


def test_all_that_can_be_asked_of_a_job_takes_a_token_in_the_address(web: FlaskWeb, connection: db.Connection) -> None:
    text = made(web)
    job_id = job_of(web, connection, text)["id"]
    assert web.get(f"/jobs/{job_id}?token={text}").status_code == 200
    assert web.post(f"/jobs/{job_id}/cancel?token={text}").status_code == 202
    assert web.get(f"/jobs/{job_id}/rejects?token={text}&format=ndjson").status_code == 200
    assert web.post(f"/import/preview?token={text}", data=BODY, headers=CSV).status_code == 200
    assert code_of(web.request("DELETE", f"/jobs/{job_id}?token={text}")) == (403, "forbidden")


# When it ends before its time.


def test_a_token_ends_with_its_key_and_lives_through_changes_of_others() -> None:
    text = token("crm", "crm")
    assert signer(f"crm:{CRM_KEY}:crm more:{ALL_KEY}").read(text).created_by == created_by(text)
    for api_keys in (f"other:{CRM_KEY}", f"crm:{ALL_KEY}", f"crm:{CRM_KEY}:leads", "open", ""):
        with pytest.raises(Unauthorized):
            signer(api_keys).read(text)
    with pytest.raises(Unauthorized):
        signer(secret="another secret of 32 characters and more").read(text)


def test_without_a_secret_tokens_are_signed_with_the_keys() -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    tokens = signer(f"crm:{CRM_KEY}", "")
    assert tokens.are_possible
    text = tokens.make("crm", "crm", {}, 0, ends)
    assert signer(f"crm:{CRM_KEY} more:{ALL_KEY}", "").read(text).sources == {"crm"}
    with pytest.raises(Unauthorized):
        signer(f"crm:{ALL_KEY}", "").read(text)
    assert not signer("open", "").are_possible
    assert CRM_KEY not in text


@pytest.mark.parametrize("part", range(3))
def test_no_letter_of_a_token_can_be_another(part: int) -> None:
    text = token()
    for at in range(part, len(text), 3):
        other = "A" if text[at] != "A" else "B"
        changed = f"{text[:at]}{other}{text[at + 1 :]}"
        if at == len(text) - 1:
            continue  # some bits of the last letter mean nothing
        with pytest.raises(Unauthorized):
            signer().read(changed)


def test_many_send_with_one_token_at_once(web: FlaskWeb, connection: db.Connection) -> None:
    text = made(web)
    with ThreadPoolExecutor(4) as clients:
        answers = list(
            clients.map(lambda _: web.post(data=BODY, headers={**CSV, **bearer(text)}).status_code, range(8))
        )
    assert answers == [200] * 8
    rows = connection.execute("SELECT DISTINCT created_by, source FROM jobs").fetchall()
    assert rows == [{"created_by": created_by(text), "source": "crm"}]
