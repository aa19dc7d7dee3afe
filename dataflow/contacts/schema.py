"""What a contact is: one marshmallow schema is the rule."""

import re
from collections.abc import Callable
from typing import Any, Final, Self

import email_validator
from marshmallow import EXCLUDE, Schema, ValidationError
from marshmallow import fields as typed

from dataflow.formats.block import BAD_ENCODING
from dataflow.text import MARK, find_refused, what_is_refused

MAX_NAME_CHARACTERS = 255
MAX_EMAIL_OCTETS = 254  # RFC 5321 section 4.5.3.1.3: a path of 256 octets, less its angle brackets
MAX_SOURCE_CHARACTERS = 100

#: Codes of values; those of rows are in `formats.block`.
INVALID_EMAIL, TOO_LONG, BAD_CHARACTER = "invalid_email", "too_long", "bad_character"

# Whether .test or .local can receive mail is the importing application's business.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()


class Fault(str):
    """A message with its code: marshmallow keeps the object that is raised."""

    code: str

    def __new__(cls, code: str, message: str) -> Self:
        fault = super().__new__(cls, message)
        fault.code = code
        return fault


def check_storable(value: str) -> None:
    if find_refused(value):
        code = BAD_CHARACTER if "\0" in value and MARK not in value else BAD_ENCODING
        raise ValidationError(Fault(code, f"Contains {what_is_refused(value)}"))


#: `ann@example.org.` and `ann@example`, so short that no part can be too long.
_WITHOUT_END: Final = re.compile(
    r"[a-z0-9]+(?:[._+-][a-z0-9]+)*@[a-z0-9]+(?P<end>(?:\.[a-z0-9]+)*\.\.?)?", re.ASCII | re.IGNORECASE
).fullmatch
MAX_PLAIN_CHARACTERS: Final = 63
#: What the library says, and what is true when there is a sign.
_NO_SIGN: Final = "An email address must have an @-sign."
_QUOTED_SIGN: Final = "The @-sign stands behind a quotation mark, or within two."


def check_not_blank(value: str) -> None:
    if not value.strip():
        raise ValidationError("Must not be empty")


def check_email(value: str) -> None:
    if len(value.encode()) > MAX_EMAIL_OCTETS:
        raise ValidationError(Fault(TOO_LONG, f"Invalid email format: longer than {MAX_EMAIL_OCTETS} octets"))
    if (usual := _usual_fault(value)) is not None:
        raise ValidationError(Fault(INVALID_EMAIL, f"Invalid email format: {usual}"))
    try:
        email_validator.validate_email(value, check_deliverability=False, allow_quoted_local=True, strict=True)
    except email_validator.EmailNotValidError as error:
        # The library does not look behind a quotation mark.
        problem = _QUOTED_SIGN if str(error) == _NO_SIGN and "@" in value else str(error)
        raise ValidationError(Fault(INVALID_EMAIL, f"Invalid email format: {problem}")) from error


def _usual_fault(value: str) -> str | None:
    """The most frequent faults in the library's words, which takes 5 to 20 us to find them."""
    if "@" not in value and value.isascii():
        return _NO_SIGN
    if len(value) <= MAX_PLAIN_CHARACTERS and (found := _WITHOUT_END(value)):
        if found["end"]:
            return "An email address cannot end with a period."
        return "The part after the @-sign is not valid. It should have a period."
    return None


def check_length(characters: int) -> Callable[[str], None]:
    def check(value: str) -> None:
        if len(value) > characters:
            raise ValidationError(Fault(TOO_LONG, f"Must contain at most {characters} characters, has {len(value)}"))

    return check


def _text(*checks: Callable[[str], None], **described: Any) -> typed.String:
    """A required text; the first check that fails speaks alone. `described` is what of that JSON Schema can say."""

    def check(value: str) -> None:
        for each in (check_storable, *checks):
            each(value)

    text = typed.String(required=True, validate=check, metadata=described)
    text.error_messages |= {"required": "Required", "null": "Expected a string", "invalid": "Expected a string"}
    return text


def check_source_text(value: str) -> None:
    check_storable(value)
    check_not_blank(value)
    check_length(MAX_SOURCE_CHARACTERS)(value)


class ContactSchema(Schema):
    """The rule for one contact; members that it does not name are ignored."""

    class Meta:
        unknown = EXCLUDE

    name = _text(check_not_blank, check_length(MAX_NAME_CHARACTERS), minLength=1, maxLength=MAX_NAME_CHARACTERS)
    email = _text(check_email, format="email", maxLength=MAX_EMAIL_OCTETS)
