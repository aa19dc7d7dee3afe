"""How long what an export has made is kept."""

from collections.abc import Callable

import pytest

from dataflow.config import Config
from dataflow.exports.file_job import kept_seconds

HOUR, DAY = 3600.0, 86_400.0


@pytest.mark.parametrize(
    ("object_days", "job_days", "seconds"),
    [
        pytest.param(7, 0, 7 * DAY, id="as other files"),
        pytest.param(7, 2, 2 * DAY, id="no longer than its job"),
        pytest.param(0, 0, HOUR, id="an hour at least, or nobody could fetch it"),
    ],
)
def test_a_file_is_kept(make_config: Callable[..., Config], object_days: int, job_days: int, seconds: float) -> None:
    assert kept_seconds(make_config(OBJECT_RETENTION_DAYS=object_days, JOB_RETENTION_DAYS=job_days)) == seconds
