"""Text that Postgres cannot hold: refused in values of contacts, and escaped in what people are shown.

Half of a surrogate pair is no character, and also stands for a byte that is no text in its file's encoding.
"""

import re
from typing import Any, Final

#: A code point that will never be a character (Unicode section 23.7), and that no contact may hold.
MARK: Final = "\ufdd0"
_NUL: Final = "\0"
UNSTORABLE: Final = re.compile(f"[{_NUL}\ud800-\udfff]")
find_refused: Final = re.compile(f"[{_NUL}\ud800-\udfff{MARK}]").search


def what_is_refused(text: str) -> str:
    """What `find_refused` has found in a text, for a message."""
    if MARK in text:
        return "U+FDD0, which marks what has to be written anew"
    if _NUL in text:
        return "a NUL character, which cannot be stored"
    code = ord(UNSTORABLE.findall(text)[0])
    what = f"the byte 0x{code & 0xFF:02x}" if _is_byte(code) else "half of a surrogate pair"
    return f"{what}, which is not a character"


def storable(text: str) -> str:
    """`text` with what is no character as \\x00, \\xe9 (a byte that is no text) or \\ud800."""
    return text if text.isprintable() else UNSTORABLE.sub(_as_escape, text)


def storable_json(value: Any) -> Any:
    """The same for all texts in a JSON value, keys included."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(key): storable_json(member) for key, member in value.items()}
    return [storable_json(item) for item in value] if isinstance(value, list) else value


def marked(text: str) -> str:
    """`storable` with MARK before each escape: a row that is sent back as it is must not be imported with it."""
    return text if text.isprintable() else UNSTORABLE.sub(lambda match: MARK + _as_escape(match), text)


def cut_and_marked(text: str, size_bytes: int) -> str:
    """The beginning of a text in at most `size_bytes`, without half of a character.

    MARK is at its end, because half of a name or an address may be one, too.
    """
    encoded = text.encode()
    if len(encoded) <= size_bytes:
        return text
    return encoded[: size_bytes - len(MARK.encode())].decode(errors="ignore") + MARK


def _as_escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code & 0xFF:02x}" if code == 0 or _is_byte(code) else f"\\u{code:04x}"


def _is_byte(code: int) -> bool:
    return 0xDC00 <= code <= 0xDCFF
