"""Commands as somebody types them, run until they end."""

import os
import signal
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


def interrupted(process: "subprocess.Popen[str]", told: str) -> tuple[str, str]:
    """What a command says when Ctrl-C comes after a line with `told` on standard error: its output, and all of that."""
    assert process.stdout and process.stderr
    errors = ""
    while told not in errors:
        line = process.stderr.readline()
        assert line, errors
        errors += line
    process.send_signal(signal.SIGINT)
    with process:
        return process.stdout.read(), errors + process.stderr.read()
