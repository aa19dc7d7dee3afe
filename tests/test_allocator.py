"""Our processes begin with an allocator that gives memory back, and whoever starts them may decide otherwise."""

import os
import subprocess
import sys
from collections.abc import Callable

import psutil
import pytest

from dataflow import allocator
from tests.support.processes import Web, WorkerProcess

OURS = "MALLOC_ARENA_MAX"


@pytest.mark.unit
def test_what_somebody_has_set_stays() -> None:
    assert allocator.environment({"A": "b"}) == {"A": "b", OURS: "2"}
    for own in ({OURS: "8"}, {OURS: ""}, {"GLIBC_TUNABLES": "glibc.malloc.perturb=1:glibc.malloc.arena_max=3"}):
        assert allocator.environment(own) == own
    assert allocator.environment({"GLIBC_TUNABLES": "glibc.malloc.perturb=1"})[OURS] == "2"


@pytest.mark.unit
def test_memory_is_given_back_when_the_process_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    least, trims = 50 * allocator.GROWTH_BYTES, list[int]()
    resident_bytes = iter([least, least, least + allocator.GROWTH_BYTES - 1, least + allocator.GROWTH_BYTES, least + 9])
    monkeypatch.setattr(allocator._Resident, "least_bytes", 0)
    monkeypatch.setattr(allocator, "_resident_bytes", lambda: next(resident_bytes))
    monkeypatch.setattr(allocator, "_trim", lambda: trims.append)
    allocator.give_back()
    assert (trims, allocator._Resident.least_bytes) == ([0], least)
    allocator.give_back()
    assert trims == [0]
    allocator.give_back()
    assert (trims, allocator._Resident.least_bytes) == ([0, 0], least + 9)


def test_a_worker_begins_again_as_the_same_process_and_stops_as_it_should(
    start_worker: Callable[..., WorkerProcess],
) -> None:
    worker = start_worker()
    process = psutil.Process(worker.process.pid)
    assert process.environ()[OURS] == "2"
    assert process.children() == []
    assert worker.stop() == 0


def test_a_worker_begins_only_once_where_that_is_set(start_worker: Callable[..., WorkerProcess]) -> None:
    worker = start_worker(**{OURS: 5})
    assert psutil.Process(worker.process.pid).environ()[OURS] == "5"


def test_every_web_process_has_it(start_web: Callable[..., Web]) -> None:
    web = start_web()
    master = psutil.Process(web.process.pid)
    for process in (master, *master.children()):
        assert process.environ()[OURS] == "2"


def test_a_command_that_is_begun_again_keeps_its_arguments_and_exit_code() -> None:
    program = "import sys; from dataflow import allocator; allocator.begin_again(); print(sys.argv); sys.exit(3)"
    environment = {name: value for name, value in os.environ.items() if name != OURS}
    command = [sys.executable, "-c", program, "a b", "--c"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (3, "['-c', 'a b', '--c']\n")
