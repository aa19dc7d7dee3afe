"""The dialect of a delimited text, and the errors of a text that breaks it as a whole."""

from dataclasses import dataclass

from dataflow.errors import MalformedInput, RowTooLarge
from dataflow.formats.columns.contact_columns import Columns
from dataflow.formats.tables.cells import Row
from dataflow.formats.tables.table_wrapping import NONE, Wrapping


@dataclass(frozen=True, slots=True)
class Dialect:
    delimiter: str
    header_line: int  #: physical line on which the header row begins, from 1
    header: list[str]
    columns: Columns
    skip_initial_space: bool = False  #: blanks between a delimiter and a quote belong to neither cell
    quote: str = '"'
    wrapping: Wrapping = NONE  #: what is to be taken off its values
    above: tuple[Row, ...] = ()  #: rows above the header row that may be contacts, each with its line


def unclosed_quote(line: int) -> MalformedInput:
    return MalformedInput(f"The quote that opens a cell on line {line} is never closed: the rest of the file is in it.")


def row_too_large(max_row_bytes: int) -> RowTooLarge:
    return RowTooLarge(f"A row is larger than {max_row_bytes} bytes (MAX_ROW_BYTES). Is a quote left open?")
