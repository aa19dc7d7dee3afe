"""The header Prefer (RFC 7240): how long a client is willing to wait. What is malformed is ignored, as all it asks."""

import re
from typing import Final
from urllib.request import parse_http_list

from werkzeug.http import unquote_header_value

#: Platforms cut a request that has no answer after 30 s.
MAX_WAIT_SECONDS: Final = 25

_SECONDS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


def wait_seconds(header: str) -> int:
    """How long to wait for what the client wants, MAX_WAIT_SECONDS at most; 0 when it does not say so."""
    # No pattern of ours for a whole preference: such a one took minutes for blanks between semicolons.
    for preference in parse_http_list(header):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            # Only the first of a name counts.
            seconds = unquote_header_value(value.strip())
            return min(int(seconds), MAX_WAIT_SECONDS) if _SECONDS.fullmatch(seconds) else 0
    return 0
