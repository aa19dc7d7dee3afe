"""/contacts: what is in the table, page by page, and erasing one person."""

from dataclasses import asdict
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
from dataflow.web.answers.others import ContactShownSchema, ContactsPageSchema, ErasedSchema
from dataflow.web.caller import caller
from dataflow.web.openapi import errors, examples, headers
from dataflow.web.openapi.description import SUCCESS, described, json_answer
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
_CONTACT, _ERASED = ContactShownSchema(), ErasedSchema()


@blueprint.get("/contacts")
@described(
    "Contacts by id, which is the newest first",
    {200: json_answer("A page of them.", ContactsPageSchema, {"contacts": [examples.CONTACT]}, [headers.LINK])},
    query=ContactsQuery,
    errors=["job_not_found", "contact_not_found", "search_too_slow"],
    examples={
        SUCCESS: {"source": examples.SOURCE, "importedAfter": "2026-11-30T00:00:00Z", "limit": 10},
        "invalid_request": {"email": "nowhere"},
    },
)
def index() -> ResponseReturnValue:
    wanted = parameters.read(_QUERY, parameters.query())
    caller().check_options({"source": wanted["source"]})
    rows = _found(wanted, caller().scope_of_jobs)
    # A link is logged by proxies: it names a contact of the address, and never the address.
    instead = {"email": None, "emailOf": rows[0]["id"]} if rows and wanted["email"] else {}
    page, further = links.paged(rows, wanted["limit"], itemgetter("id"), **instead)
    return {"contacts": [_CONTACT.of(row) for row in page]}, further


@blueprint.delete("/contacts")
@described(
    "Erase one person: contacts, refused rows, and kept files that are known to hold the address",
    {200: json_answer("What went, and what is left.", ErasedSchema, examples.ERASED)},
    query=PersonQuery,
    errors=["search_too_slow", *errors.OF_THE_STORAGE],
    examples={SUCCESS: {"email": "alice@example.com"}, "invalid_request": {"email": "nowhere"}},
)
def erase() -> dict[str, Any]:
    person = parameters.read(_PERSON, parameters.query())
    erased = erasure.erase(services().pool, services().storage, caller().scope_of_jobs, person["email"])
    return _ERASED.of(asdict(erased))


def _found(wanted: dict[str, Any], scope: Scope) -> list[dict[str, Any]]:
    """One contact more than a page has, if there are more."""
    like: UUID | None = wanted.pop("email_of")
    if like and wanted["email"]:
        raise RequestError("email and emailOf: give one of them.")
    with borrowed(services().pool) as connection:
        email = contact_pages.email_of(connection, scope, like) if like else wanted["email"]
        return contact_pages.page(connection, scope, {**wanted, "email": email, "limit": wanted["limit"] + 1})
