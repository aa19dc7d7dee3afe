"""The kinds of options: marshmallow fields that read one from text each, and what a refusal says.

They are Boolean, Integer and String to a generator of documents. Which options there are is left to `options`.
"""

import codecs
import json
import re
from typing import Any, Final

from marshmallow import ValidationError, validate
from marshmallow import fields as typed

from dataflow.formats.reading import Mapping

MAX_SHEET_CHARACTERS = 100
_MAX_MAPPED_COLUMNS, _MAX_COLUMN_CHARACTERS = 10, 255
_DELIMITERS: Final = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "\\t": "\t"}
#: Codecs of Python that are no encoding of a file.
_NO_ENCODINGS: Final = {
    *("idna", "punycode", "unicode-escape", "raw-unicode-escape", "charmap", "undefined", "utf-7", "mbcs", "oem"),
}


class Flag(typed.Boolean):
    """`true` or `false` in any case, nothing else: `yes` and `1` are more often mistakes than wishes."""

    truthy, falsy = {"true"}, {"false"}
    default_error_messages = {"invalid": "Expected true or false"}  # noqa: RUF012 - as marshmallow declares it

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:
        return super()._deserialize(str(value).strip().lower(), *args, **kwargs)


class Number(typed.Integer):
    """A whole number from `lowest` to `highest`, written in digits."""

    def __init__(self, highest: int, lowest: int = 0, **more: Any) -> None:
        expected = f"Expected {lowest} to {highest}"
        in_range = validate.Range(lowest, highest, error=expected)
        super().__init__(validate=in_range, error_messages={"invalid": expected}, **more)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        # Python's int takes spaces, underscores and digits of other scripts as well.
        if not re.fullmatch("[0-9]{1,19}", str(value)):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, *args, **kwargs)


class MappingText(typed.Field[Mapping]):
    """`{"name": "Full name", "email": ["Mail"]}` as text: for each field a column, or several that are joined."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Mapping:
        try:
            given = json.loads(value)
        except (ValueError, TypeError, RecursionError) as error:
            raise ValidationError('Expected JSON like {"name": "Full name", "email": "Mail"}') from error
        if not isinstance(given, dict) or not given or not set(given) <= {"name", "email"}:
            raise ValidationError("Expected an object with name, email or both")
        mapping = {field: [columns] if isinstance(columns, str) else columns for field, columns in given.items()}
        if not all(map(_are_columns, mapping.values())):
            raise ValidationError(
                f"Expected the name of a column, or a list of 1 to {_MAX_MAPPED_COLUMNS}, "
                f"each of 1 to {_MAX_COLUMN_CHARACTERS} characters"
            )
        return mapping


def _are_columns(columns: object) -> bool:
    return (
        isinstance(columns, list)
        and 1 <= len(columns) <= _MAX_MAPPED_COLUMNS
        and all(isinstance(column, str) and column.strip() and column.isprintable() for column in columns)
        and max(map(len, columns)) <= _MAX_COLUMN_CHARACTERS
    )


class EncodingName(typed.String):
    """The name of an encoding as Python knows it, in its plain form."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        name = encoding_name(str(value))
        if name is None:
            raise ValidationError("Expected the name of an encoding, such as utf-8, cp1252 or utf-16")
        return name


def encoding_name(text: str) -> str | None:
    """How Python calls an encoding of text files, None when it knows none of that name."""
    try:
        codec = codecs.lookup(text.strip())
        "".encode(codec.name)  # refused by codecs that are no text encodings
    except (LookupError, ValueError, TypeError):
        return None
    return None if codec.name in _NO_ENCODINGS or codec.incrementaldecoder is None else codec.name


class Delimiter(typed.String):
    """One of the delimiters that files have, as a character or by its name."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        delimiter = _DELIMITERS.get(str(value).lower(), str(value))
        if delimiter not in _DELIMITERS.values():
            raise ValidationError("Expected one of , ; | or tab")
        return delimiter


def charset_label(text: str) -> str | None:
    """What the `charset` of a Content-Type adds to what is looked for anyway; None also for names nobody knows."""
    name = encoding_name(text)
    return None if name in ("utf-8", "ascii") else name


def one_of(*choices: str) -> typed.String:
    named = f"{', '.join(choices[:-1])} or {choices[-1]}"
    return typed.String(validate=validate.OneOf(choices, error=f"Expected {named}"))


def check_sheet(name: str) -> None:
    if not name.strip() or min(name) < " " or len(name) > MAX_SHEET_CHARACTERS:
        raise ValidationError(f"Expected the name of a sheet, of 1 to {MAX_SHEET_CHARACTERS} characters, or its number")
