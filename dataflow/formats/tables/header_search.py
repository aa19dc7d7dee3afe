"""The search for the header row among the first rows of a table, whatever file it is in."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from dataflow.errors import AmbiguousColumns, MissingColumns
from dataflow.formats.columns import contact_columns
from dataflow.formats.columns.addresses import is_address
from dataflow.formats.columns.contact_columns import Columns
from dataflow.formats.reading import Mapping
from dataflow.formats.tables.cells import Row

#: How many rows are looked at; blank ones do not count. A summary may stand above the header row.
MAX_RECORDS: Final = 200


class HeaderSearch:
    """Remembers the first row that would be a header row, were it clear which columns it means."""

    def __init__(self, mapping: Mapping | None) -> None:
        self._mapping = mapping
        self.ambiguous: AmbiguousColumns | None = None

    def candidates(self, rows: Iterable[Row]) -> Iterator[tuple[Row, Columns]]:
        """The header row comes last; a row whose columns are only qualified may come before it."""
        qualified: Columns | None = None
        for row in rows:
            if qualified and _begins_contacts(row[1], qualified):
                return
            if not contact_columns.may_be_header(row[1], self._mapping):
                continue
            try:
                found = contact_columns.find(row[1], self._mapping)
            except MissingColumns:
                continue  # half a name, or `mapping` names a column of another row
            except AmbiguousColumns as error:
                self.ambiguous = self.ambiguous or error
                continue
            if found.is_complete and not (found.is_qualified and qualified):
                yield row, found
                if not found.is_qualified:
                    return
                qualified = found


def _begins_contacts(row: Sequence[str], found: Columns) -> bool:
    """Whether a contact stands below a header with these columns: it is not the head of a report then."""
    return any(at < len(row) and is_address(row[at].strip()) for at in found.email_positions)
