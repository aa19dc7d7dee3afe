"""The lines of a file of cards, and where cards begin and end in them, even where line ends are missing.

Old phones fold lines after 75 bytes, within characters too: `with_whole_characters` mends that before decoding.
"""

import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

#: White space, zero bytes, and the marks of the beginning and the end of files.
BLANKS: Final = " \t\v\f\r\n\xa0\0\x1a\ufeff"
BEGIN_CARD, END_CARD = r"BEGIN[ \t]*:[ \t]*VCARD", r"END[ \t]*:[ \t]*VCARD"
_MARK: Final = re.compile(f"(?:(?P<begin>{BEGIN_CARD})|{END_CARD})", re.IGNORECASE)
#: Behind other text on a line, only these marks do not belong to the text.
_GLUED: Final = re.compile(
    rf"{END_CARD}(?=[ \t]*{BEGIN_CARD})|{BEGIN_CARD}(?=[ \t]*(?:\Z|VERSION[ \t]*:))", re.IGNORECASE
).match
_NOTHING_ELSE: Final = re.compile(rf"\ufeff?(?:{END_CARD}[ \t]*)?(?:{BEGIN_CARD}[ \t]*)?", re.IGNORECASE).fullmatch
#: A line with a mark begins so, or has ":VCARD": quickly told, and true for nearly no other line.
MARKED: Final = frozenset({"be", "Be", "bE", "BE", "en", "En", "eN", "EN", "\ufeffb", "\ufeffB"})
INDENTS: Final = (" ", "\t")
TEXT, BEGIN, END = range(3)
PLAIN: Final = {"BEGIN:VCARD": [(BEGIN, "BEGIN:VCARD")], "END:VCARD": [(END, "END:VCARD")]}

#: The first BEGIN, and how far the property below it is indented: BEGIN has no folds.
_INDENTED: Final = re.compile(
    rf"{BEGIN_CARD}[ \t]*(?:[\r\n]{{1,2}}([ \t]+)(?:VERSION|PRODID|UID|N|FN|EMAIL)[ \t]*[;:])?".encode(), re.IGNORECASE
).search

#: Folds after a byte that may begin a character, and what may be its rest: in no encoding of contacts a control
#: character, a blank or most punctuation.
_CUTS: Final = re.compile(
    rb"""(?: (?<= [\x80-\xff] ) | (?<= [\x80-\xff] [0-9] ) )  # GB 18030 has digits within characters
         (?: (?: \r\n? | \n ) [ \t] [^\0-\x2f\x3a-\x3f]* )+
    """,
    re.VERBOSE,
)
_FOLDS: Final = re.compile(rb"(?:\r\n?|\n)[ \t]")
_CUT_BYTES: Final = bytes({*range(0x30, 0x3A), *range(0x40, 0x100), *b"\r\n \t"})
#: What is kept back while a word may go on.
_MAX_CUT_BYTES: Final = 64 * 1024


def parts(line: str, is_in_card: bool, is_broken_softly: bool) -> Iterator[tuple[int, str]]:
    """The line as TEXT, BEGIN and END, in time proportional to its length.

    Within a card, an indented mark is the rest of a property. A line `is_broken_softly` when it goes on with a text.
    """
    at = looked_at = 0
    is_behind_text = False
    # END:VCARD on a line of its own may end a note about vCards. But it is likelier that the note was cut off
    # behind a `=`, and then the next card would become part of the note.
    is_text = is_broken_softly and not _NOTHING_ELSE(line)
    for mark in () if is_text else _MARK.finditer(line):
        is_behind_text = is_behind_text or bool(line[looked_at : mark.start()].strip(BLANKS))
        looked_at = mark.end()
        if not at and is_in_card and line.startswith(INDENTS):
            is_behind_text = True
        if is_behind_text:
            if not _GLUED(line, mark.start()):
                continue
            yield TEXT, line[at : mark.start()]
        yield (BEGIN if mark["begin"] else END), mark[0]
        at, is_behind_text = mark.end(), False
    if not at:
        yield TEXT, line
    elif line[at:].strip(BLANKS):
        yield TEXT, line[at:].lstrip()


def indent_of(head: bytes) -> str:
    first = _INDENTED(head)
    return first[1].decode() if first and first[1] else ""


def lines_of(texts: Iterable[str], max_characters: int) -> Iterator[str]:
    """The physical lines. Of a line that is too long only the beginning, which still is."""
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    tail = ""
    for text in chain(map(newlines.decode, texts), [""]):
        lines = (tail + text).split("\n")
        tail = lines.pop()[: max_characters + 1]
        yield from lines
    yield from (tail + newlines.decode("", final=True)).split("\n")


def with_whole_characters(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes with each fold that may cut a character moved behind the word, so that lines keep their numbers."""
    rest = b""
    for piece in pieces:
        content = rest + piece
        if content.isascii():
            yield content
            rest = b""
            continue
        done = content.rstrip(_CUT_BYTES)
        rest = content[len(done) :]
        if len(rest) > _MAX_CUT_BYTES:
            done, rest = content, b""
        yield _CUTS.sub(_behind_the_word, done)
    yield _CUTS.sub(_behind_the_word, rest)


def _behind_the_word(cut: re.Match[bytes]) -> bytes:
    return _FOLDS.sub(b"", cut[0]) + b"".join(_FOLDS.findall(cut[0]))
