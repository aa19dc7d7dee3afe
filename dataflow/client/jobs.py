"""`dataflow jobs`: the newest jobs, once, or again and again until somebody has seen enough."""

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

from dataflow.client.jobs_table import Job, cut, table, utc_now
from dataflow.client.new_file import STANDARD_OUTPUT, told
from dataflow.client.patience import is_no
from dataflow.client.service import Service
from dataflow.errors import RequestError

TIMEOUT_SECONDS = 10.0
REFRESH_SECONDS = 2.0
#: To the first line, with nothing from there on.
_CLEAR: Final = "\x1b[H\x1b[J"
#: Of the lines of a terminal: the head, what is wrong, and where the cursor is.
_OTHER_LINES: Final = 3


def show_jobs(
    url: str,
    wanted: Mapping[str, str],
    key: str = "",
    is_watched: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Print those that are wanted; if they are watched, only a refusal or an interruption ends it.

    :raises RequestError: when the service does not show them.
    """
    with Service(url, key) as service, told(STANDARD_OUTPUT):
        jobs, trouble = _newest(service, wanted), ""
        show = _table_on_screen if sys.stdout.isatty() else _ChangedLines().show
        if not is_watched:
            width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
            print(*table(jobs, utc_now(), width), sep="\n", flush=True)
            return 0
        while True:
            show(jobs, trouble)
            sleep(REFRESH_SECONDS)
            try:
                jobs, trouble = _newest(service, wanted), ""
            except RequestError as error:
                if is_no(error):
                    raise
                trouble = f"{error.message} Still looking."


def _newest(service: Service, wanted: Mapping[str, str]) -> list[Job]:
    found: list[Job] = service.ask("GET", "/jobs", TIMEOUT_SECONDS, member="jobs", params=wanted)["jobs"]
    return found


def _table_on_screen(jobs: list[Job], trouble: str) -> None:
    """In the place of the one before."""
    columns, lines = shutil.get_terminal_size()
    shown = table(jobs[: max(lines - _OTHER_LINES, 1)], utc_now(), columns)
    print(_CLEAR + "\n".join([*shown, cut(trouble.partition("\n")[0], columns)]), flush=True)


class _ChangedLines:
    """What is no terminal keeps all lines, so that it gets each only when something but its age has changed."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[object, ...]] = {}
        self._trouble = ""

    def show(self, jobs: list[Job], trouble: str) -> None:
        head, *lines = table(jobs, utc_now())
        if not self._shown and not self._trouble:
            print(head)
        # The newest come last here, as they do later.
        for job, line in reversed(list(zip(jobs, lines, strict=True))):
            facts = tuple(job[name] for name in ("state", "rowsRead", "bytesDone", "error"))
            if self._shown.get(job["jobId"]) != facts:
                self._shown[job["jobId"]] = facts
                print(line)
        if trouble and not self._trouble:
            print(trouble)
        self._trouble = trouble
        sys.stdout.flush()
