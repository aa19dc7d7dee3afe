"""Which jobs somebody sees and changes; for them there are no others."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from dataflow.db import Connection, query
from dataflow.errors import JobError


@dataclass(frozen=True, slots=True)
class Scope:
    sources: frozenset[str] | None = None  #: of these, and own ones that have not said theirs yet; None: all
    created_by: str | None = None  #: how jobs name them
    is_own_only: bool = False  #: no more than what they have made, and what undoes that

    @property
    def is_all(self) -> bool:
        return self.sources is None and not self.is_own_only

    def as_values(self) -> dict[str, Any]:
        sources = None if self.sources is None else sorted(self.sources)
        return {"sources": sources, "created_by": self.created_by, "is_own_only": self.is_own_only}

    def of(self, source: str | None) -> "Scope":
        """What of it has this source, which only narrows it."""
        if source is None or self.is_own_only or self.sources is None:
            return self
        return Scope(self.sources & {source})

    def check(self, connection: Connection, job_id: UUID) -> None:
        """:raises JobError: job_not_found when there is no such job for them."""
        if self.is_all:
            return
        if connection.execute(query("jobs/is_in_scope"), {"id": job_id, **self.as_values()}).fetchone() is None:
            raise JobError(f"There is no job {job_id}.", code="job_not_found")


#: Of who may use everything.
ALL: Final = Scope()
