"""How fast contacts go out over HTTP beside the same COPY by psql, in how much memory, and what imports pay for it."""

import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

from dataflow.exports.formats import FORMATS
from dataflow.exports.selection import DEFAULT_FIELDS, Selection
from dataflow.local.postgres import binary
from tests.bench.memory import peak_mb
from tests.bench.once import OnceWorker
from tests.bench.report import print_table, verdict
from tests.bench.rig import Rig
from tests.bench.sample import LAYOUTS
from tests.support.processes import Web

LEAST_SHARE, MOST_WEB_MB = 0.6, 70
LEAST_IMPORT_SHARE = 0.8
PIECE_BYTES = 1 << 18
#: What clients take, in bytes a second: 100 Mbit/s, and as fast as it comes.
CLIENTS = {"a client with 100 Mbit/s": 12_500_000, "one that takes all": 0}


def run(rig: Rig, rows: int, rounds: int) -> None:
    """Print a table for the rates of exports, and one for imports beside them."""
    rig.empty_contacts()
    _fill(rig, rows)
    web = Web.start({**rig.variables, "WEB_CONCURRENCY": 1})
    try:
        table = [_compare(rig, web, name, rows, rounds) for name in FORMATS]
        memory = peak_mb(web)
        columns = ("", "psql", "HTTP", "share", f"bar {LEAST_SHARE}", "first bytes, ms")
        print_table(f"Exports of {rows:,} contacts, median of {rounds}, rows/s", columns, table)
        print(f"Peak of web {memory:.1f} MB, bar {MOST_WEB_MB}: {verdict(memory < MOST_WEB_MB)}")
        _report_imports(rig, web, rows, rounds)
    finally:
        web.stop()


def _fill(rig: Rig, rows: int) -> None:
    upload = rig.upload("csv", LAYOUTS["csv"].pieces(rows))
    rig.queue(upload)
    OnceWorker(rig.variables).finish()
    rig.succeeded_job(upload, rows)
    rig.connection.execute("VACUUM ANALYZE contacts")


def _compare(rig: Rig, web: Web, name: str, rows: int, rounds: int) -> tuple[str, ...]:
    """One row: both ways in turns, so that whatever else the machine does meets both."""
    statement = FORMATS[name].copy(rig.connection, DEFAULT_FIELDS, Selection()).decode()
    pairs, firsts = [], []
    for _ in range(rounds):
        by_psql = _by_psql(rig, statement)
        by_http, first = _by_http(web, name)
        pairs.append((by_psql, by_http))
        firsts.append(first)
    psql, http = (rows / statistics.median(column) for column in zip(*pairs, strict=True))
    share = statistics.median(by_psql / by_http for by_psql, by_http in pairs)
    met = verdict(share >= LEAST_SHARE) if name in ("csv", "ndjson") else "none"
    return name, f"{psql:,.0f}", f"{http:,.0f}", f"{share:.2f}", met, f"{1000 * max(firsts):.0f}"


def _by_psql(rig: Rig, statement: str) -> float:
    """Seconds with the start of psql, as those of HTTP have a connection's; `\\copy` does the same with one line."""
    began = time.monotonic()
    command = [binary("psql"), rig.variables["DATABASE_URL"], "--no-psqlrc", "-qc", statement]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def _by_http(web: Web, name: str, bytes_second: int = 0) -> tuple[float, float]:
    """Seconds until the end and until the first bytes."""
    began = time.monotonic()
    with closing(HTTPConnection(urlsplit(web.url).netloc)) as line:
        line.request("GET", f"/exports?format={name}")
        answer = line.getresponse()
        assert answer.status == 200
        size, first = len(answer.read1(1)), time.monotonic() - began
        while piece := answer.read1(PIECE_BYTES):
            size += len(piece)
            if bytes_second:
                time.sleep(max(0.0, began + size / bytes_second - time.monotonic()))
    return time.monotonic() - began, first


def _report_imports(rig: Rig, web: Web, rows: int, rounds: int) -> None:
    """Imports into the table that is being exported, alone and beside each kind of client, in turns."""
    seconds: dict[str, list[float]] = {"alone": []}
    for _ in range(rounds):
        seconds["alone"].append(_import_seconds(rig, rows))
        for client, bytes_second in CLIENTS.items():
            with _exporting(web, bytes_second):
                seconds.setdefault(client, []).append(_import_seconds(rig, rows))
    alone = statistics.median(seconds["alone"])
    table = []
    for client, found in seconds.items():
        share = alone / statistics.median(found)
        table.append(
            (client, f"{rows / statistics.median(found):,.0f}", f"{share:.2f}", verdict(share >= LEAST_IMPORT_SHARE))
        )
    columns = ("beside", "rows/s", "share", f"bar {LEAST_IMPORT_SHARE}")
    print_table(f"Imports of {rows:,} contacts beside exports, median of {rounds}", columns, table)


@contextmanager
def _exporting(web: Web, bytes_second: int) -> Iterator[None]:
    """One export after the other, until the block ends and the last of them has."""
    is_over = threading.Event()

    def export() -> None:
        while not is_over.is_set():
            _by_http(web, "csv", bytes_second)

    client = threading.Thread(target=export)
    client.start()
    try:
        yield
    finally:
        is_over.set()
        client.join()


def _import_seconds(rig: Rig, rows: int) -> float:
    """By the server's clock; the contacts are removed again, so that all exports have the same ones."""
    upload = rig.upload("csv", LAYOUTS["csv"].pieces(rows))
    rig.queue(upload)
    OnceWorker(rig.variables).finish()
    job = rig.succeeded_job(upload, rows)
    ids = [job["first_contact_id"], job["last_contact_id"]]
    rig.connection.execute("DELETE FROM contacts WHERE id BETWEEN %s AND %s", ids)
    rig.connection.execute("VACUUM contacts")
    seconds: float = (job["finished_at"] - job["started_at"]).total_seconds()
    return seconds
