"""How fast and in how much memory a body goes through web into Supabase Storage by tus, beside a bare PATCH loop.

The storage is the tests' double: throttled to the speed measured for the real server, then as fast as it can.
"""

import statistics
import time
from base64 import b64encode
from dataclasses import replace

import requests

from dataflow.config import Config
from dataflow.storage.registry import open_storage
from tests.bench.memory import run_web
from tests.bench.report import print_table, verdict
from tests.bench.rig import Rig
from tests.bench.sample import LAYOUTS, SOURCE, Body
from tests.doubles.storage.process import StorageDouble
from tests.support.processes import Web

#: Of the real server, with 6 MiB a PATCH.
REAL_BYTES_PER_SECOND = 100_000_000
CHUNK_BYTES = 6 << 20
LEAST_SHARE = 0.75
SPEED_BYTES = 300_000_000


def run(rig: Rig, rounds: int, gigabytes: float) -> None:
    """Print a table of rates and one of memory."""
    body = LAYOUTS["csv"].body(SPEED_BYTES)
    rows = []
    for bytes_per_second in (REAL_BYTES_PER_SECOND, None):
        with StorageDouble.start(
            rig.folder / f"double-{bytes_per_second}", bytes_per_second=bytes_per_second
        ) as double:
            double.make_bucket("imports")
            rows.append(_compare(rig, double, body, rounds, bytes_per_second))
    assert len(rig.forget_queued()) == 2 * rounds, "each import must have made a job"
    title = f"CSV POST /import of {len(body) / 1e6:.0f} MB into Supabase's protocol, median of {rounds}, MB/s"
    print_table(title, ("storage", "bare PATCH loop", "import", "share", f"bar {LEAST_SHARE}"), rows)
    with StorageDouble.start(rig.folder / "double") as double:
        double.make_bucket("imports")
        variables = _variables(rig, double)
        there = replace(rig, variables=variables, storage=open_storage(Config.from_env(variables)))
        run_web(there, gigabytes, "Supabase's protocol")


def _compare(
    rig: Rig, double: StorageDouble, body: Body, rounds: int, bytes_per_second: int | None
) -> tuple[str, str, str, str, str]:
    """One row: both ways in turns, so that whatever else the machine does meets both."""
    web = Web.start(_variables(rig, double))
    try:
        pairs = [(_patch_bare(double, body), _import(web, body)) for _ in range(rounds)]
    finally:
        web.stop()
    bare, imported = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    share = statistics.median(ours / theirs for theirs, ours in pairs)
    name = f"at {bytes_per_second / 1e6:.0f} MB/s" if bytes_per_second else "unthrottled"
    met = verdict(share >= LEAST_SHARE) if bytes_per_second else ""
    return name, f"{bare:.0f}", f"{imported:.0f}", f"{share:.2f}", met


def _variables(rig: Rig, double: StorageDouble) -> dict[str, str]:
    return {**rig.variables, "SUPABASE_URL": double.project_url, "SUPABASE_SERVICE_ROLE_KEY": double.key()}


def _import(web: Web, body: Body) -> float:
    began = time.monotonic()
    answer = web.post(data=body, headers={"Content-Type": "text/csv", "X-Source": SOURCE})
    assert answer.status_code == 200, answer.text
    return len(body) / 1e6 / (time.monotonic() - began)


def _patch_bare(double: StorageDouble, body: Body) -> float:
    """The same chunks by nothing but requests: no client to read from, nothing hashed, nothing written down."""
    whole = b"".join(body)
    chunks = [whole[start : start + CHUNK_BYTES] for start in range(0, len(whole), CHUNK_BYTES)]
    fields = {"bucketName": "imports", "objectName": "bare.csv"}
    metadata = ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in fields.items())
    headers = {"Tus-Resumable": "1.0.0", "x-upsert": "true"}
    began = time.monotonic()
    with requests.Session() as session:
        session.headers.update(double.headers(**headers))
        length = {"Upload-Length": str(len(whole)), "Upload-Metadata": metadata}
        made = session.post(f"{double.url}/upload/resumable", headers=length, timeout=60)
        url = f"{double.url}/upload/resumable/{made.headers['Location'].rpartition('/')[2]}"
        for number, chunk in enumerate(chunks):
            place = {"Upload-Offset": str(number * CHUNK_BYTES), "Content-Type": "application/offset+octet-stream"}
            session.patch(url, data=chunk, headers=place, timeout=60).raise_for_status()
    return len(whole) / 1e6 / (time.monotonic() - began)
