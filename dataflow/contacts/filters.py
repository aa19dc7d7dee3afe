"""How a request says which contacts it means: the kinds of parameters that are an address or a time.

They are String and DateTime to a generator of documents.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final

from marshmallow import ValidationError
from marshmallow import fields as typed

from dataflow.contacts.schema import check_email, check_storable

_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?P<time>T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))?", re.ASCII | re.IGNORECASE
)
_EXPECTED_MOMENT: Final = (
    "Expected a date or a time, as in 2026-11-30, 2026-11-30T09:00:00Z or 2026-11-30T10:00:00%2B01:00"
)


class Address(typed.String):
    """An e-mail address that a contact could have. What refuses another does not repeat it."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        address = str(value)
        try:
            check_storable(address)
            check_email(address)
        except ValidationError as error:
            if " " in address:
                raise ValidationError(f"{error.messages[0]} Write + as %2B: alone it is a blank.") from error
            raise
        return address


class Moment(typed.DateTime):
    """A time of RFC 3339, or a date: its first moment in UTC."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        text = str(value).upper()
        try:
            if found := _MOMENT.fullmatch(text):
                moment = datetime.fromisoformat(text)
                # In UTC: Postgres takes no offset of 16 hours and more.
                return moment.astimezone(UTC) if found["time"] else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError) as error:
            raise ValidationError(_EXPECTED_MOMENT) from error
        raise ValidationError(_EXPECTED_MOMENT)
