"""The lines of a file of cards, and what begins and ends cards in them, also where line ends are missing.

Old phones fold after 75 bytes, wherever these end; `with_whole_characters` mends that before the text is decoded.
"""

import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

#: What is neither text nor a card: byte order marks, the end of a file as DOS has it, and what fills up its last block.
BLANKS: Final = " \t\v\f\r\n\xa0\0\x1a\ufeff"
_BEGIN, _END = r"BEGIN[ \t]*:[ \t]*VCARD", r"END[ \t]*:[ \t]*VCARD"
_MARK: Final = re.compile(f"(?:(?P<begin>{_BEGIN})|{_END})", re.IGNORECASE)
#: A mark of either kind stands at the beginning of a line; behind other text only these do not belong to it.
_GLUED: Final = re.compile(rf"{_END}(?=[ \t]*{_BEGIN})|{_BEGIN}(?=[ \t]*(?:\Z|VERSION[ \t]*:))", re.IGNORECASE).match
_NOTHING_ELSE: Final = re.compile(rf"\ufeff?(?:{_END}[ \t]*)?(?:{_BEGIN}[ \t]*)?", re.IGNORECASE).fullmatch
#: How a line with a mark begins, unless it has ":VCARD": true for nearly no other, and quickly told.
MARKED: Final = frozenset({"be", "Be", "bE", "BE", "en", "En", "eN", "EN", "\ufeffb", "\ufeffB"})
_INDENTS: Final = (" ", "\t")
#: What a part of a line is.
TEXT, BEGIN, END = range(3)
#: The parts of the lines that nearly all marks stand on.
PLAIN: Final = {"BEGIN:VCARD": [(BEGIN, "BEGIN:VCARD")], "END:VCARD": [(END, "END:VCARD")]}

#: The first BEGIN, and how far what stands below it is indented: it is a property, and BEGIN has no folds.
_INDENTED: Final = re.compile(
    rf"{_BEGIN}[ \t]*(?:[\r\n]{{1,2}}([ \t]+)(?:VERSION|PRODID|UID|N|FN|EMAIL)[ \t]*[;:])?".encode(), re.IGNORECASE
).search

#: Folds after a byte that may begin a character, and what may be the rest of it. Control characters, blanks and most
#: punctuation are not, in any encoding that contacts are exported in.
_CUTS: Final = re.compile(
    rb"""(?: (?<= [\x80-\xff] ) | (?<= [\x80-\xff] [0-9] ) )  # GB 18030 has digits within characters
         (?: (?: \r\n? | \n ) [ \t] [^\0-\x2f\x3a-\x3f]* )+
    """,
    re.VERBOSE,
)
_FOLDS: Final = re.compile(rb"(?:\r\n?|\n)[ \t]")
#: The bytes that may be part of what `_CUTS` finds.
_CUT_BYTES: Final = bytes({*range(0x30, 0x3A), *range(0x40, 0x100), *b"\r\n \t"})
#: No word is longer than this: what is kept back while it may go on.
_MAX_CUT_BYTES: Final = 64 * 1024


def parts(line: str, is_in_card: bool, is_broken_softly: bool) -> Iterator[tuple[int, str]]:
    """The line as TEXT, BEGIN and END, in time proportional to its length.

    :param is_in_card: an indented mark is then the rest of a property.
    :param is_broken_softly: the line goes on with a text in which the marks may be quoted.
    """
    at = looked_at = 0
    is_behind_text = False
    # END:VCARD on a line of its own ends the card after a soft break, too, and BEGIN:VCARD begins the next one.
    # It might be the end of a note about vCards. But a `=` that was left behind where a note was cut off is
    # likelier, and there the next card would become part of the note.
    is_text = is_broken_softly and not _NOTHING_ELSE(line)
    for mark in () if is_text else _MARK.finditer(line):
        is_behind_text = is_behind_text or bool(line[looked_at : mark.start()].strip(BLANKS))
        looked_at = mark.end()
        if not at and is_in_card and line.startswith(_INDENTS):
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
    """How far the lines of all cards are indented in a content that begins with `head` (in UTF-8)."""
    first = _INDENTED(head)
    return first[1].decode() if first and first[1] else ""


def lines_of(texts: Iterable[str], max_characters: int) -> Iterator[str]:
    """The physical lines, whatever ends them. Of a longer one only the beginning, which is still too long."""
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    tail = ""
    for text in chain(map(newlines.decode, texts), [""]):
        lines = (tail + text).split("\n")
        tail = lines.pop()[: max_characters + 1]
        yield from lines
    yield from (tail + newlines.decode("", final=True)).split("\n")


def with_whole_characters(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes with each fold that may be within a character moved behind the word.

    Such a line is in no encoding, neither for finding out which it is nor for decoding it. Folds are moved and not
    removed, so that lines keep their numbers.
    """
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
