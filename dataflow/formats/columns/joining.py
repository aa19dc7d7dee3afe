"""What several columns of a row make up: the parts of a name, and the first of several values that is not blank."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from dataflow.formats.block import ABSENT
from dataflow.formats.signs import MARKS
from dataflow.formats.wrapping import bare, may_be_wrapped

#: Positions of the columns that are joined, in this order.
Place = tuple[int, ...]

_CJK: Final = "\u2e80-\u2fdf\u3005-\u3007\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
_has_cjk = re.compile(f"[{_CJK}\u3041-\u30ff]").search
#: Kana in a first name only: a last name in katakana is that of a foreigner, who writes it last.
_is_cjk_last_name = re.compile(f"[{_CJK}\u30b1\u30f6]+").fullmatch
_is_cjk_first_name = re.compile(f"[{_CJK}\u3041-\u30ff]+").fullmatch


class FirstAndLast(Place):
    """First and last name in columns that are called so in Chinese, Japanese or Korean."""


def first_and_last(header: Sequence[str], first: Place, last: Place) -> Place:
    if first and last and all(_has_cjk(header[at]) for at in (*first, *last)):
        return FirstAndLast(first + last)
    return first + last


def in_row(values: Sequence[object], places: tuple[Place, ...]) -> object:
    """The value of a field in one row: that of the first place which is not blank, else of the first.

    A value that is no text stays what it is, for `contacts` to refuse; ABSENT when the row has none of the columns.
    """
    if len(places) == 1 and len(places[0]) == 1:
        [[position]] = places
        return values[position] if position < len(values) else ABSENT
    found: object = ABSENT
    for place in places:
        parts = [values[position] if position < len(values) else ABSENT for position in place]
        value = parts[0] if len(parts) == 1 else _together(parts, place)
        if not _is_blank(value):
            return value
        found = value if found is ABSENT else found
    return found


def in_rows(places: tuple[Place, ...], rows: int, values_at: Callable[[int], list[Any]]) -> list[Any]:
    """The same for many rows at once: `values_at` gives all values at a position in a new list."""
    found = _of_place(places[0], values_at) if any(places) else [ABSENT] * rows
    for place in places[1:]:
        if not (blank := _blank(found)):
            break
        others = _of_place(place, values_at)
        still_blank = {*_blank(others)}
        for at in blank:
            if at not in still_blank or found[at] is ABSENT:
                found[at] = others[at]
    return found


def _of_place(place: Place, values_at: Callable[[int], list[Any]]) -> list[Any]:
    if len(place) == 1:
        return values_at(place[0])
    columns = [values_at(position) for position in place]
    try:
        columns = [list(map(str.strip, column)) for column in columns]
    except TypeError:  # not all values are texts
        return [_together(parts, place) for parts in zip(*columns, strict=True)]
    if type(place) is FirstAndLast:
        return [_full_name(parts, place) for parts in zip(*columns, strict=True)]
    if all(map(all, columns)):
        return list(map(" ".join, zip(*columns, strict=True)))
    return [" ".join(filter(None, parts)) for parts in zip(*columns, strict=True)]


def _together(values: Sequence[object], place: Place) -> object:
    parts = [value for value in values if value is not ABSENT and value is not None]
    if not parts:
        return None if None in values else ABSENT
    odd = next((part for part in parts if not isinstance(part, str)), None)
    return odd if odd is not None else _full_name([str(part).strip() for part in parts], place)


def _full_name(parts: Sequence[str], place: Place) -> str:
    """Names in Chinese characters, kana or Hangul begin with the last name, without a blank: 山田太郎."""
    texts = [*filter(None, parts)]
    is_cjk = isinstance(place, FirstAndLast) and len(texts) == 2
    if is_cjk and _is_cjk_first_name(texts[0]) and _is_cjk_last_name(texts[1]):
        return texts[1] + texts[0]
    return " ".join(texts)


def _blank(values: Sequence[Any]) -> list[int]:
    try:
        text = "".join(values)
    except TypeError:  # not all values are texts
        is_plain = False
    else:
        is_plain = not may_be_wrapped(text) and not any(mark in text for mark in MARKS)
    if not is_plain:
        return [at for at, value in enumerate(values) if _is_blank(value)]
    return [] if all(map(str.strip, values)) else [at for at, value in enumerate(values) if not value.strip()]


def _is_blank(value: object) -> bool:
    return value is None or value is ABSENT or (isinstance(value, str) and not bare(value).strip())
