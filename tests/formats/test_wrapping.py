"""Wrapping is not data: what programs put around values comes off, and nothing of a value ever does."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.contacts import validation
from dataflow.formats.columns.contact_columns import find
from dataflow.formats.reading import Reading
from dataflow.formats.registry import Findings, read_blocks
from dataflow.formats.signs import EndSigns, plain_lines, without_end
from dataflow.formats.tables.table_wrapping import Wrapping, wrapping_of
from dataflow.formats.wrapping import bare, is_quoted, unquoted
from tests.support import effort
from tests.support.properties import quick

pytestmark = pytest.mark.unit

MIB = 1024 * 1024


def imported(content: str | bytes, format_name: str = "csv") -> list[tuple[str, str]]:
    content = content.encode() if isinstance(content, str) else content
    blocks = read_blocks(format_name, [content], Reading(MIB), Findings())
    judged = map(validation.judge, blocks)
    return [pair for verdict in judged for pair in zip(verdict.names, verdict.emails, strict=True)]


# One value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('="Ann"', "Ann"),
        (' ="Ann" ', "Ann"),
        ('=""', ""),
        ('="Ann ""Red"" Lee"', 'Ann "Red" Lee'),
        ('="=""Ann"""', "Ann"),
        ('="Ann" ="Lee"', "Ann Lee"),
        ('="Ann" =""', "Ann"),
        ("\\N", ""),
        (" \\N ", " "),
        ("\\N Lee", "Lee"),
        ('="Ann" \\N', "Ann"),
        ("\ufeffAnn", "Ann"),
        ("Ann\x1a", "Ann"),
    ],
)
def test_what_no_value_has_by_itself_is_taken_off(text: str, value: str) -> None:
    assert bare(text) == value
    assert bare(value) == value


@pytest.mark.parametrize(
    "text",
    [
        *('"', "=", '="', '="a', '=a"', '="a"b"', '="a"b', 'a="b"', "''", "'", "", " ", "\\", "\\n", "C:\\New"),
        *(
            "O'Brien",
            "'Abd al-Rahman",
            "\u2018Okina",
            "'Abd al-Rafi'",
            '"Ann"',
            "\\NN",
            "A\\N",
            "Ann = Lee",
            '="a"&"b"',
        ),
        *(" Ann  Lee ", "\xa0Ann", "\u200eAnn"),
    ],
)
def test_any_other_value_stays_as_it_is(text: str) -> None:
    assert bare(text) == text


@pytest.mark.parametrize(
    "text", ["'" * MIB, '="' * MIB, '=""' + '""' * MIB + '"', "\\N " * MIB, '="" ' * MIB, "\ufeff\x1a" * MIB]
)
def test_no_value_takes_long(text: str) -> None:
    with effort.at_most(50):
        bare(text)
        unquoted(text, "'")
        plain_lines(f"{text}x{text}")


@pytest.mark.parametrize(
    ("text", "opening", "value"),
    [
        ("'Ann'", "'", "Ann"),
        (" 'Ann' ", "'", "Ann"),
        ("'O''Neil'", "'", "O'Neil"),
        ("'O\\'Neil'", "'", "O'Neil"),
        ("'O'Neil'", "'", "O'Neil"),
        ("''", "'", ""),
        ("'", "'", "'"),
        ("'Ann", "'", "'Ann"),
        ("O'Neil", "'", "O'Neil"),
        ('"Ann"', "'", '"Ann"'),
        ("\u201cAnn\u201d", "\u201c", "Ann"),
        ("\u201eAnn\u201c", "\u201e", "Ann"),
    ],
)
def test_quotes_come_off_where_both_are_there(text: str, opening: str, value: str) -> None:
    assert unquoted(text, opening) == value
    assert is_quoted(text, opening) is (value != text)


# A column


def worn(*rows: tuple[str, str], header: tuple[str, str] = ("name", "email")) -> Wrapping:
    return wrapping_of(header, find(header), rows)


@pytest.mark.parametrize(
    ("rows", "quotes"),
    [
        ([("'Ann'", "ann@x.org"), ("'Bob'", "bob@x.org")], {0: "'"}),
        ([("'Ann'", "'ann@x.org'")], {0: "'", 1: "'"}),
        ([("'Ann'", ""), ("", "'bob@x.org'"), ("\\N", "NULL")], {0: "'", 1: "'"}),
        ([("'Ann'", "ann@x.org")], {}),
        ([("'Ann'", "ann@x.org"), ("Bob", "bob@x.org")], {}),
        ([("'Ann'", "ann@x.org"), ("'Bob", "bob@x.org")], {}),
        ([("'Ann'", "ann@x.org"), ('"Bob"', "bob@x.org")], {}),
        ([("'", "ann@x.org"), ("'", "bob@x.org")], {}),
        ([("", ""), ("", "")], {}),
        ([], {}),
    ],
)
def test_a_column_wears_quotes_when_all_its_values_do(rows: list[tuple[str, str]], quotes: dict[int, str]) -> None:
    assert worn(*rows).quotes == quotes


def test_one_value_in_quotes_is_enough_where_its_header_has_them() -> None:
    assert worn(("'Ann'", "ann@x.org"), header=("'name'", "email")).quotes == {0: "'"}


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ([("Ann", "'ann@x.org"), ("Bob", "'bob@x.org")], {1}),
        ([("'Ann", "'ann@x.org"), ("''t Hooft", "'bob@x.org")], {0, 1}),
        ([("'Ann", "'ann@x.org"), ("Bob", "'bob@x.org")], {1}),
        ([("'Ann", "ann@x.org"), ("'Bob", "bob@x.org")], set()),
        ([("Ann", "'ann@x.org"), ("Bob", "bob@x.org")], set()),
    ],
)
def test_apostrophes_before_values_count_where_all_emails_have_them(
    rows: list[tuple[str, str]], columns: set[int]
) -> None:
    assert worn(*rows).apostrophes == columns


@pytest.mark.parametrize(
    ("row", "is_null"),
    [
        (("NULL", "ann@x.org"), False),
        (("NULL", "NULL"), True),
        (("Ann", "null"), True),
        (("(NULL)", "ann@x.org"), True),
        (("Ann", "nullable"), False),
        (("Null", "ann@x.org"), False),
    ],
)
def test_a_word_is_nothing_where_the_file_writes_it_where_no_name_is_or_in_brackets(
    row: tuple[str, str], is_null: bool
) -> None:
    assert bool(worn(row).nulls) is is_null


def test_what_is_taken_off_leaves_other_values_alone() -> None:
    rows = [["'Ann'", "'ann@x.org", "NULL"], ["O'Neil"], ["'Bob", "bob@x.org", "NULLS"]]
    Wrapping({0: "'"}, frozenset({1}), frozenset({2})).take_off(rows)
    assert rows == [["Ann", "ann@x.org", ""], ["O'Neil"], ["'Bob", "bob@x.org", "NULLS"]]


# Files


addresses = st.integers(0, 999).map("user{}@example.org".format)
names = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\ufeff\x1a\ufdd0\\="), min_size=1, max_size=9
).filter(lambda name: bool(name.strip()) and name != "NULL")
tables = st.lists(st.tuples(names, addresses), min_size=2, max_size=6)


def written(rows: list[tuple[str, str]], quote: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, quotechar=quote, quoting=csv.QUOTE_ALL).writerows([("name", "email"), *rows])
    return text.getvalue()


@settings(quick, max_examples=200)
@given(tables)
def test_any_table_in_single_quotes_comes_in_as_it_is(rows: list[tuple[str, str]]) -> None:
    assert imported(written(rows, "'")) == rows


@settings(quick, max_examples=200)
@given(tables)
def test_any_table_of_guarded_values_comes_in_as_it_is(rows: list[tuple[str, str]]) -> None:
    guarded = [["=" + '"' + value.replace('"', '""') + '"' for value in row] for row in rows]
    assert imported(written(guarded, '"')) == rows


@settings(quick, max_examples=200)
@given(st.lists(st.tuples(st.text("'\"`\u2018\u2019AO ", min_size=1, max_size=5), addresses), max_size=6))
def test_no_name_loses_anything_where_another_has_no_quotes(rows: list[tuple[str, str]]) -> None:
    rows = [("Ann", "ann@x.org"), *((name, email) for name, email in rows if name.strip())]
    assert imported(written(rows, '"')) == rows


@pytest.mark.parametrize("rows_before", [0, 3, 5000])
def test_what_is_told_by_the_first_rows_holds_for_all(rows_before: int) -> None:
    rows = [(f"O'Neil, {number}", f"user{number}@example.org") for number in range(rows_before + 2)]
    assert imported(written(rows, "'")) == rows


def test_a_name_without_quotes_among_quoted_ones_keeps_what_it_has() -> None:
    content = "name,email\n'Ann','ann@x.org'\n'Bob','bob@x.org'\n" + "x,y\n" * 100 + "D'Arcy,cid@x.org\n"
    assert imported(content)[-1] == ("D'Arcy", "cid@x.org")


def test_apostrophes_that_nothing_closes_leave_the_quotes_double() -> None:
    content = "'name','email'\n't Hooft,ann@x.org\nBob,bob@x.org\n'Cid',cid@x.org\n"
    assert imported(content) == [("'t Hooft", "ann@x.org"), ("Bob", "bob@x.org"), ("Cid", "cid@x.org")]


@pytest.mark.parametrize("name", ["Ann O'Brien", "O\\'Brien, Ann", "Ann's, Bob's", "'Abd al-Rahman", "Ann 'Red' Lee"])
def test_a_quote_between_single_quotes_need_not_be_written_twice(name: str) -> None:
    content = f"'name','email'\n'{name}','ann@x.org'\n'Bob','bob@x.org'\n"
    assert imported(content) == [(name.replace("\\", ""), "ann@x.org"), ("Bob", "bob@x.org")]


def test_columns_in_quotes_beside_notes_that_begin_with_one_are_not_split_anew() -> None:
    content = "name,email,note\n'Ann',ann@x.org,'t is\n'Bob',bob@x.org,'t was\n'Cid',cid@x.org,\n"
    assert imported(content) == [("Ann", "ann@x.org"), ("Bob", "bob@x.org"), ("Cid", "cid@x.org")]


@pytest.mark.parametrize("delimiter", [",", ", ", " , "])
def test_blanks_around_single_quotes_belong_to_no_cell(delimiter: str) -> None:
    rows = [["'id'", "'name'", "'email'"], ["1", "'Lee, Ann'", "'ann@x.org'"], ["2", "'Bob'", "'bob@x.org'"]]
    content = "\n".join(map(delimiter.join, rows))
    assert imported(content) == [("Lee, Ann", "ann@x.org"), ("Bob", "bob@x.org")]


def test_the_rows_of_a_rejects_file_are_bare_already() -> None:
    header = "name,email,_row,_record,_line,_code,_error"
    rows = "'Abd al-Rafi',ann@x.org,,1,2,,\n'Abd al-Wasi',bob@x.org,,2,3,,\n"
    assert [name for name, _ in imported(f"{header}\n{rows}")] == ["'Abd al-Rafi'", "'Abd al-Wasi'"]


@pytest.mark.parametrize("wish", [{}, {"mapping": {"name": ["Nom"], "email": ["Adr"]}}])
def test_quotes_are_found_whatever_tells_the_columns(wish: dict[str, Any]) -> None:
    header = "'Nom','Adr'" if wish else "'name','email'"
    content = f"{header}\n'Lee, Ann','ann@x.org'\n".encode()
    findings = Findings()
    [block] = read_blocks("csv", [content], Reading(MIB, **wish), findings)
    assert list(block.names) == ["Lee, Ann"]
    assert findings.facts["quote"] == "'"
    assert findings.columns == header.replace("'", "").split(",")


# Signs of beginnings and ends


@pytest.mark.parametrize(
    ("lines", "plain"),
    [
        ("a\n\x1a", "a\n"),
        ("a\x1a\r\nb\x1a", "a\r\nb"),
        ("\ufeffa\r\ufeff\x1ab\n", "a\rb\n"),
        ("a\ufeff\nb\x1ac\n", "a\ufeff\nb\x1ac\n"),
        ("\x1a\n\x1a\n", "\n\n"),
    ],
)
def test_marks_come_off_the_ends_of_lines(lines: str, plain: str) -> None:
    assert plain_lines(lines) == plain


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a\n\0\0\0", "a\n"),
        ("a\0\x1a\0", "a"),
        ("a\n\x1a\r\n\0\n", "a\n"),
        ("a\0b\0", "a\0b"),
        ("a\0\n", "a\0\n"),
        ("a\r\n", "a\r\n"),
        ("\0", ""),
        ("", ""),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_signs_of_an_end_come_off_it(content: str, said: str, size: int) -> None:
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    assert "".join(without_end(pieces, "")) == said
    assert b"".join(without_end([piece.encode() for piece in pieces], b"")) == said.encode()


def test_what_may_be_an_end_is_held_in_bounded_memory() -> None:
    end = EndSigns(b"")
    given = sum(len(end.feed(b"\0" * MIB)) for _ in range(8))
    assert given >= 7 * MIB


@pytest.mark.parametrize("end", [b"\x1a", b"\0" * 70_000, b"\n\x1a\0\0", b"\x0c"])
@pytest.mark.parametrize(
    ("format_name", "content"),
    [
        ("csv", b"email,name\nann@x.org,Ann"),
        ("json", b'[{"email": "ann@x.org", "name": "Ann"}]'),
        ("ndjson", b'{"email": "ann@x.org", "name": "Ann"}\n'),
        ("vcard", b"BEGIN:VCARD\nFN:Ann\nEMAIL:ann@x.org\nEND:VCARD\n"),
    ],
)
def test_an_end_is_no_row_of_any_format(format_name: str, content: bytes, end: bytes) -> None:
    blocks = list(read_blocks(format_name, [content + end], Reading(MIB), Findings()))
    assert [(list(block.names), list(block.emails)) for block in blocks] == [(["Ann"], ["ann@x.org"])]
