"""Speed of an import, from the stored object to commit, and of its request, beside COPY of rows that are ready."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import psutil

from tests.bench.once import Cost, import_file, start_seconds
from tests.bench.references import binary_rows, copy_binary, copy_by_psql, csv_with_ids, write
from tests.bench.report import print_table, verdict
from tests.bench.rig import Rig
from tests.bench.sample import LAYOUTS, PSQL, SOURCE
from tests.support.processes import Web

REFERENCE, BINARY, DEFAULT_IDS = "\\copy, ids in order", "COPY binary, ids in order", "\\copy, default ids"
LEAST_OF_REFERENCE = {"json": 1.0, "ndjson": 1.0, "csv": 0.95}
MOST_PROCESSOR_US = {"json": 1.0, "ndjson": 1.0, "csv": 1.15}  #: a row
MOST_REQUEST_US = {"json": 0.6}  #: a row
HOW = (
    "Processor s: user and system time of the worker's process as the kernel counts it at its end, less {start:.2f} s "
    "that a worker takes which finds nothing to do; of web: that of all its processes after a request, less before it."
)


@dataclass(frozen=True, slots=True)
class Turns:
    """What one way took in each round."""

    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)
    request_seconds: list[float] = field(default_factory=list)
    web_processor_seconds: list[float] = field(default_factory=list)

    @property
    def spread(self) -> str:
        return f"{min(self.seconds):.2f} - {max(self.seconds):.2f}"


def run(rig: Rig, rows: int, rounds: int) -> None:
    """Have everyone import the same rows once a round, in turns, and print the medians."""
    files = {name: write(rig.folder / name, layout.pieces(rows)) for name, layout in LAYOUTS.items()}
    plain = write(rig.folder / "plain", PSQL.pieces(rows))
    ordered = write(rig.folder / "ordered", csv_with_ids(plain))
    ready = write(rig.folder / "ready", binary_rows(rows))
    references: dict[str, Callable[[], float]] = {
        REFERENCE: partial(copy_by_psql, rig, "id, name, email, source", ordered),
        BINARY: partial(copy_binary, rig, ready),
        DEFAULT_IDS: partial(copy_by_psql, rig, "name, email, source", plain),
    }
    turns = {name: Turns() for name in (REFERENCE, BINARY, *files, DEFAULT_IDS)}
    starts = []
    for _ in range(rounds):
        starts.append(start_seconds(rig))
        for name, each in turns.items():
            if name in files:
                _note(each, import_file(rig, name, files[name], rows))
            else:
                each.seconds.append(references[name]())
            arrived = rig.value("SELECT count(*) FROM contacts")
            assert arrived == rows, f"{name}: {arrived} of {rows} rows arrived"
    _send_all(rig, files, turns, rounds)
    _report(turns, rows, rounds, median(starts))


def _note(turns: Turns, cost: Cost) -> None:
    turns.seconds.append(cost.seconds)
    turns.processor_seconds.append(cost.processor_seconds)


def _send_all(rig: Rig, files: dict[str, Path], turns: dict[str, Turns], rounds: int) -> None:
    """Deliver each file to one gunicorn over loopback, once a round."""
    web = Web.start(rig.variables)
    try:
        for _ in range(rounds):
            for name, path in files.items():
                before, began = _processor_seconds(web), time.monotonic()
                headers = {"Content-Type": LAYOUTS[name].media_type, "X-Source": SOURCE}
                with path.open("rb") as file:
                    answer = web.post(data=file, headers=headers)
                turns[name].request_seconds.append(time.monotonic() - began)
                turns[name].web_processor_seconds.append(_processor_seconds(web) - before)
                assert answer.status_code == 200, answer.text
                assert rig.forget_queued() == [path.stat().st_size]
    finally:
        web.stop()


def _processor_seconds(web: Web) -> float:
    parent = psutil.Process(web.process.pid)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def _report(turns: dict[str, Turns], rows: int, rounds: int, idle_seconds: float) -> None:
    reference = median(turns[REFERENCE].seconds)
    table = []
    for name, each in turns.items():
        middle = median(each.seconds)
        ratio = reference / middle
        bar = _against(ratio >= LEAST_OF_REFERENCE[name], LEAST_OF_REFERENCE[name]) if name in LAYOUTS else ""
        ours = _ours(name, each, rows, idle_seconds) if name in LAYOUTS else ("",) * 5
        table.append((name, f"{middle:.2f}", f"{rows / middle:,.0f}", f"{ratio:.2f}", bar, *ours, each.spread))
    columns = (
        "",
        "seconds",
        "rows/s",
        "of \\copy",
        "bar",
        "processor s",
        "bar",
        "request s",
        "bar",
        "web's processor s",
    )
    title = f"Import of {rows:,} contacts, claim to commit, and its request, median of {rounds}"
    print_table(title, (*columns, "least - most s"), table)
    print(HOW.format(start=idle_seconds), flush=True)


def _ours(name: str, turns: Turns, rows: int, idle_seconds: float) -> tuple[str, str, str, str, str]:
    processor = median(turns.processor_seconds) - idle_seconds
    most = MOST_PROCESSOR_US[name] * rows / 1e6
    request = median(turns.request_seconds)
    most_request = MOST_REQUEST_US[name] * rows / 1e6 if name in MOST_REQUEST_US else None
    bar = _against(request <= most_request, most_request) if most_request is not None else ""
    web = f"{median(turns.web_processor_seconds):.2f}"
    return f"{processor:.2f}", _against(processor <= most, most), f"{request:.2f}", bar, web


def _against(met: bool, bar: float) -> str:
    return f"{verdict(met)} {bar:g}"
