"""Hostile clients at the web service for a minute: /health answers, and imports are taken at their first request."""

import json
import re
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import UUID

from tests.bench.memory import MOST_WEB_MB
from tests.drills import sending
from tests.drills.besieged import FILL_JOBS, LONG_LIST, Siege, besiege
from tests.drills.drill import drill
from tests.drills.rig import Rig
from tests.support.hostile import crowds
from tests.support.hostile.crowds import Crowd
from tests.support.processes import Web

#: The longest that /health may take.
BAR_SECONDS = 1.0
IMPORTS, ROWS = 20, 5_000
#: 1 KB/s for a minute stays below what is read into memory unasked, so that only threads can run out, and these do not.
PATIENT = 40
#: More than there are threads for, and what is said to those that have to give way, or to come again.
CROWD, REFUSALS = 200, {("503", "too_many_uploads"), ("408", "upload_displaced")}
BAD_ROWS = 50_000

#: Before the imports: a body gives way to others only after five seconds.
SETTLING_SECONDS = 6.0


class FewFilesWeb(Web):
    """Web where a process may have 512 files open."""

    prefix = ("sh", "-c", 'ulimit -n 512 && exec "$0" "$@"')


def no_proc() -> str:
    return "" if sys.platform == "linux" else "memory is read from /proc"


siege_drill = drill(bar_seconds=BAR_SECONDS, rounds=1, quick_rounds=0, missing=no_proc)


@siege_drill
def half_heads(rig: Rig) -> float:
    """1,000 half-sent heads: worst /health."""
    return _hold(rig, crowds.half_heads(1000))


@siege_drill
def silent_connections(rig: Rig) -> float:
    """500 silent connections: worst /health."""
    return _hold(rig, crowds.silent(500))


@siege_drill
def never_closing(rig: Rig) -> float:
    """200 connections that their clients never close: worst /health."""
    return _hold(rig, crowds.never_closing(200))


@siege_drill
def slow_bodies(rig: Rig) -> float:
    """200 bodies at 1 KB/s: worst /health."""
    return _hold(rig, crowds.slow_bodies(200))


@siege_drill
def patient_bodies(rig: Rig) -> float:
    """40 bodies at 1 KB/s, for which there is room: worst /health."""
    siege, refusals = _hold_patient(rig, PATIENT)
    assert not refusals, f"slow bodies were cut: {refusals}"
    return _outcome(rig, siege)


@siege_drill
def slow_crowd(rig: Rig) -> float:
    """200 bodies of 60 KB at 1 KB/s, each taken, or refused for a reason: worst /health."""
    siege, refusals = _hold_patient(rig, CROWD)
    _check_refusals(rig, siege, refusals)
    return _outcome(rig, siege)


@siege_drill
def slow_uploads(rig: Rig) -> float:
    """The same 200 as uploads (tus), a PATCH each: worst /health."""
    siege, refusals = _hold_patient(rig, CROWD, _patch)
    _check_refusals(rig, siege, refusals)
    return _outcome(rig, siege)


@siege_drill
def dripping_bodies(rig: Rig) -> float:
    """64 bodies at a byte in 5 s: worst /health."""
    return _hold(rig, crowds.dripping_bodies(64))


@siege_drill
def slow_readers(rig: Rig) -> float:
    """100 readers of large answers at a byte a second: worst /health."""
    web = start_web(rig)
    return _outcome(rig, _besiege(rig, web, _readers(rig, web)))


@siege_drill
def all_hostile(rig: Rig) -> float:
    """All of these at once: worst /health."""
    return _hold_all(rig)


@siege_drill
def all_with_few_files(rig: Rig) -> float:
    """All of these at once, under ulimit -n 512: worst /health."""
    return _hold_all(rig, FewFilesWeb)


@siege_drill
def all_over_supabase(rig: Rig) -> float:
    """All of these at once, over the storage server: worst /health."""
    rig.use_double()
    return _hold_all(rig)


def _hold_all(rig: Rig, kind: type[Web] = Web) -> float:
    web = start_web(rig, kind)
    everybody = [
        *crowds.half_heads(1000),
        *crowds.silent(500),
        *crowds.never_closing(200),
        *crowds.slow_bodies(200),
        *crowds.dripping_bodies(64),
        *_readers(rig, web),
    ]
    return _outcome(rig, _besiege(rig, web, everybody))


def _hold(rig: Rig, hostile: Sequence[Crowd]) -> float:
    return _outcome(rig, _besiege(rig, start_web(rig), hostile))


def _check_refusals(rig: Rig, siege: Siege, refusals: Sequence[str]) -> None:
    """Each says why, and when to come again."""
    told = Counter((answer[9:12], json.loads(answer.partition("\r\n\r\n")[2])["code"]) for answer in refusals)
    rig.notes.append(f"taken: {CROWD - len(refusals)}, refused: {dict(told)}")
    assert told.keys() <= REFUSALS
    assert all("\r\nretry-after: " in answer.lower() for answer in refusals)
    assert siege.web_mb <= MOST_WEB_MB


def _body(_: Web, source: str, seconds: int) -> tuple[Crowd, list[str]]:
    return crowds.patient_body(source, seconds)


def _patch(web: Web, source: str, seconds: int) -> tuple[Crowd, list[str]]:
    metadata = {"source": source, "filetype": "text/csv"}
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": str(crowds.patient_bytes(source, seconds)),
        "Upload-Metadata": ",".join(f"{name} {b64encode(text.encode()).decode()}" for name, text in metadata.items()),
    }
    answer = web.post("/uploads", headers=headers)
    assert answer.status_code == 201, answer.text
    return crowds.patient_patch(answer.headers["Location"], source, seconds)


def _hold_patient(
    rig: Rig, count: int, begin: Callable[[Web, str, int], tuple[Crowd, list[str]]] = _body
) -> tuple[Siege, list[str]]:
    """A siege by so many slow bodies that are sent to their ends, and the answers to those that are not taken."""
    seconds = min(int(rig.seconds), crowds.SMALL_BYTES // crowds.PIECE_BYTES)
    web = start_web(rig)
    bodies = {f"patient {number}": begin(web, f"patient {number}", seconds) for number in range(count)}
    siege = _besiege(rig, web, [crowd for crowd, _ in bodies.values()])
    [held] = siege.crowds
    assert len(held.answers) == count, held
    taken = [answer for answer in held.answers if answer.startswith("HTTP/1.1 20")]
    for answer in taken:
        job_id = re.findall("/jobs/([0-9a-f-]{36})", answer)[0]
        source = web.job(job_id)["source"]
        rig.sent.append(sending.Sent(UUID(job_id), source, bodies[source][1]))
    return siege, [answer for answer in held.answers if answer not in taken]


def start_web(rig: Rig, kind: type[Web] = Web) -> Web:
    """Web with its default settings, and a worker."""
    rig.start()
    web = kind.start({**rig.variables, "WEB_CONCURRENCY": 2})
    rig.stack.callback(web.stop)
    return web


def _besiege(rig: Rig, web: Web, hostile: Sequence[Crowd]) -> Siege:
    sents = [sending.make(len(rig.sent) + number, ROWS) for number in range(IMPORTS)]
    siege = besiege(web, hostile, sents, rig.seconds, min(SETTLING_SECONDS, rig.seconds / 2))
    rig.notes += siege.notes()
    return siege


def _outcome(rig: Rig, siege: Siege) -> float:
    """Have all imports succeed; the rig counts their rows afterwards."""
    rig.sent += siege.accepted
    siege.check_imports()
    rig.wait_until_done(*rig.sent)
    return siege.worst_health_seconds


def _readers(rig: Rig, web: Web) -> list[Crowd]:
    """Readers of a long list and of a file of refused rows, both of which are made for them."""
    rig.connection.execute(FILL_JOBS)
    sent = sending.make(len(rig.sent), 1)
    refused = "".join(f"A name that is long enough,row {number} has no address\n" for number in range(BAD_ROWS))
    headers = {"Content-Type": "text/csv", "X-Source": sent.source}
    answer = web.post(data=sending.content(sent) + refused.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    rig.sent.append(replace(sent, id=UUID(answer.json()["jobId"])))
    rig.wait_until_done(rig.sent[-1])
    return crowds.slow_readers(100, [LONG_LIST, f"/jobs/{rig.sent[-1].id}/rejects?format=csv"])
