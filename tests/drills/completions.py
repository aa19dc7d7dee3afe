"""Uploads so large that the storage takes longer to complete them than a platform waits for an answer."""

import time
from collections.abc import Iterator

from tests.drills.drill import drill
from tests.drills.rig import Rig
from tests.support.processes import Web
from tests.support.waiting import eventually

SIZE_BYTES = 5_000_000_000
COMPLETION_SECONDS = 40.0
ROW = b"Ann Example,ann@example.com\n"
PIECE = ROW * ((1 << 20) // len(ROW))


@drill(bar_seconds=25, rounds=1, quick_rounds=0)
def five_gigabytes(rig: Rig) -> float:
    """5 GB into a storage that completes them in 40 s; seconds from the last byte to the answer."""
    rig.use_double(completion_seconds=COMPLETION_SECONDS, sparse=True)
    web = Web.start(rig.variables)
    rig.stack.callback(web.kill_all)
    content = _Content()
    answer = web.post(data=content, headers={"Content-Type": "text/csv", "X-Source": "drill"}, timeout=120)
    seconds = time.monotonic() - content.sent_at
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["jobId"]

    def queued() -> bool:
        job = web.job(job_id)
        assert job["state"] in ("uploading", "queued"), job
        return bool(job["state"] == "queued")

    eventually(queued, COMPLETION_SECONDS + 20, every_seconds=0.5)
    assert time.monotonic() - content.sent_at >= COMPLETION_SECONDS
    assert web.job(job_id)["bytesTotal"] == SIZE_BYTES
    return seconds


class _Content:
    """A CSV of SIZE_BYTES, so long that requests announces it; notes when its last byte has been handed over."""

    sent_at = 0.0

    def __len__(self) -> int:
        return SIZE_BYTES

    def __iter__(self) -> Iterator[bytes]:
        head = b"name,email\n"
        yield head
        for left in range(SIZE_BYTES - len(head), 0, -len(PIECE)):
            yield PIECE[:left]
        self.sent_at = time.monotonic()
