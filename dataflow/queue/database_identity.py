"""Jobs that came with a dump or a copy of a database, and which every statement leaves alone until they are adopted."""

from dataflow.db import Connection, query, value
from dataflow.errors import JobError
from dataflow.queue.notify import CHANNEL

BATCH_ROWS = 1000  #: what one statement changes: a fraction of a second
MAX_COUNTED = 10_000  #: held jobs are counted with each answer of /health


def of(connection: Connection) -> str:
    """Another after a dump is restored, the same after a failover."""
    return str(value(connection, "server/database_id"))


def count_held(connection: Connection) -> int:
    """At most MAX_COUNTED. In a transaction, whose planner settings it changes."""
    connection.execute(query("session/prefer_indexes"))
    return int(value(connection, "jobs/count_held", limit=MAX_COUNTED))


def explain(held: int) -> str:
    number = f"{held} or more" if held == MAX_COUNTED else f"{held}"
    return (
        f"Jobs that are held: {number}. They were made in another database, of which this one is a copy, and their "
        "files may be needed there. Run `dataflow adopt` if this one takes its place, else `dataflow adopt --as-copy`."
    )


def adopt(connection: Connection) -> int:
    """Make what is held this database's own; returns how many jobs."""
    released = _change_all(connection, "jobs/release_held", {})
    connection.execute(query("unfinished_objects/adopt"))
    connection.execute(query("session/notify"), {"channel": CHANNEL, "payload": ""})
    return released


def adopt_as_copy(connection: Connection) -> int:
    """Have what is held fail, and forget where its files are; returns how many jobs."""
    error = JobError(
        "The job came with a copy of another database and is left to that. To have it done here as well, "
        "send it again.",
        code="database_copied",
    )
    given_up = _change_all(connection, "jobs/give_up_held", {"error": f"{error.code}: {error.message}"})
    connection.execute(query("unfinished_objects/leave"))
    return given_up


def _change_all(connection: Connection, name: str, values: dict[str, object]) -> int:
    changed = 0
    while True:
        with connection.transaction():
            connection.execute(query("jobs/lock_adoption"))
            connection.execute(query("session/prefer_indexes"))
            rows = connection.execute(query(name), {**values, "limit": BATCH_ROWS}).rowcount
        if not rows:
            return changed
        changed += rows
