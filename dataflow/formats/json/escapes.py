r"""Finds \u escapes in JSON text that are half of a surrogate pair.

yajl replaces a bad half with a question mark and swallows its neighbours silently (`\ud83d\u0041` arrives as `?`, the A
is gone), so every document is checked before yajl sees it.
"""

import re

from dataflow.errors import MalformedInput

#: Fewer bytes than this may still become a pair, \uXXXX\uXXXX.
PAIR_BYTES = 12
#: Everything up to the first bad escape. Without possessive quantifiers, which are broken before Python 3.11.5.
_PROPER = re.compile(
    rb"""(?: [^\\]+
           | \\[^u]
           | \\u[^dD]
           | \\u[dD][0-7]
           | \\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}
         )*""",
    re.VERBOSE | re.DOTALL,
)


class EscapeCheck:
    """Looks at a document piece by piece; an escape that is cut waits for the next piece."""

    def __init__(self) -> None:
        self._carried = b""
        self._offset = 0  #: of the first carried byte

    def feed(self, piece: bytes) -> None:
        """:raises MalformedInput: naming the byte of the document at which half a pair begins."""
        if not self._carried and b"\\" not in piece:
            self._offset += len(piece)
            return
        text = self._carried + piece
        proper = _PROPER.match(text)
        end = proper.end() if proper else 0
        self._carried = text[end:]
        self._offset += end
        if len(self._carried) >= PAIR_BYTES:
            raise MalformedInput(
                f"Invalid JSON format: the escape at byte {self._offset} is half of a surrogate pair. "
                "Write the character as UTF-8 or as both halves."
            )

    def close(self) -> None:
        """:raises MalformedInput: for an escape that is not completed."""
        self.feed(b" " * PAIR_BYTES)
