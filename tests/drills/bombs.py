"""Files of a few kilobytes to megabytes that expand to gigabytes: what they cost, and for how long."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from tests.bench.memory import peak_mb
from tests.drills import sending
from tests.drills.drill import drill
from tests.drills.honest import MOST_SECONDS, Answer, ask, import_each
from tests.drills.rig import Rig
from tests.drills.sending import Sent
from tests.drills.siege import start_web
from tests.support import bomb_workbooks, bombs
from tests.support.processes import Web
from tests.support.waiting import eventually

AT_ONCE = 16
#: How long the clients wait for an answer before they leave, and how soon their places have to be free.
PATIENCE_SECONDS, FREE_SECONDS = 10.0, 5.0
#: What a job may hold a place of the worker for.
BAR_SECONDS = 100.0
DEADLINE_SECONDS = 400.0
MOST_MB = 160
IMPORTS, ROWS = 20, 5_000
HEAD = b"name,email\n"
PATHS = ("/import/preview", "/import")
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

bomb_drill = drill(
    bar_seconds=BAR_SECONDS,
    rounds=1,
    quick_rounds=0,
    missing=lambda: "" if sys.platform == "linux" else "memory is read from /proc",
    group="siege",
)


@dataclass(frozen=True, slots=True)
class Bomb:
    """A body and how it is declared."""

    name: str
    media_type: str
    content: bytes
    encoding: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        encoding = {"Content-Encoding": self.encoding} if self.encoding else {}
        return {"Content-Type": self.media_type, "X-Source": "bomb", **encoding}


@bomb_drill
def json_bombs(rig: Rig) -> float:
    """16 JSON bodies at once that expand to 1.8 GB: longest job."""
    # What does not repeat within the compressor's window keeps the second one below what is refused by its ratio.
    ignored = partial(bombs.gzipped, b'{"source":"bomb","ignored":[0', tail=b'],"data":[]}')
    rare = b',"' + _noise(330) + b'"' + b",0" * 32_000
    bodies = {"array": ignored(b",0", 900_000_000), "array within 200-fold": ignored(rare, 1_800_000_000 // len(rare))}
    return _explode(rig, [Bomb(name, "application/json", body, "gzip") for name, body in bodies.items()])


@bomb_drill
def csv_bombs(rig: Rig) -> float:
    """16 gzip CSV files at once that hold 2 GB of one line or of blank ones: longest job."""
    shapes = {"line": (b"x", HEAD), "quotes": (b'""', HEAD), "blank lines": (b"\n", HEAD), "blanks": (b" ", b"")}
    made = {name: bombs.one_line_gzip(2 * 10**9, line, head) for name, (line, head) in shapes.items()}
    return _explode(rig, [Bomb(name, "text/csv", content, "gzip") for name, content in made.items()])


@bomb_drill
def row_bombs(rig: Rig) -> float:
    """16 files at once of one row of a million members or cells, or of very many rows: longest job."""
    members = bombs.json_keys(100_000)
    empty_texts = b'[{"name":[' + b'"",' * 1_500_000 + b'""]}]'
    return _explode(
        rig,
        [
            Bomb("JSON members", "application/json", members),
            Bomb("JSON members for the worker", "application/octet-stream", members),
            Bomb("JSON empty texts", "application/octet-stream", empty_texts),
            Bomb("JSON empty rows", "application/octet-stream", b"[" + b"{}," * 300_000 + b"{}]"),
            Bomb("NDJSON members", "application/x-ndjson", members[1:-1]),
            Bomb("NDJSON empty rows", "application/x-ndjson", b"{}\n" * 300_000),
            Bomb("CSV cells", "text/csv", bombs.wide_csv(1_000_000)),
            Bomb("CSV wide characters", "text/csv", "name,email\n\U0001f600{}\n".format("x" * 1_000_000).encode()),
            Bomb("CSV columns", "text/csv", bombs.wide_header(1_000_000)),
        ],
    )


@bomb_drill
def shared_text_bombs(rig: Rig) -> float:
    """16 workbooks at once with 10,000,000 shared texts: longest job."""
    # Whoever reads it fast enough finds a contact.
    return _explode(
        rig, [Bomb("shared texts", XLSX, bomb_workbooks.many_shared_strings(10_000_000))], "failed", "succeeded"
    )


@bomb_drill
def xml_bombs(rig: Rig) -> float:
    """16 workbooks at once with 300,000 nested or flat elements, in each part: longest job."""
    parts = (bomb_workbooks.SHEET, bomb_workbooks.BOOK, bomb_workbooks.STYLES, bomb_workbooks.STRINGS)
    made = {
        f"{shape.__name__} {part}": shape(300_000, part)
        for shape, part in product((bomb_workbooks.deep, bomb_workbooks.wide), parts)
    }
    made["deep row"] = bomb_workbooks.deep_sheet(300_000)
    return _explode(rig, [Bomb(name, XLSX, content) for name, content in made.items()])


def _explode(rig: Rig, made: Sequence[Bomb], *ends: str) -> float:
    """Send each bomb to be looked at and to be imported; the longest that a job of theirs had a place.

    `ends` are the states in which they may end: failed if none is given.
    """
    web = start_web(rig)
    [worker] = rig.workers
    idle = f"idle {peak_mb(web):.0f} and {peak_mb(worker):.0f}"
    refused = []
    for bomb, path in product(made, PATHS):
        refused += _send(rig, web, bomb, path)
        rig.notes[-1] += f", the worker at {peak_mb(worker):.0f}"
    jobs = _ended(rig)
    web_mb, worker_mb = peak_mb(web), peak_mb(worker)
    errors = Counter(f"{job['state']} {(job['error'] or '').partition(':')[0]}" for job in jobs)
    rig.notes += [f"peak of web {web_mb:.0f} MB, of the worker {worker_mb:.0f}, {idle}", f"jobs: {dict(errors)}"]
    rig.wait_until_done(*rig.sent)
    rig.sent += [Sent(job["id"], "bomb", ["a@example.org"]) for job in jobs if job["state"] == "succeeded"]
    assert not refused, "; ".join(refused)
    assert all(job["state"] in (ends or ("failed",)) and job["losses"] == 0 for job in jobs), errors
    assert max(web_mb, worker_mb) < MOST_MB, rig.notes
    return max((job["held_seconds"] for job in jobs), default=0.0)


def _send(rig: Rig, web: Web, bomb: Bomb, path: str) -> list[str]:
    """Send it 16 times at once; why ordinary imports are refused after the clients have left."""
    send = partial(ask, web.port, "POST", path, PATIENCE_SECONDS, bomb.content, bomb.headers)
    with ThreadPoolExecutor(AT_ONCE) as clients:
        answers = [each.result() for each in [clients.submit(send) for _ in range(AT_ONCE)]]
    time.sleep(FREE_SECONDS)
    sents = [sending.make(len(rig.sent) + number, ROWS) for number in range(IMPORTS)]
    imports = import_each(web.port, sents, 0.0, time.sleep)
    health = ask(web.port, "GET", "/health", MOST_SECONDS)
    rig.sent += [each.accepted for each in imports if each.answer.is_good]
    asked = [each.answer for each in imports]
    size = f"{len(bomb.content) / 1e6:.3f} MB"
    rig.notes.append(
        f"{bomb.name} ({size}) {path}: {_outcomes(answers)}; then imports {_outcomes(asked)}, "
        f"/health {health.outcome}, web at {peak_mb(web):.0f} MB"
    )
    return [f"after {bomb.name} {path}: {answer.outcome} {answer.body[:99]}" for answer in asked if not answer.is_good]


def _outcomes(answers: Sequence[Answer]) -> str:
    counted = Counter(f"{answer.outcome} {_code(answer)}".strip() for answer in answers)
    return f"{dict(counted)} in {max(answer.seconds for answer in answers):.1f} s"


def _code(answer: Answer) -> str:
    return answer.body.partition('"code":"')[2].partition('"')[0]


def _ended(rig: Rig) -> list[dict[str, Any]]:
    """The jobs of the bombs, when all have ended."""
    ours = (
        "SELECT *, extract(epoch FROM finished_at - started_at)::float AS held_seconds FROM jobs WHERE source = 'bomb'"
    )
    unfinished = f"SELECT FROM ({ours}) bombs WHERE finished_at IS NULL"
    eventually(lambda: not rig.connection.execute(unfinished.encode()).fetchall(), DEADLINE_SECONDS, 0.5)
    return rig.connection.execute(ours.encode()).fetchall()


def _noise(size_bytes: int) -> bytes:
    """Letters that cannot be compressed much, the same each time."""
    state, letters = 1, bytearray()
    for _ in range(size_bytes):
        state = state * 1103515245 + 12345 & 0x7FFFFFFF
        letters.append(65 + (state >> 16) % 58)
    return bytes(letters).replace(b"\\", b"x")
