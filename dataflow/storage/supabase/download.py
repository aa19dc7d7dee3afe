"""An object as a stream that survives its connection: a broken one goes on from the byte it reached."""

import re
import time
from collections.abc import Iterator

import requests
from urllib3.util import Timeout

from dataflow.errors import StorageError, StorageUnavailable
from dataflow.storage.messages import Request
from dataflow.storage.retry import Retries, Schedule
from dataflow.storage.stop import Stop
from dataflow.storage.supabase.api import Api, network
from dataflow.storage.supabase.line import CONNECT_SECONDS

#: To the first byte: the file backend hashes the whole object before it, at about 400 MB/s (contract section 5).
HEAD_SECONDS = 60.0
READ_SECONDS = 10.0
_LIMITS = Timeout(connect=CONNECT_SECONDS, read=HEAD_SECONDS)
PATIENCE_SECONDS = 300.0  #: from a break until bytes come again


class SupabaseReader:
    """An open object, which holds a connection only while its pieces are read."""

    def __init__(self, api: Api, schedule: Schedule, key: str, offset: int, patience_seconds: float | None) -> None:
        self._api = api
        self._schedule = schedule
        self._key = key
        self._patience_seconds = patience_seconds
        self._offset = offset
        self._has_begun = False  #: the server has answered with the object, or a part of it
        self._size_bytes: int | None = None  #: known from the first answer on
        self._first_etag: str | None = None  #: of the download whose bytes have been given out
        self._response: requests.Response | None = None
        self._stop = Stop()
        self._outcome = ""

    def pieces(self, piece_bytes: int) -> Iterator[bytes]:
        retries = self._patience()
        # At the end no range is asked for: there is none, not even an empty one.
        while self._offset != self._size_bytes:
            before = self._offset
            try:
                yield from self._rest(piece_bytes)
            except StorageUnavailable as error:
                if self._offset - before >= piece_bytes:
                    retries = self._patience()
                self._api.pause(retries, error, "download", self._key, self._offset)

    def close(self) -> None:
        self._stop.set()

    def release(self) -> None:
        """Give the connection back; `pieces` may have been left in the middle."""
        if self._response is not None:
            self._response.close()

    def _patience(self) -> Retries:
        return Retries(self._schedule, self._patience_seconds or PATIENCE_SECONDS, self._stop.wait)

    def _rest(self, piece_bytes: int) -> Iterator[bytes]:
        headers = {"Range": f"bytes={self._offset}-"} if self._offset else {}
        request = Request("download", "GET", self._api.object_path("authenticated", self._key), headers)
        start, self._outcome = time.monotonic(), "unreachable"
        try:
            with self._api.line() as line, self._stop.cutting(line):
                self._check_open()
                with self._api.send(line, request, _LIMITS) as self._response:
                    self._check_head(self._response)
                    line.limit(READ_SECONDS)
                    while piece := self._read(self._response, piece_bytes):
                        self._offset += len(piece)
                        self._api.observer.moved("down", len(piece))
                        yield piece
        finally:
            self._response = None
            self._api.observer.answered("download", self._outcome, time.monotonic() - start)
        if self._size_bytes is None:
            self._size_bytes = self._offset
        if self._offset != self._size_bytes:
            raise StorageUnavailable(f"The storage sent {self._offset} of {self._size_bytes} bytes.")

    def _check_open(self) -> None:
        if self._stop.is_set():
            raise StorageUnavailable("The object was closed while it was read.")

    def _read(self, response: requests.Response, piece_bytes: int) -> bytes:
        self._outcome = "broken"
        with network():
            piece: bytes = response.raw.read(piece_bytes, decode_content=False)
        self._outcome = "ok"
        # After the read: what comes out of a line that is being cut is not to be trusted.
        self._check_open()
        return piece

    def _check_head(self, response: requests.Response) -> None:
        """Done here, because the server ignores If-Range and If-Match (contract section 5)."""
        if response.status_code not in (200, 206):
            answer = self._api.answer(response)
            self._outcome = str(answer.status)
            raise answer.error(self._api.bucket)
        self._outcome = "ok"
        etag = response.headers.get("ETag")
        is_first, self._has_begun = not self._has_begun, True
        if self._offset == 0:
            length = response.headers.get("Content-Length", "")
            if not length.isdecimal() and "Transfer-Encoding" not in response.headers:
                # A head that was cut looks like a short one, and its object like an empty one.
                raise StorageUnavailable("The storage sends the object without its length.")
            self._size_bytes = int(length) if length.isdecimal() else None
            self._first_etag = etag
            return
        first = re.match(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        if is_first and first:
            self._first_etag, self._size_bytes = etag, int(first[2])
        if etag != self._first_etag or not first or int(first[1]) != self._offset:
            raise StorageError(
                f"The object {self._key} changed while it was read, after {self._offset} bytes.", code="digest_mismatch"
            )
