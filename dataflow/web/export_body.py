"""The body of an export on its way to the client: its place, its pieces, and how it ends when it cannot be whole.

Sent in chunks, of which the last is missing then, so that no half file looks whole.
"""

import errno
import logging
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Final
from urllib.parse import quote

from dataflow.errors import DataFlowError, RequestError
from dataflow.storage.base import ObjectReader
from dataflow.web.client_line import ClientLine
from dataflow.web.server.transfers import Transfer
from dataflow.web.services import Services

logger = logging.getLogger(__name__)

#: A client may take EXPORT_STALL_SECONDS for each.
PIECE_BYTES: Final = 16 * 1024
#: The least, which takes a fifth of the time of the usual one for a quarter more bytes.
_GZIP_LEVEL, _GZIP_BITS = 1, 31

Pieces = Generator[bytes, None, None]


class ExportBody:
    def __init__(self, shared: Services, line: ClientLine, is_gzipped: bool) -> None:
        self._shared = shared
        self._line = line
        self._is_gzipped = is_gzipped
        self._source: ObjectReader | None = None

    @contextmanager
    def reading(self, source: ObjectReader) -> Iterator[None]:
        """Have whatever ends the transfer end a read of `source` that blocks."""
        self._source = source
        try:
            yield
        finally:
            self._source = None

    def pieces(self, begin: Callable[[Callable[[], None]], Pieces]) -> Pieces:
        """What is sent, in small pieces; each error is raised as it is, before the first of them and later.

        :param begin: makes the file, given what raises when nobody waits for it any more.
        """
        began, size, is_whole = time.monotonic(), 0, False
        patience = self._line.patience(self._shared.config.export_stall_seconds)
        with patience, self._shared.transfers.export(self._hang_up, self._line.has_left) as transfer:
            try:
                with closing(begin(lambda: self._check(transfer))) as written:
                    for piece in transfer.pace.sent(_cut(_gzipped(written) if self._is_gzipped else written)):
                        yield piece
                        size += len(piece)
                is_whole = True
            finally:
                facts = {"bytes": size, "seconds": round(time.monotonic() - began, 3), "is_whole": is_whole}
                logger.info("export ended", extra=facts)

    def _check(self, transfer: Transfer) -> None:
        if transfer.is_displaced:
            raise RequestError(
                "The export had to give way to other requests, or to end with its process.", code="export_cut"
            )
        if self._line.has_left():
            raise RequestError("The client has left while its export was made.", code="incomplete_body")

    def _hang_up(self) -> None:
        source = self._source
        if source is not None:
            source.close()
        self._line.hang_up()


def broken_off(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same pieces; an error among them ends the connection, as an answer that has begun can tell none.

    :raises BrokenPipeError: then, which gunicorn takes for a client that has hung up.
    """
    try:
        yield from pieces
    except DataFlowError as error:
        logger.warning("export broke off", extra={"code": error.code})
        raise BrokenPipeError(errno.EPIPE, "the export broke off") from error


def _gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What comes first goes at once."""
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_BITS)
    mode = zlib.Z_SYNC_FLUSH
    for piece in pieces:
        yield packer.compress(piece) + packer.flush(mode)
        mode = zlib.Z_NO_FLUSH if piece else mode
    yield packer.flush()


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """An empty piece has the head be sent."""
    for piece in pieces:
        for start in range(0, len(piece) or 1, PIECE_BYTES):
            yield piece[start : start + PIECE_BYTES]


def disposition(name: str) -> str:
    """RFC 6266: a name that everybody can read, and where it is not ASCII also the right one (RFC 8187)."""
    ascii_name = name.encode("ascii", "replace").decode().replace("?", "_")
    better = f"; filename*=UTF-8''{quote(name, safe='')}" if ascii_name != name else ""
    return f'attachment; filename="{ascii_name}"{better}'
