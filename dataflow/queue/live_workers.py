"""Which workers are alive: those whose listening session is open, and behind a pooler those that beat.

A pooler keeps the session of a worker that is gone, so a session has its worker's name once it has proved to hear.
"""

import logging

from dataflow import db
from dataflow.db import Connection, query, value
from dataflow.db.kept_connection import KeptConnection
from dataflow.queue import leases, notify

logger = logging.getLogger(__name__)

SILENT_SECONDS = 15.0  #: three beats, after which a worker behind a pooler counts no more
FORGOTTEN_SECONDS = 3600.0  #: after which it will not come back
HEARING_SECONDS = 2.0  #: a notification takes milliseconds


def count(connection: Connection) -> int:
    return int(value(connection, "worker_beats/count_live", silent_seconds=SILENT_SECONDS))


def begin(listener: Connection, sender: KeptConnection, worker: str, beat_seconds: float, poll_seconds: float) -> bool:
    """Listen, and find out whether that works; False behind a pooler, where the worker has to beat from now on."""
    with db.translated():
        if not listener.is_pooled and _hears(listener, sender):
            listener.rename(f"dataflow/{worker}/listen")
            return True
        with db.limited(listener, beat_seconds):
            beat(listener, worker)
    logger.warning(
        "no notifications: DATABASE_URL seems to lead to a transaction pooler; jobs are found by polling, and "
        "those of a lost worker by their lease. Use a direct connection.",
        extra={"poll_seconds": poll_seconds, "lease_seconds": leases.LEASE_SECONDS},
    )
    return False


def beat(connection: Connection, worker: str) -> None:
    connection.execute(query("worker_beats/beat"), {"worker": worker})


def leave(connection: Connection, worker: str) -> None:
    """End the beats; for a worker that is not behind a pooler, closing the listening session does that."""
    connection.execute(query("worker_beats/forget"), {"worker": worker})


def forget_silent(connection: Connection) -> None:
    connection.execute(query("worker_beats/forget_silent"), {"silent_seconds": FORGOTTEN_SECONDS})


def _hears(listener: Connection, sender: KeptConnection) -> bool:
    with sender.use() as connection:
        notify.listen(listener)
        return notify.hears(listener, connection, HEARING_SECONDS)
