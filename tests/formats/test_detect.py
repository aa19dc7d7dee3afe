"""Which format content has: the content decides, the declared type and the file name break ties."""

import io
import pickle
import random
import sqlite3
import zipfile
import zlib

import pytest

from dataflow.errors import MalformedInput, MissingColumns, NoContacts, UnsupportedMediaType
from dataflow.formats.detect import LOOK_BYTES
from dataflow.formats.registry import FORMATS, Findings, Reading, by_media_type, read_blocks, recognise
from tests.support import effort

pytestmark = pytest.mark.unit

ROW = b'{"name":"Ada","email":"ada@example.org"}'
REQUEST = b'{"source":"crm","data":[' + ROW + b"]}"
MISLEADING = [
    "",
    "application/octet-stream",
    "application/vnd.ms-excel",
    "text/csv",
    "application/json",
    "application/x-ndjson",
]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"[" + ROW + b"]", "json"),
        (b"\xef\xbb\xbf \r\n\t[", "json"),
        (b'[ {"name', "json"),
        (b"[[[", "json"),
        (b"[-1.5e3, null]", "json"),
        (b"[tru", "json"),
        (b"[ false\n]", "json"),
        (b"name,email\nAda,ada@example.org\n", "csv"),
        (b"\xef\xbb\xbfname,email\n", "csv"),
        (b'"name","email"\n', "csv"),
        ("größe,email\n".encode("latin-1"), "csv"),
        (ROW + b"\n" + ROW + b"\n", "ndjson"),
        (b"\n\n" + ROW + b"\r\n" + ROW, "ndjson"),
        (b"\xef\xbb\xbf" + ROW + b"\n" + ROW, "ndjson"),
    ],
)
@pytest.mark.parametrize("media_type", MISLEADING)
def test_the_content_decides_whatever_is_declared(content: bytes, name: str, media_type: str):
    assert recognise(content, media_type, "misleading.json").name == name
    assert recognise(content, media_type, None).name == name


READING = Reading(max_row_bytes=1 << 20, max_expanded_bytes=1 << 20)
BRACKETED = [
    b"[Name],[Email]\nAnn,ann@example.com\n",
    b"[first],[last],[email]\n,Ann,ann@example.com\n",
    b"[name],[email]\nAnn,ann@example.com\n",
    b"[true name],[1st],[name],[email]\nx,x,Ann,ann@example.com\n",
    b"[1st],[name],[email]\nx,Ann,ann@example.com\n",
    b"[-],[name],[email]\nx,Ann,ann@example.com\n",
    b"[Contacts]\nName,Email\nAnn,ann@example.com\n",
    b"[[Contacts]]\nName,Email\nAnn,ann@example.com\n",
    b"{export}\nName,Email\nAnn,ann@example.com\n",
]


@pytest.mark.parametrize("content", BRACKETED)
def test_a_header_or_a_title_in_brackets_is_no_json(content: bytes) -> None:
    for media_type, file_name in (("text/csv", None), ("", "contacts.csv"), ("application/octet-stream", None)):
        assert recognise(content, media_type, file_name).name == "csv"
    [block] = read_blocks("csv", [content], READING, Findings())
    assert ([*block.names], [*block.emails]) == (["Ann"], ["ann@example.com"])


def test_what_begins_like_json_and_is_none_is_refused_as_what_it_is_called() -> None:
    content = b'[broken "email"\n'
    assert recognise(content, "", "contacts.json").name == "json"
    with pytest.raises(MalformedInput, match="JSON"):
        list(read_blocks("json", [content], READING, Findings()))
    assert recognise(content, "application/x-ndjson", None).name == "ndjson"
    assert recognise(content, "", None).name == "csv"
    with pytest.raises(MissingColumns, match=r"It has: [{\[]"):
        list(read_blocks("csv", [content], READING, Findings()))


def test_lines_of_json_of_which_the_first_is_none_are_lines_of_json() -> None:
    assert recognise(b'{name: "Ann"}\n' + ROW + b"\n", "", None).name == "ndjson"


@pytest.mark.parametrize(
    "content", [b"[" * 65536, b"[ " * 32768, b"[" + b"1" * 65535, b"[1" + b" " * 65533 + b"x", b"{" + b" " * 65535]
)
def test_it_takes_no_time_to_see_whether_a_hostile_beginning_is_json(content: bytes) -> None:
    with effort.at_most(50):
        recognise(content, "", None)


@pytest.mark.parametrize(
    "content", [REQUEST, REQUEST + b"\n", b"\n " + REQUEST + b"\r\n", b'{"data":[]}', b'{"data":5,"x":1}\n']
)
@pytest.mark.parametrize("media_type", ["", "application/octet-stream", "text/csv", "application/json"])
def test_an_object_with_data_is_a_request_object(content: bytes, media_type: str):
    assert recognise(content, media_type, None).name == "json"


@pytest.mark.parametrize("content", [REQUEST, REQUEST[:30], b'{\n "source": "crm",\n "data": [\n', b'{"name": "x\n'])
def test_an_object_that_is_declared_to_be_a_line_is_one(content: bytes):
    assert recognise(content, "application/x-ndjson", None).name == "ndjson"
    assert recognise(content, "application/octet-stream", "Export.JSONL").name == "ndjson"


@pytest.mark.parametrize(
    "content", [b'{\n "source": "crm",\n "data": [\n', b'{"source":"crm","data":[' + ROW + b"," + ROW, b"{"]
)
@pytest.mark.parametrize("media_type", ["", "application/octet-stream", "application/json"])
def test_an_object_that_goes_on_is_one_document(content: bytes, media_type: str):
    assert recognise(content, media_type, None).name == "json"


LONG = b'{"source": "crm", "data": [\n' + b"\n,".join([ROW] * 2_000) + b"\n]}\n"


@pytest.mark.parametrize("media_type", ["", "application/octet-stream", "application/x-ndjson", "text/csv"])
def test_an_object_over_lines_is_one_document_also_when_only_its_beginning_is_here(media_type: str) -> None:
    assert len(LONG) > LOOK_BYTES
    for content in (LONG[:LOOK_BYTES], LONG, LONG.replace(b"\n", b"\r\n")[:LOOK_BYTES], b"\xef\xbb\xbf" + LONG):
        assert recognise(content[:LOOK_BYTES], media_type, "contacts.ndjson").name == "json"
    assert recognise(LONG.decode().encode("utf-16")[:LOOK_BYTES], media_type, "contacts.ndjson").name == "json"


@pytest.mark.parametrize(
    "first",
    [
        b'{"name": "Ann", "email',  # cut
        b'{"name": "Ann", "tags": [',
        b'{\n "exported": "2026-11-29"\n}',  # a head over several lines
        b'{"name": "Ann"',
    ],
)
def test_rows_below_a_first_line_that_is_none_are_lines(first: bytes) -> None:
    for rows in (2, 2_000):
        content = first + b"\n" + b"\n".join([ROW] * rows)
        assert recognise(content[:LOOK_BYTES], "application/x-ndjson", None).name == "ndjson"
        if first.count(b"\n") == 0:
            assert recognise(content[:LOOK_BYTES], "", None).name == "ndjson"


def test_a_first_row_that_is_longer_than_what_is_looked_at_is_a_line_where_lines_are_declared() -> None:
    content = b'{"name": "' + b"x" * LOOK_BYTES
    assert recognise(content[:LOOK_BYTES], "application/x-ndjson", None).name == "ndjson"


def test_a_single_row_is_ndjson_unless_it_is_declared_json():
    assert recognise(ROW, "", None).name == "ndjson"
    assert recognise(ROW, "application/octet-stream", "contacts.ndjson").name == "ndjson"
    assert recognise(ROW, "application/json", None).name == "json"
    assert recognise(ROW, "", "contacts.JSON").name == "json"


def test_the_declared_type_is_stronger_than_the_file_name():
    assert recognise(REQUEST, "application/x-ndjson", "contacts.json").name == "ndjson"
    assert recognise(REQUEST, "application/json", "contacts.ndjson").name == "json"


def a_database() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE contacts (name TEXT, email TEXT)")
        connection.executemany("INSERT INTO contacts VALUES (?, ?)", [("Ann", "ann@example.com")] * 500)
        content = connection.serialize()
    connection.close()
    return content


NOISE = random.Random(5).randbytes(65536)
BINARY = {
    "gzip, expanded by now or compressed twice": b"\x1f\x8b\x08\x00\x00\x00",
    "a zero": b"\x00",
    "PNG": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x00\x00\x00\x00\xf0\x08\x02\x00\x00\x00"
    + zlib.compress(NOISE),
    "a short PNG": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x01\x00H\x00H\x00\x00\xff\xdb\x00C\x00\x06\x04\x05\x06" + NOISE,
    "an empty zip": b"PK\x05\x06" + bytes(18),
    "SQLite": a_database(),
    "pickle": pickle.dumps([{"name": f"Ann {n}", "email": f"ann{n}@example.com"} for n in range(1000)]),
    "a short pickle": pickle.dumps(["Ann", "ann@example.com"]),
    "noise without NUL": NOISE.replace(b"\0", b"x"),
}


@pytest.mark.parametrize("content", BINARY.values(), ids=BINARY)
@pytest.mark.parametrize("media_type", ["", "application/octet-stream", "application/vnd.ms-excel", "application/json"])
def test_binary_content_is_refused_with_what_to_send(content: bytes, media_type: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="Send JSON, NDJSON, CSV, vCard or XLSX") as caught:
        recognise(content, media_type, "contacts.bin")
    assert caught.value.status == 415
    assert len(content) < 10 or "UTF-16" not in caught.value.message


def test_a_zip_that_is_no_workbook_is_refused_by_who_opens_it() -> None:
    with zipfile.ZipFile(content := io.BytesIO(), "w") as file:
        file.writestr("contacts.csv", "name,email\nAnn,ann@example.com\n")
    assert recognise(content.getvalue(), "", "contacts.zip").name == "xlsx"
    with pytest.raises(MalformedInput):
        list(read_blocks("xlsx", [content.getvalue()], READING, Findings()))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text", ["name,email\nAnn,ann@example.com\n", "\nname,email\n一郎\u3000田中,ann@example.com\n", "[{"]
)
def test_utf_16_without_a_mark_is_refused_with_which_one_to_name(text: str, encoding: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=f"UTF-16 without a byte order mark.* encoding={encoding}\\."):
        recognise(text.encode(encoding), "", "contacts.bin")
    assert recognise(text.encode(encoding), "", None, encoding).name in ("csv", "json")


@pytest.mark.parametrize("content", [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00\x00", b"%PDF-1.7\n%"])
def test_an_old_workbook_or_a_document_is_refused_with_how_to_save_it(content: bytes):
    with pytest.raises(UnsupportedMediaType, match=r"Save .* \.xlsx.* or.* CSV"):
        recognise(content, "", "contacts.xls")


@pytest.mark.parametrize(
    "content",
    [
        b"name,email\nAnn\0,ann@example.com\nBo,bo@example.com\n",
        b"name,email\n" + b"Ann Lee,ann@example.com\n" * 500 + b"\0\0\x01,\x1a@example.com\n" * 20,
        "name,email\n山田,yamada@example.com\n".encode("iso2022_jp") * 20,
    ],
)
def test_some_bytes_that_no_text_has_do_not_make_it_binary_whatever_it_is_called(content: bytes) -> None:
    assert recognise(content, "text/csv", None).name == "csv"
    assert recognise(content, "", "contacts.txt").name == "csv"
    assert recognise(content, "application/octet-stream", None).name == "csv"


def test_what_is_declared_to_be_delimited_text_may_have_more_of_them() -> None:
    content = b"name,email\nAnn" + bytes(9) + b",ann@example.com\n"
    assert recognise(content, "text/csv", None).name == "csv"
    with pytest.raises(UnsupportedMediaType):
        recognise(content, "", "contacts.txt")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("name,email\n", "csv"),
        ('[{"name":', "json"),
        ('{"name":"Ada"}\n{"name":"Bob"}\n', "ndjson"),
        ("BEGIN:VCARD\n", "vcard"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32"])
def test_a_byte_order_mark_tells_how_to_look(content: str, name: str, encoding: str):
    assert recognise(content.encode(encoding), "", None).name == name


def test_a_named_encoding_tells_how_to_look():
    assert recognise("name,email\n".encode("utf-16-be"), "", None, encoding="utf-16-be").name == "csv"
    assert recognise('[{"name":'.encode("utf-16-le"), "", None, encoding="utf-16-le").name == "json"


def test_cards_and_workbooks_are_known_by_how_they_begin():
    assert recognise(b"begin:vcard\r\nVERSION:2.1\r\n", "text/csv", "contacts.csv").name == "vcard"
    assert recognise(b"PK\x03\x04\x14\x00\x06\x00\x08\x00", "text/csv", "contacts.csv").name == "xlsx"


@pytest.mark.parametrize(
    "first", [b'{"x":' * 20_000, b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}", b'{"x":' + b"9" * 5_000 + b"}"]
)
def test_a_hostile_first_line_is_no_crash(first: bytes):
    assert recognise(first + b"\n", "", None).name == "json"
    assert recognise(first + b"\n", "application/x-ndjson", None).name == "ndjson"


@pytest.mark.parametrize(
    ("media_type", "name"),
    [
        ("application/json", "json"),
        ("application/x-ndjson", "ndjson"),
        ("application/ndjson", "ndjson"),
        ("application/jsonl", "ndjson"),
        ("text/csv", "csv"),
        ("text/tab-separated-values", "csv"),
        ("text/vcard", "vcard"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ],
)
def test_a_media_type_names_its_format(media_type: str, name: str):
    known = by_media_type(media_type)
    assert known is FORMATS[name]


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/octet-stream", "multipart/form-data", "json"])
def test_other_media_types_name_none(media_type: str):
    assert by_media_type(media_type) is None


def test_each_format_is_known_by_its_own_name_and_one_of_its_extensions():
    for name, known in FORMATS.items():
        assert known.name == name
        assert any(extension in (f".{name}", ".vcf") for extension in known.extensions)


@pytest.mark.parametrize(
    "first", [b"oops", b"null", b'"x"', b"# a comment", b'"A","email":"a@x.co"}', b'["x"]', b"{cut"]
)
def test_a_bad_first_line_does_not_make_ndjson_something_else(first: bytes) -> None:
    content = first + b"\n" + ROW + b"\n"
    assert recognise(content, "application/x-ndjson", None).name == "ndjson"
    assert recognise(content, "", "contacts.ndjson").name == "ndjson"


@pytest.mark.parametrize("content", [b"\n\r\n", b"\xef\xbb\xbf", b" "])
def test_a_blank_file_is_empty_also_where_ndjson_is_declared(content: bytes) -> None:
    name = recognise(content, "application/x-ndjson", None).name
    with pytest.raises(NoContacts):
        list(read_blocks(name, [content], READING, Findings()))


def test_an_array_over_several_lines_is_json_also_where_ndjson_is_declared() -> None:
    assert recognise(b"[\n" + ROW + b",\n" + ROW + b"\n]\n", "application/x-ndjson", None).name == "json"
    assert recognise(b"[" + ROW + b"]\n", "application/x-ndjson", None).name == "json"


def test_a_member_called_data_that_is_no_array_makes_no_request() -> None:
    line = b'{"data":"q","name":"Ann","email":"a@x.co"}'
    assert recognise(line + b"\n" + line + b"\n", "application/octet-stream", None).name == "ndjson"


@pytest.mark.parametrize(
    "content",
    [b"# my cards\nBEGIN:VCARD\n", b"BEGIN: vcard\r\n", b"\n\nbegin:vcard\n", b"BEGIN:VCORD\nFN:Ann\nEND:VCARD\n"],
)
def test_cards_may_begin_in_other_ways_where_they_are_declared(content: bytes) -> None:
    assert recognise(content, "text/vcard", None).name == "vcard"
    assert recognise(content, "", "contacts.vcf").name == "vcard"


def test_a_workbook_with_a_password_is_told_how_to_be_saved() -> None:
    with pytest.raises(UnsupportedMediaType, match=r"Save it as \.xlsx without one"):
        recognise(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "", "contacts.xlsx")
