"""What goes to a storage server and what comes back, and which of our errors an answer is.

Knows nothing of sockets. How the server words its refusals: contract sections 1, 2 and 8.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dataflow.errors import (
    BucketMissing,
    DataFlowError,
    ObjectMissing,
    ObjectTooLarge,
    StorageDenied,
    StorageError,
    StorageUnavailable,
    UnsupportedMediaType,
)

MAX_QUOTED_CHARACTERS = 200
_STATUS = re.compile(r"[1-9][0-9]{2}")
_MISSING = re.compile(r"NoSuchKey|object not found|file for this url", re.IGNORECASE)
#: A redirect, and a 404 that does not speak of an object: of a gateway, for an address that is not the storage's.
_REDIRECTED = StorageError, "The storage is somewhere else: correct SUPABASE_URL or STORAGE_URL"
REFUSALS: dict[int, tuple[type[DataFlowError], str]] = {
    **dict.fromkeys((301, 302, 303, 307, 308), _REDIRECTED),
    **dict.fromkeys((401, 403), (StorageDenied, "The storage refuses SUPABASE_SERVICE_ROLE_KEY")),
    404: (ObjectMissing, "The storage does not have the object"),
    413: (ObjectTooLarge, "The file is larger than the storage takes"),
    415: (UnsupportedMediaType, "The bucket does not take files of this type"),
}


@dataclass(frozen=True, slots=True)
class Request:
    operation: str  #: what it is for, in metrics and logs
    method: str
    path: str  #: below the storage's base URL
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | memoryview | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer and the beginning of its text, which holds no key."""

    http_status: int
    headers: Mapping[str, str]
    text: str

    @property
    def is_success(self) -> bool:
        return 200 <= self.http_status < 300

    @property
    def status(self) -> int:
        """The true status: the object API answers nearly all errors with 400 and says the true one in its JSON."""
        said = str(self.members.get("statusCode", ""))
        return int(said) if self.http_status == 400 and _STATUS.fullmatch(said) else self.http_status

    @property
    def members(self) -> dict[str, Any]:
        """Those of a JSON object; gateways answer HTML."""
        try:
            found = json.loads(self.text)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def error(self, bucket: str) -> DataFlowError:
        """What a refusal means to us. `retryable` as in the table of contract section 2."""
        kind, meaning = self._meaning()
        if kind is BucketMissing:
            reason = f"no bucket {bucket} (STORAGE_BUCKET), or none that this key may see: run `dataflow migrate`"
            return kind(f"The storage has {reason}.")
        return kind(f"{meaning}: {self.quoted()}")

    def _meaning(self) -> tuple[type[DataFlowError], str]:
        # Every 5xx, the 544 of a database pool without a free connection and those of gateways included.
        if self.status >= 500 or self.status in (408, 423, 425, 429):
            return StorageUnavailable, "The storage cannot do this just now"
        if self.members.get("code") == "NoSuchBucket" or "bucket not found" in self.text.lower():
            return BucketMissing, ""
        if self.members.get("code") in ("AccessDenied", "InvalidJWT"):
            return REFUSALS[403]
        if self.status == 404 and not _MISSING.search(self.text):
            return _REDIRECTED
        return REFUSALS.get(self.status, (StorageError, "The storage refused"))

    def quoted(self) -> str:
        """What the server said, on one line, cut to MAX_QUOTED_CHARACTERS, without what Postgres cannot store."""
        said = str(self.members.get("message") or self.text)
        said = " ".join("".join(c if c.isprintable() else " " for c in said).split()) or "no reason given"
        return f"{said[:MAX_QUOTED_CHARACTERS]} (status {self.status})"
