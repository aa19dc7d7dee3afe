"""gzip: whatever the ratio, the cuts and the members, the content comes out in small pieces, or a reason why not."""

import gzip
import tracemalloc
import zlib
from collections.abc import Iterator
from random import Random

import pytest

from dataflow.errors import ExpandsTooFar, MalformedInput
from dataflow.formats.block import PIECE_BYTES
from dataflow.formats.gzip import FREE_EXPANDED_BYTES, MAX_RATIO, Inflater, allowed_bytes, inflated, is_gzip
from tests.support import bombs

pytestmark = pytest.mark.unit

MIB = 1024 * 1024
TEXT = b"name,email\n" + b"".join(b"Ada %d,ada%d@example.org\n" % (number, number) for number in range(12_000))
SHORT = TEXT[:5000]
NOISE = Random(7).randbytes(300_000)


def in_pieces(content: bytes, piece_bytes: int) -> Iterator[bytes]:
    return (content[start : start + piece_bytes] for start in range(0, len(content), piece_bytes))


def expanded(content: bytes, piece_bytes: int = PIECE_BYTES, limit: int = MIB, is_beginning: bool = False) -> bytes:
    pieces = list(inflated(in_pieces(content, piece_bytes), limit, is_beginning))
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)
    return b"".join(pieces)


def refused(content: bytes, is_beginning: bool = False) -> str:
    """The message, the same however the content is cut."""
    messages = set()
    for piece_bytes in (1, 1000, len(content) or 1):
        with pytest.raises(MalformedInput) as caught:
            expanded(content, piece_bytes, is_beginning=is_beginning)
        messages.add(caught.value.message)
    [message] = messages
    return message


def test_gzip_is_recognised_by_its_first_bytes() -> None:
    assert is_gzip(gzip.compress(b""))
    assert not any(map(is_gzip, (b"", b"\x1f\x8b", b"name,email", zlib.compress(b"x"))))


@pytest.mark.parametrize("content", [b"", b"x", TEXT, NOISE, b"\0" * MIB, b"\0" * (4 * PIECE_BYTES)])
@pytest.mark.parametrize("piece_bytes", [997, PIECE_BYTES, MIB])
def test_a_content_comes_out_as_it_was(content: bytes, piece_bytes: int) -> None:
    for level in (0, 1, 9):
        assert expanded(gzip.compress(content, level), piece_bytes) == content


def test_a_stream_may_be_cut_after_any_byte() -> None:
    content = gzip.compress(b"Ada") + gzip.compress(b"") + gzip.compress(b"Bob") + b"\0\0"
    for cut in range(len(content)):
        assert b"".join(inflated([content[:cut], b"", content[cut:]], 6)) == b"AdaBob"


@pytest.mark.parametrize("padding", [b"", b"\0", b"\0" * 512])
def test_members_make_one_content_and_zeros_between_and_after_them_are_none(padding: bytes) -> None:
    content = (gzip.compress(TEXT) + padding) * 2
    assert expanded(content) == expanded(content, 1000) == TEXT * 2


def test_memory_is_bounded_whatever_the_ratio() -> None:
    bomb = gzip.compress(b"\0" * FREE_EXPANDED_BYTES)
    assert len(bomb) < PIECE_BYTES
    tracemalloc.start()
    try:
        assert sum(map(len, inflated([bomb], 32 * MIB))) == FREE_EXPANDED_BYTES
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("piece_bytes", [100, 997, MIB])
def test_content_that_expands_too_far_for_its_size_is_refused_where_it_does(piece_bytes: int) -> None:
    bomb = bombs.gzipped(b"", b"x", 20_000_000)
    given = 0
    with pytest.raises(ExpandsTooFar, match=r"200-fold beyond the first 10 MB") as caught:
        for piece in inflated(in_pieces(bomb, piece_bytes), 10**9):
            given += len(piece)
    # Where it is noticed depends on what is read, and not on what is fed: 1,029-fold is 829-fold more than allowed.
    assert FREE_EXPANDED_BYTES * 1.2 < given < FREE_EXPANDED_BYTES * 1.3
    read = int(caught.value.message.split()[2])
    assert f"more than {allowed_bytes(read)}:" in caught.value.message


def test_what_has_been_read_counts_and_not_how_it_is_spread() -> None:
    noise = gzip.compress(NOISE)
    zeros = bombs.gzipped(b"", b"\0", MAX_RATIO * len(noise))
    assert sum(map(len, inflated([noise + zeros], 10**9))) == len(NOISE) + MAX_RATIO * len(noise)
    given = 0
    with pytest.raises(ExpandsTooFar, match="200-fold"):
        for piece in inflated([noise + zeros + zeros], 10**9):
            given += len(piece)
    assert given > allowed_bytes(len(noise))


def test_what_people_compress_is_far_from_the_limit() -> None:
    """The most repetitive that is honest: the same contact but for its number, and members that never change."""
    row = b'{"name":"Ann","email":"ann%d@example.org","list":"news","country":"","tags":[],"is_active":true},\n'
    content = b"".join(row % number for number in range(200_000))
    packed = gzip.compress(content, 9)
    assert len(content) > FREE_EXPANDED_BYTES
    assert 10 < len(content) / len(packed) < MAX_RATIO / 2
    assert sum(map(len, inflated(in_pieces(packed, PIECE_BYTES), 10**9))) == len(content)


def test_the_limit_is_on_all_members_together_and_named() -> None:
    content = gzip.compress(TEXT) * 2
    assert expanded(content, limit=2 * len(TEXT)) == TEXT * 2
    with pytest.raises(ExpandsTooFar, match=rf"more than {2 * len(TEXT) - 1} bytes \(MAX_EXPANDED_BYTES\)"):
        expanded(content, limit=2 * len(TEXT) - 1)


def test_nothing_beyond_the_limit_is_given() -> None:
    given = 0
    with pytest.raises(ExpandsTooFar):
        for piece in inflated([gzip.compress(b"\0" * MIB)], 100_000):
            given += len(piece)
    assert given <= 100_000


@pytest.mark.parametrize("missing_bytes", [1, 8, 9, 100])
def test_a_stream_that_ends_early_is_refused(missing_bytes: int) -> None:
    assert "ends early" in refused(gzip.compress(SHORT)[:-missing_bytes])
    assert "ends early" in refused(gzip.compress(b"x") + gzip.compress(SHORT)[:-missing_bytes])


@pytest.mark.parametrize("content", [b"", b"\x1f", b"\x1f\x8b\x08"])
def test_a_stream_that_hardly_begins_ends_early(content: bytes) -> None:
    assert "ends early" in refused(content)


def test_a_beginning_may_end_anywhere() -> None:
    content = gzip.compress(b"x") + gzip.compress(SHORT)
    for length in range(0, len(content), 7):
        assert (b"x" + SHORT).startswith(expanded(content[:length], is_beginning=True))
    assert expanded(content[:-1], is_beginning=True) == b"x" + SHORT


@pytest.mark.parametrize("is_beginning", [False, True])
def test_a_damaged_stream_is_refused(is_beginning: bool) -> None:
    content = gzip.compress(SHORT)
    for at in (0, 2, len(content) // 2, -6, -1):
        damaged = bytearray(content)
        damaged[at] ^= 0x55
        assert "is damaged" in refused(bytes(damaged), is_beginning)
    assert "is damaged: incorrect header check" in refused(content + b"\0\0rest", is_beginning)


def test_a_stream_within_a_stream_is_refused() -> None:
    assert "another gzip stream" in refused(gzip.compress(gzip.compress(SHORT)))


def test_an_inflater_gives_what_there_is_after_each_piece() -> None:
    """So that a body can be looked at while it passes by."""
    compressor = zlib.compressobj(wbits=31)
    inflater = Inflater(MIB)
    for row in (b"Ada,ada@example.org\n", b"Bob,bob@example.org\n"):
        piece = compressor.compress(row) + compressor.flush(zlib.Z_SYNC_FLUSH)
        assert b"".join(inflater.feed(piece)) == row
    with pytest.raises(MalformedInput, match="ends early"):
        inflater.close()
    assert b"".join(inflater.feed(compressor.flush())) == b""
    inflater.close()
