"""Small files that are made to take memory or time from whoever reads them; each builder gives the bytes of one.

Sizes are those of what the file expands to. Workbooks are in `bomb_workbooks`.
"""

import zlib
from typing import Final

MIB: Final = 1024 * 1024


def one_line_gzip(size_bytes: int, line: bytes = b"x", head: bytes = b"name,email\n") -> bytes:
    """A compressed CSV: after its header row one line that has no end."""
    return gzipped(head, line, size_bytes // len(line))


def repeated_line_gzip(size_bytes: int, line: bytes = b"Ann,ann@example.org\n") -> bytes:
    """A compressed CSV of one line, over and over again."""
    return gzipped(b"name,email\n", line, size_bytes // len(line))


def json_gzip(size_bytes: int) -> bytes:
    """A compressed JSON request whose contacts are all the same."""
    row = b'{"name":"Ann","email":"ann@example.org"},'
    return gzipped(b'{"source":"bomb","data":[' + row, row, size_bytes // len(row), row[:-1] + b"]}")


def gzipped(head: bytes, item: bytes, count: int, tail: bytes = b"") -> bytes:
    """`head`, `count` times `item`, and `tail`, compressed as far as that goes, in little memory."""
    compressor = zlib.compressobj(9, wbits=31)
    pieces = [compressor.compress(head)]
    many = max(1, MIB // len(item))
    block = item * many
    pieces += [compressor.compress(block) for _ in range(count // many)]
    pieces.append(compressor.compress(item * (count % many) + tail))
    return b"".join((*pieces, compressor.flush()))


def wide_csv(columns: int, rows: int = 1) -> bytes:
    """A CSV file with rows of so many columns below an ordinary header row."""
    return b"name,email\n" + (b"," * (columns - 1) + b"x\n") * rows


def wide_header(columns: int) -> bytes:
    """A CSV file with a header row of so many columns."""
    return b"name,email" + b",a" * (columns - 2) + b"\nAnn,ann@example.org\n"


def card(line: bytes) -> bytes:
    """A vCard with a further line."""
    return b"BEGIN:VCARD\r\nFN:Ann\r\nEMAIL:ann@example.org\r\n" + line + b"\r\nEND:VCARD\r\n"


def card_parameters(count: int) -> bytes:
    """A vCard with a property of so many parameters."""
    return card(b"EMAIL" + b";A=B" * count + b":bob@example.org")


def card_folds(count: int) -> bytes:
    """A vCard with a property that is folded so many times."""
    return card(b"NOTE:a" + b"\r\n a" * count)


def card_properties(count: int) -> bytes:
    """A vCard with so many e-mails."""
    return card(b"EMAIL:a@b.c\r\n" * count)


def json_keys(count: int) -> bytes:
    """A JSON array with a contact of so many members."""
    members = ",".join(f'"{number:x}":0' for number in range(count))
    return f'[{{"name":"Ann","email":"ann@example.org",{members}}}]'.encode()


def json_depth(depth: int) -> bytes:
    """A JSON array with a contact that nests so many arrays."""
    return b'[{"name":"Ann","email":"ann@example.org","a":' + b"[" * depth + b"]" * depth + b"}]"


def ndjson_keys(count: int) -> bytes:
    """A line of JSON with so many members, between ordinary ones."""
    line = b'{"name":"Ann","email":"ann@example.org"}\n'
    members = ",".join(f'"{number:x}":0' for number in range(count))
    return line + f"{{{members}}}\n".encode() + line
