"""GET /openapi.json, /postman.json: the service described, for programs."""

from typing import Any, Final

from flask import Blueprint, current_app, request

from dataflow.web import links
from dataflow.web.openapi import document, postman
from dataflow.web.openapi.description import JSON, Answer, described

blueprint = Blueprint("openapi", __name__)

_KEPT: Final = "dataflow.openapi"


@blueprint.get("/openapi.json")
@described(
    "This document",
    {200: Answer("OpenAPI 3.1.", {JSON: ({"type": "object"}, None)})},
    is_open=True,
    uses_database=False,
)
def show() -> dict[str, Any]:
    return served()


@blueprint.get("/postman.json")
@described(
    "The same as a Postman collection",
    {200: Answer("Postman v2.1.", {JSON: ({"type": "object"}, None)})},
    is_open=True,
    uses_database=False,
)
def collect() -> dict[str, Any]:
    return postman.collection(served(), f"{request.scheme}://{request.host}{request.script_root}")


def served() -> dict[str, Any]:
    """The document for who sends the request; it is built once, when somebody asks for it."""
    if _KEPT not in current_app.extensions:
        current_app.extensions[_KEPT] = document.build(current_app)
    return document.served(current_app.extensions[_KEPT], current_app, request.script_root, links.is_below_v1())
