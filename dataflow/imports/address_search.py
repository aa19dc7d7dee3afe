"""Whether a text that an import has kept holds an e-mail address, and not merely a longer one that ends like it.

The database looks for `spellings`, which is quick; what it finds is looked at here. An address that is written in
another way (a folded line of a vCard, quoted-printable, other escapes of JSON) is not found.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

#: Of a longer local part when a letter or a digit stands before them; else they are quotes, bullets or formulas.
_JOIN_BEFORE: Final = "._+'-"
_JOIN_BEHIND: Final = ".-"


def spellings(address: str) -> list[str]:
    """As it stands in plain text, in JSON with and without escapes of other scripts, and in a quoted cell of CSV."""
    in_json = [json.dumps(address, ensure_ascii=is_ascii)[1:-1] for is_ascii in (False, True)]
    return [*dict.fromkeys([address, *in_json, address.replace('"', '""')])]


def holds(text: str, address: str) -> bool:
    """Whether the address stands in the text, or in the strings of the JSON that the text is."""
    written = {address, address.replace('"', '""')}
    return any(_stands_in(part, each) for part in (text, *_strings(_parsed(text))) for each in written)


def _stands_in(text: str, address: str) -> bool:
    return any(_is_whole(text, *found.span()) for found in re.finditer(re.escape(address), text, re.IGNORECASE))


def _is_whole(text: str, start: int, end: int) -> bool:
    while start and text[start - 1] in _JOIN_BEFORE:
        start -= 1
    while end < len(text) and text[end] in _JOIN_BEHIND:
        end += 1
    return not text[max(start - 1, 0) : start].isalnum() and not text[end : end + 1].isalnum()


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _strings(value: Any) -> Iterator[str]:
    """Those in a value of JSON, the keys included; without recursion, as refused rows are nested as others like."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as members:
                waiting += [*members, *members.values()]
            case list() as members:
                waiting += members
