"""gzip: the content of a compressed stream, in memory that does not depend on how far it expands.

Several members are one content. Zeros may stand behind each, with which tapes and object stores fill up.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from dataflow.errors import ExpandsTooFar, MalformedInput
from dataflow.formats.block import PIECE_BYTES, peeked

#: The two bytes of gzip, and deflate, its only method.
_MAGIC: Final = b"\x1f\x8b\x08"
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
#: Deflate expands 1032-fold at most.
_UTMOST_RATIO: Final = 1100
#: How far content may expand beyond its first 10 MB. Contacts expand 5- to 100-fold.
MAX_RATIO: Final = 200
FREE_EXPANDED_BYTES: Final = 10_000_000


def allowed_bytes(compressed_bytes: int) -> int:
    return FREE_EXPANDED_BYTES + MAX_RATIO * compressed_bytes


def is_gzip(head: bytes) -> bool:
    return head.startswith(_MAGIC)


def inflated(pieces: Iterable[bytes], max_expanded_bytes: int, is_beginning: bool = False) -> Iterator[bytes]:
    inflater = Inflater(max_expanded_bytes, is_beginning)
    for piece in pieces:
        yield from inflater.feed(piece)
    inflater.close()


def beginning(head: bytes, max_bytes: int, is_whole: bool) -> bytes:
    """The first `max_bytes` that a stream holds, as far as they are in its first part, `head`.

    :raises MalformedInput: when it is damaged, or holds a gzip stream again.
    """
    return peeked(inflated([head], len(head) * _UTMOST_RATIO, is_beginning=not is_whole), max_bytes)[0][:max_bytes]


class Inflater:
    """Expands a stream piece by piece; what `feed` gives has to be used up before the next piece.

    :raises ExpandsTooFar: when it holds more than `max_expanded_bytes`, or too much for its compressed size.
    :raises MalformedInput: when it is damaged, or holds a gzip stream again.
    """

    def __init__(self, max_expanded_bytes: int, is_beginning: bool = False) -> None:
        self._max_expanded_bytes = max_expanded_bytes
        self._is_beginning = is_beginning  #: the stream may be cut anywhere
        self._expanded_bytes = self._fed_bytes = 0
        self._head = b""  #: the first bytes of what it holds, as many as tell a gzip stream
        self._member: zlib._Decompress | None = zlib.decompressobj(_GZIP_WINDOW)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What the stream holds up to the end of `piece`, in pieces of at most PIECE_BYTES."""
        self._fed_bytes += len(piece)
        while piece:
            if self._member is None:
                piece = piece.lstrip(b"\0")
                self._member = zlib.decompressobj(_GZIP_WINDOW) if piece else None
            else:
                yield from self._inflate(self._member, piece)
                piece = self._member.unused_data
                self._member = None if self._member.eof else self._member

    def close(self) -> tuple[()]:
        """:raises MalformedInput: when the stream ends early."""
        if self._member is not None and not self._is_beginning:
            raise MalformedInput("The gzip stream ends early: its last part is missing. Send the whole file.")
        return ()

    def _inflate(self, member: "zlib._Decompress", piece: bytes) -> Iterator[bytes]:
        # zlib may still hold something of a piece that it has used up, until it gives less than is asked for.
        is_full = True
        while (piece or is_full) and not member.eof:
            try:
                expanded = member.decompress(piece, PIECE_BYTES)
            except zlib.error as error:
                raise MalformedInput(f"The gzip stream is damaged: {str(error).rpartition(': ')[2]}.") from error
            piece = member.unconsumed_tail
            is_full = len(expanded) == PIECE_BYTES
            if expanded:
                self._check(expanded, self._fed_bytes - len(piece) - len(member.unused_data))
                yield expanded

    def _check(self, expanded: bytes, read_bytes: int) -> None:
        self._expanded_bytes += len(expanded)
        if self._expanded_bytes > self._max_expanded_bytes:
            raise ExpandsTooFar(
                f"The gzip stream expands to more than {self._max_expanded_bytes} bytes (MAX_EXPANDED_BYTES). "
                "Send it in several parts."
            )
        if self._expanded_bytes > allowed_bytes(read_bytes):
            raise ExpandsTooFar(
                f"The first {read_bytes} bytes of the gzip stream expand to more than {allowed_bytes(read_bytes)}: the "
                f"limit is {MAX_RATIO}-fold beyond the first {FREE_EXPANDED_BYTES // 10**6} MB. Send it uncompressed."
            )
        if len(self._head) < len(_MAGIC):
            self._head += expanded[: len(_MAGIC) - len(self._head)]
            if is_gzip(self._head):
                raise MalformedInput("The gzip stream holds another gzip stream. Compress the file only once.")
