"""Real processes of ours for end-to-end tests, and waiting for what they do."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import psutil
import requests

T = TypeVar("T")

DEADLINE_SECONDS = 20.0


def eventually(ask: Callable[[], T | None], seconds: float = DEADLINE_SECONDS, every_seconds: float = 0.02) -> T:
    """What `ask` returns as soon as that is true; fails the test when it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {ask}"
        time.sleep(every_seconds)
    return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ChildProcess:
    """A `dataflow` command running as a process of its own, its output in a file."""

    command: tuple[str, ...] = ()

    def __init__(self, variables: Mapping[str, object]) -> None:
        folder = Path(str(variables["DATA_DIR"]))
        folder.mkdir(parents=True, exist_ok=True)
        self.log_path = folder / f"{self.command[0]}-{time.monotonic_ns()}.log"
        environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dataflow", *self.command], env=environment, stdout=log, stderr=log
            )

    @classmethod
    def start(cls, variables: Mapping[str, object]) -> Self:
        """Start it and wait until it is ready."""
        child = cls(variables)
        try:
            eventually(child._is_ready)
        except BaseException:
            child.stop()
            raise
        return child

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"it ended: {self.log()}"
        return self.ready()

    def ready(self) -> bool:
        raise NotImplementedError

    def log(self) -> str:
        return self.log_path.read_text()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def kill_all(self) -> None:
        """End it and its children as a machine's death would."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            child.kill()
        self.kill()

    def stop(self) -> int:
        """End it as a platform would; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


class Web(ChildProcess):
    """gunicorn on a free port of this machine."""

    command = ("web",)

    def __init__(self, variables: Mapping[str, object]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__({"PORT": self.port, "WEB_CONCURRENCY": 1, "LOG_FORMAT": "json", **variables})

    def ready(self) -> bool:
        try:
            requests.get(f"{self.url}/health", timeout=5)
        except requests.ConnectionError:
            return False
        return True

    def post(self, path: str = "/import", **arguments: Any) -> requests.Response:
        return requests.post(f"{self.url}{path}", timeout=60, **arguments)

    def get(self, path: str, **arguments: Any) -> requests.Response:
        return requests.get(f"{self.url}{path}", timeout=60, **arguments)

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/jobs/{job_id}").json()
        return found

    def finished_job(self, job_id: str, seconds: float = DEADLINE_SECONDS) -> dict[str, Any]:
        """The job once it has ended."""

        def ended() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["finishedAt"] else None

        return eventually(ended, seconds)


class WorkerProcess(ChildProcess):
    """A real listener."""

    command = ("worker",)

    def __init__(self, variables: Mapping[str, object]) -> None:
        super().__init__({"LOG_FORMAT": "json", **variables})

    def ready(self) -> bool:
        return "worker ready" in self.log()
