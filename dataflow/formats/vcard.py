"""vCard 2.1, 3.0 and 4.0: a card is a row; the name is FN, else N, else ORG, the e-mail the preferred one or the first.

vobject reads the properties, one by one. Its reader of whole cards is not used, as it takes an unescaped comma for the
end of a name, ENCODING in small letters for base64, and 0.1 ms more a card.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import Any, Final

from dataflow.formats import cards
from dataflow.formats.cards import Card
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.rows import ABSENT, BAD_ENCODING, Block, Malformed
from dataflow.formats.text import KEEP_BYTES, marked, read_text

#: A block is full with either; the cards themselves are kept with it for those that are refused.
BLOCK_ROWS, BLOCK_CHARACTERS = 800, 256 * 1024
#: How far to look for CHARSET before the encoding is found out.
_HEAD_BYTES: Final = 64 * 1024

#: The properties that matter, in a text without folded lines.
_WANTED: Final = re.compile(r"^(?:[\w-]+\.)?(?:N|FN|EMAIL|ORG)[;:].*", re.IGNORECASE | re.MULTILINE)
#: Only such a line goes to vobject. Its own pattern takes exponential time over others: 11 s for one with 24 commas
#: and a quotation mark, twice as long with one more, and no thread of the process runs meanwhile.
_PROPERTY: Final = re.compile(
    r"""( (?: [\w-]+ \. )? [\w-]+
          ;? (?: ; [\w-]+ (?: = (?: "[^"]*" | [^";:,]* ) (?: , (?: "[^"]*" | [^";:,]* ) )* )? )*
        ) : (.*)""",
    re.ASCII | re.DOTALL | re.VERBOSE,
)
_VERSION: Final = re.compile(r"^VERSION:[ \t]*([\d.]{1,10})", re.IGNORECASE | re.MULTILINE)
_CHARSET: Final = re.compile(r";CHARSET=\"?([\w.:-]{1,40})", re.IGNORECASE)
#: Codecs that no card is written in; some of them take quadratic time.
_NO_CHARSETS: Final = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"}


@dataclass(slots=True)
class CardOrigin:
    """The cards of a block. Their pictures, and cards inside of them, are not kept."""

    lines: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def line(self, index: int) -> int | None:
        return self.lines[index]

    def row(self, index: int) -> str | list[str]:
        return self.texts[index]


def read_blocks(pieces: Iterable[bytes], reading: Reading, findings: Findings) -> Iterator[Block]:
    """The cards of a file; one that cannot be read is one bad row, and text between them is ignored.

    :raises RowTooLarge: when a card, without its pictures, is larger than `reading.max_row_bytes`.
    :raises MalformedInput: when there is no telling the encoding.
    """
    head, pieces = _peek(iter(pieces))
    # Where properties name their own encodings, one for the whole file would be wrong for some of them.
    wish = reading.encoding or ("utf-8" if b"CHARSET=" in head.upper() else None)
    if _has_ascii_newlines(head, wish or reading.charset):
        pieces = cards.with_whole_characters(pieces)
    texts = read_text(pieces, wish, findings, reading.is_beginning, reading.charset)
    record = 0
    for block in _blocks(_complete(cards.split(texts, reading.max_row_bytes), reading), findings):
        yield Block(record, *block)
        record += len(block[0])


def _peek(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first pieces as one, and all of them again."""
    taken: list[bytes] = []
    length = 0
    for piece in pieces:
        taken.append(piece)
        length += len(piece)
        if length >= _HEAD_BYTES:
            break
    return b"".join(taken), chain(taken, pieces)


def _has_ascii_newlines(head: bytes, wish: str | None) -> bool:
    """False for UTF-16 and the like, in which the same bytes may mean anything."""
    encoding = marked(head)
    name = wish or (encoding.name if encoding else "utf-8")
    return "\r\n\t ".encode(name).endswith(b"\r\n\t ")


def _complete(found: Iterable[Card], reading: Reading) -> Iterator[Card]:
    """The cards, but for the last one of a beginning, which may be cut."""
    last: Card | None = None
    for card in found:
        if last:
            yield last
        last = card
    if last and (last.is_complete or not reading.is_beginning):
        yield last


def _blocks(found: Iterable[Card], findings: Findings) -> Iterator[tuple[list[object], list[object], CardOrigin]]:
    names, emails, origin, characters = [], [], CardOrigin(), 0
    for card in found:
        text = card.text
        if "version" not in findings.facts and (version := _VERSION.search(text)):
            findings.facts["version"] = version[1]
        encoding = str(findings.facts["encoding"])
        name, email = _values(card.properties, encoding) if card.is_complete else (_UNENDED, _UNENDED)
        names.append(name)
        emails.append(email)
        origin.lines.append(card.first_line)
        origin.texts.append(text)
        characters += len(text)
        if len(names) == BLOCK_ROWS or characters >= BLOCK_CHARACTERS:
            yield names, emails, origin
            names, emails, origin, characters = [], [], CardOrigin(), 0
    if names:
        yield names, emails, origin


_UNENDED: Final = Malformed("Invalid vCard: END:VCARD is missing")


def _values(properties: str, encoding: str) -> tuple[object, object]:
    """The name and the e-mail of a card, of which each property is on one line."""
    found: dict[str, list[Any]] = {"N": [], "FN": [], "EMAIL": [], "ORG": []}
    for line in _WANTED.findall(properties):
        # ORG stands in for a name: nothing depends on it while there is one.
        try:
            prop = _property(line, encoding)
        except UnicodeError:
            problem = Malformed(f"The bytes of {line[:20]!r} are not in the encoding that it names", BAD_ENCODING)
        except LookupError:
            problem = Malformed(f"{line[:60]!r} names an encoding that is not known", BAD_ENCODING)
        except (ValueError, TypeError):
            problem = Malformed(f"Invalid vCard: {line[:60]!r} is no property")
        else:
            found[prop.name].append(prop)
            continue
        return problem, problem
    return _name(found), _email(found["EMAIL"])


def _property(line: str, encoding: str) -> Any:
    """A vobject ContentLine, its value decoded.

    :raises ValueError, TypeError: when it is none.
    :raises UnicodeError: when its bytes are not in the encoding that it names.
    :raises LookupError: when it names an encoding that is not known.
    """
    parts = _PROPERTY.fullmatch(line)
    if parts is None:
        raise ValueError(line)
    head, value = parts.groups()
    if charset := _CHARSET.search(head):
        codec = codecs.lookup(charset[1])
        if codec.name.replace("-", "_") in _NO_CHARSETS or not codec._is_text_encoding:
            raise LookupError(codec.name)
        if not value.isascii() and codec.name != encoding and not encoding.startswith("utf-16"):
            value = value.encode(encoding, "surrogateescape").decode(codec.name, KEEP_BYTES)
    # Names and encodings are the same in small letters, which vobject does not know of all of them.
    return _vobject().read(f"{head.upper()}:{value}")


def _name(found: dict[str, list[Any]]) -> object:
    for prop in found["FN"]:
        if (name := _unescaped(prop.value)[0]).strip():
            return name
    for prop in found["N"]:
        family, given = (*_unescaped(prop.value, ";"), "")[:2]
        if name := f"{given.strip()} {family.strip()}".strip():
            return name
    for prop in found["ORG"]:
        if (name := _unescaped(prop.value, ";")[0]).strip():
            return name
    return "" if found["FN"] or found["N"] else ABSENT


def _email(found: list[Any]) -> object:
    written = [prop for prop in found if prop.value.strip()] or found
    return _unescaped(min(written, key=_preference).value)[0] if written else ABSENT


def _preference(prop: Any) -> int:
    """1 for the most preferred; 4.0 numbers them, earlier versions name one."""
    if "PREF" in prop.singletonparams or "PREF" in prop.params.get("TYPE", ()):
        return 1
    number = "".join(prop.params.get("PREF", ()))
    return int(number) if number.isdecimal() and len(number) <= 3 else 101


def _unescaped(value: str, separator: str | None = None) -> list[str]:
    r"""The parts of a value, `\,` and the like resolved."""
    if "\\" in value:
        found: list[str] = _vobject().unescape(value, separator)
        return found
    return value.split(separator) if separator else [value]


@dataclass(frozen=True, slots=True)
class _Vobject:
    read: Callable[[str], Any]
    unescape: Callable[[str, str | None], list[str]]


@cache
def _vobject() -> _Vobject:
    """The library, imported with the first card: it takes 8 MiB, which most workers never need."""
    from vobject.base import VObjectError, textLineToContentLine
    from vobject.icalendar import stringToTextValues

    def read(line: str) -> Any:
        try:
            return textLineToContentLine(line)
        except VObjectError as error:
            raise ValueError(line) from error

    return _Vobject(read, stringToTextValues)
