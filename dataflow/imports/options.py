"""What a client may ask of an import: names, rules and defaults; kept on the job under the names clients write."""

import codecs
import json
import re
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final, Self

from marshmallow import Schema, ValidationError, validate
from marshmallow import fields as typed

from dataflow.contacts.schema import check_source_text
from dataflow.formats.reading import Mapping, Reading

MAX_REJECTS_DEFAULT, MAX_REJECTS_LIMIT = 100_000, 1_000_000
MAX_SKIP_ROWS = 1000
MAX_SHEET_CHARACTERS = 100
_MAX_MAPPED_COLUMNS, _MAX_COLUMN_CHARACTERS = 10, 255
_DELIMITERS: Final = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "\\t": "\t"}
#: Codecs of Python that are no encoding of a file.
_NO_ENCODINGS: Final = {
    *("idna", "punycode", "unicode-escape", "raw-unicode-escape", "charmap", "undefined", "utf-7", "mbcs", "oem"),
}


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one import. What is None is found out from the content."""

    on_invalid: str = "skip"  #: or abort: nothing is imported when a row is refused
    max_rejects: int = MAX_REJECTS_DEFAULT  #: refused rows beyond which nothing is imported
    on_conflict: str = "insert"  #: or skip, update: what becomes of a row whose e-mail is there already
    dry_run: bool = False
    mapping: Mapping | None = None
    encoding: str | None = None
    delimiter: str | None = None
    skip_rows: int | None = None
    use_resumable: bool = False
    charset: str | None = None  #: what its Content-Type says, which is no option of its sender
    sheet: str | None = None  #: of a workbook: its name, or its number from 1

    @classmethod
    def of(cls, given: dict[str, Any]) -> Self:
        """Those that `given` names, in camelCase; jobs of earlier versions name fewer."""
        return cls(**{own: given[name] for own, name in _NAMES.items() if name in given})

    def as_json(self) -> dict[str, Any]:
        """All that is decided, in camelCase."""
        values = {name: getattr(self, own) for own, name in _NAMES.items()}
        return {name: value for name, value in values.items() if value is not None}

    def reading(self, max_row_bytes: int, max_expanded_bytes: int) -> Reading:
        """How the content is to be read."""
        return Reading(
            max_row_bytes,
            max_expanded_bytes,
            self.mapping,
            self.encoding,
            self.charset,
            self.delimiter,
            self.skip_rows,
            self.sheet,
        )


@cache
def camel_case(name: str) -> str:
    """The name by which clients know what we call `name`."""
    return re.sub("_(.)", lambda part: part[1].upper(), name)


_NAMES: Final = {own.name: camel_case(own.name) for own in fields(Options)}


class Flag(typed.Field[bool]):
    """`true` or `false` in any case, nothing else: `yes` and `1` are more often mistakes than wishes."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        words = {"true": True, "false": False}
        if str(value).strip().lower() not in words:
            raise ValidationError("Expected true or false")
        return words[str(value).strip().lower()]


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


class EncodingName(typed.Field[str]):
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


class Number(typed.Field[int]):
    """A whole number from `lowest` to `highest`, written in digits."""

    def __init__(self, highest: int, lowest: int = 0, **more: Any) -> None:
        super().__init__(**more)
        self._lowest, self._highest = lowest, highest

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        text = str(value)
        if not (text.isascii() and text.isdigit() and len(text) < 20 and self._lowest <= int(text) <= self._highest):
            raise ValidationError(f"Expected {self._lowest} to {self._highest}")
        return int(text)


class SheetName(typed.Field[str]):
    """The name of a sheet, or its number, as text."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        name = str(value)
        if not name.strip() or min(name) < " " or len(name) > MAX_SHEET_CHARACTERS:
            raise ValidationError(
                f"Expected the name of a sheet, of 1 to {MAX_SHEET_CHARACTERS} characters, or its number"
            )
        return name


class Delimiter(typed.Field[str]):
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


def _one_of(*choices: str) -> typed.String:
    named = f"{', '.join(choices[:-1])} or {choices[-1]}"
    return typed.String(validate=validate.OneOf(choices, error=f"Expected {named}"))


class OptionsSchema(Schema):
    """The options of an import as text, wherever they come from; with the source, which is not kept among them."""

    #: None stands for a missing one, which only what needs one refuses.
    source = typed.String(
        validate=check_source_text, error_messages={"null": "Required", "invalid": "Expected a string"}
    )
    useResumable = Flag()  # noqa: N815 - the names that clients write
    onInvalid = _one_of("skip", "abort")  # noqa: N815
    maxRejects = Number(MAX_REJECTS_LIMIT)  # noqa: N815
    onConflict = _one_of("insert", "skip", "update")  # noqa: N815
    dryRun = Flag()  # noqa: N815
    mapping = MappingText()
    encoding = EncodingName()
    delimiter = Delimiter()
    skipRows = Number(MAX_SKIP_ROWS)  # noqa: N815
    sheet = SheetName()
