"""Tables that are drawn for a screen with | between their cells, as psql, mysql and Markdown have them, made plain.

The lines between rows and the count below them become blank lines, so that every row keeps its number, and cells lose
the blanks that make them equally wide.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

#: A line of dashes, which crosses the others where they are drawn.
_RULE: Final = r"[ \t]*+[|+]?(?:[ \t]*+:?-{3,}:?[ \t]*+[|+])+(?:[ \t]*+:?-{3,}:?)?[ \t]*+"
#: How such a table begins: a rule below the header, and in mysql also above it.
_BEGINNING: Final = re.compile(
    rf"(?:(?P<above>\+{_RULE})\r?\n[ \t]*\||[^\n|]*\|[^\n]*\n(?P<below>{_RULE})\r?(?:\n|\Z))"
)
#: What may stand above it, such as a title; no longer than the header row is looked for.
_ABOVE: Final = re.compile(r"(?:[^\n|]*\n){0,29}(?=[^\n]*\|)")
#: What stands below the rows.
_COUNT: Final = re.compile(r"\(\d+ rows?\)|\d+ rows? in set(?:, \d+ warnings?)?(?: \([\w. ]{1,40}\))?")
#: A line that is longer is no row of such a table.
_MAX_LINE_CHARACTERS: Final = 1024 * 1024


def rule_of(beginning: str) -> str | None:
    """The line that is drawn between rows of the table that a text begins with, None when it is not drawn."""
    text = beginning.lstrip()
    above = _ABOVE.match(text)
    found = _BEGINNING.match(text) or (_BEGINNING.match(text, above.end()) if above else None)
    return (found["above"] or found["below"]).strip() if found else None


def plain(texts: Iterable[str], rule: str) -> Iterator[str]:
    """The text of a drawn table, which comes in pieces of any size, as plain rows with | between cells."""
    rest = ""
    for text in texts:
        lines, newline, rest = (rest + text).rpartition("\n")
        if newline:
            yield _plain(lines, rule) + newline
        if len(rest) > _MAX_LINE_CHARACTERS:
            yield rest
            rest = ""
    yield _plain(rest, rule)


def _plain(lines: str, rule: str) -> str:
    return "\n".join([_plain_line(line, rule) for line in lines.split("\n")])


def _plain_line(line: str, rule: str) -> str:
    text = line.strip(" \t\r")
    end = "\r" if line.endswith("\r") else ""
    # Some draw the one below the header with equals signs.
    if text.replace("=", "-") == rule or _COUNT.fullmatch(text):
        return end
    return "|".join([cell.strip(" \t") for cell in text.split("|")]) + end
