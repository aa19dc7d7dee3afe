"""Which encoding a text is in, and its bytes as pieces of text.

What cannot be decoded is kept: each such byte becomes the lone surrogate U+DC00 + byte, which no encoding has for a
character, so that the one row that holds it can be refused. Never another encoding half-way, and never U+FFFD, which
would be imported as if it were somebody's name.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from dataflow.errors import MalformedInput
from dataflow.formats.block import peeked
from dataflow.formats.charset_guess import guess
from dataflow.formats.reading import Findings

#: What an encoding is found out from: the beginning of the content.
HEAD_BYTES: Final = 1024 * 1024
#: Name of the error handler that keeps what cannot be decoded.
KEEP_BYTES: Final = "dataflow.keepbytes"
#: Longer ones first: the mark of UTF-16 begins that of UTF-32.
_MARKS: Final = (
    ("utf-32-le", codecs.BOM_UTF32_LE),
    ("utf-32-be", codecs.BOM_UTF32_BE),
    ("utf-8", codecs.BOM_UTF8),
    ("utf-16-le", codecs.BOM_UTF16_LE),
    ("utf-16-be", codecs.BOM_UTF16_BE),
)
_WIDE: Final = ("utf-16", "utf-32")
#: Codecs that look for a byte order mark themselves, and what they are without one.
_WITHOUT_MARK: Final = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
#: How ISO-2022-JP changes to and from Japanese; without these it looks like ASCII.
_JAPANESE_ESCAPE: Final = re.compile(rb"\x1b(?:\$[@B]|\([BJ])")
_ASCII_OF_LINES: Final = re.compile(rb"[^\n\r\x80-\xff]+")
#: Measured with random names: at most 2 % of the lines in another encoding are well-formed UTF-8, but for names of two
#: ideographs (3 %) and words of two or three letters in Thai or cp866 (16 %), which hardly stand alone.
_MIN_UTF8_SHARE, _MIN_UTF8_LINES = 0.2, 2


def _keep_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join([chr(0xDC00 + byte) for byte in error.object[error.start : error.end]]), error.end


codecs.register_error(KEEP_BYTES, _keep_bytes)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a text is encoded: the plain name of a codec, and the byte order mark that it begins with."""

    name: str
    mark: bytes = b""
    is_guess: bool = False  #: neither said by its sender nor proved by its bytes


def detect(head: bytes, wish: str | None = None, is_whole: bool = False, label: str | None = None) -> Encoding:
    """The encoding of content that begins with `head`, whose last character may be cut unless it `is_whole`.

    :param wish: what its sender says; it counts, whatever the bytes look like.
    :param label: what its Content-Type says, often a client's default; it counts where the bytes prove nothing else.
    :raises MalformedInput: when there is no telling.
    """
    bearing = marked(head)
    if bearing and wish is None:
        return bearing
    if stated := wish_of(head, wish, label):
        return _wished(head, codecs.lookup(stated).name, bearing)
    if head.isascii() and _JAPANESE_ESCAPE.search(head):
        return Encoding("iso2022_jp")
    return Encoding("utf-8") if _is_utf8(head, is_whole) else _presumed(head, label)


def _presumed(head: bytes, label: str | None) -> Encoding:
    """What a text that is not in UTF-8 as a whole is most likely in."""
    if _is_partly_utf8(head):
        return Encoding("utf-8", is_guess=True)
    if label and not label.startswith("utf"):
        # Browsers have long read what is called latin-1 as what it is.
        return Encoding("cp1252" if label == "iso8859-1" else label)
    if name := guess(head):
        return Encoding(name, is_guess=True)
    raise MalformedInput(
        "The text is not in UTF-8, and too little of it tells which other encoding it is in. Save it as UTF-8, or name "
        "its encoding, as in encoding=cp1252."
    )


def wish_of(head: bytes, wish: str | None, label: str | None) -> str | None:
    """`wish`, or `label` when it speaks of an encoding that has zero bytes, without which it would look like UTF-8."""
    return wish or (label if label and label.startswith(_WIDE) and b"\0" in head else None)


def marked(head: bytes) -> Encoding | None:
    """The encoding whose byte order mark the content bears, None when it bears none."""
    return next((Encoding(name, mark) for name, mark in _MARKS if head.startswith(mark)), None)


def json_encoding(head: bytes, wish: str | None) -> Encoding:
    """What a JSON text is in: UTF-8 (RFC 8259 section 8.1), unless its byte order mark or its sender says otherwise."""
    return detect(head, wish) if wish else marked(head) or Encoding("utf-8")


def as_utf8(head: bytes, encoding: str | None) -> bytes:
    """The beginning of a content as far as it can be read, good enough to look at, without its byte order mark."""
    found = marked(head) or Encoding(encoding or "utf-8")
    text = head.removeprefix(found.mark)
    return text if found.name == "utf-8" else text.decode(found.name, errors="replace").encode(errors="replace")


def beginning_of(head: bytes, wish: str | None, label: str | None) -> str:
    """The same as text, whose last character may be cut; `wish` and `label` as `detect` has them."""
    return as_utf8(head, wish_of(head, wish, label)).decode(errors="replace")


class TextDecoder:
    """Takes a content piece by piece, and gives its text without the byte order mark."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._mark = encoding.mark
        self._decoder = codecs.getincrementaldecoder(encoding.name)(KEEP_BYTES)

    def feed(self, piece: bytes) -> str:
        """The text of the next piece; a character that is cut by its end waits for the next one.

        :raises MalformedInput: when the decoder gives up, as that of ISO-2022-JP does at a damaged escape.
        """
        if self._mark:
            # The mark may come in several pieces; who has detected it has seen all of it.
            piece, self._mark = piece[len(self._mark) :], self._mark[len(piece) :]
        return self._decode(piece, is_end=False)

    def close(self) -> str:
        """What is left of a character that is not complete.

        :raises MalformedInput: as `feed` does.
        """
        return self._decode(b"", is_end=True)

    def _decode(self, piece: bytes, is_end: bool) -> str:
        try:
            return self._decoder.decode(piece, is_end)
        except UnicodeError as error:
            name = self._encoding.name
            raise MalformedInput(f"The text is damaged where its encoding, {name}, must not be.") from error


def decoded(pieces: Iterable[bytes], encoding: Encoding) -> Iterator[str]:
    """The text of a content without its byte order mark, a piece for each piece.

    :raises MalformedInput: as TextDecoder does.
    """
    decoder = TextDecoder(encoding)
    yield from filter(None, map(decoder.feed, pieces))
    if text := decoder.close():
        yield text


def read_text(
    pieces: Iterable[bytes], wish: str | None, findings: Findings, is_beginning: bool = False, label: str | None = None
) -> Iterator[str]:
    """The text of a content in whatever encoding it is; `findings` learns which, before the first piece is given.

    :raises MalformedInput: when there is no telling the encoding.
    """
    head, pieces = peeked(pieces, HEAD_BYTES)
    is_whole = len(head) < HEAD_BYTES and not is_beginning
    encoding = detect(head[:HEAD_BYTES], wish, is_whole, label)
    del head
    findings.facts["encoding"] = encoding.name
    if encoding.is_guess:
        findings.facts["encodingIsGuessed"] = True
    findings.facts["hasByteOrderMark"] = bool(encoding.mark)
    return decoded(pieces, encoding)


def _wished(head: bytes, name: str, marked: Encoding | None) -> Encoding:
    if marked and name in _WITHOUT_MARK and marked.name.startswith(name.removesuffix("-sig")):
        return marked
    name = _WITHOUT_MARK.get(name, name)
    mark = "\ufeff".encode(name, "ignore")
    return Encoding(name, mark if head.startswith(mark) else b"")


def _is_utf8(head: bytes, is_whole: bool) -> bool:
    """Whether most of what is not ASCII makes sense as UTF-8.

    A few bytes that do not are bad rows of a UTF-8 file; in another encoding, all the good ones would be garbled.
    """
    text, length = codecs.utf_8_decode(head, "ignore", is_whole)
    good_bytes = len(text.encode())
    bad_bytes = length - good_bytes
    return not bad_bytes or good_bytes - len(text.encode("ascii", "ignore")) >= 2 * bad_bytes


def _is_partly_utf8(head: bytes) -> bool:
    """Whether so many lines are well-formed UTF-8 that two encodings must have been mixed.

    Of the two, only UTF-8 can tell which rows are in the other one; read as that, the good ones would be garbled.
    """
    # Each line once by what is not ASCII in it: a name that is well-formed by chance may stand in many.
    lines = {line for line in _ASCII_OF_LINES.sub(b" ", head).splitlines() if line.strip()}
    good = sum(map(_is_well_formed, lines))
    return good >= max(_MIN_UTF8_LINES, _MIN_UTF8_SHARE * len(lines))


def _is_well_formed(line: bytes) -> bool:
    try:
        return bool(codecs.utf_8_decode(line, "strict", True))
    except UnicodeDecodeError:
        return False
