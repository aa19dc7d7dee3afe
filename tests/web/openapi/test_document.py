"""The OpenAPI document: complete, valid, and true of the service that answers."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import requests
from openapi_spec_validator import validate

from dataflow import db
from dataflow.config import Config
from dataflow.error_codes import CODES
from dataflow.web.app import create_app
from dataflow.web.openapi import document
from dataflow.web.openapi.texts import ANY_ID
from tests.support.flask_web import FlaskWeb
from tests.support.holders import CLOSED
from tests.support.openapi import Described, Example, described

THROUGH_FLASK = True
#: For tokens, which a service without keys has only then.
WEB_VARIABLES = {"TOKEN_SECRET": CLOSED["TOKEN_SECRET"]}


def called(example: Example) -> str:
    return f"{example.method} {example.path} {example.name} {example.media_type}"


METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
EXAMPLES = [*described().examples()]
#: In which state the job has to be of which an example tells; else it has succeeded.
STATES = {"jobs-cancel": "queued", "jobs-retry": "failed"}


def routes_of_the_service() -> Iterator[tuple[str, str, str]]:
    for rule in create_app(Config.from_env({})).url_map.iter_rules():
        path = rule.rule.replace("<uuid:job_id>", "{jobId}").replace("<name>", "{name}")
        for method in (rule.methods or set()) & METHODS:
            yield method, path.removeprefix("/v1"), "/v1" if path.startswith("/v1/") else ""


@pytest.mark.unit
def test_every_route_is_in_it_with_the_prefixes_that_it_has() -> None:
    found = {(method, path) for method, path, _ in described().operations() if method in METHODS}
    routes = {*routes_of_the_service()}
    assert found == {(method, path) for method, path, _ in routes}
    for path, item in described().document["paths"].items():
        is_versioned = any(prefix for _, each, prefix in routes if each == path)
        assert ("servers" in item) == (not is_versioned), path


@pytest.mark.unit
def test_what_tus_asks_by_other_methods_is_in_it() -> None:
    found = {(method, path) for method, path, _ in described().operations()}
    assert {("HEAD", "/uploads/{jobId}"), ("OPTIONS", "/uploads"), ("OPTIONS", "/uploads/{jobId}")} <= found


@pytest.mark.unit
def test_every_code_of_an_error_is_in_it_with_its_meaning() -> None:
    found = described().document["components"]["schemas"]["ErrorCode"]
    assert CODES.keys() <= {*found["enum"]}
    assert [code for code, known in CODES.items() if f"`{code}`" not in found["description"]] == []
    assert [code for code, known in CODES.items() if known.meaning not in found["description"]] == []


@pytest.mark.unit
@pytest.mark.parametrize("root", ["", "/contacts"])
@pytest.mark.parametrize("is_below_v1", [True, False])
def test_it_is_valid(root: str, is_below_v1: bool) -> None:
    app = create_app(Config.from_env({}))
    validate(document.served(document.build(app), app, root, is_below_v1))


@pytest.mark.unit
def test_each_operation_has_an_example_and_each_example_is_what_its_schema_says() -> None:
    found = described()
    asked = {(example.method, example.path) for example in EXAMPLES}
    assert {(method, path) for method, path, _ in found.operations()} == asked
    for method, path, said in found.operations():
        for status, response in said["responses"].items():
            for media in found.resolved(response).get("content", {}).values():
                for name, example in media.get("examples", {}).items():
                    assert found.errors(media, example["value"]) == [], (method, path, status, name)
        for media_type, media in said.get("requestBody", {}).get("content", {}).items():
            for name, example in media.get("examples", {}).items():
                if name == "success":
                    assert found.errors(media, example["value"]) == [], (method, path, media_type)


@pytest.mark.unit
def test_each_operation_is_in_a_group_that_is_described_and_has_a_name_of_its_own() -> None:
    operations = [said for _, _, said in described().operations()]
    assert {said["tags"][0] for said in operations} == {tag["name"] for tag in described().document["tags"]}
    assert len({said["operationId"] for said in operations}) == len(operations)


def answer(status: int, body: object, **headers: str) -> requests.Response:
    made = requests.Response()
    made.status_code, made._content = status, json.dumps(body).encode()
    made.headers.update({"Content-Type": "application/json", "X-Request-Id": "1", **headers})
    return made


REFUSED = {"error": "There is no job.", "code": "job_not_found", "status": 404}


@pytest.mark.unit
def test_what_it_does_not_describe_is_noticed_in_any_test() -> None:
    operation = described().find("GET", "/v1/jobs/1")
    assert operation
    shown = operation["responses"]["200"]["content"]["application/json"]["examples"]["success"]["value"]
    described().check("GET", "/jobs/1", answer(200, shown))
    described().check("GET", "/jobs/1", answer(404, REFUSED))
    for wrong in (
        answer(418, REFUSED),
        answer(404, {**REFUSED, "code": "job_finished"}),
        answer(404, {**REFUSED, "status": 400}),
        answer(404, REFUSED, **{"Content-Type": "text/html"}),
        answer(200, {**shown, "more": 1}),
        answer(200, {**shown, "jobId": "1"}),
        answer(200, {**shown, "links": {"self": "/jobs/1"}}),
        answer(200, {name: value for name, value in shown.items() if name != "rowsRead"}),
    ):
        with pytest.raises(AssertionError):
            described().check("GET", "/jobs/1", wrong)
    nameless = answer(404, REFUSED)
    del nameless.headers["X-Request-Id"]
    with pytest.raises(AssertionError, match="X-Request-Id is missing"):
        described().check("GET", "/jobs/1", nameless)


@pytest.mark.unit
def test_a_route_that_says_nothing_of_itself_is_noticed() -> None:
    app = create_app(Config.from_env({}))
    app.add_url_rule("/silent", view_func=lambda: "", endpoint="silent")
    with pytest.raises(LookupError, match="GET /silent says nothing"):
        document.build(app)


def servers(web: FlaskWeb, path: str, **headers: str) -> list[str]:
    return [each["url"] for each in web.get(path, headers=headers).json()["servers"]]


def test_its_servers_are_where_it_was_asked_for(
    web: FlaskWeb, make_config: Callable[..., Config], database: str, state_folder: object
) -> None:
    assert servers(web, "/openapi.json") == ["/", "/v1"]
    assert servers(web, "/v1/openapi.json") == ["/v1", "/"]
    behind = FlaskWeb({"DATABASE_URL": database, "DATA_DIR": state_folder, "TRUSTED_PROXIES": "127.0.0.1"})
    prefixed = {"X-Forwarded-Prefix": "/contacts"}
    assert servers(behind, "/openapi.json", **prefixed) == ["/contacts", "/contacts/v1"]
    found = behind.get("/openapi.json", headers=prefixed).json()["paths"]
    assert found["/health"]["servers"] == [{"url": "/contacts"}]
    behind.stop()


def test_who_needs_a_key_is_what_the_service_asks_for(database: str, state_folder: object) -> None:
    for variables, is_open in (({}, True), ({"API_KEYS": "open"}, True), (CLOSED, False)):
        web = FlaskWeb({"DATABASE_URL": database, "DATA_DIR": state_folder, **variables})
        found = Described(web.get("/openapi.json").json())
        for _, path, said in found.operations():
            if said["security"]:
                assert ({} in said["security"]) == is_open, path
        assert found.find("GET", "/health")["security"] == []  # type: ignore[index]
        assert {"token": []} in found.find("GET", "/jobs")["security"]  # type: ignore[index]
        assert {"token": []} not in found.find("GET", "/contacts")["security"]  # type: ignore[index]
        web.stop()


def make_job(connection: db.Connection, state: str) -> None:
    """The job of the examples."""
    values: dict[str, Any] = {"id": UUID(ANY_ID), "state": state, "now": datetime.now(UTC)}
    values["end"] = values["now"] if state in ("succeeded", "failed") else None
    connection.execute(
        "INSERT INTO jobs (id, state, source, object_key, bytes_total, digests, finished_at) "
        "VALUES (%(id)s, %(state)s, 'newsletter', 'k.csv', 10, '[[10, \"\"]]', %(end)s)",
        values,
    )


def is_about_contacts_and_jobs(example: Example) -> bool:
    said = described().find(example.method, example.path)
    return example.name == "success" and example.path != "/metrics" and bool(said and said["security"])


@pytest.mark.parametrize("example", [*filter(is_about_contacts_and_jobs, EXAMPLES)], ids=called)
def test_an_unknown_query_parameter_is_refused_where_it_is_about_contacts_and_jobs(
    example: Example, web: FlaskWeb
) -> None:
    arguments = {**example.arguments, "params": {**example.query, "unknwon": "1"}}
    answer = web.request(example.method, example.path.format(**example.variables), **arguments)
    assert answer.status_code == 400
    assert example.method == "HEAD" or answer.json()["issues"][0]["path"] == ["unknwon"]


def of_upload(example: Example) -> bool:
    return example.path == "/uploads/{jobId}" and example.method != "OPTIONS"


@pytest.mark.parametrize("example", EXAMPLES, ids=called)
def test_every_example_gets_the_status_under_which_it_stands(
    example: Example, web: FlaskWeb, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    variables = dict(example.variables)
    if example.path.startswith("/exports/{jobId}"):
        variables["jobId"] = web.post("/exports").json()["jobId"]
        work_off()
    elif of_upload(example):
        created = web.post(
            "/uploads", params={"source": "crm"}, headers={"Tus-Resumable": "1.0.0", "Upload-Length": "66"}
        )
        variables["jobId"] = created.headers["Location"].rpartition("/")[2]
    elif "jobId" in variables:
        operation = described().find(example.method, example.path)
        assert operation
        make_job(connection, STATES.get(operation["operationId"], "succeeded"))
    answer = web.request(example.method, example.path.format(**variables), **example.arguments)
    assert answer.status_code == example.status, answer.text
    described().check(example.method, example.path, answer)
