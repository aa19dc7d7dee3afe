"""Which rows of a block are good contacts, and what exactly is wrong with each of the others.

A block is first looked at as columns, by a quick check that accepts only what the schema surely accepts. The other rows
are cleaned and go to the schema one by one (7 us each). A property test holds the two together.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from marshmallow import ValidationError, missing

from dataflow.contacts.emails import clean
from dataflow.contacts.plain_emails import find_others, is_plain
from dataflow.contacts.schema import MAX_NAME_CHARACTERS, ContactSchema
from dataflow.errors import Issue
from dataflow.formats.block import ABSENT, Block, Malformed
from dataflow.formats.signs import MARKS
from dataflow.formats.wrapping import bare, may_be_wrapped
from dataflow.text import find_refused

WRONG_TYPE = "wrong_type"
MISSING = {"name": "missing_name", "email": "missing_email"}

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
    texts, joined = _texts(names)
    found = find_others(_texts(emails)[0])
    if not all(map(str.strip, texts)):
        found += [index for index, text in enumerate(texts) if not text.strip()]
    if max(map(len, texts), default=0) > MAX_NAME_CHARACTERS:
        found += [index for index, text in enumerate(texts) if len(text) > MAX_NAME_CHARACTERS]
    is_odd = not joined.isprintable()
    if is_odd and find_refused(joined):
        found += [index for index, text in enumerate(texts) if find_refused(text)]
    if may_be_wrapped(joined) or (is_odd and _MARK(joined)):
        found += [index for index, text in enumerate(texts) if bare(text) != text]
    return sorted({*found})


def _texts(values: Sequence[object]) -> tuple[Sequence[str], str]:
    """A column with empty texts, which fail every test, for values that are no text; and all of it joined."""
    column: Any = values
    try:
        return column, "".join(column)
    except TypeError:
        column = [value if isinstance(value, str) else "" for value in values]
        return column, "".join(column)


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


_IS_PLAIN: Final[dict[str, Callable[[str], bool]]] = {"name": _is_plain_name, "email": is_plain}


def _code(key: str, value: object, fault: str) -> str:
    if value is ABSENT or value is None or (isinstance(value, str) and not value.strip()):
        return MISSING[key]
    return getattr(fault, "code", WRONG_TYPE)
