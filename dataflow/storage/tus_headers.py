"""What both sides of tus 1.0.0 write into headers: we are a client of the storage, and a server to browsers."""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Final

VERSION: Final = "1.0.0"
#: On every request and every answer.
RESUMABLE: Final = {"Tus-Resumable": VERSION}
CONTENT_TYPE: Final = "application/offset+octet-stream"
#: Of offsets and lengths: more digits than a number of bytes has are no number of bytes.
SIZE: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
#: Of metadata: ASCII without blanks and commas.
_KEY = re.compile(r"[!-+\--~]+", re.ASCII)


def size_in(header: str) -> int | None:
    return int(header) if SIZE.fullmatch(header) else None


def metadata_header(fields: Mapping[str, str]) -> str:
    return ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in fields.items())


def metadata_in(header: str) -> dict[str, str]:
    """The fields of an Upload-Metadata header; one without a value is empty.

    :raises ValueError: when it is malformed, names a field twice, or has a value that is not UTF-8.
    """
    fields: dict[str, str] = {}
    for pair in header.split(",") if header.strip() else ():
        name, _, value = pair.strip().partition(" ")
        if not _KEY.fullmatch(name) or name in fields:
            raise ValueError(f"Upload-Metadata has no key, or has it twice, at its pair {len(fields) + 1}.")
        try:
            fields[name] = b64decode(value.strip(), validate=True).decode()
        except ValueError as error:
            raise ValueError(f"The value of {name[:40]} in Upload-Metadata is not Base64 of UTF-8.") from error
    return fields
