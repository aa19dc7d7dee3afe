"""The header Prefer (RFC 7240): how long a client is willing to wait. What is malformed is ignored, as all it asks."""

import re
from typing import Final

#: Platforms cut a request that has no answer after 30 s.
MAX_WAIT_SECONDS: Final = 25

_TOKEN: Final = r"[\w!#$%&'*+.^`|~-]+"  # noqa: S105 - of RFC 9110
_VALUE: Final = rf'(?:{_TOKEN}|"(?:[^"\\]|\\.)*")'
_PREFERENCE: Final = re.compile(
    rf"[ \t]*(?:(?P<name>{_TOKEN})[ \t]*(?:=[ \t]*(?P<value>{_VALUE})?)?"
    rf"(?:[ \t]*;[ \t]*(?:{_TOKEN}[ \t]*(?:=[ \t]*{_VALUE}?)?)?)*)?[ \t]*(?:,|\Z)",
    re.ASCII,
)
_SECONDS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


def wait_seconds(header: str) -> int:
    """How long to wait for what the client wants, MAX_WAIT_SECONDS at most; 0 when it does not say so."""
    position = 0
    while position < len(header) and (found := _PREFERENCE.match(header, position)):
        position = found.end()
        if (found["name"] or "").lower() == "wait":
            # Only the first of a name counts.
            value = (found["value"] or "").strip('"')
            return min(int(value), MAX_WAIT_SECONDS) if _SECONDS.fullmatch(value) else 0
    return 0
