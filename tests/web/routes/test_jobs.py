"""GET /jobs and GET /jobs/{id} over real HTTP: what a client learns of its imports.

One web process serves the whole module; every test begins with empty tables.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import requests

from dataflow import db
from tests.support.processes import Web

RUNS_OVER = ("local", "supabase")
THROUGH_FLASK = True
CONTACTS = [{"name": "Ann", "email": "ann@example.com"}]
SUMMARY = [
    *("jobId", "kind", "ofJob", "state", "partial", "source", "fileName"),
    *("rowsImported", "rowsUpdated", "rowsSkipped", "rowsRejected", "rowsNotImported", "rowsRead"),
    *("rowsExported", "bytesDone", "bytesTotal", "contentSha256", "error"),
    *("attempt", "failures", "maxFailures", "runAt", "createdAt", "startedAt", "finishedAt"),
    *("contentType", "format", "options", "detected", "ignoredColumns", "issues", "firstContactId", "lastContactId"),
    *("objectDeletedAt", "expiresAt", "revertedAt", "revertedRows", "duplicateOf", "requestId", "createdBy", "links"),
]


def submit(web: Web, *sources: str) -> list[str]:
    """One job for each source, in this order; their ids."""
    answers = [web.post(json={"source": source, "data": CONTACTS}) for source in sources]
    return [answer.json()["jobId"] for answer in answers]


def listed(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [job["jobId"] for job in answer.json()["jobs"]]


def next_link(answer: requests.Response) -> str | None:
    """Where RFC 8288 says that the next page is."""
    if "Link" not in answer.headers:
        return None
    found = re.fullmatch(r'<(/[^>]*)>; rel="next"', answer.headers["Link"])
    assert found, answer.headers["Link"]
    return found[1]


def test_a_job_shows_its_fields_in_camel_case_and_in_order(web: Web) -> None:
    [job_id] = submit(web, "crm")
    job = web.job(job_id)
    assert list(job) == SUMMARY
    assert UUID(job["jobId"]).version == 7
    expected = {"jobId": job_id, "kind": "import", "state": "queued", "source": "crm", "format": "json"}
    assert {name: job[name] for name in expected} == expected
    assert (job["rowsImported"], job["bytesDone"], job["attempt"], job["failures"], job["issues"]) == (0, 0, 0, 0, [])
    assert (job["error"], job["startedAt"], job["finishedAt"], job["firstContactId"]) == (None, None, None, None)


def test_times_are_rfc_3339_in_utc(web: Web) -> None:
    [job_id] = submit(web, "crm")
    created_at = web.job(job_id)["createdAt"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", created_at)
    assert abs(datetime.now(UTC) - datetime.fromisoformat(created_at)) < timedelta(minutes=1)


def test_a_finished_job_tells_what_it_imported(
    web: Web, work_off: Callable[[], int], connection: db.Connection
) -> None:
    content = b"name,email\nAnn,ann@example.com\nBob,bob@example.com\nCid,cid\n"
    answer = web.post(files={"file": ("staff.csv", content, "text/csv")}, data={"source": "crm"})
    assert work_off() == 0
    job = web.job(answer.json()["jobId"])
    assert (job["state"], job["rowsImported"], job["rowsRejected"], job["attempt"]) == ("succeeded", 2, 1, 1)
    assert (job["fileName"], job["contentType"], job["format"]) == ("staff.csv", "text/csv", "csv")
    assert job["bytesDone"] == job["bytesTotal"] == len(content)
    assert job["createdAt"] <= job["startedAt"] <= job["finishedAt"] <= job["objectDeletedAt"]
    assert [issue["path"] for issue in job["issues"]] == [["data", 2, "email"]]
    ids = [str(row["id"]) for row in connection.execute("SELECT id FROM contacts ORDER BY id")]
    assert [job["firstContactId"], job["lastContactId"]] == ids


def test_what_belongs_to_the_operator_stays_in_psql(
    web: Web, work_off: Callable[[], int], connection: db.Connection
) -> None:
    [job_id] = submit(web, "crm")
    work_off()
    row = connection.execute("SELECT worker, object_key, digests->0->>1 AS digest FROM jobs").fetchone()
    assert row is not None
    assert all(row.values())
    for text in (web.get(f"/jobs/{job_id}").text, web.get("/jobs").text):
        for secret in (*row.values(), "backend", "heartbeat", "objectKey", "etag", "losses"):
            assert secret not in text


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_links_and_pages_keep_the_callers_prefix(prefix: str, web: Web) -> None:
    older, newer = submit(web, "crm", "crm")
    assert web.get(f"{prefix}/jobs/{newer}").json()["links"] == {
        "self": f"{prefix}/jobs/{newer}",
        "rejects": f"{prefix}/jobs/{newer}/rejects",
        "events": f"{prefix}/jobs/{newer}/events",
    }
    first = web.get(f"{prefix}/jobs?limit=1")
    assert [job["links"]["self"] for job in first.json()["jobs"]] == [f"{prefix}/jobs/{newer}"]
    link = next_link(first)
    assert link
    assert link.startswith(f"{prefix}/jobs?")
    assert listed(web.get(link)) == [older]


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize(
    ("path", "code"),
    [(f"/jobs/{UUID(int=42)}", "job_not_found"), ("/jobs/42", "not_found"), ("/job", "not_found")],
)
def test_what_does_not_exist_is_answered_in_our_shape(prefix: str, path: str, code: str, web: Web) -> None:
    answer = web.get(prefix + path)
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert list(body) == ["error", "code", "status"]
    assert (answer.status_code, body["status"], body["code"]) == (404, 404, code)
    assert answer.headers["X-Request-Id"]


def test_a_wrong_method_is_answered_in_our_shape(web: Web) -> None:
    answer = web.post("/jobs")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


def test_the_list_begins_with_the_newest_and_leaves_issues_to_the_single_job(web: Web) -> None:
    ids = submit(web, "a", "b", "c")
    answer = web.get("/jobs")
    assert listed(answer) == ids[::-1]
    assert list(answer.json()["jobs"][0]) == [name for name in SUMMARY if name != "issues"]
    assert next_link(answer) is None


def test_an_empty_list_is_a_list(web: Web) -> None:
    assert web.get("/jobs").json() == {"jobs": []}


def test_the_list_is_filtered_by_state_and_source(web: Web, work_off: Callable[[], int]) -> None:
    done = submit(web, "crm", "Büro & Co")
    work_off()
    waiting = submit(web, "crm", "crm")

    def found(**parameters: str) -> list[str]:
        return listed(web.get("/jobs", params=parameters))

    assert found(state="succeeded") == done[::-1]
    assert found(state="queued") == waiting[::-1]
    assert found(source="crm") == [*waiting[::-1], done[0]]
    assert found(source="Büro & Co") == [done[1]]
    assert found(source="crm", state="succeeded") == [done[0]]
    assert found(source="cr") == found(source="") == found(state="failed") == []


def test_pages_follow_one_another_to_the_end_whatever_arrives_meanwhile(web: Web) -> None:
    ids = submit(web, *["Büro & Co"] * 7)
    submit(web, "other")
    answer = web.get("/jobs", params={"source": "Büro & Co", "limit": 3})
    pages = [listed(answer)]
    while link := next_link(answer):
        submit(web, "Büro & Co")
        answer = web.get(link)
        pages.append(listed(answer))
    assert pages == [ids[:3:-1], ids[3:0:-1], ids[:1]]


def test_a_page_that_ends_exactly_at_the_end_has_no_next_one(web: Web) -> None:
    ids = submit(web, "a", "b")
    answer = web.get("/jobs?limit=2")
    assert listed(answer) == ids[::-1]
    assert next_link(answer) is None


@pytest.mark.parametrize("limit", [1, 1000])
def test_a_limit_may_be_one_to_a_thousand(limit: int, web: Web) -> None:
    ids = submit(web, "a", "b")
    assert listed(web.get(f"/jobs?limit={limit}")) == ids[: -limit - 1 : -1]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        *(
            (f"limit={limit}", "limit")
            for limit in ("0", "-1", "1001", "ten", "1.5", "", "1_0", "%D9%A1", "5+", "9" * 3000)
        ),
        *((f"cursor={cursor}", "cursor") for cursor in ("42", "", "%00")),
        *((f"state={state}", "state") for state in ("done", "", "QUEUED", "%00")),
        ("source=a%00b", "source"),
        ("page=2", "page"),
        ("limit=5&offset=5", "offset"),
    ],
)
def test_a_wrong_or_unknown_parameter_is_refused_and_named(query: str, name: str, web: Web) -> None:
    answer = web.get(f"/jobs?{query}")
    body = answer.json()
    assert (answer.status_code, body["code"]) == (400, "invalid_request")
    assert [issue["path"] for issue in body["issues"]] == [[name]]


def test_a_parameter_given_twice_is_refused(web: Web) -> None:
    answer = web.get("/jobs?state=queued&state=failed")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
