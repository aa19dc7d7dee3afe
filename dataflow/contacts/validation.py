"""Which rows of a block are good contacts, and what exactly is wrong with each of the others.

A block is first looked at as columns, by a quick check that accepts only what the schema surely accepts. The other rows
are cleaned and go to the schema one by one (7 us each). A property test holds the two together.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import length_hint
from typing import Any, Final

from marshmallow import ValidationError, missing

from dataflow.contacts.emails import clean
from dataflow.contacts.schema import MAX_NAME_CHARACTERS, ContactSchema
from dataflow.errors import Issue
from dataflow.formats.block import ABSENT, Block, Malformed
from dataflow.formats.signs import MARKS
from dataflow.formats.wrapping import bare, may_be_wrapped
from dataflow.text import find_refused

WRONG_TYPE = "wrong_type"
MISSING = {"name": "missing_name", "email": "missing_email"}

#: Plain ASCII addresses. Double hyphens, which IDNA reserves, and more than 64 characters, where limits of the parts
#: begin, go to the schema.
_PLAIN_EMAIL = re.compile(
    r"[a-zA-Z0-9_+-]+ (?: \. [a-zA-Z0-9_+-]+ )* @ [a-zA-Z0-9]+ (?: [.-] [a-zA-Z0-9]+ )* \. [a-zA-Z]{2,}",
    re.VERBOSE,
).fullmatch
_MAX_PLAIN_EMAIL = 64
_FIELDS = ContactSchema().fields
_MARK = re.compile(f"[{MARKS}]").search


@dataclass(frozen=True, slots=True)
class Problem:
    field: str | None  #: name or email; None when the row as a whole is at fault
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Refusal:
    index: int  #: within its block
    record: int  #: within its file, from 0
    problems: tuple[Problem, ...]  #: at least one

    def issues(self) -> Iterator[Issue]:
        for problem in self.problems:
            path = ("data", self.record, problem.field) if problem.field else ("data", self.record)
            yield Issue(path, problem.message)


@dataclass(slots=True)
class Verdict:
    names: Sequence[str]
    emails: Sequence[str]
    refusals: Sequence[Refusal] = field(default_factory=list)


def judge(block: Block) -> Verdict:
    names: Any = block.names
    emails: Any = block.emails
    suspects = _suspects(names, emails)
    if not suspects:
        return Verdict(names, emails)
    names, emails, refusals = list(names), list(emails), []
    for index in suspects:
        if isinstance(names[index], str):
            names[index] = bare(names[index])
        if isinstance(emails[index], str):
            emails[index] = clean(emails[index])
    still = _suspects([names[index] for index in suspects], [emails[index] for index in suspects])
    for index in [suspects[place] for place in still]:
        if problems := tuple(_find_problems(names[index], emails[index])):
            refusals.append(Refusal(index, block.first_record + index, problems))
    for refusal in reversed(refusals):
        del names[refusal.index], emails[refusal.index]
    return Verdict(names, emails, refusals)


def _suspects(names: Sequence[object], emails: Sequence[object]) -> list[int]:
    """The rows that the quick check does not accept, ascending."""
    texts, addresses = _texts(names), _texts(emails)
    found = [*_misses(_PLAIN_EMAIL, addresses), *_misses(str.strip, texts)]
    if max(map(len, addresses), default=0) > _MAX_PLAIN_EMAIL:
        found += [index for index, address in enumerate(addresses) if len(address) > _MAX_PLAIN_EMAIL]
    if max(map(len, texts), default=0) > MAX_NAME_CHARACTERS:
        found += [index for index, text in enumerate(texts) if len(text) > MAX_NAME_CHARACTERS]
    is_odd = not (joined := "".join(texts)).isprintable()
    if is_odd and find_refused(joined):
        found += [index for index, text in enumerate(texts) if find_refused(text)]
    if may_be_wrapped(joined) or (is_odd and _MARK(joined)):
        found += [index for index, text in enumerate(texts) if bare(text) != text]
    return sorted({*found})


def _texts(values: Sequence[object]) -> Sequence[str]:
    """A column with empty texts for values that are no text: they fail every test."""
    column: Any = values
    return column if {*map(type, values)} == {str} else [value if type(value) is str else "" for value in column]


def _misses(test: Callable[[str], object], texts: Sequence[str]) -> Iterator[int]:
    """Where a test fails; `all` runs through the column at the speed of C."""
    rest = iter(texts)
    while not all(map(test, rest)):
        yield len(texts) - length_hint(rest) - 1


def _find_problems(name: object, email: object) -> Iterator[Problem]:
    """Asks only the checks of the fields: a schema costs another 10 us for each refusal, a field another 3."""
    if isinstance(name, Malformed):
        yield Problem(None, name.code, name.message)
        return
    for key, value in (("name", name), ("email", email)):
        if type(value) is str and _IS_PLAIN[key](value):
            continue
        try:
            if type(value) is str:
                for check in _FIELDS[key].validators:
                    check(value)
            else:
                _FIELDS[key].deserialize(missing if value is ABSENT else value)
        except ValidationError as error:
            fault = error.messages[0]
            yield Problem(key, _code(key, value, fault), str(fault))


def _is_plain_name(text: str) -> bool:
    return bool(text.strip()) and len(text) <= MAX_NAME_CHARACTERS and not find_refused(text)


def _is_plain_email(text: str) -> bool:
    return len(text) <= _MAX_PLAIN_EMAIL and bool(_PLAIN_EMAIL(text))


_IS_PLAIN: Final[dict[str, Callable[[str], bool]]] = {"name": _is_plain_name, "email": _is_plain_email}


def _code(key: str, value: object, fault: str) -> str:
    if value is ABSENT or value is None or (isinstance(value, str) and not value.strip()):
        return MISSING[key]
    return getattr(fault, "code", WRONG_TYPE)
