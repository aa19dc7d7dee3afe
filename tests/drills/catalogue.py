"""All drills, in the order of the table."""

from collections.abc import Collection

from tests.drills import (
    bombs,
    completions,
    cuts,
    exports,
    foreign_tus,
    kills,
    many,
    million,
    outages,
    poison,
    pooler,
    refusals,
    restarts,
    reverts,
    siege,
    steady,
    stops,
    streams,
    zombies,
)
from tests.drills.drill import DRILLS, Drill

_SUBJECTS = (
    *(kills, zombies, cuts, restarts, outages, stops, refusals, poison, many, pooler, reverts, exports),
    *(steady, completions, foreign_tus, siege, streams, bombs, million),
)

CATALOGUE = {
    name: drill for subject in _SUBJECTS for name, drill in DRILLS.items() if drill.run.__module__ == subject.__name__
}

GROUPS = list(dict.fromkeys(drill.group for drill in CATALOGUE.values()))


def chosen(names: Collection[str]) -> list[Drill]:
    """The drills of these names and groups; all without one."""
    return [drill for drill in CATALOGUE.values() if not names or {drill.name, drill.group} & set(names)]
