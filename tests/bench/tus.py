"""How fast and in how much memory 300 MB come in by tus, in requests of 6 MiB, beside the same bytes in one request."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psutil
import requests

from dataflow.config import Config
from dataflow.storage.registry import open_storage
from tests.bench.memory import peak_mb
from tests.bench.report import print_table, verdict
from tests.bench.rig import Rig
from tests.bench.sample import LAYOUTS, SOURCE, Body
from tests.doubles.storage.process import StorageDouble
from tests.support.processes import Web, stop_all
from tests.support.tus import CHUNK_TYPE, VERSION, encoded

SIZE_BYTES = 300_000_000
CHUNK_BYTES = 6 << 20
LEAST_SHARE = 0.7
#: As with one request at a time to the service's memory benchmark.
MOST_MORE_MB = 14


def run(rig: Rig, rounds: int) -> None:
    """Print a table: a row for each storage."""
    body = LAYOUTS["csv"].body(SIZE_BYTES)
    rows = [_compare(rig, "local directory", body, rounds)]
    with StorageDouble.start(rig.folder / "double-tus") as double:
        double.make_bucket("imports")
        key = {"SUPABASE_URL": double.project_url, "SUPABASE_SERVICE_ROLE_KEY": double.key()}
        variables = {**rig.variables, **key}
        there = replace(rig, variables=variables, storage=open_storage(Config.from_env(variables)))
        rows.append(_compare(there, "Supabase's protocol", body, rounds))
    title = f"CSV of {len(body) / 1e6:.0f} MB by tus in requests of 6 MiB beside POST /import, median of {rounds}, MB/s"
    speeds = ("import", "tus", "share", f"bar {LEAST_SHARE}")
    memory, processor = ("web MB, import", "tus", f"bar +{MOST_MORE_MB}"), ("processor s, import", "tus")
    print_table(title, ("storage", *speeds, *memory, *processor), rows)


def _compare(rig: Rig, name: str, body: Body, rounds: int) -> tuple[str, ...]:
    """One row: both ways in turns, so that whatever else the machine does meets both; a web process for each."""
    whole, pairs = b"".join(body), []
    with _webs(rig) as (importing, resuming):
        for turn in range(rounds):
            # Each goes first as often as the other.
            if turn % 2:
                resumed, imported = _resume(resuming, whole), _import(importing, body)
            else:
                imported, resumed = _import(importing, body), _resume(resuming, whole)
            pairs.append((imported, resumed))
            assert rig.forget_queued() == [len(whole)] * 2, "each must have made a job of all bytes"
        import_mb, tus_mb = peak_mb(importing), peak_mb(resuming)
        seconds = [f"{_processor_seconds(web) / rounds:.2f}" for web in (importing, resuming)]
    imported, resumed = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    share = statistics.median(resumed / imported for imported, resumed in pairs)
    speed = f"{imported:.0f}", f"{resumed:.0f}", f"{share:.2f}", verdict(share >= LEAST_SHARE)
    memory = f"{import_mb:.1f}", f"{tus_mb:.1f}", verdict(tus_mb - import_mb <= MOST_MORE_MB)
    return name, *speed, *memory, *seconds


def _processor_seconds(web: Web) -> float:
    """Of all processes of web, whatever else the machine does; with those of its start."""
    parent = psutil.Process(web.process.pid)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return sum(each.user + each.system for each in times)


@contextmanager
def _webs(rig: Rig) -> Iterator[tuple[Web, Web]]:
    webs: list[Web] = []
    try:
        for _ in range(2):
            webs.append(Web.start(rig.variables))
        yield webs[0], webs[1]
    finally:
        stop_all(webs)


def _import(web: Web, body: Body) -> float:
    began = time.monotonic()
    answer = web.post(data=body, headers={"Content-Type": "text/csv", "X-Source": SOURCE})
    assert answer.status_code == 200, answer.text
    return len(body) / 1e6 / (time.monotonic() - began)


def _resume(web: Web, whole: bytes) -> float:
    """As a client does that knows the length: a creation, and a PATCH for each chunk on the same connection."""
    metadata = {"Upload-Metadata": encoded({"source": SOURCE, "filetype": "text/csv"})}
    began = time.monotonic()
    with web.session() as session:
        session.headers.update(VERSION)
        made = session.post(f"{web.url}/uploads", headers={"Upload-Length": str(len(whole)), **metadata}, timeout=60)
        url, offset = f"{web.url}{made.headers['Location']}", 0
        while offset < len(whole):
            offset = _patch(session, url, offset, memoryview(whole)[offset : offset + CHUNK_BYTES])
    return len(whole) / 1e6 / (time.monotonic() - began)


def _patch(session: requests.Session, url: str, offset: int, chunk: memoryview) -> int:
    """The offset behind the chunk."""
    place = {"Upload-Offset": str(offset), "Content-Type": CHUNK_TYPE}
    answer = session.patch(url, data=bytes(chunk), headers=place, timeout=60)
    assert answer.status_code == 204, answer.text
    return int(answer.headers["Upload-Offset"])
