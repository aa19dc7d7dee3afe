"""Which format content has: the content decides, the declared type and the file name break ties."""

import pytest

from dataflow.errors import UnsupportedMediaType
from dataflow.formats import FORMATS, by_media_type, recognise

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
        (b"[broken", "json"),
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


def test_a_single_row_is_ndjson_unless_it_is_declared_json():
    assert recognise(ROW, "", None).name == "ndjson"
    assert recognise(ROW, "application/octet-stream", "contacts.ndjson").name == "ndjson"
    assert recognise(ROW, "application/json", None).name == "json"
    assert recognise(ROW, "", "contacts.JSON").name == "json"


def test_the_declared_type_is_stronger_than_the_file_name():
    assert recognise(REQUEST, "application/x-ndjson", "contacts.json").name == "ndjson"
    assert recognise(REQUEST, "application/json", "contacts.ndjson").name == "json"


@pytest.mark.parametrize(
    "content",
    [
        b"\x1f\x8b\x08\x00\x00\x00",  # expanded by now, or compressed twice
        "name,email\n".encode("utf-16-be"),
        b"\x00",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    ],
)
@pytest.mark.parametrize("media_type", ["", "application/octet-stream", "application/vnd.ms-excel", "application/json"])
def test_binary_content_is_refused_with_what_to_send(content: bytes, media_type: str):
    with pytest.raises(UnsupportedMediaType, match="Send JSON, NDJSON, CSV, vCard or XLSX") as caught:
        recognise(content, media_type, "contacts.bin")
    assert caught.value.status == 415


@pytest.mark.parametrize("content", [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00\x00", b"%PDF-1.7\n%"])
def test_an_old_workbook_or_a_document_is_refused_with_how_to_save_it(content: bytes):
    with pytest.raises(UnsupportedMediaType, match=r"Save the contacts as \.xlsx or CSV"):
        recognise(content, "", "contacts.xls")


def test_a_nul_in_what_is_declared_to_be_delimited_text_is_a_matter_of_its_row():
    assert recognise(b"name,email\nA\x00da,ada@example.org\n", "text/csv", None).name == "csv"
    assert recognise(b"name,email\nA\x00da,ada@example.org\n", "", "contacts.csv").name == "csv"


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
