"""E-mail cells as people have them become addresses; whether they are good ones is left to `schema`."""

import re
from typing import Final
from urllib.parse import unquote

from dataflow.formats.tables.table_wrapping import NULL_WORDS
from dataflow.formats.wrapping import bare

#: What str.strip() takes away, and what else nobody sees: soft hyphens, zero-width characters, byte order marks,
#: Ctrl-Z, and the marks of direction that telephones add to a copied address.
_BLANK: Final = (
    "\t\n\v\f\r\x1a\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\xad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufeff"
)
#: Surely one address, good or bad: outside of a quoted local part no sign separates or surrounds others. A cell may be
#: as large as a row, so nothing matches in two ways. (Possessive quantifiers are broken before Python 3.11.5.)
_ADDRESS = re.compile(
    r"""(?: [^\s@"<>()\[\],;:\\]+ | "(?: [^"\\] | \\. )*" ) @ [^\s@"'<>()\[\],;:\\]+""", re.VERBOSE | re.DOTALL
).fullmatch
_BRACKETED = re.compile(r"([^<>]*)<([^<>]*)>").fullmatch
_QUOTED = re.compile(r"""(["'])(.*)\1""", re.DOTALL).fullmatch
_MAILTO: Final = "mailto:"
#: `"Ann" <'a@b.c'>`: nobody wraps deeper than that.
_MAX_WRAPPINGS: Final = 4
#: Between several values in exports of Google; a star marks the primary one.
_GOOGLE_SEPARATOR, _GOOGLE_MARK = ":::", "* "
_SEPARATORS = re.compile(r"[;,\s]+").split
#: Each up to the separator behind its at-sign: before that may be a name like `Lovelace, Ada`.
_ENTRIES = re.compile(r"[^@]*(?:@[^;,]*|$)").findall


def clean(text: str) -> str:
    """The primary address in a cell, without white space, `mailto:`, a name around it, and quotes or `="..."`.

    Empty for the words that databases write for nothing. Any other text comes back trimmed: half of it would be a
    guess.
    """
    text = bare(text).strip(_BLANK)
    if _ADDRESS(text) or "@" not in text:
        return "" if text in NULL_WORDS else text
    value = _primary(text)
    found = _unwrapped(value) or _first_of_several(value)
    return text if found is None else found


def _primary(text: str) -> str:
    if _GOOGLE_SEPARATOR not in text and not text.startswith(_GOOGLE_MARK):
        return text
    values = [value.strip(_BLANK) for value in text.split(_GOOGLE_SEPARATOR)]
    marked = [value.removeprefix(_GOOGLE_MARK) for value in values if value.startswith(_GOOGLE_MARK)]
    return next((value for value in (marked or values) if value), "")


def _unwrapped(text: str) -> str | None:
    """The one address that this text is, however it is wrapped; None when it is none."""
    for _ in range(_MAX_WRAPPINGS):
        text = text.strip(_BLANK)
        if _ADDRESS(text):
            return text
        if text[: len(_MAILTO)].lower() == _MAILTO:
            address, _, _ = text[len(_MAILTO) :].partition("?")
            text = unquote(address, errors="surrogateescape")
        elif quoted := _QUOTED(text):
            text = quoted[2]
        elif (bracketed := _BRACKETED(text)) and _is_name(bracketed[1]):
            text = bracketed[2]
        else:
            break
    return None


def _is_name(text: str) -> bool:
    """Whether the text before `<a@b.c>` only says whose address it is: a name, often the address once more."""
    text = text.strip(_BLANK)
    return "@" not in text or (text[0] == text[-1] == '"' and '"' not in text[1:-1]) or _unwrapped(text) is not None


def _first_of_several(text: str) -> str | None:
    parts = [stripped for part in _SEPARATORS(text) if (stripped := part.strip(_BLANK))]
    if all(map(_ADDRESS, parts)):
        return parts[0]
    entries = [entry.strip(f"{_BLANK};,") for entry in _ENTRIES(text)]
    found = [_unwrapped(entry) for entry in entries if entry]
    return found[0] if all(found) else None
