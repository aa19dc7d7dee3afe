"""A Postman collection (v2.1) of an OpenAPI document: a folder for each tag, a request for each example of a success.

Requests keep what they make in variables, so that the collection can be run from its beginning to its end.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from dataflow.web.openapi.description import JSON, SUCCESS

SCHEMA: Final = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
MULTIPART: Final = "multipart/form-data"
#: The file of a form, in the working directory of who runs the collection.
FILE: Final = "contacts.csv"
#: Notes where something new is, and holds the status to the document.
_SCRIPT: Final = """const [name, id] = (pm.response.headers.get("Location") || "").split("?")[0].split("/").slice(-2);
if (pm.response.code < 300 && id) pm.collectionVariables.set(name.replace(/s$/, "Id"), id);
pm.test("the status is a described one", () => pm.expect({statuses}).to.include(pm.response.code));"""


_ORDER: Final = ("POST", "OPTIONS", "HEAD", "GET", "PATCH", "DELETE")


def collection(document: Mapping[str, Any], base_url: str) -> dict[str, Any]:
    """
    :param base_url: where the service is; a variable, which whoever uses the collection may change.
    """
    folders: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document["tags"]}
    variables = {"baseUrl": base_url, "key": ""}
    for path, item in document["paths"].items():
        for method, said in item.items():
            if method != "servers":
                folders[said["tags"][0]] += _requests(method.upper(), path, said)
                variables |= {_kept(path): "" for _ in _ids(said)}
    return {
        "info": {"name": document["info"]["title"], "description": document["info"]["description"], "schema": SCHEMA},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{key}}", "type": "string"}]},
        "variable": [{"key": name, "value": value} for name, value in variables.items()],
        "item": [
            {"name": tag["name"], "description": tag["description"], "item": _in_order(folders[tag["name"]])}
            for tag in document["tags"]
            if folders[tag["name"]]
        ],
    }


def _in_order(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What makes something before what needs it; what ends it last, but before what would wait for its end."""
    return sorted(requests, key=_place)


def _place(item: dict[str, Any]) -> tuple[bool, int, int, bool]:
    method, url = item["request"]["method"], item["request"]["url"]
    return method == "DELETE", len(url["variable"]), _ORDER.index(method), url["path"][-1] == "cancel"


def _requests(method: str, path: str, said: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One for each type of body that has an example."""
    content = said.get("requestBody", {}).get("content", {})
    bodies = [
        (media_type, media["examples"][SUCCESS]["value"])
        for media_type, media in content.items()
        if SUCCESS in media.get("examples", {})
    ]
    script = _SCRIPT.replace("{statuses}", json.dumps([int(status) for status in said["responses"] if status < "5"]))
    for media_type, value in bodies or [("", None)]:
        request: dict[str, Any] = {
            "method": method,
            "header": [*_headers(said, media_type)],
            "url": _url(path, said),
            "description": said.get("description", said["summary"]),
        }
        if media_type:
            request["body"] = _body(media_type, value)
        if not said["security"]:
            request["auth"] = {"type": "noauth"}
        name = f"{said['summary']} ({media_type})" if len(bodies) > 1 else said["summary"]
        event = {"listen": "test", "script": {"type": "text/javascript", "exec": script.splitlines()}}
        yield {"name": name, "event": [event], "request": request, "response": []}


def _headers(said: Mapping[str, Any], media_type: str) -> Iterator[dict[str, Any]]:
    if media_type and media_type != MULTIPART:
        yield {"key": "Content-Type", "value": media_type}
    yield from _parameters(said, "header")


def _url(path: str, said: Mapping[str, Any]) -> dict[str, Any]:
    query = [*_parameters(said, "query")]
    given = "&".join(f"{each['key']}={each['value']}" for each in query if not each["disabled"])
    segments = [f":{part[1:-1]}" if part.startswith("{") else part for part in path.strip("/").split("/")]
    variables = [{**each, "value": f"{{{{{_kept(path)}}}}}"} for each in _ids(said)]
    variables += [each for each in _parameters(said, "path") if each["key"] not in {own["key"] for own in variables}]
    return {
        "raw": f"{{{{baseUrl}}}}/{'/'.join(segments)}{'?' * bool(given)}{given}",
        "host": ["{{baseUrl}}"],
        "path": segments,
        "query": query,
        "variable": variables,
    }


def _ids(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of a path that name what another request has made."""
    return [
        {"key": each["name"], "value": ""}
        for each in said["parameters"]
        if each["in"] == "path" and each["schema"].get("format") == "uuid"
    ]


def _kept(path: str) -> str:
    """The variable for what is at a path: jobId for /jobs/{jobId}."""
    return f"{path.split('/')[1].removesuffix('s')}Id"


def _parameters(said: Mapping[str, Any], place: str) -> Iterator[dict[str, Any]]:
    """Those without an example are there, and not sent."""
    for each in said["parameters"]:
        if each["in"] == place:
            example = each.get("examples", {}).get(SUCCESS)
            yield {
                "key": each["name"],
                "value": "" if example is None else str(example["value"]),
                "description": each.get("description", ""),
                "disabled": example is None,
            }


def _body(media_type: str, value: Any) -> dict[str, Any]:
    if media_type == MULTIPART:
        fields = [{"key": name, "value": each, "type": "text"} for name, each in value.items() if name != "file"]
        return {"mode": "formdata", "formdata": [{"key": "file", "type": "file", "src": FILE}, *fields]}
    if media_type == JSON:
        text, language = json.dumps(value, indent=2), "json"
    else:
        text, language = value, "text"
    return {"mode": "raw", "raw": text, "options": {"raw": {"language": language}}}
