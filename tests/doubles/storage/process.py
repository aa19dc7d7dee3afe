"""The double as tests hold it: a process that is started, disturbed, killed and started again."""

import contextlib
import random
import secrets
import signal
import socket
import subprocess
import sys
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from tests.doubles.storage import tokens
from tests.doubles.storage.faults import Deed, Fault
from tests.support.waiting import eventually

_ROOT = Path(__file__).resolve().parents[3]
#: Below the ports that Linux and macOS give to clients: while the server is down nobody else gets its port, and a
#: client that tries to connect cannot be given that very port and meet itself there.
_PORTS = range(20_000, 32_000)


class StorageDouble:
    """One server. `options` are the command's, with underscores: `bytes_per_second=1e8`, `s3=True`.

    Its process ends with `stop`, with this object, and with the process that started it, whichever comes first.
    """

    def __init__(self, folder: Path, **options: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.secret = secrets.token_urlsafe(32)
        self.port = _free_port()
        self.project_url = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.project_url}/storage/v1"
        self.log_path = folder / "double.log"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize[[subprocess.Popen[bytes]], StorageDouble] | None = None

    @classmethod
    def start(cls, folder: Path, **options: object) -> Self:
        """Start one on a free port and wait until it answers."""
        double = cls(folder, **options)
        double._launch()
        return double

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def key(self, role: str = "service_role", expires_in_seconds: float = 3600, secret: str | None = None) -> str:
        """An API key; another `secret` than the server's makes one that it refuses."""
        return tokens.key(secret or self.secret, role, expires_in_seconds)

    def token(self, **claims: object) -> str:
        """A valid token that claims this and nothing else."""
        return tokens.make(self.secret, claims)

    def make_bucket(self, name: str, **fields: object) -> None:
        """Make a private bucket; `fields` are those of the server's API."""
        made = requests.post(
            f"{self.url}/bucket",
            json={"id": name, "name": name, "public": False, **fields},
            headers=self.headers(),
            timeout=10,
        )
        assert made.ok, made.text

    def headers(self, **more: str) -> dict[str, str]:
        """Those of an authorised request."""
        return {"Authorization": f"Bearer {self.key()}", **more}

    def fault(
        self,
        deed: Deed,
        method: str | None = None,
        path: str | None = None,
        skip: int = 0,
        times: int = 1,
        **fields: Any,
    ) -> None:
        """Put in a fault; see `Fault` for the deeds and their fields."""
        fault = Fault(deed, method, path, skip, times, **fields)
        self._control("POST", "faults", fault.as_json())

    def clear_faults(self) -> None:
        self._control("DELETE", "faults")

    def release(self) -> None:
        """Let the requests go on that a `stall` holds now."""
        self._control("POST", "release")

    def journal(self) -> list[dict[str, Any]]:
        """What was asked so far, in order; see `journal.Entry`."""
        entries: list[dict[str, Any]] = self._control("GET", "journal")
        return entries

    def clear_journal(self) -> None:
        self._control("DELETE", "journal")

    def log(self) -> str:
        return self.log_path.read_text()

    def kill(self) -> None:
        """End it as a crash would; what it had written stays."""
        if self._finalizer:
            self._finalizer()
            self._process = self._finalizer = None

    stop = kill

    def terminate(self) -> None:
        """Ask it to end; what runs is served to its end, and nothing new is accepted."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        assert self._process is not None
        return self._process.wait(timeout=10)

    def restart(self) -> None:
        """Kill it if it runs, and start it on the same port and folder. Its faults and its journal are gone."""
        self.kill()
        self._launch()

    def restart_with(self, **options: object) -> None:
        """Like `restart`, with these options instead of or in addition to those it had; None takes one away."""
        self._options |= options
        self.restart()

    def _launch(self) -> None:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.doubles.storage", *self._arguments()],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self._finalizer = weakref.finalize(self, _end, self._process)
        try:
            eventually(self._answers, every_seconds=0.01)
        except BaseException:
            self.kill()
            raise

    def _arguments(self) -> list[str]:
        given = {"port": self.port, "folder": self.folder, "secret": self.secret, "until_stdin_closes": True}
        arguments: list[str] = []
        for name, value in (given | self._options).items():
            if value is not None and value is not False:
                arguments.append(f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}"))
        return arguments

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, f"it ended: {self.log()}"
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            return requests.get(f"{self.url}/status", timeout=5).ok
        return False

    def _control(self, method: str, name: str, body: Any = None) -> Any:
        answer = requests.request(method, f"{self.project_url}/_double/{name}", json=body, timeout=10)
        assert answer.ok, f"{answer.status_code}: {self.log()}"
        return answer.json()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()


def _free_port() -> int:
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
