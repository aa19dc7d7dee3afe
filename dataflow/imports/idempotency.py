"""The Idempotency-Keys of one process: a request claims one, keeps it while it runs, and answers or frees it.

What makes a key free is written in sql/queries/idempotency_keys/take_over.sql.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID, uuid4

from dataflow.db import Connection, Pool, borrowed
from dataflow.errors import DatabaseError, KeyTaken, RequestError
from dataflow.imports.size_limit import SizeLimit
from dataflow.imports.upload import Upload
from dataflow.queue import idempotency
from dataflow.queue.idempotency import Answer, Key, Recorded

logger = logging.getLogger(__name__)

BEAT_SECONDS = 3.0

#: What the client is answered once its request has made a job, and whether that is queued.
AnswerOf = Callable[[UUID, bool], Answer]


def fingerprint(facts: object) -> str:
    """SHA-256 of what JSON can hold, the same in whatever order its members come."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def declared(upload: Upload) -> list[object]:
    """What a client asks for, as far as it is known; the name of a file is decoration and may change."""
    return [upload.given, upload.media_type, upload.charset, upload.is_gzip, upload.is_form]


def body_sha256(upload: Upload, content_sha256: str) -> str:
    """What the body has told: its content, and of a form the fields."""
    return fingerprint([declared(upload), content_sha256]) if upload.is_form else content_sha256


class Claim:
    """A request's hold on its key. This one holds none and writes nothing: there is no key, or it was answered."""

    def __init__(self, recorded: Recorded | None = None) -> None:
        self.recorded = recorded  #: the earlier request with the key, whose answer is to be given again

    def link(self, connection: Connection, job_id: UUID) -> None:
        """Note the job, in the transaction that inserts it.

        :raises KeyTaken: when another request has the key now.
        """

    def record(self, connection: Connection, job_id: UUID, is_queued: bool, body_sha256: str | None) -> None:
        """Note the answer, in the transaction after which the client is owed success.

        :raises KeyTaken: when another request has the key now.
        """


class HeldClaim(Claim):
    def __init__(self, claim_id: UUID, answer_of: AnswerOf) -> None:
        super().__init__()
        self._id = claim_id
        self._answer_of = answer_of

    def link(self, connection: Connection, job_id: UUID) -> None:
        if not idempotency.link(connection, self._id, job_id):
            raise KeyTaken(_IN_USE)

    def record(self, connection: Connection, job_id: UUID, is_queued: bool, body_sha256: str | None) -> None:
        if not idempotency.record(connection, self._id, job_id, self._answer_of(job_id, is_queued), body_sha256):
            raise KeyTaken(_IN_USE)


NO_KEY: Final = Claim()
_IN_USE: Final = "Another request with this Idempotency-Key is under way. Send it again when that has ended."


def replayed(upload: Upload, recorded: Recorded, limit: SizeLimit) -> Answer:
    """The first answer, once the body was read again and is the same; nothing of it is kept.

    :raises RequestError: when it is another, too large, or does not come as a whole.
    """
    digest, size_bytes = hashlib.sha256(), 0
    for piece in upload.pieces:
        size_bytes += len(piece)
        limit.check(size_bytes)
        digest.update(piece)
    if recorded.answer is None or body_sha256(upload, digest.hexdigest()) != recorded.body_sha256:
        raise RequestError(
            "This Idempotency-Key was sent with another body before. Send a new key with a new body.",
            code="idempotency_key_reused",
        )
    logger.info("answer given again", extra={"job_id": str(recorded.job_id)})
    return recorded.answer


class IdempotencyKeys:
    """One per web process; a thread keeps the claims alive while there are any."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._held: set[UUID] = set()
        self._is_beating = False
        self._changed = threading.Condition()

    @contextmanager
    def claim(self, key: Key, facts: object, answer_of: AnswerOf) -> Iterator[Claim]:
        """The key for as long as the block lasts; free again when that raises before an answer was recorded.

        :raises DatabaseUnavailable: when the key cannot be claimed.
        :raises KeyTaken: when a request with the key is under way.
        :raises RequestError: idempotency_key_reused when one was sent with other `facts`.
        """
        claim_id, mine = uuid4(), fingerprint(facts)
        with borrowed(self._pool) as connection:
            recorded = idempotency.claim(connection, key, claim_id, mine)
        if recorded is not None:
            _check(recorded, mine)
            yield Claim(recorded)
            return
        try:
            with self._kept_alive(claim_id):
                yield HeldClaim(claim_id, answer_of)
        except BaseException:
            self._release(claim_id)
            raise

    @contextmanager
    def _kept_alive(self, claim_id: UUID) -> Iterator[None]:
        with self._changed:
            if not self._is_beating:
                threading.Thread(target=self._beat, name="idempotency-keys", daemon=True).start()
                self._is_beating = True
            self._held.add(claim_id)
        try:
            yield
        finally:
            with self._changed:
                self._held.discard(claim_id)
                self._changed.notify()

    def _beat(self) -> None:
        while held := self._held_after_a_pause():
            try:
                with borrowed(self._pool) as connection:
                    idempotency.beat(connection, held)
            except DatabaseError as error:
                logger.warning("idempotency keys not kept alive", extra={"code": error.code})
            except Exception:
                logger.exception("keeping idempotency keys alive broke")

    def _held_after_a_pause(self) -> list[UUID]:
        with self._changed:
            self._changed.wait_for(lambda: not self._held, BEAT_SECONDS)
            self._is_beating = bool(self._held)
            return list(self._held)

    def _release(self, claim_id: UUID) -> None:
        try:
            with borrowed(self._pool) as connection:
                idempotency.release(connection, claim_id)
        except DatabaseError as error:
            # The lease ends soon.
            logger.warning("idempotency key not released", extra={"code": error.code})


def _check(recorded: Recorded, fingerprint: str) -> None:
    if recorded.fingerprint != fingerprint:
        raise RequestError(
            "This Idempotency-Key was sent with other options before: source, content type, or any other. "
            "Send a new key with another request.",
            code="idempotency_key_reused",
        )
    if recorded.answer is None:
        raise KeyTaken(_IN_USE)
