"""gunicorn's settings for the web process; each with its reason.

Loaded by gunicorn's master before anything imports prometheus_client, which chooses at import time whether its
counters are shared between processes.
"""

import logging
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

from dataflow import logs
from dataflow.config import Config
from dataflow.errors import ConfigError
from dataflow.settings.peers import socket_address

try:
    _config = Config.from_env()
except ConfigError as error:
    sys.exit(f"dataflow: {error.message}")  # gunicorn would show a traceback

bind = socket_address(_config.host or "0.0.0.0", _config.port)  # noqa: S104 - a platform's router comes from outside
#: By name: what it imports must see PROMETHEUS_MULTIPROC_DIR, which is set below.
worker_class = "dataflow.web.server.http_worker.HttpWorker"
workers = _config.web_concurrency
#: Some for bodies and files, which last as long as their clients like, the others for everything else. Those of event
#: streams come on top, when there are any: 64 take 3 MB.
threads = _config.web_threads
#: A connection that waits costs a file descriptor; beyond this the oldest is closed.
worker_connections = _config.max_connections
#: Measures the main loop of a process, not requests; a thread that waits for a client does not count.
timeout = 60
#: Platforms kill 30 s after SIGTERM. The seconds beyond the grace are for answering the uploads that
#: `web.server.http_worker` then cuts, and for removing what is stored of them.
graceful_timeout = _config.shutdown_grace_seconds + 4
#: Longer than Heroku's router (90 s) keeps its side open, so that it never writes to a closed connection.
keepalive = 95
#: The most that gunicorn allows; its own 4094 are less than a mapping may take, and what is over gets a page of HTML.
limit_request_line = 8190
#: No header says where the application is, or how it was reached: gunicorn would take SCRIPT_NAME from any client on
#: this machine. What a proxy's headers are worth, `web.origins` and `web.proxies` know.
forwarded_allow_ips = forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
#: Off: it would write past the socket's limits for clients that take nothing.
sendfile = False
#: Off: it would make a socket in the home directory that nobody here uses.
control_socket_disable = True
#: Heartbeat files belong in memory: on a slow disk they stall the process they should watch.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112

logconfig_dict: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"unquoted": {"()": logs.Unquoted}},
    "formatters": {"facts": {"()": logs.formatter, "log_format": _config.log_format}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "facts"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["stderr"], "filters": ["unquoted"], "propagate": False},
        "gunicorn.access": {"level": "WARNING", "handlers": ["stderr"], "propagate": False},
    },
}

#: One for each host, which may share the disk, and port, so that the next life of a service that was killed finds it.
_metrics_dir = Path(_config.data_dir).resolve() / "run" / f"metrics-{socket.gethostname()}-{_config.port}"
if _config.enable_metrics:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics_dir)


def when_ready(_server: Any) -> None:
    """Begin with no counts of an earlier life. Not before the port is bound: until then it may be another's."""
    if not _config.api_keys:
        logging.getLogger("dataflow.web").warning(
            "API_KEYS is not set: whoever reaches this service may use it. `dataflow key` makes one; "
            "API_KEYS=open says that this is meant."
        )
    if _config.enable_metrics:
        shutil.rmtree(_metrics_dir, ignore_errors=True)
        _metrics_dir.mkdir(mode=0o700, parents=True)


def pre_fork(server: Any, worker: Any) -> None:
    """Give each process an entry of its own among the shared places."""
    worker.take_number(server.WORKERS.values())


def pre_request(_worker: Any, request: Any) -> None:
    """Hand the application what the bytes of a body are read with."""
    request.body.unreader = request.unreader


def post_request(_worker: Any, _request: Any, _environ: Any, _response: Any) -> None:
    """What this thread logs from here on, a request that cannot be parsed included, belongs to no request."""
    logs.request_id.set(None)


def child_exit(_server: Any, worker: Any) -> None:
    """Fold the counters of a process that ended into the shared ones."""
    if _config.enable_metrics:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """Leave no counters behind."""
    shutil.rmtree(_metrics_dir, ignore_errors=True)
