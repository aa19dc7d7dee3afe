"""How long jobs wait for a worker under faults: from when nothing held them up any more until one had them."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from dataflow.db import Connection
from dataflow.queue.jobs import FINAL_STATES

_MOVES = """
CREATE TABLE drill_moves (job_id UUID, at DOUBLE PRECISION, state TEXT, run_at DOUBLE PRECISION);
CREATE FUNCTION drill_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO drill_moves
    VALUES (new.id, extract(epoch FROM clock_timestamp()), new.state, extract(epoch FROM new.run_at));
    RETURN NULL;
END $$;
CREATE TRIGGER drill_move AFTER INSERT OR UPDATE OF state ON jobs FOR EACH ROW EXECUTE FUNCTION drill_move()
"""
_DUE = ("queued", "touched")


@dataclass(slots=True)
class Waits:
    """The moves of all jobs of a database, and the faults that touched them; by the clock of this machine."""

    connection: Connection
    _touches: list[tuple[UUID, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connection.execute(_MOVES.encode())

    def touch(self, jobs: Iterable[UUID]) -> None:
        """A fault has touched these just now, or ends."""
        now = time.time()
        self._touches += [(job_id, now) for job_id in jobs]

    def all(self, connection: Connection) -> list[tuple[float, UUID]]:
        """The seconds of every wait: from the last fault or its `run_at` until a worker had the job, or it had ended.

        Of a job that a fault has touched and left with its worker, the rest of its import counts as well.
        """
        moves = [(row["job_id"], row["at"], row["state"], row["run_at"]) for row in _fetch(connection)]
        moves += [(job_id, at, "touched", at) for job_id, at in self._touches]
        since: dict[UUID, float] = {}
        found = []
        for job_id, at, state, run_at in sorted(moves, key=lambda move: move[1]):
            if state in _DUE:
                since[job_id] = max(since.get(job_id, 0.0), at, run_at)
            elif state == "running" and job_id in since:
                found.append((max(at - max(since.pop(job_id), run_at), 0.0), job_id))
            elif state in FINAL_STATES and job_id in since:
                found.append((max(at - since.pop(job_id), 0.0), job_id))
        return found


def _fetch(connection: Connection) -> list[dict[str, object]]:
    return connection.execute("SELECT * FROM drill_moves").fetchall()
