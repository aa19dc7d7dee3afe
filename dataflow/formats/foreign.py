"""Well-known formats that are not read, told by how they begin, each with what to do about it."""

import json
from typing import Final

from dataflow.errors import UnsupportedMediaType
from dataflow.formats.signatures import ANY_PART, CERTAIN, OLE2, PARTS
from dataflow.formats.text_signatures import TEXTS

SEND: Final = "Send JSON, NDJSON, CSV, vCard or XLSX"
#: The error message of a program has at least one of these members, and else only those below; without case.
_ERROR_MEMBERS: Final = frozenset(
    ("error", "errors", "message", "detail", "error_description", "errormessage", "error_message", "fault")
)
_ERROR_MEMBERS_TOO: Final = frozenset(
    ("code", "status", "statuscode", "status_code", "errorcode", "error_code", "success", "ok", "type", "title", "path",
     "instance", "timestamp", "requestid", "request_id", "traceid", "trace_id", "documentation_url", "details", "hint",
     "msg", "reason", "data", "result", "correlationid", "category", "subcategory", "context", "links", "fields")
)  # fmt: skip
_MAX_ERROR_BYTES: Final = 16 * 1024


def refuse_certain(head: bytes, text: bytes) -> None:
    """Refuse a content that begins as no format does that is read.

    :param text: `head` in UTF-8, without white space before it.
    :raises UnsupportedMediaType: naming the format.
    """
    if head.startswith(OLE2):
        parts = (facts for name, facts in PARTS.items() if name.encode("utf-16-le") in head)
        raise _refusal(*next(parts, ANY_PART))
    for pattern, what, advice in CERTAIN:
        if pattern.match(head) or pattern.match(text):
            raise _refusal(what, advice)
    if text.startswith((b"{", b"[")) and len(text) <= _MAX_ERROR_BYTES and _tells_of_error(text):
        raise _refusal("the error message of a program, in JSON", "Sign in there, and export the contacts again.")


def named(text: bytes) -> UnsupportedMediaType | None:
    """The refusal of a text in which no table was found, by its beginning without white space before it."""
    found = (_refusal(what, advice) for pattern, what, advice in TEXTS if pattern.match(text))
    return next(found, None)


def _tells_of_error(text: bytes) -> bool:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    # Some answer with a list of errors.
    answers = found if isinstance(found, list) else [found]
    return bool(answers) and all(map(_is_error, answers))


def _is_error(answer: object) -> bool:
    if not isinstance(answer, dict):
        return False
    members = frozenset(map(str.casefold, answer))
    return (
        bool(members & _ERROR_MEMBERS)
        and not (members - _ERROR_MEMBERS - _ERROR_MEMBERS_TOO)
        and not isinstance(answer.get("data"), list)
    )


def _refusal(what: str, advice: str) -> UnsupportedMediaType:
    return UnsupportedMediaType(f"This is {what}. {advice} {SEND}.")
