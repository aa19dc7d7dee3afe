"""`dataflow export --job` on a real service, over connections that break and with commands that are interrupted."""

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.commands import Outcome, dataflow, environment, interrupted
from tests.support.cutting_proxy import CuttingProxy
from tests.support.processes import Web, WorkerProcess, free_port
from tests.support.scripted_server import Answer, scripted
from tests.support.waiting import eventually

Command = Callable[..., Outcome]
Fill = Callable[..., None]

ROWS = 10_000
#: What comes before the file over the same connection is less, the file is more.
CUT_BYTES = 200_000


def start(url: str, *arguments: str, folder: Path) -> "subprocess.Popen[str]":
    """`dataflow export`, which a test will interrupt."""
    return subprocess.Popen(
        [sys.executable, "-m", "dataflow", "export", *arguments, "--url", url],
        env=environment(),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def how_to_go_on(errors: str) -> list[str]:
    """The arguments of the command that is told."""
    found = re.search(r"To go on: dataflow (.*)$", errors, re.MULTILINE)
    assert found, errors
    return shlex.split(found[1])


def test_the_file_of_a_job_is_what_the_stream_is(
    command: Command, fill: Fill, web: Web, start_worker: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    start_worker()
    fill(ROWS)
    done = command("export", "--job", "--source", "crm")
    assert done.returncode == 0, done.stderr
    path = tmp_path / "contacts-crm.csv"
    assert path.read_bytes() == web.get("/exports").content
    assert re.fullmatch(r"contacts-crm\.csv: 10,000 contacts, [\d.]+ KB in [\d.]+ s\n", done.stdout)
    assert re.search(rf"^succeeded \[#{{30}}\] 100% {ROWS:,} rows$", done.stderr, re.MULTILINE)
    assert list(tmp_path.iterdir()) == [path]
    again = command("export", "--job", "--source", "crm")
    assert again.stderr.splitlines()[-2].startswith("dataflow: contacts-crm.csv: there is such a file already;")
    assert command(*how_to_go_on(again.stderr), "another.csv").returncode == 0
    assert (tmp_path / "another.csv").read_bytes() == path.read_bytes()
    piped = command("export", "--job", "-", "--format", "ndjson", "--limit", "1", "--fields", "name")
    assert re.fullmatch(r'\{"name":"Person \d+"\}\n', piped.stdout)


def test_an_order_whose_answer_is_lost_is_sent_again_and_makes_one_job(
    fill: Fill, web: Web, start_worker: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    start_worker()
    fill(3)
    with CuttingProxy([web.port]) as proxy:
        proxy.cut_answers_after(0)
        done = dataflow("export", tmp_path / "a.csv", "--job", "--url", proxy.url)
        assert proxy.cuts == 1
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Sending it again.") == 1
    assert len(web.get("/jobs").json()["jobs"]) == 1


def test_an_order_to_a_service_that_is_not_there_is_not_sent_again() -> None:
    done = dataflow("export", "--job", "--url", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert re.fullmatch(r"dataflow: No answer from [^\n]* Is the service running there\?\n", done.stderr)


def test_a_download_that_breaks_off_goes_on_where_it_was(
    fill: Fill, web: Web, start_worker: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    start_worker()
    fill(ROWS)
    path = tmp_path / "out.csv"
    with CuttingProxy([web.port]) as proxy:
        proxy.cut_answers_after(CUT_BYTES)
        proxy.cut_answers_after(CUT_BYTES)
        done = dataflow("export", "--job", path, "--url", proxy.url)
        assert proxy.cuts == 2
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == web.get("/exports").content
    assert list(tmp_path.iterdir()) == [path]


def test_a_command_that_is_interrupted_in_the_middle_says_how_to_go_on_and_that_fetches_the_rest(
    fill: Fill, web: Web, start_worker: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    start_worker()
    fill(ROWS)
    with CuttingProxy([web.port]) as proxy:

        def lose_the_service() -> None:
            proxy.ports = [free_port()]

        proxy.cut_answers_after(CUT_BYTES, lose_the_service)
        process = start(proxy.url, "--job", "out.csv", folder=tmp_path)
        eventually(lambda: proxy.cuts == 1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "dataflow: interrupted; the service still has the export. To go on: " in errors
        [part] = tmp_path.iterdir()
        assert 0 < part.stat().st_size < CUT_BYTES
        proxy.ports = [web.port]
        # What is there is not fetched again.
        proxy.cut_answers_after(len(web.get("/exports").content) - part.stat().st_size + 20_000)
        done = subprocess.run(
            [sys.executable, "-m", "dataflow", *how_to_go_on(errors)],
            env=environment(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, proxy.cuts) == (0, 1), done.stderr
    assert (tmp_path / "out.csv").read_bytes() == web.get("/exports").content
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_a_command_that_is_interrupted_while_it_waits_leaves_the_job_which_another_fetches(
    command: Command, fill: Fill, web: Web, work_off: Callable[[], int], tmp_path: Path
) -> None:
    fill(3)
    process = start(web.url, "--job", folder=tmp_path)
    _, errors = interrupted(process, "queued ")
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []
    work_off()
    assert command(*how_to_go_on(errors)).returncode == 0
    assert (tmp_path / "contacts.csv").read_bytes() == web.get("/exports").content


def test_a_job_that_makes_no_file_is_one_line(command: Command, web: Web, tmp_path: Path) -> None:
    process = start(web.url, "--job", "out.csv", folder=tmp_path)
    [job] = eventually(lambda: web.get("/jobs?kind=export&state=queued").json()["jobs"])
    web.post(f"/jobs/{job['jobId']}/cancel")
    _, errors = process.communicate(timeout=60)
    said = f"dataflow: Export {job['jobId']} cancelled: there is no file."
    assert (process.returncode, errors.splitlines()[-1]) == (1, said)
    assert list(tmp_path.iterdir()) == []
    nothing = command("export", "--resume", "01a1f9f7-5b1d-7c7e-8f3b-6f0f2f3b8a51")
    assert nothing.returncode == 1
    assert re.fullmatch(r"dataflow: There is no (export|job) 01a1f9f7-[-0-9a-f]+\.\n", nothing.stderr)
    assert command("export", "--resume", "no id").returncode == 2
    both = command("export", "--resume", job["jobId"], "--source", "crm")
    assert (both.returncode, both.stderr.count("--resume takes the export as it was asked for")) == (1, 1)


def test_a_workbook_is_always_made_by_a_job_and_an_address_is_in_no_url(tmp_path: Path) -> None:
    with scripted({"/exports": [Answer(400, b'{"error": "No."}')]}) as server:
        done = dataflow("export", tmp_path / "a.xlsx", "--email", "ann@example.com", "--url", server.url)
        assert (done.returncode, done.stderr) == (1, "dataflow: No.\n")
        assert server.bodies == [b'{"format": "xlsx", "email": "ann@example.com"}']
        assert server.queries == [""]
