"""How a worker shows that it is alive: by its listening session, or behind a pooler by beats of its own.

The session has its name from when it has proved to hear, and /health counts those that are open. Only then is a backend
that is recorded for a job the one which does the work, too.
"""

import logging

from dataflow import db
from dataflow.db import Connection
from dataflow.db.kept_connection import KeptConnection
from dataflow.queue import leases, live_workers, notify

logger = logging.getLogger(__name__)

#: A notification takes milliseconds; who has not heard his own by then has a pooler in between.
HEARING_SECONDS = 2.0


def begin(listener: Connection, sender: KeptConnection, worker: str, seconds: float, poll_seconds: float) -> bool:
    """Listen, and find out whether that works; False behind a pooler, where the worker has to beat from now on.

    :param sender: sends what is to be heard.
    :param seconds: for the first beat.
    :param poll_seconds: how often it looks for jobs that it does not hear of, to be told.
    """
    with db.translated():
        if not listener.is_pooled and _hears(listener, sender):
            listener.rename(f"dataflow/{worker}/listen")
            return True
        with db.limited(listener, seconds):
            live_workers.beat(listener, worker)
    logger.warning(
        "no notifications: DATABASE_URL seems to lead to a transaction pooler; jobs are found by polling, and "
        "those of a lost worker by their lease. Use a direct connection.",
        extra={"poll_seconds": poll_seconds, "lease_seconds": leases.LEASE_SECONDS},
    )
    return False


def end(listener: Connection, worker: str, seconds: float) -> None:
    """Count no more as a worker behind a pooler; for others, closing the listening session does that."""
    with db.translated(), db.limited(listener, seconds):
        live_workers.leave(listener, worker)


def _hears(listener: Connection, sender: KeptConnection) -> bool:
    with sender.use() as connection:
        notify.listen(listener)
        return notify.hears(listener, connection, HEARING_SECONDS)
