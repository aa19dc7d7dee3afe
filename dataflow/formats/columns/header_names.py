"""What programs call the columns of names and e-mails in other languages: read from the table beside this module.

Roles: `whole` is all of a name, `first` and `last` are its halves, `infix` and `last2` stand before and behind a last
name. `email2` comes after the others, never alone; `signin` may be an address where there is no other. Alone, `nom` and
`nombre` are all of a name. Beside a first name `nom` is the last, beside a last name `nombre` and `ad` are the first
one; `apelido` is a last name where there is no other, and `visa` all of a name beside both halves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dataflow.formats.columns.comparison import normalise, without_accents


@dataclass(frozen=True, slots=True)
class Line:
    role: str
    language: str
    source: str
    names: tuple[str, ...]


def _lines() -> Iterator[Line]:
    for line in Path(__file__).with_suffix(".tsv").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            role, language, source, names = line.split("\t")
            yield Line(role, language, source, tuple(names.split("|")))


TABLE: Final = tuple(_lines())


def called(role: str) -> tuple[str, ...]:
    """All names of a role in the order of the table, normalised, and without the accents that programs lose."""
    names = [normalise(name) for line in TABLE if line.role == role for name in line.names]
    return tuple(dict.fromkeys([*names, *filter(None, map(without_accents, names))]))
