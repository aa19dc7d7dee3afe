"""All drills, in the order of the table."""

from collections.abc import Collection

from tests.drills import bombs, cuts, kills, many, poison, pooler, refusals, restarts, reverts, siege, stops, zombies
from tests.drills.drill import DRILLS, Drill

_SUBJECTS = (kills, zombies, cuts, restarts, stops, refusals, poison, many, pooler, reverts, siege, bombs)

CATALOGUE = {
    name: drill for subject in _SUBJECTS for name, drill in DRILLS.items() if drill.run.__module__ == subject.__name__
}

GROUPS = list(dict.fromkeys(drill.group for drill in CATALOGUE.values()))


def chosen(names: Collection[str]) -> list[Drill]:
    """The drills of these names and groups; all without one."""
    return [drill for drill in CATALOGUE.values() if not names or {drill.name, drill.group} & set(names)]
