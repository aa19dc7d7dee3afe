"""Pages of the contacts, the newest first, as far as somebody may see them and asks for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from dataflow.db import Connection, query, translated, value
from dataflow.db.pool import REQUEST_SECONDS
from dataflow.errors import DataFlowError, StatementCancelled
from dataflow.queue import jobs
from dataflow.queue.scope import Scope

Contact = dict[str, Any]


def page(connection: Connection, scope: Scope, wanted: dict[str, Any]) -> list[Contact]:
    """At most `limit` contacts behind `cursor`; of `source`, `email`, `job_id` and a time unless these are None.

    :raises JobError: job_not_found when there is no such job for them.
    :raises DataFlowError: search_too_slow.
    """
    values = {**wanted, "sources": _sources(scope, wanted["source"]), "first_id": None, "last_id": None, "ids": None}
    if wanted["job_id"] is not None:
        job = jobs.get(connection, wanted["job_id"], scope)
        # What a revert has of these ids is how far it came.
        if job["kind"] != "import" or job["first_contact_id"] is None:
            return []
        values |= {"first_id": job["first_contact_id"], "last_id": job["last_contact_id"]}
    with searching():
        if values["sources"] is not None and not _has_nearer_way(wanted):
            values |= _by_source_index(connection, values)
        return connection.execute(query("contacts/list"), values).fetchall()


def email_of(connection: Connection, scope: Scope, contact_id: UUID) -> str:
    """The address of a contact.

    :raises DataFlowError: contact_not_found when there is none that they may see.
    """
    values = {"id": contact_id, "sources": _sources(scope, None)}
    found: str | None = value(connection, "contacts/email_of", **values)
    if found is None:
        raise DataFlowError(f"There is no contact {contact_id} any more: ask by email again.", code="contact_not_found")
    return found


@contextmanager
def searching() -> Iterator[None]:
    """Say what helps when a statement takes longer than a request has.

    :raises DataFlowError: search_too_slow, then.
    """
    try:
        with translated():
            yield
    except StatementCancelled as error:
        raise DataFlowError(
            f"The search took longer than {REQUEST_SECONDS:g} s and was ended. Narrow it down, or give the table "
            "contacts the index for it that README names under Contacts.",
            code="search_too_slow",
        ) from error


def _sources(scope: Scope, source: str | None) -> list[str] | None:
    """None for all."""
    if source is None:
        return None if scope.sources is None else sorted(scope.sources)
    return [source] if scope.sources is None or source in scope.sources else []


def _has_nearer_way(wanted: dict[str, Any]) -> bool:
    """Whether something else leads to fewer contacts than their source."""
    is_behind_newer = wanted["imported_before"] is not None and wanted["cursor"] is None
    return wanted["email"] is not None or wanted["job_id"] is not None or is_behind_newer


def _by_source_index(connection: Connection, values: dict[str, Any]) -> dict[str, Any]:
    """What asks for the same contacts by their ids, where there is an index that finds these."""
    if not value(connection, "contacts/has_source_index"):
        return {}
    ids = [row["id"] for row in connection.execute(query("contacts/list_of_sources"), values)]
    others = dict.fromkeys(("sources", "imported_after", "imported_before", "cursor"))
    return {**others, "ids": ids}
