"""Which worker of pytest-xdist runs what: tests that compute beside tests that wait, and a module's tests together."""

import os
from collections.abc import Iterator

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

#: Where tests need a processor all the time. The others mostly wait, and many of them have limits of time.
COMPUTING = ("tests/contacts/", "tests/formats/", "tests/settings/")
#: Modules that take longest, in this order, so that none of them begins when all others have ended.
LONG = (
    "tests/web/routes/test_storage_troubles.py",
    "tests/drills/test_drills.py",
    "tests/test_cli.py",
    "tests/imports/test_completion.py",
    "tests/web/server/test_siege.py",
    "tests/web/server/test_slow_clients.py",
    "tests/web/server/test_connections.py",
    "tests/web/routes/test_job_actions.py",
    "tests/web/server/test_clients.py",
)
#: How many workers compute at a time as long as others have something to wait for: one processor is theirs.
MAX_COMPUTING = max((os.cpu_count() or 1) - 1, 1)


class BesideOneAnother(LoadScopeScheduling):
    """A worker gets modules one after the other: their fixtures, web processes among them, are made once."""

    def _split_scope(self, nodeid: str) -> str:
        """The module, and the storage that its tests run over if there are several."""
        module, _, test = nodeid.partition("::")
        _, _, parameters = test.partition("[")
        kind = parameters.rstrip("]").split("-")[0]
        return f"{module} {kind}" if kind in ("local", "supabase") else module

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(self._next_for(node), last=False)
        super()._assign_work_unit(node)

    def _next_for(self, node: WorkerController) -> str:
        computing = [scope for scope in self.workqueue if scope.startswith(COMPUTING)]
        waiting = sorted(self.workqueue.keys() - computing, key=self._place)
        others = sum(any(self._is_computed_by(other)) for other in self.nodes if other is not node)
        is_room = others < MAX_COMPUTING
        return computing[0] if computing and (is_room or not waiting) else waiting[0]

    def _is_computed_by(self, node: WorkerController) -> Iterator[bool]:
        for scope, tests in self.assigned_work[node].items():
            yield scope.startswith(COMPUTING) and not all(tests.values())

    def _place(self, scope: str) -> tuple[int, int, str]:
        """Long ones come first, and of the others those with most tests."""
        module = scope.partition(" ")[0]
        place = LONG.index(module) if module in LONG else len(LONG)
        return place, -len(self.workqueue[scope]), scope
