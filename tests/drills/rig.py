"""What every round of a drill has: a database, a storage, worker processes, and a list of what was sent."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataflow import db
from dataflow.config import Config
from dataflow.queue import jobs
from dataflow.storage.registry import open_storage
from dataflow.worker.sweeper import Sweep
from tests.doubles.storage.process import StorageDouble
from tests.drills import sending
from tests.drills.ground import Ground
from tests.drills.holds import let_go_if_held
from tests.drills.sending import Sent
from tests.drills.workers import DEFAULT, SHORT, Patience, Worker
from tests.support.waiting import eventually

#: Where a storage server is asked for an object.
READ = "/object/authenticated/"
#: For whatever a drill waits for that has no bar of its own.
DEADLINE_SECONDS = 60.0
#: How long a state that has to be endured lasts.
SECONDS = 60.0


@dataclass(slots=True, eq=False)
class Rig:
    """One round. What is started in it is ended with it."""

    ground: Ground
    url: str
    folder: Path
    is_quick: bool  #: in a test, not in `make drills`
    stack: ExitStack  #: for whatever a drill opens
    seconds: float = SECONDS  #: how long a state that has to be endured lasts
    variables: dict[str, str] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  #: figures for the reader, beside those of every drill
    _connection: db.Connection | None = None

    @property
    def connection(self) -> db.Connection:
        """A connection of the drill's own."""
        if self._connection is None:
            self._connection = db.connect(self.url, "drill")
        return self._connection

    @property
    def patience(self) -> Patience:
        """That of workers whose lease a drill waits for."""
        return SHORT if self.is_quick else DEFAULT

    def config(self) -> Config:
        return Config.from_env(self.variables)

    def use_double(self, **options: object) -> StorageDouble:
        """Keep objects in a storage server from here on; `options` are those of its command."""
        double = self.stack.enter_context(StorageDouble.start(self.folder / "double", **options))
        double.make_bucket("imports")
        self.variables |= {"SUPABASE_URL": double.project_url, "SUPABASE_SERVICE_ROLE_KEY": double.key()}
        return double

    def start(
        self,
        count: int = 1,
        patience: Patience = DEFAULT,
        name: str | None = None,
        prefix: Sequence[str] = (),
        settings: Mapping[str, object] | None = None,
    ) -> list[Worker]:
        """Start so many workers and wait until all are ready; with further `settings`."""
        started = [Worker({**self.variables, **(settings or {})}, patience, name, prefix) for _ in range(count)]
        self.workers += started
        eventually(lambda: all(worker.is_ready() for worker in started), DEADLINE_SECONDS)
        return started

    def put(self, rows: int = 200, is_marked: bool = False) -> Sent:
        """Store a file and make its import due; `is_marked`: a row in the middle of it can be held."""
        sent = sending.make(len(self.sent), rows)
        names = sending.names(rows, is_marked)
        sending.queue(self.connection, open_storage(self.config()), sent, names)
        self.sent.append(sent)
        return sent

    def job(self, sent: Sent) -> dict[str, Any]:
        row = self.connection.execute("SELECT * FROM jobs WHERE id = %s", [sent.id]).fetchone()
        assert row, f"job {sent.id} is gone"
        return row

    def wait_for(self, sent: Sent, *states: str, attempt: int = 1, seconds: float = DEADLINE_SECONDS) -> dict[str, Any]:
        """The job as soon as it is in one of `states`, in that attempt or a later one."""

        def arrived() -> dict[str, Any] | None:
            job = self.job(sent)
            if job["state"] in states and job["attempt"] >= attempt:
                return job
            assert job["state"] not in jobs.FINAL_STATES, f"{sent.source} has {job['state']}: {job['error']}"
            return None

        return eventually(arrived, seconds, every_seconds=0.005)

    def wait_until_done(self, *sent: Sent, since: float | None = None, seconds: float = DEADLINE_SECONDS) -> float:
        """Seconds from `since` (time.monotonic) until all these have ended as they should."""
        since = time.monotonic() if since is None else since
        for each in sent:
            self.wait_for(each, each.ends, attempt=0, seconds=seconds)
        return time.monotonic() - since

    def worker_in(self, job: dict[str, Any]) -> Worker:
        """The worker that a job names."""
        pid = int(job["worker"].split(".")[1])
        return next(worker for worker in self.workers if worker.pid == pid)

    def stored_files(self) -> list[Path]:
        """The files behind the storage, those of uploads that are not complete included."""
        folder = (
            self.folder / "double" / "bytes" if "SUPABASE_URL" in self.variables else self.folder / "state" / "objects"
        )
        return [path for path in folder.rglob("*") if path.is_file()]

    def supervise(self, count: int) -> None:
        """Have so many workers live, as a platform does; a new one is not waited for."""
        alive = sum(worker.is_alive() for worker in self.workers)
        self.workers += [Worker(self.variables, self.patience) for _ in range(count - alive)]

    def hurry(self, sent: Sent) -> None:
        """Have a job that waits before it is tried again be tried now."""
        waiting = "id = %s AND state = 'queued' AND run_at > clock_timestamp()"
        self.connection.execute(f"UPDATE jobs SET run_at = clock_timestamp() WHERE {waiting}".encode(), [sent.id])

    def restart(self, is_crash: bool, away_seconds: float = 0.0) -> None:
        """Restart the server, which has to be the drill's own."""
        self.disconnect()
        self.ground.restart(is_crash, away_seconds)

    def disconnect(self) -> None:
        """Close the drill's connection; the next use opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def sweep(self) -> None:
        """Sweep as if all that has ended had ended an hour ago."""
        self.connection.execute("UPDATE jobs SET finished_at = finished_at - INTERVAL '1 hour'")
        Sweep(self.config(), open_storage(self.config()), "drill/sweep").sweep()

    def stop_workers(self) -> None:
        """End those that still live, in an orderly way, which a fault must not have taken from them."""
        alive = [worker for worker in self.workers if worker.is_alive()]
        # Before it is ready a worker has not said what SIGTERM means to it.
        eventually(lambda: all(worker.is_ready() for worker in alive), DEADLINE_SECONDS)
        for worker in alive:
            worker.terminate()
        for worker in alive:
            assert worker.process.wait(40) == 0, worker.log_path.name

    def come_to_rest(self) -> None:
        """Stop the workers, and have what they have left in the server come to its end, too."""
        self.stop_workers()
        let_go_if_held(self.connection)
        others = "datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        at_work = f"SELECT FROM pg_stat_activity WHERE {others} AND state <> 'idle'"
        eventually(lambda: self.connection.execute(at_work.encode()).fetchone() is None)

    def lost_and_doubled(self) -> tuple[int, int]:
        """How many rows of contacts are missing, and how many are there that should not be (once more)."""
        expected = Counter((sent.source, email) for sent in self.sent for email in sent.imported)
        rows = self.connection.execute("SELECT source, email FROM contacts").fetchall()
        found = Counter((row["source"], row["email"]) for row in rows)
        return (expected - found).total(), (found - expected).total()

    def check_jobs(self) -> None:
        """Every job has ended as it should, and says what it has imported."""
        for sent in self.sent:
            job = self.job(sent)
            assert (job["state"], job["rows_imported"]) == (sent.ends, len(sent.imported)), f"{sent.source}: {job}"


@contextmanager
def open_rig(ground: Ground, folder: Path, is_quick: bool, seconds: float = SECONDS) -> Iterator[Rig]:
    """A rig on a fresh database of `ground`; ends what was started, whatever happened."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        url = stack.enter_context(ground.database())
        rig = Rig(ground, url, folder, is_quick, stack, seconds)
        rig.variables |= {"DATABASE_URL": url, "DATA_DIR": str(folder / "state")}
        stack.callback(_end, rig)
        yield rig


def _end(rig: Rig) -> None:
    for worker in rig.workers:
        worker.kill()
    rig.disconnect()
