"""The OpenAPI document of an application: each route of its url_map as the route's view describes it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from flask import Flask
from werkzeug.routing import Rule

from dataflow import __version__
from dataflow.settings.api_keys import parse
from dataflow.web.answers.errors import ErrorSchema
from dataflow.web.openapi import description, texts
from dataflow.web.openapi.components import Components
from dataflow.web.openapi.description import Description
from dataflow.web.openapi.errors import code_schema
from dataflow.web.openapi.operation import Operation, Place

V1: Final = "/v1"
#: What Flask adds by itself; a view that describes one of them has its own.
_AUTOMATIC: Final = ("HEAD", "OPTIONS")


def build(app: Flask) -> dict[str, Any]:
    """All but the servers, which `served` adds for a request.

    :raises LookupError: for a route without a description.
    """
    info = {"description": texts.INFO, "license": {"name": "MIT", "identifier": "MIT"}, "summary": texts.SUMMARY}
    components = Components(title="DataFlow", version=__version__, info=info, tags=texts.TAGS)
    components.spec.components.schema("Error", schema=ErrorSchema)
    components.spec.components.schema("ErrorCode", component=code_schema())
    for name, scheme in texts.SECURITY.items():
        components.spec.components.security_scheme(name, scheme)
    for name, header in texts.HEADERS.items():
        components.spec.components.header(name, header)
    has_keys = bool(parse(app.extensions["dataflow"].config.api_keys))
    paths: dict[str, dict[str, Any]] = {}
    for rule, method, said in _described(app):
        place = Place.of(rule, method)
        paths.setdefault(place.path, {})[method.lower()] = Operation(components, place, said, has_keys).as_json()
    for path, operations in paths.items():
        components.spec.path(path=path, operations=operations)
    return components.spec.to_dict()


def _described(app: Flask) -> Iterator[tuple[Rule, str, Description]]:
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(f"{V1}/"):
            continue
        view = app.view_functions[rule.endpoint]
        for method in sorted(rule.methods or ()):
            said = description.of(view).get(method) if method in _AUTOMATIC else description.find(view, method)
            if said is not None:
                yield rule, method, said
            elif method not in _AUTOMATIC:
                raise LookupError(f"{method} {rule.rule} says nothing of itself: decorate its view with @described.")


def served(document: Mapping[str, Any], app: Flask, root: str, is_below_v1: bool) -> dict[str, Any]:
    """The document for a reader that has asked for it below `root`, which a proxy may have added."""
    plain, versioned = {"url": root or "/"}, {"url": f"{root}{V1}"}
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith(f"{V1}/")]
    both = {Place.of(rule, "").path.removeprefix(V1) for rule in rules}
    paths = {
        path: operations if path in both else {"servers": [plain], **operations}
        for path, operations in document["paths"].items()
    }
    return {**document, "servers": [versioned, plain] if is_below_v1 else [plain, versioned], "paths": paths}
