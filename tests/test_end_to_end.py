"""The whole way: HTTP, storage, listener, COPY, in real processes."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.processes import Web, WorkerProcess

RUNS_OVER = ("local", "supabase")
CONTACTS = [{"name": f"Contact {i} ÄÖ 😀", "email": f"contact{i}@example.com"} for i in range(5003)]
ROWS = [(contact["name"], contact["email"], "crm-tool-x") for contact in CONTACTS]

WAYS: dict[str, dict[str, Any]] = {
    "json": {"json": {"source": "crm-tool-x", "data": CONTACTS, "useResumable": False}},
    "multipart": {
        "files": {"file": ("contacts.json", json.dumps(CONTACTS).encode())},
        "data": {"source": "crm-tool-x", "useResumable": "true"},
    },
    "stream": {
        "data": json.dumps({"data": CONTACTS, "source": "loses"}).encode(),
        "headers": {
            "Content-Type": "application/octet-stream",
            "X-Source": "crm-tool-x",
            "X-Use-Resumable": "true",
        },
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_the_originals_5003_contacts_arrive_in_order_by_each_of_its_ways(
    way: str,
    web: Web,
    start_worker: Callable[..., WorkerProcess],
    stored_contacts: Callable[[], list[tuple[Any, ...]]],
) -> None:
    start_worker()
    answer = web.post(**WAYS[way])
    assert answer.status_code == 200
    job = web.finished_job(answer.json()["jobId"])
    assert (job["state"], job["rowsImported"], job["rowsRejected"]) == ("succeeded", 5003, 0)
    assert stored_contacts() == ROWS
