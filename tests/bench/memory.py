"""Peak memory of worker and web, seen from outside. Linux only.

VmHWM, which the kernel keeps exactly, of every process, read while it still runs; the largest process counts. A
megabyte is 10**6 bytes.
"""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from tests.bench.report import print_table, verdict
from tests.bench.rig import Rig
from tests.bench.sample import LAYOUTS, SOURCE, Body
from tests.support.processes import ChildProcess, Web, WorkerProcess

FEW_ROWS = 10_000
MOST_WORKER_MB, MOST_GROWTH_MB = 100, 16
MOST_WEB_MB, MOST_MORE_MB = 90, 14
UPLOADS = 4
BOUNDARY = "----bench"


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent as one kind of body, and how much of it is content."""

    content_type: str
    body: Body
    content_bytes: int


def run(rig: Rig, rows: int, gigabytes: float) -> None:
    """Print a table for the worker and one for web."""
    _report_worker({name: (_worker_mb(rig, name, FEW_ROWS), _worker_mb(rig, name, rows)) for name in LAYOUTS}, rows)
    run_web(rig, gigabytes, "the local directory")


def run_web(rig: Rig, gigabytes: float, where: str) -> None:
    """Print a table of uploads to the storage that the rig's variables choose."""
    whole, parts = _requests(int(gigabytes * 10**9)), _requests(int(gigabytes * 10**9) // UPLOADS)
    costs = {kind: (_upload(rig, whole[kind], 1), _upload(rig, parts[kind], UPLOADS)) for kind in whole}
    _report_web(costs, f"{gigabytes:g} GB to {where}")


def peak_mb(child: ChildProcess) -> float:
    """The peak of the largest process among the child and its children, in MB."""
    parent = psutil.Process(child.process.pid)
    return max(_high_water_mb(process.pid) for process in (parent, *parent.children(recursive=True)))


def _high_water_mb(pid: int) -> float:
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found, f"process {pid} has ended"
    return int(found[1]) * 1024 / 1e6


def _worker_mb(rig: Rig, format_name: str, rows: int) -> float:
    """The peak of a worker that has imported one object and nothing else."""
    rig.empty_contacts()
    upload = rig.upload(format_name, LAYOUTS[format_name].pieces(rows))
    worker = WorkerProcess.start(rig.variables)
    try:
        rig.queue(upload)
        rig.succeeded_job(upload, rows)
        return peak_mb(worker)
    finally:
        worker.stop()


def _report_worker(peaks: dict[str, tuple[float, float]], rows: int) -> None:
    table = []
    for name, (few, many) in peaks.items():
        met = many < MOST_WORKER_MB and many - few <= MOST_GROWTH_MB
        table.append((name, f"{few:.1f}", f"{many:.1f}", f"{many - few:+.1f}", verdict(met)))
    bars = f"bars {MOST_WORKER_MB} and {MOST_GROWTH_MB}"
    print_table("Peak memory of a worker, MB", ("", f"{FEW_ROWS:,} rows", f"{rows:,} rows", "growth", bars), table)


def _requests(size_bytes: int) -> dict[str, Request]:
    """A request of every kind that the service takes, each with at least `size_bytes` of contacts."""
    bodies = {layout.media_type: layout.body(size_bytes) for layout in LAYOUTS.values()}
    kinds = {media_type: Request(media_type, body, len(body)) for media_type, body in bodies.items()}
    json, csv = bodies["application/json"], bodies["text/csv"]
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="contacts.csv"\r\n\r\n'
    form = replace(csv, head=part.encode() + csv.head, tail=csv.tail + f"\r\n--{BOUNDARY}--\r\n".encode())
    kinds["multipart/form-data"] = Request(f"multipart/form-data; boundary={BOUNDARY}", form, len(csv))
    kinds["application/octet-stream"] = Request("application/octet-stream", json, len(json))
    return kinds


def _upload(rig: Rig, request: Request, uploads: int) -> tuple[float, float]:
    """Send the request `uploads` times at once to a fresh gunicorn of one process; peak in MB, and MB/s."""
    web = Web.start(rig.variables)
    try:
        began = time.monotonic()
        with ThreadPoolExecutor(uploads) as clients:
            list(clients.map(_send, [web] * uploads, [request] * uploads))
        seconds = time.monotonic() - began
        peak = peak_mb(web)
    finally:
        web.stop()
    received = rig.forget_queued()
    assert received == [request.content_bytes] * uploads, f"{received} bytes arrived, sent {request.content_bytes}"
    return peak, uploads * len(request.body) / 1e6 / seconds


def _send(web: Web, request: Request) -> None:
    answer = web.post(data=request.body, headers={"Content-Type": request.content_type, "X-Source": SOURCE})
    assert answer.status_code == 200, answer.text


def _report_web(costs: dict[str, tuple[tuple[float, float], tuple[float, float]]], upload: str) -> None:
    table = []
    for kind, ((one_mb, one_speed), (all_mb, all_speed)) in costs.items():
        more_mb = (all_mb - one_mb) / (UPLOADS - 1)
        met = verdict(one_mb < MOST_WEB_MB and more_mb <= MOST_MORE_MB)
        figures = f"{one_mb:.1f}", f"{all_mb:.1f}", f"{more_mb:.1f}"
        table.append((kind, *figures, met, f"{one_speed:.0f}", f"{all_speed:.0f}"))
    title = f"Peak memory of one web process, MB: one upload of {upload}, and {UPLOADS} at once that add up to it"
    columns = ("", "one", f"all {UPLOADS}", "each further", f"bars {MOST_WEB_MB} and {MOST_MORE_MB}")
    print_table(title, (*columns, "MB/s of one", f"of {UPLOADS}"), table)
