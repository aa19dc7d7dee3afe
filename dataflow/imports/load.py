"""One claimed import: its object becomes contacts, in one transaction, exactly once or not at all.

Everything runs on the connection that claimed the job, and nothing else runs there while a COPY is open: a query would
wait for the COPY and the COPY for its rows, for ever. What a row is worth is left to `validation`, what becomes of
those that are there already to `merge`, and what to do about an error to `runner`.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import psycopg

from dataflow.config import Config
from dataflow.contacts import schema, validation
from dataflow.contacts.validation import Verdict
from dataflow.db import Connection, has_spoken, query, value
from dataflow.errors import (
    ContactsMoved,
    DatabaseUnavailable,
    DataFlowError,
    InvalidContacts,
    NoContacts,
    TooManyRejects,
)
from dataflow.formats.registry import read_blocks
from dataflow.formats.time_limit import TimeLimit
from dataflow.ids import IdRange
from dataflow.imports import merge
from dataflow.imports.attempt import Attempt
from dataflow.imports.digests import verified
from dataflow.imports.import_progress import ImportProgress
from dataflow.imports.options import Options
from dataflow.queue import jobs
from dataflow.storage.base import ObjectReader, Storage


def run(connection: Connection, attempt: Attempt, storage: Storage, config: Config) -> None:
    """Import the job and settle it as `succeeded`. Opens and ends its own transaction.

    :raises InputError: when the content cannot be imported; nothing was.
    :raises StorageError: when the object cannot be read, or is not what was received.
    :raises SpoolUnavailable: when refused rows cannot be kept on disk; nothing was imported.
    :raises LeaseLost: when the job is no longer this attempt's; nothing was imported.
    :raises psycopg.Error: when the database refuses; nothing was imported.
    """
    options = Options.of(attempt.job.options)
    try:
        with storage.open(attempt.job.object_key) as attempt.reader:
            judged = _judged(attempt, attempt.reader, options, config)
            _load_or_abort(connection, attempt, options, judged)
    except (DataFlowError, psycopg.Error):
        # Whatever comes of an object that `stop` has closed, the file is not to blame for it.
        attempt.check()
        raise
    finally:
        attempt.reader = None


def _load_or_abort(connection: Connection, attempt: Attempt, options: Options, judged: Iterator[Verdict]) -> None:
    with suppress(InvalidContacts):
        return _load(connection, attempt, options, judged)
    # Nothing will be imported; read on, so that every refused row of the file is reported. Behind the handler, because
    # the error would keep the block that it met: ten megabytes of a hostile file.
    for _ in judged:
        attempt.check()
    raise InvalidContacts(
        f"{attempt.progress.rows_rejected} rows are not valid contacts, and onInvalid=abort allows none."
    )


def _load(connection: Connection, attempt: Attempt, options: Options, judged: Iterator[Verdict]) -> None:
    progress, is_staged, copied = attempt.progress, options.on_conflict != "insert", 0
    good = _accepted(judged, options)
    if options.dry_run and not is_staged:
        # Before the transaction, which would only wait.
        for _ in good:
            attempt.check()
    with connection.transaction():
        connection.execute(query("session/configure_import"))
        if is_staged:
            merge.stage(connection)
            _copy(connection, attempt, good, merge.COPY_STAGED, source=None)
        elif not options.dry_run:
            copied = _copy(connection, attempt, good, "contacts/copy", schema.escape(attempt.job.source))
        if progress.rows_read == progress.rows_rejected:
            refused = f"all {progress.rows_rejected} rows were refused" if progress.rows_rejected else "it has no rows"
            hint = _unmapped(attempt, options) + progress.findings.elsewhere
            raise NoContacts(f"There is not one contact in the file: {refused}.{hint}")
        attempt.rejects.write(connection, attempt.job.id)
        attempt.check()
        # Others wait for a merge until this transaction ends: nothing that takes time may follow.
        _settle_conflicts(connection, attempt, options, copied)
        _check_ids(connection, progress)
        attempt.check()
        attempt.is_settling = True
        jobs.succeed(connection, attempt.job, progress)


def _unmapped(attempt: Attempt, options: Options) -> str:
    """What to say of a mapping that no row of JSON fits: a table without its columns is refused as a whole."""
    is_fitting = "mapping" in attempt.progress.findings.facts or attempt.job.format not in ("json", "ndjson")
    return " None has both members that mapping asks for." if options.mapping and not is_fitting else ""


def _settle_conflicts(connection: Connection, attempt: Attempt, options: Options, copied: int) -> None:
    """Count what became of the valid rows; those that were only staged become contacts here."""
    progress = attempt.progress
    valid_rows = progress.rows_read - progress.rows_rejected
    if options.on_conflict == "insert":
        copied = valid_rows if options.dry_run else copied
        counts = merge.Counts(copied, 0, valid_rows - copied)
    else:
        with _watched_from_outside(connection, attempt):
            if options.dry_run:
                counts = merge.count(connection, options.on_conflict)
            else:
                counts = merge.merge(connection, options.on_conflict, attempt.job.source)
    if options.dry_run:
        progress.findings.facts["dryRun"] = {
            "rowsImported": counts.rows_imported,
            "rowsUpdated": counts.rows_updated,
            "rowsSkipped": counts.rows_skipped,
        }
        progress.rows_not_imported, counts = valid_rows, merge.Counts(0, 0, 0)
    progress.rows_imported, progress.rows_updated = counts.rows_imported, counts.rows_updated
    progress.rows_skipped = counts.rows_skipped
    if not progress.rows_imported:
        progress.first_contact_id = progress.last_contact_id = None


def _check_ids(connection: Connection, progress: ImportProgress) -> None:
    """See that the import can be reverted, which is by the range of its ids.

    Counting takes 0.1 us a row, so only where there is somebody who may have changed them.

    :raises ContactsMoved: when some of the contacts are not in it.
    """
    if not progress.rows_imported or (triggers := value(connection, "contacts/insert_triggers")) is None:
        return
    found = value(connection, "contacts/count_range", first=progress.first_contact_id, last=progress.last_contact_id)
    if found < progress.rows_imported:
        raise ContactsMoved(
            f"{progress.rows_imported - found} of {progress.rows_imported} contacts are not under the ids they were "
            f"given: a trigger of the table contacts ({triggers}) has changed new.id or removed them again, and the "
            "import could not be reverted. Change the trigger, and try the job again."
        )


@contextmanager
def _watched_from_outside(connection: Connection, attempt: Attempt) -> Iterator[None]:
    """While a single statement works, or waits for its turn, there is nothing here to be counted."""
    row = connection.execute(query("session/backend_pid")).fetchone()
    attempt.merging_pid = int(row["pid"]) if row else None
    try:
        yield
    finally:
        attempt.merging_pid = None


def _accepted(judged: Iterator[Verdict], options: Options) -> Iterator[Verdict]:
    for verdict in judged:
        if verdict.refusals and options.on_invalid == "abort":
            raise InvalidContacts("onInvalid=abort")
        yield verdict


def _copy(connection: Connection, attempt: Attempt, good: Iterator[Verdict], statement: str, source: str | None) -> int:
    """How many rows the server has taken: a trigger of the table's owner may have dropped some."""
    progress, ids, is_complete = attempt.progress, IdRange(), False
    with connection.cursor() as cursor:
        with cursor.copy(query(statement)) as copy:
            for verdict in good:
                if verdict.names:
                    copy.write(schema.copy_lines(verdict.names, verdict.emails, source, ids))
                    # What is only staged may never be a contact.
                    progress.rows_imported += 0 if source is None else len(verdict.names)
                attempt.check()
                if has_spoken(connection):
                    # During COPY only to refuse, as notices are turned off: the end of the file may be an hour away.
                    break
            else:
                is_complete = True
        copied = cursor.rowcount
    if not is_complete:
        # Ending the COPY has raised what the server said. If it did not, the rest of the file is missing all the same.
        raise DatabaseUnavailable("The server interrupted the COPY without naming an error.")
    progress.first_contact_id, progress.last_contact_id = ids.first, ids.last
    return copied


def _judged(attempt: Attempt, reader: ObjectReader, options: Options, config: Config) -> Iterator[Verdict]:
    """The object's rows, block by block; the refused ones are counted, and kept on disk."""
    job, progress, limit = attempt.job, attempt.progress, TimeLimit()

    def check() -> None:
        attempt.check()
        limit.check()

    reading = replace(options.reading(config.max_row_bytes, config.max_expanded_bytes), check=check)
    pieces = limit.received(verified(reader, job, progress))
    for block in read_blocks(job.format, pieces, reading, progress.findings):
        verdict = validation.judge(block)
        progress.rows_read += len(block.names)
        if verdict.refusals:
            progress.reject(verdict.refusals)
            attempt.rejects.add(block, verdict.refusals)
            if progress.rows_rejected > options.max_rejects:
                raise TooManyRejects(
                    f"{progress.rows_rejected} of the first {progress.rows_read} rows are refused, and maxRejects "
                    f"allows {options.max_rejects}: is this the file that was meant? See its rejects."
                )
        yield verdict
        limit.note_rows(len(block.names))
