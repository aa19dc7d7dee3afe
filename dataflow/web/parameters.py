"""What a client asks for in query and headers."""

from typing import Any, Final
from urllib.parse import unquote_to_bytes

from flask import request
from marshmallow import Schema, ValidationError

from dataflow.errors import Issue, RequestError
from dataflow.imports.option_names import kebab_case
from dataflow.imports.options import OptionsSchema

_HEADERS: Final = {f"X-{kebab_case(name)}".title(): name for name in OptionsSchema().fields}


def read(schema: Schema, values: dict[str, str]) -> dict[str, Any]:
    """`values` as `schema` has them.

    :raises RequestError: with an issue for each that is unknown or wrong.
    """
    try:
        loaded: dict[str, Any] = schema.load(values)
    except ValidationError as error:
        issues = [Issue((name,), " ".join(texts)) for name, texts in error.messages_dict.items()]
        named = "; ".join(f"{issue.path[0]}: {issue.message}" for issue in issues)
        raise RequestError(f"Invalid parameters: {named}", issues) from error
    return loaded


#: Known everywhere, for what cannot send headers: links, downloads and EventSource. `credentials` reads it.
TOKEN: Final = "token"  # noqa: S105 - its name


def query() -> dict[str, str]:
    """The query parameters but TOKEN.

    :raises RequestError: when one is given twice, or is not UTF-8.
    """
    try:
        # werkzeug would take what it cannot decode as it is written: caf%E9.
        unquote_to_bytes(request.query_string).decode()
    except UnicodeDecodeError as error:
        raise RequestError("The query is not UTF-8. Percent-encode its parameters as UTF-8.") from error
    for name, values in request.args.lists():
        if len(values) > 1:
            raise RequestError(f"The query parameter {name} is given {len(values)} times; give it once.")
    return {name: value for name, value in request.args.items() if name != TOKEN}


def import_headers() -> dict[str, str]:
    """The options among the headers, under their own names: X-On-Conflict is onConflict."""
    return {name: _as_utf8(header) for header, name in _HEADERS.items() if header in request.headers}


def _as_utf8(header: str) -> str:
    """A header's text: clients send UTF-8, WSGI hands it over as latin-1 (PEP 3333)."""
    try:
        return request.headers[header].encode("latin-1").decode()
    except UnicodeDecodeError as error:
        raise RequestError(f"The header {header} is not UTF-8.") from error
