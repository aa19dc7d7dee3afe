"""All drills, in the order of the table."""

from tests.drills import completions, cuts, kills, many, poison, pooler, refusals, restarts, reverts, stops, zombies
from tests.drills.drill import DRILLS

_SUBJECTS = (kills, zombies, cuts, restarts, stops, refusals, poison, many, pooler, reverts, completions)

CATALOGUE = {
    name: drill for subject in _SUBJECTS for name, drill in DRILLS.items() if drill.run.__module__ == subject.__name__
}
