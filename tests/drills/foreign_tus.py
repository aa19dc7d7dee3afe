"""Clients of tus that we did not write, in all the ways in which they can be set, with 100 MB on a bad network."""

import shutil
import time
from collections import Counter

from tests.drills.drill import drill
from tests.drills.rig import Rig
from tests.drills.sending import Sent
from tests.support.foreign_uploads import CHUNKS, CLIENTS, Crossing, SentFile, send
from tests.support.taking_turns import TakingTurns
from tests.support.tus_js_client import TusJs

LARGE_BYTES, SMALL_BYTES = 100_000_000, 300
CROSSING_SECONDS = 600


def _missing() -> str:
    absent = [command for command in ("node", "npm") if shutil.which(command) is None]
    return f"{' and '.join(absent)} not installed" if absent else ""


@drill(rounds=1, quick_rounds=0, missing=_missing, group="tus")
def foreign_tus(rig: Rig) -> None:
    """tus-js-client and tuspy: network cut at random, each of two web processes killed."""
    _cross(rig)


@drill(rounds=1, quick_rounds=0, missing=_missing, group="tus")
def foreign_tus_supabase(rig: Rig) -> None:
    """The same over the storage server."""
    rig.use_double()
    _cross(rig)


def _cross(rig: Rig) -> None:
    tus_js = TusJs.install(rig.folder / "tus_js")
    rig.start()
    with TakingTurns(rig.variables) as webs:
        for number, crossing in enumerate(_crossings()):
            began = time.monotonic()
            client = tus_js if crossing.client == "tus-js" else None
            path = rig.folder / f"contacts-{number}.csv"
            sent = send(crossing, webs, client, path, number, CROSSING_SECONDS)
            path.unlink()
            rig.notes.append(f"{crossing}: {time.monotonic() - began:.1f} s, {_happened(sent)}")
            _check(rig, sent)


def _crossings() -> list[Crossing]:
    small = [Crossing(client, 1, SMALL_BYTES, is_deferred) for client in CLIENTS for is_deferred in (False, True)]
    large = [
        Crossing(client, chunk_bytes, LARGE_BYTES, is_deferred, is_killed=True)
        for client in CLIENTS
        for chunk_bytes in CHUNKS
        for is_deferred in (False, True)
    ]
    return [*small, *large]


def _happened(sent: SentFile) -> str:
    retried = Counter(status or "no answer" for status in sent.retried)
    after = ", ".join(f"{count} {status}" for status, count in retried.items())
    return f"{sent.cuts} cuts, tried again after {after or 'nothing'}"


def _check(rig: Rig, sent: SentFile) -> None:
    """It is one job of all the bytes, and its contacts are the file's, in their order."""
    made = "SELECT id, bytes_total FROM jobs WHERE source = %s AND state <> 'uploading'"
    [job] = rig.connection.execute(made, [sent.source]).fetchall()
    assert job["bytes_total"] == sent.size_bytes, f"{job['bytes_total']} of {sent.size_bytes} bytes"
    rig.sent.append(Sent(job["id"], sent.source, [email for _, email in sent.rows]))
    rig.wait_until_done(rig.sent[-1])
    found = rig.connection.execute("SELECT name, email FROM contacts WHERE source = %s ORDER BY id", [sent.source])
    assert [(row["name"], row["email"]) for row in found.fetchall()] == sent.rows
