"""A web service with hostile clients at it, and what ordinary clients get from it meanwhile."""

import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.memory import peak_mb
from tests.drills.honest import MOST_SECONDS, Answer, HealthWatch, Import, import_each
from tests.drills.sending import Sent
from tests.support.hostile.crowds import Crowd, Held
from tests.support.hostile.process import HostileClients
from tests.support.processes import Web

#: For all hostile clients to be connected; a server that is full never has all of them.
OPENING_SECONDS = 5.0
#: How long ordinary clients are watched before the hostile ones come, for comparison.
REFERENCE_SECONDS = 2.0
#: A list of jobs that is more than the buffers between a server and its client hold.
FILL_JOBS = """
INSERT INTO jobs (id, state, source, detected, finished_at)
SELECT gen_random_uuid(), 'cancelled', 'long ago', jsonb_build_object('encoding', repeat('x', 1500)), now()
FROM generate_series(1, 1000)
"""
LONG_LIST = "/jobs?limit=1000"


@dataclass(frozen=True, slots=True)
class Siege:
    """What was seen while it lasted."""

    before: Sequence[Answer]  #: of /health, without hostile clients
    health: Sequence[Answer]
    imports: Sequence[Import]
    crowds: Sequence[Held]
    web_mb: float  #: peak of the largest process of web

    @property
    def worst_health_seconds(self) -> float:
        """That of the slowest answer; one that did not come, or was not good, counts as the longest wait."""
        return max(answer.seconds if answer.is_good else MOST_SECONDS for answer in self.health)

    @property
    def accepted(self) -> list[Sent]:
        """What has to be in `contacts` in the end, under the ids that were answered."""
        return [each.accepted for each in self.imports if each.answer.is_good]

    def check_imports(self) -> None:
        """Each has been taken at its first request."""
        refused = Counter(
            f"{each.answer.outcome} {each.answer.body[:200]}" for each in self.imports if not each.answer.is_good
        )
        assert not refused, f"{refused.total()} of {len(self.imports)} imports were refused: {dict(refused)}"

    def notes(self) -> list[str]:
        """The figures, in words."""
        answers = [each.answer for each in self.imports]
        return [
            f"/health: {_times(self.health)}; without hostile clients: {_times(self.before)}",
            f"imports: {_times(answers)}",
            f"web: {self.web_mb:.0f} MB at most",
            *map(str, self.crowds),
        ]


def besiege(
    web: Web,
    crowds: Sequence[Crowd],
    sents: Sequence[Sent],
    seconds: float,
    settling_seconds: float = 0.0,
    reference_seconds: float = REFERENCE_SECONDS,
) -> Siege:
    """Have `crowds` come and stay for `seconds`, over which the imports of `sents` begin, after `settling_seconds`."""
    before, watch = HealthWatch(web.port), HealthWatch(web.port)
    with before.asking():
        time.sleep(reference_seconds)
    with HostileClients(web.port, crowds) as hostile:
        hostile.wait_until_at_work(OPENING_SECONDS)
        with watch.asking():
            time.sleep(settling_seconds)
            imports = import_each(web.port, sents, seconds - settling_seconds, time.sleep)
        web_mb = peak_mb(web)
        held = hostile.stop()
    return Siege(before.answers, watch.answers, imports, held, web_mb)


def _times(answers: Sequence[Answer]) -> str:
    """How many came, how fast, and what came instead."""
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in Counter(a.outcome for a in answers).items())
    seconds = [answer.seconds for answer in answers]
    return f"{outcomes} in {statistics.median(seconds):.3f} s, at worst {max(seconds):.3f}"
