"""Signs that mark where a file begins or ends: byte order marks, Ctrl-Z, padding. They are no part of what it says.

They stand within a file where several have been put together, and behind it where a program has filled it up.
"""

import re
from collections.abc import Iterable, Iterator
from typing import AnyStr, Final, Generic

#: A byte order mark, and the end of a file as DOS has it.
MARKS: Final = "\ufeff\x1a"
#: No run of marks is looked at twice, so that a megabyte of them takes one pass.
_AT_LINE_ENDS: Final = re.compile(r"(?<![^\r\n])[\ufeff\x1a]+|(?<!\x1a)\x1a+(?![^\r\n])")
_BLANKS: Final = " \t\r\n"
_ENDS: Final = "\0\x1a\f"
#: More is given on, to be refused.
_MAX_HELD: Final = 1024 * 1024


def plain_lines(lines: str) -> str:
    """Whole lines without the marks at their ends."""
    # In a text of narrow characters only the second takes time, a four hundredth of reading.
    return _AT_LINE_ENDS.sub("", lines) if "\ufeff" in lines or "\x1a" in lines else lines


class EndSigns(Generic[AnyStr]):
    """Takes a content piece by piece and holds back what may be its end: zero bytes, Ctrl-Z and form feeds.

    White space between them, and between lines of nothing else, belongs to them. What is held at the end of the content
    is to be forgotten.
    """

    def __init__(self, none: AnyStr) -> None:
        """:param none: an empty piece."""
        self._held: AnyStr = none
        self._newlines: AnyStr = _as(none, "\r\n")
        self._blanks: AnyStr = _as(none, _BLANKS)
        self._signs: AnyStr = _as(none, _BLANKS + _ENDS)
        self._is_in_line = False  #: what was given last does not end with its line

    def feed(self, piece: AnyStr) -> AnyStr:
        """What is held and the next piece, as far as they are not held."""
        piece = self._held + piece
        size = len(piece)
        # Most pieces end within a row, and need not be copied.
        if piece[-1:] in self._signs:
            tail = piece[len(piece.rstrip(self._signs)) :].lstrip(self._blanks)
            if len(tail) <= _MAX_HELD and not self._is_of_line(piece[: size - len(tail)], tail):
                size -= len(tail)
        given, self._held = piece[:size], piece[size:]
        self._is_in_line = given[-1:] not in self._newlines if given else self._is_in_line
        return given

    def _is_of_line(self, given: AnyStr, tail: AnyStr) -> bool:
        """Whether signs stand at the end of a line that is ended: one of many values, and no end of the content."""
        is_in_line = given[-1:] not in self._newlines if given else self._is_in_line
        return is_in_line and any(tail.find(self._newlines[at : at + 1]) >= 0 for at in (0, 1))


def without_end(pieces: Iterable[AnyStr], none: AnyStr) -> Iterator[AnyStr]:
    """A content without the signs that it ends with; `none` is an empty piece."""
    return filter(None, map(EndSigns(none).feed, pieces))


def _as(like: AnyStr, text: str) -> AnyStr:
    return text if isinstance(like, str) else text.encode()
