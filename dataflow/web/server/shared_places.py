"""How many places for bodies each web process has left, in shared memory.

The kernel hands a connection to any process; by this, a burst of uploads goes to processes that have room for it.
"""

import mmap
import struct
from collections.abc import Iterable
from typing import Final

#: Time by the monotonic clock, which all processes share, and places. A torn read misleads one decision only.
_ENTRY: Final = struct.Struct("=dq")
#: A process that has published nothing for so long hangs, or has died.
SILENT_SECONDS: Final = 2.0
#: Enough for two generations of processes.
MAX_PROCESSES: Final = 128


class SharedPlaces:
    """To be made before the processes are."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, MAX_PROCESSES * _ENTRY.size)

    def publish(self, number: int, places: int, now: float) -> None:
        _ENTRY.pack_into(self._memory, number * _ENTRY.size, now, places)

    def is_turn_of(self, number: int, places: int, now: float) -> bool:
        """Whether a process with so many `places` left should accept: none of the others has more."""
        # One less is as good while there are any, or two idle processes would wait for each other in turn.
        most = max(self._of_others(number, now), default=0)
        return places >= most or places == most - 1 > 0

    def _of_others(self, number: int, now: float) -> Iterable[int]:
        for other, (said_at, places) in enumerate(_ENTRY.iter_unpack(self._memory)):
            if said_at == 0.0:
                return  # numbers are given from 0 on
            if other != number and now - said_at < SILENT_SECONDS:
                yield places


def free_number(taken: Iterable[int]) -> int:
    return min(set(range(MAX_PROCESSES)) - set(taken), default=MAX_PROCESSES - 1)
