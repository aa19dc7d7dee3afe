"""GET /metrics over real HTTP: one truth from several processes, labels without paths, and the jobs table."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psutil
import requests
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.parser import text_string_to_metric_families

from dataflow import db
from tests.support.processes import Web, free_port
from tests.support.waiting import eventually

CONTACTS = [{"name": "Ann", "email": "ann@example.com"}, {"name": "Bob", "email": "bob@example.com"}]
STATES = {"uploading", "queued", "running", "succeeded", "failed", "cancelled"}

Labels = frozenset[tuple[str, str]]
Samples = dict[str, dict[Labels, float]]


def scrape(web: Web) -> Samples:
    """Every sample, by its name and its labels."""
    answer = web.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    found: Samples = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            series = found.setdefault(sample.name, {})
            labels = frozenset(sample.labels.items())
            assert labels not in series, f"{sample.name} {sample.labels} is there twice"
            series[labels] = sample.value
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name].get(frozenset(labels.items()), 0.0)


def has_counted(file: Path) -> bool:
    """Whether the process that writes `file` has served a request for /jobs."""
    return any('"/jobs"' in key and count for key, count, *_ in MmapedDict.read_all_values_from_file(str(file)))


def jobs_requests(web: Web) -> float:
    return value(scrape(web), "http_requests_total", method="GET", path="/jobs", status="200")


def test_requests_are_summed_over_processes_and_outlive_them(start_web: Callable[..., Web], tmp_path: Path) -> None:
    web = start_web(WEB_CONCURRENCY=2, DATA_DIR=tmp_path)
    sent = 0

    def both_have_counted() -> bool:
        nonlocal sent
        sent += 1
        assert web.get("/jobs").status_code == 200
        return sum(map(has_counted, tmp_path.glob("run/metrics-*/counter_*.db"))) == 2

    eventually(both_have_counted)
    assert [jobs_requests(web) for _ in range(10)] == [sent] * 10
    first, _ = children = psutil.Process(web.process.pid).children()
    first.kill()
    eventually(lambda: len({*psutil.Process(web.process.pid).children()} - {*children}) == 1)
    assert [jobs_requests(web) for _ in range(10)] == [sent] * 10
    assert web.stop() == 0
    assert list(tmp_path.glob("run/metrics-*")) == []


def test_labels_hold_routes_and_known_methods_and_nothing_that_a_client_makes_up(
    start_web: Callable[..., Web],
) -> None:
    web = start_web()
    made_up = [str(uuid4()) for _ in range(3)]
    for name in made_up:
        assert web.get(f"/jobs/{name}").status_code == 404
        assert web.get(f"/{name}").status_code == 404
        assert web.get(f"/v1/jobs?{name}=1").status_code == 400
        assert requests.request(f"X{name[:8].upper()}", f"{web.url}/jobs", timeout=5).status_code in (405, 501)
    web.post(json={"source": "crm", "data": CONTACTS})
    web.post("/v1/import", json={})
    samples = scrape(web)
    expected = {
        ("GET", "/jobs/<uuid:job_id>", "404"): 3,
        ("GET", "unmatched", "404"): 3,
        ("GET", "/v1/jobs", "400"): 3,
        ("POST", "/import", "200"): 1,
        ("POST", "/v1/import", "400"): 1,
    }
    for (method, path, status), count in expected.items():
        assert value(samples, "http_requests_total", method=method, path=path, status=status) == count
    labels = {text for series in samples.values() for pairs in series for _, text in pairs}
    assert not [text for text in labels if any(name[:8] in text.lower() for name in made_up)]


def test_the_jobs_table_is_published(web: Web, work_off: Callable[[], int], connection: db.Connection) -> None:
    rows = "name,email\nAnn,ann@example.com\nBob,bob@example.com\nCid,cid\n"
    headers = {"Content-Type": "text/csv", "X-Source": "crm"}
    web.post(data=rows, headers=headers)
    web.post(data="name,email\nCid,cid\n", headers=headers)
    work_off()
    web.post(json={"source": "crm", "data": CONTACTS})
    connection.execute("UPDATE jobs SET run_at = now() - interval '1 hour' WHERE state = 'queued'")
    samples = scrape(web)
    assert value(samples, "dataflow_database_up") == 1
    assert value(samples, "dataflow_contacts_imported_total") == 2
    assert value(samples, "dataflow_contacts_rejected_total") == 2
    assert value(samples, "dataflow_rows_read_total") == 4
    by_outcome = {dict(labels)["outcome"]: count for labels, count in samples["dataflow_rows_total"].items()}
    assert by_outcome == {"imported": 2, "rejected": 2, "updated": 0, "skipped": 0, "not_imported": 0}
    by_state = {dict(labels)["state"]: count for labels, count in samples["dataflow_jobs"].items()}
    assert by_state == {**dict.fromkeys(STATES, 0), "succeeded": 1, "failed": 1, "queued": 1}
    assert 3600 <= value(samples, "dataflow_queue_oldest_seconds") < 3660


def test_without_postgres_the_processes_own_metrics_are_answered(start_web: Callable[..., Web]) -> None:
    web = start_web(DATABASE_URL=f"postgresql://postgres@127.0.0.1:{free_port()}/none")
    began = time.monotonic()
    samples = scrape(web)
    # Scrapers give up after 10 s.
    assert time.monotonic() - began < 5
    assert value(samples, "dataflow_database_up") == 0
    assert value(samples, "http_requests_total", method="GET", path="/health", status="503") >= 1
    assert "dataflow_contacts_imported_total" not in samples


def test_a_database_that_is_slow_to_tell_the_totals_or_refuses_is_up_all_the_same(
    web: Web, connection: db.Connection
) -> None:
    def assert_up_without_totals() -> None:
        began = time.monotonic()
        samples = scrape(web)
        # The deadline is two seconds.
        assert time.monotonic() - began < 5
        assert value(samples, "dataflow_database_up") == 1
        assert "dataflow_jobs" not in samples

    with connection.transaction():
        connection.execute("LOCK TABLE job_counts")
        assert_up_without_totals()
    eventually(lambda: "dataflow_jobs" in scrape(web))
    connection.execute("ALTER TABLE job_counts RENAME TO elsewhere")
    assert_up_without_totals()


def test_metrics_can_be_turned_off(start_web: Callable[..., Web], tmp_path: Path) -> None:
    web = start_web(ENABLE_METRICS="false", DATA_DIR=tmp_path)
    answer = web.get("/metrics")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert list(tmp_path.glob("run/metrics-*")) == []


def test_a_process_that_is_just_starting_does_not_break_the_sum(start_web: Callable[..., Web], tmp_path: Path) -> None:
    web = start_web(WEB_CONCURRENCY=2, DATA_DIR=tmp_path)
    [folder] = tmp_path.glob("run/metrics-*")
    (folder / "counter_1.db").touch()  # as prometheus_client makes it, before it writes
    assert value(scrape(web), "dataflow_database_up") == 1


def test_hosts_that_share_a_disk_keep_their_counts_apart(tmp_path: Path) -> None:
    def folder(host: str) -> Path:
        program = (
            f"import socket; socket.gethostname = lambda: {host!r};"
            "import os; from dataflow import gunicorn_conf as conf; conf.when_ready(None); conf.on_exit(None);"
            "conf.when_ready(None); print(os.environ['PROMETHEUS_MULTIPROC_DIR'])"
        )
        environ = {**os.environ, "DATA_DIR": str(tmp_path), "PORT": "3000"}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environ, stdout=subprocess.PIPE, text=True, check=True
        )
        return Path(done.stdout.strip())

    one, two = folder("web-1.example.com"), folder("web-2.example.com")
    assert one.is_dir() and two.is_dir() and one != two
    (one / "counter_1.db").touch()
    assert folder("web-2.example.com") == two
    assert (one / "counter_1.db").exists()
    assert folder("web-1.example.com") == one
    assert not (one / "counter_1.db").exists()
