"""Finds the one file in a multipart/form-data body that lies on disk as it was received."""

import mmap
import re
from dataclasses import dataclass
from pathlib import Path

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_NAME = re.compile(rb'\bname="([^"]*)"', re.IGNORECASE)
_FILE_NAME = re.compile(rb"\bfilename\*?=", re.IGNORECASE)
_CONTENT_TYPE = re.compile(rb"^content-type:[ \t]*(.*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


@dataclass(slots=True)
class FilePart:
    """Where the file is, and the form's other fields."""

    offset: int
    size_bytes: int
    content_type: str | None
    fields: dict[str, str]


def find_file(path: Path, content_type: str) -> FilePart | None:
    """None when there is no file in it, or it does not end as it should."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None or not path.stat().st_size:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as form:
        return _scan(form, b"\r\n--" + boundary[1].encode())


def _scan(form: mmap.mmap, delimiter: bytes) -> FilePart | None:
    found: FilePart | None = None
    fields: dict[str, str] = {}
    start = form.find(delimiter[2:]) + len(delimiter) - 2
    while form[start : start + 2] == b"\r\n":
        head_end, end = form.find(b"\r\n\r\n", start), form.find(delimiter, start + 2)
        if head_end < 0 or end < 0:
            return None
        head, content = form[start:head_end], head_end + 4
        if _FILE_NAME.search(head):
            kind = _CONTENT_TYPE.search(head)
            found = FilePart(content, end - content, kind[1].decode() if kind else None, fields)
        elif name := _NAME.search(head):
            fields[name[1].decode()] = form[content:end].decode()
        start = end + len(delimiter)
    return found
