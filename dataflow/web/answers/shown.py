"""The base of all answers: a marshmallow schema that writes a row of the database as JSON, fast."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from marshmallow import RAISE, Schema
from marshmallow import fields as typed

from dataflow.web import links

#: Kinds of fields that write a value as it is; what is nested is JSON already.
_AS_IT_IS: Final = (typed.String, typed.Integer, typed.Boolean, typed.Dict, typed.Raw, typed.Nested)


class Time(typed.DateTime):
    """A time in UTC as RFC 3339."""

    def _serialize(self, value: Any, *_: Any, **__: Any) -> str | None:
        return links.as_time(value) if isinstance(value, datetime) else value


class Shown(Schema):
    """An answer, or a part of one; it has no other members than its fields."""

    class Meta:
        unknown = RAISE

    def of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """`row` as JSON, as far as it has what the fields are named for.

        `dump` does the same and takes three times as long: a page of 1000 jobs has 36,000 values.
        """
        return {
            name: row[own] if write is None or row[own] is None else write(row[own], own, row)
            for own, name, write in self._ways
            if own in row
        }

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._ways: Sequence[tuple[str, str, Callable[..., Any] | None]] = [
            (own, field.data_key or own, _way(field)) for own, field in self.dump_fields.items()
        ]


def _way(field: typed.Field[Any]) -> Callable[..., Any] | None:
    """How a field writes a value; None for as it is."""
    written = field.inner if isinstance(field, typed.List) else field
    return None if isinstance(written, _AS_IT_IS) and not isinstance(written, typed.UUID) else field._serialize


def always(kind: type[typed.Field[Any]], name: str | None = None, text: str = "", **more: Any) -> Any:
    """A member that is always there; with `is_nullable`, perhaps as null.

    :param name: as clients read it, where that is not how we call it.
    """
    is_nullable = more.pop("is_nullable", False)
    metadata = {**({"description": text} if text else {}), **more.pop("metadata", {})}
    return kind(required=True, allow_none=is_nullable, data_key=name, metadata=metadata, **more)


def maybe(kind: type[typed.Field[Any]], name: str | None = None, text: str = "", **more: Any) -> Any:
    """A member that is not always there."""
    metadata = {**({"description": text} if text else {}), **more.pop("metadata", {})}
    return kind(data_key=name, metadata=metadata, **more)
