"""Server-sent events as bytes (WHATWG HTML section 9.2), and the ids by which a client says what it has seen."""

import json
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

MEDIA_TYPE: Final = "text/event-stream"
RETRY_MILLISECONDS: Final = 1000
#: What a stream begins with; a client that was cut off comes back after so long.
BEGIN: Final = f"retry: {RETRY_MILLISECONDS}\n\n".encode()
#: Ignored by clients; it keeps proxies from hanging up, and shows us who has gone.
COMMENT: Final = b":\n\n"


def event(row: dict[str, Any], shown: dict[str, Any]) -> bytes:
    """That a job is as `row` has it, which the client sees as `shown`."""
    name = "progress" if row["finished_at"] is None else "done"
    # Escapes leave one line, and no sign that a reader of lines could take for the end of one.
    return f"id: {id_of(row)}\nevent: {name}\ndata: {json.dumps(shown)}\n\n".encode()


def id_of(row: dict[str, Any]) -> str:
    """A number for what there is to tell of a job, the same in every process that tells it.

    Of one that has ended it is the time of that: what is noted about it later is no other end.
    """
    ended: datetime | None = row["finished_at"]
    if ended is not None:
        return str(round(ended.timestamp() * 1_000_000))
    told = json.dumps(row, default=str, sort_keys=True).encode()
    return str(int.from_bytes(blake2b(told, digest_size=6).digest()))
