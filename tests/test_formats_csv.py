"""CSV: every header that people write, every way to quote, and the ways in which a file can be broken."""

import re

import pytest

from dataflow.errors import DataFlowError, MalformedInput, MissingColumns, NoContacts, RowTooLarge
from dataflow.formats.delimited import BLOCK_ROWS, read_blocks
from dataflow.formats.rows import PIECE_BYTES, Malformed

pytestmark = pytest.mark.unit

LIMIT = 64 * 1024
#: A row is measured by the piece: this much over the limit may pass, more never does.
TOLERANCE = 2 * PIECE_BYTES


def rows(*pieces: bytes, max_row_bytes: int = LIMIT) -> list[tuple[object, object]]:
    found: list[tuple[object, object]] = []
    for block in read_blocks(pieces, max_row_bytes):
        assert block.first_record == len(found)
        found += zip(block.names, block.emails, strict=True)
    return found


def in_pieces(content: bytes, piece_bytes: int) -> list[bytes]:
    return [content[start : start + piece_bytes] for start in range(0, len(content), piece_bytes)]


def refused(kind: type[DataFlowError], content: bytes, **limits: int) -> str:
    """The message with which the content is refused, the same however it is cut."""
    messages = set()
    for pieces in ([content], in_pieces(content, 1), [content[:-1], content[-1:]], [content, b""]):
        with pytest.raises(kind) as caught:
            rows(*pieces, **limits)
        messages.add(caught.value.message)
    [message] = messages
    return message


# Header


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("name,email", "Ada,ada@example.org"),
        ("email,name", "ada@example.org,Ada"),
        ("NAME,Email", "Ada,ada@example.org"),
        (" name , eMAIL\t", "Ada,ada@example.org"),
        ('"name","email"', '"Ada","ada@example.org"'),
        ("id,Email,,phone,Name,notes", "7,ada@example.org,,,Ada,"),
        ("name,names,email,e-mail", "Ada,x,ada@example.org,y"),
        ('"multi\nline",email,name', '"a\nb",ada@example.org,Ada'),
        ("nome,größe,名前,email,name", "a,b,c,ada@example.org,Ada"),
    ],
)
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_the_columns_are_found_in_any_order_and_case(header: str, row: str, bom: str):
    content = f"{bom}{header}\n{row}\n".encode()
    assert rows(content) == rows(*in_pieces(content, 1)) == [("Ada", "ada@example.org")]


@pytest.mark.parametrize(
    "header", ["name;email", "name\temail", "first,last", "Ada,ada@example.org", "x", "vorname,e-mail"]
)
def test_a_header_without_either_column_is_refused_and_shown(header: str):
    message = refused(MissingColumns, f"{header}\nAda,ada@example.org\n".encode())
    assert "lacks name and email" in message
    assert header.partition(",")[0] in message


def test_the_missing_column_is_named():
    assert "lacks name." in refused(MissingColumns, b"nome,email\n")
    assert "lacks email." in refused(MissingColumns, b"name,e-mail\n")


@pytest.mark.parametrize(
    ("header", "doubled"),
    [(b"name,email,Name", "name"), (b"EMAIL,email,name", "email"), (b"name,name,email,email", "name and email")],
)
def test_a_column_given_twice_is_refused(header: bytes, doubled: str):
    assert f"more than one {doubled}" in refused(MissingColumns, header + b"\na,b,c,d\n")


def test_what_is_shown_of_a_wrong_header_is_short():
    assert len(refused(MissingColumns, ",".join(["x" * 500] * 90).encode())) < 2_000


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf"])
def test_a_file_without_a_header_is_empty(content: bytes):
    assert "empty" in refused(NoContacts, content)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r", b"\n\n\n"])
def test_a_header_alone_has_no_rows(end: bytes):
    assert rows(b"name,email" + end) == []


# Rows


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("at_end", [True, False])
def test_any_newline_ends_a_row(newline: str, at_end: bool):
    content = newline.join(["name,email", "Ada,a@x.org", '"Bob, Jr",b@x.org', "Cy,c@x.org"]) + newline * at_end
    expected = [("Ada", "a@x.org"), ("Bob, Jr", "b@x.org"), ("Cy", "c@x.org")]
    for cut in range(len(content)):
        assert rows(content[:cut].encode(), content[cut:].encode()) == expected
    assert rows(*in_pieces(content.encode(), 1)) == expected


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_blank_lines_are_no_rows(newline: str):
    content = newline.join(["", "", "name,email", "", "Ada,a@x.org", "", "", "Bob,b@x.org", "", ""])
    assert rows(content.encode()) == rows(*in_pieces(content.encode(), 1)) == [("Ada", "a@x.org"), ("Bob", "b@x.org")]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('"line\nbreak"', "line\nbreak"),
        ('"line\r\nbreak"', "line\r\nbreak"),
        ('"line\rbreak"', "line\rbreak"),
        ('"\n\n"', "\n\n"),
        ('"say ""hi"""', 'say "hi"'),
        ('""""', '"'),
        ('""', ""),
        ('"a,b"', "a,b"),
        ("o'hara", "o'hara"),
        ('mid"quote', 'mid"quote'),
        ("back\\slash\\n", "back\\slash\\n"),
        ("tab\there", "tab\there"),
        (" spaces ", " spaces "),
        ("a\u2028b\u0085c\x0bd\x0ce\x1cf", "a\u2028b\u0085c\x0bd\x0ce\x1cf"),
        ("\U0001f600é", "\U0001f600é"),
    ],
)
def test_a_cell_arrives_unchanged(cell: str, value: str):
    content = f"name,email\n{cell},a@x.org\nBob,{cell}\n".encode()
    expected = [(value, "a@x.org"), ("Bob", value)]
    assert rows(content) == rows(*in_pieces(content, 1)) == rows(content[:-1]) == expected


def test_a_ragged_row_is_one_bad_row():
    content = b"name,email,x\nA,a@x,1\nB,b@x\nC,c@x,1,2\n\nD\nE,e@x,\n"
    found = rows(content)
    assert [found[0], found[4]] == [("A", "a@x"), ("E", "e@x")]
    cells = [2, 4, 1]
    assert found[1:4] == [(Malformed(f"Expected 3 cells, found {count}"),) * 2 for count in cells]


def test_rows_of_many_blocks_are_all_there():
    count = 3 * BLOCK_ROWS + 1
    content = b"name,email\n" + b"".join(b"N%d,e%d@x.org\n\n" % (number, number) for number in range(count))
    expected = [(f"N{number}", f"e{number}@x.org") for number in range(count)]
    assert rows(content) == rows(*in_pieces(content, 1000)) == expected


@pytest.mark.parametrize("count", [BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1])
def test_nothing_is_lost_where_a_block_ends(count: int):
    content = b"name,email\n" + b"a,b\n" * count
    assert rows(content) == rows(content[:-1]) == [("a", "b")] * count
    assert rows(b"name,email\n" + b"a,b\n" * (count - 1)) == [("a", "b")] * (count - 1)


# Broken files


@pytest.mark.parametrize(
    "end",
    [
        'a,"',
        'a,"b',
        'a,"b\n',
        '"',
        '"a',
        '"\n',
        'a,b\n"',
        'a,b\n"c,d\ne,f\n',
        'a,"b""',
        '"a","b""\n\n',
        'a,"b\r',
        '"a,b\r\n',
    ],
)
@pytest.mark.parametrize("before", ["name,email\n", "email,name,x\r\n", "name,email\nAda,ada@example.org\n\n"])
def test_an_unclosed_quote_is_refused(end: str, before: str):
    content = f"{before}{end}".encode()
    assert "never closed" in refused(MalformedInput, content)


def test_an_unclosed_quote_in_the_header_is_refused():
    for content in (b'"', b'name,"email', b'"name,email\nAda,a@x.org\n', b'name,email,"'):
        assert "never closed" in refused(MalformedInput, content)


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("before", "wrong"),
    [
        (b"", b"\xff"),
        (b"na", b"\x80"),
        (b"name,email\nA", b"\xc0\xaf"),
        (b"name,email\nA", b"\xed\xa0\x80"),
        (b"name,email\n\xc3\xa9\xf0\x9f\x98\x80", b"\xe9"),
        (b"name,email\n" + b"\xc3\xa9,x@y.org\n" * 20_000, b"\xf5"),
    ],
)
@pytest.mark.parametrize("after", [b"", b",x@example.org\nB,b@example.org\n"])
def test_the_first_byte_that_is_not_utf8_is_named(bom: bytes, before: bytes, wrong: bytes, after: bytes):
    content = bom + before + wrong + after
    offset = len(bom + before)
    for pieces in ([content], in_pieces(content, 1000), [content[: offset + 1], content[offset + 1 :]]):
        with pytest.raises(MalformedInput, match=rf"^Invalid UTF-8 at byte {offset}\. "):
            rows(*pieces)


@pytest.mark.parametrize("cut", [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98"])
@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 5, 12, 100])
def test_a_file_that_ends_within_a_character_is_refused_by_its_byte(cut: bytes, piece_bytes: int):
    before = "name,email\né".encode()
    with pytest.raises(MalformedInput, match=rf"^Invalid UTF-8 at byte {len(before)}\. "):
        rows(*in_pieces(before + cut, piece_bytes))


def test_text_in_utf16_is_refused():
    refused(MalformedInput, "name,email\nA,b\n".encode("utf-16"))


# Limits


def row_of(kind: str, size: int) -> bytes:
    """One row of about `size` bytes, at most."""
    filler = {
        "one cell": b"x",
        "a quoted cell": b'x""x',
        "lines in a quoted cell": b"line\n",
        "empty lines in a quoted cell": b"\r\n",
        "quoted cells of two lines": b'x\ny","',
        "short cells": b"x,",
        "emoji": "\U0001f600".encode(),
        "lines of emoji": "\U0001f600\n".encode(),
    }[kind]
    return (b"A," if kind in ("one cell", "short cells", "emoji") else b'A,"') + filler * ((size - 4) // len(filler))


KINDS = [
    "one cell",
    "a quoted cell",
    "lines in a quoted cell",
    "empty lines in a quoted cell",
    "quoted cells of two lines",
    "short cells",
]
BEFORE = b"name,email\n" + b"Ada,ada@example.org\n" * 5_000


@pytest.mark.parametrize("kind", [*KINDS, "emoji", "lines of emoji"])
@pytest.mark.parametrize("end", [b"\n", b'"\n', b'"\n' + b"Ada,ada@example.org\n" * 5_000])
@pytest.mark.parametrize("piece_bytes", [1000, PIECE_BYTES])
def test_a_row_over_the_limit_is_refused_by_its_bytes(kind: str, end: bytes, piece_bytes: int):
    content = BEFORE + row_of(kind, LIMIT + TOLERANCE + 1000) + end
    with pytest.raises(RowTooLarge, match=rf"{LIMIT} bytes \(MAX_ROW_BYTES\)"):
        rows(*in_pieces(content, piece_bytes))


@pytest.mark.parametrize("kind", [*KINDS, "emoji", "lines of emoji"])
@pytest.mark.parametrize("piece_bytes", [1000, PIECE_BYTES, 10 * PIECE_BYTES])
def test_rows_up_to_the_limit_are_read(kind: str, piece_bytes: int):
    row = row_of(kind, LIMIT - 10)
    end = b'"\n' if row.startswith(b'A,"') else b"\n"
    found = rows(*in_pieces(BEFORE + (row + end) * 5, piece_bytes))
    assert len(found) == 5_005
    assert found[:5_000] == [("Ada", "ada@example.org")] * 5_000
    assert found[5_000:] == found[5_000:5_001] * 5


def test_a_header_over_the_limit_is_refused():
    with pytest.raises(RowTooLarge):
        rows(*in_pieces(b"name,email," + b"x," * (LIMIT + TOLERANCE), 1000))
    with pytest.raises(RowTooLarge):
        rows(*in_pieces(b'name,email,"' + b"x\n" * (LIMIT + TOLERANCE), PIECE_BYTES))


def test_many_blank_lines_are_no_row_too_large():
    assert rows(*in_pieces(b"name,email\n" + b"\n" * (4 * LIMIT) + b"a,b\n", 1000)) == [("a", "b")]


def test_the_error_of_a_large_row_does_not_quote_it():
    with pytest.raises(RowTooLarge) as caught:
        rows(b"name,email\n" + b"Secret" * LIMIT)
    assert not re.search("secret", caught.value.message, re.IGNORECASE)
