"""How many connections our processes may open, beside what the role, the database and the server allow."""

import logging
from dataclasses import dataclass

from dataflow import db
from dataflow.config import Config
from dataflow.db import Connection, query

logger = logging.getLogger(__name__)

OWN_CONNECTIONS = 6  #: of a worker, beside those of jobs: listen, beat, recover, sweep, settle, complete


@dataclass(frozen=True, slots=True)
class ConnectionPlan:
    """The most that each of our processes has open at a time."""

    web_processes: int
    each_web: int  #: of its pool, one more while they hang, one for metrics, one for streams, one for each export
    worker: int

    @classmethod
    def of(cls, config: Config) -> "ConnectionPlan":
        each_web = db.POOL_CONNECTIONS + 1 + config.enable_metrics + 1 + config.max_exports
        return cls(config.web_concurrency, each_web, config.worker_concurrency + OWN_CONNECTIONS)

    @property
    def total(self) -> int:
        """With one worker: a process cannot know of others."""
        return self.web_processes * self.each_web + self.worker


def log(connection: Connection, config: Config) -> None:
    """As a warning when less is allowed than planned."""
    plan = ConnectionPlan.of(config)
    facts: dict[str, object] = {
        "planned": plan.total,
        "web_processes": plan.web_processes,
        "each_web": plan.each_web,
        "each_worker": plan.worker,
    }
    found = connection.execute(query("server/connection_limit")).fetchone()
    is_short = found is not None and found["connections"] < plan.total
    if found is not None:
        facts |= {"allowed": found["connections"], "allowed_by": found["name"]}
    logger.log(logging.WARNING if is_short else logging.INFO, "connections planned", extra=facts)
