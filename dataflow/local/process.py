"""Processes that end with their parent, and one under supervision, over all its restarts.

When to start and stop it is left to `supervisor`.
"""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 30.0
STEADY_SECONDS = 60.0  # who lived this long was well: the next failure is a first one
PR_SET_PDEATHSIG = 1
logger = logging.getLogger(__name__)
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # here, because nothing may be loaded after a fork


@dataclass(frozen=True, slots=True)
class Program:
    """What to run; `name` is for the logs."""

    name: str
    command: Sequence[str]


class SupervisedProcess:
    def __init__(self, program: Program, environ: Mapping[str, str]) -> None:
        self._program = program
        self._environ = environ
        self._running: subprocess.Popen[bytes] | None = None
        self._began = self._due = time.monotonic()
        self._delay_seconds = FIRST_DELAY_SECONDS
        self.exit_code: int | None = None  #: of the last run; 128 + the signal's number when one ended it

    @property
    def is_running(self) -> bool:
        """Whether it was started and its end not yet reaped."""
        return self._running is not None

    @property
    def pause_seconds(self) -> float:
        """How long until it is due to start."""
        return max(0.0, self._due - time.monotonic())

    def start(self) -> None:
        self._running = subprocess.Popen(
            self._program.command,
            stdin=subprocess.DEVNULL,
            env=self._environ,
            start_new_session=True,
            preexec_fn=partial(end_with_parent, os.getpid()),  # noqa: PLW1509  (two system calls, no lock)
        )
        self._began = time.monotonic()
        logger.info("process started", extra={"child": self._program.name, "pid": self._running.pid})

    def start_if_due(self) -> None:
        if not self._running and not self.pause_seconds:
            self.start()

    def terminate(self) -> None:
        if self._running:
            self._running.terminate()

    def kill(self) -> None:
        """Kill it and whatever it started, and wait for its end."""
        if self._running:
            logger.warning("process killed", extra={"child": self._program.name, "pid": self._running.pid})
            _kill_group(self._running.pid)
            self._running.wait()

    def reap(self) -> None:
        """Note that it has ended, if it has, and when it is due again."""
        if not self._running or (code := self._running.poll()) is None:
            return
        pid, self._running = self._running.pid, None
        _kill_group(pid)  # what a dead gunicorn leaves behind still holds its port
        self.exit_code = code if code >= 0 else 128 - code
        lived_seconds = time.monotonic() - self._began
        if lived_seconds >= STEADY_SECONDS:
            self._delay_seconds = FIRST_DELAY_SECONDS
        self._due = time.monotonic() + self._delay_seconds
        self._delay_seconds = min(2 * self._delay_seconds, LONGEST_DELAY_SECONDS)
        facts = {"child": self._program.name, "pid": pid, "code": code, "seconds": round(lived_seconds, 3)}
        logger.log(logging.WARNING if code else logging.INFO, "process ended", extra=facts)


def end_with_parent(parent_pid: int) -> None:
    """As `preexec_fn`: have this process get SIGTERM when its parent dies, even of SIGKILL (Linux only)."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent_pid:
        os._exit(1)


def _kill_group(group_id: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS: only dead ones are
        os.killpg(group_id, signal.SIGKILL)
