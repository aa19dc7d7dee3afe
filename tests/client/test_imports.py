"""`dataflow import` over connections that break: the file is sent again, and imported once."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from dataflow.client import imports, looks, once
from dataflow.client.service import Unanswered
from tests.support.commands import dataflow, environment, interrupted
from tests.support.cutting_proxy import CuttingProxy
from tests.support.processes import Web, WorkerProcess, free_port
from tests.support.proxies import Proxy

ROWS = 20_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    written = tmp_path / "contacts.csv"
    written.write_text("name,email\n" + "".join(f"Person {n},person{n}@example.com\n" for n in range(ROWS)))
    return written


def test_a_file_whose_answer_is_lost_is_sent_again_and_imported_once(
    path: Path, web: Web, start_worker: Callable[..., WorkerProcess]
) -> None:
    start_worker()
    with CuttingProxy([web.port]) as proxy:
        proxy.cut_answers_after(0)
        done = dataflow("import", path, "--source", "s", "--url", proxy.url)
        assert proxy.cuts == 1
    assert done.returncode == 0, done.stderr
    assert f"succeeded: {ROWS:,} rows imported" in done.stdout
    assert "Sending it again." in done.stderr
    [job] = web.get("/jobs").json()["jobs"]
    assert job["jobId"] in done.stdout


def test_a_real_service_is_not_asked_again_and_again(
    path: Path, web: Web, start_worker: Callable[..., WorkerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    start_worker()

    def ask(*_: object) -> None:
        raise AssertionError("it has events")

    monkeypatch.setattr(looks, "_asked", ask)
    assert imports.finished_job(web.url, path, {"source": "s"})["rowsImported"] == ROWS


@pytest.fixture(params=["http", "https"])
def reached(
    request: pytest.FixtureRequest, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, int]]:
    """The scheme and port of the service: in clear, or by TLS, as behind every platform's router."""
    scheme: str = request.param
    if scheme == "http":
        yield scheme, web.port
        return
    with Proxy(web.port, tmp_path) as router:
        monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", router.ca_path)
        yield scheme, router.port


def test_a_file_is_imported_once_however_often_its_connection_breaks(
    path: Path,
    reached: tuple[str, int],
    start_worker: Callable[..., WorkerProcess],
    stored_contacts: Callable[[], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(once, "PAUSES_SECONDS", (0.2,) * 50)
    start_worker()
    scheme, port = reached
    with CuttingProxy([port], seed=1) as proxy, proxy.cutting(0.7 * path.stat().st_size):
        # That of an attempt which is long enough.
        proxy.cut_answers_after(0)
        assert imports.finished_job(proxy.url.replace("http", scheme), path, {"source": "s"})["rowsImported"] == ROWS
        assert proxy.cuts > 1
    assert len(stored_contacts()) == ROWS


def test_a_service_that_goes_away_in_the_middle_is_given_up(
    path: Path, web: Web, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(once, "PAUSES_SECONDS", (0.01, 0.01))
    with CuttingProxy([web.port]) as proxy:

        def lose_the_service() -> None:
            proxy.ports = [free_port()]

        proxy.cut_answers_after(0, lose_the_service)
        with pytest.raises(Unanswered):
            imports.finished_job(proxy.url, path, {"source": "s"})
    assert capsys.readouterr().err.count("Sending it again.") == 2


def test_an_import_that_is_interrupted_goes_on_without_us(path: Path, web: Web) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dataflow", "import", path, "--source", "s", "--url", web.url],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    output, errors = interrupted(process, "queued ")
    assert (process.returncode, output) == (130, "")
    [job] = web.get("/jobs").json()["jobs"]
    told = f"dataflow: interrupted; the import goes on without us, see {web.url}/jobs/{job['jobId']}"
    assert errors.splitlines()[-1] == told
    assert job["state"] == "queued"
