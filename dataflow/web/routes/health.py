"""GET /health: whether database, storage and worker do their part, answered within two seconds whatever hangs."""

import time
from datetime import UTC, datetime
from typing import Any, Final

from flask import Flask
from flask.typing import ResponseReturnValue

from dataflow import db
from dataflow.db import migrations
from dataflow.errors import DatabaseUnavailable, DataFlowError
from dataflow.queue import database_identity, live_workers
from dataflow.web.answers.others import HealthSchema
from dataflow.web.openapi import examples
from dataflow.web.openapi.description import described, json_answer
from dataflow.web.probe import Probe, Question
from dataflow.web.services import Services

#: For all checks together; the promise is two seconds.
DEADLINE_SECONDS = 1.5
#: For who asks when others have waited that long already: a queue of askers must not wait for it one after the other.
LATE_SECONDS = 0.1
_HEALTH: Final = HealthSchema()


def register(app: Flask) -> None:
    """200 healthy, 200 degraded without a worker (its restart must not take web down), 503 unhealthy."""
    shared: Services = app.extensions["dataflow"]

    def count() -> tuple[int, int]:
        """Live workers, and jobs that are held."""
        # On the way of an import, so that the two agree on whether there is a database.
        # Cut when nobody waits for it any more: one that hangs would speak for those asked after it.
        with db.borrowed(shared.pool) as connection, db.deadline(connection, DEADLINE_SECONDS):
            migrations.require(connection)
            if db.value(connection, "server/is_read_only"):
                raise DatabaseUnavailable("The database takes no changes: it is read-only.")
            return live_workers.count(connection), database_identity.count_held(connection)

    probes = Probe(count), Probe(shared.storage.check)

    @described(
        "Whether database, storage and worker do their part",
        {
            200: json_answer("They do; or `degraded`: no worker is running.", HealthSchema, examples.HEALTH),
            503: json_answer("`unhealthy`: nothing can be imported.", HealthSchema, examples.UNHEALTHY),
        },
        is_open=True,
        uses_database=False,
    )
    def show() -> ResponseReturnValue:
        return _show(*probes)

    app.add_url_rule("/health", view_func=show, endpoint="health")


def _show(count: Probe[tuple[int, int]], check_storage: Probe[None]) -> ResponseReturnValue:
    counting, checking = count.ask(), check_storage.ask()
    counted, database = _outcome(counting)
    workers, held = counted or (None, 0)
    if held:
        database |= {"heldJobs": held, "warning": database_identity.explain(held)}
    _, storage = _outcome(checking)
    worker = {"status": "ok" if workers else "none" if database["status"] == "ok" else "unknown", "live": workers}
    checks = {"database": database, "storage": storage, "worker": worker}
    failed = [f"{name}: {check['error']}" for name, check in checks.items() if "error" in check]
    status = "unhealthy" if failed else "healthy" if workers else "degraded"
    reason = {"error": "; ".join(failed)} if failed else {}
    found = {"status": status, **reason, "timestamp": datetime.now(UTC), "checks": checks}
    return _HEALTH.of(found), 503 if failed else 200


def _outcome(question: Question[Any]) -> tuple[Any, dict[str, Any]]:
    left_seconds = question.asked_at + DEADLINE_SECONDS - time.monotonic()
    try:
        return question.result(max(left_seconds, LATE_SECONDS)), {"status": "ok"}
    except DataFlowError as error:
        return None, {"status": "failed", "error": error.message}
    except TimeoutError:
        return None, {"status": "failed", "error": f"No answer within {DEADLINE_SECONDS:g} s."}
