"""POST /exports and what becomes of it, over real HTTP, with a worker and both storages."""

import csv
import hashlib
import io
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import requests

from dataflow import db
from tests.support.processes import Web

RUNS_OVER = ("local", "supabase")
WEB_VARIABLES = {
    "API_KEYS": "all:all-hunter2-hunter2-hunter2 "
    "crm:crm-hunter2-hunter2-hunter2:crm shop:shop-hunter2-hunter2-hunter2:shop"
}
ALL, CRM, SHOP = (
    {"Authorization": f"Bearer {name}-hunter2-hunter2-hunter2", "Accept-Encoding": "identity"}
    for name in ("all", "crm", "shop")
)


def fill(connection: db.Connection, rows: int, source: str = "crm") -> None:
    connection.execute(
        "INSERT INTO contacts (name, email, source)"
        " SELECT 'Person ' || n, 'person' || n || '@example.com', %s FROM generate_series(1, %s) n",
        [source, rows],
    )


def ordered(web: Web, query: str = "", headers: dict[str, str] = ALL, **arguments: Any) -> str:
    answer = web.post(f"/exports{query}", headers=headers, **arguments)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/exports/{answer.json()['jobId']}"
    return str(answer.json()["jobId"])


def shown(web: Web, job_id: str, headers: dict[str, str] = ALL) -> dict[str, Any]:
    found: dict[str, Any] = web.get(f"/exports/{job_id}", headers=headers).json()
    return found


def fetched(web: Web, job_id: str, headers: dict[str, str] = ALL, **more: str) -> requests.Response:
    return web.get(f"/exports/{job_id}/file", headers={**headers, **more})


def names(content: bytes) -> list[str]:
    return sorted(row["name"] for row in csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_an_export_becomes_a_file_with_its_digest(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    fill(connection, 3000)
    job_id = ordered(web, "?source=crm")
    assert shown(web, job_id)["state"] == "queued"
    waiting = fetched(web, job_id)
    assert (waiting.status_code, waiting.json()["code"]) == (409, "job_unfinished")
    assert int(waiting.headers["Retry-After"]) > 0
    assert work_off() == 0
    answer, job = fetched(web, job_id), shown(web, job_id)
    digest = hashlib.sha256(answer.content)
    assert answer.status_code == 200
    assert len(names(answer.content)) == 3000
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="contacts-crm.csv"'
    assert answer.headers["ETag"] == f'"{digest.hexdigest()}"'
    assert answer.headers["Repr-Digest"] == f"sha-256=:{b64encode(digest.digest()).decode()}:"
    assert (job["state"], job["kind"], job["rowsExported"]) == ("succeeded", "export", 3000)
    assert job["bytesDone"] == job["bytesTotal"] == len(answer.content)
    assert (job["contentSha256"], job["fileName"], job["format"]) == (digest.hexdigest(), "contacts-crm.csv", "csv")
    assert job["links"] == {
        "self": f"/exports/{job_id}",
        "job": f"/jobs/{job_id}",
        "file": f"/exports/{job_id}/file",
        "events": f"/jobs/{job_id}/events",
    }
    assert web.get(f"/jobs/{job_id}", headers=ALL).json()["links"]["file"] == f"/exports/{job_id}/file"
