"""Signed tokens (HS256 JWT), with the messages the real server has for those it refuses."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any


class TokenRefused(Exception):
    """Its text is the server's message."""


def make(secret: str, claims: Mapping[str, Any]) -> str:
    head = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    signed = f"{head}.{_encode(json.dumps(claims).encode())}"
    return f"{signed}.{_signature(secret, signed)}"


def key(secret: str, role: str, expires_in_seconds: float) -> str:
    """An API key as Supabase makes them; with a negative `expires_in_seconds` one that has expired."""
    now = int(time.time())
    return make(secret, {"iss": "supabase", "role": role, "iat": now, "exp": now + int(expires_in_seconds)})


def verify(secret: str, token: str) -> dict[str, Any]:
    """The claims of a token.

    :raises TokenRefused: when it is none, somebody else's, or has expired.
    """
    signed, _, signature = token.rpartition(".")
    claims = _claims(signed)
    if not hmac.compare_digest(signature.encode(), _signature(secret, signed).encode()):
        raise TokenRefused("signature verification failed")
    if claims.get("exp", time.time() + 1) <= time.time():
        raise TokenRefused('"exp" claim timestamp check failed')
    return claims


def _claims(signed: str) -> dict[str, Any]:
    try:
        head, payload = (json.loads(_decode(part)) for part in signed.split("."))
        if head["alg"] == "HS256" and isinstance(payload, dict):
            return payload
    except (ValueError, LookupError, TypeError):
        pass
    raise TokenRefused("Invalid Compact JWS")


def _signature(secret: str, signed: str) -> str:
    return _encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
