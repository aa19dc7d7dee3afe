"""Records that the strict csv.reader refuses although their cells are clear.

They have blanks behind a closing quote, or a single quote between single ones that is not written twice.
"""

import re

from dataflow.formats.csv.dialect import Dialect
from dataflow.formats.tables.cells import MAX_COLUMNS


class Repair:
    def __init__(self, found: Dialect) -> None:
        delimiter, blanks = re.escape(found.delimiter), " \t".replace(found.delimiter, "")
        # Nothing can be matched in two ways, so that a megabyte fails in one pass. Possessive quantifiers would
        # say so, but are wrong before Python 3.11.5.
        before = " *(?! )" if found.skip_initial_space else ""
        self._quote = quote = found.quote
        end = f"[{blanks}]*(?:{delimiter}|\\r?\\n?\\Z)"
        inner = f"[^']*(?:'(?!{end})[^']*)*" if quote == "'" else '[^"]*(?:""[^"]*)*'
        quoted = f"{quote}({inner}){quote}[{blanks}]*"
        self._cell = re.compile(rf"{before}(?:{quoted}|((?!{quote})[^{delimiter}\r\n]*))({delimiter}|\r?\n?\Z)")

    def cells(self, text: str) -> list[str] | None:
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
