"""Text as Postgres can hold it, for what people are shown: names of columns, messages, refused rows.

Values of contacts are never changed like this.
"""

import re
from typing import Any, Final

#: A code point that will never be a character (Unicode section 23.7), and that no contact may hold.
MARK: Final = "\ufdd0"
#: What Postgres does not take: NUL, and half of a surrogate pair, which also stands for a byte that is no text.
UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """`text` with what is no character as \\x00, \\xe9 (a byte that is no text) or \\ud800."""
    return text if text.isprintable() else UNSTORABLE.sub(_as_escape, text)


def marked(text: str) -> str:
    """The same with MARK before each escape: a row that is sent back as it is must not be imported with it."""
    return text if text.isprintable() else UNSTORABLE.sub(lambda match: MARK + _as_escape(match), text)


def storable_json(value: Any) -> Any:
    """The same for all texts in a JSON value, keys included."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(key): storable_json(member) for key, member in value.items()}
    return [storable_json(item) for item in value] if isinstance(value, list) else value


def _as_escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code == 0 or 0xDC00 <= code <= 0xDCFF:
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}"
