"""Whatever is sent to any route, the answer is one that the document describes, and none of them a fault of ours."""

import re
from collections.abc import Callable
from pathlib import Path

from tests.support.holders import ALL_KEY, CLOSED
from tests.support.openapi import described
from tests.support.processes import Web, WorkerProcess
from tests.support.schemathesis_run import run

WEB_VARIABLES = {**CLOSED, "UPLOAD_STALL_SECONDS": 5}
#: Of generating; what is under way then is ended first.
SECONDS = 40


def test_schemathesis_finds_nothing(web: Web, start_worker: Callable[..., WorkerProcess], tmp_path: Path) -> None:
    start_worker()
    done = run(web.url, ALL_KEY, tmp_path, SECONDS)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    # How many of them it gets to in that time is the machine's matter. The document itself is not asked for again.
    chosen = re.search(r"Selected: +(\d+)", done.stdout)
    assert chosen and int(chosen[1]) == len([*described().operations()]) - 1, done.stdout
