"""The table of Idempotency-Keys: the statements by which a key is claimed, answered and freed.

Fenced by the id of the claim, as jobs are by their attempt. Every function runs in the transaction that is open.
"""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Json

from dataflow.db import Connection, query

KEPT_SECONDS = 86_400.0  #: for so long the same request gets the same answer
LEASE_SECONDS = 15.0  #: a request under way that has shown no life for so long is taken for dead
BATCH_ROWS = 1000  #: what one statement deletes


@dataclass(frozen=True, slots=True)
class Key:
    scope: str  #: whose it is
    route: str  #: what it is sent for: `import` or `uploads`
    key: str


class Answer(NamedTuple):
    body: dict[str, Any] | str
    status: int
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Recorded:
    """The request that has a key already."""

    fingerprint: str
    answer: Answer | None  #: None while it is under way
    body_sha256: str | None
    job_id: UUID | None


def claim(connection: Connection, key: Key, claim_id: UUID, fingerprint: str) -> Recorded | None:
    """Whose the key is, if it is another's; else it is the caller's from here on."""
    values = {**asdict(key), "claim_id": claim_id, "fingerprint": fingerprint}
    if connection.execute(query("idempotency_keys/claim"), values).fetchone():
        return None
    row = connection.execute(query("idempotency_keys/lock"), values).fetchone()
    if row is None:  # Freed in this very moment: the caller may come again.
        return Recorded(fingerprint, None, None, None)
    limits = {"kept_seconds": KEPT_SECONDS, "lease_seconds": LEASE_SECONDS}
    if connection.execute(query("idempotency_keys/take_over"), {**values, **limits}).fetchone():
        return None
    answer = None if row["status"] is None else Answer(row["body"], row["status"], row["headers"])
    return Recorded(row["fingerprint"], answer, row["body_sha256"], row["job_id"])


def link(connection: Connection, claim_id: UUID, job_id: UUID) -> bool:
    """Note which job comes of the request; False when the key is no longer its own."""
    values = {"claim_id": claim_id, "job_id": job_id}
    return connection.execute(query("idempotency_keys/link"), values).fetchone() is not None


def record(connection: Connection, claim_id: UUID, job_id: UUID, answer: Answer, body_sha256: str | None) -> bool:
    """Note the answer; False when the key is no longer the request's own."""
    values = {"claim_id": claim_id, "job_id": job_id, "status": answer.status, "body_sha256": body_sha256}
    answered = {"headers": Json(answer.headers), "body": Json(answer.body)}
    return connection.execute(query("idempotency_keys/record"), {**values, **answered}).fetchone() is not None


def beat(connection: Connection, claim_ids: list[UUID]) -> None:
    connection.execute(query("idempotency_keys/beat"), {"claim_ids": claim_ids})


def release(connection: Connection, claim_id: UUID) -> None:
    """Free the key, unless its request was answered."""
    connection.execute(query("idempotency_keys/release"), {"claim_id": claim_id})


def delete_old(connection: Connection) -> int:
    """At most BATCH_ROWS of those that are not kept any longer; returns how many."""
    values = {"kept_seconds": KEPT_SECONDS, "limit": BATCH_ROWS}
    return connection.execute(query("idempotency_keys/delete_old"), values).rowcount
