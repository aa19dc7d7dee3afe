"""The kinds of settings: what each environment variable may hold. Reading them is left to `environment`."""

import binascii
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import field
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, validate

Check = Callable[[str], object]


def setting(kind: str, default: object, check: Callable[[Any], object] | None = None, secret: bool = False) -> Any:
    """A field of `Config`: `kind` is a parser of environs, `check` a validator of marshmallow."""
    return field(repr=not secret, metadata={"kind": kind, "default": default, "check": check})


def whole(default: int, least: int, most: int | None = None) -> Any:
    return setting("int", default, validate.Range(least, most))


def text(default: str = "", check: Check | None = None, secret: bool = False) -> Any:
    return setting("str", default, check, secret)


def flag(default: bool) -> Any:
    return setting("bool", default)


def matching(default: str, pattern: str, error: str) -> Any:
    return text(default, validate.Regexp(rf"(?:{pattern})\Z", re.ASCII, error=error))


def check_database_url(value: str) -> None:
    if not value.startswith(("postgres://", "postgresql://")):
        raise ValidationError("must begin with postgres:// or postgresql://.")


def check_web_url(value: str) -> None:
    if not _is_web_url(value):
        raise ValidationError("must be a URL with http:// or https:// and a host, without a user or a query.")


#: A name of labels (RFC 1123, and what people do), or an IPv6 address.
_HOST = re.compile(r"[\w-]{1,63}(\.[\w-]{1,63})*\.?|[0-9a-f:.]+", re.ASCII)


def _is_web_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and _HOST.fullmatch(parts.hostname or "") and (parts.port or 1)
    except ValueError:
        return False
    # Paths are appended to it, and it is shown: nothing may follow the path, and nobody's password be in it.
    return bool(usable) and value.isprintable() and not set(value) & set(" ?#@")


#: What may stand in a Content-Type header before its parameters.
MEDIA_TYPE = r"[\w.+-]{1,100}/[\w.+-]{1,100}"


def check_service_key(value: str) -> None:
    """As far as possible offline: a header can carry the key, and it is not the one for browsers."""
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValidationError("must be one line of ASCII without spaces.")
    claims = _claims(value)
    if claims is not None and not claims.get("role"):
        raise ValidationError("this token names no role, so it may not write; take the service_role key.")
    if value.startswith("sb_publishable_") or (claims or {}).get("role") in ("anon", "authenticated"):
        raise ValidationError("this is the key for browsers, which may not write; take the service_role key.")


def _claims(key: str) -> dict[str, Any] | None:
    """The claims of a key that is a JWT (RFC 7519), unverified; None for any other."""
    try:
        claims = json.loads(urlsafe_b64decode(key.split(".")[1] + "=="))
    except (IndexError, ValueError, RecursionError, binascii.Error):
        return None
    return claims if isinstance(claims, dict) else None
