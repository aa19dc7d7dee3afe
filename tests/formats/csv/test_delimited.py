"""CSV: every header that people write, every way to quote, and the ways in which a file can be broken."""

import re
from itertools import product
from typing import Any

import pytest

from dataflow.errors import AmbiguousColumns, DataFlowError, MalformedInput, MissingColumns, NoContacts, RowTooLarge
from dataflow.formats.block import BLOCK_ROWS, PIECE_BYTES, Malformed
from dataflow.formats.columns.joining import in_row
from dataflow.formats.csv.delimited import look_ahead, read_blocks
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.tables.header_search import MAX_RECORDS

pytestmark = pytest.mark.unit

LIMIT = 64 * 1024
#: A row is measured by the piece: this much over the limit may pass, more never does.
TOLERANCE = 2 * PIECE_BYTES


def rows(*pieces: bytes, max_row_bytes: int = LIMIT, **said: Any) -> list[tuple[object, object]]:
    found: list[tuple[object, object]] = []
    for block in read_blocks(pieces, Reading(max_row_bytes, **said), Findings()):
        assert block.first_record == len(found)
        found += zip(block.names, block.emails, strict=True)
    return found


def detected(content: bytes, **said: Any) -> dict[str, object]:
    """What is kept of a file on its job, the same however it is cut."""
    kept = []
    for pieces in ([content], in_pieces(content, 1)):
        findings = Findings()
        list(read_blocks(pieces, Reading(LIMIT, **said), findings))
        kept.append(findings.as_json())
    assert kept[0] == kept[1]
    return kept[0]


def origins(content: bytes, **said: Any) -> list[tuple[int | None, str | list[str]]]:
    """Line and cells of each row."""
    blocks = read_blocks([content], Reading(LIMIT, **said), Findings())
    return [(block.origin.line(at), block.origin.row(at)) for block in blocks for at in range(len(block.names))]


def in_pieces(content: bytes, piece_bytes: int) -> list[bytes]:
    return [content[start : start + piece_bytes] for start in range(0, len(content), piece_bytes)]


def refused(kind: type[DataFlowError], content: bytes, **said: Any) -> str:
    """The message with which the content is refused, the same however it is cut."""
    messages = set()
    for pieces in ([content], in_pieces(content, 1), [content[:-1], content[-1:]], [content, b""]):
        with pytest.raises(kind) as caught:
            rows(*pieces, **said)
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
def test_the_columns_are_found_in_any_order_and_case(header: str, row: str, bom: str) -> None:
    content = f"{bom}{header}\n{row}\n".encode()
    assert rows(content) == rows(*in_pieces(content, 1)) == [("Ada", "ada@example.org")]


@pytest.mark.parametrize("header", ["chi;posta", "chi\tposta", "wer,adresse"])
def test_a_header_without_either_column_is_refused_and_shown(header: str) -> None:
    message = refused(MissingColumns, f"{header}\nAda,ada@example.org\n".encode())
    assert "lacks name and email" in message
    assert re.split("[,;\t]", header)[0] in message


@pytest.mark.parametrize("header", ["Ada,ada@example.org", "x", "Ada Lovelace <ada@example.org>"])
def test_a_contact_where_a_header_should_be_is_refused_and_not_repeated(header: str) -> None:
    message = refused(MissingColumns, f"{header}\nAda,ada@example.org\n".encode())
    assert "lacks name and email" in message
    assert "which is not repeated here" in message
    assert "ada" not in message.lower()


def test_the_missing_column_is_named() -> None:
    assert "lacks name." in refused(MissingColumns, b"chi,email\n")
    assert "lacks email." in refused(MissingColumns, b"name,posta\n")


@pytest.mark.parametrize(
    "header", [b"name,email,Name", b"EMAIL,email,name", b"name,name,email,email", b"Name;Mail;mail"]
)
def test_a_column_given_twice_is_refused(header: bytes) -> None:
    assert "columns could be the" in refused(AmbiguousColumns, header + b"\na,b,c,d\n")


def test_what_is_shown_of_a_wrong_header_is_short() -> None:
    assert len(refused(MissingColumns, ",".join(["x" * 500] * 90).encode())) < 2_000


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf"])
def test_a_file_without_a_header_is_empty(content: bytes) -> None:
    assert "empty" in refused(NoContacts, content)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r", b"\n\n\n"])
def test_a_header_alone_has_no_rows(end: bytes) -> None:
    assert rows(b"name,email" + end) == []


# Rows


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("at_end", [True, False])
def test_any_newline_ends_a_row(newline: str, at_end: bool) -> None:
    content = newline.join(["name,email", "Ada,a@x.org", '"Bob, Jr",b@x.org', "Cy,c@x.org"]) + newline * at_end
    expected = [("Ada", "a@x.org"), ("Bob, Jr", "b@x.org"), ("Cy", "c@x.org")]
    for cut in range(len(content)):
        assert rows(content[:cut].encode(), content[cut:].encode()) == expected
    assert rows(*in_pieces(content.encode(), 1)) == expected


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_blank_lines_are_no_rows(newline: str) -> None:
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
        ("nul\0here", "nul\0here"),
        ("1.23E+10", "1.23E+10"),
        ("'007", "'007"),
        ("=1+1", "=1+1"),
        ("Zoe\u0308", "Zoe\u0308"),
        (" spaces ", " spaces "),
        ("a\u2028b\u0085c\x0bd\x0ce\x1cf", "a\u2028b\u0085c\x0bd\x0ce\x1cf"),
        ("\U0001f600é", "\U0001f600é"),
    ],
)
def test_a_cell_arrives_unchanged(cell: str, value: str) -> None:
    content = f"name,email\n{cell},a@x.org\nBob,{cell}\n".encode()
    expected = [(value, "a@x.org"), ("Bob", value)]
    assert rows(content) == rows(*in_pieces(content, 1)) == rows(content[:-1]) == expected


def test_a_row_with_too_few_or_too_many_cells_is_one_bad_row() -> None:
    content = b"x,name,email,y\n1,A,a@x,1\n2,B\n3,C,c@x,1,2\n\nD\n4,E,e@x\n5,F,f@x,1,,\n6,G,g@x,1, ,\n"
    bad = [(Malformed(f"Expected 4 cells, found {count}", "wrong_column_count"),) * 2 for count in (2, 5, 1)]
    assert rows(content) == [("A", "a@x"), *bad, ("E", "e@x"), ("F", "f@x"), ("G", "g@x")]


def test_a_delimiter_at_the_end_of_every_row_is_no_cell() -> None:
    assert (
        rows(b"name;email\nA;a@x;\nB;b@x;;\n") == rows(b"name;email;\nA;a@x;\nB;b@x\n") == [("A", "a@x"), ("B", "b@x")]
    )


def test_rows_of_empty_cells_are_no_rows() -> None:
    content = b'name,email,x\n,,\nA,a@x,1\n,,,,\n,\n   \n,,7\n"",,\n'
    assert rows(content) == [("A", "a@x"), ("", "")]
    assert origins(content) == [(3, ["A", "a@x", "1"]), (7, ["", "", "7"])]


@pytest.mark.parametrize(
    ("header", "places"),
    [
        ("first name,last name,email", (((0, 1),), ((2,),))),
        ("full name,first,last,e-mail", (((0,), (1, 2)), ((3,),))),
        ("Display Name,File As,Surname,Mail,x", (((0,), (1,), (2,)), ((3,),))),
        ("Name,Family Name,Given Name,E-mail", (((0,), (2, 1)), ((3,),))),
        ("E-mail 3 - Value,Name,E-mail 1 - Value,E-mail 2 - Value", (((1,),), ((2,), (3,), (0,)))),
    ],
)
def test_values_that_several_columns_may_have_are_those_of_each_row_alone(header: str, places: Any) -> None:
    cells = ["", " ", "Ada", " Lovelace "]
    width = header.count(",") + 1
    table = [list(row) for row in product(cells, repeat=width) if any(map(str.strip, row))]
    content = "\n".join([header, *map(",".join, table)]).encode()
    assert rows(content) == [(in_row(row, places[0]), in_row(row, places[1])) for row in table]


def test_a_value_of_nothing_but_marks_gives_way_to_the_next_column() -> None:
    content = "name,email,email2\nAnn,\ufeff,ann@example.com\nBob,bob@example.org,b@c.d\n".encode()
    assert rows(content) == [("Ann", "ann@example.com"), ("Bob", "bob@example.org")]


def test_rows_of_many_blocks_are_all_there() -> None:
    count = 3 * BLOCK_ROWS + 1
    content = b"name,email\n" + b"".join(b"N%d,e%d@x.org\n\n" % (number, number) for number in range(count))
    expected = [(f"N{number}", f"e{number}@x.org") for number in range(count)]
    assert rows(content) == rows(*in_pieces(content, 1000)) == expected


@pytest.mark.parametrize("count", [BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1])
def test_nothing_is_lost_where_a_block_ends(count: int) -> None:
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
def test_an_unclosed_quote_is_refused(end: str, before: str) -> None:
    content = f"{before}{end}".encode()
    assert "never closed" in refused(MalformedInput, content)


def test_an_unclosed_quote_in_the_header_is_refused() -> None:
    for content in (b'"', b'name,"email', b'"name,email\nAda,a@x.org\n', b'name,email,"'):
        assert "line 1 is never closed" in refused(MalformedInput, content)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'name,email\na,b\nc,"d\ne,f\n', 3),
        (b'\n\nname,email\r\n\r\n"a\nb","c\r\nd"\r\n"x\ny","z\n', 9),
        (b"name,email\r" + b"a,b\r" * (2 * BLOCK_ROWS) + b'\r"', 2 * BLOCK_ROWS + 3),
        (b'Notes:\n"open,\n', 2),
    ],
)
def test_the_line_is_named_on_which_the_unclosed_quote_opens(content: bytes, line: int) -> None:
    assert f"on line {line} is never closed" in refused(MalformedInput, content)


def test_bytes_that_cannot_be_decoded_spoil_only_their_row() -> None:
    content = "name,email\nJosé Muñoz Ibáñez,j@x.org\nA\udcff,a@x.org\nB,b@x.org\nC,c@x\udcc3".encode(
        errors="surrogateescape"
    )
    expected = [("José Muñoz Ibáñez", "j@x.org"), ("A\udcff", "a@x.org"), ("B", "b@x.org"), ("C", "c@x\udcc3")]
    assert rows(content) == rows(*in_pieces(content, 1)) == expected


# Quotes in the wrong place


def stray(where: str) -> tuple[Malformed, Malformed]:
    message = f"Text follows a closing quote {where}. A quote within a quoted cell is written twice."
    return (Malformed(message, "malformed_row"),) * 2


def test_a_stray_quote_spoils_the_rows_that_it_swallows_and_says_so() -> None:
    content = b'Name,Email,Notes\nA,a@x.yy,"oops\nB,b@x.yy,\nC,c@x.yy,"ok"\nD,d@x.yy,\n'
    expected = [stray("on line 4; the record begins on line 2"), ("D", "d@x.yy")]
    assert rows(content) == rows(*in_pieces(content, 1)) == expected
    assert origins(content) == [(2, ['A,a@x.yy,"oops\nB,b@x.yy,\nC,c@x.yy,"ok"']), (5, ["D", "d@x.yy", ""])]


def test_a_stray_quote_in_the_header_loses_no_rows() -> None:
    message = refused(MalformedInput, b'\nname,email,"notes\nA,a@x,"b"\nB,b@x,\n')
    assert "on line 3; the header row begins on line 2" in message


def test_quotes_that_are_not_doubled_are_not_imported() -> None:
    content = b'name,email\n"Ann \\"A\\" Lee","a@b.co"\n"Bob","b@b.co"\n'
    assert rows(content) == rows(*in_pieces(content, 1)) == [stray("on line 2"), ("Bob", "b@b.co")]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_and_records_are_counted_on_after_a_stray_quote(newline: str) -> None:
    lines = ["name,email", "", '"A" x,a@x', '"B', '"" ,b"', "C,c@x", '"D', '"d,d@x', "", '"E', 'e",e@x', '"F"f,"f@x"']
    content = newline.join(lines).encode()
    expected = [
        stray("on line 3"),
        (f'B{newline}" ,b', None),
        ("C", "c@x"),
        stray("on line 8; the record begins on line 7"),
    ]
    for pieces in ([content], in_pieces(content, 1), in_pieces(content, 7)):
        found = rows(*pieces)
        assert [found[0], *found[2:]] == [
            expected[0],
            *expected[2:],
            (f"E{newline}e", "e@x"),
            stray("on line 12"),
        ]
    assert [line for line, _ in origins(content)] == [3, 4, 6, 7, 10, 12]


def test_every_row_may_have_a_stray_quote_over_many_blocks() -> None:
    count = 2 * BLOCK_ROWS + 7
    content = b"name,email\n" + b'"A"a,a@x\nB,b@x\n"C\n"c,c@x\n' * count
    found = rows(*in_pieces(content, 1000))
    assert [found[at] for at in (0, 1, 2)] == [
        stray("on line 2"),
        ("B", "b@x"),
        stray("on line 5; the record begins on line 4"),
    ]
    last = 4 * (count - 1)
    assert len(found) == 3 * count
    assert found[-3] == stray(f"on line {last + 2}")
    assert found[-1] == stray(f"on line {last + 5}; the record begins on line {last + 4}")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_blanks_after_a_closing_quote_are_dropped(delimiter: str) -> None:
    lines = ["name,email,x", '"A ""a"", x" ,a@x,', '"B"  ,"b@x" ,"" ', '"C\nc" ,c@x,1', '"D" d ,d@x,', '"E" ,e@x,"e"e']
    content = "\n".join(lines).replace(",", delimiter).encode()
    found = rows(content)
    assert found == rows(*in_pieces(content, 1))
    assert found[:3] == [(f'A "a"{delimiter} x', "a@x"), ("B", "b@x"), ("C\nc", "c@x")]
    assert found[3:] == [stray("on line 6"), stray("on line 7")]


def test_a_stray_quote_where_a_beginning_ends_is_no_error() -> None:
    content = b'name,email\nA,a@x\n"B"b,b@x\n"C\n'
    assert rows(content, is_beginning=True) == [("A", "a@x"), stray("on line 3")]
    assert rows(content[:-4], is_beginning=True) == [("A", "a@x")]


# Blanks before quotes


def test_blanks_between_delimiter_and_quote_belong_to_no_cell() -> None:
    content = b'"Email", "Name", "x"\n"a@x",  "Lee, Ann", ""\nb@x, Bob,\n'
    assert rows(content) == rows(*in_pieces(content, 1)) == [("Lee, Ann", "a@x"), ("Bob", "b@x")]
    assert detected(content)["skipInitialSpace"] is True
    assert rows(b'Email,Name\na@x,A\nb@x, "Lee, Ann"\n') == [("A", "a@x"), ("Lee, Ann", "b@x")]


def test_blanks_are_kept_where_no_quote_follows_a_delimiter_and_blanks() -> None:
    content = b'Email, Name\na@x, Ann\n"b@x"," ""B"" x, ""y"""\n'
    assert rows(content) == [(" Ann", "a@x"), (' "B" x, "y"', "b@x")]
    assert "skipInitialSpace" not in detected(content)


@pytest.mark.parametrize("delimiter", list("-^~:#*.=+&'/\\ \t!$%"))
def test_any_delimiter_that_a_first_line_names_separates_cells(delimiter: str) -> None:
    content = f"sep={delimiter}\nname{delimiter}email\nA{delimiter}a@x\n".encode()
    assert rows(content) == rows(*in_pieces(content, 1)) == [("A", "a@x")]


# Limits


def test_a_row_of_more_cells_than_a_table_can_have_is_one_bad_row() -> None:
    content = b"name,email\nA,a@x\n" + b"," * 40_000 + b"x\nB,b@x\n" + b"," * 40_000 + b"\nC,c@x\n"
    bad = (Malformed("Expected 2 cells, found 40001", "wrong_column_count"),) * 2
    assert rows(content) == rows(*in_pieces(content, 1000)) == [("A", "a@x"), bad, ("B", "b@x"), ("C", "c@x")]
    assert [(line, len(row)) for line, row in origins(content)] == [(2, 2), (3, 16_384), (4, 2), (6, 2)]


def test_cells_that_are_not_kept_count_for_the_lines() -> None:
    content = b"name,email\n" + b'"\n",' * 20_000 + b"x\nA,a@x\n" + b'"\n",' * 20_000 + b"\nB,b@x\n"
    assert [line for line, _ in origins(content)] == [2, 20_003, 40_005]


def test_a_header_of_more_cells_than_a_table_can_have_is_refused() -> None:
    refused_message = "more than 16384 columns"
    content = b"name,email" + b",x" * 20_000 + b"\nA,a@x\n"
    with pytest.raises(MissingColumns, match=refused_message):
        rows(content)


@pytest.mark.parametrize("row", [b"," * 60_000 + b"x\n", b"A,a@x," + b"x" * 60_000 + b"\n"])
def test_large_rows_come_in_small_blocks(row: bytes) -> None:
    content = b"name,email,x\n" + row * 60
    blocks = [len(block.names) for block in read_blocks(in_pieces(content, PIECE_BYTES), Reading(LIMIT), Findings())]
    assert sum(blocks) == 60
    assert max(blocks) <= 6


@pytest.mark.parametrize(("row", "most"), [(b'A,"a"b,\n', 800), (b'A,"' + b"x\n" * 30_000 + b'"x\n', 6)])
def test_rows_with_a_quote_in_the_wrong_place_come_in_blocks_as_others_do(row: bytes, most: int) -> None:
    count = 3 * most
    content = b"name,email,x\n" + row * count
    origins, rows_before = list[int | None](), 0
    for block in read_blocks(in_pieces(content, PIECE_BYTES), Reading(LIMIT), Findings()):
        assert len(block.names) <= most
        assert block.first_record == rows_before
        rows_before += len(block.names)
        origins += map(block.origin.line, range(len(block.names)))
    assert origins == [2 + number * row.count(b"\n") for number in range(count)]


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
def test_a_row_over_the_limit_is_refused_by_its_bytes(kind: str, end: bytes, piece_bytes: int) -> None:
    content = BEFORE + row_of(kind, LIMIT + TOLERANCE + 1000) + end
    with pytest.raises(RowTooLarge, match=rf"{LIMIT} bytes \(MAX_ROW_BYTES\)"):
        rows(*in_pieces(content, piece_bytes))


@pytest.mark.parametrize("kind", [*KINDS, "emoji", "lines of emoji"])
@pytest.mark.parametrize("piece_bytes", [1000, PIECE_BYTES, 10 * PIECE_BYTES])
def test_rows_up_to_the_limit_are_read(kind: str, piece_bytes: int) -> None:
    row = row_of(kind, LIMIT - 10)
    end = b'"\n' if row.startswith(b'A,"') else b"\n"
    found = rows(*in_pieces(BEFORE + (row + end) * 5, piece_bytes))
    assert len(found) == 5_005
    assert found[:5_000] == [("Ada", "ada@example.org")] * 5_000
    assert found[5_000:] == found[5_000:5_001] * 5


def test_a_header_over_the_limit_is_refused() -> None:
    with pytest.raises(RowTooLarge):
        rows(*in_pieces(b"name,email," + b"x," * (LIMIT + TOLERANCE), 1000))
    with pytest.raises(RowTooLarge):
        rows(*in_pieces(b'name,email,"' + b"x\n" * (LIMIT + TOLERANCE), PIECE_BYTES))


def test_many_blank_lines_are_no_row_too_large() -> None:
    assert rows(*in_pieces(b"name,email\n" + b"\n" * (4 * LIMIT) + b"a,b\n", 1000)) == [("a", "b")]


def test_the_error_of_a_large_row_does_not_quote_it() -> None:
    with pytest.raises(RowTooLarge) as caught:
        rows(b"name,email\n" + b"Secret" * LIMIT)
    assert not re.search("secret", caught.value.message, re.IGNORECASE)


def test_twenty_megabytes_of_blank_lines_are_an_empty_file() -> None:
    with pytest.raises(NoContacts):
        rows(*[b"\n" * PIECE_BYTES] * 320)


def test_a_beginning_of_blank_lines_may_become_a_file_with_contacts() -> None:
    for content in (b"\n" * 1024 * 1024, b"", b" \r\n"):
        assert rows(content, is_beginning=True) == []
        assert look_ahead(content, Reading(LIMIT, is_beginning=True)) is None


def test_a_header_may_follow_a_megabyte_of_blank_lines() -> None:
    content = [b"\r\n" * 5_000] * 150
    findings = Findings()
    [block] = read_blocks([*content, b"name,email\r\n\r\nA,a@x\r\n"], Reading(LIMIT), findings)
    assert (block.names, block.origin.line(0)) == (["A"], 750_003)
    assert (findings.facts["headerLine"], findings.facts["preambleLines"]) == (750_001, 750_000)


# What is known of a file


def test_what_was_found_out_is_kept() -> None:
    content = "\ufeffsep=;\r\nE-mail;Nom;Ville;_row;;Ville;x\0\r\n".encode()
    assert detected(content, mapping={"name": ["Nom"]}) == {
        "encoding": "utf-8",
        "hasByteOrderMark": True,
        "delimiter": ";",
        "preambleLines": 1,
        "headerLine": 2,
        "mapping": {
            "name": {"columns": ["Nom"], "reason": "as given in mapping"},
            "email": {"columns": ["E-mail"], "reason": "one of the usual names for email"},
        },
        "columns": ["E-mail", "Nom", "Ville", "_row", "", "Ville", "x\N{REPLACEMENT CHARACTER}"],
        "ignoredColumns": ["Ville", "x\N{REPLACEMENT CHARACTER}"],
    }


def test_all_columns_of_an_address_are_told_and_none_of_them_is_ignored() -> None:
    found = detected(b"First Name,E-mail Address,E-mail 2 Address,Phone\nAnn,,a2@x,\n")
    columns = {"columns": ["E-mail Address", "E-mail 2 Address"], "reason": "the first of these that is not empty"}
    assert found["mapping"] == {
        "name": {"columns": ["First Name"], "reason": "one of the usual names for name"},
        "email": columns,
    }
    assert found["ignoredColumns"] == ["Phone"]


def test_no_preamble_is_not_mentioned() -> None:
    assert "preambleLines" not in detected(b"name,email\n")


# Where rows come from


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_the_line_of_a_row_counts_all_physical_lines(newline: str) -> None:
    lines = [
        "Notes",
        "",
        '"a\nb",name,email',
        "1,A,a@x",
        "",
        '"1\n2\n\n3",B,b@x',
        "C",
        "   ",
        '"1",D,"d\n@x"',
        "2,E,e@x",
    ]
    content = "\n".join(lines).replace("\n", newline).encode()
    assert [line for line, _ in origins(content)] == [5, 7, 11, 13, 15]


def test_lines_are_counted_over_many_blocks() -> None:
    content = b"name,email\n" + b'A,a@x\n"B\nb",b@x\n\n' * BLOCK_ROWS
    assert [line for line, _ in origins(content)] == [
        line for at in range(BLOCK_ROWS) for line in (2 + 4 * at, 3 + 4 * at)
    ]


def test_a_row_is_shown_with_all_its_cells() -> None:
    assert origins(b"name,email\nA,a@x,1,2\nB\n") == [(2, ["A", "a@x", "1", "2"]), (3, ["B"])]


# Content that may be cut anywhere


def test_what_is_not_complete_is_left_out_of_a_beginning() -> None:
    content = b'name,email\nA,a@x\r\n"B\n1",b@x\nC,c@x\n"D\n2",d@x\n'
    whole = [("A", "a@x"), ("B\n1", "b@x"), ("C", "c@x"), ("D\n2", "d@x")]
    ends = [content.index(mark) + len(mark) for mark in (b"a@x\r", b"b@x\n", b"c@x\n", b"d@x\n")]
    for cut in range(11, len(content) + 1):
        expected = whole[: sum(cut >= end for end in ends)]
        assert rows(content[:cut], is_beginning=True) == expected


def test_a_beginning_may_end_within_a_character() -> None:
    assert rows("name,email\nJosé,j@x\né".encode()[:-1], is_beginning=True) == [("José", "j@x")]


#: Nothing that anybody could have written in any encoding.
UNLIKELY = bytes(range(0x80, 0x100)) + b"".join(b"%ca" % byte for byte in range(0x80, 0x100))


def ahead(content: bytes, **said: Any) -> tuple[str, int] | None:
    found = look_ahead(content, Reading(LIMIT, is_beginning=True, **said))
    return (found.delimiter, found.header_line) if found else None


def test_looking_ahead_never_takes_a_cut_row_for_the_header() -> None:
    content = b"Notes\n\nname;email;email address\nA;a@x\n"
    for cut in range(len(content)):
        assert ahead(content[:cut]) == ((";", 3) if cut >= content.index(b"A;") else None)


def test_looking_ahead_refuses_only_what_can_have_no_header_any_more() -> None:
    for count in (1, MAX_RECORDS - 1):
        assert ahead(b"Ada,a@x\n" * count) is None
    with pytest.raises(MissingColumns):
        ahead(b"Ada,a@x\n" * MAX_RECORDS)
    with pytest.raises(MissingColumns):
        look_ahead(b"Ada,a@x\n", Reading(LIMIT))
    with pytest.raises(AmbiguousColumns):
        ahead(b"name,mail,Mail\n" + b"Ada,a@x,b@x\n" * MAX_RECORDS)


def test_looking_ahead_does_not_judge_by_an_encoding_that_more_content_may_change() -> None:
    content = "Имя,email\n".encode("cp1251") + b"x,y\n" * 40
    assert ahead(content, mapping={"name": ["Имя"], "email": ["почта"]}) is None
    assert ahead(UNLIKELY + b"\nx,y\n" * 40) is None
    with pytest.raises(MalformedInput, match="encoding="):
        look_ahead(UNLIKELY, Reading(LIMIT))


@pytest.mark.parametrize("said", [{"encoding": "cp1252"}, {"encoding": "utf-16"}, {"delimiter": ";"}, {"skip_rows": 3}])
def test_a_rejects_file_is_read_as_we_write_it_whatever_was_said_of_the_file_it_comes_from(
    said: dict[str, Any],
) -> None:
    content = "name,email,_record,_line,_code,_error\r\nJürgen,j@x.de,1,2,invalid_email,email: bad\r\n".encode()
    for pieces in ([content], [bytes([byte]) for byte in content]):
        [block] = read_blocks(pieces, Reading(LIMIT, **said), Findings())
        assert (block.names, block.emails) == (["Jürgen"], ["j@x.de"])
