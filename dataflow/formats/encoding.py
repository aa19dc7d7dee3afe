"""Which encoding a text is in, its byte order mark, and its bytes as pieces of text.

A byte that cannot be decoded becomes the lone surrogate U+DC00 + byte, which no encoding has for a character, so that
only its row is refused. U+FFFD instead would be imported as if it were part of somebody's name.
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

#: How much of a content is looked at to find out its encoding.
HEAD_BYTES: Final = 1024 * 1024
#: The error handler that makes surrogates of bytes that cannot be decoded.
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
#: How ISO-2022-JP changes to and from Japanese. All its bytes are those of ASCII.
_JAPANESE_ESCAPE: Final = re.compile(rb"\x1b(?:\$[@B]|\([BJ])")
_ASCII_OF_LINES: Final = re.compile(rb"[^\n\r\x80-\xff]+")
#: Measured with random names: up to 2 % of lines in another encoding are well-formed UTF-8, of short words up to 16 %.
_MIN_UTF8_SHARE, _MIN_UTF8_LINES = 0.2, 2


def _keep_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join([chr(0xDC00 + byte) for byte in error.object[error.start : error.end]]), error.end


codecs.register_error(KEEP_BYTES, _keep_bytes)


@dataclass(frozen=True, slots=True)
class Encoding:
    name: str  #: of a codec that does not look for a mark
    mark: bytes = b""
    is_guess: bool = False  #: neither said by its sender nor proved by its bytes


def detect(head: bytes, wish: str | None = None, is_whole: bool = False, label: str | None = None) -> Encoding:
    """The encoding of content that begins with `head`, whose last character may be cut unless it `is_whole`.

    :param wish: the encoding that the sender names; it counts, whatever the bytes look like.
    :param label: the charset of the Content-Type, often a client's default; it counts where the bytes prove nothing.
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
    if _is_partly_utf8(head):
        return Encoding("utf-8", is_guess=True)
    if label and not label.startswith("utf"):
        # What is called latin-1 is cp1252, as browsers know.
        return Encoding("cp1252" if label == "iso8859-1" else label)
    if name := guess(head):
        return Encoding(name, is_guess=True)
    raise MalformedInput(
        "The text is not in UTF-8, and too little of it tells which other encoding it is in. Save it as UTF-8, or name "
        "its encoding, as in encoding=cp1252."
    )


def wish_of(head: bytes, wish: str | None, label: str | None) -> str | None:
    """`wish`, or else a `label` of UTF-16 or UTF-32, whose zero bytes would pass for UTF-8."""
    return wish or (label if label and label.startswith(_WIDE) and b"\0" in head else None)


def marked(head: bytes) -> Encoding | None:
    """The encoding whose byte order mark a content begins with."""
    return next((Encoding(name, mark) for name, mark in _MARKS if head.startswith(mark)), None)


def json_encoding(head: bytes, wish: str | None) -> Encoding:
    """UTF-8 (RFC 8259 section 8.1), unless the byte order mark or the sender of a JSON text says otherwise."""
    return detect(head, wish) if wish else marked(head) or Encoding("utf-8")


def as_utf8(head: bytes, encoding: str | None) -> bytes:
    """The beginning of a content in UTF-8 without its byte order mark, as far as it can be decoded."""
    found = marked(head) or Encoding(encoding or "utf-8")
    text = head.removeprefix(found.mark)
    return text if found.name == "utf-8" else text.decode(found.name, errors="replace").encode(errors="replace")


def beginning_of(head: bytes, wish: str | None, label: str | None) -> str:
    return as_utf8(head, wish_of(head, wish, label)).decode(errors="replace")


class TextDecoder:
    """Decodes a content piece by piece, without its byte order mark.

    :raises MalformedInput: when the codec gives up, as that of ISO-2022-JP does at a damaged escape.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._mark = encoding.mark
        self._decoder = codecs.getincrementaldecoder(encoding.name)(KEEP_BYTES)

    def feed(self, piece: bytes) -> str:
        """The text of a piece; a character that is cut by its end waits for the next piece."""
        if self._mark:
            # The mark may be cut as well.
            piece, self._mark = piece[len(self._mark) :], self._mark[len(piece) :]
        return self._decode(piece, is_end=False)

    def close(self) -> str:
        return self._decode(b"", is_end=True)

    def _decode(self, piece: bytes, is_end: bool) -> str:
        try:
            return self._decoder.decode(piece, is_end)
        except UnicodeError as error:
            name = self._encoding.name
            raise MalformedInput(f"The text is damaged where its encoding, {name}, must not be.") from error


def decoded(pieces: Iterable[bytes], encoding: Encoding) -> Iterator[str]:
    decoder = TextDecoder(encoding)
    yield from filter(None, map(decoder.feed, pieces))
    if text := decoder.close():
        yield text


def read_text(
    pieces: Iterable[bytes], wish: str | None, findings: Findings, is_beginning: bool = False, label: str | None = None
) -> Iterator[str]:
    """The text of a content whose encoding is found out; `findings` has it before the first piece is given.

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
    # A few bytes that are no UTF-8 are bad rows; in another encoding, all the good rows would be garbled.
    text, length = codecs.utf_8_decode(head, "ignore", is_whole)
    good_bytes = len(text.encode())
    bad_bytes = length - good_bytes
    return not bad_bytes or good_bytes - len(text.encode("ascii", "ignore")) >= 2 * bad_bytes


def _is_partly_utf8(head: bytes) -> bool:
    """Whether two encodings must have been mixed. Of the two, only UTF-8 can tell which rows are in the other one."""
    # Each line once by what is not ASCII in it: a name that is well-formed by chance may stand in many.
    lines = {line for line in _ASCII_OF_LINES.sub(b" ", head).splitlines() if line.strip()}
    good = sum(map(_is_well_formed, lines))
    return good >= max(_MIN_UTF8_LINES, _MIN_UTF8_SHARE * len(lines))


def _is_well_formed(line: bytes) -> bool:
    try:
        return bool(codecs.utf_8_decode(line, "strict", True))
    except UnicodeDecodeError:
        return False
