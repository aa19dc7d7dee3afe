"""What an export job is to make, as it is asked for and as its row keeps it, and how it is queued."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from psycopg.types.json import Jsonb

from dataflow.db import Connection, query
from dataflow.exports.formats import Format, file_name, format_of
from dataflow.exports.selection import DEFAULT_FIELDS, Selection
from dataflow.ids import uuid7
from dataflow.queue.scope import Scope


@dataclass(frozen=True, slots=True)
class Order:
    format: str
    is_raw: bool
    fields: tuple[str, ...]
    selection: Selection

    @property
    def form(self) -> Format:
        return format_of(self.format, self.is_raw)

    def as_options(self) -> dict[str, Any]:
        """What is shown of it, and all that the worker needs: the sources are those that its sender may use."""
        wanted = self.selection
        given = {
            "email": wanted.email,
            "firstContactId": _as_text(wanted.first_id),
            "lastContactId": _as_text(wanted.last_id),
            "importedAfter": _as_text(wanted.imported_after),
            "importedBefore": _as_text(wanted.imported_before),
            "limit": wanted.limit,
        }
        shape = {"format": self.format, "raw": self.is_raw, "fields": list(self.fields)}
        sources = None if wanted.sources is None else list(wanted.sources)
        return {**shape, "sources": sources, **{name: value for name, value in given.items() if value is not None}}

    @classmethod
    def of_options(cls, options: Mapping[str, Any]) -> Self:
        """:raises LookupError, ValueError, TypeError: for what `as_options` has not made."""
        first, last, after, before = map(
            options.get, ("firstContactId", "lastContactId", "importedAfter", "importedBefore")
        )
        selection = Selection(
            options["sources"],
            options.get("email"),
            first and UUID(first),
            last and UUID(last),
            after and datetime.fromisoformat(after),
            before and datetime.fromisoformat(before),
            options.get("limit"),
        )
        return cls(options["format"], options["raw"], tuple(options["fields"]), selection)


def _as_text(value: UUID | datetime | None) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime) else str(value)


def order(
    connection: Connection,
    scope: Scope,
    wanted: Mapping[str, Any],
    request_id: str | None = None,
    created_by: str | None = None,
) -> UUID:
    """Queue an export of what is `wanted`, as far as it is in `scope`; the id of its job.

    :param wanted: format, raw and fields_, and what `Selection.of` takes.
    :raises RequestError: when the format does not go with the rest.
    :raises JobError: as `Selection.of`.
    """
    conditions = dict(wanted)
    name, is_raw, fields = conditions.pop("format"), conditions.pop("raw"), conditions.pop("fields_", None)
    form = format_of(name, is_raw, fields is not None)
    selection = Selection.of(connection, scope, **conditions)
    made = Order(name, is_raw, fields or DEFAULT_FIELDS, selection)
    job_id, source = uuid7(), wanted.get("source")
    asked = {"jobId": str(wanted["job_id"])} if wanted.get("job_id") else {}
    values = {
        "id": job_id,
        "source": source,
        "file_name": file_name(source, form.extension),
        "content_type": form.media_type,
        "format": name,
        "options": Jsonb({**made.as_options(), **asked}),
        "request_id": request_id,
        "created_by": created_by,
    }
    connection.execute(query("jobs/insert_export"), values)
    return job_id
