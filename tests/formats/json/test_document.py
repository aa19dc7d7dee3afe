"""JSON documents: both forms, what yajl and ijson would let through, and the limits."""

import itertools
import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from dataflow.errors import InputError, MalformedInput, RowTooLarge
from dataflow.formats.block import ABSENT, PIECE_BYTES, Malformed
from dataflow.formats.json import document
from dataflow.formats.json.document import MAX_DEPTH, JsonWalker
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.registry import read_blocks
from dataflow.imports.options import MEMBERS

pytestmark = pytest.mark.unit

MIB = 1024 * 1024
ROWS = b'[{"name":"Ada","email":"ada@example.org"},{"name":"Bob","email":"bob@example.org"}]'
FOUND = [("Ada", "ada@example.org"), ("Bob", "bob@example.org")]


def rows(*pieces: bytes, max_row_bytes: int = MIB, **said: Any) -> list[tuple[object, object]]:
    return read(*pieces, max_row_bytes=max_row_bytes, **said)[0]


def read(*pieces: bytes, max_row_bytes: int = MIB, **said: Any) -> tuple[list[tuple[object, object]], Findings]:
    """The rows, and what was found out; `said` is what the sender has said."""
    found: list[tuple[object, object]] = []
    findings = Findings()
    for block in read_blocks("json", pieces, Reading(max_row_bytes, members=MEMBERS, **said), findings):
        assert block.first_record == len(found)
        found += zip(block.names, block.emails, strict=True)
    return found, findings


def texts(*pieces: bytes) -> list[str]:
    """The rows as they are shown to somebody who has to correct them."""
    found: list[str] = []
    for block in read_blocks("json", pieces, Reading(MIB), Findings()):
        assert {block.origin.line(index) for index in range(len(block.names))} == {None}
        found += [str(block.origin.row(index)) for index in range(len(block.names))]
    return found


def in_pieces(document: bytes, piece_bytes: int) -> list[bytes]:
    return [document[start : start + piece_bytes] for start in range(0, len(document), piece_bytes)]


def expected_row(row: object) -> tuple[object, object]:
    """What a row comes to, told by its value as json.loads gives it."""
    if not isinstance(row, dict):
        nouns = {list: "an array", type(None): "null", bool: "true or false", str: "a string"}
        problem = Malformed(f"Expected an object, found {nouns.get(type(row), 'a number')}")
        return problem, problem
    values = [row.get(member, ABSENT) for member in ("name", "email")]
    name, email = (type(value) if isinstance(value, dict | list) else value for value in values)
    return name, email


# Forms


@pytest.mark.parametrize(
    "members",
    list(itertools.permutations([b'"source":"crm"', b'"data":' + ROWS, b'"useResumable":true', b'"x":[{"data":[1]}]'])),
)
def test_the_request_object_is_read_in_any_order_of_its_members(members: tuple[bytes, ...]):
    walker = JsonWalker(Reading(MIB, members=MEMBERS), Findings())
    block = walker.feed(b"{" + b",".join(members) + b"}")
    walker.close()
    assert block is not None
    assert list(zip(block.names, block.emails, strict=True)) == FOUND
    assert walker.members == {"source": "crm", "useResumable": True}
    assert walker.row_count == 2


def test_the_members_that_mean_something_are_kept_beside_the_rows():
    given = {"source": "crm", "useResumable": True, "onInvalid": "skip", "maxRejects": 7, "onConflict": "update"}
    given |= {"dryRun": True, "mapping": "x", "encoding": "y", "delimiter": "z", "skipRows": 5}
    assert set(given) == MEMBERS
    walker = JsonWalker(Reading(MIB, members=MEMBERS), Findings())
    walker.feed(json.dumps({**given, "other": 1, "data": []}).encode())
    walker.close()
    assert walker.members == given


@pytest.mark.parametrize("member", sorted(MEMBERS))
def test_a_nested_member_is_told_by_its_type(member: str):
    walker = JsonWalker(Reading(MIB, members=MEMBERS), Findings())
    walker.feed(json.dumps({member: [{"a": "b"}], "data": []}).encode())
    walker.close()
    assert walker.members == {member: list}


def test_a_bare_array_is_read():
    assert rows(ROWS) == FOUND


def test_a_document_may_begin_with_a_byte_order_mark():
    assert rows(b"\xef\xbb\xbf" + ROWS) == FOUND
    assert rows(*in_pieces(b"\xef\xbb\xbf" + ROWS, 1)) == FOUND


def test_white_space_around_everything_is_ignored():
    first = b'{ "name" : "Ada" ,\n "email"\t: "ada@example.org" }'
    spaced = b' \r\n\t[ %s , \r\n { "email":"bob@example.org","name":"Bob"} ] \n' % first
    assert rows(spaced) == FOUND


def test_an_empty_array_has_no_rows():
    assert rows(b"[]") == rows(b'{"data":[]}') == []


def test_nested_members_that_nobody_asked_for_are_ignored():
    extra = b'"tags":[{"name":"no"},["no"],{"data":[{"name":"no","email":"no"}]}],"more":{"name":"no","email":"no"}'
    document = b'{"meta":{"data":[{"name":"no"}],"source":"no"},"data":[{%s,"name":"Ada",%s,"email":"a@b.org"}]}'
    assert rows(document % (extra, extra.replace(b"tags", b"tags2"))) == [("Ada", "a@b.org")]


def test_the_last_of_two_equal_keys_in_a_row_wins():
    row = b'{"name":"first","email":"e1","name":"last","x":1,"email":"e2"}'
    assert rows(b"[" + b",".join([row] * 5) + b"]") == [("last", "e2")] * 5
    assert rows(b'[{"name":"a","name":{"b":1},"email":[],"email":"e"}]') == [(dict, "e")]


@pytest.mark.parametrize("member", ["data", "source", "maxRejects"])
@pytest.mark.parametrize("values", list(itertools.product(["[]", "null", '"x"', "{}"], repeat=2)))
def test_a_second_member_that_means_something_is_refused(member: str, values: tuple[str, str]):
    first, second = values
    document = f'{{"{member}":{first},"other":[1],"{member}":{second},"x":1}}'
    with pytest.raises(MalformedInput, match=f"{member} is given twice"):
        rows(document.encode())


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b'{"data.item":{}}',
        b'{"data":{"item":{}}}',
        b'{"data":{"item":[{"name":"a"}]}}',
        b'{"data":{"data":[{"name":"a"}]}}',
        b'{"x":{"data":[{"name":"a"}]}}',
        b'{"x":[{"data":[{"name":"a"}]}],"source":[{"name":"a"}]}',
    ],
)
def test_what_only_looks_like_rows_is_none(document: bytes):
    with pytest.raises(MalformedInput, match="no array named data"):
        rows(document)


@pytest.mark.parametrize(
    ("value", "data_type"), [("{}", dict), ("null", type(None)), ("5", int), ('"x"', str), ("true", bool), ("[]", list)]
)
def test_the_type_of_data_is_told(value: str, data_type: type):
    walker = JsonWalker(Reading(MIB, members=MEMBERS), Findings())
    assert walker.feed(f'{{"data":{value}}}'.encode()) is None
    walker.close()
    assert walker.data_type is data_type


@pytest.mark.parametrize(
    ("document", "noun"),
    [("123", "a number"), ("-1.5e3", "a number"), ('"x"', "a string"), ("null", "null"), ("true", "true or false")],
)
@pytest.mark.parametrize("end", ["", " ", "\n"])
def test_a_document_that_is_a_scalar_is_refused_by_name(document: str, noun: str, end: str):
    with pytest.raises(MalformedInput, match=f"found {noun}"):
        rows((document + end).encode())


def test_rows_that_are_no_objects_are_one_bad_row_each():
    document = b'[1,{"name":"a","email":"b"},"x",null,[[{"name":"no"}],2],[],true,-1.5,{}]'
    assert rows(document) == [expected_row(row) for row in json.loads(document)]


@pytest.mark.parametrize("value", ["1", "-0.5", "true", "null", "[]", "{}", '[{"name":"n"}]', '{"name":"n"}'])
def test_a_value_that_is_no_text_is_handed_on_as_what_it_is(value: str):
    document = f'[{{"name":{value},"email":"e"}},{{"name":"n","email":{value}}}]'.encode()
    assert rows(document) == [expected_row(row) for row in json.loads(document)]


# Many rows


def varying_rows(seed: int, count: int) -> list[Any]:
    """Rows that keep a shape for a while and then change it in every way that there is."""
    rng = random.Random(seed)
    values: Sequence[Any] = (
        "text",
        "",
        "\t\n\\\"'/\U0001f600\x7f",
        7,
        -1.5,
        None,
        True,
        [],
        {},
        [1, {"name": 2}],
        {"a": {"email": []}},
    )
    found: list[Any] = []
    while len(found) < count:
        keys = rng.sample(["name", "email", "phone", "tags", "_Wer", "données"], rng.randint(0, 6))
        shape = {key: rng.choice(values) for key in keys}
        for number in range(rng.choice([1, 1, 1, 2, 3, 10, 255, 256, 257, 700])):
            row = dict(shape)
            for key, value in shape.items():
                if isinstance(value, str) or rng.random() < 0.02:
                    row[key] = f"{value}{number}"
            found.append(row if rng.random() > 0.01 else rng.choice(values))
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("piece_bytes", [PIECE_BYTES, 1021, 6 * MIB])
def test_rows_of_changing_shapes_are_the_rows_that_json_loads_gives(seed: int, piece_bytes: int):
    written = varying_rows(seed, 3_000)
    document = json.dumps({"data": written}, ensure_ascii=seed % 2 == 0).encode()
    assert rows(*in_pieces(document, piece_bytes)) == [expected_row(row) for row in written]
    assert texts(*in_pieces(document, piece_bytes)) == [compact(row) for row in written]


@pytest.mark.parametrize("strays", [1, 2, 3, 5])
def test_rows_that_alternate_between_shapes_are_all_found(strays: int):
    """Alternation is the worst case for taking rows in bulk: each try fails."""
    shapes = [
        {"name": "a", "email": "b"},
        {"email": "b", "name": "a"},
        {"name": "a"},
        {"email": "b"},
        {"name": "a", "x": 1, "email": "b"},
        {"name": None, "email": "b"},
    ]
    written = [shapes[number % (strays + 1)] for number in range(5_000)]
    assert rows(json.dumps(written).encode()) == [expected_row(row) for row in written]
    assert texts(json.dumps(written).encode()) == [compact(row) for row in written]


# Mapping

GIVEN = "as given in mapping"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"fullName": "Ada", "emailAddress": "e"}, ("Ada", "e")),
        ({"Full Name": "Ada", "E-Mail": "e"}, ("Ada", "e")),
        ({"first_name": "Ada", "last_name": "King", "email": "e"}, ("Ada King", "e")),
        ({"last_name": "King", "first_name": "Ada", "email": "e"}, ("Ada King", "e")),
        ({"first_name": " Ada ", "last_name": "", "email": "e"}, ("Ada", "e")),
        ({"first_name": None, "last_name": "King", "email": "e"}, ("King", "e")),
        ({"first_name": 5, "last_name": "King", "email": "e"}, (5, "e")),
        ({"first_name": None, "last_name": None, "email": "e"}, (None, "e")),
        ({"last_name": "King", "email": "e"}, ("King", "e")),
        ({"fullName": "", "first": "Ada", "last": "King", "mail": "e"}, ("Ada King", "e")),
        ({"fullName": {"first": "Ada"}, "email": "e"}, (dict, "e")),
        ({"name": "", "fullName": "Ada", "email": None, "mail": "e"}, ("", None)),
        ({"Name": "no", "name": "Ada", "EMAIL": "no", "email": "e", "E-mail": "no"}, ("Ada", "e")),
        ({"NAME": "Ada", "Email": "e"}, ("Ada", "e")),
        ({"name": "Ada", "contact": {"email": "e"}}, ("Ada", ABSENT)),
        ({"phone": "1"}, (ABSENT, ABSENT)),
    ],
)
@pytest.mark.parametrize("count", [1, 700])
def test_members_are_found_by_what_they_are_called(row: dict[str, object], expected: tuple[object, object], count: int):
    assert rows(json.dumps([row] * count).encode()) == [expected] * count


def test_a_row_in_which_two_members_could_be_the_email_is_one_bad_row():
    document = [{"name": "a", "mail": "x"}, {"name": "a", "mail": "x", "Mail": "y"}, {"name": "a", "mail": "x"}] * 300
    found = rows(json.dumps(document).encode())
    problem, same = found[1]
    assert isinstance(problem, Malformed)
    assert problem == same
    assert "mail (column 2), Mail (column 3)" in problem.message
    assert found == [("a", "x"), (problem, problem), ("a", "x")] * 300


def test_a_given_mapping_wins_and_what_a_row_lacks_of_it_is_absent():
    mapping = {"name": ["vorname", "Nachname"], "email": ["contact mail"]}
    row = {"name": "no", "email": "no", "vorname": "Ada", "nachname": "King", "contact mail": "e"}
    written = [row, {**row, "contact mail": None}, {"vorname": "Ada"}, {"nachname": "King", "email": "no"}, {}]
    found, findings = read(json.dumps(written * 300).encode(), mapping=mapping)
    expected = [("Ada King", "e"), ("Ada King", None), ("Ada", ABSENT), ("King", ABSENT), (ABSENT, ABSENT)]
    assert found == expected * 300
    names, emails = {"columns": ["vorname", "nachname"]}, {"columns": ["contact mail"]}
    assert findings.facts["mapping"] == {"name": {**names, "reason": GIVEN}, "email": {**emails, "reason": GIVEN}}
    assert findings.ignored_columns == ["name", "email"]


def test_a_mapping_of_one_member_leaves_the_other_to_be_found():
    written = [{"label": "Ada", "name": "no", "E-mail": "e"}] * 2
    assert rows(json.dumps(written).encode(), mapping={"name": ["label"]}) == [("Ada", "e")] * 2


def test_a_nested_value_of_a_mapped_member_is_told_by_its_type():
    document = b'[{"first":["a"],"last":"b","mail":{"x":1}}]'
    assert rows(document) == [(list, dict)]


def test_many_combinations_of_members_are_all_found():
    """More than are remembered at once."""
    written = [
        {"firstName": "Ada", **{f"x{bit}": 1 for bit in range(12) if number >> bit & 1}, "mail": str(number)}
        for number in range(4096)
    ]
    found, findings = read(json.dumps(written).encode())
    assert found == [("Ada", str(number)) for number in range(4096)]
    assert findings.ignored_columns == [f"x{bit}" for bit in range(12)]


def test_the_members_that_nothing_is_taken_from_are_named_once_first_come_first():
    written: list[dict[str, object]] = [{"id": 1, "name": "a", "email": "b", "fullName": "x"}] * 3
    written += [{"zip": {"name": 1}, "id": 2, "name": "a", "email": "b", "_code": "x", "": 1}] * 3
    _, findings = read(json.dumps(written).encode())
    assert findings.ignored_columns == ["id", "fullName", "zip"]
    called = {"name": {"columns": ["name"]}, "email": {"columns": ["email"]}}
    assert findings.facts["mapping"] == {field: {**one, "reason": f"called {field}"} for field, one in called.items()}


def test_of_what_is_ignored_no_more_is_kept_than_can_be_shown():
    written = [{"name": "a", "email": "b", f"x{number}": 1, "y" * 5000: 2} for number in range(300)]
    _, findings = read(json.dumps(written).encode())
    assert findings.ignored_columns == ["x0", "y" * 100, *(f"x{number}" for number in range(1, 199))]
    _, findings = read(json.dumps([{"name" + "." * 5000: "a", "email": "b"}]).encode())
    assert len(str(findings.facts["mapping"])) < 500


def test_the_mapping_is_that_of_the_first_row_that_has_both():
    _, findings = read(b'[{"fullName":"a"},{"first":"a","mail":"e"},{"name":"a","email":"e"}]')
    mapping: Any = findings.facts["mapping"]
    assert [mapping[field]["columns"] for field in ("name", "email")] == [["first"], ["mail"]]


def test_a_byte_order_mark_is_put_down():
    assert read(b"\xef\xbb\xbf[]")[1].facts == {"encoding": "utf-8", "hasByteOrderMark": True}
    assert read(b"[]")[1].facts == {"encoding": "utf-8"}


# Refused rows as they came


def compact(row: object) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


ODD_ROWS = [
    '{"name":"a","email":"b"}',
    '{"name":"a","name":{"x":[1,2,{"y":null}],"z":{}},"email":[],"name":"c"}',
    "{}",
    "[]",
    '[1,[2,{"a":[]}],"x"]',
    '"text \\u0000\\"\\\\\\n é 😀"',
    "null",
    "true",
    "-1.5",
    "-9223372036854775807",
    '{"":{"":[false,1e+300]}}',
]


@pytest.mark.parametrize("piece_bytes", [1, 7, 100, PIECE_BYTES])
def test_a_row_is_shown_with_all_that_it_has(piece_bytes: int):
    document = f'{{"source":"crm","data":[{", ".join(ODD_ROWS * 3)}],"x":[{{"name":1}}]}}'.encode()
    assert texts(*in_pieces(document, piece_bytes)) == ODD_ROWS * 3


@pytest.mark.parametrize("piece_bytes", [1000, PIECE_BYTES, 3 * MIB])
def test_a_row_of_many_pieces_is_shown_whole(piece_bytes: int):
    row = {"tags": [f"tag {number}" for number in range(16_000)], "name": "a", "x": "y" * 200_000}
    assert texts(*in_pieces(json.dumps([row] * 2).encode(), piece_bytes)) == [compact(row)] * 2


# The beginning of a document


@pytest.mark.parametrize("document", [ROWS, b'{"source":"crm","data":' + ROWS + b',"dryRun":true}'])
def test_the_beginning_of_a_document_may_end_anywhere(document: bytes):
    for end in range(len(document) + 1):
        found = rows(document[:end], is_beginning=True)
        assert found == FOUND[: len(found)]
    assert found == FOUND


@pytest.mark.parametrize("beginning", [b"[{}}", b'[{"name":"\xff', b'{"data":[]}x', b'{"data":5,', b"5 x", b"[" * 40])
def test_the_beginning_of_something_else_is_refused(beginning: bytes):
    with pytest.raises(MalformedInput):
        rows(beginning, is_beginning=True)


@pytest.mark.parametrize("row", [{}, {"name": "Ada", "email": "e"}, {"x": {"y": [1]}, "name": "Ada", "email": "e"}])
def test_members_behind_the_rows_that_look_like_one_are_none(row: dict[str, object]):
    for count in (1, 5, 255, 256, 257):
        assert rows(json.dumps({"data": [row] * count, **row}).encode()) == [expected_row(row)] * count


# Broken documents


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   ",
        b"[",
        b'{"data":[',
        b"[,]",
        b"[{},]",
        b'[{"name":"a",}]',
        b'[{"name"}]',
        b"[{'name':'a'}]",
        b'[{name:"a"}]',
        b"[} ",
        b'{"data":[}]',
        b'[{"name":"a"}{"name":"b"}]',
        b'[{"name":01}]',
        b'[{"name":+1}]',
        b'[{"name":1.}]',
        b'[{"name":.5}]',
        b'[{"name":0x10}]',
        b'[{"name":NaN}]',
        b'[{"name":Infinity}]',
        b'[{"name":True}]',
        b'[{"name":"\\x41"}]',
        b'[{"name":"\\u12G4"}]',
        b'[{"name":"a\nb"}]',
        b'[{"name":"a\x00b"}]',
        b"[/* no */]",
        b"[] // no",
        ROWS.decode().encode("utf-16"),
        ROWS.decode().encode("utf-16-le"),
    ],
)
def test_what_is_not_json_is_refused(content: bytes):
    for pieces in ([content], in_pieces(content, 1)):
        with pytest.raises(MalformedInput, match=r"^Invalid JSON format"):
            list(document.read_blocks(pieces, Reading(MIB), Findings()))


@pytest.mark.parametrize(
    "document", [b'{"source":"\xc3\xa9","data":[{"name":"\\ud83d\\ude00","x":[-1.5e3,true]}]}', ROWS]
)
def test_a_document_that_is_cut_anywhere_is_refused(document: bytes):
    assert rows(document)
    for end in range(len(document)):
        with pytest.raises(MalformedInput):
            rows(document[:end])


@pytest.mark.parametrize(
    "garbage",
    [
        b"x",
        b"{}",
        b"[]",
        b"]",
        b"}",
        b",",
        b"1",
        b"-",
        b"null",
        b"nul",
        b"\\",
        b"\x00]",
        b"\xff",
        b"\xc3",
        b'"',
        b'"open',
        b'"a"',
    ],
)
@pytest.mark.parametrize("between", [b"", b" ", b"\n\n"])
@pytest.mark.parametrize("document", [ROWS, b'{"data":' + ROWS + b"}"], ids=["array", "object"])
def test_what_follows_the_document_is_refused(document: bytes, between: bytes, garbage: bytes):
    with pytest.raises(MalformedInput):
        rows(document + between + garbage)
    with pytest.raises(MalformedInput):
        rows(document, between, *in_pieces(garbage, 1))


@pytest.mark.parametrize(
    "wrong",
    [
        b"\xff",
        b"\x80",
        b"\xc3",
        b"\xc0\xaf",  # overlong /
        b"\xc1\xbf",
        b"\xe0\x80\xaf",  # overlong / again
        b"\xc0\x80",  # overlong NUL
        b"\xf0\x80\x80\xaf",
        b"\xed\xa0\x80",  # half a surrogate pair
        b"\xed\xa0\xbd\xed\xb8\x80",  # CESU-8
        b"\xf4\x90\x80\x80",  # past U+10FFFF
        b"\xe2\x82",
    ],
)
@pytest.mark.parametrize(
    "place", [b'[{"name":"%s","email":"e"}]', b'[{"%s":1}]', b'{"x":["%s"],"data":[]}', b'[{"x":{"%s":1}}]']
)
def test_invalid_utf8_is_refused_wherever_it_is(place: bytes, wrong: bytes):
    document = place % wrong
    for pieces in ([document], in_pieces(document, 1)):
        with pytest.raises(MalformedInput):
            rows(*pieces)


@pytest.mark.parametrize("fault", [b"\xff", b"\xc3", b"\xc0\xaf", b'"', b"\\q", b"\n", b"\\ud83d", b'"}]}]x'])
def test_an_error_does_not_quote_the_rows_around_it(fault: bytes):
    document = b'[{"name":"Secret Person","email":"%s"},{"name":"Secret Person","email":"secret@example.org"}]' % fault
    with pytest.raises(MalformedInput) as caught:
        rows(document)
    assert "ecret" not in caught.value.message
    assert "\n" not in caught.value.message


def test_an_error_says_how_many_rows_were_complete():
    with pytest.raises(MalformedInput, match="after 2 complete rows"):
        rows(ROWS[:-1] + b",x")


# Surrogates: yajl puts a question mark in place of a bad half and swallows what stands beside it.

BAD_ESCAPES = [
    r"\ud83d\u0041",
    r"\ud83dA",
    r"\ud83d",
    r"\uD83D\ud83d\ude00",
    r"\ud83d\ue000",
    r"\ude00",
    r"\uDFFF\ud83d",
    r"\ud83d\n",
    r"\ud83d\\ude00",
    r"\\\ud83d",
    r"\\\\\udc00",
    r"\ud83d\ude00\ude00",
]
GOOD_ESCAPES = [
    r"\ud83d\ude00",
    r"\uD83D\uDE00",
    r"\uD800\uDC00\uDBFF\uDFFF",
    r"\\ud83d",
    r"\\\\udc00",
    r"\\\ud83d\ude00",
    r"\ud7ff\ue000",
    r"\u00e9\u0000\uffff",
    r"\"\/\b\f\n\r\t",
    r"d83d\u0064800",
]


@pytest.mark.parametrize("escaped", BAD_ESCAPES)
@pytest.mark.parametrize("place", ['[{{"name":"{}","email":"e"}}]', '[{{"{}":1}}]', '{{"x":[{{"y":"{}"}}],"data":[]}}'])
def test_half_a_surrogate_pair_is_refused_however_it_is_cut(place: str, escaped: str):
    document = place.format(escaped).encode()
    for cut in range(len(document) + 1):
        with pytest.raises(MalformedInput, match="half of a surrogate pair"):
            rows(document[:cut], document[cut:])
    with pytest.raises(MalformedInput, match="half of a surrogate pair"):
        rows(*in_pieces(document, 1))


@pytest.mark.parametrize("escaped", GOOD_ESCAPES)
def test_whole_pairs_and_escaped_backslashes_pass_however_they_are_cut(escaped: str):
    document = f'[{{"{escaped}":1,"name":"{escaped}","email":"e"}}]'.encode()
    expected = [(json.loads(document)[0]["name"], "e")]
    for cut in range(len(document) + 1):
        assert rows(document[:cut], document[cut:]) == expected
    assert rows(*in_pieces(document, 1)) == expected


@pytest.mark.parametrize("piece_bytes", [1, 7, 64, 10_000])
def test_the_byte_of_half_a_pair_is_named(piece_bytes: int):
    document = b'[{"name":"\\\\ud83d \\ud83d\\ude00 \xc3\xa9"},{"name":"\\ud83d!","email":"' + b"e" * 100 + b'"}]'
    with pytest.raises(MalformedInput, match=f"byte {document.index(b'ud83d!') - 1} is half"):
        rows(*in_pieces(document, piece_bytes))


# Limits


def nested(depth: int) -> bytes:
    """A document that is `depth` levels deep, counted with the array of rows and the row."""
    return b'[{"x":' + b"[" * (depth - 2) + b"]" * (depth - 2) + b',"name":"a","email":"b"}]'


def test_nesting_up_to_the_limit_is_allowed():
    assert rows(nested(MAX_DEPTH)) == [("a", "b")]
    assert rows(b'{"x":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b',"data":[]}') == []


@pytest.mark.parametrize(
    "document",
    [
        nested(MAX_DEPTH + 1),
        b"[" * (MAX_DEPTH + 1),
        b'{"data":' * (MAX_DEPTH + 1),
        b'{"x":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b',"data":[]}',
        nested(MAX_DEPTH)[:-1] + b"," + nested(MAX_DEPTH + 1)[1:],
        b"[" * 100_000,
    ],
)
def test_nesting_over_the_limit_is_refused(document: bytes):
    with pytest.raises(MalformedInput, match=f"more than {MAX_DEPTH} levels"):
        rows(document)


@pytest.mark.parametrize("digits", [4_300, 4_301, 5_000, 60_000])
@pytest.mark.parametrize(
    "place", [b'[{"name":%s}]', b'[{"name":"a","email":"b","x":-%s}]', b"[%s]", b'{"x":%s,"data":[]}']
)
def test_an_integer_of_thousands_of_digits_is_malformed_input(place: bytes, digits: int):
    with pytest.raises(MalformedInput) as caught:
        rows(place % (b"7" * digits))
    assert "UTF-8" not in caught.value.message


@pytest.mark.parametrize("character", ["x", "é", "\U0001f600"])
@pytest.mark.parametrize("piece_bytes", [PIECE_BYTES, 50_000, 3 * MIB])
def test_a_row_up_to_the_limit_is_read(character: str, piece_bytes: int):
    text = character * (900_000 // len(character.encode()))
    document = json.dumps([{"name": text, "email": "e"}] * 2, ensure_ascii=False).encode()
    assert rows(*in_pieces(document, piece_bytes)) == [(text, "e")] * 2


def large_row(kind: str) -> bytes:
    """A row of 3 MiB."""
    if kind == "one text":
        return b'{"name":"' + b"x" * 3 * MIB + b'","email":"e"}'
    if kind == "one key":
        return b'{"' + b"x" * 3 * MIB + b'":1}'
    if kind == "a nested array":
        return b'{"x":[' + b",".join([b'"%s"' % (b"x" * 97)] * (3 * MIB // 100)) + b"]}"
    text = {
        "members": b"x" * 90,
        "members in Greek": "ω".encode() * 45,
        "members of emoji": "\U0001f600".encode() * 23,
    }[kind]
    return b"{" + b",".join([b'"k":"%s"' % text] * (3 * MIB // 98)) + b"}"


@pytest.mark.parametrize(
    "kind", ["one text", "one key", "a nested array", "members", "members in Greek", "members of emoji"]
)
@pytest.mark.parametrize("piece_bytes", [PIECE_BYTES, 1000, 4 * MIB])
def test_a_row_over_the_limit_is_refused_by_its_bytes(kind: str, piece_bytes: int):
    document = b"[" + b'{"name":"a","email":"b"},' * 1000 + large_row(kind) + b"]"
    with pytest.raises(RowTooLarge, match=r"1048576 bytes \(MAX_ROW_BYTES\)"):
        rows(*in_pieces(document, piece_bytes))


def test_many_tiny_members_are_a_row_too_large():
    with pytest.raises(RowTooLarge, match="Row 3 "):
        rows(b'[{"name":"a"},{"name":"b"},{' + b'"a":1,' * (MIB // 4) + b'"b":2}]')


def test_a_row_too_large_is_an_input_error_of_the_client():
    with pytest.raises(InputError) as caught:
        rows(b'["' + b"x" * 200_000 + b'"]', max_row_bytes=65536)
    assert (caught.value.status, caught.value.code, caught.value.retryable) == (400, "row_too_large", False)


def test_what_stands_beside_the_rows_is_bounded_too():
    """A gzip stream of a hundred KB may hold so much of it that walking it takes minutes."""
    beside = b'{"x":[' + b"1," * 200_000 + b'1],"data":[{"name":"Ann","email":"a@example.com"}]}'
    with pytest.raises(RowTooLarge, match=r"beside the rows is larger than 16 \* 65536 bytes"):
        rows(*in_pieces(beside, PIECE_BYTES), max_row_bytes=65536)
    assert rows(*in_pieces(beside, PIECE_BYTES)) == [("Ann", "a@example.com")]


@pytest.mark.parametrize("end", ['"a', '"a@x.co"', '"a@x.co"}', "nul", '{"b":', "1"])
def test_a_document_that_is_cut_is_said_to_end_too_early(end: str):
    document = '[{"name":"Ann","email":"a@x.co"},{"name":' + end
    for piece_bytes in (1, MIB):
        with pytest.raises(MalformedInput, match=r"the document ends too early \(after 1 complete rows\)|after 2 com"):
            rows(*in_pieces(document.encode(), piece_bytes))


def test_lines_of_json_sent_as_one_document_are_told_how_to_be_sent():
    with pytest.raises(MalformedInput, match="one document a line as application/x-ndjson"):
        rows(b'[{"name":"Ann","email":"a@x.co"}]\n{"name":"Bob","email":"b@x.co"}\n')
