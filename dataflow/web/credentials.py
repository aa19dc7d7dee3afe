"""What a request carries as its key or token; whether it is worth anything is left to `auth`."""

from dataclasses import dataclass, field

from flask import request

from dataflow.errors import Unauthorized
from dataflow.web.parameters import TOKEN


@dataclass(frozen=True, slots=True)
class Credential:
    text: str = field(repr=False)
    is_in_query: bool = False  #: where only tokens may be, which end soon: addresses are kept by browsers and proxies


def credential() -> Credential | None:
    """:raises Unauthorized: when there are several that differ."""
    in_headers = {text for text in (_bearer(), request.headers.get("X-API-Key", "").strip()) if text}
    in_query = {text for text in request.args.getlist(TOKEN) if text}
    found = in_headers | in_query
    if len(found) > 1:
        raise Unauthorized("The request has keys or tokens that differ. Send one: Authorization: Bearer, or X-API-Key.")
    return Credential(found.pop(), is_in_query=bool(in_query)) if found else None


def _bearer() -> str:
    """By hand: werkzeug takes a key with = in the middle for parameters."""
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else ""
