"""`dataflow run` with small programs in the place of web and worker: real processes, real signals, real kills."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from dataflow.settings.embedded_database import embedded_url

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 30
ELSEWHERE = {"DATABASE_URL": "postgresql://db.invalid/x"}

DRIVER = """
import json, logging, sys
from pathlib import Path
from dataflow.local import process, supervisor
from dataflow.config import Config

class Facts(logging.Formatter):
    def format(self, record):
        facts = {name: getattr(record, name) for name in ("child", "pid", "code") if hasattr(record, name)}
        return json.dumps({"level": record.levelname, "message": record.getMessage(), **facts})

handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(Facts())
logging.basicConfig(level=logging.INFO, handlers=[handler])
order = json.loads(sys.argv[1])
for name, value in order["constants"].items():
    setattr(supervisor if hasattr(supervisor, name) else process, name, value)
migrate, *programs = [
    process.Program(name, (sys.executable, "-c", order["prelude"] + program, name))
    for name, program in order["programs"].items()
]
watched = [Path(folder) for folder in order["watched"]]
sys.exit(supervisor.run(Config.from_env(order["environ"]), bool(watched), programs, migrate, watched))
"""

# A child writes what happens to it into the journal: a line of its name, the event and more facts.
PRELUDE = """
import os, signal, socket, subprocess, sys, time
from pathlib import Path

journal = Path(os.environ["JOURNAL"])

def note(*facts):
    with journal.open("a") as file:
        file.write(" ".join(map(str, (sys.argv[1], *facts))) + chr(10))

def leave(*_):
    note("left")
    sys.exit(0)

def finish_and_leave(*_):
    note("finishing")
    time.sleep(0.5)
    leave()

def stay(*, until):
    signal.signal(signal.SIGTERM, until)
    note("ready")
    while True:
        signal.pause()

def have_child():
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    note("started", child.pid)

note("started", os.getpid())
"""
STEADY = "stay(until=leave)"
FAILING = "note('failing', time.monotonic()); sys.exit(3)"


@dataclass(frozen=True)
class Service:
    """A running supervisor, and what its children wrote."""

    process: subprocess.Popen[str]
    journal: Path

    def events(self, *facts: str) -> list[list[str]]:
        """The lines that begin with `facts`."""
        lines = [line.split() for line in self.journal.read_text().splitlines()]
        return [words for words in lines if words[: len(facts)] == list(facts)]

    def wait_for(self, *facts: str, times: int = 1) -> None:
        eventually(lambda: len(self.events(*facts)) >= times or self.process.poll() is not None)
        assert len(self.events(*facts)) >= times, self.journal.read_text()

    def pids(self) -> list[int]:
        return [int(words[2]) for words in self.events() if words[1] == "started"]

    def end(self, number: int | None = None) -> int:
        if number:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE_SECONDS)

    def log(self) -> list[dict[str, Any]]:
        """Everything that the supervisor, having ended, logged."""
        assert self.process.stdout
        return [json.loads(line) for line in self.process.stdout]


@contextmanager
def service(
    folder: Path,
    programs: Mapping[str, str],
    *,
    migrate: str = "",
    environ: Mapping[str, str] = ELSEWHERE,
    watched: Path | None = None,
    inherited: Mapping[str, str] | None = None,
    **constants: float,
) -> Iterator[Service]:
    journal = folder / "journal"
    journal.touch()
    order = {
        "constants": constants,
        "environ": dict(environ),
        "prelude": PRELUDE,
        "programs": {"migrate": migrate, **programs},
        "watched": [str(watched)] if watched else [],
    }
    command = [sys.executable, "-c", DRIVER, json.dumps(order)]
    env = {**os.environ, "JOURNAL": str(journal), **(inherited or {})}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=env, start_new_session=True
    ) as process:
        running = Service(process, journal)
        try:
            yield running
        finally:
            process.kill()
            for pid in filter(is_alive, running.pids()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE  # not every init reaps orphans at once
    except psutil.NoSuchProcess:
        return False


def test_migrates_first_then_runs_both_until_sigterm(tmp_path: Path) -> None:
    with service(tmp_path, {"web": STEADY, "worker": STEADY}, migrate="note('left')") as running:
        running.wait_for("web", "ready")
        running.wait_for("worker", "ready")
        assert running.end(signal.SIGTERM) == 0
        assert [words[:2] for words in running.events()[:2]] == [["migrate", "started"], ["migrate", "left"]]
        assert running.events("web", "left")
        assert running.events("worker", "left")
        assert not any(map(is_alive, running.pids()))


def test_a_failed_migration_ends_everything_with_its_code(tmp_path: Path) -> None:
    with service(tmp_path, {"web": STEADY}, migrate="sys.exit(7)") as running:
        assert running.end() == 7
        assert not running.events("web")


def test_a_migration_can_be_interrupted(tmp_path: Path) -> None:
    with service(tmp_path, {"web": STEADY}, migrate="note('waits'); signal.pause()") as running:
        running.wait_for("migrate", "waits")
        assert running.end(signal.SIGINT) == 0
        assert not running.events("web")


def test_the_terminal_interrupts_the_supervisor_alone(tmp_path: Path) -> None:
    program = "signal.signal(signal.SIGINT, lambda *_: note('interrupted'));" + STEADY
    with service(tmp_path, {"web": program}) as running:
        running.wait_for("web", "ready")
        os.killpg(running.process.pid, signal.SIGINT)
        assert running.end() == 0
        assert running.events("web", "left")
        assert not running.events("web", "interrupted")


def test_a_failing_child_is_restarted_after_ever_longer_pauses(tmp_path: Path) -> None:
    with service(tmp_path, {"web": STEADY, "worker": FAILING}, FIRST_DELAY_SECONDS=0.1) as running:
        running.wait_for("worker", "failing", times=4)
        running.wait_for("web", "ready")
        assert running.end(signal.SIGTERM) == 0
        times = [float(words[2]) for words in running.events("worker", "failing")]
        assert times[1] - times[0] >= 0.1
        assert times[2] - times[1] >= 0.2
        assert times[3] - times[2] >= 0.4
        assert len(running.events("web", "ready")) == 1
        ended = [line for line in running.log() if line["message"] == "process ended"]
        pids = [int(words[2]) for words in running.events("worker", "started")]
        assert [line for line in ended if line["child"] == "worker"][:3] == [
            {"level": "WARNING", "message": "process ended", "child": "worker", "pid": pid, "code": 3}
            for pid in pids[:3]
        ]


def test_a_child_that_lived_long_enough_is_restarted_after_the_first_pause(tmp_path: Path) -> None:
    constants = {"FIRST_DELAY_SECONDS": 0.3, "STEADY_SECONDS": 0.0}
    with service(tmp_path, {"worker": FAILING}, **constants) as running:
        running.wait_for("worker", "failing", times=5)
        times = [float(words[2]) for words in running.events("worker", "failing")]
        assert times[4] - times[0] < 0.3 + 0.6 + 1.2 + 2.4  # what doubling would take


def test_what_a_dead_child_leaves_behind_is_killed(tmp_path: Path) -> None:
    with service(tmp_path, {"web": "have_child(); sys.exit(1)"}, FIRST_DELAY_SECONDS=60) as running:
        running.wait_for("web", "started", times=2)
        eventually(lambda: not any(map(is_alive, running.pids())))


def test_a_child_that_exits_with_0_ends_everything(tmp_path: Path) -> None:
    worker = "\nwhile 'web ready' not in journal.read_text(): time.sleep(0.02)"
    with service(tmp_path, {"web": STEADY, "worker": worker}) as running:
        assert running.end() == 0
        assert running.events("web", "left")


def test_children_get_the_time_they_need_to_finish(tmp_path: Path) -> None:
    program = "stay(until=finish_and_leave)"
    with service(tmp_path, {"web": program, "worker": program}, ECHO_SECONDS=DEADLINE_SECONDS) as running:
        running.wait_for("web", "ready")
        running.wait_for("worker", "ready")
        running.process.send_signal(signal.SIGTERM)
        running.wait_for("web", "finishing")
        assert running.end(signal.SIGTERM) == 0  # the echo that timeout(1) sends to the group
        assert running.events("web", "left")
        assert running.events("worker", "left")


def test_a_second_signal_kills_at_once(tmp_path: Path) -> None:
    stubborn = "have_child(); stay(until=lambda *_: note('ignored'))"
    with service(tmp_path, {"web": stubborn}, ECHO_SECONDS=0) as running:
        running.wait_for("web", "ready")
        running.process.send_signal(signal.SIGTERM)
        running.wait_for("web", "ignored")
        assert running.end(signal.SIGTERM) == 0
        eventually(lambda: not any(map(is_alive, running.pids())))


def test_a_child_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    environ = {**ELSEWHERE, "SHUTDOWN_GRACE_SECONDS": "0"}
    stubborn = "stay(until=lambda *_: note('ignored'))"
    with service(tmp_path, {"web": stubborn}, environ=environ, KILL_MARGIN_SECONDS=0.3) as running:
        running.wait_for("web", "ready")
        assert running.end(signal.SIGTERM) == 0
        assert running.events("web", "ignored")


def test_changed_sources_restart_the_children(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    (sources / "queries").mkdir(parents=True)
    programs = {"web": STEADY, "worker": STEADY}
    with service(tmp_path, programs, watched=sources, LOOK_SECONDS=0.1) as running:
        for times, name in enumerate(("module.py", "queries/claim.sql"), start=1):
            running.wait_for("web", "ready", times=times)
            running.wait_for("worker", "ready", times=times)
            (sources / name).write_text("changed")
        running.wait_for("web", "ready", times=3)
        running.wait_for("worker", "ready", times=3)
        assert len(running.events("web", "left")) == 2
        assert len(running.events("migrate", "started")) == 1
        assert running.end(signal.SIGTERM) == 0


def test_a_corrected_source_ends_the_pause_after_failures(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    module = sources / "module.py"
    module.write_text("note('broken'); sys.exit(1)")
    programs = {"web": f"exec(Path({str(module)!r}).read_text())"}
    constants = {"LOOK_SECONDS": 0.1, "FIRST_DELAY_SECONDS": 1000}
    with service(tmp_path, programs, watched=sources, **constants) as running:
        running.wait_for("web", "broken")
        module.write_text(STEADY)
        running.wait_for("web", "ready")


@pytest.mark.parametrize(
    ("given", "host"), [({}, "127.0.0.1"), ({"HOST": "0.0.0.0"}, "0.0.0.0"), ({"HOST": "::1"}, "::1")]
)
def test_web_listens_to_this_machine_only_unless_host_says_otherwise(
    tmp_path: Path, given: dict[str, str], host: str
) -> None:
    program = "note('host', os.environ['HOST']);" + STEADY
    with service(tmp_path, {"web": program}, environ={**ELSEWHERE, **given}) as running:
        eventually(lambda: running.events("web", "host"))
        assert running.events("web", "host") == [["web", "host", host]]


def test_children_get_the_embedded_database_and_no_settings_of_another(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    program = "note('environ', os.environ['DATABASE_URL'], *(n for n in os.environ if n[:2] == 'PG'));" + STEADY
    inherited = {"PGPORT": "1", "PGHOSTADDR": "192.0.2.1"}
    environ = {"DATA_DIR": str(folder)}
    with service(tmp_path, {"web": program}, environ=environ, inherited=inherited) as running:
        running.wait_for("web", "ready")
        assert running.events("web", "environ") == [["web", "environ", embedded_url(folder)]]
        with psycopg.connect(embedded_url(folder)) as session:
            assert session.execute("SELECT 1").fetchone() == (1,)
        assert running.end(signal.SIGTERM) == 0
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(embedded_url(folder))


def test_a_dead_postgres_is_started_again(tmp_path: Path) -> None:
    pid_file = tmp_path / "d" / "postgres" / "postmaster.pid"

    def answers() -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(embedded_url(tmp_path / "d")) as session:
            return session.execute("SELECT 1").fetchone() == (1,)
        return False

    with service(tmp_path, {"web": STEADY}, environ={"DATA_DIR": str(tmp_path / "d")}) as running:
        running.wait_for("web", "ready")
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
        eventually(answers)
        assert running.end(signal.SIGTERM) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal of Linux")
def test_after_kill_9_the_children_end_and_the_next_start_works_at_once(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    web = f"server = socket.create_server(('127.0.0.1', {port})); stay(until=finish_and_leave)"
    programs = {"web": web, "worker": STEADY}
    environ = {"DATA_DIR": str(tmp_path / "d")}
    with service(tmp_path, programs, environ=environ) as first:
        first.wait_for("web", "ready")
        first.wait_for("worker", "ready")
        first.process.kill()
        first.process.wait()
        with service(tmp_path, programs, environ=environ, FIRST_DELAY_SECONDS=0.2) as second:
            second.wait_for("web", "left")
            second.wait_for("worker", "left")
            second.wait_for("web", "ready", times=2)
            second.wait_for("worker", "ready", times=2)
            assert second.end(signal.SIGTERM) == 0
            assert not any(map(is_alive, second.pids()))
