"""One operation of the document: what one method of one route takes and answers."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from werkzeug.routing import Rule

from dataflow.imports.option_names import camel_case
from dataflow.web.auth import is_for_tokens
from dataflow.web.openapi import errors, texts
from dataflow.web.openapi.components import Components, headers_in, headers_out
from dataflow.web.openapi.description import SUCCESS, Answer, Body, Description

_VARIABLE: Final = re.compile(r"<(?:(?P<kind>\w+):)?(?P<name>\w+)>")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an operation is."""

    path: str  #: as OpenAPI writes it: /jobs/{jobId}
    method: str
    view: str  #: jobs.show
    variables: Mapping[str, str]  #: kind by name

    @classmethod
    def of(cls, rule: Rule, method: str) -> Self:
        found = {camel_case(each["name"]): each["kind"] or "string" for each in _VARIABLE.finditer(rule.rule)}
        return cls(
            _VARIABLE.sub(lambda each: f"{{{camel_case(each['name'])}}}", rule.rule),
            method,
            rule.endpoint.partition(":")[2] or rule.endpoint,
            found,
        )


class Operation:
    def __init__(self, components: Components, place: Place, said: Description, has_keys: bool) -> None:
        self._components = components
        self._place = place
        self._said = said
        self._has_keys = has_keys

    def as_json(self) -> dict[str, Any]:
        said, group = self._said, self._place.view.partition(".")[0]
        found: dict[str, Any] = {
            "operationId": self._id(),
            "tags": [texts.TAG_OF.get(group, group)],
            "summary": said.summary,
            "parameters": [self._with_examples(each) for each in self._parameters()],
            "responses": self._responses(),
            "security": self._security(),
        }
        if said.text:
            found["description"] = said.text
        if said.body:
            found["requestBody"] = self._body(said.body)
        return found

    def _id(self) -> str:
        """The view, as there is one for each; but for what Flask would do by itself."""
        place = self._place
        words = place.view.split(".")
        if place.method in ("HEAD", "OPTIONS"):
            words += [*(["one"] if place.variables else []), place.method.lower()]
        return "-".join(words)

    def _parameters(self) -> Iterable[dict[str, Any]]:
        for name, kind in self._place.variables.items():
            schema = {"type": "string", "format": "uuid"} if kind == "uuid" else {"type": "string"}
            yield {"in": "path", "name": name, "required": True, "schema": schema}
        yield from self._components.query(self._said.query)
        yield from self._components.header_options(self._said.header_options)
        yield from headers_in(self._said.headers)

    def _with_examples(self, parameter: dict[str, Any]) -> dict[str, Any]:
        name = parameter["name"]
        values = {
            named: {"value": given.get(name, texts.ANY_ID if parameter["in"] == "path" else None)}
            for named, given in self._said.examples.items()
            if name in given or parameter["in"] == "path"
        }
        return {**parameter, "examples": values} if values else parameter

    def _body(self, body: Body) -> dict[str, Any]:
        content = {}
        for media_type, (schema, examples) in body.content.items():
            content[media_type] = {"schema": self._components.schema(schema)}
            if examples:
                content[media_type]["examples"] = {name: {"value": value} for name, value in examples.items()}
        found: dict[str, Any] = {"required": body.is_required, "content": content}
        return {"description": body.text, **found} if body.text else found

    def _responses(self) -> dict[str, Any]:
        found = {str(status): self._success(answer) for status, answer in self._said.answers.items()}
        is_json = self._place.method != "HEAD"
        for status, codes in errors.by_status(self._codes()).items():
            if str(status) not in found:
                found[str(status)] = self._components.error(status, codes, is_json)
        return dict(sorted(found.items()))

    def _success(self, answer: Answer) -> dict[str, Any]:
        content = {}
        for media_type, (schema, example) in answer.content.items():
            content[media_type] = {"schema": self._components.schema(schema)}
            if example is not None:
                content[media_type]["examples"] = {SUCCESS: {"value": example}}
        found = {"description": answer.text, "headers": {**texts.SHARED_HEADERS, **headers_out(answer.headers)}}
        return {**found, "content": content} if content else found

    def _codes(self) -> Iterable[str]:
        yield from errors.SHARED
        if not self._said.is_open:
            yield from errors.OF_CALLERS
        if self._place.variables:
            yield "not_found"
        if self._said.uses_database:
            yield from errors.OF_THE_DATABASE
        yield from self._said.errors

    def _security(self) -> list[dict[str, list[str]]]:
        if self._said.is_open:
            return []
        ways = ["bearer", "apiKey", *(["token"] if is_for_tokens(self._place.view) else [])]
        needed: list[dict[str, list[str]]] = [{way: []} for way in ways]
        return needed if self._has_keys else [*needed, {}]
