"""A property of a card as text: its parameters, its encodings and escapes.

Why it is so: the pattern of vobject takes exponential time (11 s for a line with 24 commas and a quotation mark), and
it takes an unescaped comma for the end of a name, and a property that it cannot read for the end of the card.
"""

import codecs
import encodings
import re
from binascii import a2b_base64, a2b_qp
from contextlib import suppress
from encodings.aliases import aliases
from pkgutil import iter_modules
from typing import Final

from dataflow.formats.block import BAD_ENCODING, Malformed
from dataflow.formats.encoding import KEEP_BYTES
from dataflow.formats.reading import Reading
from dataflow.formats.vcard.cards import BROKEN

#: What follows the name of a property. No part can begin where another goes on, so that no line takes long; each round
#: takes 200 bytes, so that there must not be many.
_REST: Final = re.compile(r'((?:;(?:[\w-]+(?:=[^";:]*(?:"[^"]*"[^";:]*){0,99})?)?){0,99}):(.*)', re.ASCII)
_PARAMETER: Final = re.compile(r';([\w-]+)=?([^";:]*(?:"[^"]*"[^";:]*){0,99})', re.ASCII)
#: The first two parts of a value. A value with more escapes is too long for a name.
_PARTS: Final = re.compile(r"((?:[^;\\]+|\\.?){0,999});?((?:[^;\\]+|\\.?){0,999})").match
_ESCAPED: Final = re.compile(r"\\([\\,;:\"nN])")
#: Some of those left out take quadratic time, and no card is written in any.
_CODECS: Final = {*aliases, *(module.name for module in iter_modules(encodings.__path__))} - {
    *("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined")
}
_QUOTED_PRINTABLE: Final = frozenset(("QUOTED-PRINTABLE", "QUOTED_PRINTABLE", "QUOTEDPRINTABLE", "QUOTED", "QP", "Q"))
#: Cards made from version 2.1 do not say that they still have it; no name has `=C3`.
_QUOTED: Final = re.compile("(?:[^=]|=[0-9A-F]{2})*=[89A-F][0-9A-F](?:[^=]|=[0-9A-F]{2})*").fullmatch
_OTHER_MAIL: Final = frozenset(("X400", "X500", "EX", "TLX"))
_WIDE: Final = ("utf-16", "utf-32")


def value_of(match: re.Match[str], encoding: str, reading: Reading) -> tuple[int, str | Malformed]:
    """The preference of a property, 1 for the first, and its value. `match` has its name and what follows."""
    line, name = match[0][:60], match[1].upper()
    if BROKEN in match[2]:
        line = line.partition(BROKEN)[0]
        return 0, Malformed(f"Invalid vCard: what follows {line!r} is neither a property nor indented")
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
    """In capitals. The words without a name that version 2.1 has are among the types."""
    found: dict[str, list[str]] = {}
    for name, values in _PARAMETER.findall(head.upper()):
        words = [word.strip() for word in values.replace('"', "").split(",")]
        found.setdefault(name if values else "TYPE", []).extend(words if values else [name])
    return found


def _decoded(value: str, parameters: dict[str, list[str]], encoding: str, reading: Reading) -> str:
    """:raises LookupError: when the value names an encoding that is not known.
    :raises ValueError: when its bytes are in no encoding that they may be in (UnicodeError), or no base64.
    """
    how = {*parameters.get("ENCODING", ()), *parameters.get("TYPE", ())}
    charset = _codec(parameters["CHARSET"][0]) if "CHARSET" in parameters else None
    own = "utf-8" if encoding.startswith(_WIDE) else encoding
    if not how.isdisjoint(_QUOTED_PRINTABLE):
        content = a2b_qp(value.encode(own, "surrogateescape"))
    elif not how.isdisjoint(("B", "BASE64")):
        content = a2b_base64("".join(value.split()), strict_mode=True)
    elif "=" in value and _QUOTED(value):
        with suppress(UnicodeDecodeError):
            return a2b_qp(value.encode(own, "surrogateescape")).decode(charset or "utf-8")
        return value
    elif charset and not value.isascii() and not encoding.startswith(_WIDE):
        return value.encode(own, "surrogateescape").decode(charset, KEEP_BYTES)
    else:
        return value
    if not charset and not reading.encoding:
        with suppress(UnicodeDecodeError):
            return content.decode()
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
    if not _OTHER_MAIL.isdisjoint(parameters.get("TYPE", ())):
        return 999
    number = "1" if "PREF" in parameters.get("TYPE", ()) else "".join(parameters.get("PREF", ()))
    return int(number) if number.isdecimal() and len(number) <= 3 else 101


def _text(name: str, value: str) -> str:
    parts = _PARTS(value) if name in ("N", "ORG") else None
    first, second = (_ESCAPED.sub(_unescaped, part) for part in (parts.groups() if parts else (value, "")))
    return f"{second.strip()} {first.strip()}".strip() if name == "N" else first


def _unescaped(escaped: re.Match[str]) -> str:
    return "\n" if escaped[1] in "nN" else escaped[1]
