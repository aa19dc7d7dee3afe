"""`dataflow demo`: a contact file goes over real HTTP into a real Postgres, then everything is removed again.

The service is `dataflow run` with settings of its own: a demo must never write into a database that somebody uses.
"""

import csv
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from dataflow.client.imports import finished_job, summary
from dataflow.config import Config
from dataflow.db import SQL
from dataflow.errors import DataFlowError
from dataflow.local.process import end_with_parent

CONTACTS = 5003
FIRST_NAMES = ("Zoë", "José", "Łukasz", "Søren", "Grace", "美咲", "Νίκος", "Amina", "Олена")
MAILBOXES = ("zoe", "jose", "lukasz", "soren", "grace", "misaki", "nikos", "amina", "olena")
LAST_NAMES = ("Müller", "O'Connor", "Nguyễn", "García López", "Åkesson", "Okafor", "Smith", "佐藤", "İnönü", "Novák")
START_SECONDS = 30
STOP_SECONDS = 30
LOG_LINES = 30
#: `dataflow run` would start it again; but before it has worked once, waiting is of no use.
FAILED = re.compile(r"WARNING\b.*\bprocess ended\b")


def run() -> int:
    """Import 5,003 sample contacts, show what came of them, stop and remove everything; return the exit code.

    :raises DataFlowError: when anything goes wrong; the end of the service's log is on standard error by then.
    """
    config = Config.from_env({name: value for name, value in os.environ.items() if name == "DATA_DIR"})
    state = Path(config.data_dir).resolve()
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    signals: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Looked at between the steps: an exception in the middle of one could lose a process just started.
        signal.signal(number, lambda number, _: signals.append(number))
    # A folder of its own: a second demo, or one that was killed, is in nobody's way.
    with TemporaryDirectory(prefix="demo-", dir=state) as folder:
        print(f"Starting Postgres, web and worker in {folder} ...", flush=True)
        demo = _Demo(Path(folder), signals)
        with demo.service():
            demo.show()
    print("Everything is stopped and removed. To start the service itself: make run")
    return 0


class _Demo:
    def __init__(self, folder: Path, signals: list[int]) -> None:
        self._folder, self._signals = folder, signals
        self._log = folder / "demo.log"
        self._service: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        hidden = {*map(str.upper, Config.__dataclass_fields__)}
        # PGPORT and its like are settings to libpq.
        self._environ = {k: v for k, v in os.environ.items() if k not in hidden and not k.startswith("PG")}
        own = {"DATA_DIR": folder, "PORT": self._port, "LOG_FORMAT": "text", "WEB_CONCURRENCY": 1}
        self._environ |= {name: str(value) for name, value in own.items()}

    @contextmanager
    def service(self) -> Iterator[None]:
        """The service while the block runs; after an error the end of its log is shown."""
        with self._log.open("wb") as log:
            self._service = subprocess.Popen(
                [sys.executable, "-m", "dataflow", "run"],
                env=self._environ,
                # Where no .env can be found.
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=partial(end_with_parent, os.getpid()),  # noqa: PLW1509  (two system calls, no lock)
            )
        try:
            self._wait_for_port()
            yield
        except Exception:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
            print("The end of the log:", *lines, sep="\n  ", file=sys.stderr)
            raise
        finally:
            self._service.terminate()
            self._service.wait(2 * STOP_SECONDS)

    def show(self) -> None:
        path = _write_sample(self._folder / "contacts.csv")
        print(f"Importing {CONTACTS:,} contacts over HTTP ...", flush=True)
        job = finished_job(f"http://127.0.0.1:{self._port}", path, {"source": "demo"}, self._check)
        print(summary(job), self._psql("-Xxc", "TABLE job_status"), sep="\n\n")
        count = int(self._psql("-XAtf", str(SQL / "queries" / "contacts/count.sql")))
        if count != CONTACTS:
            raise DataFlowError(f"{count:,} of {CONTACTS:,} contacts are in Postgres; the job says: {job['error']}")
        print(f"{count:,} contacts are in Postgres.", flush=True)

    def _psql(self, *arguments: str) -> str:
        self._check()
        command = [sys.executable, "-m", "dataflow", "psql", *arguments]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DataFlowError(f"dataflow psql failed:\n{done.stderr}")
        return done.stdout.strip()

    def _check(self) -> None:
        """Raise when the demo cannot go on."""
        if self._signals:
            sys.exit(128 + self._signals[0])
        if self._service is not None and self._service.poll() is not None:
            raise DataFlowError(f"The service ended with code {self._service.returncode}.")

    def _wait_for_port(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            self._check()
            if FAILED.search(self._log.read_text(encoding="utf-8", errors="replace")):
                raise DataFlowError("A process of the service does not start.")
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return
            if time.monotonic() > deadline:
                raise DataFlowError(f"The web process does not listen on its port after {START_SECONDS} s.")
            time.sleep(0.05)


def _write_sample(path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("name", "email"))
        for number in range(CONTACTS):
            first, last = number % len(FIRST_NAMES), number % len(LAST_NAMES)
            name = f"{FIRST_NAMES[first]} {LAST_NAMES[last]}"
            rows.writerow((name, f"{MAILBOXES[first]}.{number}@example.com"))
    return path
