"""POST /import/preview: what POST /import would make of a body, answered as soon as its first MiB is here."""

from flask import Blueprint, Request, Response, jsonify, request

from dataflow import preview
from dataflow.errors import TooManyUploads
from dataflow.web import services
from dataflow.web.bodies import RawBody
from dataflow.web.imports import BUSY_LINGER_SECONDS, LINGER_SECONDS, describe, let_the_client_finish

blueprint = Blueprint("preview", __name__)


@blueprint.post("/import/preview")
def show() -> Response:
    """How the body would be read, and its first rows; no job comes of it."""
    # The request itself and not its proxy: the rest of the body is read when the proxy has nothing behind it.
    incoming: Request = request._get_current_object()  # type: ignore[attr-defined]
    body = RawBody(incoming, services().config.upload_stall_seconds)
    linger_seconds = LINGER_SECONDS
    try:
        arrival = describe(incoming, body)
        # A slow client would hold a thread for its MiB as for any other.
        with services().upload_slots.slot():
            return jsonify(preview.look_at(arrival, services().config))
    except TooManyUploads:
        linger_seconds = BUSY_LINGER_SECONDS
        raise
    finally:
        let_the_client_finish(body, linger_seconds)
