"""`dataflow jobs` as somebody types it: a table, and a table that goes on."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dataflow.client.jobs_table import span, table
from tests.support.commands import Outcome, dataflow, environment
from tests.support.cutting_proxy import CuttingProxy
from tests.support.processes import Web
from tests.support.scripted_server import Answer, scripted
from tests.support.waiting import eventually

Command = Callable[..., Outcome]
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ROW = [{"name": "N", "email": "n@example.com"}]


def a_job(**facts: Any) -> dict[str, Any]:
    """As GET /jobs shows it."""
    return {
        **{"jobId": "01a1f9f7-5b1d-7c7e-8f3b-6f0f2f3b8a51", "kind": "import", "state": "running", "source": "crm"},
        **{"rowsRead": 0, "rowsImported": 0, "rowsExported": 0, "revertedRows": 0, "bytesDone": 0, "bytesTotal": None},
        **{"createdAt": "2026-11-29T11:59:00Z", "startedAt": "2026-11-29T11:59:50Z", "finishedAt": None, "error": None},
        **facts,
    }


def cells(**facts: Any) -> list[str]:
    """Those behind id, kind and state."""
    line = table([a_job(**facts)], NOW)[1]
    return re.split(r"\s{2,}", line)[3:]


@pytest.mark.unit
@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"rowsRead": 2000, "bytesDone": 1, "bytesTotal": 3}, ["crm", "2,000", "33.3", "200", "1 min"]),
        (
            {"state": "succeeded", "rowsRead": 9, "rowsImported": 8, "finishedAt": "2026-11-29T11:59:51Z"},
            ["crm", "8", "100.0", "8", "1 min"],
        ),
        ({"kind": "export", "rowsExported": 50, "source": None}, ["50", "5", "1 min"]),
        ({"kind": "revert", "revertedRows": 70}, ["crm", "70", "7", "1 min"]),
        ({"state": "queued", "startedAt": None}, ["crm", "0", "1 min"]),
        (
            {"state": "failed", "error": "no_contacts: Nothing.\nMore.", "bytesDone": 9, "bytesTotal": 9},
            ["crm", "0", "100.0", "1 min", "no_contacts: Nothing."],
        ),
    ],
)
def test_a_line_says_how_far_a_job_is_and_what_came_of_it(facts: dict[str, Any], shown: list[str]) -> None:
    assert cells(**facts) == shown


@pytest.mark.unit
def test_columns_are_aligned_whatever_the_letters_and_cut_where_the_terminal_ends() -> None:
    jobs = [a_job(source="佐藤", rowsRead=7), a_job(source="Ångström", error="e" * 200), a_job(source="e\u0301")]
    lines = table(jobs, NOW)
    narrow = lines[2].index("1 min")
    # Two of its letters are twice as wide; one of the last takes no room.
    assert [line.index("1 min") for line in lines[1:]] == [narrow - 2, narrow, narrow + 1]
    cut = table(jobs, NOW, 100)[2]
    assert len(cut) == 100 and cut.endswith("…")


@pytest.mark.unit
def test_nothing_that_somebody_named_moves_the_cursor() -> None:
    shown = cells(source="a\x1b[2Jb\nc", error="\x07x\x9by")
    assert (shown[0], shown[-1]) == ("a?[2Jb?c", "?x?y")
    assert "\x1b" not in "".join(table([a_job(source="\x1b[31m" * 50)], NOW))


@pytest.mark.unit
def test_an_age_is_said_as_people_say_it() -> None:
    ages = [-5, 0, 59, 60, 3599, 3600, 86_400, 500_000]
    said = ["0 s", "0 s", "59 s", "1 min", "60 min", "1 h", "1 d", "6 d"]
    assert [span(timedelta(seconds=age)) for age in ages] == said


def test_it_is_a_table_of_the_newest_jobs_that_are_asked_for(command: Command, web: Web) -> None:
    ids = [web.post(params={"source": f"file {n}"}, json=ROW).json()["jobId"] for n in range(3)]
    done = command("jobs", "--limit", "2")
    assert (done.returncode, done.stderr) == (0, "")
    head, newest, second = done.stdout.splitlines()
    assert head.split() == ["id", "kind", "state", "source", "rows", "percent", "rows/s", "age", "error"]
    assert newest.split()[:5] == [ids[2], "import", "queued", "file", "2"]
    assert second.split()[0] == ids[1]
    assert command("jobs", "--source", "file 0").stdout.count("import") == 1
    assert command("jobs", "--state", "failed").stdout.count("import") == 0
    assert len(command("jobs", "--kind", "export").stdout.splitlines()) == 1


def test_what_the_service_refuses_is_one_message(command: Command) -> None:
    done = command("jobs", "--state", "nonsense", "--watch")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("dataflow: Invalid parameters: state: Expected one of ")


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Callable[[str], Callable[[], str]]]:
    """Starts `dataflow jobs --watch` at a URL; returns what it has printed so far."""
    started: list[subprocess.Popen[bytes]] = []

    def start(url: str) -> Callable[[], str]:
        path = tmp_path / "printed"
        with path.open("wb") as file:
            command = [sys.executable, "-m", "dataflow", "jobs", "--watch", "--url", url]
            started.append(subprocess.Popen(command, env=environment(), stdout=file, stderr=file))
        return path.read_text

    yield start
    for process in started:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


def test_watched_by_a_program_each_change_is_a_line_and_the_service_may_be_away(
    watching: Callable[[str], Callable[[], str]], start_web: Callable[..., Web], work_off: Callable[[], int]
) -> None:
    web = start_web()
    job_id = web.post(params={"source": "first"}, json=ROW).json()["jobId"]
    with CuttingProxy([web.port]) as proxy:
        printed = watching(proxy.url)
        eventually(lambda: f"{job_id}  import  queued" in printed())
        web.stop()
        eventually(lambda: "Still looking." in printed())
        work_off()
        proxy.ports = [start_web().port]
        eventually(lambda: f"{job_id}  import  succeeded" in printed())
    lines = printed().splitlines()
    assert lines[0].startswith("id ")
    # Neither its age nor that the service is still away is a change.
    assert [line.split()[2] for line in lines if line.startswith(job_id)] == ["queued", "succeeded"]
    assert printed().count("Still looking") == 1


@pytest.mark.unit
def test_watched_on_a_terminal_each_table_takes_the_place_of_the_one_before() -> None:
    listed = Answer(body=b'{"jobs": []}')
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with scripted({"/jobs": [listed, Answer(503, b"<h1>down</h1>"), listed]}) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "dataflow", "jobs", "--watch", "--url", server.url],
            env={name: value for name, value in environment().items() if name != "COLUMNS"},
            stdout=end,
            stderr=end,
        )
        os.close(end)
        eventually(lambda: len(server.asked) > 3)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    drawn = os.read(terminal, 65536).decode()
    os.close(terminal)
    first, second, third, *_ = drawn.split("\x1b[H\x1b[J")[1:]
    assert first.startswith("id ") and "Still looking" not in first
    assert "answered 503" in second and len(max(second.splitlines(), key=len)) <= 80
    assert "Still looking" not in third


@pytest.mark.unit
def test_a_service_that_is_not_there_is_not_waited_for() -> None:
    done = dataflow("jobs", "--watch", "--url", "http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Connection refused" in done.stderr
