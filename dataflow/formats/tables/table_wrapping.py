"""What the values of a column are wrapped in: quotes, an apostrophe that makes them text, or a word for nothing.

Each may be part of a name, so it is taken off only where the first rows prove it of the whole column.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from dataflow.formats.columns.contact_columns import Columns
from dataflow.formats.formulas import Guards
from dataflow.formats.wrapping import CLOSING, NULL, is_quoted, unquoted

#: What clients of databases write for nothing. Without brackets it may be a name.
_BRACKETED: Final = frozenset({"(NULL)", "(null)", "[NULL]", "[null]", "<NULL>", "<null>"})
NULL_WORDS: Final = _BRACKETED | {"NULL", "null"}
#: How many rows are looked at.
SAMPLE_ROWS: Final = 100


@dataclass(frozen=True, slots=True)
class Wrapping:
    """What each value of some columns is wrapped in; nothing in nearly all tables."""

    quotes: dict[int, str] = field(default_factory=dict)  #: by column, what opens a quote around each value
    apostrophes: frozenset[int] = frozenset()  #: columns whose values have one before them, which makes them text
    nulls: frozenset[int] = frozenset()  #: columns in which NULL_WORDS are nothing
    guards: Guards | None = None  #: those of an export of ours, whose values have nothing else around them

    def __bool__(self) -> bool:
        return bool(self.quotes or self.apostrophes or self.nulls or self.guards)

    def take_off(self, rows: Iterable[list[str]]) -> None:
        """Changes the rows that are not refused."""
        rows = [row for row in rows if type(row) is list]
        if self.guards:
            self.guards.take_off(rows)
        for position, opening in self.quotes.items():
            for row in _reaching(rows, position):
                row[position] = unquoted(row[position], opening)
        for position in self.apostrophes:
            for row in _reaching(rows, position):
                if (value := row[position].lstrip()).startswith("'"):
                    row[position] = value[1:]
        for position in self.nulls:
            for row in _reaching(rows, position):
                if row[position].strip() in NULL_WORDS:
                    row[position] = ""


NONE: Final = Wrapping()


def wrapping_of(header: Sequence[str], columns: Columns, rows: Sequence[Sequence[str]]) -> Wrapping:
    """What the values are wrapped in, told by the first rows.

    One value alone proves nothing, because a name may begin and end with an apostrophe, unless its header or another
    column has the same quotes. An apostrophe before each e-mail is proof enough.
    """
    if guards := Guards.of(header):
        return Wrapping(guards=guards)
    values = {at: _values(rows, at) for at in sorted(columns.used)}
    quoted = {at: quote for at, column in values.items() if (quote := _quote_of(column))}
    quotes = {at: quote for at, quote in quoted.items() if len(quoted) > 1 or len(values[at]) > 1}
    quotes |= {at: header[at].strip()[0] for at in values if is_quoted(header[at])}
    before = {at for at, column in values.items() if at not in quoted and column and _all_begin(column)}
    is_marked = not before.isdisjoint(columns.email_positions)
    names = {at for place in columns.names for at in place}
    has_null = any(_has_null(row, names) for row in rows)
    return Wrapping(quotes, frozenset(before if is_marked else ()), frozenset(values if has_null else ()))


def has_opening(text: str) -> bool:
    """Whether a text has any of it. Quotes that are doubled within quotes count alone."""
    return any(quote in text for quote in CLOSING if quote != '"') or '"""' in text or "NULL" in text or "null" in text


def _has_null(row: Sequence[str], names: set[int]) -> bool:
    """Whether a row shows that its file has a word for nothing: in brackets, or where there is no name."""
    words = NULL_WORDS.intersection(row)
    return not words.isdisjoint(_BRACKETED) or any(
        cell in words for at, cell in enumerate(row) if words and at not in names
    )


def _values(rows: Iterable[Sequence[str]], at: int) -> list[str]:
    found = (row[at].strip() for row in rows if at < len(row))
    return [value for value in found if value and value != NULL and value not in NULL_WORDS]


def _quote_of(values: Sequence[str]) -> str | None:
    opening = values[0][0] if values else ""
    return opening if opening in CLOSING and all(is_quoted(value, opening) for value in values) else None


def _all_begin(values: Iterable[str]) -> bool:
    return all(value.startswith("'") and len(value) > 1 for value in values)


def _reaching(rows: Iterable[list[str]], position: int) -> Iterator[list[str]]:
    return (row for row in rows if position < len(row))
