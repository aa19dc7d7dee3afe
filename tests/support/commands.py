"""Commands as somebody types them, run until they end."""

import os
import subprocess
import sys
from pathlib import Path

Outcome = subprocess.CompletedProcess[str]


def environment(**variables: object) -> dict[str, str]:
    return {**os.environ, "COLUMNS": "100", **{name: str(value) for name, value in variables.items()}}


def dataflow(*arguments: str | Path, **variables: object) -> Outcome:
    command = [sys.executable, "-m", "dataflow", *map(str, arguments)]
    environ = environment(**variables)
    done = subprocess.run(
        command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done
