"""One claimed import: its object becomes contacts, in one transaction, exactly once or not at all.

All of it runs on the connection that claimed the job. Nothing else runs there while a COPY is open: a query would wait
for the COPY and the COPY for its rows, for ever.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cached_property

import psycopg

from dataflow import db
from dataflow.config import Config
from dataflow.contacts import copy_text, validation
from dataflow.contacts.validation import Verdict
from dataflow.db import Connection, query, wait_to_send
from dataflow.errors import (
    DatabaseUnavailable,
    DataFlowError,
    InputError,
    InvalidContacts,
    NoContacts,
)
from dataflow.formats.reading import Reading
from dataflow.formats.registry import read_blocks
from dataflow.formats.time_limit import TimeLimit
from dataflow.ids import IdRange
from dataflow.imports import merge
from dataflow.imports.contact_ids import check_ids
from dataflow.imports.digests import verified
from dataflow.imports.import_progress import ImportProgress
from dataflow.imports.options import Options
from dataflow.imports.recognition import format_of_stored
from dataflow.imports.rejects import RejectSpool
from dataflow.queue import jobs, retention
from dataflow.queue.attempt import Attempt
from dataflow.queue.handler import Handler
from dataflow.storage.base import Storage
from dataflow.text import storable

logger = logging.getLogger(__name__)


class ImportHandler(Handler):
    """Keeps the refused rows in `rejects` until the job is settled, and deletes the object after a success."""

    progress: ImportProgress

    def __init__(self, attempt: Attempt, storage: Storage, config: Config) -> None:
        super().__init__(attempt, ImportProgress())
        self.rejects = RejectSpool()
        self._format = attempt.job.format
        self._storage = storage
        self._config = config

    @property
    def subject(self) -> dict[str, object]:
        return {"bytes": self.attempt.job.bytes_total, "format": self.attempt.job.format}

    @property
    def counts(self) -> dict[str, int]:
        names = ("read", "imported", "updated", "skipped", "rejected", "not_imported")
        return {name: getattr(self.progress, f"rows_{name}") for name in names}

    @property
    def failure_seconds(self) -> float:
        return self.rejects.write_seconds

    @cached_property
    def options(self) -> Options:
        return Options.of(self.attempt.job.options)

    def run(self, connection: Connection) -> None:
        """Whatever is raised, nothing was imported.

        :raises InputError: when the content cannot be imported.
        :raises StorageError: when the object cannot be read, or is not what the client has sent.
        :raises DataFlowError: spool_unavailable when refused rows cannot be kept on disk.
        :raises LeaseLost: when the job is no longer this attempt's.
        :raises psycopg.Error: when the database refuses.
        """
        try:
            with self._storage.open(self.attempt.job.object_key) as reader, self.attempt.reading(reader):
                pieces = verified(reader, self.attempt.job, self.progress)
                self._load_or_abort(connection, self._judged(self._recognised(connection, pieces)))
        except (DataFlowError, psycopg.Error):
            # Whatever comes of an object that `stop` has closed, the file is not to blame for it.
            self.attempt.check()
            raise

    def on_failure(self, connection: Connection, refusal: DataFlowError | None) -> str:
        """Write the refused rows; a job without them is better than one without an end."""
        if not self.rejects.rows:
            return ""
        if refusal is not None:
            return f" Its refused rows could not be kept: {storable(refusal.message)}"
        # Without the time-outs of the server: the transaction has a deadline of ours, or each try would end the same.
        connection.execute(query("session/configure_import"))
        self.rejects.write(connection, self.attempt.job.id)
        return ""

    def after_commit(self, connection: Connection) -> None:
        """Delete the object; if that fails, the sweep does it."""
        try:
            self._storage.delete(self.attempt.job.object_key)
            with db.translated():
                retention.mark_object_deleted(connection, self.attempt.job.id)
        except DataFlowError as error:
            logger.warning("object not deleted", extra={**self.attempt.log_facts, "code": error.code})

    def close(self) -> None:
        self.rejects.close()

    def _load_or_abort(self, connection: Connection, judged: Iterator[Verdict]) -> None:
        with suppress(InvalidContacts):
            return self._load(connection, judged)
        # Nothing will be imported; read on, so that every refused row of the file is reported. Behind the handler,
        # because the error would keep the block that it met: ten megabytes of a hostile file.
        for _ in judged:
            self.attempt.check()
        raise InvalidContacts(
            f"{self.progress.rows_rejected} rows are not valid contacts, and onInvalid=abort allows none."
        )

    def _load(self, connection: Connection, judged: Iterator[Verdict]) -> None:
        attempt, progress, options = self.attempt, self.progress, self.options
        is_staged, copied = options.on_conflict != "insert", 0
        good = _accepted(judged, options)
        if options.dry_run and not is_staged:
            # Before the transaction, which would only wait.
            for _ in good:
                attempt.check()
        with connection.transaction():
            connection.execute(query("session/configure_import"))
            if is_staged:
                merge.stage(connection)
                self._copy(connection, good, merge.COPY_STAGED, source=None)
            elif not options.dry_run:
                copied = self._copy(connection, good, "contacts/copy", copy_text.escape(attempt.job.source))
            self._require_contacts()
            self.rejects.write(connection, attempt.job.id)
            attempt.check()
            # Others wait for a merge until this transaction ends: nothing that takes time may follow.
            self._settle_conflicts(connection, copied)
            check_ids(connection, progress)
            attempt.check()
            attempt.is_settling = True
            jobs.succeed(connection, attempt.job, progress)

    def _require_contacts(self) -> None:
        progress = self.progress
        if progress.rows_valid:
            return
        refused = f"all {progress.rows_rejected} rows were refused" if progress.rows_rejected else "it has no rows"
        # A mapping that no row of JSON fits; a table without its columns is refused as a whole.
        is_fitting = "mapping" in progress.findings.facts or self._format not in ("json", "ndjson")
        unmapped = " None has both members that mapping asks for." if self.options.mapping and not is_fitting else ""
        raise NoContacts(f"There is not one contact in the file: {refused}.{unmapped}{progress.findings.elsewhere}")

    def _settle_conflicts(self, connection: Connection, copied: int) -> None:
        """Count what became of the valid rows; staged ones become contacts here."""
        progress, options = self.progress, self.options
        if options.on_conflict == "insert":
            imported = progress.rows_valid if options.dry_run else copied
            counts = merge.Counts(imported, 0, progress.rows_valid - imported)
        else:
            with self.attempt.watched_statement(connection):
                if options.dry_run:
                    counts = merge.count(connection, options.on_conflict)
                else:
                    counts = merge.merge(connection, options.on_conflict, self.attempt.job.source)
        progress.settle(counts, options.dry_run)

    def _copy(self, connection: Connection, good: Iterator[Verdict], statement: str, source: str | None) -> int:
        """How many rows the server has taken: a trigger of the table's owner may have dropped some."""
        progress, ids, is_complete = self.progress, IdRange(), False
        with connection.cursor() as cursor:
            with cursor.copy(query(statement)) as copy:
                for verdict in good:
                    if not wait_to_send(connection, self.attempt.check):
                        # During COPY only to refuse, as notices are turned off: the end of the file may be an hour
                        # away.
                        break
                    if verdict.names:
                        copy.write(copy_text.copy_lines(verdict.names, verdict.emails, source, ids))
                        # What is only staged may never be a contact.
                        progress.rows_imported += 0 if source is None else len(verdict.names)
                    self.attempt.check()
                else:
                    is_complete = True
            copied = cursor.rowcount
        if not is_complete:
            # Ending the COPY has raised what the server said. If not, the rest of the file is missing all the same.
            raise DatabaseUnavailable("The server interrupted the COPY without naming an error.")
        progress.first_contact_id, progress.last_contact_id = ids.first, ids.last
        return copied

    def _recognised(self, connection: Connection, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The same pieces; the format of an upload whose beginning came in small parts is found out first."""
        if self._format is None:
            self._format, pieces = format_of_stored(self.attempt.job, pieces, self._reading)
            jobs.note_format(connection, self.attempt.job, self._format)
        return pieces

    @property
    def _reading(self) -> Reading:
        return self.options.reading(self._config.max_row_bytes, self._config.max_expanded_bytes)

    def _judged(self, pieces: Iterator[bytes]) -> Iterator[Verdict]:
        """The object's rows, block by block; the refused ones are counted, and kept on disk."""
        progress, limit = self.progress, TimeLimit()

        def check() -> None:
            self.attempt.check()
            limit.check()

        reading = replace(self._reading, check=check)
        for block in read_blocks(str(self._format), limit.timed(pieces), reading, progress.findings):
            verdict = validation.judge(block)
            progress.rows_read += len(block.names)
            if verdict.refusals:
                progress.reject(verdict.refusals)
                self.rejects.add(block, verdict.refusals)
                if progress.rows_rejected > self.options.max_rejects:
                    raise InputError(
                        f"{progress.rows_rejected} of the first {progress.rows_read} rows are refused, and maxRejects "
                        f"allows {self.options.max_rejects}: is this the file that was meant? See its rejects.",
                        code="too_many_rejects",
                    )
            yield verdict
            limit.note_rows(len(block.names))


def _accepted(judged: Iterator[Verdict], options: Options) -> Iterator[Verdict]:
    for verdict in judged:
        if verdict.refusals and options.on_invalid == "abort":
            raise InvalidContacts("onInvalid=abort")
        yield verdict
