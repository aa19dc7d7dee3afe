"""Signs where a file begins or ends: byte order marks, Ctrl-Z and padding, also within files that were joined."""

import re
from collections.abc import Iterable, Iterator
from typing import AnyStr, Final, Generic

#: A byte order mark, and Ctrl-Z, with which DOS ends a file.
MARKS: Final = "\ufeff\x1a"
#: No run of marks is looked at twice, so that a megabyte of them takes one pass.
_AT_LINE_ENDS: Final = re.compile(r"(?<![^\r\n])[\ufeff\x1a]+|(?<!\x1a)\x1a+(?![^\r\n])")
_BLANKS: Final = " \t\r\n"
_ENDS: Final = "\0\x1a\f"
#: A longer end is no end: it is given on, to be refused.
_MAX_HELD: Final = 1024 * 1024


def plain_lines(lines: str) -> str:
    """Whole lines without the marks at their ends."""
    # In a text of narrow characters only the second takes time, a four hundredth of reading.
    return _AT_LINE_ENDS.sub("", lines) if "\ufeff" in lines or "\x1a" in lines else lines


class EndSigns(Generic[AnyStr]):
    """Takes a content piece by piece and holds back what may be its end: zeros, Ctrl-Z, form feeds, and blanks."""

    def __init__(self, none: AnyStr) -> None:
        self._held: AnyStr = none  #: and dropped at the end of the content
        self._newlines: AnyStr = _as(none, "\r\n")
        self._blanks: AnyStr = _as(none, _BLANKS)
        self._signs: AnyStr = _as(none, _BLANKS + _ENDS)
        self._is_in_line = False  #: what was given last does not end with its line

    def feed(self, piece: AnyStr) -> AnyStr:
        piece = self._held + piece
        size = len(piece)
        # Most pieces end within a row: they are not copied.
        if piece[-1:] in self._signs:
            tail = piece[len(piece.rstrip(self._signs)) :].lstrip(self._blanks)
            if len(tail) <= _MAX_HELD and not self._is_of_line(piece[: size - len(tail)], tail):
                size -= len(tail)
        given, self._held = piece[:size], piece[size:]
        self._is_in_line = given[-1:] not in self._newlines if given else self._is_in_line
        return given

    def _is_of_line(self, given: AnyStr, tail: AnyStr) -> bool:
        """Whether the signs end a line, to whose last value they belong, and not the content."""
        is_in_line = given[-1:] not in self._newlines if given else self._is_in_line
        return is_in_line and any(tail.find(self._newlines[at : at + 1]) >= 0 for at in (0, 1))


def without_end(pieces: Iterable[AnyStr], none: AnyStr) -> Iterator[AnyStr]:
    """A content without the signs that it ends with; `none` is an empty piece."""
    return filter(None, map(EndSigns(none).feed, pieces))


def _as(like: AnyStr, text: str) -> AnyStr:
    return text if isinstance(like, str) else text.encode()
