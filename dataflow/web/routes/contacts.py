"""/contacts: what is in the table, page by page, and erasing one person."""

from operator import itemgetter
from typing import Any
from uuid import UUID

from flask import Blueprint
from flask.typing import ResponseReturnValue
from marshmallow import Schema
from marshmallow import fields as typed

from dataflow.contacts.filters import Address, Moment
from dataflow.contacts.schema import check_storable
from dataflow.db import borrowed
from dataflow.errors import RequestError
from dataflow.imports import contact_pages, erasure
from dataflow.imports.option_kinds import Number
from dataflow.queue.scope import Scope
from dataflow.web import links, parameters
from dataflow.web.caller import caller
from dataflow.web.services import services

blueprint = Blueprint("contacts", __name__)


class ContactsQuery(Schema):
    source = typed.String(load_default=None, validate=check_storable)
    email = Address(load_default=None)
    email_of = typed.UUID(load_default=None, data_key="emailOf")
    job_id = typed.UUID(load_default=None, data_key="jobId")
    imported_after = Moment(load_default=None, data_key="importedAfter")
    imported_before = Moment(load_default=None, data_key="importedBefore")
    limit = Number(1000, lowest=1, load_default=100)
    cursor = typed.UUID(load_default=None)


class PersonQuery(Schema):
    email = Address(required=True, error_messages={"required": "Expected the address of whoever is to be erased"})


_QUERY, _PERSON = ContactsQuery(), PersonQuery()


@blueprint.get("/contacts")
def index() -> ResponseReturnValue:
    wanted = parameters.read(_QUERY, parameters.query())
    caller().check_options({"source": wanted["source"]})
    rows = _found(wanted, caller().scope_of_jobs)
    # A link is logged by proxies: it names a contact of the address, and never the address.
    instead = {"email": None, "emailOf": rows[0]["id"]} if rows and wanted["email"] else {}
    page, headers = links.paged(rows, wanted["limit"], itemgetter("id"), **instead)
    return {"contacts": [_as_json(row) for row in page]}, headers


@blueprint.delete("/contacts")
def erase() -> dict[str, Any]:
    person = parameters.read(_PERSON, parameters.query())
    erased = erasure.erase(services().pool, services().storage, caller().scope_of_jobs, person["email"])
    return {
        "contacts": erased.contacts,
        "rejects": erased.rejects,
        "jobs": erased.jobs,
        "files": erased.files,
        "filesLeft": [str(job_id) for job_id in erased.files_left],
        "filesUnread": erased.files_unread,
    }


def _found(wanted: dict[str, Any], scope: Scope) -> list[dict[str, Any]]:
    """One contact more than a page has, if there are more."""
    like: UUID | None = wanted.pop("email_of")
    if like and wanted["email"]:
        raise RequestError("email and emailOf: give one of them.")
    with borrowed(services().pool) as connection:
        email = contact_pages.email_of(connection, scope, like) if like else wanted["email"]
        return contact_pages.page(connection, scope, {**wanted, "email": email, "limit": wanted["limit"] + 1})


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    """Other applications may have contacts without a time."""
    moment = row["imported_at"]
    shown = {name: row[name] for name in ("name", "email", "source")}
    return {"id": str(row["id"]), **shown, "importedAt": moment and links.as_time(moment)}
