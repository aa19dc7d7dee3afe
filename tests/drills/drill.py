"""What a drill is, and the list of all of them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.drills.ground import Ground
from tests.drills.rig import Rig

#: Breaks something and sees the work done; returns the seconds from the fault to that, where it makes sense.
Run = Callable[[Rig], float | None]
OpenGround = Callable[[Path], AbstractContextManager[Ground]]


@dataclass(frozen=True, slots=True)
class Drill:
    """One fault. Each round has a database of its own."""

    name: str
    fault: str  #: in the words of the table
    run: Run
    bar_seconds: float | None  #: recovery, or what else the drill times, may take this long with default settings
    rounds: int  #: of `make drills`
    quick_rounds: int  #: of the tests; 0: takes too long for them
    ground: OpenGround | None  #: opens a server of the drill's own
    missing: Callable[[], str]  #: why it cannot be done here; empty when it can
    group: str  #: to choose it with others of its kind; that of its module unless it says another

    def is_within_bar(self, seconds: float | None) -> bool:
        return self.bar_seconds is None or seconds is None or seconds <= self.bar_seconds


DRILLS: dict[str, Drill] = {}


def drill(
    *,
    bar_seconds: float | None = None,
    rounds: int = 5,
    quick_rounds: int = 1,
    ground: OpenGround | None = None,
    missing: Callable[[], str] = lambda: "",
    group: str | None = None,
) -> Callable[[Run], Run]:
    """Put a function among the drills: its name is the drill's, its docstring the fault."""

    def register(run: Run) -> Run:
        name = run.__name__.replace("_", "-")
        fault = (run.__doc__ or "").strip().partition("\n")[0].rstrip(".")
        in_group = group or run.__module__.rpartition(".")[2]
        DRILLS[name] = Drill(name, fault, run, bar_seconds, rounds, quick_rounds, ground, missing, in_group)
        return run

    return register
