"""How headers are compared: without case, punctuation and white space."""

# ruff: noqa: RUF001 - the letters of other alphabets are meant

import re
import unicodedata
from typing import Final

#: What is dropped to compare headers; the line end separates them where all are compared at once.
_IRRELEVANT: Final = re.compile(r"[^\w\n]+")
#: The same for ASCII, in a tenth of the time.
_DROPPED: Final = {code: None for code in range(128) if not chr(code).isalnum() and chr(code) != "\n"}
#: Letters that Unicode does not take apart into a plain letter and an accent.
_STROKES: Final = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ı": "i", "æ": "ae"})

#: What a form says in brackets to whoever fills it in, by how it begins; or an address as an example.
_ASIDE: Final = re.compile(
    r"""[(\[{（［] [ ]* (?: (?:
            (?: as[ ](?:on|per|in|it|you|shown|to) | for[ ](?:example|confirmation) | in[ ](?:full|english|block)
            | please | wie[ ](?:im|in|auf) | bitte | comme | tel[ ]que | en[ ](?:majuscules|mayúsculas) | svp | como
            | tal[ ](?:como|cual) | por[ ]favor | conforme | come | zoals | bijv )\b
            | e[.]?g[.:,] | (?:ex|ej|es)[.:] | z[.][ ]?b | [例如请請예] | 漢字 | フルネーム
        ) [^()\[\]{}（）［］\n]* | [^\s()\[\]{}（）［］@]+ @ [^\s()\[\]{}（）［］@]+ [ ]* ) [)\]}）］]""",
    re.IGNORECASE | re.VERBOSE,
)


def normalise(header: str) -> str:
    """A header as it is compared: `E-mail 1 - Value` and `email_1_value` are the same."""
    return compared(header).replace("\n", "")


def compared(text: str) -> str:
    if text.isascii():
        return text.lower().translate(_DROPPED)
    return _IRRELEVANT.sub("", unicodedata.normalize("NFKC", text).casefold()).replace("_", "")


def without_accents(name: str) -> str:
    """A normalised name in the letters of ASCII; empty where it needs others."""
    signs = unicodedata.normalize("NFD", name.translate(_STROKES))
    plain = "".join(sign for sign in signs if not unicodedata.combining(sign))
    return plain if plain.isascii() else ""


def without_asides(text: str) -> str:
    """Headers without what stands in brackets behind them and says how to fill them in: `Name (as on your ticket)`."""
    return _ASIDE.sub("", text)
