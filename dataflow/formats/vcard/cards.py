"""Cuts a text into vCards and what stands between them, and cards into properties, in memory bounded by one card.

Pictures, sounds and keys are dropped: a phone exports photographs of megabytes. A property goes on over lines that are
indented (folds), over lines behind a `=` in QUOTED-PRINTABLE (soft breaks), and over lines that are no property.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from dataflow.errors import RowTooLarge
from dataflow.formats.vcard.card_lines import BEGIN, BLANKS, END, END_CARD, INDENTS, MARKED, PLAIN, lines_of, parts
from dataflow.text import MARK

_KNOWN: Final = (
    "ADR|AGENT|ANNIVERSARY|BDAY|BEGIN|CALADRURI|CALURI|CATEGORIES|CLASS|CLIENTPIDMAP|EMAIL|END|FBURL|FN|GENDER|GEO"
    "|IMPP|KIND|LABEL|LANG|MAILER|MEMBER|N|NAME|NICKNAME|NOTE|ORG|PRODID|PROFILE|RELATED|REV|ROLE|SORT-STRING|SOURCE"
    "|TEL|TITLE|TZ|UID|URL|VERSION|XML"
)
#: A property; pictures and the like are a group. Unknown ones have capitals: `Kis: Anna` is the rest of a name.
_NAMED: Final = re.compile(
    rf"(?:[\w-]+\.)?(?:(PHOTO|LOGO|SOUND|KEY)|{_KNOWN}|X-[\w-]+|(?-i:[A-Z\d_-]+))[ \t]*[;:]", re.ASCII | re.IGNORECASE
).match
#: Properties that count. The group goes on with a line of words.
_COUNTS: Final = re.compile(r"(?:[\w-]+\.)?(?:(FN|N|ORG)|EMAIL)[ \t]*[;:]", re.IGNORECASE).match
#: A card within a card (2.1) follows such a property; elsewhere a BEGIN means that END is missing.
_AGENT: Final = re.compile(r"(?:[\w-]+\.)?AGENT\b[^:]*:[ \t]*$", re.IGNORECASE).match
#: An END behind a value counts when nothing else of the card follows.
_LATE_END: Final = re.compile(rf"{END_CARD}[ \t]*\Z", re.IGNORECASE).search
_END_WITHIN: Final = re.compile(rf"[^\n]{END_CARD}", re.IGNORECASE).search
#: Without pictures: each line takes fifty bytes besides its own.
MAX_CARD_LINES: Final = 16_384
_MAX_STRAY_CHARACTERS: Final = 16 * 1024
_PROPERTY, _FOLD, _SOFT_BREAK, _REST, _INNER = range(5)
#: Parameters are looked for so far only, so that no card takes quadratic time.
_MAX_HEAD_CHARACTERS: Final = 1000
#: A line of this length may have been broken within a word.
_MIN_FOLDED_CHARACTERS: Final = 70
#: Stands for a line that is neither a property nor a part of one. No contact may hold it.
BROKEN: Final = MARK


class Stray:
    """Lines outside of cards, so that nothing is left out silently."""

    problem: Final = "Invalid vCard: this is outside of any card. Is BEGIN:VCARD damaged or missing?"
    is_complete: Final = False
    is_broken_softly: Final = False

    def __init__(self, first_line: int) -> None:
        self.first_line = first_line
        self._text = ""

    @property
    def text(self) -> str:
        return self._text.rstrip()

    def add(self, line: str) -> None:
        if len(self._text) < _MAX_STRAY_CHARACTERS:
            self._text += f"{line[:_MAX_STRAY_CHARACTERS]}\n"


class Card:
    """The lines of a card as they came, and the physical line on which it begins."""

    problem = "Invalid vCard: END:VCARD is missing"

    def __init__(self, first_line: int, begin: str, max_row_bytes: int) -> None:
        self.first_line = first_line
        self.is_complete = self.is_broken_softly = False
        self._lines = [begin]
        self._joints = bytearray([_PROPERTY])  # what each of the lines is
        self._head = begin  # how the property begins that the last line belongs to, unfolded
        self._left_characters = max_row_bytes - len(begin)
        self._max_row_bytes = max_row_bytes
        self._is_dropping = False
        self._inner_cards = 0

    @property
    def text(self) -> str:
        return "\n".join(self._lines)

    @property
    def properties(self) -> str:
        """The text with each property on one line, without inner cards; see BROKEN."""
        if not any(self._joints):
            return self.text
        found: list[str] = []
        head = before = ""
        for line, joint in zip(self._lines, self._joints, strict=True):
            if joint == _PROPERTY:
                found += ("\n", line)
                head = line
            elif joint == _REST:
                found.append(_rest(head, before, line))
            elif joint != _INNER:
                if joint == _SOFT_BREAK:
                    found[-1] = found[-1][:-1]
                # Some exporters indent what follows a soft break, too.
                found.append(line[1:] if line.startswith(INDENTS) else line)
            before = line or before
        return "".join(found[1:])

    def begins_inner(self) -> bool:
        """Whether the BEGIN that comes next is that of an inner card; it is to be added then."""
        is_inner = self._joints[-1] != _REST and _AGENT(self._head) is not None
        self._inner_cards += is_inner
        return is_inner

    def end(self, line: str) -> None:
        self.is_broken_softly = False
        self.add(line)
        # An AGENT has one card: without its END, it must not take the next ones.
        self.is_complete = not self._inner_cards
        self._inner_cards -= not self.is_complete

    def close(self) -> None:
        """Nothing follows. An END behind the last value is one."""
        late = _LATE_END(self._lines[-1])
        if late and not self._is_dropping and self._joints[-1] != _INNER:
            self._lines[-1] = self._lines[-1][: late.start()]
            self.is_complete = True
        elif _END_WITHIN(self.text):
            self.problem = "Invalid vCard: END:VCARD does not begin a line"

    def add(self, line: str) -> None:
        """:raises RowTooLarge: when the lines that are kept are more than a row may have."""
        joint = self._joint(line)
        self.is_broken_softly = (
            line[-1:] == "=" and joint != _REST and (self.is_broken_softly or _is_quoted_printable(self._head))
        )
        # No picture has an at-sign: a line end is missing.
        if self._is_dropping and "@" not in line:
            return
        self._lines.append(line)
        self._joints.append(_INNER if self._inner_cards else joint)
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
        if self.is_broken_softly:
            return _SOFT_BREAK
        if line[:1] in INDENTS and line:
            # Behind a blank line, an indented one does not go on within a word.
            if self._joints[-1] == _REST:
                return _REST
            if len(self._head) < _MAX_HEAD_CHARACTERS:
                self._head += line[1:]
            return _FOLD
        named = _NAMED(line)
        if named is None:
            return _REST
        self._head = line
        self._is_dropping = named[1] is not None
        return _PROPERTY


def _is_quoted_printable(head: str) -> bool:
    return "QUOTED-PRINTABLE" in head[:_MAX_HEAD_CHARACTERS].partition(":")[0].upper()


def _rest(head: str, before: str, line: str) -> str:
    counts = _COUNTS(head) if line.strip(BLANKS) else None
    if not counts:
        return ""
    signs = ":=@<>;" if counts[1] and counts[1].upper() == "FN" else ":=@<>"
    has_parameters = ";" in head[:_MAX_HEAD_CHARACTERS].partition(":")[0]
    if not counts[1] or has_parameters or len(before) >= _MIN_FOLDED_CHARACTERS or not set(signs).isdisjoint(line):
        return BROKEN
    return f" {line.strip(BLANKS)}"


def split(texts: Iterable[str], max_row_bytes: int, is_beginning: bool, indent: str = "") -> Iterator[Card | Stray]:
    """The cards of a text, and what is not blank between them; the last one of a beginning is left out.

    :raises RowTooLarge: when a card, without its pictures, is larger than `max_row_bytes`.
    """
    found: Card | Stray | None = None
    lines = lines_of(texts, max_row_bytes)
    if indent:
        lines = (line.removeprefix(indent) for line in lines)
    for number, line in enumerate(lines, 1):
        if found and ":VCARD" not in line and line[:2] not in MARKED:
            found.add(line)
            continue
        is_soft = found is not None and found.is_broken_softly
        for kind, part in PLAIN.get(line) or parts(line, isinstance(found, Card), is_soft):
            if kind == BEGIN and not (isinstance(found, Card) and found.begins_inner()):
                yield from _closed(found)
                found = Card(number, part, max_row_bytes)
            elif kind == END and isinstance(found, Card):
                found.end(part)
                if found.is_complete:
                    yield found
                    found = None
            elif found or part.strip(BLANKS):
                found = found or Stray(number)
                found.add(part)
    if not is_beginning:
        yield from _closed(found)


def _closed(found: Card | Stray | None) -> Iterator[Card | Stray]:
    if isinstance(found, Card):
        found.close()
    if found:
        yield found
