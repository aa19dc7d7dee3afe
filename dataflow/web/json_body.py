"""A small body of JSON, as a request has it that is no import."""

import json
from typing import Any, Final

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from dataflow.errors import RequestError
from dataflow.web.request_body import RawBody
from dataflow.web.services import services

MAX_BODY_BYTES: Final = 64 * 1024


def read(example: str, is_optional: bool = False) -> dict[str, Any]:
    """The object that the body is; an empty one for no body, if that `is_optional`.

    :raises RequestEntityTooLarge, RequestError: when it is too long, or no object of JSON.
    """
    content = _content()
    if is_optional and not content:
        return {}
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The body is not JSON like {example}.") from error
    if not isinstance(found, dict):
        raise RequestError(f"The body is not an object like {example}.")
    return found


def _content() -> bytes:
    content = bytearray()
    body = RawBody(request, services().transfers, services().config.upload_stall_seconds)
    try:
        _check_size(request.content_length or 0)
        for piece in body.pieces():
            content += piece
            _check_size(len(content))
    finally:
        body.close()
    return bytes(content)


def _check_size(size_bytes: int) -> None:
    if size_bytes > MAX_BODY_BYTES:
        raise RequestEntityTooLarge(f"The body may have {MAX_BODY_BYTES} bytes.")
