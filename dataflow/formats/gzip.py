"""gzip: the content of a compressed stream, in memory that does not depend on how far it expands.

Several members one after another are one content, and zeros may follow the last one, as tapes and object stores pad.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from dataflow.errors import ExpandsTooFar, MalformedInput
from dataflow.formats.block import PIECE_BYTES, peeked

#: The two bytes of gzip, and deflate, the one method that there is.
_MAGIC: Final = b"\x1f\x8b\x08"
#: zlib's way to say: a gzip header and trailer, and the largest window.
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
#: More than deflate can ever expand to.
_UTMOST_RATIO: Final = 1100
#: How far content may expand beyond its first 10 MB: what people compress does so 5- to 100-fold.
MAX_RATIO: Final = 200
FREE_EXPANDED_BYTES: Final = 10_000_000


def allowed_bytes(compressed_bytes: int) -> int:
    """How many bytes so many compressed ones may hold."""
    return FREE_EXPANDED_BYTES + MAX_RATIO * compressed_bytes


def is_gzip(head: bytes) -> bool:
    """Whether content that begins with `head` is compressed with gzip."""
    return head.startswith(_MAGIC)


def inflated(pieces: Iterable[bytes], max_expanded_bytes: int, is_beginning: bool = False) -> Iterator[bytes]:
    """What a gzip stream holds, in pieces of at most 64 KiB.

    :param is_beginning: the stream may be cut anywhere; its early end is the end.
    :raises ExpandsTooFar: when it holds more than `max_expanded_bytes`, or than its compressed bytes should.
    :raises MalformedInput: when it is damaged, ends early, or holds a gzip stream again.
    """
    inflater = Inflater(max_expanded_bytes, is_beginning)
    for piece in pieces:
        yield from inflater.feed(piece)
    inflater.close()


def beginning(head: bytes, max_bytes: int, is_whole: bool) -> bytes:
    """How the content of a stream begins, of which `head` is all or the first part; at most `max_bytes`.

    :raises MalformedInput: when it is damaged, or holds a gzip stream again.
    """
    return peeked(inflated([head], len(head) * _UTMOST_RATIO, is_beginning=not is_whole), max_bytes)[0][:max_bytes]


class Inflater:
    """The same for content that passes by: `feed` each piece and use up what it gives, then `close`."""

    def __init__(self, max_expanded_bytes: int, is_beginning: bool = False) -> None:
        self._max_expanded_bytes = max_expanded_bytes
        self._is_beginning = is_beginning
        self._expanded_bytes = self._fed_bytes = 0
        self._head = b""  #: the first bytes of what it holds, as many as tell a gzip stream
        self._member: zlib._Decompress | None = zlib.decompressobj(_GZIP_WINDOW)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What the stream holds up to the end of `piece`."""
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
        """Nothing is left to be given.

        :raises MalformedInput: when the stream is not complete.
        """
        if self._member is not None and not self._is_beginning:
            raise MalformedInput("The gzip stream ends early: its last part is missing. Send the whole file.")
        return ()

    def _inflate(self, member: "zlib._Decompress", piece: bytes) -> Iterator[bytes]:
        # A piece can be used up while there is more to come from it: only less than was asked for means nothing is.
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
