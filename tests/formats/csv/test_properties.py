"""What holds for every delimited text: it arrives unchanged, however it is written and cut, in bounded memory."""

import csv
import io
import json
import os
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.errors import DataFlowError, InputError
from dataflow.formats.block import PIECE_BYTES
from dataflow.formats.csv.delimited import look_ahead, read_blocks
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.tables.cells import DELIMITERS
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
    storable,
)

pytestmark = pytest.mark.unit

#: Name, e-mail, and the physical line on which the row begins.
Row = tuple[object, object, int | None]


def read(pieces: Iterable[bytes], reading: Reading) -> tuple[list[Row], Findings]:
    findings = Findings()
    found: list[Row] = []
    for block in read_blocks(pieces, reading, findings):
        assert block.first_record == len(found)
        assert block.names
        lines = map(block.origin.line, range(len(block.names)))
        found += zip(block.names, block.emails, lines, strict=True)
    return found, findings


def outcome(pieces: Iterable[bytes], reading: Reading) -> tuple[list[Row], Findings] | type[DataFlowError]:
    """The rows and what is known of them, or the kind of error with which the content is refused."""
    try:
        return read(pieces, reading)
    except InputError as error:
        return type(error)


#: Encodings to write in, and whether the reader has to be told.
ENCODINGS = {"utf-8": False, "utf-8-sig": False, "utf-16": False, "utf-32": False, "cp1252": True, "shift_jis": True}
#: Shift-JIS has the yen sign and the overline where ASCII has the backslash and the tilde.
CHARACTERS = {
    "cp1252": st.characters(codec="cp1252"),
    "shift_jis": st.characters(codec="shift_jis", exclude_characters="\N{YEN SIGN}\N{OVERLINE}"),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, list[list[str]]]:
    """An encoding, and a table of text that it has, with a header row."""
    encoding = draw(st.sampled_from(list(ENCODINGS)))
    cells = st.text(CHARACTERS.get(encoding, storable), max_size=8)
    header = draw(st.permutations(draw(st.sampled_from([["name", "email"], ["E-mail", "", "x", "Name", "x"]]))))
    rows = draw(st.lists(st.lists(cells, min_size=len(header), max_size=len(header)), max_size=8))
    return encoding, [header, *rows]


@st.composite
def written(draw: st.DrawFn, table: list[list[str]]) -> tuple[str, str]:
    """The table as csv writes it, and the delimiter."""
    delimiter = draw(st.sampled_from(DELIMITERS))
    # QUOTE_MINIMAL leaves a CR bare when line ends are LF, and the reverse.
    quoting, newline = draw(
        st.sampled_from(
            [
                (csv.QUOTE_MINIMAL, "\r\n"),
                (csv.QUOTE_ALL, "\r\n"),
                (csv.QUOTE_ALL, "\n"),
                (csv.QUOTE_ALL, "\r"),
                (csv.QUOTE_ALL, "\r\n\n"),
            ]
        )
    )
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator=newline).writerows(table)
    return file.getvalue(), delimiter


def standard_rows(text: str, delimiter: str) -> list[Row]:
    """What csv gives, with the whole text in memory."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = [cell.lower().replace("-", "") for cell in next(reader)]
    found: list[Row] = []
    line = reader.line_num + 1
    for row in reader:
        if any(map(str.strip, row)):
            found.append((row[header.index("name")], row[header.index("email")], line))
        line = reader.line_num + 1
    return found


@settings(quick, max_examples=120)
@given(st.data(), tables(), st.booleans())
def test_any_table_that_csv_writes_is_read_back_with_its_lines(
    data: st.DataObject, drawn: tuple[str, list[list[str]]], is_told: bool
) -> None:
    encoding, table = drawn
    text, delimiter = data.draw(written(table))
    wish = encoding if ENCODINGS[encoding] or is_told else None
    found, findings = read(data.draw(cuts(text.encode(encoding))), Reading(MIB, encoding=wish))
    expected = standard_rows(text, delimiter)
    at = {cell: position for position, cell in enumerate(table[0])}
    name, email = (at["name"], at["email"]) if "name" in at else (at["Name"], at["E-mail"])
    assert [row[:2] for row in expected] == [(row[name], row[email]) for row in table[1:] if any(map(str.strip, row))]
    assert found == expected
    assert (findings.facts["delimiter"], findings.columns) == (delimiter, table[0])


@st.composite
def texts(draw: st.DrawFn, rows: list[tuple[str, str]]) -> bytes:
    text, delimiter = draw(written([["name", "email", ""], *([name, email, ""] for name, email in rows)]))
    notes = '\ufeffNotes:\r\n"a, ""b"",\n c"\r\n\r\n'
    return (draw(st.sampled_from(["", "\ufeff", f"sep={delimiter}\r\n", notes, "\n\r\n"])) + text).encode()


@settings(quick, max_examples=120)
@given(st.data(), contacts, st.booleans())
def test_where_a_text_is_cut_makes_no_difference(
    data: st.DataObject, rows: list[tuple[str, str]], is_beginning: bool
) -> None:
    content = data.draw(broken(data.draw(texts(rows))))
    reading = Reading(MIB, is_beginning=is_beginning)
    assert outcome(data.draw(cuts(content)), reading) == outcome([content], reading)


@settings(quick, max_examples=60)
@given(st.data(), contacts)
def test_the_beginning_of_a_text_has_the_first_of_its_rows(data: st.DataObject, rows: list[tuple[str, str]]) -> None:
    content = data.draw(texts(rows))
    whole, findings = read([content], Reading(MIB))
    for end in data.draw(st.lists(st.integers(0, len(content)), max_size=5)):
        reading = Reading(MIB, is_beginning=True)
        ahead = look_ahead(content[:end], reading)
        if ahead:
            found, known = read([content[:end]], reading)
            assert found == whole[: len(found)]
            assert known == findings
            assert (ahead.delimiter, ahead.header_line) == (findings.facts["delimiter"], findings.facts["headerLine"])


# Memory. A gigabyte that never completes a row. Measured in a process of its own, where nothing else moves the peak.

#: Beginning, and what is repeated from there on.
HOSTILE = {
    "header": (b"", b"x"),
    "header of cells": (b"name,email", b",x"),
    "quoted header": (b'"', b"\r\n"),
    "cell": (b"name,email\n", "é".encode()),
    "cell of emoji": (b"name,email\n", "\U0001f600".encode()),
    "cell of bad bytes": (b"name,email\n", b"\xff"),
    "cells": (b"name,email\n", b","),
    "quoted cell": (b'name,email\n"', b"x\n"),
    "quoted blank lines": (b'name,email\n"', b"\n"),
    "quoted cells": (b'name,email\n"', b'\n","'),
    "quoted quotes": (b'name,email\n"', b'""'),
    "wide characters": ("\ufeffname,email\n".encode("utf-16-le"), "\u20ac".encode("utf-16-le")),
}


#: A row is held a few times; measuring coverage takes some more.
MAX_LARGE_ROWS_BYTES = 28 * MIB
#: Rows within the limit, but many of them would take much memory at once.
LARGE_ROWS = {
    "rows of 65,000 cells": b"," * 65_000 + b"x" * 900_000 + b"\n",
    "rows of a megabyte": b"A,a@x.org," + b"x" * 1_000_000 + b"\n",
    "rows with a stray quote": b'A,"' + b"x\n" * 500_000 + b'"x\n',
}


def measure_large_rows(row: bytes) -> tuple[int, int, int]:
    count, before = 30, resident_bytes("VmRSS")
    pieces = (row[at : at + PIECE_BYTES] for _ in range(count) for at in range(0, len(row), PIECE_BYTES))
    blocks = read_blocks(chain([b"name,email,x\n"], pieces), Reading(2 * MIB), Findings())
    return sum(len(block.names) for block in blocks), count, resident_bytes("VmHWM") - before


def measure_hostile_input() -> None:
    """Print for each hostile input how it was refused, after how many bytes, at which peak; for rows how many."""
    found: dict[str, tuple[object, int, int]] = {}
    before = resident_bytes("VmRSS")
    for case, (head, filler) in HOSTILE.items():
        found[case] = measure_gigabyte(lambda pieces: read(pieces, Reading(MIB)), head, filler, before)
    for case, row in LARGE_ROWS.items():
        Path("/proc/self/clear_refs").write_text("5")
        found[case] = measure_large_rows(row)
    sys.stdout.write(json.dumps(found))


@pytest.fixture(scope="module")
def hostile_input() -> dict[str, Measured]:
    return measured_apart(__name__)


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="peaks are read from Linux's /proc")
@pytest.mark.parametrize("case", HOSTILE)
def test_a_gigabyte_that_completes_no_row_is_refused_early_in_bounded_memory(
    hostile_input: dict[str, Measured], case: str
) -> None:
    assert_refused_early(hostile_input[case], "row_too_large")


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="peaks are read from Linux's /proc")
@pytest.mark.parametrize("case", LARGE_ROWS)
def test_large_rows_are_read_one_after_the_other(hostile_input: dict[str, tuple[int, int, int]], case: str) -> None:
    found, count, peak_bytes = hostile_input[case]
    assert found >= count
    assert peak_bytes <= MAX_LARGE_ROWS_BYTES
