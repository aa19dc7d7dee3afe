"""Many rows of JSON decoded at once by msgspec, where the careful ways of `document` and `ndjson` give the same.

Why it is so: a stretch that ends behind the `}` and `,` of a row is whole rows exactly when it parses between brackets,
because what a JSON parser has read decides its state. msgspec takes 0.2 to 0.3 us a row where the events of ijson take
4. It is strict, but knows no limits; where it would accept what a careful way refuses, nothing is returned. All of a
row is decoded, because msgspec does not look into what it skips. Rows of other members become dicts and not types made
of the keys of a file, which know no order of keys, have to be made anew for a row with others, and never go away.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from types import GenericAlias
from typing import Annotated, Any, Final

import msgspec

from dataflow.formats.json.members import MAX_VALUES, Contact

#: So few bytes cannot hold too many values, of five bytes each with its key, unless there are arrays.
MAX_BYTES: Final = 5 * MAX_VALUES
#: The careful way counts eight bytes for each bracket, so that a row within so much of its limit is never too large.
ROW_SHARE: Final = 8
#: Of a row and what is nested in it. Each more doubles the type, and rows of real files have two or three.
LEVELS: Final = 6
#: What yajl takes.
_Integer = Annotated[int, msgspec.Meta(ge=-(2**63) + 1, le=2**63 - 1)]
_Scalar = str | _Integer | float | bool | None


def _nested(levels: int) -> Any:
    """The type of a value with at most so many levels of arrays and objects."""
    if not levels:
        return _Scalar
    inner = _nested(levels - 1)
    return _Scalar | list[inner] | dict[str, inner]  # type: ignore[valid-type]


#: The second is tried where the first fails, which is mostly at its first row.
_ROWS: Final[tuple[Any, ...]] = (Contact, _nested(LEVELS))
_DECODE_ARRAYS: Final = tuple(msgspec.json.Decoder(GenericAlias(list, (row,))).decode for row in _ROWS)
_DECODE_LINES: Final = tuple(msgspec.json.Decoder(row).decode_lines for row in _ROWS)

_find_comma = re.compile(rb"\}[ \t\r\n]*,").search
_comma = re.compile(rb"[ \t\r\n]*,").match
_first_key = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"([^"\\]*)"').match
#: Closing brackets that are looked at from the end: those of a row with some nested members.
_TRIES: Final = 16


def end_of_row(text: bytes, start: int) -> int:
    """Behind the first `}` and `,` from `start` on, which may be those of a row; -1 when there are none."""
    found = _find_comma(text, start)
    return found.end() if found else -1


def ends_of_rows(text: bytes, start: int, first_key: bytes) -> Iterator[int]:
    """At most two places near the end of `text` where its last whole row may end, behind the comma, likelier first."""
    last, at = -1, len(text)
    for _ in range(_TRIES):
        at = text.rfind(b"}", start, at)
        if at < 0:
            break
        if comma := _comma(text, at + 1):
            last = comma.end() if last < 0 else last
            # A nested value is hardly followed by what begins with the first key of a row.
            if (begin := _first_key(text, comma.end())) and begin[1] == first_key:
                yield comma.end()
                break
    if last >= 0:
        yield last


def of_array(text: bytes) -> list[Any] | None:
    """The values of a stretch of an array, all `Contact` or none; None when they are not sure."""
    return _decoded(_DECODE_ARRAYS, b"[%b]" % text)


def of_lines(lines: bytes) -> list[Any] | None:
    """One value for each line, objects if there are several, all `Contact` or none; None when they are not sure."""
    newline_count = lines.count(b"\n")
    # Within a value a comma or a bracket stands behind a closing brace, so that these are line ends between rows.
    between = b"}\r\n{" if b"\r" in lines else b"}\n{"
    if lines.count(between) != newline_count:
        return None
    rows = _decoded(_DECODE_LINES, lines)
    return rows if rows is not None and len(rows) == newline_count + 1 else None


def _decoded(decoders: Iterable[Callable[[bytes], list[Any]]], text: bytes) -> list[Any] | None:
    if len(text) > MAX_BYTES:
        return None
    for decode in decoders:
        try:
            rows = decode(text)
        except msgspec.MsgspecError:
            continue
        return rows if _has_few_values(text) else None
    return None


def _has_few_values(text: bytes) -> bool:
    # Outside of arrays each value has a key.
    return text.find(b"[", 1) < 0 or sum(map(text.count, (b",", b"{", b"["))) <= MAX_VALUES
