"""Erasing one person: contacts, refused rows, what jobs keep of their files, and kept files known to hold the address.

Each portion is a transaction of its own, and the files of what it finds go first: whatever ends the request, another
finds what is left. What is imported meanwhile may be missed.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from dataflow.db import Pool, borrowed, query, value
from dataflow.errors import DatabaseError, JobError
from dataflow.imports.address_search import holds, spellings
from dataflow.imports.contact_pages import searching
from dataflow.imports.kept_files import KeptFiles
from dataflow.queue import retention
from dataflow.queue.scope import Scope
from dataflow.storage.base import Storage

logger = logging.getLogger(__name__)

#: Found in one go, as without an index the whole table is read; foreign keys and triggers may take milliseconds a row.
FOUND_ROWS, ERASED_ROWS = 10_000, 1000
#: Looked through at a time: with 4 KiB of each row, 20 MB at most.
PORTION_ROWS: Final = 5000


@dataclass(slots=True)
class Erased:
    """How much was erased; which files hold the person and are left, by job, and how many nobody has looked into."""

    contacts: int = 0
    rejects: int = 0
    jobs: int = 0  #: whose own texts held the address
    files: int = 0
    files_left: list[UUID] = field(default_factory=list)
    files_unread: int = 0


def erase(pool: Pool, storage: Storage, scope: Scope, address: str) -> Erased:
    """Erase whoever has the address, as far as the scope reaches.

    :raises DatabaseError: when the database refuses, or keeps contacts in silence.
    :raises DataFlowError: search_too_slow.
    """
    return _Erasure(pool, KeptFiles(pool, storage, scope), scope, address).run()


class _Erasure:
    def __init__(self, pool: Pool, files: KeptFiles, scope: Scope, address: str) -> None:
        self._pool = pool
        self._files = files
        self._scope = scope
        self._address = address
        self._values = {"email": address, "spellings": spellings(address), **scope.as_values()}
        self._erased = Erased()

    def run(self) -> Erased:
        while self._erase_contacts() == FOUND_ROWS:
            pass
        self._erase_rejects()
        self._erase_texts()
        erased = self._erased
        erased.files, erased.files_left = len(self._files.removed), sorted(self._files.left)
        erased.files_unread = self._files.count_others()
        counts = {"contacts": erased.contacts, "rejects": erased.rejects, "jobs": erased.jobs, "files": erased.files}
        logger.info("person erased", extra={**counts, "files_left": len(erased.files_left)})
        return erased

    def _erase_contacts(self) -> int:
        found = self._search("contacts/find_by_email", limit=FOUND_ROWS)
        for start in range(0, len(found), ERASED_ROWS):
            contacts = found[start : start + ERASED_ROWS]
            portion = [contact["id"] for contact in contacts]
            self._files.remove([row["id"] for row in self._search("jobs/with_files_of_contacts", contact_ids=portion)])
            self._remove_exports(contacts)
            with borrowed(self._pool) as connection:
                values = {"ids": portion, "email": self._address}
                erased = connection.execute(query("contacts/erase"), values).rowcount
                kept = value(connection, "contacts/count_kept", **values)
            self._erased.contacts += erased
            if kept:
                what = f"{kept} of {erased + kept} contacts are still there after they were deleted"
                raise DatabaseError(f"{what}: a trigger or a policy of the table contacts keeps them.")
            # Once more: of those that have begun before they were erased.
            self._remove_exports(contacts)
        return len(found)

    def _remove_exports(self, contacts: Sequence[dict[str, Any]]) -> None:
        values = {
            "contact_ids": [contact["id"] for contact in contacts],
            "contact_sources": [contact["source"] for contact in contacts],
            "contact_times": [contact["imported_at"] for contact in contacts],
        }
        self._files.remove([row["id"] for row in self._search("jobs/with_exports_of_contacts", **values)])

    def _erase_rejects(self) -> None:
        place = {"after_job": UUID(int=0), "after_record": 0}
        while portion := self._search("rejects/find_address", **place, limit=PORTION_ROWS):
            *found, end = portion
            rows = [row for row in found if self._is_meant(row["name"], row["email"], row["original"])]
            if rows:
                self._files.remove({row["job_id"] for row in rows})
                self._erased.rejects += self._delete_rejects(rows)
            place = {"after_job": end["job_id"], "after_record": end["record"]}

    def _delete_rejects(self, rows: Sequence[dict[str, Any]]) -> int:
        values = {
            "job_ids": [row["job_id"] for row in rows],
            "records": [row["record"] for row in rows],
            "originals": [row["original"] for row in rows],
        }
        with borrowed(self._pool) as connection:
            return connection.execute(query("rejects/erase"), values).rowcount

    def _erase_texts(self) -> None:
        for job_id in self._jobs_with_texts():
            self._files.remove([job_id])
            try:
                with borrowed(self._pool) as connection:
                    retention.forget(connection, job_id, self._scope)
            except JobError:
                # It has not ended, or was deleted meanwhile.
                continue
            self._erased.jobs += 1

    def _jobs_with_texts(self) -> Iterator[UUID]:
        after = UUID(int=0)
        while portion := self._search("jobs/find_texts", after=after, limit=PORTION_ROWS):
            *found, end = portion
            yield from [row["id"] for row in found if self._is_meant(*row["texts"])]
            after = end["id"]

    def _is_meant(self, *texts: str | None) -> bool:
        return any(text is not None and holds(text, self._address) for text in texts)

    def _search(self, name: str, **values: Any) -> list[dict[str, Any]]:
        with borrowed(self._pool) as connection, searching():
            return connection.execute(query(name), {**self._values, **values}).fetchall()
