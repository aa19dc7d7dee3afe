"""All drills, in the order of the table."""

from tests.drills import cuts, kills, many, outages, poison, pooler, refusals, restarts, reverts, stops, zombies
from tests.drills.drill import DRILLS

_SUBJECTS = (kills, zombies, cuts, restarts, outages, stops, refusals, poison, many, pooler, reverts)

CATALOGUE = {
    name: drill for subject in _SUBJECTS for name, drill in DRILLS.items() if drill.run.__module__ == subject.__name__
}
