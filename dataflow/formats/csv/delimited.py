"""The format `csv`: delimited text with a header row. A row with a wrong number of cells, or quotes, is one bad row."""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Final

from dataflow.errors import MalformedInput, MissingColumns
from dataflow.formats import no_table
from dataflow.formats.block import PIECE_BYTES, Block, cut, packed, peeked
from dataflow.formats.columns.contact_columns import REJECTS_COLUMNS, note_header
from dataflow.formats.csv import quoting, screen_tables, sniffer
from dataflow.formats.csv.dialect import Dialect
from dataflow.formats.csv.records import after_lines
from dataflow.formats.csv.splitting import Splitter
from dataflow.formats.encoding import HEAD_BYTES, beginning_of, decoded, detect, read_text
from dataflow.formats.formulas import COLUMN as GUARDS_COLUMN
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.signs import without_end
from dataflow.formats.tables.cells import count_lines, height
from dataflow.formats.tables.other_tables import TablesBelow, refused_above
from dataflow.formats.wrapping import bare
from dataflow.text import UNSTORABLE

#: How the header row of a rejects file ends, and how far to look for it.
_OUR_HEADER: Final = re.compile(f",{','.join(REJECTS_COLUMNS[1:])}[\r\n]".encode())
_OUR_HEADER_BYTES: Final = 64 * 1024
#: The header row of an export, which is the first line. A spreadsheet that has saved it ends the line with CRLF.
_EXPORT_HEADER: Final = re.compile(rf"(?:(?:id|name|email|source|imported_at),)+{GUARDS_COLUMN}(\r?\n)".encode())


def read_blocks(pieces: Iterable[bytes], reading: Reading, findings: Findings) -> Iterator[Block]:
    """The rows below the header; blank lines and rows of empty cells are no rows.

    :raises NoContacts: when there is nothing but blank lines.
    :raises MissingColumns, AmbiguousColumns: naming what was found instead.
    :raises MalformedInput: when the encoding cannot be told, and for a quote that is never closed.
    :raises RowTooLarge: when a row needs more than `max_row_bytes`.
    """
    beginning, pieces = peeked(pieces, _OUR_HEADER_BYTES)
    reading = _as_ours(beginning, reading)
    with no_table.told(beginning, reading):
        texts = read_text(pieces, reading.encoding, findings, reading.is_beginning, reading.charset)
        if rule := screen_tables.rule_of(beginning_of(beginning, reading.encoding, reading.charset)):
            texts = screen_tables.plain(texts, rule)
        texts = without_end(texts, "")
        head, first_line, found = _settle(texts, reading)
    if found is None:
        return
    _note(found, findings)
    line = found.header_line + height(found.header)
    rest = after_lines(head, line - first_line)
    del head
    record = len(found.above)
    yield from packed(refused_above(found.header_line, found.above))
    below = TablesBelow(found.columns, reading.mapping)
    for run in Splitter(chain(cut(rest), texts), reading, found, line).runs():
        if found.wrapping:
            found.wrapping.take_off(run.rows)
        names, emails = run.as_columns(len(found.header), found.columns, below)
        if names:
            yield Block(record, names, emails, run)
            record += len(names)


def look_ahead(head: bytes, reading: Reading) -> Dialect | None:
    """How content that begins with `head` will be read; None when more of it is needed.

    It is refused only when the whole content would be; `reading.is_beginning` says that more may follow.

    :raises MissingColumns, AmbiguousColumns, MalformedInput, NoContacts, RowTooLarge: as `read_blocks`.
    """
    is_whole = not reading.is_beginning
    reading, encoding = _as_ours(head, reading), None
    with no_table.told(head, reading):
        try:
            encoding = detect(head, reading.encoding, is_whole, reading.charset)
            text = "".join(decoded([head], encoding))
            if rule := screen_tables.rule_of(text):
                text = "".join(screen_tables.plain([text], rule))
            line, text = _without_blank_lines(text)
            return sniffer.find(text, reading, is_whole, first_line=line + 1)
        except (MalformedInput, MissingColumns):
            # More of the content may show another encoding, and so a column which `mapping` names.
            if is_whole or (encoding and not (encoding.is_guess and reading.mapping)):
                raise
            return None


def is_ours(head: bytes) -> bool:
    return bool(_OUR_HEADER.search(head[:_OUR_HEADER_BYTES]))


def _as_ours(head: bytes, reading: Reading) -> Reading:
    """Rejects files and exports are in our own dialect, whatever was said of the file that the rows come from."""
    if export := _EXPORT_HEADER.match(head):
        encoding = reading.encoding or ("utf-8" if export[1] == b"\n" else None)
        return replace(reading, encoding=encoding, delimiter=",", skip_rows=0)
    if not is_ours(head):
        return reading
    return replace(reading, encoding=None, delimiter=",", skip_rows=None)


def _settle(texts: Iterator[str], reading: Reading) -> tuple[str, int, Dialect | None]:
    """The text that it took to find the dialect, and the number of its first line, which is not blank."""
    csv.field_size_limit(reading.max_row_bytes)
    head, line, enough = "", 1, PIECE_BYTES
    for text in texts:
        head += text
        if head[0].isspace():
            blank_lines, head = _without_blank_lines(head)
            line += blank_lines
        if len(head) >= HEAD_BYTES:
            break
        if len(head) >= enough:
            # The outcome must not depend on how the content is cut.
            if found := sniffer.find(head[:PIECE_BYTES], reading, is_whole=False, first_line=line):
                return head, line, quoting.with_quotes(head[:PIECE_BYTES], line, found, reading, is_whole=False)
            enough = HEAD_BYTES
    is_large = len(head) >= HEAD_BYTES
    if reading.is_beginning and not is_large and not head.strip():
        return head, line, None
    is_whole = not reading.is_beginning and not is_large
    settled = sniffer.settle(head, reading, is_whole, first_line=line)
    return head, line, quoting.with_quotes(head[:HEAD_BYTES], line, settled, reading, is_whole)


def _without_blank_lines(text: str) -> tuple[int, str]:
    blank = text[: len(text) - len(text.lstrip())]
    # A lone CR at the very end may be the first half of CRLF.
    end = max(blank.rfind("\n"), blank.rfind("\r", 0, len(text) - 1)) + 1
    return count_lines(blank[:end]), text[end:]


def _note(found: Dialect, findings: Findings) -> None:
    header = [UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", bare(cell)) for cell in found.header]
    findings.facts["delimiter"] = found.delimiter
    if found.quote != '"':
        findings.facts["quote"] = found.quote
    if found.skip_initial_space:
        findings.facts["skipInitialSpace"] = True
    if found.header_line > 1:
        findings.facts["preambleLines"] = found.header_line - 1
    note_header(findings, found.header_line, header, found.columns)
