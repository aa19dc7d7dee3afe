"""What stands around the rows of a JSON document: the members of the request object, and what is ignored."""

from typing import Final

from dataflow.errors import MalformedInput, RowTooLarge

NESTED: Final = {"start_map": dict, "start_array": list}
_MAX_SHOWN, _MAX_SHOWN_CHARACTERS = 5, 40
#: What may stand beside the rows, as a multiple of what may stand in one: walking it takes 0.7 s a MB, and a gzip
#: stream may hold ten thousand times its size.
_BESIDE_ROWS: Final = 16


class Frame:
    """Takes every event that is not part of a row."""

    def __init__(self, known: frozenset[str], max_row_bytes: int) -> None:
        self.members: dict[str, object] = {}  #: those that are `known`; a nested value as its type
        self._known = known | {"data"}
        self.data_type: type | None = None  #: list for rows, another type for a wrong `data`, None for none
        self.others: list[str] = []  #: the first other members
        self._max_row_bytes = max_row_bytes
        self._member = ""  #: whose value comes next, where it means something
        self._size = 0

    @property
    def is_at_data(self) -> bool:
        return self._member == "data"

    def add(self, value: object) -> None:
        """:raises RowTooLarge: when the keys and values beside the rows are too much."""
        self._size += (len(value) or 1) if isinstance(value, str) else 8
        if self._size > _BESIDE_ROWS * self._max_row_bytes:
            raise RowTooLarge(
                f"What stands beside the rows is larger than {_BESIDE_ROWS} * {self._max_row_bytes} bytes "
                "(MAX_ROW_BYTES). Send the rows alone."
            )

    def begin_member(self, name: str) -> None:
        """:raises MalformedInput: when a member of the request object is given twice."""
        is_known = name in self._known
        if is_known and (name in self.members or (name == "data" and self.data_type)):
            raise MalformedInput(f"Invalid JSON format: {name} is given twice.")
        self._member = name if is_known else ""
        if not is_known and len(self.others) < _MAX_SHOWN:
            self.others.append(name[:_MAX_SHOWN_CHARACTERS])

    def keep(self, value: object) -> None:
        if self.is_at_data:
            self.data_type = value if isinstance(value, type) else type(value)
        elif self._member:
            self.members[self._member] = value
