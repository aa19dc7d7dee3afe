"""The servers of this folder: furnished, or with SERVER = "hasty" in a module one whose locks end soon."""

from collections.abc import Iterator

import pytest

from tests.doubles.storage.contract import furnish
from tests.doubles.storage.plain import Plain
from tests.doubles.storage.process import StorageDouble
from tests.doubles.storage.under_way import HASTY


@pytest.fixture(scope="module")
def furnished(double: StorageDouble) -> StorageDouble:
    return furnish(double)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageDouble]:
    with StorageDouble.start(tmp_path_factory.mktemp("hasty"), **HASTY) as started:
        started.make_bucket("imports")
        yield started


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[Plain]:
    """One with the service key; what the server could not cope with by itself fails the test."""
    server: StorageDouble = request.getfixturevalue(getattr(request.module, "SERVER", "furnished"))
    server.clear_faults()
    server.clear_journal()
    yield Plain(server, server.key())
    server.release()
    assert server.log() == ""
