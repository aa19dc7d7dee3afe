"""Schemas of marshmallow as parts of an OpenAPI document: schemas by name, and parameters of query, header and path."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Final

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema

from dataflow.imports.option_kinds import MappingText
from dataflow.imports.option_names import kebab_case
from dataflow.web.openapi import errors, texts
from dataflow.web.openapi.description import Header

VERSION: Final = "3.1.0"


class Components:
    """What the operations of one document share."""

    def __init__(self, **info: Any) -> None:
        plugin = MarshmallowPlugin(schema_name_resolver=_name)
        self.spec = APISpec(openapi_version=VERSION, plugins=[plugin], **info)
        assert plugin.converter and plugin.resolver  # noqa: S101 - tells mypy what APISpec has done
        self._converter, self._resolver = plugin.converter, plugin.resolver
        self._errors: dict[str, list[tuple[object, ...]]] = {}
        self._converter.map_to_openapi_type(MappingText, "string", None)  # type: ignore[no-untyped-call]

    def schema(self, given: Any) -> dict[str, Any]:
        """A reference to a schema of marshmallow, or what is a JSON schema already."""
        # It changes what it is given.
        given = deepcopy(given) if isinstance(given, dict) else given
        found: dict[str, Any] = self._resolver.resolve_schema_dict(given)  # type: ignore[no-untyped-call]
        return found

    def error(self, status: int, codes: Sequence[str], has_body: bool) -> dict[str, str]:
        """A reference to the answer of these errors, which several routes may have."""
        name, same = f"{errors.name_of(status)}{'' if has_body else 'Head'}", (status, *codes)
        known = self._errors.setdefault(name, [])
        if same not in known:
            known.append(same)
            self.spec.components.response(
                _numbered(name, known, same), errors.response(status, codes, texts.SHARED_HEADERS, has_body)
            )
        return {"$ref": f"#/components/responses/{_numbered(name, known, same)}"}

    def query(self, given: type[Schema] | None) -> list[dict[str, Any]]:
        return self._parameters(given, "query")

    def header_options(self, given: type[Schema] | None) -> list[dict[str, Any]]:
        """The members of a schema as headers: X-On-Conflict for onConflict."""
        return [{**each, "name": f"X-{kebab_case(each['name'])}".title()} for each in self._parameters(given, "header")]

    def _parameters(self, given: type[Schema] | None, place: str) -> list[dict[str, Any]]:
        if given is None:
            return []
        found = self._converter.schema2parameters(given(), location=place)
        return [{**each, "schema": _without_null(each["schema"])} for each in found]


def headers_in(headers: Sequence[Header]) -> list[dict[str, Any]]:
    """Of a request."""
    return [
        {
            "in": "header",
            "name": each.name,
            "required": each.is_required,
            "description": each.text,
            "schema": dict(each.schema),
        }
        for each in headers
    ]


def headers_out(headers: Sequence[Header]) -> dict[str, Any]:
    """Of an answer."""
    return {
        each.name: {"description": each.text, "schema": dict(each.schema), "required": each.is_required}
        for each in headers
    }


def _numbered(name: str, known: Sequence[object], one: object) -> str:
    return f"{name}{known.index(one) + 1}" if known.index(one) else name


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Of a parameter: it is left out, and never null."""
    kind = schema.get("type")
    kinds = [each for each in kind if each != "null"] if isinstance(kind, list) else [kind]
    plain = {name: value for name, value in schema.items() if name != "type" and (name, value) != ("default", None)}
    return {"type": kinds[0], **plain} if kinds[0] else plain


def _name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return str(kind.__name__).removesuffix("Schema")
