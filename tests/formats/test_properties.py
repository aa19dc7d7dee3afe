"""What holds for every content of every format: it arrives unchanged, however it is cut, in bounded memory."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.errors import AmbiguousColumns, DataFlowError, InputError, MalformedInput
from dataflow.formats.block import Malformed
from dataflow.formats.columns.contact_columns import find
from dataflow.formats.columns.joining import in_row
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.registry import read_blocks
from tests.support.properties import (
    MIB,
    Measured,
    assert_refused_early,
    broken,
    contacts,
    cuts,
    measure_gigabyte,
    measured_apart,
    quick,
    resident_bytes,
    texts,
)

pytestmark = pytest.mark.unit


Row = tuple[object, object]


def as_is(value: object) -> object:
    """A value as a format hands it on, with a nested one as its type."""
    return type(value) if isinstance(value, dict | list) else value


def read(name: str, pieces: Iterable[bytes]) -> list[Row]:
    found: list[Row] = []
    for block in read_blocks(name, pieces, Reading(MIB), Findings()):
        assert block.first_record == len(found)
        assert block.names
        found += [(as_is(one), as_is(other)) for one, other in zip(block.names, block.emails, strict=True)]
    return found


def origins(name: str, pieces: Iterable[bytes]) -> list[tuple[int | None, str]]:
    """Line and text of each row."""
    found: list[tuple[int | None, str]] = []
    for block in read_blocks(name, pieces, Reading(MIB), Findings()):
        found += [(block.origin.line(at), str(block.origin.row(at))) for at in range(len(block.names))]
    return found


def outcome(name: str, pieces: Iterable[bytes]) -> list[Row] | type[DataFlowError]:
    """The rows, or the kind of error with which the content is refused."""
    try:
        return read(name, pieces)
    except InputError as error:
        return type(error)


# Writers: every way in which a well-behaved program may write contacts down.


@st.composite
def as_json(draw: st.DrawFn, rows: list[tuple[str, str]]) -> bytes:
    members = draw(st.permutations(["name", "email", "more"]))
    found: Any = [{key: {"name": name, "email": email, "more": [{}]}[key] for key in members} for name, email in rows]
    if draw(st.booleans()):
        frame = {"source": "crm", "data": found, "useResumable": False, "more": {"data": [1]}}
        found = {key: frame[key] for key in draw(st.permutations(list(frame)))}
    return json.dumps(found, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 0, 3]))).encode()


@st.composite
def as_ndjson(draw: st.DrawFn, rows: list[tuple[str, str]]) -> bytes:
    ascii_only = draw(st.booleans())
    lines = [json.dumps({"name": name, "x": [1.5], "email": email}, ensure_ascii=ascii_only) for name, email in rows]
    newline = draw(st.sampled_from(["\n", "\r\n", "\n\n", " \n"]))
    return (newline.join(lines) + draw(st.sampled_from(["", newline]))).encode()


WRITERS: dict[str, Callable[[list[tuple[str, str]]], st.SearchStrategy[bytes]]] = {
    "json": as_json,
    "ndjson": as_ndjson,
}


@pytest.mark.parametrize("name", WRITERS)
def test_any_contacts_arrive_unchanged(name: str):
    @quick
    @given(st.data(), contacts)
    def they_do(data: st.DataObject, rows: list[tuple[str, str]]):
        content = data.draw(WRITERS[name](rows))
        assert read(name, data.draw(cuts(content))) == rows

    they_do()


@pytest.mark.parametrize("name", WRITERS)
def test_where_content_is_cut_makes_no_difference(name: str):
    @settings(quick, max_examples=250)
    @given(st.data(), contacts)
    def it_makes_none(data: st.DataObject, rows: list[tuple[str, str]]):
        content = data.draw(broken(data.draw(WRITERS[name](rows))))
        assert outcome(name, data.draw(cuts(content))) == outcome(name, [content])

    it_makes_none()


# References: the standard library, which needs the whole content in memory.


def refuse_constant(name: str) -> None:
    raise ValueError(name)


def standard_row(row: object) -> Row | None:
    """A row as json.loads gives it; None for one that is no object, or ambiguous."""
    if not isinstance(row, dict):
        return None
    # Breaking a key may well make another one that means the same: `{name` does.
    exact = {"name", "email"}.intersection(row)
    others = ["" if key.strip().casefold() in exact else key for key in row]
    try:
        columns, values = find(others, is_table=False), [*map(as_is, row.values())]
    except AmbiguousColumns:
        return None
    return (
        as_is(row["name"]) if "name" in row else in_row(values, columns.names),
        as_is(row["email"]) if "email" in row else in_row(values, columns.emails),
    )


def standard_json(content: bytes) -> list[Row | None] | None:
    """The rows of a document, None for what is no document."""
    try:
        document = json.loads(content.decode(), parse_constant=refuse_constant)
    except ValueError:
        return None
    rows = document.get("data") if isinstance(document, dict) else document
    return [standard_row(row) for row in rows] if isinstance(rows, list) else None


def standard_ndjson(content: bytes) -> list[Row | None]:
    found: list[Row | None] = []
    for line in filter(bytes.strip, content.removeprefix(b"\xef\xbb\xbf").split(b"\n")):
        try:
            found.append(standard_row(json.loads(line.decode().removeprefix("\ufeff"), parse_constant=refuse_constant)))
        except ValueError:
            found.append(None)
    return found


def without_messages(rows: list[Row]) -> list[Row | None]:
    return [None if isinstance(name, Malformed) else (name, email) for name, email in rows]


#: What fills a file up is no part of it.
SIGNS_OF_AN_END = b"\0\x1a\f \t\r\n"

#: Where we are stricter than json.loads on purpose, as the messages have it.
STRICTER = re.compile("half of a surrogate pair|given twice|overflow")


@settings(quick, max_examples=500)
@given(st.data(), contacts)
def test_a_broken_document_is_one_exactly_for_the_standard_library_too(
    data: st.DataObject, rows: list[tuple[str, str]]
):
    content = data.draw(broken(data.draw(as_json(rows))))
    try:
        found: list[Row | None] | None = without_messages(read("json", [content]))
    except MalformedInput as error:
        if STRICTER.search(error.message):
            return
        found = None
    assert found == standard_json(content.rstrip(SIGNS_OF_AN_END))


@settings(quick, max_examples=300)
@given(st.data(), contacts)
def test_broken_lines_are_bad_rows_exactly_for_the_standard_library_too(
    data: st.DataObject, rows: list[tuple[str, str]]
):
    content = data.draw(broken(data.draw(as_ndjson(rows))))
    assert without_messages(read("ndjson", [content])) == standard_ndjson(content.rstrip(SIGNS_OF_AN_END))


@settings(quick, max_examples=150)
@given(st.data(), contacts)
def test_the_rows_of_ndjson_are_known_by_the_lines_of_the_file(data: st.DataObject, rows: list[tuple[str, str]]):
    content = data.draw(broken(data.draw(as_ndjson(rows))))
    lines = enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)
    expected = [(number, line.removesuffix(b"\r")) for number, line in lines if line.strip()]
    found = origins("ndjson", data.draw(cuts(content)))
    assert [(number, text.encode(errors="surrogateescape")) for number, text in found] == expected


# Rows whose members vary: left out, more, nested, doubled, in other orders; one shape for a while, then another.

scalars = st.one_of(
    texts,
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=4,
)
keys = st.one_of(st.sampled_from(["name", "email", "name", "email", "data", ""]), texts)
#: As pairs, because a dict cannot hold a key twice.
objects = st.lists(st.tuples(keys, values), max_size=5)


def written(row: object, ascii_only: bool) -> str:
    if not isinstance(row, tuple):
        return json.dumps(row, ensure_ascii=ascii_only)
    members = (f"{json.dumps(key)}:{json.dumps(value, ensure_ascii=ascii_only)}" for key, value in row[0])
    return "{" + ",".join(members) + "}"


@quick
@given(
    st.data(),
    st.lists(st.tuples(st.one_of(objects.map(lambda pairs: (pairs,)), values), st.integers(1, 300)), max_size=5),
    st.lists(st.integers(0, 4), max_size=20),
    st.booleans(),
)
def test_rows_of_varying_shapes_are_the_rows_of_json_loads(
    data: st.DataObject, runs: list[tuple[object, int]], order: list[int], ascii_only: bool
):
    rows = [text for row, count in runs for text in [written(row, ascii_only)] * count]
    rows += [written(runs[at][0], ascii_only) for at in order if at < len(runs)]
    content = f"[{','.join(rows)}]".encode()
    ends = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=3)))
    pieces = [content[start:end] for start, end in zip([0, *ends], [*ends, len(content)], strict=True)]
    assert without_messages(read("json", pieces)) == standard_json(content)
    shown = [json.loads(text, object_pairs_hook=list) for _, text in origins("json", pieces)]
    assert shown == json.loads(content, object_pairs_hook=list)


@pytest.mark.parametrize("key", ["last name", "Nachname", "first name", "surname", "full name"])
def test_a_row_with_a_part_of_a_name_alone_is_one_for_the_reference_too(key: str):
    content = json.dumps([{key: "Lee"}, {key: "Lee", "email": "e"}, {key: None}]).encode()
    assert without_messages(read("json", [content])) == standard_json(content)


# A gigabyte that never completes a row. Measured in a process of its own, where nothing else moves the peak.

#: Format, beginning, and what is repeated from there on.
HOSTILE = {
    "json digits": ("json", b"[", b"1"),
    "json digits of a member": ("json", b'{"x":-1.', b"1"),
    "json white space": ("json", b"", b" "),
    "json white space in a row": ("json", b'[{"name":', b"\n"),
    "json white space at the end": ("json", b"[] ", b" "),
    "json arrays": ("json", b"", b"["),
    "json arrays in a row": ("json", b'{"data":[{"name":', b"["),
    "json objects": ("json", b"", b'{"data":'),
    "json text": ("json", b'[{"name":"', b"x"),
    "json text of escapes": ("json", b'[{"name":"', b"\\u00e9"),
    "json text of pairs": ("json", b'[{"name":"', b"\\ud83d\\ude00"),
    "json text beside the rows": ("json", b'{"source":"', "é".encode()),
    "json key": ("json", b'[{"', b"x"),
    "json members": ("json", b"[{", b'"a":1,'),
    "json elements": ("json", b'[{"x":[', b"0,"),
    "json text at the end": ("json", b'[]"', b"x"),
    "ndjson digits": ("ndjson", b"", b"1"),
    "ndjson text": ("ndjson", b'{"name":"', b"x"),
    "ndjson arrays": ("ndjson", b"", b"["),
    "ndjson spaces": ("ndjson", b"", b" "),
}


def measure_hostile_input() -> None:
    """Print for each hostile input how it was refused, after how many bytes, at which peak."""
    found, before = {}, resident_bytes("VmRSS")
    for case, (name, head, filler) in HOSTILE.items():
        found[case] = measure_gigabyte(partial(read, name), head, filler, before)
    sys.stdout.write(json.dumps(found))


@pytest.fixture(scope="module")
def hostile_input() -> dict[str, Measured]:
    return measured_apart(__name__)


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="peaks are read from Linux's /proc")
@pytest.mark.parametrize("case", HOSTILE)
def test_a_gigabyte_that_completes_no_row_is_refused_early_in_bounded_memory(
    hostile_input: dict[str, Measured], case: str
):
    assert_refused_early(hostile_input[case], "row_too_large", "malformed_input")
