"""Which worker of pytest-xdist runs what: tests that compute beside tests that wait, and a module's tests together.

Tests that wait have limits of time, and on two cores a few processes that compute would take them past these. So one
worker computes, at the lowest priority, until nothing else is left to do.
"""

import os

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

#: Where tests need a processor all the time. The others mostly wait.
COMPUTING = ("tests/contacts/", "tests/formats/", "tests/settings/")
#: Among them, but for this one, which has web and a worker import hundreds of files.
WAITING = "tests/formats/test_corpus.py"
COMPUTING_WORKER = "gw0"
#: With fewer workers each does everything.
LEAST_WORKERS = 3
#: Modules that take longest, in this order, so that none of them begins when all others have ended.
LONG = (
    "tests/web/routes/test_storage_troubles.py",
    "tests/web/routes/test_uploads_storage_troubles.py",
    WAITING,
    "tests/web/test_foreign_tus_clients.py",
    "tests/web/routes/test_uploads_holding.py",
    "tests/test_cli.py",
    "tests/worker/test_loop.py",
    "tests/drills/test_drills.py",
    "tests/web/server/test_clients.py",
    "tests/web/test_leaks.py",
    "tests/web/openapi/test_schemathesis.py",
    "tests/imports/test_completion.py",
    "tests/web/server/test_connections.py",
    "tests/test_end_to_end.py",
    "tests/db/test_too_many_connections.py",
    "tests/local/test_postgres.py",
    "tests/web/server/test_slow_clients.py",
    "tests/web/server/test_shutdown.py",
)


def give_way() -> None:
    """Called in each worker: let the one that computes leave the processors to the others."""
    is_one_of_many = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) >= LEAST_WORKERS
    if is_one_of_many and os.environ.get("PYTEST_XDIST_WORKER") == COMPUTING_WORKER:
        os.nice(19)


class BesideOneAnother(LoadScopeScheduling):
    """A worker gets modules one after the other: their fixtures, web processes among them, are made once."""

    def _split_scope(self, nodeid: str) -> str:
        """The module, and the storage that its tests run over if there are several."""
        module, _, test = nodeid.partition("::")
        _, _, parameters = test.partition("[")
        kind = parameters.rstrip("]").split("-")[0]
        return f"{module} {kind}" if kind in ("local", "supabase") else module

    def _reschedule(self, node: WorkerController) -> None:
        if self.workqueue and self._computes(node) and not self._computing():
            # At its priority it is of no use to tests that have limits of time.
            node.shutdown()
        else:
            super()._reschedule(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(self._next_for(node), last=False)
        super()._assign_work_unit(node)

    def _next_for(self, node: WorkerController) -> str:
        computing = self._computing()
        waiting = sorted(self.workqueue.keys() - computing, key=self._place)
        first, then = (computing, waiting) if self._computes(node) else (waiting, computing)
        return (first or then)[0]

    def _computing(self) -> list[str]:
        return [scope for scope in self.workqueue if scope.startswith(COMPUTING) and scope != WAITING]

    def _computes(self, node: WorkerController) -> bool:
        return self.numnodes >= LEAST_WORKERS and node.gateway.id == COMPUTING_WORKER

    def _place(self, scope: str) -> tuple[int, int, str]:
        """Long ones come first, and of the others those with most tests."""
        module = scope.partition(" ")[0]
        place = LONG.index(module) if module in LONG else len(LONG)
        return place, -len(self.workqueue[scope]), scope
