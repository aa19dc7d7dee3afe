"""Reads what a client asks for in query and headers; anything unknown or wrong is a 400 that names it."""

from typing import Any

from flask import request
from marshmallow import RAISE, Schema, ValidationError, validate
from marshmallow import fields as typed

from dataflow.contacts import check_source_text
from dataflow.errors import InvalidRequest, Issue


class Flag(typed.Field[bool]):
    """`true` or `false` in any case, nothing else: `yes` and `1` are more often mistakes than wishes."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        words = {"true": True, "false": False}
        if str(value).strip().lower() not in words:
            raise ValidationError("Expected true or false")
        return words[str(value).strip().lower()]


class ImportOptions(Schema):
    """The options of an import, wherever they come from."""

    class Meta:
        unknown = RAISE

    source = typed.String(validate=check_source_text)
    useResumable = Flag()  # noqa: N815 - the name that clients write
    onInvalid = typed.String(validate=validate.OneOf(["skip", "abort"], error="Expected skip or abort"))  # noqa: N815


def read(schema: Schema, values: dict[str, str]) -> dict[str, Any]:
    """`values` as `schema` has them.

    :raises InvalidRequest: with an issue for each that is unknown or wrong.
    """
    try:
        loaded: dict[str, Any] = schema.load(values)
    except ValidationError as error:
        issues = [Issue((name,), " ".join(texts)) for name, texts in error.messages_dict.items()]
        named = "; ".join(f"{issue.path[0]}: {issue.message}" for issue in issues)
        raise InvalidRequest(f"Invalid parameters: {named}", issues) from error
    return loaded


def query() -> dict[str, str]:
    """The query parameters.

    :raises InvalidRequest: when one is given twice.
    """
    for name, values in request.args.lists():
        if len(values) > 1:
            raise InvalidRequest(f"The query parameter {name} is given {len(values)} times; give it once.")
    return request.args.to_dict()


def import_headers() -> dict[str, str]:
    """The options that come as headers, under the names of query parameters."""
    names = {"X-Source": "source", "X-Use-Resumable": "useResumable", "X-On-Invalid": "onInvalid"}
    return {name: _as_utf8(header) for header, name in names.items() if request.headers.get(header)}


def _as_utf8(header: str) -> str:
    """A header's text: clients send UTF-8, WSGI hands it over as latin-1 (PEP 3333)."""
    try:
        return request.headers[header].encode("latin-1").decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The header {header} is not UTF-8.") from error
