"""Tables that psql, mysql and Markdown draw with | between their cells, made plain.

Lines between rows and the count below become blank lines, so that every row keeps its number.
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
_COUNT: Final = re.compile(r"\(\d+ rows?\)|\d+ rows? in set(?:, \d+ warnings?)?(?: \([\w. ]{1,40}\))?")
_MAX_LINE_CHARACTERS: Final = 1024 * 1024


def rule_of(beginning: str) -> str | None:
    """The line that is drawn between the rows of the table that a text begins with, None without such a table."""
    text = beginning.lstrip()
    above = _ABOVE.match(text)
    found = _BEGINNING.match(text) or (_BEGINNING.match(text, above.end()) if above else None)
    return (found["above"] or found["below"]).strip() if found else None


def plain(texts: Iterable[str], rule: str) -> Iterator[str]:
    """The text of a drawn table as plain rows with | between cells, which lose the blanks around them."""
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
