"""`dataflow demo`: a contact file goes over real HTTP into a real Postgres, then everything is removed again.

Web and worker run as they do in production. The settings are the demo's own, whatever the environment holds: a demo
must never write into a database that somebody uses.
"""

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from dataflow import client
from dataflow.config import Config
from dataflow.embedded import EmbeddedPostgres, end_with_parent
from dataflow.errors import DatabaseUnavailable, DataFlowError

CONTACTS = 5003
FIRST_NAMES = ("Zoë", "José", "Łukasz", "Søren", "Grace", "美咲", "Νίκος", "Amina", "Олена")
MAILBOXES = ("zoe", "jose", "lukasz", "soren", "grace", "misaki", "nikos", "amina", "olena")
LAST_NAMES = ("Müller", "O'Connor", "Nguyễn", "García López", "Åkesson", "Okafor", "Smith", "佐藤", "İnönü", "Novák")
START_SECONDS = 30
STOP_SECONDS = 10  # with a SHUTDOWN_GRACE_SECONDS of half of that
LOG_LINES = 20


def run() -> int:
    """Import 5,003 sample contacts, show what came of them, stop and remove everything; return the exit code.

    :raises DataFlowError: when anything goes wrong; the logs of web and worker are on standard error by then.
    """
    config = Config.from_env({name: value for name, value in os.environ.items() if name == "DATA_DIR"})
    folder = Path(config.data_dir) / "demo"
    signals: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Looked at between the steps: an exception in the middle of one could lose a process just started.
        signal.signal(number, lambda number, _: signals.append(number))
    print(f"Starting Postgres, web and worker in {folder} ...", flush=True)
    if folder.exists():
        # Killed while it ran. Its Postgres may live on a while, and without the folder nobody could find it.
        with suppress(DatabaseUnavailable), EmbeddedPostgres(folder):
            pass
        shutil.rmtree(folder)
    with ExitStack() as stack:
        postgres = EmbeddedPostgres(folder)
        postgres.start()
        stack.callback(shutil.rmtree, folder)
        stack.push(partial(_show_logs, folder))
        stack.callback(postgres.stop)
        _Demo(folder, postgres.url, stack, signals).run()
    print("Everything is stopped and removed. To start the service itself: make run")
    return 0


class _Demo:
    """The processes of a demo, which `stack` stops, and what is done with them."""

    def __init__(self, folder: Path, database_url: str, stack: ExitStack, signals: list[int]) -> None:
        self._folder, self._stack, self._signals = folder, stack, signals
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        hidden = {*map(str.upper, Config.__dataclass_fields__)}
        # PGPORT and its like are settings to libpq.
        self._environ = {k: v for k, v in os.environ.items() if k not in hidden and not k.startswith("PG")}
        own = {"DATABASE_URL": database_url, "DATA_DIR": folder, "PORT": self._port, "LOG_FORMAT": "text"}
        own |= {"WEB_CONCURRENCY": 1, "SHUTDOWN_GRACE_SECONDS": STOP_SECONDS // 2}
        self._environ |= {name: str(value) for name, value in own.items()}

    def run(self) -> None:
        """Import the sample and show the result."""
        self._output_of("migrate")
        self._start("web")
        self._start("worker")
        self._wait_for_port()
        path = _write_sample(self._folder / "contacts.csv")
        print(f"Importing {CONTACTS:,} contacts over HTTP ...", flush=True)
        job = client.finished_job(f"http://127.0.0.1:{self._port}", path, "demo", None, self._check)
        print(client.summary(job), self._output_of("psql", "-Xxc", "TABLE job_status"), sep="\n\n")
        count = int(self._output_of("psql", "-XAtc", "SELECT count(*) FROM contacts"))
        if count != CONTACTS:
            raise DataFlowError(f"{count:,} of {CONTACTS:,} contacts are in Postgres; the job says: {job['error']}")
        print(f"{count:,} contacts are in Postgres.", flush=True)

    def _output_of(self, *arguments: str) -> str:
        """What a command prints."""
        self._check()
        command = [sys.executable, "-m", "dataflow", *arguments]
        done = subprocess.run(
            command, env=self._environ, capture_output=True, text=True, check=False, start_new_session=True
        )
        if done.returncode != 0:
            raise DataFlowError(f"dataflow {' '.join(arguments)} failed:\n{done.stderr}")
        return done.stdout.strip()

    def _start(self, name: str) -> None:
        """Start a process in a session of its own, where the terminal's Ctrl-C does not reach it."""
        self._check()
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dataflow", name],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=partial(end_with_parent, os.getpid()),  # noqa: PLW1509  (two system calls, no lock)
            )
        self._stack.callback(_stop, process)
        self._processes[name] = process

    def _check(self) -> None:
        """Raise when the demo cannot go on."""
        if self._signals:
            sys.exit(128 + self._signals[0])
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise DataFlowError(f"The {name} process ended with code {process.returncode}.")

    def _wait_for_port(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            self._check()
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return
            if time.monotonic() > deadline:
                raise DataFlowError(f"The web process does not listen on its port after {START_SECONDS} s.")
            time.sleep(0.05)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS: only dead ones are
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _write_sample(path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("name", "email"))
        for number in range(CONTACTS):
            first, last = number % len(FIRST_NAMES), number % len(LAST_NAMES)
            name = f"{FIRST_NAMES[first]} {LAST_NAMES[last]}"
            rows.writerow((name, f"{MAILBOXES[first]}.{number}@example.com"))
    return path


def _show_logs(folder: Path, kind: type[BaseException] | None, *_: object) -> None:
    if kind is not None and issubclass(kind, Exception):
        for log in sorted(folder.glob("*.log")):
            if lines := log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]:
                print(f"The end of {log.name}:", *lines, sep="\n  ", file=sys.stderr)
