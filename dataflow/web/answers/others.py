"""Contacts, what became of an erased person, tokens, and the state of the service."""

from marshmallow import fields as typed
from marshmallow import validate

from dataflow.web.answers.shown import Shown, Time, always, maybe


class ContactShownSchema(Shown):
    id = always(typed.UUID)
    name = always(typed.String)
    email = always(typed.String)
    source = always(typed.String)
    imported_at = always(Time, "importedAt", "null where another application has set none", is_nullable=True)


class ContactsPageSchema(Shown):
    contacts = always(typed.List, cls_or_instance=typed.Nested(ContactShownSchema))


class ErasedSchema(Shown):
    contacts = always(typed.Integer)
    rejects = always(typed.Integer, text="refused rows")
    jobs = always(typed.Integer, text="whose own texts held the address")
    files = always(typed.Integer, text="that were kept and held the address")
    files_left = always(
        typed.List, "filesLeft", "jobs whose file holds the address and is needed", cls_or_instance=typed.UUID()
    )
    files_unread = always(typed.Integer, "filesUnread", "kept files into which nobody has looked")


class TokenShownSchema(Shown):
    token = always(typed.String)
    expires_at = always(Time, "expiresAt")
    source = always(typed.String)


class CheckSchema(Shown):
    status = always(typed.String)
    error = maybe(typed.String)
    heldJobs = maybe(typed.Integer, text="that are another database's")  # noqa: N815 - as clients read it
    warning = maybe(typed.String)
    live = maybe(typed.Integer, text="workers; null when nobody knows", allow_none=True)


class ChecksSchema(Shown):
    database = always(typed.Nested, nested=CheckSchema)
    storage = always(typed.Nested, nested=CheckSchema)
    worker = always(typed.Nested, nested=CheckSchema)


class HealthSchema(Shown):
    status = always(typed.String, validate=validate.OneOf(["healthy", "degraded", "unhealthy"]))
    error = maybe(typed.String)
    timestamp = always(Time)
    checks = always(typed.Nested, nested=ChecksSchema)
