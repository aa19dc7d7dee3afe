"""Cuts a text into vCards, and these into properties, in memory bounded by one card without its pictures.

Text between cards is ignored. Pictures, sounds, keys and cards inside of cards are dropped while a card is collected:
nothing is taken from them, and a phone exports photographs of megabytes. A property may go on over several lines: those
that are indented (folds), and those after a `=` at the end of a line in QUOTED-PRINTABLE (soft breaks).
"""

import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from dataflow.errors import RowTooLarge

_BEGIN: Final = re.compile(r"\ufeff?BEGIN:[ \t]*VCARD[ \t]*$", re.IGNORECASE).match
_END: Final = re.compile(r"END:[ \t]*VCARD[ \t]*$", re.IGNORECASE).match
_BULKY: Final = re.compile(r"(?:[\w-]+\.)?(?:PHOTO|LOGO|SOUND|KEY)[;:]", re.IGNORECASE).match
#: Old exporters do not indent what follows the first line.
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+=*").fullmatch
#: A card inside of a card (2.1) follows a property without a value; anywhere else, BEGIN means that END is missing.
_AGENT: Final = re.compile(r"(?:[\w-]+\.)?AGENT\b[^:]*:[ \t]*$", re.IGNORECASE).match
#: Of a card, without its pictures: each takes fifty bytes besides its own.
MAX_CARD_LINES: Final = 16_384
#: How a line begins: as a property, or going on with the one before.
_PROPERTY, _FOLD, _SOFT_BREAK = range(3)
_INDENTS: Final = (" ", "\t")
#: How far the parameters of a property are looked for, so that no card takes quadratic time.
_MAX_HEAD_CHARACTERS: Final = 1000

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


class Card:
    """One card: its lines as they came, and the physical line on which it begins."""

    def __init__(self, first_line: int, begin: str, max_row_bytes: int) -> None:
        self.first_line = first_line
        self.is_complete = False
        self._lines = [begin]
        self._joints = bytearray([_PROPERTY])  # how each of the lines begins
        self._head = begin  # how the property begins that the last line belongs to, unfolded
        self._left_characters = max_row_bytes - len(begin)
        self._max_row_bytes = max_row_bytes
        self._is_dropping = False
        self._is_broken_softly = False
        self._inner_cards = 0

    @property
    def text(self) -> str:
        return "\n".join(self._lines)

    @property
    def properties(self) -> str:
        """The text with each property on one line."""
        if not any(self._joints):
            return self.text
        parts: list[str] = []
        for line, joint in zip(self._lines, self._joints, strict=True):
            if joint == _PROPERTY:
                parts += ("\n", line)
                continue
            if joint == _SOFT_BREAK:
                parts[-1] = parts[-1][:-1]
            # Some exporters indent what follows a soft break, too.
            parts.append(line[1:] if line.startswith(_INDENTS) else line)
        return "".join(parts[1:])

    def begins_inner(self) -> bool:
        """Whether the BEGIN that comes next is that of a card inside this one; it is to be added then."""
        is_inner = _AGENT(self._head) is not None
        self._inner_cards += is_inner
        return is_inner

    def add(self, line: str) -> None:
        """Collect the next line, which may be the last one.

        :raises RowTooLarge: when the lines that are kept are more than a row may have.
        """
        # END:VCARD on a line of its own ends the card after a soft break, too, and BEGIN:VCARD begins the next one.
        # It might be the end of a note about vCards. But a `=` that was left behind where a note was cut off is
        # likelier, and there the next card would become part of the note.
        is_end = line[:1] in "Ee" and _END(line)
        if self._inner_cards:
            self._head = line  # one AGENT has one card, and where its END is missing, it does not take the next ones
            self._inner_cards -= bool(is_end)
            return
        self.is_complete = bool(is_end)
        joint = _PROPERTY if is_end else self._joint(line)
        if joint == _PROPERTY:
            self._head = line
            self._is_dropping = _BULKY(line) is not None
        self._is_broken_softly = line.endswith("=") and (self._is_broken_softly or _is_quoted_printable(self._head))
        if self._is_dropping:
            return
        self._lines.append(line)
        self._joints.append(joint)
        self._left_characters -= len(line) + 1
        if self._left_characters < 0:
            raise RowTooLarge(
                f"The card on line {self.first_line} is larger than {self._max_row_bytes} bytes (MAX_ROW_BYTES), "
                "its pictures not counted."
            )
        if len(self._lines) > MAX_CARD_LINES:
            raise RowTooLarge(
                f"The card on line {self.first_line} has more than {MAX_CARD_LINES} lines, its pictures not counted."
            )

    def _joint(self, line: str) -> int:
        if self._is_broken_softly:
            return _SOFT_BREAK
        if line.startswith(_INDENTS):
            if len(self._head) < _MAX_HEAD_CHARACTERS:
                self._head += line[1:]
            return _FOLD
        return _FOLD if self._is_dropping and _BASE64(line) else _PROPERTY


def _is_quoted_printable(head: str) -> bool:
    return "QUOTED-PRINTABLE" in head[:_MAX_HEAD_CHARACTERS].partition(":")[0].upper()


def split(texts: Iterable[str], max_row_bytes: int, is_beginning: bool) -> Iterator[Card]:
    """The cards of a text that comes in pieces; one within which the next one begins is not complete, nor is the last
    one if it never ends. Of a beginning, which may be cut, that one is left out.

    :raises RowTooLarge: when a card, without its pictures, is larger than `max_row_bytes`.
    """
    card: Card | None = None
    for number, line in enumerate(_lines(texts, max_row_bytes), 1):
        begins = line[:1] in "Bb\ufeff" and _BEGIN(line)
        if begins and not (card and card.begins_inner()):
            if card:
                yield card
            card = Card(number, line.lstrip("\ufeff"), max_row_bytes)
        elif card:
            card.add(line)
            if card.is_complete:
                yield card
                card = None
    if card and not is_beginning:
        yield card


def _lines(texts: Iterable[str], max_characters: int) -> Iterator[str]:
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

    Old phones fold after 75 bytes, wherever these end. Such a line is in no encoding, neither for finding out which it
    is nor for decoding it. Folds are moved and not removed, so that lines keep their numbers.
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
