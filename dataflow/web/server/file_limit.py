"""How many files a web process may have open, and how many of them may be connections of clients, and event streams."""

import resource
from typing import Final

#: Some limits of systems are endless.
MAX_FILES: Final = 65_536
#: Besides clients, and two for each thread: to the database and to the storage.
OTHER_FILES: Final = 64


def raise_file_limit() -> int:
    """Raise the limit as far as this process may, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return MAX_FILES if soft == resource.RLIM_INFINITY else soft


def most_streams(connections: int, wanted: int) -> int:
    """How many of so many connections may be streams, which stay for hours: others have to get in beside them."""
    return min(wanted, connections // 2)


def most_connections(files: int, threads: int) -> int:
    """How many clients may be connected with so many files and threads; a quarter of the files at least."""
    return max(files - OTHER_FILES - 2 * threads, files // 4)
