"""The body of a request as it arrives: counted, paced, and reset in the middle where a fault says so."""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from tests.doubles.storage.faults import Fault
from tests.doubles.storage.wire import Pace, Wire, never

_JSON_BYTES = 16 << 20


class FaultReset(Exception):
    """The fault's point in the body is reached: the connection must be reset."""

    def __init__(self, keep: bool) -> None:
        super().__init__(keep)
        self.keep = keep


class BodyTooLong(Exception):
    """More came than there was room for."""


class Body:
    """A request's body, with Content-Length or chunked. `complete` once it has been read to its end."""

    def __init__(self, wire: Wire, headers: Mapping[str, str], pace: Pace, fault: Fault | None) -> None:
        self._wire = wire
        self._pace = pace
        self._reset = fault if fault and fault.deed == "reset" else None
        self.is_chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        self.length_bytes = None if self.is_chunked else int(headers.get("content-length", 0))
        self.received_bytes = 0
        self.began: float | None = None  #: when its first byte was received, in seconds of time.monotonic()
        self._left_bytes = self.length_bytes or 0
        self.complete = self.length_bytes == 0

    def pieces(self, stop: Callable[[], bool] = never) -> Iterator[memoryview]:
        """What arrives, in order; each piece is overwritten by the next, and counted once the caller is done with it.

        :raises ClientGone: when the client leaves before the end.
        :raises Interrupted: when `stop` came true first.
        :raises FaultReset: at the point that a fault names.
        """
        self._pace.start()
        while not self.complete:
            if self.is_chunked and not self._left_bytes and not self._next_chunk(stop):
                break
            view = self._wire.buffer[: min(self._left_bytes, self._pace.step_bytes, self._bytes_until_reset())]
            taken = self._wire.receive_into(view, stop)
            if self.began is None:
                self.began = time.monotonic()
            yield view[:taken]
            self._count(taken)
            if self.is_chunked and not self._left_bytes:
                self._wire.line(stop)
        if self._reset:
            raise FaultReset(self._reset.keep)

    def _count(self, taken: int) -> None:
        self.received_bytes += taken
        self._left_bytes -= taken
        self._pace.keep(self.received_bytes)
        self.complete = not self.is_chunked and not self._left_bytes

    def _next_chunk(self, stop: Callable[[], bool]) -> bool:
        """False after the last one."""
        self._left_bytes = int(self._wire.line(stop).split(b";")[0], 16)
        while not self._left_bytes and not self.complete:
            self.complete = not self._wire.line(stop)
        return not self.complete

    def _bytes_until_reset(self) -> int:
        if self._reset is None or self._reset.after_bytes is None:
            return self._left_bytes
        left = self._reset.after_bytes - self.received_bytes
        if left <= 0:
            raise FaultReset(self._reset.keep)
        return left

    def save(
        self,
        file: BinaryIO,
        digest: "hashlib._Hash | None" = None,
        stop: Callable[[], bool] = never,
        at_most_bytes: int | None = None,
    ) -> None:
        """Write what arrives, as it arrives, to an unbuffered file; raises what `pieces` does.

        :raises BodyTooLong: when it goes beyond `at_most_bytes`, before the piece that does is written.
        """
        for piece in self.pieces(stop):
            if at_most_bytes is not None and self.received_bytes + len(piece) > at_most_bytes:
                raise BodyTooLong
            rest = piece
            while rest:
                rest = rest[file.write(rest) :]
            if digest:
                digest.update(piece)

    def json(self) -> Any:
        """None when it is empty.

        :raises ValueError: when it is not JSON.
        """
        text = b""
        for piece in self.pieces():
            text += piece
            if len(text) > _JSON_BYTES:
                raise ValueError("the JSON is too large")
        return json.loads(text) if text else None

    def discard(self, at_most_bytes: int | None = None) -> None:
        """Read on and throw it away; stops, incomplete, after `at_most_bytes`."""
        if at_most_bytes is None:
            at_most_bytes = sys.maxsize
        if self._left_bytes > at_most_bytes:
            return
        for piece in self.pieces():
            at_most_bytes -= len(piece)
            if at_most_bytes < 0:
                return
