"""The answers of errors as OpenAPI has them: each status with the codes that stand under it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from dataflow.error_codes import CODES, Code
from dataflow.web.openapi.description import JSON

#: What werkzeug and gunicorn answer by themselves.
OF_HTTP: Final = {
    "bad_request": Code(400, "The request is not HTTP as it has to be."),
    "uri_too_long": Code(414, "The first line of the request has more than 8190 bytes."),
    "request_header_fields_too_large": Code(431, "A header has more than 8190 bytes, or there are more than 100."),
    "expectation_failed": Code(417, "Expect asks for what there is not."),
    "not_implemented": Code(501, "Transfer-Encoding names none that is known."),
    "not_found": Code(404, "There is nothing under this path."),
    "method_not_allowed": Code(405, "The path is there, and not for this method: see Allow."),
    "request_entity_too_large": Code(413, "The body is larger than this route takes."),
}
ALL_CODES: Final[Mapping[str, Code]] = {**OF_HTTP, **CODES}

#: Of all routes: whatever is asked for, and in whatever state the service is.
SHARED: Final = (
    *("invalid_request", "foreign_host", "foreign_origin", "rate_limited", "internal_error"),
    *("bad_request", "uri_too_long", "request_header_fields_too_large", "expectation_failed", "not_implemented"),
)
#: Where no route was reached, so that the answer has none of their headers.
OF_THE_SERVER: Final = (400, 414, 417, 431, 501)
OF_CALLERS: Final = ("unauthorized", "token_expired", "forbidden")
OF_THE_DATABASE: Final = (
    *("database_error", "database_unavailable", "too_many_connections", "database_outdated", "statement_cancelled"),
)
OF_THE_STORAGE: Final = (
    *("storage_error", "storage_unavailable", "storage_denied", "bucket_missing", "object_missing"),
)
#: Of whatever brings a body that is long.
OF_BODIES: Final = (
    *("incomplete_body", "upload_stalled", "upload_displaced", "upload_cut", "too_many_uploads", "upload_too_large"),
)
#: Of a file that is looked at when it comes.
OF_CONTENTS: Final = (
    *("malformed_input", "row_too_large", "expands_too_far", "takes_too_long", "sheet_not_found", "missing_columns"),
    *("ambiguous_columns", "no_contacts", "invalid_contacts", "unsupported_media_type"),
)
OF_KEYS: Final = ("idempotency_key_in_use", "idempotency_key_reused")

_RETRY: Final = {
    "description": "After so many seconds another attempt may succeed; where only time helps.",
    "schema": {"type": "integer"},
}
_HEADERS: Final[Mapping[int, Mapping[str, Any]]] = {
    401: {"WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}, "required": True}},
    405: {"Allow": {"description": "The methods that there are.", "schema": {"type": "string"}, "required": True}},
    416: {"Content-Range": {"description": "How long it is.", "schema": {"type": "string"}, "required": True}},
    415: {"Accept-Encoding": {"description": "If that is what is wrong.", "schema": {"type": "string"}}},
    **{status: {"Retry-After": _RETRY} for status in (408, 409, 423, 429, 503)},
}


def by_status(codes: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for code in dict.fromkeys(codes):
        found[ALL_CODES[code].status].append(code)
    return dict(sorted(found.items()))


def name_of(status: int) -> str:
    """Such as NotFound; the status of tus is nobody else's."""
    return "ChecksumMismatch" if status == 460 else HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def response(status: int, codes: Iterable[str], headers: Mapping[str, Any], has_body: bool) -> dict[str, Any]:
    named = [*codes]
    lines = [f"- `{code}`: {ALL_CODES[code].meaning}" for code in named]
    schema = {
        "allOf": [{"$ref": "#/components/schemas/Error"}],
        "properties": {"code": {"enum": named}, "status": {"const": status}},
    }
    examples = {code: {"value": example(code)} for code in named}
    shared = {} if status in OF_THE_SERVER else headers
    found = {"description": "\n".join(lines), "headers": {**shared, **_HEADERS.get(status, {})}}
    return {**found, "content": {JSON: {"schema": schema, "examples": examples}}} if has_body else found


def example(code: str) -> dict[str, Any]:
    return {"error": ALL_CODES[code].meaning, "code": code, "status": ALL_CODES[code].status}


def code_schema() -> dict[str, Any]:
    """All codes, those that only jobs have included."""
    lines = [
        f"- `{code}` ({known.status}{', retryable' if known.retryable else ''}): {known.meaning}"
        for code, known in sorted(ALL_CODES.items())
    ]
    text = "What is wrong, of an answer or of a job.\n\n" + "\n".join(lines)
    return {"type": "string", "description": text, "enum": sorted(ALL_CODES)}
