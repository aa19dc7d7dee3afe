"""The quick drills, a round or two of each: faults for real, rows counted; `make drills` runs all of them for longer.

What breaks is in the docstrings of `tests/drills`; their names are those of the tests.
"""

from pathlib import Path

import pytest

from tests.drills.catalogue import CATALOGUE
from tests.drills.drill import Drill
from tests.drills.ground import Ground
from tests.drills.rounds import run_round

QUICK = [
    pytest.param(drill, id=f"{name}-{number}")
    for name, drill in CATALOGUE.items()
    for number in range(1, drill.quick_rounds + 1)
]


@pytest.mark.parametrize("drill", QUICK)
def test_each_row_is_imported_once_whatever_breaks(drill: Drill, server: str, template: str, tmp_path: Path) -> None:
    if reason := drill.missing():
        pytest.skip(reason)
    outcome = run_round(drill, Ground(server, template, tmp_path), tmp_path, is_quick=True)
    if outcome.error:
        raise outcome.error
    assert (outcome.lost, outcome.doubled) == (0, 0)
    assert drill.is_within_bar(outcome.recovery_seconds), outcome
