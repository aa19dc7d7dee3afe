"""Guards before formulas are taken off where the export's own column names them, and nowhere else."""

import re

import pytest

from dataflow.formats import formulas
from dataflow.formats.formulas import Guards
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.registry import read_blocks
from tests.support.workbooks import saved

pytestmark = pytest.mark.unit


def read(content: bytes, name: str = "csv") -> tuple[list[tuple[object, object]], Findings]:
    findings, found = Findings(), list[tuple[object, object]]()
    for block in read_blocks(name, [content], Reading(1 << 20), findings):
        found += zip(block.names, block.emails, strict=True)
    return found, findings


def test_postgres_and_python_mean_the_same_openings() -> None:
    for code in range(256):
        assert bool(re.match(formulas.PATTERN, chr(code))) == (chr(code) in formulas.OPENINGS)
    assert max(formulas.OPENINGS) < "A"


def test_only_cells_that_are_named_lose_their_guard() -> None:
    found, findings = read(
        b"name,email,_quoted\n"
        b"'=1,'+a@example.com,name\n"
        b"'=1,'+a@example.com,name email\n"
        b"'=1,'+a@example.com,\n"
        b"=1,a@example.com,name\n"
        b"'Ann,a@example.com,name\n"
        b"'=1,a@example.com,nobody source\n"
    )
    assert found == [
        ("=1", "'+a@example.com"),
        ("=1", "+a@example.com"),
        ("'=1", "'+a@example.com"),
        ("=1", "a@example.com"),
        ("'Ann", "a@example.com"),
        ("'=1", "a@example.com"),
    ]
    assert findings.ignored_columns == []


def test_an_export_that_a_spreadsheet_has_saved_is_still_one() -> None:
    content = "\ufeffname;email;source;_quoted\r\n'=Ä;a@example.com;crm;name\r\n".encode()
    assert read(content)[0] == [("=Ä", "a@example.com")]
    guessed = (
        "name,email,source,_quoted\r\n" + "'=Müller,a@example.com,crm,name\r\nJörg Größer,b@example.com,crm,\r\n" * 9
    )
    found, findings = read(guessed.encode("cp1252"))
    assert found[:2] == [("=Müller", "a@example.com"), ("Jörg Größer", "b@example.com")]
    assert findings.facts["encoding"] == "cp1252"
    workbook = saved(["name", "email", "_quoted"], ["'=1", "'+a@example.com", "name"])
    assert read(workbook, "xlsx")[0] == [("=1", "'+a@example.com")]


def test_a_file_of_somebody_else_keeps_its_apostrophes() -> None:
    assert read(b"name,email\nAnn,'+a@b.co\nBob,b@b.co\n")[0] == [("Ann", "'+a@b.co"), ("Bob", "b@b.co")]


@pytest.mark.parametrize(
    "row", [[], ["'=1"], ["'=1", "a@b.co"], ["'=1", "a@b.co", ""], ["=1", "a@b.co", "name", "name"]]
)
def test_a_row_of_any_width_is_taken(row: list[str]) -> None:
    guards, before = Guards.of(["name", "email", "_quoted"]), row.copy()
    assert guards
    guards.take_off([row])
    assert row == before
