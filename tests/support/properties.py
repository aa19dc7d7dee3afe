"""Contents for property tests of the formats: any contacts, cut anywhere, broken, or a gigabyte of them."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st

from dataflow.errors import InputError
from dataflow.formats.block import PIECE_BYTES

MIB = 1024 * 1024

quick = settings(max_examples=80, deadline=None, derandomize=True, database=None)

# What Postgres can store, the characters that formats and COPY care about more often than others.
storable = st.one_of(
    st.sampled_from("\t\n\r\\\"',;|{}[]:\x0b\x0c\x1c\x1e\x7f\x85\xa0\u2028\u2029\ufeffé\U0001f600u"),
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"),
)
texts = st.text(storable, max_size=12)
contacts = st.lists(st.tuples(texts, texts), min_size=1, max_size=12)


@st.composite
def cuts(draw: st.DrawFn, content: bytes) -> list[bytes]:
    """The content in pieces cut anywhere, empty ones among them, or byte by byte."""
    if draw(st.booleans()):
        return [content[at : at + 1] for at in range(len(content))]
    ends = sorted(draw(st.lists(st.integers(0, len(content)), max_size=8)))
    return [content[start:end] for start, end in zip([0, *ends], [*ends, len(content)], strict=True)]


# The same, broken: bytes put in, taken out and doubled, with a liking for those that a format cares about.
telling_bytes = st.sampled_from(
    [bytes([byte]) for byte in b'{}[]",:\\u\n\r\t 0-.eEdD\0\x80\xc0\xc3\xed\xef\xbb\xbf\xf0\xff']
)


@st.composite
def broken(draw: st.DrawFn, content: bytes) -> bytes:
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.one_of(st.integers(0, len(content)), st.just(len(content))))
        kind = draw(st.sampled_from(["insert", "replace", "delete", "repeat", "cut"]))
        if kind == "insert":
            content = content[:at] + draw(telling_bytes) + content[at:]
        elif kind == "replace":
            content = content[:at] + draw(telling_bytes) + content[at + 1 :]
        elif kind == "delete":
            content = content[:at] + content[at + draw(st.integers(1, 6)) :]
        elif kind == "repeat":
            content = content[:at] + content[max(at - draw(st.integers(1, 20)), 0) :]
        else:
            content = content[:at]
    return content


GIGABYTE = 1024 * MIB

#: What may be fed beyond a row's limit before it is noticed, and the memory that all of it may take.
MAX_EXCESS_BYTES = 3 * PIECE_BYTES

MAX_PEAK_BYTES = 32 * MIB


def gigabyte(head: bytes, filler: bytes, fed: list[int]) -> Iterator[bytes]:
    """The pieces of a gigabyte, made as they are asked for; `fed` gets the size of each."""
    piece = filler * (PIECE_BYTES // len(filler))
    for _ in range(GIGABYTE // len(piece)):
        fed.append(len(head + piece))
        yield head + piece
        head = b""


def resident_bytes(line: str) -> int:
    found = re.search(rf"^{line}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


Measured = tuple[str, int, int]


def measure_gigabyte(read: Callable[[Iterator[bytes]], object], head: bytes, filler: bytes, before: int) -> Measured:
    """With which code `read` refused a gigabyte, how many bytes it had been fed, and how many more were resident."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak becomes what is resident now
    fed, refused = list[int](), ""
    try:
        read(gigabyte(head, filler, fed))
    except InputError as error:
        refused = error.code
    return refused, sum(fed), resident_bytes("VmHWM") - before


def measured_apart(module: str) -> dict[str, Measured]:
    """What `measure_hostile_input` of a test module prints in a process where nothing else moves the peak."""
    done = subprocess.run(
        [sys.executable, "-c", f"from {module} import measure_hostile_input as measure; measure()"],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    found: dict[str, Measured] = json.loads(done.stdout)
    return found


def assert_refused_early(measured: Measured, *codes: str) -> None:
    refused, fed_bytes, peak_bytes = measured
    assert refused in codes
    assert fed_bytes <= MIB + MAX_EXCESS_BYTES
    assert peak_bytes <= MAX_PEAK_BYTES
