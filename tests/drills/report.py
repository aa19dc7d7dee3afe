"""The table of `make drills`."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.bench.report import print_table, verdict
from tests.drills.drill import Drill
from tests.drills.rounds import Outcome


@dataclass(slots=True)
class Line:
    """What came of one drill."""

    drill: Drill
    outcomes: list[Outcome] = field(default_factory=list)
    skipped: str = ""

    @property
    def lost(self) -> int:
        return sum(outcome.lost for outcome in self.outcomes)

    @property
    def doubled(self) -> int:
        return sum(outcome.doubled for outcome in self.outcomes)

    @property
    def worst_seconds(self) -> float | None:
        return max((outcome.recovery_seconds for outcome in self.outcomes if outcome.recovery_seconds), default=None)

    @property
    def notes(self) -> list[str]:
        return [note for outcome in self.outcomes for note in outcome.notes]

    @property
    def error(self) -> str:
        """What went wrong in the last round, in one line."""
        error = self.outcomes[-1].error if self.outcomes else None
        return f"round {len(self.outcomes)}: {type(error).__name__} {error}".partition("\n")[0] if error else ""

    @property
    def is_passed(self) -> bool:
        is_within = self.drill.is_within_bar(self.worst_seconds)
        return not (self.error or self.lost or self.doubled) and is_within


def print_report(lines: Iterable[Line]) -> None:
    """A row a drill, and below the table why some were skipped or have failed, and what else they have measured."""
    lines = list(lines)
    columns = ("fault", "rounds", "lost", "doubled", "worst, s", "bar", "")
    print_table("Drills", columns, [_cells(line) for line in lines])
    for line in lines:
        if reason := line.skipped or line.error:
            print(f"{line.drill.name} {'skipped' if line.skipped else 'FAILED'}: {reason}")
        for note in line.notes:
            print(f"{line.drill.name}: {note}")


def _cells(line: Line) -> tuple[str, ...]:
    fault, bar = line.drill.fault, line.drill.bar_seconds
    if line.skipped:
        return fault, *["-"] * 5, "skipped"
    worst = line.worst_seconds
    figures = str(len(line.outcomes)), str(line.lost), str(line.doubled), "-" if worst is None else f"{worst:.2f}"
    return fault, *figures, "-" if bar is None else f"{bar:g}", verdict(line.is_passed)
