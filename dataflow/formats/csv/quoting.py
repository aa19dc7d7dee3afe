"""Which quotes a delimited text has around its cells, and what its values are wrapped in: told by the first rows.

Exports of databases quote with ' as well: their header and rows are split anew, as a value may hold the delimiter.
"""

from dataclasses import replace
from itertools import islice
from typing import Final

from dataflow.errors import DataFlowError
from dataflow.formats.columns import contact_columns
from dataflow.formats.columns.addresses import is_address
from dataflow.formats.columns.contact_columns import REJECTS_COLUMNS
from dataflow.formats.csv.dialect import Dialect
from dataflow.formats.csv.records import after_lines, complete_lines, lines_of, records_of
from dataflow.formats.formulas import Guards
from dataflow.formats.reading import Reading
from dataflow.formats.signs import plain_lines
from dataflow.formats.tables.table_wrapping import SAMPLE_ROWS, Wrapping, has_opening, wrapping_of
from dataflow.formats.wrapping import is_quoted, unquoted

_SINGLE: Final = "'"


def with_quotes(text: str, first_line: int, found: Dialect, reading: Reading, is_whole: bool) -> Dialect:
    """The same dialect with its quotes, and what its values are wrapped in.

    :param text: where the dialect was found, from `first_line` on; its last line may be cut unless it `is_whole`.
    """
    if guards := Guards.of(found.header):
        return replace(found, wrapping=Wrapping(guards=guards))
    # The rows of a rejects file have lost their quotes already.
    if not has_opening(text) or not {*REJECTS_COLUMNS[1:]}.isdisjoint(found.header):
        return found
    text = plain_lines(after_lines(complete_lines(text, is_whole), found.header_line - first_line))
    rows = _split(text, found)[1]
    wrapping = wrapping_of(found.header, found.columns, rows)
    is_single = all(is_quoted(found.header[at], _SINGLE) for at in found.columns.used)
    if is_single or _SINGLE in wrapping.quotes.values():
        single = _by_single_quotes(text, found, reading)
        wrapping.take_off(rows)
        # Split by single quotes, a value within double quotes keeps those.
        least = max(_sound_rows(rows, found), 1) if rows else 0
        if single and _sound_rows(_split(text, single)[1], single) >= least:
            return single
    header = found.header.copy()
    for at, quote in wrapping.quotes.items():
        header[at] = unquoted(header[at], quote)
    return replace(found, wrapping=wrapping, header=header)


def _by_single_quotes(text: str, found: Dialect, reading: Reading) -> Dialect | None:
    is_spaced = any(cell.startswith(" ") and is_quoted(cell, _SINGLE) for cell in found.header)
    single = replace(found, quote=_SINGLE, skip_initial_space=found.skip_initial_space or is_spaced)
    try:
        header, _ = _split(text, single)
        return replace(single, header=header, columns=contact_columns.require(header, reading.mapping))
    except DataFlowError:
        return None


def _split(text: str, found: Dialect) -> tuple[list[str], list[list[str]]]:
    lines = lines_of(text)
    records = records_of(lines, found.delimiter, found.header_line, found.skip_initial_space, found.quote)
    rows = [record.cells for record in islice(records, SAMPLE_ROWS + 1) if not record.is_open]
    header = rows[0] if rows else []
    return header, [row for row in rows[1:] if len(row) == len(header)]


def _sound_rows(rows: list[list[str]], found: Dialect) -> int:
    """How many rows have an address, and no quotes around a value that is used."""
    used, emails = found.columns.used, found.columns.email_positions
    return sum(
        not any(is_quoted(row[at]) for at in used) and any(is_address(row[at].strip()) for at in emails) for row in rows
    )
