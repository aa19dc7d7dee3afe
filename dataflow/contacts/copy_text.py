"""Contacts in the text format in which COPY takes them."""

from collections.abc import Sequence
from typing import Final

from dataflow.ids import IdRange

#: Backslash, tab and line ends separate columns and rows in COPY's text format.
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def escape(text: str) -> str:
    """`text` as a value in COPY's text format."""
    return text if _is_plain(text) else text.translate(_ESCAPES)


def copy_lines(names: Sequence[str], emails: Sequence[str], source: str | None, ids: IdRange) -> bytes:
    """Contacts as lines for `COPY ... (id, name, email, source)`; `source` is escaped already, None leaves it out.

    Escaping every text costs 0.7 us a row; asking the whole column whether it needs any, 0.02.
    """
    names, emails = _escape_column(names), _escape_column(emails)
    shared_digits, digits = ids.take(len(names))
    end = "\n" if source is None else f"\t{source}\n"
    between = f"{end}{shared_digits}"
    rows = between.join([f"{own}\t{name}\t{email}" for own, name, email in zip(digits, names, emails, strict=True)])
    return f"{shared_digits}{rows}{end}".encode()


def _escape_column(texts: Sequence[str]) -> Sequence[str]:
    return texts if _is_plain("".join(texts)) else list(map(escape, texts))


def _is_plain(text: str) -> bool:
    return text.isprintable() and "\\" not in text
