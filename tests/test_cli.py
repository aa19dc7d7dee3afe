"""The commands as somebody types them: real processes, their exit codes and what they print."""

import http.server
import json
import os
import pty
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from dataflow import db
from dataflow.client import following, imports
from dataflow.client import looks as client_looks
from dataflow.errors import RequestError
from dataflow.settings.api_keys import parse
from tests.doubles.storage.process import StorageDouble
from tests.support.commands import Outcome, dataflow, environment
from tests.support.http_servers import running
from tests.support.processes import Web, WorkerProcess, free_port
from tests.support.waiting import eventually

Command = Callable[..., Outcome]

COMMANDS = ("run", "web", "worker", "migrate", "adopt", "import", "export", "jobs", "key", "openapi", "psql", "demo")
GOOD = "name,email\nZoë,zoe@example.com\nJosé,jose@example.com\n"
ONE_BAD = GOOD + "Nobody,nobody\n"


@pytest.fixture
def command(database: str, state_folder: Path) -> Command:
    """Runs a command on the test's database."""
    return partial(dataflow, DATABASE_URL=database, DATA_DIR=state_folder)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(content: str, name: str = "contacts.csv") -> Path:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return write


@pytest.mark.unit
def test_help_lists_every_command_with_a_line_and_so_does_the_commands_own_help() -> None:
    listed = re.findall(r"^    ([a-z]+) {2,}(\S.{15,})$", dataflow("--help").stdout, re.MULTILINE)
    assert tuple(name for name, _ in listed) == COMMANDS
    for name, line in listed:
        done = dataflow(name, "--help")
        assert done.returncode == 0
        assert line.lower() in done.stdout.lower()


@pytest.mark.unit
@pytest.mark.parametrize(
    "arguments", [(), ("nonsense",), ("jobs", "--nonsense"), ("jobs", "--limit", "-1"), ("import", "file.csv")]
)
def test_a_wrong_command_line_is_refused_with_its_usage(arguments: tuple[str, ...]) -> None:
    done = dataflow(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: dataflow")


@pytest.mark.unit
@pytest.mark.parametrize("name", ["web", "worker", "run", "migrate"])
def test_wrong_settings_are_one_message_that_names_each(name: str) -> None:
    done = dataflow(name, PORT="many", WORKER_CONCURRENCY="0", SUPABASE_URL="https://project.supabase.co")
    assert done.returncode == 1
    first, *problems = done.stderr.splitlines()
    assert first == "dataflow: The settings are not usable:"
    assert [problem.split()[0].rstrip(":") for problem in problems] == ["PORT", "WORKER_CONCURRENCY", "SUPABASE_URL"]


def test_migrate_says_what_it_did_and_can_be_repeated(empty_database: str) -> None:
    first, second = (dataflow("migrate", DATABASE_URL=empty_database) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    where = "Objects are kept in .dataflow/objects/imports.\n"
    assert re.fullmatch(rf"\d+ migrations applied\.\n{re.escape(where)}", first.stdout)
    assert second.stdout == f"The database is up to date.\n{where}"


def test_migrate_makes_the_bucket_where_there_is_a_storage_server(empty_database: str, tmp_path: Path) -> None:
    with StorageDouble.start(tmp_path / "double") as double:
        place = {"SUPABASE_URL": double.project_url, "SUPABASE_SERVICE_ROLE_KEY": double.key(), "STORAGE_BUCKET": "b1"}
        first, second = (dataflow("migrate", DATABASE_URL=empty_database, **place) for _ in range(2))
        assert (first.returncode, second.returncode) == (0, 0)
        assert first.stdout.endswith(" migrations applied.\nThe bucket b1 was made.\n")
        assert second.stdout == "The database is up to date.\nThe bucket b1 is there.\n"


def test_migrate_without_its_storage_is_one_line(empty_database: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    place = {"SUPABASE_URL": url, "SUPABASE_SERVICE_ROLE_KEY": "k", "UPLOAD_RETRY_SECONDS": "0"}
    done = dataflow("migrate", DATABASE_URL=empty_database, **place)
    assert (done.returncode, done.stderr.count("dataflow: ")) == (1, 1)
    assert done.stderr.endswith("dataflow: The storage does not answer: Connection refused.\n")


def test_migrate_without_a_database_is_one_line(tmp_path: Path) -> None:
    done = dataflow("migrate", DATABASE_URL=f"postgresql://127.0.0.1:{free_port()}/none")
    assert done.returncode == 1
    said = "dataflow: The database cannot be reached, or the connection to it broke. (connection failed: "
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_import_uploads_a_file_and_reports_its_contacts(
    command: Command,
    write: Callable[..., Path],
    web: Web,
    start_worker: Callable[..., WorkerProcess],
    stored_contacts: Callable[[], list[tuple[Any, ...]]],
) -> None:
    start_worker()
    done = command("import", write(GOOD, "Kontakte ü.csv"), "--source", "Frühling", PORT=web.port)
    assert done.returncode == 0
    summary = r"Job ([0-9a-f-]{36}) succeeded: 2 rows imported, 0 rejected in \d+\.\d\d s \([\d,]+ rows/s\)\n"
    found = re.fullmatch(summary, done.stdout)
    assert found
    assert web.job(found[1])["fileName"] == "Kontakte ü.csv"
    assert stored_contacts() == [("Zoë", "zoe@example.com", "Frühling"), ("José", "jose@example.com", "Frühling")]
    lines = done.stderr.splitlines()
    assert lines[0].startswith("uploading [")
    assert re.fullmatch(r"succeeded \[#{30}\] 100% 2 rows", lines[-1])


def test_import_shows_a_bar_on_a_terminal_that_is_redrawn_in_place(
    database: str, write: Callable[..., Path], web: Web, start_worker: Callable[..., WorkerProcess]
) -> None:
    start_worker()
    terminal, end = pty.openpty()
    arguments = ("import", str(write(GOOD)), "--source", "s", "--url", web.url)
    process = subprocess.Popen(
        [sys.executable, "-m", "dataflow", *arguments], env=environment(), stdout=subprocess.DEVNULL, stderr=end
    )
    os.close(end)
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        drawn = b"".join(iter(partial(_read_or_end, screen), b"")).decode()
    assert process.wait() == 0
    upload, progress, rest = drawn.split("\r\n")
    assert upload.startswith("\ruploading [") and upload.endswith("] 100% 0.0 MB")
    assert progress.rpartition("\r")[2] == f"succeeded [{'#' * 30}] 100% 2 rows"
    assert rest == ""


def _read_or_end(screen: Any) -> bytes:
    try:
        piece: bytes = screen.read(4096)
    except OSError:  # how Linux says that nobody holds the other end any more
        return b""
    return piece


def test_refused_rows_are_listed_and_the_others_imported(
    command: Command, write: Callable[..., Path], web: Web, start_worker: Callable[..., WorkerProcess]
) -> None:
    start_worker()
    done = command("import", write(ONE_BAD), "--source", "s", PORT=web.port)
    assert done.returncode == 0
    assert "succeeded: 2 rows imported, 1 rejected" in done.stdout
    assert re.search(r"^Refused rows:\n  data\[2\]\.email: Invalid email format", done.stderr, re.MULTILINE)


def test_a_json_file_is_judged_row_by_row(
    command: Command, write: Callable[..., Path], web: Web, start_worker: Callable[..., WorkerProcess]
) -> None:
    start_worker()
    rows = [{"name": "Ada", "email": "ada@example.com"}, {"name": "Nobody", "email": "nobody"}]
    done = command("import", write(json.dumps(rows), "contacts.json"), "--source", "s", PORT=web.port)
    assert "succeeded: 1 rows imported, 1 rejected" in done.stdout, done.stderr


def test_an_empty_file_is_refused(command: Command, write: Callable[..., Path], web: Web) -> None:
    done = command("import", write(""), "--source", "s", PORT=web.port)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "dataflow: The body is empty: there is nothing to import."


def test_an_import_that_fails_prints_its_error_and_issues_and_exits_1(
    command: Command,
    write: Callable[..., Path],
    web: Web,
    start_worker: Callable[..., WorkerProcess],
    stored_contacts: Callable[[], list[tuple[Any, ...]]],
) -> None:
    start_worker()
    done = command("import", write(ONE_BAD), "--source", "s", "--on-invalid", "abort", PORT=web.port)
    assert done.returncode == 1
    assert "failed: 0 rows imported, 1 rejected" in done.stdout
    assert re.search(r"^\S.*\n  data\[2\]\.email: Invalid email format", done.stderr, re.MULTILINE)
    where = done.stderr.splitlines()[-1].removeprefix("To correct and send again: ")
    rejects = requests.get(where, timeout=10).text.splitlines()
    assert (len(rejects), rejects[0]) == (2, "name,email,_record,_line,_code,_error")
    assert stored_contacts() == []


def test_options_are_passed_on_and_every_count_is_told(
    command: Command,
    write: Callable[..., Path],
    web: Web,
    start_worker: Callable[..., WorkerProcess],
    stored_contacts: Callable[[], list[tuple[Any, ...]]],
) -> None:
    start_worker()
    file = write("who;at\nAnn;ann@example.com\nAnna;ANN@example.com\n")
    options = ["--source", "s", "--on-conflict", "skip", "--option", 'mapping={"name": "who", "email": "at"}']
    looked = command("import", file, *options, "--dry-run", PORT=web.port)
    assert looked.returncode == 0, looked.stderr
    would = "succeeded: 0 rows imported, 0 rejected, 2 not imported (would be 1 imported, 0 updated, 1 skipped)"
    assert would in looked.stdout
    assert stored_contacts() == []
    done = command("import", file, *options, PORT=web.port)
    assert "succeeded: 1 rows imported, 0 rejected, 1 skipped" in done.stdout
    assert stored_contacts() == [("Ann", "ann@example.com", "s")]
    wrong = command("import", file, "--source", "s", "--option", "mapping", PORT=web.port)
    assert (wrong.returncode, wrong.stderr.splitlines()[-1]) == (
        2,
        "dataflow import: error: argument --option: expected NAME=VALUE, not 'mapping'",
    )


def test_a_refused_request_says_why_and_leaves_no_job(
    command: Command, write: Callable[..., Path], web: Web, connection: db.Connection
) -> None:
    done = command("import", write(GOOD), "--source", "s" * 101, "--url", f"{web.url}/")
    assert (done.returncode, done.stdout) == (1, "")
    why, issue = done.stderr.splitlines()[-2:]
    assert why.startswith("dataflow: Invalid")
    assert issue == "  source: Must contain at most 100 characters, has 101"
    assert connection.execute("SELECT FROM jobs").fetchall() == []


KEY = "shop-hunter2-hunter2-hunter2"


@pytest.mark.parametrize(("arguments", "variables"), [(["--key", KEY], {}), ([], {"DATAFLOW_API_KEY": KEY})])
def test_import_sends_its_key_whatever_else_could_be_sent(
    arguments: list[str],
    variables: dict[str, str],
    command: Command,
    write: Callable[..., Path],
    start_web: Callable[..., Web],
    start_worker: Callable[..., WorkerProcess],
    tmp_path: Path,
) -> None:
    start_worker()
    web = start_web(API_KEYS=f"shop:{KEY}:s")
    # Of which requests would take a password for this host.
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine localhost login a password b\n")
    url = f"http://localhost:{web.port}"
    done = command("import", write(GOOD), "--source", "s", "--url", url, *arguments, NETRC=netrc, **variables)
    assert done.returncode == 0, done.stderr
    [row] = web.get("/jobs", headers={"X-API-Key": KEY}).json()["jobs"]
    assert (row["createdBy"], row["rowsImported"]) == ("shop", 2)
    refused = command("import", write(GOOD), "--source", "s", "--url", url, "--key", f"{KEY}x")
    assert (refused.returncode, refused.stderr.count("hunter2")) == (1, 0)
    assert "dataflow: The key is not known" in refused.stderr


@pytest.mark.unit
@pytest.mark.parametrize("key", ["hunter2\n", "hunter2 x", "hünter2", "hunter2\x7f"])
def test_a_key_that_no_header_can_carry_is_one_line_without_it(key: str, write: Callable[..., Path]) -> None:
    for done in (
        dataflow("import", write(GOOD), "--source", "s", "--key", key),
        dataflow("import", write(GOOD), "--source", "s", DATAFLOW_API_KEY=key),
    ):
        assert (done.returncode, done.stderr) == (1, "dataflow: The key is not one line of ASCII without spaces.\n")


@pytest.mark.unit
def test_key_prints_an_entry_for_api_keys_that_is_new_each_time() -> None:
    entries = [dataflow("key", *name).stdout for name in ([], ["crm"], ["crm"])]
    assert [entry.partition(":")[0] for entry in entries] == ["default", "crm", "crm"]
    assert len(set(entries)) == 3
    [first, second, _] = map(str.strip, entries)
    assert [key.name for key in parse(f"{first} {second}:leads")] == ["default", "crm"]
    assert min(map(len, (first, second))) > 43


@pytest.mark.unit
def test_a_name_that_no_key_can_have_is_refused() -> None:
    assert dataflow("key", "a:b").returncode == 2


@pytest.mark.unit
def test_a_service_that_is_not_there_is_one_line(write: Callable[..., Path]) -> None:
    port = free_port()
    done = dataflow("import", write(GOOD), "--source", "s", PORT=port)
    url = f"http://localhost:{port}/import"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"dataflow: No answer from {url}: Connection refused. Is the service running there?\n"


@pytest.mark.unit
@pytest.mark.parametrize("url", ["localhost:3000", "nonsense", "http://[::1", "http://no such host"])
def test_a_url_that_is_none_is_one_line(url: str, write: Callable[..., Path]) -> None:
    done = dataflow("import", write(GOOD), "--source", "s", "--url", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"dataflow: No answer from {re.escape(url)}/import: .*\n", done.stderr)


@pytest.mark.unit
def test_a_service_that_does_not_answer_in_time_is_one_line(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "UPLOAD_TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RequestError, match=f"^No answer from {url}/import: timed out"):
            imports.finished_job(url, write(GOOD), {"source": "s"})


@pytest.mark.unit
def test_whoever_reads_may_stop_before_the_end() -> None:
    command = [sys.executable, "-m", "dataflow", "openapi"]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 141)


@pytest.mark.unit
@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_missing_file_is_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    done = dataflow("import", path, "--source", "s")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"dataflow: {path}: there is no such file (folders and pipes cannot be uploaded).\n"


class Recorder(http.server.BaseHTTPRequestHandler):
    """Reads what is posted, keeps what came over the wire, answers with what its server says."""

    server: "RecordingServer"

    def do_POST(self) -> None:
        left_bytes = int(self.headers["Content-Length"])
        first = b""
        while piece := self.rfile.read(min(left_bytes, 1 << 20)):
            first = first or piece
            left_bytes -= len(piece)
        self.server.received = (self.path, dict(self.headers), first)
        self.send_response(400)
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: object) -> None:
        pass


class RecordingServer(http.server.HTTPServer):
    answer = b""
    received: tuple[str, dict[str, str], bytes]


@pytest.fixture
def recorder() -> Iterator[RecordingServer]:
    with running(RecordingServer(("127.0.0.1", 0), Recorder)) as server:
        yield server


@pytest.mark.unit
def test_a_file_larger_than_memory_is_streamed_with_its_length_and_its_options_first(
    recorder: RecordingServer, tmp_path: Path
) -> None:
    issue = {"path": ["data", 7, "name"], "message": "Must not be empty"}
    recorder.answer = json.dumps({"error": "Enough.", "code": "x", "status": 400, "issues": [issue]}).encode()
    path = tmp_path / "large.csv"
    file_bytes, memory_bytes = 700 << 20, 500 << 20
    with path.open("wb") as file:
        file.truncate(file_bytes)  # a hole: takes no disk
    done = subprocess.run(
        [sys.executable, "-m", "dataflow", "import", path, "--source", "sö", "--on-invalid", "skip"],
        env=environment(PORT=recorder.server_port),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes)),
    )
    assert done.stderr.splitlines()[1:] == ["dataflow: Enough.", "  data[7].name: Must not be empty"]
    path_and_query, headers, first = recorder.received
    assert path_and_query == "/import?source=s%C3%B6&onInvalid=skip"
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''large.csv"
    assert set(first) == {0}
    assert "Transfer-Encoding" not in headers
    assert int(headers["Content-Length"]) == file_bytes


@pytest.mark.unit
@pytest.mark.parametrize("answer", [b"<h1>Bad Gateway</h1>", b"[]", b'{"message": "no"}'])
def test_the_answer_of_some_other_service_is_one_line(
    answer: bytes, recorder: RecordingServer, write: Callable[..., Path]
) -> None:
    recorder.answer = answer
    url = f"http://127.0.0.1:{recorder.server_port}"
    with pytest.raises(RequestError, match=f"^{url}/import answered 400 Bad Request, but not as this service does"):
        imports.finished_job(url, write(GOOD), {"source": "s"})


def test_import_says_that_no_worker_takes_the_job_and_waits_on(
    write: Callable[..., Path],
    web: Web,
    start_worker: Callable[..., WorkerProcess],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(following, "CLAIM_SECONDS", 0.2)
    printed, workers = "", list[WorkerProcess]()

    def start_worker_when_told() -> None:
        nonlocal printed
        printed += capsys.readouterr().err
        if "No worker has taken the job within 0.2 s." in printed and not workers:
            workers.append(start_worker())

    job = imports.finished_job(web.url, write(GOOD), {"source": "s"}, start_worker_when_told)
    assert job["state"] == "succeeded"
    assert printed.count("No worker") == 1


def test_import_goes_on_looking_while_the_service_does_not_answer(
    write: Callable[..., Path],
    web: Web,
    start_worker: Callable[..., WorkerProcess],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("POLL_TIMEOUT_SECONDS", "EVENTS_TIMEOUT_SECONDS"):
        monkeypatch.setattr(client_looks, name, 0.2)
    processes = [psutil.Process(web.process.pid)]
    processes += processes[0].children()
    looks = iter(range(1, 1000))

    def hang_for_two_looks() -> None:
        look = next(looks)
        for process in processes:
            if look == 1:
                process.suspend()
            if look == 3:
                process.resume()
        if look == 3:
            start_worker()

    try:
        assert imports.finished_job(web.url, write(GOOD), {"source": "s"}, hang_for_two_looks)["state"] == "succeeded"
    finally:
        for process in processes:
            process.resume()
    assert next(looks) > 3


def test_import_gives_up_a_service_that_stays_away_and_says_where_to_look(
    write: Callable[..., Path], start_web: Callable[..., Web], monkeypatch: pytest.MonkeyPatch
) -> None:
    web = start_web()
    monkeypatch.setattr(following, "LOST_SECONDS", 0.2)
    with pytest.raises(RequestError, match=rf"Connection refused.*look at {web.url}/jobs/[0-9a-f-]+ later"):
        imports.finished_job(web.url, write(GOOD), {"source": "s"}, lambda: web.stop() and None)


def test_worker_once_works_off_what_is_due_and_exits_1_only_if_a_job_failed(
    command: Command, web: Web, stored_contacts: Callable[[], list[tuple[Any, ...]]]
) -> None:
    assert command("worker", "--once").returncode == 0
    for expected, content in ((0, GOOD), (1, ONE_BAD)):
        fields = {"source": "s", "onInvalid": "abort"}
        web.post(files={"file": ("contacts.csv", content)}, data=fields).raise_for_status()
        assert command("worker", "--once").returncode == expected
    assert len(stored_contacts()) == 2


def test_psql_gets_the_database_and_every_argument(command: Command, database: str) -> None:
    done = command("psql", "-c", "SELECT 1")
    assert done.returncode == 0
    assert "(1 row)" in done.stdout
    done = command("psql", "--no-psqlrc", "-At", "--command", "SELECT current_database()")
    assert done.stdout == urlsplit(database).path.lstrip("/") + "\n"
    assert command("psql", "-c", "SELECT nonsense").returncode == 1


def demo_processes(folder: Path) -> list[psutil.Process]:
    """Whatever runs with the folder in its command line or environment."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if process.pid != os.getpid() and any(str(folder) in word for word in words):
            found.append(process)
    return found


def assert_nothing_is_left(folder: Path) -> None:
    assert demo_processes(folder) == []
    assert list(folder.iterdir()) == []


def test_demo_imports_5003_contacts_and_leaves_nothing_and_touches_no_other_database(
    database: str, connection: db.Connection, tmp_path: Path
) -> None:
    supabase = {"SUPABASE_URL": "https://project.supabase.co", "SUPABASE_SERVICE_ROLE_KEY": "secret"}
    proxy = {"http_proxy": "http://127.0.0.1:1", "PGPORT": "1"}
    hostile = {"DATABASE_URL": database, "PORT": "nonsense", **supabase, **proxy}
    done = dataflow("demo", DATA_DIR=tmp_path / "state", **hostile)
    assert done.returncode == 0, done.stderr
    assert "succeeded: 5,003 rows imported, 0 rejected" in done.stdout and "rows/s" in done.stdout
    assert re.search(r"^rows +\| 5003$", done.stdout, re.MULTILINE)
    assert "5,003 contacts are in Postgres." in done.stdout
    assert f"succeeded [{'#' * 30}] 100% 5,003 rows" in done.stderr
    assert connection.execute("SELECT FROM jobs").fetchall() == []
    assert_nothing_is_left(tmp_path / "state")


def start_demo(folder: Path, others: int = 0) -> "subprocess.Popen[str]":
    """A demo whose Postgres has been started, in a folder that has seen `others`."""
    output = subprocess.PIPE
    demo = subprocess.Popen(
        [sys.executable, "-m", "dataflow", "demo"],
        env=environment(DATA_DIR=folder),
        stdout=output,
        stderr=output,
        text=True,
    )
    eventually(lambda: len(list(folder.glob("demo-*/postgres"))) > others)
    return demo


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_demo_that_is_interrupted_stops_everything(number: signal.Signals, code: int, tmp_path: Path) -> None:
    demo = start_demo(tmp_path / "state")
    demo.send_signal(number)
    _, errors = demo.communicate(timeout=40)
    assert demo.returncode == code
    assert "Traceback" not in errors
    assert_nothing_is_left(tmp_path / "state")


def test_a_demo_works_beside_a_running_one_and_after_one_that_was_killed(tmp_path: Path) -> None:
    killed = start_demo(tmp_path)
    killed.kill()
    killed.communicate(timeout=40)
    running = start_demo(tmp_path, others=1)
    done = dataflow("demo", DATA_DIR=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "5,003 contacts are in Postgres." in done.stdout
    output, errors = running.communicate(timeout=40)
    assert running.returncode == 0, errors
    assert "5,003 contacts are in Postgres." in output
    eventually(lambda: not demo_processes(tmp_path))


@pytest.mark.parametrize(
    ("broken", "error", "message"),
    [
        ("prometheus_flask_exporter", "ImportError", "dataflow: "),
        # The port is never there: it is not waited for.
        ("gunicorn", "SystemExit", "dataflow: A process of the service does not start."),
    ],
)
def test_a_demo_that_fails_shows_the_log_and_stops_everything(
    broken: str, error: str, message: str, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "python"
    in_the_way.mkdir()
    (in_the_way / f"{broken}.py").write_text(f"raise {error}('broken on purpose')")
    done = dataflow("demo", DATA_DIR=tmp_path / "state", PYTHONPATH=in_the_way)
    assert done.returncode == 1
    assert re.search(r"^The end of the log:\n(  .*\n)*  .*broken on purpose", done.stderr, re.MULTILINE)
    assert done.stderr.splitlines()[-1].startswith(message)
    assert_nothing_is_left(tmp_path / "state")
