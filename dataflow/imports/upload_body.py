"""The body of one request of an upload: so many bytes and no more, and what has come of it when it breaks off."""

from collections.abc import Iterator
from typing import Protocol

from dataflow.errors import RequestError


class Checksum(Protocol):
    def check(self, content: bytes | memoryview) -> None:
        """:raises RequestError: checksum_mismatch."""


class UploadBody:
    """`limit` is the offset that it must not pass; None is none. `what` names it."""

    def __init__(self, pieces: Iterator[bytes], offset: int, limit: int | None, what: str) -> None:
        self._pieces = pieces
        self._offset = offset
        self._limit = limit
        self._what = what
        self._error: RequestError | None = None

    def pieces(self) -> Iterator[bytes]:
        """Those that have come; one that breaks off ends like any other, so that they are kept first.

        :raises RequestError: upload_too_large.
        """
        for piece in self._until_it_breaks_off():
            self._offset += len(piece)
            if self._limit is not None and self._offset > self._limit:
                raise RequestError(
                    f"The upload has more than {self._limit} bytes, {self._what}.", code="upload_too_large"
                )
            yield piece

    def raise_error(self) -> None:
        """:raises RequestError: how the body has broken off."""
        if self._error:
            raise self._error

    def check(self, checksum: Checksum, chunk: memoryview, is_last: bool) -> None:
        """Look at the first chunk; only one that is the whole body can be held until it is verified.

        :raises RequestError: checksum_mismatch, upload_too_large, or how the body has broken off.
        """
        self.raise_error()
        if not is_last:
            raise RequestError(
                f"With Upload-Checksum a request may have {len(chunk)} bytes (UPLOAD_CHUNK_SIZE).",
                code="upload_too_large",
            )
        checksum.check(chunk)

    def _until_it_breaks_off(self) -> Iterator[bytes]:
        try:
            yield from self._pieces
        except RequestError as error:
            self._error = error
