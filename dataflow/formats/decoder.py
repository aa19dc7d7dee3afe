"""The one way of a content from the bytes that are sent to the bytes that the parser of its format reads.

The check of a body on its way in, a preview and an import all use it, so that none refuses what another takes.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from dataflow.formats import gzip
from dataflow.formats.block import cut
from dataflow.formats.encoding import Encoding, TextDecoder, json_encoding
from dataflow.formats.reading import Findings, Reading

#: Enough to tell a gzip stream, and a byte order mark.
_PEEK_BYTES: Final = 4


class Decoder:
    """Takes a content piece by piece, expands gzip, and puts JSON into UTF-8 without a byte order mark.

    Other texts are decoded by their formats, which need more than the beginning to find out the encoding. What a piece
    expands to is given in pieces of at most PIECE_BYTES, with a call of `reading.check` before each.

    :raises ExpandsTooFar, MalformedInput: when the content cannot be expanded, or a codec gives up.
    """

    def __init__(self, format_name: str, reading: Reading, findings: Findings) -> None:
        self._reading = reading
        self._facts = findings.facts
        self._expanding = _Peeking(self._expander)
        self._transcoding = _Peeking(self._transcoder) if format_name in ("json", "ndjson") else _AsItIs()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        return self._transcoded(self._expanding.feed(piece))

    def close(self) -> Iterator[bytes]:
        """What was held back until the end of the content.

        :raises MalformedInput: when that is the early end of a gzip stream.
        """
        yield from self._transcoded(self._expanding.close())
        yield from self._transcoding.close()

    def decoded(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield from self.feed(piece)
        yield from self.close()

    def _transcoded(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._reading.check()
            yield from self._transcoding.feed(piece)

    def _expander(self, head: bytes) -> "_Step":
        if not gzip.is_gzip(head):
            return _AsItIs()
        self._facts["compression"] = "gzip"
        return gzip.Inflater(self._reading.max_expanded_bytes, self._reading.is_beginning)

    def _transcoder(self, head: bytes) -> "_Step":
        encoding = json_encoding(head, self._reading.encoding)
        if encoding == Encoding("utf-8"):
            return _AsItIs()
        self._facts["encoding"] = encoding.name
        self._facts["hasByteOrderMark"] = bool(encoding.mark)
        return _AsItIs(encoding.mark) if encoding.name == "utf-8" else _Transcoder(encoding)


class _Step(Protocol):
    def feed(self, piece: bytes) -> Iterable[bytes]: ...

    def close(self) -> Iterable[bytes]: ...


class _AsItIs:
    def __init__(self, mark: bytes = b"") -> None:
        self._mark = mark

    def feed(self, piece: bytes) -> Iterable[bytes]:
        mark, self._mark = self._mark, b""
        return (piece.removeprefix(mark),)

    def close(self) -> Iterable[bytes]:
        return ()


class _Transcoder:
    def __init__(self, encoding: Encoding) -> None:
        self._decoder = TextDecoder(encoding)

    def feed(self, piece: bytes) -> Iterable[bytes]:
        return self._encoded(self._decoder.feed(piece))

    def close(self) -> Iterable[bytes]:
        return self._encoded(self._decoder.close())

    def _encoded(self, text: str) -> Iterable[bytes]:
        # Bytes that cannot be decoded are surrogates, so that the parser refuses them: they are no UTF-8.
        return cut(text.encode(errors="surrogatepass"))


class _Peeking:
    """Chooses the step for a content by its first bytes, however they are cut."""

    def __init__(self, choose: Callable[[bytes], _Step]) -> None:
        self._choose = choose
        self._head = b""
        self._step: _Step | None = None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        if self._step is None:
            self._head += piece
            if len(self._head) < _PEEK_BYTES:
                return
            piece, self._head = self._head, b""
            self._step = self._choose(piece)
        yield from self._step.feed(piece)

    def close(self) -> Iterator[bytes]:
        if self._step is None:
            self._step = self._choose(self._head)
            yield from self._step.feed(self._head)
        yield from self._step.close()
