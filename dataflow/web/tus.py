"""The server's side of tus 1.0.0, without I/O: what the headers of a request ask for, and those that an answer has.

The protocol: https://tus.io/protocols/resumable-upload (core, creation, creation-with-upload, creation-defer-length,
termination, expiration, checksum).
"""

import hashlib
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from werkzeug.datastructures import Headers
from werkzeug.http import http_date

from dataflow.errors import Issue, RequestError, UnsupportedMediaType
from dataflow.imports.options import OptionsSchema
from dataflow.imports.resumable import ResumableUpload
from dataflow.storage.tus_headers import CONTENT_TYPE, RESUMABLE, VERSION, metadata_in, size_in

EXTENSIONS: Final = "creation,creation-with-upload,creation-defer-length,termination,expiration,checksum"
ALGORITHMS: Final = {"sha1": hashlib.sha1, "sha256": hashlib.sha256}
MAX_METADATA_CHARACTERS: Final = 8192
_OPTIONS: Final = {re.sub("[_-]", "", name).lower(): name for name in OptionsSchema().fields}


@dataclass(frozen=True, slots=True)
class Checksum:
    algorithm: str
    digest: bytes

    def check(self, content: bytes | memoryview) -> None:
        """:raises RequestError: checksum_mismatch."""
        if ALGORITHMS[self.algorithm](content).digest() != self.digest:
            raise RequestError(
                f"The {len(content)} bytes do not have the {self.algorithm} of Upload-Checksum; none is stored.",
                code="checksum_mismatch",
            )


@dataclass(frozen=True, slots=True)
class Creation:
    length: int | None  #: of the whole upload; None when a later request will tell it
    metadata: str  #: as sent
    fields: Mapping[str, str]  #: the same, decoded
    is_with_upload: bool  #: the body is the upload's beginning

    @property
    def options(self) -> dict[str, str]:
        """The fields that are options of an import, and its source."""
        return {name: value for name, value in self.fields.items() if name in _OPTIONS.values()}


@dataclass(frozen=True, slots=True)
class Patch:
    offset: int
    length: int | None  #: of the whole upload, when this request declares it
    checksum: Checksum | None


def capabilities(max_bytes: int) -> dict[str, str]:
    known = {"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS, "Tus-Checksum-Algorithm": ",".join(ALGORITHMS)}
    return {**RESUMABLE, **known, **({"Tus-Max-Size": str(max_bytes)} if max_bytes else {})}


def check_version(headers: Headers) -> None:
    """:raises RequestError: tus_version."""
    if headers.get("Tus-Resumable") != VERSION:
        raise RequestError(f"This is tus {VERSION}: send Tus-Resumable: {VERSION}.", code="tus_version")


def creation(headers: Headers) -> Creation:
    """:raises RequestError: when a header is missing, malformed, or contradicts another."""
    length, deferred = headers.get("Upload-Length"), headers.get("Upload-Defer-Length")
    if (length is None) == (deferred is None):
        raise RequestError("Send either Upload-Length, or Upload-Defer-Length: 1.")
    if deferred not in (None, "1"):
        raise RequestError("Upload-Defer-Length can only be 1.")
    metadata = headers.get("Upload-Metadata", "")
    is_with_upload = headers.get("Content-Type", "").partition(";")[0].strip().lower() == CONTENT_TYPE
    return Creation(
        None if length is None else _size("Upload-Length", length), metadata, _fields(metadata), is_with_upload
    )


def patch(headers: Headers) -> Patch:
    """:raises UnsupportedMediaType, RequestError: when a header is missing or malformed."""
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise UnsupportedMediaType(f"A PATCH has the Content-Type {CONTENT_TYPE}.")
    offset, length = headers.get("Upload-Offset"), headers.get("Upload-Length")
    if offset is None:
        raise RequestError("Upload-Offset is missing.")
    return Patch(
        _size("Upload-Offset", offset),
        None if length is None else _size("Upload-Length", length),
        checksum(headers),
    )


def checksum(headers: Headers) -> Checksum | None:
    """:raises RequestError: when it is malformed, or of an algorithm that we do not have."""
    if (given := headers.get("Upload-Checksum")) is None:
        return None
    algorithm, _, encoded = given.strip().partition(" ")
    try:
        digest = b64decode(encoded.strip(), validate=True)
    except ValueError:
        digest = b""
    if algorithm not in ALGORITHMS or len(digest) != ALGORITHMS[algorithm]().digest_size:
        raise RequestError(f"Upload-Checksum has to be one of {', '.join(ALGORITHMS)}, a blank and its Base64.")
    return Checksum(algorithm, digest)


def answer(upload: ResumableUpload) -> dict[str, str]:
    """How far an upload is, for every answer about it."""
    headers = {**RESUMABLE, "Upload-Offset": str(upload.offset), "Cache-Control": "no-store"}
    if upload.is_open and upload.expires_at:
        headers["Upload-Expires"] = http_date(upload.expires_at)
    return headers


def description(upload: ResumableUpload) -> dict[str, str]:
    """What a HEAD tells besides."""
    length = {"Upload-Defer-Length": "1"} if upload.length is None else {"Upload-Length": str(upload.length)}
    return {**length, **({"Upload-Metadata": upload.metadata} if upload.metadata else {})}


def _size(name: str, text: str) -> int:
    if (size := size_in(text)) is None:
        raise RequestError(f"{name} has to be a number of bytes, in at most 15 digits.")
    return size


def _fields(metadata: str) -> dict[str, str]:
    if len(metadata) > MAX_METADATA_CHARACTERS:
        raise RequestError(f"Upload-Metadata is longer than {MAX_METADATA_CHARACTERS} characters.")
    try:
        fields = metadata_in(metadata)
    except ValueError as error:
        raise RequestError(str(error)) from error
    for name in fields:
        # Clients send fields of their own, which say nothing to us; a wish in another spelling must not be lost.
        meant = _OPTIONS.get(re.sub("[_-]", "", name).lower(), name)
        if meant != name:
            raise RequestError(
                f"Unknown field in Upload-Metadata: {name[:40]}. Is it {meant}?", [Issue((meant,), "Unknown")]
            )
    return fields
