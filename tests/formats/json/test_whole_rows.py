"""Rows that are decoded many at a time are those of the careful ways, whatever they are and wherever they are cut."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.errors import InputError, RowTooLarge
from dataflow.formats.block import PIECE_BYTES, cut
from dataflow.formats.json import whole_rows
from dataflow.formats.json.document import MAX_DEPTH
from dataflow.formats.json.members import MAX_VALUES
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.registry import read_blocks
from tests.support import effort
from tests.support.json_ways import careful_only
from tests.support.properties import MIB, broken, cuts, quick

pytestmark = pytest.mark.unit

Outcome = tuple[list[tuple[object, object, str]], dict[str, Any], type[InputError] | None]


def outcome(name: str, pieces: Iterable[bytes], max_row_bytes: int = MIB) -> Outcome:
    """The rows before a fault, with their texts, what was found out, and the kind of the fault."""
    found: list[tuple[object, object, str]] = []
    findings = Findings()
    try:
        for block in read_blocks(name, pieces, Reading(max_row_bytes), findings):
            assert block.first_record == len(found)
            rows = enumerate(zip(block.names, block.emails, strict=True))
            found += [(as_is(one), as_is(other), str(block.origin.row(at))) for at, (one, other) in rows]
    except InputError as error:
        return found, findings.as_json(), type(error)
    return found, findings.as_json(), None


def as_is(value: object) -> object:
    """True and 1 are not the same, nor are 1.0 and 1."""
    return type(value) if isinstance(value, dict | list) else (type(value), repr(value))


@contextmanager
def counted() -> Iterator[list[int]]:
    """How many rows were decoded each time when they were sure."""
    sure: list[int] = []

    def counting(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
        def count(text: bytes) -> Any:
            if (found := decode(text)) is not None:
                sure.append(len(found))
            return found

        return count

    with pytest.MonkeyPatch.context() as patch:
        for name in ("of_array", "of_lines"):
            patch.setattr(whole_rows, name, counting(getattr(whole_rows, name)))
        yield sure


def assert_same(name: str, pieces: list[bytes], max_row_bytes: int = MIB) -> None:
    with careful_only():
        careful = outcome(name, pieces, max_row_bytes)
    assert outcome(name, pieces, max_row_bytes) == careful


#: Values as they may be written, the forbidden and the doubtful ones included.
WRITTEN_VALUES = [
    *('""', '"a"', '"Ada Lovelace"', '"a@b.org"', "null", "true", "7", "-0", "-0.0", "1.50", "1e5", "1E-400"),
    *("[]", "{}", '"\\u0000\\u001f\\b\\f\\r\\t\\"\\u0022\\u007f\\u2028"'),
    *('"},{"', '"}],[{"', '"\\"},{\\"name\\":1"', '"[[[{{{"', '"\\\\"', '"\\u00e9\\n\\/"', '"\\ud83d\\ude00"', '"é😀"'),
    *('[{"name":"x"},{"email":"y"}]', '{"name":{"email":[]}}', "[1,[2,[3]]]", '[{"a":1},{"a":2}]'),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775807", "-9223372036854775808"),
    *("-9223372036854775809", "[9223372036854775808]", '{"x":12345678901234567890123}', "1" * 400),
    *("[1e999]", "1e999", "1e308", "[-1e-999]", "[" * 29 + "]" * 29, "[" * 30 + "]" * 30, "[" * 31 + "]" * 31),
    *('{"":' * 28 + "[]" + "}" * 28, "[" * 1200 + "]" * 1200),
    *('"\\ud83d"', '"\\ude00\\ud83d"', '["\\ud83d!"]', '"\x01"', '"\\x"', "01", "1.", "+1", "nul", "NaN", "[1,]"),
    *('{"a":1,}', "\udcff", '"\udcff"', '["\udcc3"]', "\ufeff", '{"a"}', "'a'", '"\x7f"', '"\u2028"', "//", "/* */1"),
]
KEYS = ["name", "email", "name", "email", "Name", "e-mail", "phone", "", "na\\u006de", "x\\\\", "first name", "\udcff"]
#: Of two texts only, which are decoded apart, and nearly so.
USUAL_ROWS = [
    *['{"name":"Ada","email":"ada@example.org"}', '{"email":"b@c.org","name":"\\u00e9},{"}'] * 4,
    *(
        '{"name":"a","name":"b","email":"c"}',
        '{"name":"a","email":null}',
        '{"name":"a"}',
        '{"name":"a","email":"b","x":1}',
    ),
]
#: White space, and what stands instead of a comma or a line end by mistake.
BLANKS = st.sampled_from(["", "", "", " ", "\n", "\r\n", "\t "])
values = st.sampled_from(WRITTEN_VALUES[:14]) | st.sampled_from(WRITTEN_VALUES)


@st.composite
def written_rows(draw: st.DrawFn, blanks: st.SearchStrategy[str]) -> str:
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(values)
    if kind < 5:
        return draw(st.sampled_from(USUAL_ROWS))
    keys = draw(st.permutations(["name", "email"]) | st.lists(st.sampled_from(KEYS), max_size=4))
    members = [f'{draw(blanks)}"{key}"{draw(blanks)}:{draw(blanks)}{draw(values)}{draw(blanks)}' for key in keys]
    return "{" + ",".join(members) + "}"


def as_bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    blanks = st.just("") if draw(st.booleans()) else BLANKS
    rows = draw(st.lists(written_rows(blanks), min_size=1, max_size=12))
    comma = f"{draw(blanks)}{draw(st.sampled_from([*[','] * 30, '', ',,']))}{draw(blanks)}"
    array = f"[{comma.join(rows * draw(st.integers(1, 3)))}{draw(st.sampled_from([*[''] * 9, ',']))}]"
    head = draw(st.sampled_from(["", '{"source":"a},{","data":', '{"x":[{"y":1},{"data":[]}],"data":']))
    more = draw(st.sampled_from(["", '"data":[{"name":1},{"name":2}]', '"x":[{"name":"n"},{"name":"n"},{"name":"n"}]']))
    return as_bytes(f"{head}{array}{f',{more}' if head and more else ''}{'}' if head else ''}")


@st.composite
def line_files(draw: st.DrawFn) -> bytes:
    rows = draw(st.lists(written_rows(st.just("") if draw(st.booleans()) else BLANKS), min_size=1, max_size=12))
    newline = draw(st.sampled_from([*["\n"] * 6, *["\r\n"] * 3, "\n\n", " \n", "\n\v", "\n\x1e", "\r", "", ","]))
    return as_bytes(newline.join(rows * draw(st.integers(1, 3))) + draw(st.sampled_from(["", newline])))


@pytest.mark.parametrize(("name", "contents"), [("json", documents()), ("ndjson", line_files())])
def test_any_content_cut_anywhere_comes_to_what_the_careful_way_alone_gives(
    name: str, contents: st.SearchStrategy[bytes]
):
    @settings(quick, max_examples=500)
    @given(st.data())
    def it_does(data: st.DataObject):
        content = data.draw(contents)
        if data.draw(st.integers(0, 3)) == 0:
            content = data.draw(broken(content))
        pieces = data.draw(st.just([content]) | cuts(content))
        assert_same(name, pieces, data.draw(st.sampled_from([MIB, MIB, 2_000, 300])))

    it_does()


@pytest.mark.parametrize("value", WRITTEN_VALUES)
@pytest.mark.parametrize("name", ["json", "ndjson"])
@pytest.mark.parametrize("key", ["name", "other"])
def test_one_odd_value_among_many_rows_changes_nothing_else(name: str, key: str, value: str):
    usual = ['{"name":"Ada","email":"ada@example.org","more":"}"}'] * 50
    odd = f'{{"name":"Bob","email":"b@c.org","{key}":{value}}}'
    repeated = f'{{"{key}":{value},"name":"Bob","email":"b@c.org","{key}":1}}'
    for row in (odd, repeated, value):
        rows = [*usual, row, *usual]
        content = "\n".join(rows) if name == "ndjson" else f"[{','.join(rows)}]"
        assert_same(name, [as_bytes(content)])
        assert_same(name, list(cut_in(as_bytes(content), 999)))


def cut_in(content: bytes, size_bytes: int) -> Iterator[bytes]:
    return (content[start : start + size_bytes] for start in range(0, len(content), size_bytes))


@pytest.mark.parametrize(
    "document",
    [
        # A text begins behind the comma of what only looks like the end of a row.
        b'["},{"name":"a","email":"b"},{"name":"c","email":"d"},{"name":"e","email":"f"}]',
        b'[{"a":1} ,"},{"name":"a","email":"b"},{"name":"c","email":"d"},{"name":"e","email":"f"}]',
        b'[{"a":1},"},",{"name":"a","email":"b"},{"name":"c","email":"d"},"x"]',
        b'[{"a":"},{"},{"name":"a","email":"b"},{"name":"c","email":"},{\\"name\\":1},"},{"name":1}]',
        b'[{"a":[{"b":1},{"c":1},{"name":"a"}],"name":"x"},{"a":[{"b":1},{"name":"c"},{"name":"d"}]},{"name":1}]',
        # Behind the rows there is what looks like one.
        b'{"data":[{"name":"a"},{"name":"b"}],"x":{"y":1},"z":{"name":"c"},"u":{"name":"d"},"v":[{"name":"e"},{"name":"f"}]}',
        b'{"x":[{"name":"c"},{"name":"d"},{"name":"e"}],"data":[{"name":"a"},{"name":"b"},{"name":"c"}],"data":1}',
        b'[{"name":"a"},{"name":"b"},{"name":"c"},]',
        b'[{"name":"a"},{"name":"b"},{"name":"c"}},{"name":"d"}]',
        b'[{"name":"a"},{"name":"b"}],[{"name":"c"},{"name":"d"},{"name":"e"}]',
    ],
)
def test_documents_that_are_made_to_deceive_come_to_the_same_wherever_they_are_cut(document: bytes):
    for first in range(len(document) + 1):
        for second in (first, *range(first, len(document) + 1, 29)):
            assert_same(
                "json", [piece for piece in (document[:first], document[first:second], document[second:]) if piece]
            )


def test_half_a_surrogate_pair_is_noticed_before_the_rows_behind_it():
    usual = b'{"name":"a","email":"b"},{"name":"a","email":"b","more":1},'
    for cut_at in range(1, 8):
        escape = b"\\ud83d!"
        assert_same("json", [b'[{"x":"' + escape[:cut_at], escape[cut_at:] + b'"},' + usual * 2 + b"{}]"])


def test_a_row_of_many_brackets_is_too_large_however_few_its_bytes_are():
    row = f'{{"name":"a","email":"b","x":[{",".join(["[]"] * 100)}]}}'
    content = f"[{','.join([row] * 6)}]".encode()
    assert_same("json", [content], 1_200)
    assert outcome("json", [content], 1_200)[2] is RowTooLarge
    assert outcome("json", [content], 1_800)[2] is None


@pytest.mark.parametrize(
    "lines",
    [
        b'{"name":1}{"name":2}\n{"name"\n:3}\n',
        b'{"name":\n1}\n{"name":2} {"name":3}\n{"name":4}',
        b'{"name":1\n"email":2}\n{"name":3},{"name":4}\n',
        b'{"a":[{}\n{}]}\n{"name":1}{"name":2}\n{"name":3}',
        b'{"a":{"b":1}\n}\n{"name":1}\n{"name":2}',
        b'{"name":"a"}\r\n{"name":"b"}\n{"name":"c"}\r\n{"name":"d"}\r',
        b'{"name":"a"}\r{"name":"b"}\n{"name":"c"}',
    ],
)
def test_lines_that_are_made_to_deceive_come_to_the_same(lines: bytes):
    for at in range(len(lines) + 1):
        assert_same("ndjson", [piece for piece in (lines[:at], lines[at:]) if piece])


# What is decoded at once


USUAL = {"name": "Ada Lovelace", "email": "ada@example.org"}
DEEP = "[" * MAX_DEPTH + "]" * MAX_DEPTH
NESTED = {**USUAL, "address": {"city": "London", "geo": {"at": [1, 2]}}, "tags": ["a", "[b]"]}


@pytest.mark.parametrize(
    "row",
    [
        lambda at: USUAL,
        lambda at: NESTED,
        lambda at: USUAL if at % 2 else {"email": "e", "Full Name": "f", "x": 1},
        lambda at: USUAL if at % 2 else dict(reversed(USUAL.items())),
        lambda at: {**USUAL, f"key{at}": at},
        lambda at: {**USUAL, "id": f"{at:019d}5e1234", "phone": None if at % 3 else "+49 30 1234567"},
        lambda at: {**USUAL, "email": None if at % 2 else "no address"},
    ],
    ids=["usual", "nested", "two sets of keys", "two orders of keys", "ever new keys", "long digits", "bad"],
)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["json", "ndjson"])
def test_nearly_all_rows_of_sound_files_are_decoded_at_once(name: str, row: Callable[[int], Any], indent: int | None):
    rows = [row(at) for at in range(5_000)]
    if name == "ndjson":
        content = "\n".join(map(json.dumps, rows)).encode()
    else:
        content = json.dumps({"data": rows}, indent=indent, separators=(",", ":") if indent is None else None).encode()
    with counted() as sure:
        found, _, error = outcome(name, cut(content))
    assert (len(found), error) == (5_000, None)
    careful_parts = len(content) / PIECE_BYTES + 1
    # Of a piece the first and the last row, and a last one behind which a nested value looks like its end.
    assert sum(sure) >= 5_000 - (4 * careful_parts if name == "json" else 2) - (900 if name == "json" else 0)


def test_one_bad_line_sends_no_other_the_slow_way():
    lines = [json.dumps(USUAL)] * 500
    lines[250] = '{"name": "Ada'
    with counted() as sure:
        found, _, _ = outcome("ndjson", ["\n".join(lines).encode()])
    assert len(found) == 500
    assert sum(sure) == 499


@pytest.mark.parametrize(
    "row",
    [
        f'{{"x":{DEEP}}}',
        f'{{"x":{DEEP},"x":1}}',
        '{"x":[12345678901234567890]}',
        '{"x":12345678901234567890}',
        f'{{"x":[{",".join("1" * (MAX_VALUES + 1))}]}}',
        f'{{"x":"{"x" * whole_rows.MAX_BYTES}"}}',
        '{"x":"\\ud800"}',
    ],
)
def test_what_might_be_refused_is_never_sure(row: str):
    assert whole_rows.of_array(b'{"name":"a"},' + row.encode()) is None
    assert whole_rows.of_lines(b'{"name":"a"}\n' + row.encode()) is None


@pytest.mark.parametrize(
    "part",
    [
        *(b"}" * PIECE_BYTES, b"}," * (PIECE_BYTES // 2), b"} " * (PIECE_BYTES // 2), b"}" + b" " * PIECE_BYTES),
        *(
            b'"},{"name"' * (PIECE_BYTES // 10),
            b'[{"a":1},' + b"{" * PIECE_BYTES,
            b'[{},{},"' + b"}, " * (PIECE_BYTES // 3),
        ),
        b"[" + b'{"":[{},{},{},{}]},' * (PIECE_BYTES // 20),
    ],
)
def test_a_hostile_megabyte_takes_no_longer_than_one_pass(part: bytes):
    usual = json.dumps([USUAL] * 1_000)[:-1].encode() + b","
    with effort.at_most():
        outcome("json", [usual, *[part] * (MIB // len(part))])
        outcome("ndjson", [part] * (MIB // len(part)))
