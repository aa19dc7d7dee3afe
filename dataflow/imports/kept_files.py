"""Removing the files of jobs before their time, because they hold somebody who is to be forgotten."""

import logging
from collections.abc import Collection
from uuid import UUID

from dataflow.db import Pool, borrowed, query, value
from dataflow.errors import StorageError
from dataflow.queue import retention
from dataflow.queue.retention import File, Leftover
from dataflow.queue.scope import Scope
from dataflow.storage.base import Storage

logger = logging.getLogger(__name__)


class KeptFiles:
    """Those of a scope; no connection is held while the storage is asked."""

    def __init__(self, pool: Pool, storage: Storage, scope: Scope) -> None:
        self._pool = pool
        self._storage = storage
        self._scope = scope.as_values()
        self.removed: set[UUID] = set()  #: jobs whose file was removed
        self.left: set[UUID] = set()  #: jobs whose file could not be: of another database, or needed, or refused

    def remove(self, job_ids: Collection[UUID]) -> None:
        """Those of these jobs, and those that have the same content."""
        if not job_ids:
            return
        with borrowed(self._pool) as connection:
            kept = connection.execute(query("jobs/kept_files"), {"ids": list(job_ids), **self._scope}).fetchall()
        for row in kept:
            if row["id"] in self.removed:
                continue
            is_removed = row["finished_at"] is not None and self._remove(
                Leftover(row["id"], row["finished_at"]), row["is_complete"]
            )
            (self.removed if is_removed else self.left).add(row["id"])
        self.left -= self.removed

    def count_others(self) -> int:
        """How many files are kept beside those that were found."""
        with borrowed(self._pool) as connection:
            counted = value(connection, "jobs/count_kept_files", others_than=[*self.removed, *self.left], **self._scope)
        return int(counted)

    def _remove(self, job: Leftover, is_complete: bool) -> bool:
        """Whether it is gone; the sweep comes back to a file that the storage does not let go of."""
        with borrowed(self._pool) as connection:
            file = retention.give_up_file(connection, job)
        if file is None:
            return False
        try:
            self._discard(job.id, file, is_complete)
        except StorageError as error:
            logger.warning("file not removed", extra={"job_id": str(job.id), "code": error.code})
            return False
        return True

    def _discard(self, job_id: UUID, file: File, is_complete: bool) -> None:
        self._storage.discard(file.object_key, file.upload_url)
        # What never became whole may still be arriving: the sweep looks again when its request has surely ended.
        if is_complete:
            with borrowed(self._pool) as connection:
                retention.mark_object_deleted(connection, job_id)
