"""Real processes of ours for end-to-end tests."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil
import requests
from requests.adapters import HTTPAdapter

from tests.support.openapi import described
from tests.support.service import Service
from tests.support.waiting import eventually


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ChildProcess:
    """A `dataflow` command running as a process of its own, its output in a file."""

    command: tuple[str, ...] = ()
    #: What the command is run by, for instance with fewer means.
    prefix: tuple[str, ...] = ()

    def __init__(self, variables: Mapping[str, object]) -> None:
        folder = Path(str(variables["DATA_DIR"]))
        folder.mkdir(parents=True, exist_ok=True)
        self.log_path = folder / f"{self.command[0]}-{time.monotonic_ns()}.log"
        environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "dataflow", *self.command],
                env=environment,
                stdout=log,
                stderr=log,
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

    def is_running(self) -> bool:
        return self.process.poll() is None

    def log(self) -> str:
        return self.log_path.read_text()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def kill_all(self) -> None:
        """End it and its children as a machine's death would."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        # First: gunicorn's master would start others in their place.
        self.kill()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()

    def terminate(self) -> None:
        """Ask it to end, as a platform would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """End it as a platform would; return its exit code."""
        self.terminate()
        return self.process.wait(timeout=40)


def stop_all(children: Iterable[ChildProcess]) -> None:
    """End them at the same time: most of an end is waiting."""
    for child in (stopping := list(children)):
        child.terminate()
    for child in stopping:
        child.stop()


class _Leaving(HTTPAdapter):
    """Hangs up when it is closed: urllib3 does not before the last answer is forgotten, and gunicorn, told to stop,
    waits two seconds for the next request on a connection that is kept open.
    """

    def close(self) -> None:
        pools = self.poolmanager.pools
        for key in pools.keys():  # noqa: SIM118  (it is no dict, and iterates over nothing else)
            pools[key].close()
        super().close()


class Web(ChildProcess, Service):
    """gunicorn on a free port of this machine."""

    command = ("web",)

    def __init__(self, variables: Mapping[str, object]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__({"PORT": self.port, "WEB_CONCURRENCY": 1, "LOG_FORMAT": "json", **variables})

    def ready(self) -> bool:
        try:
            self.get("/health", timeout=5)
        except (requests.ConnectionError, requests.Timeout):
            return False
        return True

    def request(self, method: str, path: str, timeout: float = 60, **arguments: Any) -> requests.Response:
        """The answer to a request on a connection of its own."""
        with self.session() as session:
            answer = session.request(method, f"{self.url}{path}", timeout=timeout, **arguments)
        described().check_answer(method, path, answer, arguments)
        return answer

    def session(self) -> requests.Session:
        """A client that keeps its connection until it is closed."""
        session = requests.Session()
        session.mount("http://", _Leaving())
        return session


class WorkerProcess(ChildProcess):
    """A real listener."""

    command = ("worker",)

    def __init__(self, variables: Mapping[str, object]) -> None:
        super().__init__({"LOG_FORMAT": "json", **variables})

    def ready(self) -> bool:
        return "worker ready" in self.log()
