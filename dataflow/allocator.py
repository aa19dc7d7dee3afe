"""The C library's allocator: set by a variable, which glibc reads only when a process begins; others do not know it.

glibc gives each thread an arena of its own, up to eight for each core, and one cannot use what is freed in another.
Measured with 32 previews at a time in one web process: 107 MiB stay with an arena for each thread, 87 with two, and
uploads take half the computing. Thresholds for giving memory back save six more, for two to four times the computing.
"""

import gc
import os
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import ClassVar, Final

_ARENAS: Final = "MALLOC_ARENA_MAX"
_TUNABLES, _ARENAS_TUNABLE = "GLIBC_TUNABLES", "glibc.malloc.arena_max"
GROWTH_BYTES: Final = 2 * 1024 * 1024


def is_set(environ: Mapping[str, str]) -> bool:
    return _ARENAS in environ or _ARENAS_TUNABLE in environ.get(_TUNABLES, "")


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    return dict(environ) if is_set(environ) else {**environ, _ARENAS: "2"}


def begin_again() -> None:
    """Have this process begin once more with its allocator set, unless it is; process id and open files stay."""
    if not is_set(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment(os.environ))


class _Resident:
    least_bytes: ClassVar[int] = 0  #: when something was last given back


def give_back() -> None:
    """Return free memory to the system if this process has grown by GROWTH_BYTES, after work that may have taken much.

    It takes milliseconds, and finding out a hundredth. glibc does it by itself only at the end of an arena.
    """
    if (trim := _trim()) is None or _resident_bytes() < _Resident.least_bytes + GROWTH_BYTES:
        return
    # An error and the frames that it went through hold one another, and what was in them.
    gc.collect(1)
    trim(0)
    _Resident.least_bytes = _resident_bytes()


def _resident_bytes() -> int:
    with open("/proc/self/statm", "rb", buffering=0) as counts:  # noqa: PTH123 - a third of the time
        return int(counts.read(200).split()[1]) * os.sysconf("SC_PAGE_SIZE")


@lru_cache
def _trim() -> Callable[[int], object] | None:
    import ctypes  # half a megabyte, for those who call this

    trim: Callable[[int], object] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
