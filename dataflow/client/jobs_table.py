"""Jobs as a table for eyes: what GET /jobs shows, in columns, fit for a terminal."""

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

Job = Mapping[str, Any]

HEAD: Final = ("id", "kind", "state", "source", "rows", "percent", "rows/s", "age", "error")
_TO_THE_RIGHT: Final = {"rows", "percent", "rows/s", "age"}
_GAP: Final = "  "
_LONGEST_SOURCE: Final = 24


def table(jobs: Sequence[Job], now: datetime, width: int | None = None) -> list[str]:
    """The lines, the head first; cut where a terminal of that width ends."""
    cells = [HEAD, *(_cells(job, now) for job in jobs)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        aligned = [
            _aligned(cell, size, name in _TO_THE_RIGHT) for cell, size, name in zip(row, widths, HEAD, strict=True)
        ]
        lines.append(cut(_GAP.join(aligned).rstrip(), width))
    return lines


def _cells(job: Job, now: datetime) -> tuple[str, ...]:
    seconds = _seconds(job, now)
    rate = f"{_rows(job) / seconds:,.0f}" if seconds and _rows(job) else ""
    error = _readable((job["error"] or "").partition("\n")[0])
    source = cut(_readable(job["source"] or ""), _LONGEST_SOURCE)
    age = span(now - datetime.fromisoformat(job["createdAt"]))
    return job["jobId"], job["kind"], job["state"], source, f"{_rows(job):,}", _percent(job), rate, age, error


def _rows(job: Job) -> int:
    """How far it is, and in the end what has come of it."""
    name = {"export": "rowsExported", "revert": "revertedRows"}.get(job["kind"])
    counted: int = job[name or ("rowsImported" if job["finishedAt"] else "rowsRead")]
    return counted


def _percent(job: Job) -> str:
    if job["state"] == "succeeded":
        return "100.0"
    return f"{min(100 * job['bytesDone'] / job['bytesTotal'], 100):.1f}" if job["bytesTotal"] else ""


def _seconds(job: Job, now: datetime) -> float:
    """How long it has run, 0 while it has not."""
    if not job["startedAt"]:
        return 0.0
    end = datetime.fromisoformat(job["finishedAt"]) if job["finishedAt"] else now
    return (end - datetime.fromisoformat(job["startedAt"])).total_seconds()


def span(time: timedelta) -> str:
    """About how long, as people say it: 12 s, 3 min, 5 h, 2 d."""
    seconds = max(time.total_seconds(), 0.0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def utc_now() -> datetime:
    return datetime.now(UTC)


def _readable(text: str) -> str:
    """Nothing in it moves the cursor: sources are named by others."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _width(text: str) -> int:
    """In columns of a terminal."""
    wide = sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)
    return len(text) + wide - sum(unicodedata.combining(sign) > 0 for sign in text)


def _aligned(text: str, width: int, is_to_the_right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if is_to_the_right else text + space


def cut(text: str, width: int | None) -> str:
    """As much of it as there is room for."""
    if width is None or _width(text) <= width:
        return text
    while _width(text) >= width:
        text = text[:-1]
    return f"{text}…"
