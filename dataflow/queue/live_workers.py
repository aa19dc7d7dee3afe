"""Which workers are alive: those whose listening session is open, and behind a pooler those that beat.

A pooler keeps the session of a worker that is gone, under its name, and lends it to others: there each worker has a row
in worker_beats, which its heartbeat renews and its end removes.

Every function runs on the connection it is given, in whatever transaction is open there.
"""

from dataflow.db import Connection, query, value

#: Three beats: a worker that has been silent for this long counts no more. Its row goes when it will not come back.
SILENT_SECONDS, FORGOTTEN_SECONDS = 15.0, 3600.0


def count(connection: Connection) -> int:
    """How many workers take jobs."""
    return int(value(connection, "worker_beats/count_live", silent_seconds=SILENT_SECONDS))


def beat(connection: Connection, worker: str) -> None:
    """Show that a worker behind a pooler is alive."""
    connection.execute(query("worker_beats/beat"), {"worker": worker})


def leave(connection: Connection, worker: str) -> None:
    """The worker takes no more jobs."""
    connection.execute(query("worker_beats/forget"), {"worker": worker})


def forget_silent(connection: Connection) -> None:
    """Remove the rows of workers that have gone without leaving."""
    connection.execute(query("worker_beats/forget_silent"), {"silent_seconds": FORGOTTEN_SECONDS})
