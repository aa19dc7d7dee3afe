"""Hostile clients for a few seconds: others are answered meanwhile. `make drills` has more of them, and for longer."""

from collections.abc import Callable

import pytest

from dataflow import db
from tests.drills import sending
from tests.drills.besieged import FILL_JOBS, LONG_LIST, besiege
from tests.support.hostile import crowds
from tests.support.processes import Web, WorkerProcess
from tests.support.waiting import eventually

SECONDS = 5.0
IMPORTS, ROWS = 10, 500
#: Far more than there are threads. Of bodies there are no more than have room at once: none of them is old enough yet
#: to give way to others.
CROWDS = [
    *crowds.half_heads(300),
    *crowds.silent(100),
    *crowds.never_closing(60),
    *crowds.slow_bodies(12),
    *crowds.dripping_bodies(4),
    *crowds.slow_readers(20, [LONG_LIST]),
]


@pytest.fixture
def worker(start_worker: Callable[..., WorkerProcess]) -> WorkerProcess:
    return start_worker()


def test_ordinary_clients_are_answered_while_hostile_ones_hold_what_they_can(
    web: Web, worker: WorkerProcess, connection: db.Connection
) -> None:
    connection.execute(FILL_JOBS)
    siege = besiege(
        web, CROWDS, [sending.make(number, ROWS) for number in range(IMPORTS)], SECONDS, reference_seconds=0.5
    )
    assert all(answer.is_good for answer in siege.health), "\n".join(siege.notes())
    siege.check_imports()
    imported = "SELECT FROM jobs WHERE state = 'succeeded' AND rows_imported = %s"
    eventually(lambda: len(connection.execute(imported, [ROWS]).fetchall()) == IMPORTS)
