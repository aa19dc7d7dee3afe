"""API_KEYS: the keys that clients send, each with its name and perhaps the sources to which it is limited."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from marshmallow import ValidationError

#: Says openly that there are none.
OPEN: Final = "open"
LEAST_KEY_CHARACTERS: Final = 20
LEAST_SECRET_CHARACTERS: Final = 32
MAX_SOURCE_CHARACTERS: Final = 100
NAME: Final = re.compile(r"[\w.-]{1,50}", re.ASCII)
_KEY: Final = re.compile(rf"[!-+\--9;-{{}}~]{{{LEAST_KEY_CHARACTERS},}}", re.ASCII)
_SEPARATORS: Final = re.compile(r"[\s,]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiKey:
    name: str
    digest: bytes = field(repr=False)  #: of the key, which is not kept: see `digest_of`
    sources: frozenset[str] | None = None  #: None: all


def digest_of(key: str) -> bytes:
    """SHA-256, so that what is compared has one length, and the time that it takes tells nothing of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def parse(value: str) -> tuple[ApiKey, ...]:
    """The keys of a value such as `shop:KEY, crm:KEY:leads|customers`; none when it is empty or `open`.

    :raises ValidationError: with the number of the entry and never its text, any part of which may be a key.
    """
    if value in ("", OPEN):
        return ()
    entries = [entry for entry in _SEPARATORS.split(value) if entry]
    if not entries:
        raise ValidationError(f"has no keys. Leave it unset, or set it to {OPEN}, for a service without.")
    keys = tuple(_read(number, entry) for number, entry in enumerate(entries, 1))
    _check_unique("name", keys, lambda key: key.name)
    _check_unique("key", keys, lambda key: key.digest)
    return keys


def _read(number: int, entry: str) -> ApiKey:
    name, _, rest = entry.partition(":")
    key, has_sources, sources = rest.partition(":")
    if not rest:
        raise ValidationError(f"entry {number} is not name:key or name:key:source|source.")
    if not NAME.fullmatch(name):
        raise ValidationError(f"the name of entry {number} is not 1 to 50 letters, digits and . _ -.")
    if not _KEY.fullmatch(key):
        raise ValidationError(
            f"the key of entry {number} is not {LEAST_KEY_CHARACTERS} or more visible ASCII characters without , : |."
        )
    return ApiKey(name, digest_of(key), _sources(number, sources) if has_sources else None)


def _sources(number: int, text: str) -> frozenset[str]:
    if ":" in text:
        raise ValidationError(f"entry {number} has more than two colons. Write one within a source as %3A.")
    sources = [unquote(source, errors="replace") for source in text.split("|")]
    if not all(map(_is_source, sources)):
        raise ValidationError(
            f"a source of entry {number} is not 1 to {MAX_SOURCE_CHARACTERS} characters, percent-encoded as UTF-8."
        )
    return frozenset(sources)


def _is_source(text: str) -> bool:
    return bool(text.strip()) and len(text) <= MAX_SOURCE_CHARACTERS and "\ufffd" not in text


def _check_unique(what: str, keys: Sequence[ApiKey], part: Callable[[ApiKey], object]) -> None:
    seen: dict[object, int] = {}
    for number, key in enumerate(keys, 1):
        earlier = seen.setdefault(part(key), number)
        if earlier != number:
            raise ValidationError(f"entries {earlier} and {number} have the same {what}.")


def check_api_keys(value: str) -> None:
    parse(value)


def check_key(value: str) -> None:
    if not _KEY.fullmatch(value):
        raise ValidationError(f"must be {LEAST_KEY_CHARACTERS} or more visible ASCII characters without , : |.")


def check_token_secret(value: str) -> None:
    if len(value) < LEAST_SECRET_CHARACTERS:
        raise ValidationError(f"must be {LEAST_SECRET_CHARACTERS} or more random characters.")
