"""vCard 2.1, 3.0 and 4.0: a card is a row; the name is FN, else N, else ORG, the e-mail the preferred or first one."""

import re
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Final

from dataflow.errors import MissingColumns
from dataflow.formats.block import ABSENT, Block, Kept, Malformed, packed, peeked
from dataflow.formats.encoding import as_utf8, marked, read_text
from dataflow.formats.reading import Findings, Mapping, Reading
from dataflow.formats.vcard import card_lines, cards
from dataflow.formats.vcard.card_properties import value_of
from dataflow.formats.vcard.cards import Card, Stray

_HEAD_BYTES: Final = 64 * 1024

_WANTED: Final = re.compile(r"^(?:[\w-]+\.)?(N|FN|EMAIL|ORG)[ \t]*([;:].*)", re.ASCII | re.IGNORECASE | re.MULTILINE)
_VERSION: Final = re.compile(r"^VERSION:[ \t]*([\d.]{1,10})", re.IGNORECASE | re.MULTILINE)
_TWO_CARDS: Final = Malformed(
    "Invalid vCard: it has VERSION, N or FN twice. Is an END:VCARD missing between two cards?"
)
#: Version 4 allows several FN (RFC 6350 section 6.2.1), of which the first counts.
_MANY_NAMES: Final = re.compile(r"^VERSION:[ \t]*4", re.IGNORECASE | re.MULTILINE).search


def read_blocks(pieces: Iterable[bytes], reading: Reading, findings: Findings) -> Iterator[Block]:
    """The cards of a file; a card that cannot be read is one bad row, and so is text between two cards.

    :raises RowTooLarge: when a card, without its pictures, is larger than `reading.max_row_bytes`.
    :raises MissingColumns, MalformedInput: see `check_mapping`; when the encoding cannot be told.
    """
    check_mapping(reading.mapping)
    head, pieces = peeked(pieces, _HEAD_BYTES)
    # Properties that name their own encodings differ from the rest of the file.
    wish = reading.encoding or ("utf-8" if b"CHARSET=" in head.upper() else None)
    if _has_ascii_newlines(head, wish or reading.charset):
        pieces = card_lines.with_whole_characters(pieces)
    texts = read_text(pieces, wish, findings, reading.is_beginning, reading.charset)
    indent = card_lines.indent_of(as_utf8(head, wish))
    found = cards.split(texts, reading.max_row_bytes, reading.is_beginning, indent)
    yield from packed(_contacts(found, reading, findings))


def check_mapping(mapping: Mapping | None) -> None:
    """:raises MissingColumns: for any mapping that cards, which have no columns, cannot follow."""
    wanted = {field: "\n".join(columns).strip().lower() for field, columns in (mapping or {}).items()}
    if mapping and {"email": "email", **wanted} != {"name": "email", "email": "email"}:
        raise MissingColumns(
            'vCards have no columns. The only mapping for them is {"name": "email"}, the e-mail as the name.'
        )


def _has_ascii_newlines(head: bytes, wish: str | None) -> bool:
    """False for UTF-16 and the like, in which the same bytes may mean anything."""
    encoding = marked(head)
    name = wish or (encoding.name if encoding else "utf-8")
    return "\r\n\t ".encode(name).endswith(b"\r\n\t ")


def _contacts(found: Iterable[Card | Stray], reading: Reading, findings: Findings) -> Iterator[tuple[int, Kept]]:
    encoding = str(findings.facts["encoding"])
    for card in found:
        text = card.text
        if "version" not in findings.facts and (version := _VERSION.search(text)):
            findings.facts["version"] = version[1]
        values: tuple[object, object]
        if isinstance(card, Card) and card.is_complete:
            values = _values(card.properties, encoding, reading)
        else:
            values = (Malformed(card.problem),) * 2
        yield len(text), (card.first_line, text, *values)


def _values(properties: str, encoding: str, reading: Reading) -> tuple[object, object]:
    found: dict[str, list[tuple[int, str | Malformed]]] = {"FN": [], "N": [], "ORG": [], "EMAIL": []}
    for match in _WANTED.finditer(properties):
        found[match[1].upper()].append(value_of(match, encoding, reading))
    has_two_versions = properties.upper().count("VERSION:") > 1 and len(_VERSION.findall(properties)) > 1
    if (
        has_two_versions
        or (len(found["N"]) > 1 and _are_different(found["N"]))
        or (len(found["FN"]) > 1 and _are_different(found["FN"]) and not _MANY_NAMES(properties))
    ):
        return _TWO_CARDS, _TWO_CARDS
    email = _best(sorted(found["EMAIL"], key=itemgetter(0)))
    name = email if reading.mapping else _best(found["FN"] + found["N"] + found["ORG"])
    problem = next((value for value in (name, email) if isinstance(value, Malformed)), None)
    return problem or name, problem or email


def _are_different(found: list[tuple[int, str | Malformed]]) -> bool:
    return len({value for _, value in found if isinstance(value, str) and value.strip()}) > 1


def _best(found: list[tuple[int, str | Malformed]]) -> object:
    """The first value that is not blank; else why one of them cannot be read."""
    values = [value for _, value in found]
    problem = next((value for value in values if isinstance(value, Malformed)), values[0] if values else ABSENT)
    return next((value for value in values if isinstance(value, str) and value.strip()), problem)
