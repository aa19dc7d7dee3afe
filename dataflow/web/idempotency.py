"""The header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07): its syntax, and whose a key is."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from flask import request

from dataflow.errors import RequestError
from dataflow.imports.idempotency import NO_KEY, AnswerOf, Claim
from dataflow.queue.idempotency import Key
from dataflow.web.caller import caller
from dataflow.web.services import services

MAX_CHARACTERS: Final = 255
#: A String of RFC 8941, and what clients send instead: printable ASCII without what a String or a list is made of.
_STRING: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE: Final = re.compile(r"[!#-+\--:<-\[\]-~]+")
#: Of the header, for its description.
PATTERN: Final = f"^({_STRING.pattern}|{_BARE.pattern})$"


@contextmanager
def claimed(route: str, facts: object, answer_of: AnswerOf) -> Iterator[Claim]:
    """The key of the request for as long as the block lasts, if it has one.

    :param facts: what a request has in common with the one that it repeats, as JSON can hold it.
    :raises RequestError: when the key is malformed, in use, or was sent with other facts.
    """
    key = _key()
    if key is None:
        yield NO_KEY
        return
    with services().idempotency_keys.claim(Key(_scope(), route, key), facts, answer_of) as claim:
        yield claim


def _scope() -> str:
    """Whose the key is. Where nobody is known they are everybody's: a phone that sends again has another address."""
    scope = caller().scope
    return "anybody" if scope.startswith("address:") else scope


def _key() -> str | None:
    header = request.headers.get("Idempotency-Key")
    if header is None:
        return None
    text = header.strip(" \t")
    if quoted := _STRING.fullmatch(text):
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    elif not _BARE.fullmatch(text):
        raise RequestError(
            'Idempotency-Key is malformed: send one key of printable ASCII in double quotes, as "8e03978e", once.'
        )
    if not 1 <= len(text) <= MAX_CHARACTERS:
        raise RequestError(f"Idempotency-Key has {len(text)} characters; send 1 to {MAX_CHARACTERS}.")
    return text
