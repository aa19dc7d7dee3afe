"""`dataflow export` as somebody types it: what is written, what is left alone, and what it says."""

import gzip
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from dataflow import db
from tests.support.commands import Outcome, dataflow, environment
from tests.support.processes import Web, free_port
from tests.support.scripted_server import Answer, scripted
from tests.support.waiting import eventually

Command = Callable[..., Outcome]
CSV_HEAD = {"Content-Type": "text/csv", "Content-Disposition": 'attachment; filename="contacts.csv"'}


def test_contacts_are_written_to_the_file_and_nothing_else_is_left(
    command: Command, fill: Callable[..., None], web: Web, tmp_path: Path
) -> None:
    fill(3000)
    path = tmp_path / "out.csv"
    path.write_text("what was there")
    done = command("export", path)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == web.get("/exports").content
    # How many bytes it has depends on the time, whose last zeros are left out.
    assert done.stdout.startswith(f"{path}: {path.stat().st_size / 1000:.1f} KB in ")
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == [path]


def test_without_a_file_it_has_the_services_name_for_it_unless_there_is_such_a_file(
    command: Command, fill: Callable[..., None], tmp_path: Path
) -> None:
    fill(1, "Frühling")
    assert command("export", "--source", "Frühling", "--format", "ndjson").returncode == 0
    path = tmp_path / "contacts-Frühling.ndjson"
    assert path.read_text().startswith('{"name":"Person 1"')
    again = command("export", "--source", "Frühling", "--format", "ndjson")
    assert again.returncode == 1
    assert again.stderr == "dataflow: contacts-Frühling.ndjson: there is such a file already; name the one to write.\n"


@pytest.mark.unit
@pytest.mark.parametrize("name", ["../contacts.csv", "/tmp/contacts.csv", "..\\contacts.csv"])
def test_a_name_of_the_service_is_one_of_this_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    head = {**CSV_HEAD, "Content-Disposition": f"attachment; filename*=UTF-8''{name.replace('/', '%2F')}"}
    with scripted({"/exports": [Answer(body=b"name\n", headers=head)]}) as server:
        assert dataflow("export", "--url", server.url).returncode == 0
    assert [path.name for path in folder.iterdir()] == ["contacts.csv"]
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.unit
@pytest.mark.parametrize("disposition", ["attachment", 'attachment; filename=".bashrc"', 'attachment; filename=".."'])
def test_a_name_that_no_file_should_have_is_not_taken(disposition: str, tmp_path: Path) -> None:
    with scripted({"/exports": [Answer(headers={**CSV_HEAD, "Content-Disposition": disposition})]}) as server:
        done = dataflow("export", "--url", server.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "dataflow: The service names no file: say where the export goes.\n"


def test_on_standard_output_there_is_nothing_but_the_contacts(
    command: Command, fill: Callable[..., None], web: Web
) -> None:
    fill(2)
    done = command("export", "-", "--format", "ndjson")
    assert done.returncode == 0
    assert done.stdout == web.get("/exports?format=ndjson").text
    assert done.stderr.startswith(f"{len(done.stdout)} bytes in ")


def test_each_option_is_passed_on(command: Command, fill: Callable[..., None], connection: db.Connection) -> None:
    fill(2)
    fill(1, "=news")
    connection.execute("UPDATE contacts SET imported_at = '2026-01-02' WHERE source = 'crm'")
    export = partial(command, "export", "-")
    assert export("--source", "crm", "--limit", "1", "--fields", "source").stdout == "source,_quoted\ncrm,\n"
    assert export("--email", "person2@example.com", "--fields", "name").stdout == "name,_quoted\nPerson 2,\n"
    assert export("--imported-after", "2026-01-03", "--fields", "source", "--raw").stdout == "source\n=news\n"
    assert export("--imported-before", "2026-01-01", "--fields", "source").stdout == "source,_quoted\n"
    refused = export("--job-id", "no id")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "\n  jobId: " in refused.stderr


@pytest.mark.parametrize(
    ("name", "beginning"), [("a.vcf", "BEGIN:VCARD"), ("a.NDJSON", "{"), ("a.json", "["), ("a.txt", "name,email,")]
)
def test_the_name_of_the_file_says_the_format(
    name: str, beginning: str, command: Command, fill: Callable[..., None], tmp_path: Path
) -> None:
    fill(1)
    assert command("export", name).returncode == 0
    assert (tmp_path / name).read_text().startswith(beginning)


@pytest.mark.unit
def test_a_service_that_is_busy_is_asked_again() -> None:
    busy = Answer(503, b'{"error": "As many as may be.", "code": "too_many_exports", "status": 503}')
    with scripted({"/exports": [busy, Answer(body=b"name\n", headers=CSV_HEAD)]}) as server:
        done = dataflow("export", "-", "--url", server.url)
    assert (done.returncode, done.stdout) == (0, "name\n")
    assert done.stderr.splitlines()[0] == "As many as may be. Asking again."


@pytest.mark.unit
def test_what_was_compressed_on_its_way_is_not_in_the_file(tmp_path: Path) -> None:
    body = b"name\n" + b"Ann\n" * 100_000
    packed = Answer(body=gzip.compress(body), headers={**CSV_HEAD, "Content-Encoding": "gzip"})
    with scripted({"/exports": [packed]}) as server:
        assert dataflow("export", tmp_path / "out.csv", "--url", server.url).returncode == 0
        # On one machine it costs more than it saves.
        assert server.asked[0][1]["Accept-Encoding"] == "identity"
    assert (tmp_path / "out.csv").read_bytes() == body


@pytest.mark.unit
@pytest.mark.parametrize("target", ["out.csv", "-"])
def test_what_breaks_off_is_no_file(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "out.csv"
    path.write_text("what was there")
    with scripted({"/exports": [Answer(body=b"name\nAnn\n", headers=CSV_HEAD, is_cut=True)]}) as server:
        done = dataflow("export", target, "--url", server.url)
    assert done.returncode == 1
    left = "What has come is not whole." if target == "-" else "Nothing was written to out.csv."
    assert done.stderr == f"dataflow: The answer broke off: the connection was closed. {left}\n"
    assert path.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.unit
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_export_that_is_interrupted_leaves_nothing(number: signal.Signals, code: int, tmp_path: Path) -> None:
    with scripted({"/exports": [Answer(body=b"name\nAnn\n", headers=CSV_HEAD, is_held=True)]}) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "dataflow", "export", "out.csv", "--url", server.url],
            env=environment(),
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        eventually(lambda: list(tmp_path.glob(".out.csv.*.part")))
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert errors == "dataflow: interrupted. Nothing was written to out.csv.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.unit
def test_on_a_terminal_it_shows_how_much_has_come(tmp_path: Path) -> None:
    terminal, end = pty.openpty()
    with scripted({"/exports": [Answer(body=b"x" * 1_500_000, headers=CSV_HEAD)]}) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "dataflow", "export", "-", "--url", server.url],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=end,
        )
        os.close(end)
        output, _ = process.communicate(timeout=60)
    drawn = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert process.returncode == 0
    assert output == b"x" * 1_500_000
    assert "\rexporting" in drawn and "1.5 MB in " in drawn.splitlines()[-1]


@pytest.mark.unit
def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "out.csv"
    with scripted({"/exports": [Answer(body=b"name\n", headers=CSV_HEAD)]}) as server:
        done = dataflow("export", path, "--url", server.url)
        on_folder = dataflow("export", tmp_path, "--url", server.url)
    assert (done.returncode, done.stderr) == (1, f"dataflow: {path}: No such file or directory.\n")
    assert (on_folder.returncode, on_folder.stderr) == (1, f"dataflow: {tmp_path}: Is a directory.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.unit
def test_a_program_that_reads_only_the_beginning_gets_it() -> None:
    body = b"name\n" * 1_000_000
    with scripted({"/exports": [Answer(body=body, headers=CSV_HEAD)]}) as server:
        command = f"{sys.executable} -m dataflow export - --url {server.url} | head -n 1"
        done = subprocess.run(
            command, shell=True, env=environment(), capture_output=True, text=True, timeout=60, check=False
        )
    assert (done.stdout, done.stderr) == ("name\n", "dataflow: Standard output: Broken pipe.\n")


@pytest.mark.unit
def test_the_key_is_sent_and_a_service_that_is_not_there_is_one_line() -> None:
    with scripted({"/exports": [Answer(401, b'{"error": "The key is not known."}')]}) as server:
        done = dataflow("export", "-", "--url", server.url, DATAFLOW_API_KEY="hunter2")
        assert server.asked[0][1]["Authorization"] == "Bearer hunter2"
    assert (done.returncode, done.stderr) == (1, "dataflow: The key is not known.\n")
    url = f"http://localhost:{free_port()}"
    done = dataflow("export", "-", "--url", url)
    said = f"dataflow: No answer from {url}/exports: Connection refused. Is the service running there?\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
