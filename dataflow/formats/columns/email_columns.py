"""Which columns of a header are those of the e-mail: by their usual names, by other languages' names, or qualified.

Each kind is looked for only where those before it are missing, so that the exact name always wins.
"""

from dataflow.formats.columns import headers
from dataflow.formats.columns.headers import LISTED, NAME_ALIASES, Index
from dataflow.formats.columns.matching import Found, ambiguous, positions, single


def find(index: Index, is_table: bool, is_named: bool) -> Found:
    """The columns of the e-mail, best first. Without `is_table`, a member that is called `email` wins alone.

    :param is_named: the name is given, so that no header can say whose it is.
    :raises AmbiguousColumns: when several are called the same.
    """
    if not is_table and "email" in index.folded:
        return Found((single(index, "email", ("email",)),))
    if usual := _usual(index):
        later = (at for alias in (*headers.MORE_EMAILS, *LISTED["email2"]) for at in index.plain.get(alias, ()))
        return Found(tuple((at,) for at in dict.fromkeys([*usual, *later])))
    found = qualified(index, is_named)
    return found if found.places else Found(tuple((at,) for at in positions(index, LISTED["signin"])))


def _usual(index: Index) -> list[int]:
    exact = single(index, "email", headers.EMAILS[:1])
    for aliases in (headers.EMAILS, LISTED["email"]):
        if found := positions(index, aliases):
            if not exact and any(len(index.plain.get(alias, ())) > 1 for alias in aliases):
                raise ambiguous(index.header, found, f"{len(found)} columns could be the email", "email")
            return [*exact, *(at for at in found if at not in exact)]
    return []


def qualified(index: Index, is_named: bool) -> Found:
    """The qualified e-mails of one person: the one whose name the header has. Later addresses alone do not count."""
    found = [(at, each) for at, each in index.qualified if each.role == "email"]
    named = {each.person for _, each in index.qualified if each.role != "email"}
    says_whose = not is_named and NAME_ALIASES.isdisjoint(index.plain) and "" not in named
    if says_whose:
        found = [(at, each) for at, each in found if each.person in ("", *named)]
    first = next((each for _, each in found if not each.is_later), None)
    if not first:
        return Found(())
    own = [(each.is_later, at) for at, each in found if not says_whose or each.person in ("", first.person)]
    return Found(tuple((at,) for _, at in sorted(own)), True, first.person)
