"""tus-js-client and tuspy at `/uploads`, over a bad network and two web processes, of which each is killed once.

Few of the ways in which they can be set, and of 12 MB; all of them, with 100 MB, are a drill.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dataflow import db
from dataflow.storage.base import Storage
from tests.support.foreign_uploads import CUTS, MIB, Crossing, send, sha256_of_object
from tests.support.taking_turns import TakingTurns

RUNS_OVER = ("local", "supabase")
CROSSINGS = (
    Crossing("tus-js", 1, size_bytes=40),
    Crossing("tuspy", 1, size_bytes=40, is_deferred=True),
    Crossing("tus-js", 5 * MIB, is_deferred=True),
    Crossing("tuspy", 6 * MIB, is_deferred=True),
    Crossing("tuspy", None),
    # What is kept as a whole or not at all has to be shorter than what the network lets pass between two cuts.
    Crossing("tuspy", 1 * MIB, feature="checksums"),
    Crossing("tus-js", 1 * MIB, feature="creation-with-upload"),
    Crossing("tus-js", 1 * MIB, size_bytes=6_000_000, feature="method override"),
    Crossing("tus-js", None, is_deferred=True, is_killed=True),
    Crossing("tuspy", 1 * MIB, is_killed=True),
)


@pytest.fixture(scope="module")
def webs(database: str, state_folder: Path, storage_variables: dict[str, str]) -> Iterator[TakingTurns]:
    with TakingTurns({"DATABASE_URL": database, "DATA_DIR": state_folder, **storage_variables}) as started:
        yield started


@pytest.mark.parametrize("crossing", CROSSINGS, ids=str)
def test_the_contacts_are_exact_whatever_happens_to_the_network_and_to_web(
    crossing: Crossing,
    webs: TakingTurns,
    storage: Storage,
    connection: db.Connection,
    work_off: Callable[[], int],
    stored_contacts: Callable[[], list[tuple[Any, ...]]],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    tus_js = request.getfixturevalue("tus_js") if crossing.client == "tus-js" else None
    sent = send(crossing, webs, tus_js, tmp_path / "contacts.csv", number=CROSSINGS.index(crossing))
    assert sent.cuts > CUTS / 2
    [job] = connection.execute("SELECT * FROM jobs WHERE state <> 'uploading'").fetchall()
    assert (job["state"], job["bytes_total"]) == ("queued", sent.size_bytes)
    assert sha256_of_object(storage, job["object_key"]) == sent.sha256
    assert work_off() == 0
    assert stored_contacts() == [(*row, sent.source) for row in sent.rows]
