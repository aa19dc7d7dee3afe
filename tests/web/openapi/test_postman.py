"""The Postman collection: complete, and run against the service, by newman where that is installed."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dataflow.web.openapi import postman
from tests.support.flask_web import FlaskWeb
from tests.support.openapi import described
from tests.support.postman import Run
from tests.support.processes import Web
from tests.support.service import Service

#: For tokens, which a service without keys has only then.
WEB_VARIABLES = {"TOKEN_SECRET": "hunter2" * 5}
FILES = {postman.FILE: b"name,email\nAnn,ann@example.com\n"}
#: What is not possible when all else has been done just before, without a worker.
REFUSED = {
    "Queue a failed or cancelled job again": 409,
    "The file of an export, or a part of it": 409,
    "Undo an import: delete the contacts that it has created": 409,
}


@pytest.mark.unit
def test_it_has_each_operation_and_each_body_that_has_an_example() -> None:
    found = described()
    made = postman.collection(found.document, "http://localhost:3000")
    requests = [item["request"] for folder in made["item"] for item in folder["item"]]
    counts = {
        (method, path): max(1, str(said.get("requestBody", {})).count("'success'"))
        for method, path, said in found.operations()
    }
    shown = [(each["method"], "/" + "/".join(each["url"]["path"])) for each in requests]
    for (method, path), count in counts.items():
        assert shown.count((method, path.replace("{", ":").replace("}", ""))) == count, (method, path)
    assert len(shown) == sum(counts.values())


def test_its_requests_work_one_after_the_other(web: Web) -> None:
    collection = web.get("/postman.json").json()
    found = {}
    for name, statuses, answer in Run(collection, web, FILES).answers():
        assert answer.status_code in statuses, (name, answer.text)
        found[name] = answer.status_code
    assert {name: status for name, status in found.items() if status >= 400} == REFUSED


def test_it_leads_where_it_was_asked_for(web: Web, database: str, state_folder: Path) -> None:
    def place(service: Service, **headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        variables = service.get("/postman.json", headers=named).json()["variable"]
        return next(str(each["value"]) for each in variables if each["key"] == "baseUrl")

    forwarded = {"X_Forwarded_Host": "contacts.example.com", "X_Forwarded_Proto": "https", "X_Forwarded_Prefix": "/c"}
    assert place(web) == place(web, **forwarded) == web.url
    behind = FlaskWeb({"DATABASE_URL": database, "DATA_DIR": state_folder, "TRUSTED_PROXIES": "127.0.0.1"})
    assert place(behind) == behind.url
    assert place(behind, **forwarded) == "https://contacts.example.com/c"
    assert place(behind, X_Forwarded_Proto="gopher") == behind.url
    behind.stop()


def test_newman_runs_it(web: Web, tmp_path: Path) -> None:
    newman = shutil.which("newman")
    if newman is None:
        pytest.skip("newman is not installed here")
    (tmp_path / "collection.json").write_text(json.dumps(web.get("/postman.json").json()))
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    command = [newman, "run", "collection.json", "--working-dir", ".", "--color", "off", "--timeout-request", "60000"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
