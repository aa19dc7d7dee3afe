"""Records that the strict reader of the standard library refuses, though there is no doubt what their cells are.

They have blanks between a closing quote and the delimiter, or a single quote between single ones that is not written
twice: what no delimiter follows closes nothing.
"""

import re

from dataflow.formats.csv.dialect import Dialect
from dataflow.formats.tables.cells import MAX_COLUMNS


class Repair:
    """Reads the records of one dialect."""

    def __init__(self, found: Dialect) -> None:
        delimiter, blanks = re.escape(found.delimiter), " \t".replace(found.delimiter, "")
        # Nothing here can be matched in two ways, so that a megabyte that fails does so in one pass; possessive
        # quantifiers would say that, but are wrong in the first releases of Python 3.11.
        before = " *(?! )" if found.skip_initial_space else ""
        self._quote = quote = found.quote
        end = f"[{blanks}]*(?:{delimiter}|\\r?\\n?\\Z)"
        inner = f"[^']*(?:'(?!{end})[^']*)*" if quote == "'" else '[^"]*(?:""[^"]*)*'
        quoted = f"{quote}({inner}){quote}[{blanks}]*"
        self._cell = re.compile(rf"{before}(?:{quoted}|((?!{quote})[^{delimiter}\r\n]*))({delimiter}|\r?\n?\Z)")

    def cells(self, text: str) -> list[str] | None:
        """The cells of a record, None when more is amiss."""
        found: list[str] = []
        at, is_more = 0, True
        while is_more:
            match = self._cell.match(text, at)
            if not match or len(found) == MAX_COLUMNS:
                return None
            quoted, plain, end = match.groups()
            found.append(plain if quoted is None else self._unescaped(quoted))
            at, is_more = match.end(), end not in ("", "\n", "\r", "\r\n")
        return found

    def _unescaped(self, quoted: str) -> str:
        text = quoted.replace(self._quote * 2, self._quote)
        return text.replace(r"\'", "'") if self._quote == "'" else text
