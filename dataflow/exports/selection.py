"""Which contacts an export has: what a client asks for, and what its key allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from dataflow.db import Connection
from dataflow.errors import JobError
from dataflow.queue import jobs
from dataflow.queue.scope import Scope

FIELDS = ("id", "name", "email", "source", "imported_at")
DEFAULT_FIELDS = FIELDS[1:]


@dataclass(frozen=True, slots=True)
class Selection:
    """None is no condition. The times begin an interval that does not have its end; a `limit` keeps the newest."""

    sources: Sequence[str] | None = None
    email: str | None = None  #: in any case
    first_id: UUID | None = None
    last_id: UUID | None = None
    imported_after: datetime | None = None
    imported_before: datetime | None = None
    limit: int | None = None

    @classmethod
    def of(
        cls,
        connection: Connection,
        scope: Scope,
        source: str | None = None,
        job_id: UUID | None = None,
        limit: int | None = None,
        **conditions: str | datetime | None,
    ) -> Self:
        """What is asked for, of the sources in `scope`.

        :raises JobError: job_not_found, or job_unfinished when nobody knows yet which contacts it brings.
        """
        sources = [source] if source is not None else None if scope.sources is None else sorted(scope.sources)
        first_id = last_id = None
        if job_id:
            job = jobs.get(connection, job_id, scope)
            if job["finished_at"] is None:
                raise JobError(
                    f"Job {job_id} is {job['state']}; its contacts are known when it has ended.", code="job_unfinished"
                )
            first_id, last_id = job["first_contact_id"], job["last_contact_id"]
            limit = 0 if first_id is None else limit
        return cls(sources, first_id=first_id, last_id=last_id, limit=limit, **conditions)  # type: ignore[arg-type]
