"""What programs write around values is taken off: `="..."`, by which Excel keeps a number as text, and quotes.

Quotes may be part of a name: `table_wrapping` decides whether they are taken off.
"""

from typing import Final

from dataflow.formats.signs import MARKS

#: What MySQL, Postgres and Redshift write for nothing.
NULL: Final = "\\N"
CLOSING: Final = {"'": "'", '"': '"', "`": "`", "‘": "’", "“": "”", "„": "“”", "«": "»"}  # noqa: RUF001
#: `"=""=""""x"""""""`: nobody wraps deeper than that.
_MAX_WRAPPINGS: Final = 4


def may_be_wrapped(joined: str) -> bool:
    """Whether one of the values that are joined may have what `bare` takes off, marks apart."""
    return "=" in joined or "\\" in joined


def bare(text: str) -> str:
    """A value without `="..."` around it or its parts, without NULL, and without marks of files at its ends."""
    if text[:1] in MARKS or text[-1:] in MARKS:
        text = text.strip(MARKS)
    if NULL in text:
        text = " ".join([part for part in text.split(" ") if part != NULL])
    return _without_guards(text) if '="' in text else text


def is_quoted(text: str, opening: str = "") -> bool:
    """Whether quotes stand around a text: those that `opening` begins, or any when it is empty."""
    text = text.strip()
    return len(text) > 1 and text[0] in (opening or CLOSING) and text[-1] in CLOSING[text[0]]


def unquoted(text: str, opening: str) -> str:
    if not is_quoted(text, opening):
        return text
    inner = text.strip()[1:-1]
    if CLOSING[opening] != opening:
        return inner
    return inner.replace(opening * 2, opening).replace(f"\\{opening}", opening)


def _without_guards(text: str) -> str:
    for _ in range(_MAX_WRAPPINGS):
        guarded = text.strip()
        if not (guarded.startswith('="') and guarded.endswith('"') and len(guarded) > 2):
            break
        inner = guarded[2:-1]
        # The parts of a name have been joined by a blank.
        parts = [inner] if _is_one(inner) else inner.split('" ="')
        if not all(map(_is_one, parts)):
            break
        text = " ".join([part.replace('""', '"') for part in parts if part])
    return text


def _is_one(inner: str) -> bool:
    return '"' not in inner.replace('""', "")
