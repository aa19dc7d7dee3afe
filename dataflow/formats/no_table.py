"""What a text is in which no table was found: a format that is not read, a list of addresses, or no table at all."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final

from dataflow.errors import DataFlowError, MalformedInput, MissingColumns, RowTooLarge
from dataflow.formats import foreign
from dataflow.formats.columns import headers
from dataflow.formats.columns.addresses import is_address
from dataflow.formats.columns.comparison import normalise
from dataflow.formats.columns.matching import shown
from dataflow.formats.encoding import beginning_of
from dataflow.formats.reading import Reading
from dataflow.formats.tables.cells import DELIMITERS

_LOOK_BYTES: Final = 64 * 1024
#: Fewer lines prove nothing when they differ.
_MIN_LINES: Final = 3
_MAX_LINES: Final = 30
_ADDRESS_WITHIN: Final = re.compile(r".*?[^\s@<>,;|]@[^\s@<>,;|]+\.\w").match
#: No header row ends like this.
_ENDS_OF_SENTENCES: Final = (".", "!")
_MIN_ROWS: Final = 2
#: Share of the lines of a table, from its first one, that have as many cells as most.
_TABLE_SHARE: Final = 2 / 3


@contextmanager
def told(head: bytes, reading: Reading) -> Iterator[None]:
    """While a table is looked for in a content that begins with `head`, errors name what is there instead.

    :raises UnsupportedMediaType: when it is a well-known format that is not read.
    :raises MissingColumns: when it is no table.
    """
    try:
        yield
    except (MissingColumns, MalformedInput, RowTooLarge) as error:
        if better := _better(error, head[:_LOOK_BYTES], reading):
            raise better from error
        raise


def _better(error: DataFlowError, head: bytes, reading: Reading) -> DataFlowError | None:
    beginning = beginning_of(head, reading.encoding, reading.charset).lstrip()
    if (found := foreign.named(beginning.encode())) or not isinstance(error, MissingColumns):
        return found
    lines = [*islice(filter(_cells, beginning.splitlines()), _MAX_LINES)]
    if lines and all(map(_has_only_addresses, lines)):
        return MissingColumns(
            "These are e-mail addresses without a header row. Put each on a line of its own, a line that says email "
            'above them, and send them with mapping={"name": "email"}.'
        )
    if lines and not _is_table(beginning) and all(map(_ADDRESS_WITHIN, lines)):
        return MissingColumns(
            "Each line has an e-mail address, but nothing (, ; | or tab) stands between that and the name. It has: "
            f"{shown([lines[0]])}. Write each contact as name,email below a line that says so."
        )
    if lines and any(map(is_address, _cells(lines[0]))):
        return MissingColumns(
            f"{error.message} Line 1 looks like a contact: is there no header row? Put one above, such as name,email."
        )
    is_table = _is_table(beginning) and not (len(lines) < _MIN_LINES and lines[0].rstrip().endswith(_ENDS_OF_SENTENCES))
    if not lines or reading.mapping or normalise(lines[0]) in headers.ALIASES or is_table:
        return None
    return MissingColumns(
        "This is no table: nothing (, ; | or tab) divides its lines into the same columns. It has: "
        f"{shown([lines[0]])}. {foreign.SEND}, with a header row that names name and email."
    )


def _cells(line: str) -> list[str]:
    return [cell.strip().strip('"') for cell in re.split(f"[{''.join(DELIMITERS)}]", line) if cell.strip()]


def _has_only_addresses(line: str) -> bool:
    words = line.split()
    return all(map(is_address, _cells(line))) or (len(words) > 1 and all(map(is_address, words)))


def _is_table(text: str) -> bool:
    return any(_has_columns(text, delimiter) for delimiter in DELIMITERS)


def _has_columns(text: str, delimiter: str) -> bool:
    """Whether the lines have the same number of cells, over one, from some line on."""
    try:
        rows = (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(row))
        widths = [len(row) for row in islice(rows, _MAX_LINES)]
    except csv.Error:
        return True  # of a cell that is too large, which the error has named
    several = Counter(width for width in widths if width > 1)
    if not several:
        return False
    [(width, count)] = several.most_common(1)
    if len(widths) < _MIN_LINES:
        return True
    return count >= max(_MIN_ROWS, _TABLE_SHARE * (len(widths) - widths.index(width)))
