"""`dataflow run`: the embedded Postgres, the migrations, web and worker, started in this order and stopped in reverse.

What fails is started again. Each process has a session of its own: the terminal's Ctrl-C reaches the supervisor alone,
and a killed process takes those along that it has started. Signals, SIGCHLD among them, arrive as bytes in a pipe, for
which one `select` waits.
"""

import logging
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from dataflow import allocator
from dataflow.config import Config
from dataflow.local.postgres import EmbeddedPostgres
from dataflow.local.process import Program, SupervisedProcess

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOOK_SECONDS = 1.0  # how often reloading looks for changed files
KILL_MARGIN_SECONDS = 5  # what a process gets beyond its own SHUTDOWN_GRACE_SECONDS: 30 s with the default
ECHO_SECONDS = 0.5  # timeout(1) and others signal the process and then its group: that is one request
LOCAL_HOST = "127.0.0.1"  # where the web process listens unless HOST says otherwise
PACKAGE = Path(__file__).resolve().parent.parent
logger = logging.getLogger(__name__)

MIGRATE = Program("migrate", (sys.executable, "-m", "dataflow", "migrate"))
PROGRAMS = (
    Program("web", (sys.executable, "-m", "dataflow", "web")),
    Program("worker", (sys.executable, "-m", "dataflow", "worker")),
)
#: In a checkout the SQL is beside the package, installed it is inside.
WATCHED = (PACKAGE, PACKAGE.parent / "sql")


def run(
    config: Config,
    reload: bool = False,
    programs: Sequence[Program] = PROGRAMS,
    migrate: Program = MIGRATE,
    watched: Sequence[Path] = WATCHED,
) -> int:
    """Run everything until SIGINT or SIGTERM, or until one of `programs` exits with 0; return the exit code.

    The code is 0, or that of a failed `migrate`. A second signal kills at once. With `reload`, a .py or .sql file that
    changes below `watched` restarts them. Must be called in the main thread.

    :raises ConfigError: when the embedded Postgres has another owner already, or cannot be set up.
    :raises DatabaseUnavailable: when the embedded Postgres does not start.
    """
    with ExitStack() as stack:
        supervisor = _Supervisor(config, stack.enter_context(_signal_pipe()))
        if supervisor.postgres:
            stack.enter_context(supervisor.postgres)
        code = supervisor.run_once(migrate)
        if code == 0:
            supervisor.supervise(programs, watched if reload else ())
        return code


class _Supervisor:
    def __init__(self, config: Config, signals: int) -> None:
        self.postgres = EmbeddedPostgres(Path(config.data_dir)) if config.is_embedded else None
        self._grace_seconds = config.shutdown_grace_seconds + KILL_MARGIN_SECONDS
        self._signals = signals
        self._stop_requests = 0
        self._last_request = -ECHO_SECONDS
        # libpq fills what a URL leaves open from PGPORT, PGHOSTADDR, ..., which never mean our own server.
        hidden = {name for name in os.environ if config.is_embedded and name.startswith("PG")}
        inherited = {name: value for name, value in os.environ.items() if name not in hidden}
        # For people on their own machine; `dataflow web` by itself is for a platform, and listens to all.
        host = config.host or LOCAL_HOST
        self._environ = allocator.environment({**inherited, "DATABASE_URL": config.database_url, "HOST": host})

    def run_once(self, program: Program) -> int:
        """Its exit code, or 0 when a signal came first."""
        process = SupervisedProcess(program, self._environ)
        try:
            process.start()
            while process.is_running and not self._stop_requests:
                self._wait(None)
                process.reap()
        finally:
            self._stop([process])
        return 0 if self._stop_requests else process.exit_code or 0

    def supervise(self, programs: Sequence[Program], watched: Sequence[Path]) -> None:
        """Keep them running until a signal comes, or one of them exits with 0."""
        changed = True
        while changed:
            processes = [SupervisedProcess(program, self._environ) for program in programs]
            try:
                changed = self._keep_running(processes, watched)
            finally:
                self._stop(processes)

    def _keep_running(self, processes: Sequence[SupervisedProcess], watched: Sequence[Path]) -> bool:
        """Return True when a watched file changed, False when it is time to end."""
        seen = _modified(watched)
        while not self._stop_requests and all(process.exit_code != 0 for process in processes):
            if _modified(watched) != seen:
                logger.info("code changed, restarting the processes")
                return True
            self._keep_postgres()
            for process in processes:
                process.start_if_due()
            pauses = [process.pause_seconds for process in processes if not process.is_running]
            self._wait(min([*pauses, LOOK_SECONDS] if watched else pauses, default=None))
            for process in processes:
                process.reap()
        return False

    def _keep_postgres(self) -> None:
        if self.postgres and not self.postgres.is_running:
            logger.error("Postgres died, starting it again")
            self.postgres.stop()
            self.postgres.start()

    def _stop(self, processes: Sequence[SupervisedProcess]) -> None:
        """Let all end in their own way at the same time; kill those that take too long."""
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + self._grace_seconds
        while any(process.is_running for process in processes):
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0 or self._stop_requests > 1:
                for process in processes:
                    process.kill()
            else:
                self._wait(left_seconds)
            for process in processes:
                process.reap()

    def _wait(self, timeout_seconds: float | None) -> None:
        ready, _, _ = select.select([self._signals], [], [], timeout_seconds)
        if ready and not set(os.read(self._signals, 4096)).isdisjoint(STOP_SIGNALS):
            now = time.monotonic()
            self._stop_requests += now - self._last_request >= ECHO_SECONDS
            self._last_request = now


@contextmanager
def _signal_pipe() -> Iterator[int]:
    """Until the end of the block, the signals we act on only write their number into the pipe yielded."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _ignore) for number in (*STOP_SIGNALS, signal.SIGCHLD)}
    try:
        yield reader
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


def _ignore(number: int, frame: object) -> None:
    """A handler of its own: SIG_IGN would be inherited by what is started, and writes nothing into the pipe."""


def _modified(folders: Sequence[Path]) -> dict[Path, int]:
    """The modification times of all source files, in nanoseconds."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.suffix in (".py", ".sql"):
                with suppress(FileNotFoundError):  # an editor that replaces the file
                    found[path] = path.stat().st_mtime_ns
    return found
