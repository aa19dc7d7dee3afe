"""NDJSON: what one bad line does (one bad row), and what it does not (anything to its neighbours)."""

import json
from typing import Any

import pytest

from dataflow.contacts import validation
from dataflow.errors import RowTooLarge
from dataflow.formats.block import ABSENT, Malformed
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.registry import read_blocks

pytestmark = pytest.mark.unit

LIMIT = 64 * 1024
ADA = b'{"name":"Ada","email":"ada@example.org"}'
BOB = b'{"email":"bob@example.org","name":"Bob","tags":[{"name":"no"}]}'
FOUND = [("Ada", "ada@example.org"), ("Bob", "bob@example.org")]


def rows(*pieces: bytes, **said: Any) -> list[tuple[object, object]]:
    return read(*pieces, **said)[0]


def read(*pieces: bytes, **said: Any) -> tuple[list[tuple[object, object]], Findings]:
    """The rows, and what was found out; `said` is what the sender has said."""
    found: list[tuple[object, object]] = []
    findings = Findings()
    for block in read_blocks("ndjson", pieces, Reading(LIMIT, **said), findings):
        assert block.first_record == len(found)
        found += zip(block.names, block.emails, strict=True)
    return found, findings


def origins(*pieces: bytes) -> list[tuple[int | None, str | list[str]]]:
    """Line and text of each row, asked for in the order of a report with gaps."""
    found = []
    for block in read_blocks("ndjson", pieces, Reading(LIMIT), Findings()):
        found += [(block.origin.line(index), block.origin.row(index)) for index in range(len(block.names))]
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
    assert rows(b"\xef\xbb\xbf\n" + ADA + b"\n" + BOB) == FOUND
    assert rows(b"\xef\xbb\xbf") == []


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
        (b"NaN", "NaN is not JSON"),
        (b'{"name":NaN,"email":"e"}', "NaN is not JSON"),
        (b'{"name":"n","email":"e","x":-Infinity}', "Invalid JSON"),
        (b"9" * 5_000, "out of range"),
        (b'{"name":"n","email":"e","x":' + b"9" * 5_000 + b"}", "out of range"),
        (b"[" * 15_000, "nested too deeply"),
        (b'{"x":' * 12_000, "nested too deeply"),
        (b'{"name":"n","email":"e","x":' + b"[" * 10_000 + b"]" * 20_000 + b"}", "nested too deeply"),
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
        assert problem.code == ("bad_encoding" if "UTF-8" in reason else "malformed_row")
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
    [block] = read_blocks("ndjson", [content], Reading(LIMIT), Findings())
    assert block.names == ["\ud83dA", "\U0001f600"]
    assert block.emails == ["a@example.org", "b@example.org"]
    verdict = validation.judge(block)
    assert verdict.names == ["\U0001f600"]
    [refusal] = verdict.refusals
    assert [(refusal.index, problem.field, problem.code) for problem in refusal.problems] == [
        (0, "name", "bad_encoding")
    ]


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


# Mapping


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"fullName": "Ada", "emailAddress": "e"}, ("Ada", "e")),
        ({"first_name": "Ada", "last_name": "King", "E-mail": "e"}, ("Ada King", "e")),
        ({"first_name": " Ada ", "last_name": None, "E-mail": "e"}, ("Ada", "e")),
        ({"first_name": "Ada", "last_name": 5, "E-mail": ["e"]}, (5, ["e"])),
        ({"fullName": " ", "first": "Ada", "last": "King", "mail": "e"}, ("Ada King", "e")),
        ({"Name": "no", "name": "Ada", "EMAIL": "no", "email": "e"}, ("Ada", "e")),
        ({"name": None, "Full Name": "Ada", "email": "e"}, (None, "e")),
        ({"name": "Ada", "Mail": "", "e-mail": " ", "Primary Email": "e"}, ("Ada", "e")),
        ({"phone": "1"}, (ABSENT, ABSENT)),
    ],
)
def test_members_are_found_by_what_they_are_called(row: dict[str, object], expected: tuple[object, object]):
    line = json.dumps(row).encode()
    assert rows(b"\n".join([line] * 3)) == [expected] * 3
    # The same beside rows of another shape, and line by line because of one that is no row at all.
    assert rows(b"\n".join([line, ADA, line])) == [expected, FOUND[0], expected]
    assert rows(b"\n".join([line, b"x", line]))[::2] == [expected] * 2


def test_a_row_in_which_two_members_could_be_the_email_is_one_bad_row():
    line = b'{"name":"a","mail":"x","Mail":"y"}'
    for content in (b"\n".join([line, ADA, line]), b"\n".join([line, line])):
        (problem, same), *_ = found = rows(content)
        assert isinstance(problem, Malformed)
        assert problem == same
        assert problem.code == "malformed_row"
        assert "mail (column 2), Mail (column 3)" in problem.message
        assert found[-1] == (problem, problem)


def test_a_given_mapping_wins_and_what_a_row_lacks_of_it_is_absent():
    mapping = {"name": ["vorname", "Nachname"], "email": ["contact mail"]}
    row = {"name": "no", "email": "no", "vorname": "Ada", "nachname": "King", "contact mail": "e"}
    content = "\n".join(map(json.dumps, [row, {"vorname": "Ada"}, {"email": "no"}])).encode()
    found, findings = read(content, mapping=mapping)
    assert found == [("Ada King", "e"), ("Ada", ABSENT), (ABSENT, ABSENT)]
    assert findings.ignored_columns == ["name", "email"]
    assert findings.facts["mapping"] == {
        "name": {"columns": ["vorname", "nachname"], "reason": "as given in mapping"},
        "email": {"columns": ["contact mail"], "reason": "as given in mapping"},
    }
    assert rows(content.partition(b"\n")[0], mapping=mapping) == [("Ada King", "e")]


def test_what_was_found_out_is_put_down_whatever_the_rows_look_like():
    phone = b'{"id":1,"name":"a","email":"b","phone":"1"}'
    first = b'{"first":"a","email":"b","zip":1}'
    called = {"name": {"columns": ["name"], "reason": "called name"}}
    called["email"] = {"columns": ["email"], "reason": "called email"}
    for lines in ([ADA, phone, phone, first], [ADA, b"x", phone, first]):
        for pieces in ([b"\n".join(lines)], [line + b"\n" for line in lines]):
            _, findings = read(*pieces)
            assert findings.facts == {"encoding": "utf-8", "mapping": called}
            assert findings.ignored_columns == ["id", "phone", "zip"]
    assert read(b"\xef\xbb\xbf")[1].facts == {"encoding": "utf-8", "hasByteOrderMark": True}
    assert read(ADA)[1].ignored_columns == []


# Refused rows as they came


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_row_is_shown_as_its_line_with_the_number_that_an_editor_gives_it(newline: bytes):
    lines = [b"\xef\xbb\xbf" + ADA, b"", b' {"name": "a",  "name":[1]}', b"  ", b"", b"x\xff\xc3(\xe9", BOB, b""]
    content = newline.join(lines)
    shown = [ADA.decode(), ' {"name": "a",  "name":[1]}', "x\udcff\udcc3(\udce9", BOB.decode()]
    expected = list(zip([1, 3, 6, 7], shown, strict=True))
    for cut in range(len(content)):
        assert origins(content[:cut], content[cut:]) == expected
    assert origins(*(content[at : at + 1] for at in range(len(content)))) == expected


def test_a_row_can_be_asked_for_by_itself():
    content = b"\n" * 5 + b"\n".join(b'{"name":%d}' % number for number in range(1000))
    [block] = read_blocks("ndjson", [content + b"\n"], Reading(LIMIT), Findings())
    assert (block.origin.line(700), block.origin.row(700)) == (706, '{"name":700}')


def test_the_beginning_of_a_file_leaves_out_the_line_that_may_be_cut():
    content = ADA + b"\n" + BOB + b"\n"
    for end in range(len(content) + 1):
        assert rows(content[:end], is_beginning=True) == FOUND[: content[:end].count(b"\n")]
    assert rows(content, is_beginning=True) == FOUND
