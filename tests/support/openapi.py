"""The OpenAPI document as its readers have it: whether an answer is one that it describes, and its example requests."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jsonschema_rs
import requests

from dataflow.config import Config
from dataflow.web.app import create_app
from dataflow.web.openapi import document

MULTIPART = "multipart/form-data"
_HERE = "urn:document"
#: A whole table that is exported would take minutes.
MAX_LOOKED_AT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Example:
    """A request that the document shows, and the status under which it stands."""

    method: str
    path: str  #: a template: /jobs/{jobId}
    name: str
    status: int
    media_type: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of `requests`."""
        if self.media_type == MULTIPART:
            fields = {name: str(value) for name, value in self.body.items() if name != "file"}
            sent: dict[str, Any] = {"files": {"file": ("contacts.csv", self.body["file"])}, "data": fields}
            return {**sent, "params": self.query, "headers": self.headers}
        headers = {**self.headers, **({"Content-Type": self.media_type} if self.media_type else {})}
        text = self.body if isinstance(self.body, str | None) else json.dumps(self.body)
        return {"data": (text or "").encode(), "params": self.query, "headers": headers}


class Described:
    def __init__(self, found: Mapping[str, Any]) -> None:
        self.document = found
        self._templates = [
            (re.compile(re.sub(r"\\{.*?\\}", "[^/]+", re.escape(path))), path, item)
            for path, item in found["paths"].items()
        ]
        self._validators: dict[str, Any] = {}
        self._registry = jsonschema_rs.Registry([(_HERE, {"components": found["components"]})])

    def operations(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Method, path and what is said of it."""
        for path, item in self.document["paths"].items():
            yield from ((method.upper(), path, said) for method, said in item.items() if method != "servers")

    def find(self, method: str, path: str) -> Mapping[str, Any] | None:
        """The operation that a request is about; HEAD is GET where nothing else is said."""
        whole = path.partition("?")[0]
        plain = whole.removeprefix("/v1")
        for pattern, _, item in self._templates:
            # Those with a server of their own are there once only.
            if pattern.fullmatch(whole if "servers" in item else plain):
                found = item.get(method.lower()) or (item.get("get") if method == "HEAD" else None)
                if found:
                    return found  # type: ignore[no-any-return]
        return None

    def resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in node:
            found: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def check_answer(self, method: str, path: str, answer: requests.Response, arguments: Mapping[str, Any]) -> None:
        """The same of any request of a test, but for what is answered before a route is looked for."""
        asked = {name.lower() for name in arguments.get("headers") or ()}
        if not asked & {"access-control-request-method", "x-http-method-override"}:
            self.check(method, path, answer, has_body=not arguments.get("stream"))

    def check(self, method: str, path: str, answer: requests.Response, has_body: bool = True) -> None:
        """Whether the answer is one that the document describes, if it has that route."""
        operation = self.find(method, path)
        if operation is None:
            return
        what = f"{method} {path} -> {answer.status_code} {answer.content[:500] if has_body else b''!r}"
        assert str(answer.status_code) in operation["responses"], f"{what}: no such status is described"
        response = self.resolved(operation["responses"][str(answer.status_code)])
        for name, header in response.get("headers", {}).items():
            assert name in answer.headers or not self.resolved(header).get("required"), f"{what}: {name} is missing"
        if method != "HEAD" and has_body:
            self._check_content(response.get("content", {}), answer, what)

    def _check_content(self, content: Mapping[str, Any], answer: requests.Response, what: str) -> None:
        if not content:
            assert not answer.content, what
            return
        media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        assert media_type in content, f"{what}: {media_type} is not described"
        if media_type == "application/json" and len(answer.content) <= MAX_LOOKED_AT_BYTES:
            wrong = [
                f"{each.instance_path}: {each.message}" for each in self.errors(content[media_type], answer.json())
            ]
            assert wrong == [], what

    def errors(self, media: Mapping[str, Any], value: object) -> list[Any]:
        """What is wrong with a value of a media type object."""
        key = json.dumps(media["schema"])
        if key not in self._validators:
            schema = {"$id": "urn:asked", **json.loads(key.replace('"#/', f'"{_HERE}#/'))}
            self._validators[key] = jsonschema_rs.Draft202012Validator(
                schema, validate_formats=True, registry=self._registry
            )
        return [*self._validators[key].iter_errors(value)]

    def examples(self) -> Iterator[Example]:
        """Each request whose examples have one name, and for each type of its body."""
        for method, path, said in self.operations():
            parameters = said["parameters"]
            names = {name: None for each in parameters for name in each.get("examples", {})}
            bodies = [
                (media_type, name, each["value"])
                for media_type, media in said.get("requestBody", {}).get("content", {}).items()
                for name, each in media.get("examples", {}).items()
            ]
            names |= dict.fromkeys(name for _, name, _ in bodies)
            for name in names or {"success": None}:
                of_place = {place: self._values(parameters, place, name) for place in ("path", "query", "header")}
                for media_type, body in [(each[0], each[2]) for each in bodies if each[1] == name] or [("", None)]:
                    yield Example(
                        *(method, path, name, self._status(said, name), media_type),
                        *(of_place["path"], of_place["query"], of_place["header"], body),
                    )

    def _values(self, parameters: list[Any], place: str, name: str) -> dict[str, Any]:
        of_place = [each for each in parameters if each["in"] == place and name in each.get("examples", {})]
        return {each["name"]: each["examples"][name]["value"] for each in of_place}

    def _status(self, said: Mapping[str, Any], name: str) -> int:
        """Under which the example stands; a success may have no body in which to show one."""
        responses = {int(status): self.resolved(response) for status, response in said["responses"].items()}
        named = [
            status
            for status, response in responses.items()
            for media in response.get("content", {}).values()
            if name in media.get("examples", {})
        ]
        return (named or [status for status in sorted(responses) if status < 300])[0]


@cache
def described() -> Described:
    """The service as it is without settings."""
    app = create_app(Config.from_env({}))
    return Described(document.served(document.build(app), app, "", is_below_v1=False))
