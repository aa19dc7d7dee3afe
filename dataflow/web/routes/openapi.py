"""GET /openapi.json, /postman.json: the service described, for programs."""

import json
from functools import lru_cache
from typing import Any, Final

from flask import Blueprint, Flask, Response, current_app, request

from dataflow.web import links, proxies
from dataflow.web.openapi import document, postman
from dataflow.web.openapi.description import JSON, Answer, described

blueprint = Blueprint("openapi", __name__)

#: Places below which it is asked for: by itself, below /v1, and each by a proxy.
_PLACES: Final = 8


@blueprint.get("/openapi.json")
@described(
    "This document",
    {200: Answer("OpenAPI 3.1.", {JSON: ({"type": "object"}, None)})},
    is_open=True,
    uses_database=False,
)
def show() -> Response:
    return Response(_document(*_place()), mimetype=JSON)


@blueprint.get("/postman.json")
@described(
    "The same as a Postman collection",
    {200: Answer("Postman v2.1.", {JSON: ({"type": "object"}, None)})},
    is_open=True,
    uses_database=False,
)
def collect() -> Response:
    return Response(_collection(*_place(), proxies.public_url()), mimetype=JSON)


def _place() -> tuple[Flask, str, bool]:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return app, request.script_root, links.is_below_v1()


# Anybody may ask for them without a key: they are written once.


@lru_cache(_PLACES)
def _document(app: Flask, root: str, is_below_v1: bool) -> bytes:
    return _as_text(document.served(_built(app), app, root, is_below_v1))


@lru_cache(_PLACES)
def _collection(app: Flask, root: str, is_below_v1: bool, base_url: str) -> bytes:
    return _as_text(postman.collection(document.served(_built(app), app, root, is_below_v1), base_url))


@lru_cache(1)
def _built(app: Flask) -> dict[str, Any]:
    return document.build(app)


def _as_text(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
