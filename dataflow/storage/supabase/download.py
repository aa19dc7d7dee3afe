"""An object as a stream that survives its connection: a broken one goes on from the byte it reached."""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import requests
from urllib3.util import Timeout

from dataflow.errors import DigestMismatch, StorageUnavailable
from dataflow.storage.base import StoredObject
from dataflow.storage.messages import Request
from dataflow.storage.retries import Retries, Schedule
from dataflow.storage.supabase.api import CONNECT_SECONDS, NETWORK_ERRORS, Api, unreachable

logger = logging.getLogger(__name__)

READ_SECONDS = 10.0
#: The file backend hashes the whole object before its first byte, at about 400 MB/s (contract section 5).
HASHED_BYTES_A_SECOND = 50_000_000
#: For all waiting together, however often the connection breaks.
PATIENCE_SECONDS = 600.0


class SupabaseReader:
    """An open object; see `ObjectReader`. `info` asks for its size; a connection is held while pieces are read."""

    def __init__(self, api: Api, schedule: Schedule, key: str, info: Callable[[str, Retries], StoredObject]) -> None:
        self._api = api
        self._key = key
        self._info = info
        self._size_bytes = 0
        self._offset = 0
        self._first_etag: str | None = None  #: of the download whose bytes have been given out
        self._response: requests.Response | None = None
        self._closed = threading.Event()
        self._retries = Retries(schedule, PATIENCE_SECONDS, self._closed.wait)

    def pieces(self, piece_bytes: int) -> Iterator[bytes]:
        self._size_bytes = self._info(self._key, self._retries).size_bytes
        # At the end no range is asked for: there is none, not even an empty one.
        while self._offset < self._size_bytes:
            began = self._offset
            try:
                yield from self._rest(piece_bytes)
            except StorageUnavailable as error:
                if self._offset - began >= piece_bytes:
                    self._retries.succeeded()
                self._pause(error)

    def close(self) -> None:
        self._closed.set()
        response = self._response
        if response is not None:
            # Closing a socket does not wake a thread that reads from it; shutting it down does.
            with suppress(ValueError, RuntimeError, OSError):
                response.raw.shutdown()

    def release(self) -> None:
        """Give the connection back, now that nobody reads any more; `pieces` may have been left in the middle."""
        if self._response is not None:
            self._response.close()

    def _rest(self, piece_bytes: int) -> Iterator[bytes]:
        """What one connection gives, from the offset on."""
        headers = {"Range": f"bytes={self._offset}-"} if self._offset else {}
        request = Request("download", "GET", self._api.object_path("authenticated", self._key), headers)
        read_seconds = READ_SECONDS + self._size_bytes / HASHED_BYTES_A_SECOND
        with self._api.streamed(request, Timeout(connect=CONNECT_SECONDS, read=read_seconds)) as response:
            self._check_head(response)
            self._response = response
            try:
                while piece := self._read(response, piece_bytes):
                    self._offset += len(piece)
                    self._api.observer.moved("down", len(piece))
                    yield piece
            finally:
                self._response = None
        if self._offset < self._size_bytes:
            raise StorageUnavailable(f"The storage sent {self._offset} of {self._size_bytes} bytes.")

    def _read(self, response: requests.Response, piece_bytes: int) -> bytes:
        if self._closed.is_set():
            raise StorageUnavailable("The object was closed while it was read.")
        try:
            piece: bytes = response.raw.read(piece_bytes, decode_content=False)
        except NETWORK_ERRORS as error:
            raise unreachable(error) from error
        return piece

    def _check_head(self, response: requests.Response) -> None:
        """If-Range and If-Match are ignored by the server, so this looks for itself (contract section 5)."""
        if response.status_code not in (200, 206):
            raise self._api.answer(response).error(self._api.bucket)
        etag = response.headers.get("ETag")
        if self._offset == 0:
            self._first_etag = etag
            return
        first = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        if etag != self._first_etag or not first or int(first[1]) != self._offset:
            raise DigestMismatch(f"The object {self._key} changed while it was read, after {self._offset} bytes.")

    def _pause(self, error: StorageUnavailable) -> None:
        facts = {"object": self._key, "operation": "download", "offset": self._offset}
        logger.warning("storage failed", extra={**facts, "attempt": self._retries.failures + 1, "error": error.message})
        self._retries.pause(error)
        self._api.observer.retried("download")
