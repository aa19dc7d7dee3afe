"""The formats of an export: the COPY that makes the rows, and what stands before, between and behind them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import psycopg
from psycopg import sql

from dataflow.db import Connection, query
from dataflow.errors import Issue, RequestError
from dataflow.exports.selection import Selection
from dataflow.formats import formulas


@dataclass(frozen=True, slots=True)
class Making:
    """What a format needs beside the rows. `check` is called now and then, and raises when nobody waits any more."""

    fields: Sequence[str]
    check: Callable[[], None] = lambda: None
    note: Callable[[Issue], None] = lambda _: None  #: is told of what had to be changed


def _as_they_are(blocks: Iterable[bytes], _: Making) -> Iterator[bytes]:
    yield from blocks


def _in_array(blocks: Iterable[bytes], _: Making) -> Iterator[bytes]:
    """Lines as members of one array. No line end is within a row: JSON has it as `\\n`."""
    yield b"["
    separator = b"\n"
    for block in blocks:
        yield separator + block.removesuffix(b"\n").replace(b"\n", b",\n")
        separator = b",\n"
    yield b"\n]\n"


def _as_cards(blocks: Iterable[bytes], _: Making) -> Iterator[bytes]:
    for block in blocks:
        yield block.replace(b"\n", b"\r\n").replace(b"\x03", b"\r\n")


def _as_workbook(blocks: Iterable[bytes], making: Making) -> Iterator[bytes]:
    # Only now: the library takes 8 MB, and processes of web make no workbooks.
    from dataflow.exports import workbook

    yield from workbook.written(blocks, making.fields, making.check, making.note)


@dataclass(frozen=True, slots=True)
class Format:
    media_type: str
    extension: str
    statement: str
    written: Callable[[Iterable[bytes], Making], Iterator[bytes]] = (
        _as_they_are  #: blocks of whole rows as they are sent
    )
    has_fields: bool = True  #: whether one can say which
    #: columns of a header row behind the fields; None where there is no header row
    header: tuple[str, ...] | None = None

    def pieces(self, blocks: Iterable[bytes], making: Making) -> Iterator[bytes]:
        """The file; what comes first, if only nothing, does not wait for the rows."""
        yield b"" if self.header is None else (",".join((*making.fields, *self.header)) + "\n").encode()
        yield from self.written(blocks, making)

    def copy(self, connection: Connection, fields: Sequence[str], selection: Selection) -> bytes:
        """The statement, with all values as literals: COPY takes no parameters."""
        named = {value: _composed("exports/vcard_value", value=sql.Identifier(value)) for value in _CARD_VALUES}
        contacts = _composed("exports/contacts")
        columns = sql.SQL(", ").join(map(sql.Identifier, fields))
        composed = _composed(self.statement, contacts=contacts, fields=columns, **named)
        values = {**asdict(selection), "fields": list(fields), "formula": formulas.PATTERN}
        return psycopg.ClientCursor(connection).mogrify(composed, values).encode()


_CARD_VALUES: Final = ("name", "parts", "email", "source")
_RAW_CSV: Final = Format("text/csv; charset=utf-8", "csv", "exports/csv_raw", header=())
FORMATS: Final = {
    "csv": Format("text/csv; charset=utf-8", "csv", "exports/csv", header=(formulas.COLUMN,)),
    "ndjson": Format("application/x-ndjson", "ndjson", "exports/json"),
    "json": Format("application/json", "json", "exports/json", _in_array),
    "vcard": Format("text/vcard; charset=utf-8", "vcf", "exports/vcard", _as_cards, has_fields=False),
}
#: Of those that are made as a job, too: a workbook is nothing before it is whole.
JOB_FORMATS: Final = {
    **FORMATS,
    "xlsx": Format(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", "exports/xlsx", _as_workbook
    ),
}


def format_of(name: str, is_raw: bool = False, has_fields: bool = False) -> Format:
    """:raises RequestError: when a format cannot be `raw`, or nobody can say its fields."""
    form = _RAW_CSV if is_raw else JOB_FORMATS[name]
    if is_raw and name != "csv":
        raise RequestError(f"raw: only the cells of CSV are guarded; {name} is as it is.")
    if has_fields and not form.has_fields:
        raise RequestError("fields: a vCard has what cards have, id, name, e-mail, source and time of import.")
    return form


def file_name(source: str | None, extension: str) -> str:
    """One that every file system takes; it may have letters that are not ASCII."""
    plain = "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in source or "")[:100]
    return f"contacts-{plain}.{extension}" if plain else f"contacts.{extension}"


def _composed(statement: str, /, **parts: sql.Composable) -> sql.Composed:
    return sql.SQL(query(statement).decode()).format(**parts)
