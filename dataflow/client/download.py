"""The file of an export, in as many requests as it takes: each goes on where the one before broke off (RFC 9110, 14).

At the end it is compared with the digest that the service gives it (RFC 9530).
"""

import base64
import hashlib
import os
import re
from collections.abc import Callable
from typing import BinaryIO, Final

import requests

from dataflow.client.patience import Patience
from dataflow.client.service import BrokenOff, Refused, Service, pieces
from dataflow.errors import RequestError

SILENCE_SECONDS = 60.0
_SHA256: Final = re.compile(r"sha-256=:([A-Za-z0-9+/=]+):")
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+)")
_RANGE_NOT_SATISFIABLE: Final = 416


class Damaged(RequestError):
    """What has come is not what the service has."""


class Download:
    """With `is_ours`, `file` may hold what an earlier command had, and may be begun again; else it is written on."""

    def __init__(self, service: Service, path: str, file: BinaryIO, is_ours: bool, patience: Patience) -> None:
        self._service, self._path, self._patience = service, path, patience
        self._file, self._is_ours = file, is_ours
        self._digest = hashlib.sha256()
        self._wanted_digest = b""
        self._etag = ""
        self.size_bytes, self._total_bytes = 0, -1
        self._is_continued = False
        if is_ours:
            self._take_over()

    def run(self, show: Callable[[int, int], None]) -> None:
        """Have all of it in the file; `show` gets the bytes that are there, and how many there will be.

        :raises Damaged: when it is not what the digest says; then nothing of it is of use.
        :raises RequestError: when it cannot be had.
        """
        while True:
            while self.size_bytes != self._total_bytes:
                self._go_on(show)
            if self._wanted_digest in (b"", self._digest.digest()):
                return
            if not self._is_continued:
                raise Damaged("The file is not as the service has written it (its SHA-256 differs): export again.")
            # What an earlier command left was of another file.
            self._begin_again()

    def _take_over(self) -> None:
        """All but the last byte, so that there is always one to ask for."""
        self._file.seek(0)
        self._file.truncate(max(os.fstat(self._file.fileno()).st_size - 1, 0))
        while piece := self._file.read(1 << 20):
            self._digest.update(piece)
            self.size_bytes += len(piece)
        self._is_continued = self.size_bytes > 0

    def _begin_again(self) -> None:
        if not self._is_ours:
            raise Damaged("The file is another one now, and what was written cannot be taken back.")
        self._file.seek(0)
        self._file.truncate()
        self._digest = hashlib.sha256()
        self.size_bytes, self._total_bytes, self._etag, self._is_continued = 0, -1, "", False

    def _go_on(self, show: Callable[[int, int], None]) -> None:
        before_bytes = self.size_bytes
        try:
            self._fetch(show)
        except Refused as error:
            if error.answer_status != _RANGE_NOT_SATISFIABLE or not self.size_bytes:
                self._patience.wait_after(error)
            else:
                self._begin_again()
        except RequestError as error:
            self._patience.wait_after(error)
        else:
            if self.size_bytes == before_bytes != self._total_bytes:
                self._patience.wait_after(BrokenOff("The answer holds nothing of the file."))

    def _fetch(self, show: Callable[[int, int], None]) -> None:
        headers = {"Accept-Encoding": "identity"}
        if self.size_bytes:
            headers["Range"] = f"bytes={self.size_bytes}-"
            if self._etag:
                headers["If-Range"] = self._etag
        with self._service.opened("GET", self._path, SILENCE_SECONDS, headers=headers) as response:
            self._note(response)
            for piece in pieces(response):
                self._file.write(piece)
                self._digest.update(piece)
                self.size_bytes += len(piece)
                self._patience.renew()
                show(self.size_bytes, self._total_bytes)

    def _note(self, response: requests.Response) -> None:
        """What it says of the whole file."""
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if self.size_bytes and found is None:
            self._begin_again()
        elif found is not None and int(found[1]) != self.size_bytes:
            raise RequestError(f"{response.url} answers with another part of the file than was asked for.")
        total = found[2] if found else response.headers.get("Content-Length", "")
        if not (total.isascii() and total.isdigit()):
            raise RequestError(f"{response.url} does not say how long its file is.")
        digest = _SHA256.search(response.headers.get("Repr-Digest", ""))
        self._total_bytes = int(total)
        self._etag = response.headers.get("ETag", "")
        self._wanted_digest = _decoded(digest[1]) if digest else b""


def _decoded(digest: str) -> bytes:
    """:raises RequestError: when it is no Base64."""
    try:
        return base64.b64decode(digest, validate=True)
    except ValueError as error:
        raise RequestError(f"The digest of the file is no Base64: {digest[:100]}.") from error
