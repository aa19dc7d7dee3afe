"""vCard 2.1, 3.0 and 4.0: a card is a row; the name is FN, else N, else ORG, the e-mail the preferred one or the first.

Not with vobject: its pattern takes exponential time (11 s for a line with 24 commas and a quotation mark), it takes an
unescaped comma for the end of a name, and one property that it cannot read for the end of the card.
"""

import codecs
import encodings
import re
from binascii import a2b_base64, a2b_qp
from collections.abc import Iterable, Iterator
from contextlib import suppress
from encodings.aliases import aliases
from operator import itemgetter
from pkgutil import iter_modules
from typing import Final

from dataflow.errors import MissingColumns
from dataflow.formats import cards
from dataflow.formats.cards import Card
from dataflow.formats.reading import Findings, Mapping, Reading
from dataflow.formats.rows import ABSENT, BAD_ENCODING, Block, Kept, Malformed, packed, peeked
from dataflow.formats.text import KEEP_BYTES, marked, read_text

#: How far to look for CHARSET before the encoding is found out.
_HEAD_BYTES: Final = 64 * 1024

#: The properties that matter, in a text without folded lines.
_WANTED: Final = re.compile(r"^(?:[\w-]+\.)?(N|FN|EMAIL|ORG)([;:].*)", re.ASCII | re.IGNORECASE | re.MULTILINE)
#: What follows the name of a property. No part can begin where another goes on, so that no line takes long, and there
#: are not many of them, because each round of a pattern takes 200 bytes.
_REST: Final = re.compile(r'((?:;(?:[\w-]+(?:=[^";:]*(?:"[^"]*"[^";:]*){0,99})?)?){0,99}):(.*)', re.ASCII)
_PARAMETER: Final = re.compile(r';([\w-]+)=?([^";:]*(?:"[^"]*"[^";:]*){0,99})', re.ASCII)
#: The first two parts of a value. What has more escapes is too long for a name.
_PARTS: Final = re.compile(r"((?:[^;\\]+|\\.?){0,999});?((?:[^;\\]+|\\.?){0,999})").match
_ESCAPED: Final = re.compile(r"\\([\\,;:\"nN])")
_VERSION: Final = re.compile(r"^VERSION:[ \t]*([\d.]{1,10})", re.IGNORECASE | re.MULTILINE)
#: Without those that no card is written in; some of them take quadratic time.
_CODECS: Final = {*aliases, *(module.name for module in iter_modules(encodings.__path__))} - {
    *("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined")
}
#: No bytes of another encoding are in these.
_WIDE: Final = ("utf-16", "utf-32")


def read_blocks(pieces: Iterable[bytes], reading: Reading, findings: Findings) -> Iterator[Block]:
    """The cards of a file; one that cannot be read is one bad row, and text between them is ignored.

    :raises RowTooLarge: when a card, without its pictures, is larger than `reading.max_row_bytes`.
    :raises MissingColumns: when `reading.mapping` names anything else than the e-mail for the name.
    :raises MalformedInput: when there is no telling the encoding.
    """
    check_mapping(reading.mapping)
    head, pieces = peeked(pieces, _HEAD_BYTES)
    # Where properties name their own encodings, one for the whole file would be wrong for some of them.
    wish = reading.encoding or ("utf-8" if b"CHARSET=" in head.upper() else None)
    if _has_ascii_newlines(head, wish or reading.charset):
        pieces = cards.with_whole_characters(pieces)
    texts = read_text(pieces, wish, findings, reading.is_beginning, reading.charset)
    yield from packed(_contacts(cards.split(texts, reading.max_row_bytes, reading.is_beginning), reading, findings))


def check_mapping(mapping: Mapping | None) -> None:
    """Refuse what cannot be done for cards, which have no columns.

    :raises MissingColumns: saying what can be done.
    """
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


def _contacts(found: Iterable[Card], reading: Reading, findings: Findings) -> Iterator[tuple[int, Kept]]:
    encoding = str(findings.facts["encoding"])
    for card in found:
        text = card.text
        if "version" not in findings.facts and (version := _VERSION.search(text)):
            findings.facts["version"] = version[1]
        values = _values(card.properties, encoding, reading) if card.is_complete else _UNENDED
        yield len(text), (card.first_line, text, *values)


_UNENDED: Final = (Malformed("Invalid vCard: END:VCARD is missing"),) * 2


def _values(properties: str, encoding: str, reading: Reading) -> tuple[object, object]:
    """The name and the e-mail of a card, of which each property is on one line."""
    found: dict[str, list[tuple[int, str | Malformed]]] = {"FN": [], "N": [], "ORG": [], "EMAIL": []}
    for match in _WANTED.finditer(properties):
        found[match[1].upper()].append(_property(match, encoding, reading))
    email = _best(sorted(found["EMAIL"], key=itemgetter(0)))
    name = email if reading.mapping else _best(found["FN"] + found["N"] + found["ORG"])
    problem = next((value for value in (name, email) if isinstance(value, Malformed)), None)
    return problem or name, problem or email


def _best(found: list[tuple[int, str | Malformed]]) -> object:
    """The first value that is not blank, whatever is wrong with others; else why one cannot be read."""
    values = [value for _, value in found]
    problem = next((value for value in values if isinstance(value, Malformed)), values[0] if values else ABSENT)
    return next((value for value in values if isinstance(value, str) and value.strip()), problem)


def _property(match: re.Match[str], encoding: str, reading: Reading) -> tuple[int, str | Malformed]:
    """Its preference, 1 for the most preferred, and its value."""
    line, name = match[0][:60], match[1].upper()
    rest = _REST.fullmatch(match[2])
    if rest is None:
        return 0, Malformed(f"Invalid vCard: {line!r} is no property")
    parameters = _parameters(rest[1])
    try:
        value = _decoded(rest[2], parameters, encoding, reading)
    except LookupError:
        problem = "names an encoding that is not known"
    except UnicodeError:
        problem = "is not in the encoding that it names"
        if "CHARSET" not in parameters:
            problem = f"is no {(reading.encoding or 'utf-8').upper()}; name the encoding with encoding=cp1252"
    except ValueError:
        problem = "is no base64"
    else:
        return _preference(parameters), _text(name, value)
    return 0, Malformed(f"{line!r} {problem}", BAD_ENCODING)


def _parameters(head: str) -> dict[str, list[str]]:
    """In capitals; the words without a name that version 2.1 has, encodings too, are among the types."""
    found: dict[str, list[str]] = {}
    for name, values in _PARAMETER.findall(head.upper()):
        # 4.0 quotes a list as a whole.
        words = [word.strip() for word in values.replace('"', "").split(",")]
        found.setdefault(name if values else "TYPE", []).extend(words if values else [name])
    return found


def _decoded(value: str, parameters: dict[str, list[str]], encoding: str, reading: Reading) -> str:
    """The value as text.

    :raises LookupError: when it names an encoding that is not known.
    :raises UnicodeError: when its bytes are in none that they may be in.
    :raises ValueError: when it is not the base64 that it is called.
    """
    how = {*parameters.get("ENCODING", ()), *parameters.get("TYPE", ())}
    charset = _codec(parameters["CHARSET"][0]) if "CHARSET" in parameters else None
    own = "utf-8" if encoding.startswith(_WIDE) else encoding
    if "QUOTED-PRINTABLE" in how:
        content = a2b_qp(value.encode(own, "surrogateescape"))
    elif not how.isdisjoint(("B", "BASE64")):
        content = a2b_base64("".join(value.split()), strict_mode=True)
    elif charset and not value.isascii() and not encoding.startswith(_WIDE):
        return value.encode(own, "surrogateescape").decode(charset, KEEP_BYTES)
    else:
        return value
    if not charset and not reading.encoding:
        with suppress(UnicodeDecodeError):
            return content.decode()
        # A mere label, which is why UTF-8 comes first.
        charset = reading.charset if reading.charset and not reading.charset.startswith(_WIDE) else own
    return content.decode(charset or own)


def _codec(name: str) -> str:
    plain = encodings.normalize_encoding(name).lower()
    # Python keeps every other name that it has ever looked for.
    codec = codecs.lookup(plain if plain in _CODECS else "")
    if not codec._is_text_encoding:
        raise LookupError(name)
    return codec.name


def _preference(parameters: dict[str, list[str]]) -> int:
    """4.0 numbers them, earlier versions name one."""
    number = "1" if "PREF" in parameters.get("TYPE", ()) else "".join(parameters.get("PREF", ()))
    return int(number) if number.isdecimal() and len(number) <= 3 else 101


def _text(name: str, value: str) -> str:
    """The value of a property as a name or an e-mail."""
    parts = _PARTS(value) if name in ("N", "ORG") else None
    first, second = (_ESCAPED.sub(_unescaped, part) for part in (parts.groups() if parts else (value, "")))
    return f"{second.strip()} {first.strip()}".strip() if name == "N" else first


def _unescaped(escaped: re.Match[str]) -> str:
    return "\n" if escaped[1] in "nN" else escaped[1]
