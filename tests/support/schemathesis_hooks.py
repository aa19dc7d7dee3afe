"""What schemathesis has to be told: bodies that are files are sent as they are, and one key is enough for a request."""

from typing import Any

import schemathesis

TYPES = (
    *("application/offset+octet-stream", "application/x-ndjson", "application/gzip", "text/csv", "text/vcard"),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
)
#: Answers of a service on a machine that is too busy, and no faults.
BUSY = {
    *("database_unavailable", "search_too_slow", "storage_unavailable"),
    *("too_many_uploads", "too_many_exports", "too_many_event_streams", "export_cut"),
}


@schemathesis.hook
def filter_failure(_: Any, failure: Any, case: Any, response: Any) -> bool:
    return response.status_code != 503 or response.json().get("code") not in BUSY


@schemathesis.hook
def before_call(_: Any, case: Any, kwargs: Any) -> None:
    """Else most requests would get no further than that they have several keys which differ."""
    for place, name in ((case.headers, "X-API-Key"), (case.query, "token")):
        if place:
            place.pop(name, None)


@schemathesis.serializer(*TYPES)
def as_it_is(_: Any, value: Any) -> bytes:
    # Some are generated as if they were JSON, to be refused.
    content = getattr(value, "data", value)
    return content if isinstance(content, bytes) else str(content).encode("utf-8", "replace")
