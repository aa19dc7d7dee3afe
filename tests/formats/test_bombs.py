"""Small files that are made to take memory or time are read, or refused, in a few megabytes and seconds. Linux only."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from dataflow.errors import InputError, RowTooLarge, WorkerStopping
from dataflow.formats.block import PART_ROWS, Malformed
from dataflow.formats.csv.records import MAX_CELLS, has_short_lines
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.registry import read_blocks
from dataflow.formats.tables.cells import MAX_COLUMNS
from dataflow.formats.time_limit import TimeLimit
from dataflow.formats.vcard.cards import MAX_CARD_LINES
from tests.support import bomb_workbooks, bombs
from tests.support.bomb_shapes import FILES, WORKBOOKS
from tests.support.errors import has_code
from tests.support.reader_process import ReaderProcess, reader_process

pytestmark = pytest.mark.unit

CSV = b"name,email\nAnn,ann@example.org\n"
#: What a file of 1 MB may take at most. Measured: 8 of a workbook, and 14, of columns, of another file.
WORKBOOK_MIB, FILE_MIB = 12, 20
KEPT_MIB = 1.5
#: These take seconds, and their drill holds them.
SLOW = ("in turn", "1,000,000", "blank lines")
#: These parts are read by the same code as the styles.
ALIKE = (bomb_workbooks.TYPES, bomb_workbooks.RELATIONS, bomb_workbooks.BOOK)
QUICK_WORKBOOKS = [name for name in WORKBOOKS if not any(part in name for part in (*SLOW, *ALIKE))]
QUICK_FILES = [(kind, name) for kind, name in FILES if not any(part in name for part in SLOW)]


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], ReaderProcess]]:
    """A process that has read an ordinary file of each kind; another one when the last has kept some of its memory."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs /proc")
    folder, started = tmp_path_factory.mktemp("bombs"), list[ReaderProcess]()

    def fit() -> ReaderProcess:
        if not started or started[-1].kept_mib() > KEPT_MIB:
            started.append(processes.enter_context(reader_process(folder)))
            assert started[-1].read("csv", CSV)[0] == "1"
            assert started[-1].read("xlsx", bomb_workbooks.inline_text("Ann"))[0] == "1"
            started[-1].note_idle()
        return started[-1]

    with ExitStack() as processes:
        yield fit


@pytest.fixture
def reader(readers: Callable[[], ReaderProcess]) -> ReaderProcess:
    return readers()


@pytest.mark.parametrize("name", QUICK_WORKBOOKS)
def test_no_small_workbook_takes_much_memory(name: str, reader: ReaderProcess) -> None:
    content = WORKBOOKS[name]()
    assert len(content) < 1_000_000 or "entries" in name
    outcome, taken_mib = reader.read("xlsx", content)
    assert taken_mib < WORKBOOK_MIB, outcome


@pytest.mark.parametrize(("format_name", "name"), QUICK_FILES)
def test_no_other_file_takes_much_memory(format_name: str, name: str, reader: ReaderProcess) -> None:
    outcome, taken_mib = reader.read(format_name, FILES[format_name, name]())
    assert taken_mib < FILE_MIB, outcome


#: Files that are read on and on without a row, by format.
FRUITLESS: list[tuple[str, Callable[[], bytes]]] = [
    ("csv", lambda: bombs.one_line_gzip(3_000_000, b"\n")),
    ("csv", lambda: bombs.one_line_gzip(3_000_000, b",\n")),
    ("ndjson", lambda: bombs.gzipped(b"", b"\n", 3_000_000)),
    ("vcard", lambda: bombs.gzipped(b"", b"NOTE:x\n", 400_000)),
    ("json", lambda: bombs.gzipped(b'{"a":[', b"0,", 1_500_000, b"0]}")),
    ("xlsx", lambda: bomb_workbooks.many_empty_rows(400_000)),
    ("xlsx", lambda: bomb_workbooks.many_shared_strings(200_000)),
]


def is_read(format_name: str, content: bytes, check: Callable[[], None], limit: TimeLimit | None = None) -> None:
    reading = Reading(1024 * 1024, check=check)
    for block in read_blocks(format_name, [content], reading, Findings()):
        if limit:
            limit.note_rows(len(block.names))


@pytest.mark.parametrize(("format_name", "build"), FRUITLESS)
def test_reading_without_a_further_row_ends_within_its_time(format_name: str, build: Callable[[], bytes]) -> None:
    pieces = 0

    def check() -> None:
        nonlocal pieces
        pieces += 1
        limit.check()

    limit = TimeLimit(20, clock=lambda: pieces)
    with pytest.raises(
        InputError, match=r"more than 20 s without a further row", check=has_code("takes_too_long")
    ) as caught:
        is_read(format_name, build(), check, limit)
    assert not caught.value.retryable
    # It is asked once a piece: however slow a piece is, no more of them are read.
    assert pieces <= 24


def test_rows_that_keep_coming_take_as_long_as_they_take() -> None:
    content = bombs.gzipped(b"name,email\n", b"Ann,nowhere\n", 700_000)
    seconds = count()
    limit = TimeLimit(clock=lambda: float(next(seconds)))
    is_read("csv", content, limit.check, limit)
    assert next(seconds) > 100


@pytest.mark.parametrize(("format_name", "build"), FRUITLESS)
def test_an_import_that_is_to_stop_does_so_while_nothing_comes(format_name: str, build: Callable[[], bytes]) -> None:
    calls = count()

    def check() -> None:
        if next(calls) == 3:
            raise WorkerStopping("enough")

    with pytest.raises(WorkerStopping):
        is_read(format_name, build(), check)


def test_neither_waiting_for_a_piece_nor_what_is_done_with_rows_counts() -> None:
    now = 0.0

    def arriving() -> Iterator[bytes]:
        nonlocal now
        for _ in range(1000):
            now += 0.9
            yield b""

    limit = TimeLimit(clock=lambda: now)
    for number, _ in enumerate(limit.timed(arriving())):
        now += 0.05
        limit.check()
        now += 0.9
        limit.note_rows(0 if number else 1)


def test_a_process_that_was_stopped_has_read_for_a_second_at_most() -> None:
    now = 0.0
    limit = TimeLimit(clock=lambda: now)
    for _ in range(60):
        now += 3600
        limit.check()
    now += 0.5
    with pytest.raises(
        InputError, match="more than 60 s without a further row, at its beginning", check=has_code("takes_too_long")
    ):
        limit.check()


#: Rows of few bytes, each of which is refused.
@pytest.mark.parametrize(
    ("format_name", "content"), [("ndjson", b"{}\n" * 20_000), ("json", b"[%s{}]" % (b"{}," * 20_000))]
)
def test_rows_of_a_few_bytes_come_in_small_blocks_each_with_its_place(format_name: str, content: bytes) -> None:
    blocks = read_blocks(format_name, [content], Reading(1024 * 1024), Findings())
    row_count = 0
    for block in blocks:
        assert len(block.names) <= PART_ROWS
        assert block.first_record == row_count
        last = len(block.names) - 1
        row_count += len(block.names)
        assert (block.origin.row(last), block.origin.line(last)) == (
            "{}",
            row_count if format_name == "ndjson" else None,
        )
    assert row_count == 20_000 + (format_name == "json")


@pytest.mark.parametrize(("format_name", "frame"), [("ndjson", "%s\n"), ("json", "[%s]")])
@pytest.mark.parametrize(
    ("value", "count_of_each"),
    [("0", 1), ('"a,b[{\\\\"', 1), ('",\\","', 1), ("[]", 1), ("{ }", 1), ("[[],{}]", 3), ('{"a":[0]}', 3)],
)
def test_values_within_others_count_and_what_texts_hold_does_not(
    format_name: str, frame: str, value: str, count_of_each: int
) -> None:
    # Name, e-mail and the list are three.
    each, ones = divmod(MAX_COLUMNS - 3, count_of_each)
    for more, is_row in ((0, True), (1, False)):
        inner = ",".join([value] * each + ["1"] * (ones + more))
        content = frame % f'{{"name":"Ann","email":"a@x.org","list":[{inner}]}}'
        [block] = read_blocks(format_name, [content.encode()], Reading(1024 * 1024), Findings())
        assert (block.names[0] == "Ann") is is_row, block.names


def test_a_row_of_too_many_cells_to_be_split_ends_the_file() -> None:
    wide = b"," * MAX_CELLS
    quoted = b'name,email\n"A,\'",a@x\nB,"' + wide + b'"\n'
    blocks = list(read_blocks("csv", [quoted], Reading(1024 * 1024), Findings()))
    assert [name for block in blocks for name in block.names] == ["A,'", "B"]
    for row in (wide + b"x", b'A"' + wide, b'"A",' + wide, b'"A"""' + wide):
        with pytest.raises(RowTooLarge, match="more than 65536 cells; a table may have 16384 columns"):
            is_read("csv", CSV + row + b"\n", lambda: None)


@pytest.mark.parametrize("before", [0, 1, MAX_CELLS - 1, MAX_CELLS, MAX_CELLS + 1])
@pytest.mark.parametrize("after", [0, 1, MAX_CELLS - 1, MAX_CELLS, MAX_CELLS + 1])
@pytest.mark.parametrize("end", ["\n", "\r", ""])
def test_lines_that_may_have_too_many_cells_are_never_taken_for_short(before: int, after: int, end: str) -> None:
    text = "," * before + end + "," * after
    if has_short_lines(text):
        assert max(line.count(",") for line in text.splitlines() or [""]) < MAX_CELLS
    assert has_short_lines("a,b\n" * (MAX_CELLS // 3))


@pytest.mark.parametrize(("format_name", "frame"), [("ndjson", "{}\n"), ("json", "[{}]")])
@pytest.mark.parametrize(("members", "is_row"), [(MAX_COLUMNS, True), (MAX_COLUMNS + 1, False)])
def test_names_are_looked_for_among_as_many_members_as_a_sheet_has_columns(
    format_name: str, frame: str, members: int, is_row: bool
) -> None:
    others = {f"x{number}": 0 for number in range(members - 2)}
    content = frame.replace("{}", json.dumps({"Name": "Ann", "E-Mail": "ann@example.org", **others})).encode()
    [block] = read_blocks(format_name, [content], Reading(1024 * 1024), Findings())
    if is_row:
        assert (block.names[0], block.emails[0]) == ("Ann", "ann@example.org")
    else:
        assert block.names[0] == Malformed("A row has more than 16384 members, those of its members counted")


def test_a_card_has_so_many_lines_and_pictures_do_not_count() -> None:
    picture = b"PHOTO;ENCODING=b:" + b"\r\n AAAA" * (2 * MAX_CARD_LINES)
    content = bombs.card(picture + b"\r\nNOTE:a" + b"\r\n a" * (MAX_CARD_LINES - 6))
    [block] = read_blocks("vcard", [content], Reading(1024 * 1024), Findings())
    assert block.names == ["Ann"]
    with pytest.raises(RowTooLarge, match="more than 16384 lines, its pictures not counted"):
        is_read("vcard", bombs.card_folds(MAX_CARD_LINES), lambda: None)
