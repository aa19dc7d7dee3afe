"""POST /tokens: a token for a browser, which sends imports of one source with it for a while."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flask import Blueprint
from flask.typing import ResponseReturnValue
from marshmallow import Schema
from marshmallow import fields as typed
from werkzeug.exceptions import NotFound

from dataflow.contacts.schema import check_source_text
from dataflow.errors import RequestError
from dataflow.imports.option_kinds import Number
from dataflow.imports.options import OptionsSchema
from dataflow.web import json_body, parameters
from dataflow.web.answers.others import TokenShownSchema
from dataflow.web.caller import caller
from dataflow.web.openapi import errors, examples
from dataflow.web.openapi.description import JSON, SUCCESS, Body, described, json_answer
from dataflow.web.openapi.headers import CACHE_CONTROL
from dataflow.web.services import services

blueprint = Blueprint("tokens", __name__)

_EXAMPLE: Final = '{"source": "shop", "expiresSeconds": 3600}'
#: A line of an address takes twice that.
MAX_TOKEN_CHARACTERS: Final = 4096


class TokenSchema(Schema):
    source = typed.String(required=True, validate=check_source_text)
    expiresSeconds = Number(7 * 24 * 3600, lowest=1, load_default=3600)  # noqa: N815 - as clients write it
    maxBytes = Number(2**53, lowest=1)  # noqa: N815
    options = typed.Dict(load_default=dict)


_TOKEN, _OPTIONS, _NO_OPTIONS = TokenSchema(), OptionsSchema(exclude=["source"]), Schema()
_SHOWN: Final = TokenShownSchema()


@blueprint.post("/tokens")
@described(
    "A token for a browser, which sends imports of one source with it for a while",
    {201: json_answer("The token, which is not kept here.", TokenShownSchema, examples.TOKEN, [CACHE_CONTROL])},
    body=Body({JSON: (TokenSchema, {SUCCESS: {"source": examples.SOURCE, "expiresSeconds": 3600}})}),
    errors=["not_found", "request_entity_too_large", *errors.OF_BODIES],
    uses_database=False,
)
def create() -> ResponseReturnValue:
    """Whoever has it may send imports with these options, and see, cancel and revert their jobs."""
    parameters.read(_NO_OPTIONS, parameters.query())
    tokens = services().tokens
    if not tokens.are_possible:
        raise NotFound("There are no tokens without API_KEYS or a TOKEN_SECRET.")
    wanted = parameters.read(_TOKEN, json_body.read(_EXAMPLE))
    caller().check_options({"source": wanted["source"]})
    options = parameters.read(_OPTIONS, _as_text(wanted["options"]))
    expires_at = datetime.now(UTC) + timedelta(seconds=wanted["expiresSeconds"])
    token = tokens.make(caller().created_by or "", wanted["source"], options, wanted.get("maxBytes", 0), expires_at)
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise RequestError(
            f"The token would have {len(token)} characters, and an address takes {MAX_TOKEN_CHARACTERS}: "
            "give it shorter options."
        )
    answer = {"token": token, "expires_at": expires_at, "source": wanted["source"]}
    return _SHOWN.of(answer), 201, {"Cache-Control": "no-store"}


def _as_text(options: dict[str, Any]) -> dict[str, Any]:
    """As a query has them: `mapping` is JSON there."""
    return {name: json.dumps(value) if isinstance(value, dict) else value for name, value in options.items()}
