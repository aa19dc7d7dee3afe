"""Nothing vanishes silently: each address that is left whole in a damaged text file is accounted for.

It is imported, or stands in a row that is refused, or the file is refused.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.contacts import validation
from dataflow.errors import DataFlowError
from dataflow.formats.registry import Findings, read_blocks, recognise
from dataflow.imports.options import Options, OptionsSchema

pytestmark = pytest.mark.unit

MIB: Final = 1024 * 1024
DATA: Final = Path(__file__).resolve().parents[1] / "data"
#: More of them, such as DAMAGE_EXAMPLES=20000, are other ones each time.
EXAMPLES: Final = int(os.environ.get("DAMAGE_EXAMPLES", "600"))


#: What decides where a value, a row or a card ends.
SIGNS: Final = [bytes([sign]) for sign in b"\"',;\n\r\t\\{}[]:= \0\xff#"]


#: What programs have for line ends, or make of them.
LINE_ENDS: Final = [b"\r", b"\n\r", b"\r\r\n", b"\n\n", b"\x85", b"\xe2\x80\xa8", b"\\n", b" ", b"\0", b"\x0b", b"\x0c"]
#: What stands before lines in mails, listings and comments.
PREFIXES: Final = [b"> ", b" ", b"\t", b"#", b'"', b"- ", b"+", b"'", b"\xef\xbb\xbf", b"\x1a"]


@dataclass(frozen=True)
class Sound:
    """A file of the corpus that is read, and the addresses that are imported from it."""

    name: str
    content: bytes
    options: dict[str, Any]
    addresses: frozenset[str]

    @property
    def kind(self) -> str:
        """Its extension, one of delimited text for all."""
        return {".tsv": "csv", ".txt": "csv"}.get(Path(self.name).suffix, Path(self.name).suffix[1:])

    def __repr__(self) -> str:
        return self.name


def read(format_name: str, content: bytes, options: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The addresses that are imported, and what is told of each counted row."""
    emails: list[str] = []
    told: list[str] = []
    reading = Options.of(OptionsSchema().load(options)).reading(MIB, MIB)
    for block in read_blocks(format_name, [content], reading, Findings()):
        verdict = validation.judge(block)
        emails += verdict.emails
        refused = {refusal.index for refusal in verdict.refusals}
        for index in range(len(block.names)):
            row = block.origin.row(index)
            if isinstance(row, str):
                # An object or a card may have several addresses. One that has swallowed another is refused.
                told.append(row)
            else:
                told += (cell for cell in row if index in refused or {"\n", "\r"}.isdisjoint(cell))
    return emails, told


def sound_files() -> Iterator[Sound]:
    """All that are text and have contacts."""
    for table in sorted(DATA.glob("*.json")):
        for case in json.loads(table.read_text(encoding="utf-8")):
            path, options = DATA / case["file"], case.get("options", {})
            if not path.exists() or path.suffix not in (".csv", ".tsv", ".txt", ".vcf", ".json", ".ndjson"):
                continue
            content = path.read_bytes()
            once = {
                email for _, email in case.get("contacts", []) if email.isascii() and content.count(email.encode()) == 1
            }
            # What is told to be skipped may be skipped, and damaged, these make other characters of what follows.
            if once and "skipRows" not in options and not path.name.startswith(("iso-2022-jp", "shift-jis")):
                yield Sound(case["file"], content, options, frozenset(once))


FILES: Final = list(sound_files())


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with one fault, or two."""
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(content)))
        end = draw(st.one_of(st.integers(at, min(at + 3, len(content))), st.integers(at, len(content))))
        new = draw(st.one_of(st.binary(max_size=3), st.sampled_from(SIGNS), st.just(content[at:end][::-1][:2])))
        newlines = [place for place, byte in enumerate(content) if byte in b"\r\n"]
        how = draw(st.integers(0, 3))
        if how == 0 and newlines:
            # Two lines become one.
            at = draw(st.sampled_from(newlines))
            end = at + 1 + (content[at : at + 2] == b"\r\n")
            new = b""
        elif how == 1:
            end = at
        elif how == 2:
            new = b""
        content = content[:at] + new + content[end:]
    return content


@st.composite
def with_other_lines(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with a line left out, doubled or marked, or with other line ends, and perhaps cut."""
    lines = content.splitlines(keepends=True)
    at = draw(st.integers(0, len(lines) - 1))
    how = draw(st.integers(0, 3))
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(draw(st.integers(at, len(lines))), lines[at])
    elif how == 2:
        lines[at] = draw(st.sampled_from(PREFIXES)) + lines[at]
    content = b"".join(lines)
    if how == 3:
        content = content.replace(b"\r\n", b"\n").replace(b"\n", draw(st.sampled_from(LINE_ENDS)))
    return content[: draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))]


def lost(file: Sound, content: bytes) -> set[str]:
    """The addresses that are whole on a line of a damaged file, and nowhere in what comes of it."""
    whole = {email for email in file.addresses if email.encode() in content}
    try:
        name = recognise(content[: 64 * 1024], "", file.name).name
        emails, told = read(name, content, file.options)
    except DataFlowError:
        return set()
    # Without one contact the job has failed.
    return {email for email in whole if emails and not any(email in text for text in emails + told)}


@pytest.mark.parametrize("kind", ["csv", "ndjson", "json", "vcf"])
def test_no_address_vanishes_from_a_damaged_file(kind: str) -> None:
    files = [file for file in FILES if file.kind == kind]

    @settings(max_examples=EXAMPLES, deadline=None, derandomize="DAMAGE_EXAMPLES" not in os.environ, database=None)
    @given(st.data(), st.sampled_from(files))
    def it_is_accounted_for(data: st.DataObject, file: Sound) -> None:
        content = data.draw(st.one_of(damaged(file.content), with_other_lines(file.content)))
        assert lost(file, content) == set()

    it_is_accounted_for()
