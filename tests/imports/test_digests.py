"""What was recorded of an object is compared with its bytes, as far as somebody has hashed them."""

import hashlib
from collections.abc import Iterator
from uuid import UUID

import pytest

from dataflow.errors import StorageError
from dataflow.imports.digests import verified
from dataflow.imports.import_progress import ImportProgress
from dataflow.queue.jobs import Job
from tests.support.errors import has_code

pytestmark = pytest.mark.unit

CONTENT = b"name,email\nAnn,ann@example.com\n"
SIZE = len(CONTENT)
Digests = list[tuple[int, str | None]]


class Stored:
    """An object that comes in pieces of three bytes, so that every digest ends within one."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def pieces(self, piece_bytes: int) -> Iterator[bytes]:
        yield from (self._content[at : at + 3] for at in range(0, len(self._content), 3))

    def close(self) -> None:
        pass


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read(digests: Digests, content: bytes = CONTENT) -> tuple[bytes, ImportProgress]:
    facts = {"kind": "import", "attempt": 1, "failures": 0, "max_failures": 5, "losses": 0, "source": "crm"}
    file = {"object_key": "k.csv", "bytes_total": SIZE, "format": "csv", "digests": digests, "options": {}}
    rest = {"request_id": None, "of_job": None, "first_contact_id": None, "last_contact_id": None}
    job, progress = Job(UUID(int=1), **facts, **file, **rest), ImportProgress()  # type: ignore[arg-type]
    return b"".join(
        verified(Stored(content), job, progress),
    ), progress  # type: ignore[arg-type]


def test_the_digest_of_the_only_request_is_not_computed_once_more() -> None:
    content, progress = read([(SIZE, sha256(CONTENT))])
    assert (content, progress.bytes_done, progress.content_sha256) == (CONTENT, SIZE, None)


@pytest.mark.parametrize(
    "digests",
    [
        [(10, sha256(CONTENT[:10])), (SIZE, sha256(CONTENT[10:]))],
        [(10, None), (SIZE, sha256(CONTENT[10:]))],
        [(10, sha256(CONTENT[:10])), (SIZE, None)],
        [(0, sha256(b"")), (1, None), (2, sha256(CONTENT[1:2])), (SIZE, None)],
        [(SIZE, None)],
    ],
)
def test_of_a_content_that_several_requests_have_brought_the_digest_of_the_whole_becomes_known(
    digests: Digests,
) -> None:
    content, progress = read(digests)
    assert (content, progress.bytes_done, progress.content_sha256) == (CONTENT, SIZE, sha256(CONTENT))


@pytest.mark.parametrize("changed", range(SIZE))
def test_a_changed_byte_is_found_where_somebody_has_hashed_it(changed: int) -> None:
    content = bytearray(CONTENT)
    content[changed] ^= 1
    digests: Digests = [(7, sha256(CONTENT[:7])), (20, None), (SIZE, sha256(CONTENT[20:]))]
    if 7 <= changed < 20:
        assert read(digests, bytes(content))[1].content_sha256 == sha256(bytes(content))
    else:
        end = 7 if changed < 7 else SIZE
        with pytest.raises(StorageError, match=f"before byte {end}", check=has_code("digest_mismatch")):
            read(digests, bytes(content))


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", CONTENT + b"x" * 100])
def test_another_size_is_found_although_nobody_has_hashed_anything(content: bytes) -> None:
    with pytest.raises(StorageError, check=has_code("digest_mismatch")):
        read([(10, None), (SIZE, None)], content)
