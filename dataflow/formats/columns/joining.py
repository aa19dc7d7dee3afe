"""Where the parts of a value are, and how the parts of a name are put together."""

import re
from collections.abc import Sequence
from typing import Final

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
    """The place of a name that is made of these two."""
    if first and last and all(_has_cjk(header[at]) for at in (*first, *last)):
        return FirstAndLast(first + last)
    return first + last


def together(parts: Sequence[str], place: Place) -> str:
    """Parts of a value as one text, without those that are empty.

    Names that are written in Chinese characters, kana or Hangul begin with the last name, without a blank: 山田太郎.
    """
    texts = [text for part in parts if (text := part.strip())]
    is_cjk = isinstance(place, FirstAndLast) and len(texts) == 2
    if is_cjk and _is_cjk_first_name(texts[0]) and _is_cjk_last_name(texts[1]):
        return texts[1] + texts[0]
    return " ".join(texts)
