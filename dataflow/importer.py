"""One claimed job: its object becomes contacts, in one transaction, exactly once or not at all.

Everything runs on the connection that claimed the job, and nothing else runs there while the COPY is open: a query
would wait for the COPY and the COPY for its rows, for ever. What to do about an error is left to `worker`.
"""

import hashlib
import select
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg

from dataflow import contacts, db, jobs
from dataflow.contacts import Verdict
from dataflow.db import Connection, query
from dataflow.errors import (
    DatabaseUnavailable,
    DataFlowError,
    DigestMismatch,
    InvalidContacts,
    NoContacts,
)
from dataflow.formats import FORMATS, PIECE_BYTES
from dataflow.ids import IdRange
from dataflow.jobs import Job, Tally
from dataflow.storage import ObjectReader, Storage


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt at a job. Its thread counts in `tally`; any other thread may `stop` or `cut` it."""

    job: Job
    connection: Connection | None = None  #: what its thread may wait in; None once that must not be cut
    is_cut: bool = False  #: the connection is of no more use, though it may not know yet
    tally: Tally = field(default_factory=Tally)
    reader: ObjectReader | None = None
    stopped: DataFlowError | None = None
    confirmed: float = field(default_factory=time.monotonic)  #: when the job was last known to be ours
    is_settling: bool = False  #: its own thread writes the outcome: the fence decides, not a beat
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def stop(self, reason: DataFlowError) -> None:
        """Have the import end with `reason` after the block it is working on, a blocked read included."""
        self.stopped = self.stopped or reason
        reader = self.reader
        if reader is not None:
            reader.close()

    def cut(self, reason: DataFlowError) -> None:
        """Have the import end with `reason` now, whatever it waits for, a lock in the database included."""
        self.stop(reason)
        with self._lock:
            if self.connection is not None:
                self.is_cut = True
                db.cut(self.connection)

    def release(self) -> None:
        """Take the connection out of reach: what follows on it must not be cut. Nobody is at it when this returns."""
        with self._lock:
            self.connection = None

    def check(self) -> None:
        """:raises DataFlowError: the reason, when the attempt has been stopped."""
        if self.stopped is not None:
            raise self.stopped


def run(connection: Connection, attempt: Attempt, storage: Storage, max_row_bytes: int) -> None:
    """Import the job and settle it as `succeeded`. Opens and ends its own transaction.

    :raises InputError: when the content cannot be imported; nothing was.
    :raises StorageError: when the object cannot be read, or is not what was received.
    :raises LeaseLost: when the job is no longer this attempt's; nothing was imported.
    :raises psycopg.Error: when the database refuses; nothing was imported.
    """
    try:
        with storage.open(attempt.job.object_key) as attempt.reader:
            verdicts = _verdicts(_verified(attempt.reader, attempt.job, attempt.tally), attempt, max_row_bytes)
            _load_or_abort(connection, attempt, verdicts)
    except (DataFlowError, psycopg.Error):
        # Whatever comes of an object that `stop` has closed, the file is not to blame for it.
        attempt.check()
        raise
    finally:
        attempt.reader = None


def _load_or_abort(connection: Connection, attempt: Attempt, verdicts: Iterator[Verdict]) -> None:
    try:
        _load(connection, attempt, verdicts)
    except InvalidContacts:
        # Nothing will be imported; read on, so that every refused row of the file is counted.
        for _ in verdicts:
            attempt.check()
        raise InvalidContacts(
            f"{attempt.tally.rows_rejected} rows are not valid contacts, and onInvalid=abort allows none."
        ) from None


def _load(connection: Connection, attempt: Attempt, verdicts: Iterator[Verdict]) -> None:
    tally = attempt.tally
    with connection.transaction():
        connection.execute(query("configure_import"))
        ids = _copy(connection, attempt, verdicts)
        if tally.rows_imported == 0:
            refused = f"all {tally.rows_rejected} rows were refused" if tally.rows_rejected else "it has no rows"
            raise NoContacts(f"There is not one contact in the file: {refused}.")
        tally.first_contact_id, tally.last_contact_id = ids.first, ids.last
        attempt.check()
        attempt.is_settling = True
        jobs.succeed(connection, attempt.job, tally)


def _copy(connection: Connection, attempt: Attempt, verdicts: Iterator[Verdict]) -> IdRange:
    ids = IdRange()
    source = contacts.escape(attempt.job.source)
    with connection.cursor() as cursor, cursor.copy(query("copy_contacts")) as copy:
        for verdict in verdicts:
            if verdict.rejected_rows and attempt.job.aborts_on_invalid:
                raise InvalidContacts("onInvalid=abort")
            if verdict.names:
                copy.write(contacts.copy_lines(verdict.names, verdict.emails, source, ids))
                attempt.tally.rows_imported += len(verdict.names)
            attempt.check()
            if _has_spoken(connection):
                # Waiting for the end of the file to hear it may take an hour.
                break
        else:
            return ids
    # Ending the COPY has raised what the server said. If it did not, the rest of the file is missing all the same.
    raise DatabaseUnavailable("The server interrupted the COPY without naming an error.")


def _has_spoken(connection: Connection) -> bool:
    """Whether the server has sent something: during COPY IN it speaks only to refuse, as notices are turned off."""
    return bool(select.select([connection.fileno()], [], [], 0)[0])


def _verdicts(pieces: Iterator[bytes], attempt: Attempt, max_row_bytes: int) -> Iterator[Verdict]:
    for block in FORMATS[attempt.job.format].read_blocks(pieces, max_row_bytes):
        verdict = contacts.judge(block)
        if verdict.rejected_rows:
            attempt.tally.reject(verdict.issues, verdict.rejected_rows)
        yield verdict


def _verified(reader: ObjectReader, job: Job, tally: Tally) -> Iterator[bytes]:
    """The object's bytes, compared with what was recorded when they were received, at each recorded end."""
    digests = iter(job.digests)
    end, expected = next(digests)
    digest = hashlib.sha256()
    tally.bytes_done = 0
    for piece in reader.pieces(PIECE_BYTES):
        rest = piece
        while tally.bytes_done + len(rest) > end:
            head, rest = rest[: end - tally.bytes_done], rest[end - tally.bytes_done :]
            digest.update(head)
            tally.bytes_done += len(head)
            _compare(job, digest.hexdigest(), expected, end)
            end, expected = next(digests, (job.bytes_total + len(piece), ""))
            digest = hashlib.sha256()
        digest.update(rest)
        tally.bytes_done += len(rest)
        yield piece
    if tally.bytes_done != job.bytes_total:
        raise DigestMismatch(f"The stored object has {tally.bytes_done} bytes, {job.bytes_total} were received.")
    _compare(job, digest.hexdigest(), expected, end)


def _compare(job: Job, found: str, expected: str, end: int) -> None:
    if found != expected:
        raise DigestMismatch(f"The stored object {job.object_key} differs from what was received before byte {end}.")
