"""What names, types and sizes the server accepts. Answers yes or no; how a refusal looks is its caller's."""

import re
from collections.abc import Sequence
from typing import Any

_KEY = re.compile(r"[A-Za-z0-9_/!.*'()&$@=;:+,? -]+")
_BUCKET_NAME = re.compile(r"[A-Za-z0-9_!.*'()&$@=;:+,? -]{1,100}")
_CONTENT_TYPE = re.compile(
    r"[\w!#$%&'*+.^`|~-]+/[\w!#$%&'*+.^`|~-]+(\s*;\s*[\w!#$%&'*+.^`|~-]+=(\"[^\"]*\"|[^\s;]*))*\s*;?"
)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB)", re.IGNORECASE)
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}

#: The longest name of a file in the file systems that the file backend writes to.
SEGMENT_BYTES = 255


def is_key(key: str) -> bool:
    return bool(_KEY.fullmatch(key)) and not {".", ".."} & set(key.split("/"))


def is_bucket_name(name: Any) -> bool:
    return isinstance(name, str) and bool(_BUCKET_NAME.fullmatch(name))


def fits_file_system(key: str) -> bool:
    return all(len(segment) <= SEGMENT_BYTES for segment in key.split("/"))


def is_content_type(header: str) -> bool:
    return bool(_CONTENT_TYPE.fullmatch(header))


def mime_allowed(header: str, allowed: Sequence[str] | None) -> bool:
    """Compares the whole header, parameters included, as the real server does."""
    return not allowed or any(
        pattern in ("*/*", header) or (pattern.endswith("/*") and header.startswith(pattern[:-1]))
        for pattern in allowed
    )


def size_bytes(limit: Any) -> int | None:
    """The bytes of a `file_size_limit`: a number, or text such as 10MB (decimal units).

    :raises ValueError: when it is neither.
    """
    if limit is None or (isinstance(limit, int) and not isinstance(limit, bool)):
        return limit
    if found := _SIZE.fullmatch(str(limit).strip()):
        return int(float(found[1]) * _UNITS[found[2].upper()])
    return int(str(limit))
