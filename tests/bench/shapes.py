"""What rows cost that are not all alike: refused ones, two sets of keys, two orders of keys, beside a clean file."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from statistics import median

from tests.bench.once import Cost, import_file, start_seconds
from tests.bench.references import write
from tests.bench.refusals import MOST_OF_CLEAN, with_bad_rows
from tests.bench.report import print_table, verdict
from tests.bench.rig import Rig
from tests.bench.sample import LAYOUTS, Layout

FORMATS = ("json", "ndjson")
CLEAN, SOME_BAD = "clean", "1 % bad"


@dataclass(frozen=True, slots=True)
class Shape:
    layout: Callable[[Layout], Layout]
    bad_every_rows: int = 0  #: none

    def refused_rows(self, rows: int) -> int:
        return -(-rows // self.bad_every_rows) if self.bad_every_rows else 0


def run(rig: Rig, rows: int, rounds: int) -> None:
    """Import each shape once a round, in turns, and print the medians of a row."""
    files = {
        (name, label): write(rig.folder / f"shape-{number}.{name}", shape.layout(LAYOUTS[name]).pieces(rows))
        for name in FORMATS
        for number, (label, shape) in enumerate(SHAPES.items())
    }
    costs: dict[tuple[str, str], list[Cost]] = {key: [] for key in files}
    starts = []
    for _ in range(rounds):
        starts.append(start_seconds(rig))
        for (name, label), path in files.items():
            costs[name, label].append(_import(rig, name, label, path, rows))
    _report(costs, rows, rounds, median(starts))


def _import(rig: Rig, name: str, label: str, path: Path, rows: int) -> Cost:
    return import_file(rig, name, path, rows, SHAPES[label].refused_rows(rows), {"maxRejects": rows})


def _report(costs: dict[tuple[str, str], list[Cost]], rows: int, rounds: int, idle_seconds: float) -> None:
    clean_seconds = {name: median(cost.seconds for cost in costs[name, CLEAN]) for name in FORMATS}
    table = []
    for (name, label), each in costs.items():
        seconds = median(cost.seconds for cost in each)
        processor_seconds = median(cost.processor_seconds for cost in each) - idle_seconds
        ratio = seconds / clean_seconds[name]
        bar = verdict(ratio <= MOST_OF_CLEAN) if label == SOME_BAD else ""
        figures = f"{1e6 * seconds / rows:.2f}", f"{1e6 * processor_seconds / rows:.2f}"
        table.append((f"{name}, {label}", *figures, f"{ratio:.2f}", bar))
    columns = ("", "us", "processor us", "of clean", f"bar {MOST_OF_CLEAN}")
    print_table(f"Import of {rows:,} rows of several shapes, of one row, median of {rounds}", columns, table)


def _in_turns(*rows: Callable[[str, str], str]) -> Callable[[Layout], Layout]:
    """A layout whose rows are written by one after the other of these."""

    def layout(clean: Layout) -> Layout:
        following = cycle(rows)

        def row(name: str, email: str) -> str:
            return next(following)(name, email)

        return replace(clean, row=row)

    return layout


def _bad(every_rows: int) -> Shape:
    return Shape(lambda clean: with_bad_rows(clean, every_rows), every_rows)


def _object(**members: str) -> str:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


def _named_first(name: str, email: str) -> str:
    return _object(name=name, email=email)


SHAPES = {
    CLEAN: Shape(lambda clean: clean),
    SOME_BAD: _bad(100),
    "every second row bad": _bad(2),
    "two sets of keys": Shape(
        _in_turns(_named_first, lambda name, email: _object(name=name, email=email, phone="+49 30 901820"))
    ),
    "two orders of keys": Shape(_in_turns(_named_first, lambda name, email: _object(email=email, name=name))),
}
