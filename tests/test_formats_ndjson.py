"""NDJSON: what one bad line does (one bad row), and what it does not (anything to its neighbours)."""

import pytest

from dataflow import contacts
from dataflow.errors import RowTooLarge
from dataflow.formats.ndjson import read_blocks
from dataflow.formats.rows import ABSENT, Block, Malformed

pytestmark = pytest.mark.unit

LIMIT = 64 * 1024
ADA = b'{"name":"Ada","email":"ada@example.org"}'
BOB = b'{"email":"bob@example.org","name":"Bob","tags":[{"name":"no"}]}'
FOUND = [("Ada", "ada@example.org"), ("Bob", "bob@example.org")]


def rows(*pieces: bytes) -> list[tuple[object, object]]:
    found: list[tuple[object, object]] = []
    for block in read_blocks(pieces, LIMIT):
        assert block.first_record == len(found)
        found += zip(block.names, block.emails, strict=True)
    return found


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("at_end", [True, False])
def test_each_line_is_a_row(newline: bytes, at_end: bool):
    content = ADA + newline + BOB + (newline if at_end else b"")
    assert rows(content) == FOUND
    for cut in range(len(content)):
        assert rows(content[:cut], content[cut:]) == FOUND


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b" \t\n", b"\n\n\r\n\n"])
def test_blank_lines_are_no_rows(blank: bytes):
    assert rows(blank + ADA + b"\n" + blank + BOB + b"\n" + blank) == FOUND
    assert rows(blank) == []


def test_an_empty_stream_has_no_rows():
    assert rows() == rows(b"") == []


def test_white_space_around_an_object_is_ignored():
    assert rows(b"  " + ADA + b" \t\n\t" + BOB + b"   ") == FOUND


def test_a_byte_order_mark_is_no_part_of_the_first_line():
    assert rows(b"\xef\xbb\xbf" + ADA + b"\n" + BOB) == FOUND


def test_only_a_newline_ends_a_line():
    """Python would end lines at these as well; in JSON they are text."""
    text = "a\u2028b\u2029c\u0085d\x7f"
    assert rows(f'{{"name":"{text}","email":"e"}}\n'.encode()) == [(text, "e")]


def test_the_last_of_two_equal_keys_wins():
    assert rows(b'{"name":"a","name":"b","email":"c","email":"d"}') == [("b", "d")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "Invalid JSON"),
        (b"x", "Invalid JSON"),
        (b'{"name":"a"', "Invalid JSON"),
        (b'{"name":"a","email":"b",}', "Invalid JSON"),
        (b'{"name":"a\tb","email":"e"}', "Invalid JSON"),
        (b'{"name":"a\rb","email":"e"}', "Invalid JSON"),
        (ADA + b"," + BOB, "Invalid JSON"),
        (ADA + BOB, "Invalid JSON"),
        (ADA + b",", "Invalid JSON"),
        (ADA + b' "', "Invalid JSON"),
        (b"[" + ADA + b"]", "expected an object"),
        (b"[]", "expected an object"),
        (b"1", "expected an object"),
        (b"null", "expected an object"),
        (b'"text"', "expected an object"),
        (b"NaN", "Invalid JSON"),
        (b'{"name":NaN,"email":"e"}', "Invalid JSON"),
        (b'{"name":"n","email":"e","x":-Infinity}', "Invalid JSON"),
        (b"9" * 5_000, "out of range"),
        (b'{"name":"n","email":"e","x":' + b"9" * 5_000 + b"}", "out of range"),
        (b"[" * 60_000, "nested too deeply"),
        (b'{"x":' * 12_000, "nested too deeply"),
        (b'{"name":"n","email":"e","x":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "nested too deeply"),
        (b'{"name":"\xff","email":"e"}', "Invalid UTF-8 at byte 9 of the line"),
        (b'{"name":"\xc0\xaf","email":"e"}', "Invalid UTF-8 at byte 9 of the line"),
        (b'{"name":"\xed\xa0\x80","email":"e"}', "Invalid UTF-8 at byte 9 of the line"),
        (b'{"name":"n","email":"\xc3', "Invalid UTF-8 at byte 21 of the line"),
    ],
)
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_one_bad_line_is_one_bad_row(line: bytes, reason: str, newline: bytes):
    content = newline.join([ADA, line, BOB, line, b""])
    for pieces in ([content], [content[:50], content[50:]]):
        first, (problem, same), second, last = rows(*pieces)
        assert [first, second] == FOUND
        assert isinstance(problem, Malformed)
        assert reason in problem.message
        assert problem == same
        assert last == (problem, problem)


def test_a_bad_row_does_not_quote_the_line():
    for line in (b'{"name":"Secret"', b'{"name":"Secret\xff"}', b'{"name":"Secret","x":' + b"9" * 5_000 + b"}"):
        [(problem, _)] = rows(line)
        assert isinstance(problem, Malformed)
        assert "Secret" not in problem.message
        assert "999" not in problem.message


def test_long_numbers_that_nobody_asked_for_are_ignored():
    assert rows(b'{"name":"n","email":"e","x":%s,"y":1e999}' % (b"9" * 4_000)) == [("n", "e")]


def test_missing_and_nested_values_are_handed_on():
    content = b'{"email":"e"}\n{"name":null,"email":1}\n{}\n{"name":{"a":[]},"email":[1]}\n'
    *scalars, (name, email) = rows(content)
    assert scalars == [(ABSENT, "e"), (None, 1), (ABSENT, ABSENT)]
    assert not isinstance(name, str)
    assert not isinstance(email, str)


def test_half_a_surrogate_pair_reaches_the_verdict_as_one_bad_row():
    content = b'{"name":"\\ud83d\\u0041","email":"a@example.org"}\n{"name":"\\ud83d\\ude00","email":"b@example.org"}\n'
    [block] = read_blocks([content], LIMIT)
    assert block == Block(0, ["\ud83dA", "\U0001f600"], ["a@example.org", "b@example.org"])
    verdict = contacts.judge(block)
    assert verdict.names == ["\U0001f600"]
    assert [issue.path for issue in verdict.issues] == [("data", 0, "name")]
    assert "surrogate" in verdict.issues[0].message


def line_of(size_bytes: int) -> bytes:
    frame = b'{"name":"%s","email":"e"}'
    return frame % (b"x" * (size_bytes - len(frame % b"")))


@pytest.mark.parametrize("newline", [b"\n", b""])
@pytest.mark.parametrize("piece_bytes", [1000, LIMIT, 10 * LIMIT])
def test_a_line_may_be_as_long_as_the_limit_and_no_longer(piece_bytes: int, newline: bytes):
    def in_pieces(content: bytes) -> list[bytes]:
        return [content[start : start + piece_bytes] for start in range(0, len(content), piece_bytes)]

    before = (ADA + b"\n") * 10
    [*_, (name, email)] = rows(*in_pieces(before + line_of(LIMIT) + newline))
    assert (name, email) == ("x" * (LIMIT - len(line_of(0))), "e")
    with pytest.raises(RowTooLarge, match=rf"{LIMIT} bytes \(MAX_ROW_BYTES\)"):
        rows(*in_pieces(before + line_of(LIMIT + 1) + newline))


def test_the_limit_counts_bytes():
    with pytest.raises(RowTooLarge):
        rows(f'{{"name":"{"😀" * (LIMIT // 3)}","email":"e"}}\n'.encode())
