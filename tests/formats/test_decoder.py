"""One way of a body: the check while it arrives, the preview and the import take and refuse the same JSON."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from itertools import product
from typing import Final

import pytest

from dataflow.config import Config
from dataflow.errors import DataFlowError
from dataflow.formats.block import PIECE_BYTES
from dataflow.formats.decoder import Decoder
from dataflow.formats.gzip import is_gzip
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.registry import FORMATS, read_blocks, recognise
from dataflow.imports import preview
from dataflow.imports.upload import Upload
from dataflow.imports.upload_session import UploadSession

pytestmark = pytest.mark.unit

CONFIG: Final = Config.from_env({})
ROWS: Final = [
    {"name": "Ada 🎩", "email": "ada@example.org"},
    {"name": "Zoë", "email": "zoe@example.org"},
    {"name": "Ann", "email": "ann@example.org"},
]


def encoded(name: str, has_mark: bool) -> bytes:
    return (("\ufeff" if has_mark else "") + json.dumps(ROWS, ensure_ascii=False)).encode(name, errors="ignore")


def as_it_is(content: bytes) -> bytes:
    return content


#: What the text is in, whether its mark stands before it, and the encoding that its sender names.
SOUND_ENCODINGS: Final = [
    ("utf-8", False, None),
    ("utf-8", True, None),
    ("utf-8", True, "utf-8"),
    ("utf-8", True, "utf-8-sig"),
    ("utf-16-le", True, None),
    ("utf-16-be", True, None),
    ("utf-16-le", False, "utf-16"),
    ("utf-16-le", True, "utf-16"),
    ("utf-16-be", False, "utf-16-be"),
    ("utf-32-le", True, None),
    ("utf-32-be", False, "utf-32-be"),
    ("cp1252", False, "cp1252"),
    ("cp932", False, "cp932"),
    ("gb18030", False, "gb18030"),
    ("iso2022_jp", False, "iso2022_jp"),
    ("hz", False, "hz"),
]
ENCODINGS: Final = [
    *SOUND_ENCODINGS,
    ("utf-8", True, "utf-16"),
    ("utf-8", False, "utf-16-le"),
    ("utf-16-le", False, None),
    ("utf-16-le", True, "utf-16-be"),
    ("utf-16-be", True, "utf-8"),
    ("iso2022_jp", False, None),
]
#: What becomes of the encoded text on its way.
DAMAGES: Final[list[Callable[[bytes], bytes]]] = [
    as_it_is,
    lambda text: text + b"\0",
    lambda text: text + b"x",
    lambda text: text + b"\n",
    lambda text: text + b" \0",
    lambda text: text + b"\0\n\0",
    lambda text: text + b"\x82",
    lambda text: text + b"\x1b",
    lambda text: text + b"\x1b$B\xff",
    lambda text: text + b"~{!",
    lambda text: text + b"\xd8",
    lambda text: text + b"\x3d\xd8",
    lambda text: text + b"\xef\xbb\xbf",
    lambda text: text + b"\xff\xfe",
    lambda text: b"\xef\xbb\xbf" + text,
    lambda text: text[:-1],
    lambda text: text[:-2],
    lambda text: text[:20] + text[21:],
    lambda text: text[:1],
    lambda text: text[:3],
    lambda text: b"",
]
#: How it may be compressed.
WHOLE_WRAPPINGS: Final[list[Callable[[bytes], bytes]]] = [
    as_it_is,
    gzip.compress,
    lambda text: gzip.compress(b"") + gzip.compress(text),
    lambda text: gzip.compress(text) + gzip.compress(b""),
    lambda text: b"".join(gzip.compress(text[at : at + 1]) for at in range(len(text))),
    lambda text: gzip.compress(text[:1]) + b"\0\0" + gzip.compress(text[1:]) + b"\0",
]
BROKEN_WRAPPINGS: Final[list[Callable[[bytes], bytes]]] = [
    lambda text: gzip.compress(text)[:-1],
    lambda text: gzip.compress(text)[:-9],
    lambda text: gzip.compress(text)[:3],
    lambda text: gzip.compress(text)[:2],
    lambda text: gzip.compress(text) + b"\x1f",
    lambda text: gzip.compress(text) + b"rest",
    lambda text: gzip.compress(text) + b"\0rest",
    lambda text: gzip.compress(text)[:-5] + b"\0" + gzip.compress(text)[-4:],
    lambda text: gzip.compress(gzip.compress(text)),
]
#: What they hold is something else.
ODD_WRAPPINGS: Final[list[Callable[[bytes], bytes]]] = [
    lambda text: gzip.compress(text[:1]) + gzip.compress(gzip.compress(text[1:])),
    zlib.compress,
]


def in_pieces(content: bytes, piece_bytes: int) -> Iterator[bytes]:
    return (content[start : start + piece_bytes] for start in range(0, len(content), piece_bytes))


def outcome(read: Callable[[], object]) -> object:
    """What is found, or the code of the refusal: of two faults, either may be the one that is told."""
    try:
        return read()
    except DataFlowError as error:
        return error.code


def file_of(format_name: str) -> str:
    lines = {
        "csv": "{name},{email}\n",
        "ndjson": '{{"name": "{name}", "email": "{email}"}}\n',
        "vcard": "BEGIN:VCARD\nFN:{name}\nEMAIL:{email}\nEND:VCARD\n",
    }
    return ("name,email\n" if format_name == "csv" else "") + "".join(lines[format_name].format(**row) for row in ROWS)


def upload(content: bytes, encoding: str | None, piece_bytes: int) -> Upload:
    options = {"source": "crm", "onInvalid": "skip", **({"encoding": encoding} if encoding else {})}
    return Upload(in_pieces(content, piece_bytes), "application/json", given=options, is_json_body=True)


def checked(content: bytes, encoding: str | None, piece_bytes: int) -> int:
    """The body is checked while the storage takes it; every row counts when it is taken."""
    session = UploadSession(CONFIG, upload(content, encoding, piece_bytes), lambda *_: None)
    assert b"".join(session.pieces()) == content
    return len(ROWS)


def previewed(content: bytes, encoding: str | None, piece_bytes: int) -> int:
    found = preview.look_at(upload(content, encoding, piece_bytes), CONFIG)
    assert found["isComplete"]
    return len(found["rows"])


def imported(content: bytes, encoding: str | None, piece_bytes: int) -> int:
    reading = upload(b"", encoding, 1).options().reading(CONFIG.max_row_bytes, CONFIG.max_expanded_bytes)
    return sum(len(block.names) for block in read_blocks("json", in_pieces(content, piece_bytes), reading, Findings()))


def agreed(content: bytes, encoding: str | None, piece_bytes: int) -> object:
    found = [outcome(lambda read=read: read(content, encoding, piece_bytes)) for read in (checked, previewed, imported)]
    assert found[0] == found[1] == found[2], found
    return found[0]


@pytest.mark.parametrize("piece_bytes", [1, 3, 1 << 16])
@pytest.mark.parametrize(("name", "has_mark", "wish"), ENCODINGS)
def test_a_damaged_text_is_taken_or_refused_alike(
    name: str, has_mark: bool, wish: str | None, piece_bytes: int
) -> None:
    for damage, wrap in product(DAMAGES, (as_it_is, gzip.compress)):
        if content := wrap(damage(encoded(name, has_mark))):
            agreed(content, wish, piece_bytes)


@pytest.mark.parametrize("piece_bytes", [1, 3, 1 << 16])
@pytest.mark.parametrize(("name", "has_mark", "wish"), ENCODINGS)
def test_a_damaged_stream_is_taken_or_refused_alike(
    name: str, has_mark: bool, wish: str | None, piece_bytes: int
) -> None:
    for wrap in (*WHOLE_WRAPPINGS, *BROKEN_WRAPPINGS, *ODD_WRAPPINGS):
        agreed(wrap(encoded(name, has_mark)), wish, piece_bytes)


@pytest.mark.parametrize("wrap", WHOLE_WRAPPINGS)
@pytest.mark.parametrize("piece_bytes", [1, 3, 1 << 16])
@pytest.mark.parametrize(("name", "has_mark", "wish"), SOUND_ENCODINGS)
def test_a_sound_body_is_taken(
    name: str, has_mark: bool, wish: str | None, piece_bytes: int, wrap: Callable[[bytes], bytes]
) -> None:
    assert agreed(wrap(encoded(name, has_mark)), wish, piece_bytes) == len(ROWS)


@pytest.mark.parametrize("wrap", [*WHOLE_WRAPPINGS, *BROKEN_WRAPPINGS])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("format_name", ["csv", "ndjson", "vcard"])
def test_a_file_is_previewed_as_it_is_imported(format_name: str, encoding: str, wrap: Callable[[bytes], bytes]) -> None:
    content = wrap(file_of(format_name).encode(encoding))
    media_type = FORMATS[format_name].media_types[0]

    def previewed() -> list[tuple[object, object]]:
        found = preview.look_at(Upload(iter([content]), media_type), CONFIG)
        assert found["format"] == format_name
        return [(row["name"], row["email"]) for row in found["rows"]]

    def imported() -> list[tuple[object, object]]:
        name = format_name if is_gzip(content) else recognise(content, media_type, None).name
        blocks = read_blocks(name, in_pieces(content, 1 << 16), Reading(1 << 20), Findings())
        return [row for block in blocks for row in zip(block.names, block.emails, strict=True)]

    found = outcome(previewed)
    assert found == outcome(imported)
    assert isinstance(found, str) or found == [(row["name"], row["email"]) for row in ROWS]


@pytest.mark.parametrize("wrap", [as_it_is, gzip.compress])
@pytest.mark.parametrize(
    ("content", "wish"),
    [
        (encoded("utf-16-le", True) + b"\0", None),
        (encoded("utf-16-be", True) + b"\x20", None),
        (encoded("utf-32-le", True) + b"\x20\0", None),
        (encoded("cp932", False) + b"\x82", "cp932"),
        (encoded("iso2022_jp", False) + b"\x1b", "iso2022_jp"),
        (encoded("hz", False) + b"~", "hz"),
    ],
)
def test_a_character_that_is_cut_at_the_very_end_is_refused_while_the_body_arrives(
    content: bytes, wish: str | None, wrap: Callable[[bytes], bytes]
) -> None:
    for piece_bytes in (1, 3, 1 << 16):
        assert outcome(lambda size=piece_bytes: checked(wrap(content), wish, size)) == "malformed_input"
        assert agreed(wrap(content), wish, piece_bytes) == "malformed_input"


def test_a_decoder_that_gives_up_refuses_the_body() -> None:
    """That of ISO-2022-JP holds at most eight bytes of an escape that is none, which depends on how they come."""
    content = encoded("iso2022_jp", False).replace(b"Ada", b"\x1b$" * 8)
    assert agreed(content, "iso2022_jp", 3) == "malformed_input"


def test_what_a_piece_expands_to_is_given_in_small_pieces_and_looked_up_between_them() -> None:
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1

    content = gzip.compress(("[" + " " * 4_000_000).encode("utf-16"))
    assert len(content) < PIECE_BYTES
    decoder = Decoder("json", Reading(PIECE_BYTES, check=check), Findings())
    tracemalloc.start()
    try:
        assert sum(map(len, decoder.decoded([content]))) == 4_000_001
        assert tracemalloc.get_traced_memory()[1] < 16 * PIECE_BYTES
    finally:
        tracemalloc.stop()
    assert looks > 8_000_000 // PIECE_BYTES


def test_no_piece_is_longer_than_one_that_is_read_whatever_becomes_of_its_characters() -> None:
    decoder = Decoder("json", Reading(PIECE_BYTES, encoding="cp1252"), Findings())
    assert [len(piece) for piece in decoder.feed(b"\x80" * PIECE_BYTES)] == [PIECE_BYTES] * 3


def test_a_check_that_raises_ends_what_is_decoded() -> None:
    class Stopped(Exception):
        pass

    def check() -> None:
        raise Stopped

    decoder = Decoder("csv", Reading(PIECE_BYTES, check=check), Findings())
    with pytest.raises(Stopped):
        list(decoder.decoded([b"name,email\n"]))


@pytest.mark.parametrize("format_name", ["csv", "vcard", "xlsx"])
def test_what_is_no_json_comes_as_it_is_but_for_gzip(format_name: str) -> None:
    content = "\ufeffname".encode("utf-16-be")
    for packed, facts in ((content, {}), (gzip.compress(content), {"compression": "gzip"})):
        findings = Findings()
        decoder = Decoder(format_name, Reading(PIECE_BYTES), findings)
        assert b"".join(decoder.decoded(in_pieces(packed, 1))) == content
        assert findings.facts == facts


@pytest.mark.parametrize("content", [b"", b"[", b"\x1f", b"[]", b"\xff\xfe"])
def test_a_content_that_is_shorter_than_what_is_looked_at_comes_at_its_end(content: bytes) -> None:
    decoder = Decoder("csv", Reading(PIECE_BYTES), Findings())
    assert list(decoder.feed(content)) == []
    assert b"".join(decoder.close()) == content
