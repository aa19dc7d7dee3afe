"""What is not read is named as what it is, and nothing that is read is mistaken for it."""

import contextlib
import random

import pytest

from dataflow.errors import DataFlowError, MissingColumns, UnsupportedMediaType
from dataflow.formats import foreign
from dataflow.formats.detect import LOOK_BYTES
from dataflow.formats.registry import Findings, Reading, check_header, read_blocks, recognise
from tests.support import effort

pytestmark = pytest.mark.unit

READING = Reading(max_row_bytes=1 << 20, max_expanded_bytes=1 << 20)
OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def told(content: bytes, name: str = "contacts.csv", media_type: str = "") -> str:
    """With what a content is refused as one that is not read."""
    with pytest.raises(UnsupportedMediaType) as caught:
        list(read_blocks(recognise(content, media_type, name).name, [content], READING, Findings()))
    assert caught.value.status == 415
    assert caught.value.message.endswith("Send JSON, NDJSON, CSV, vCard or XLSX.")
    return caught.value.message


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (OLE2 + bytes(504) + "Workbook".encode("utf-16-le"), "an old Excel file (.xls). Save it as .xlsx"),
        (OLE2 + bytes(504) + "EncryptedPackage".encode("utf-16-le"), "an Office file with a password"),
        (OLE2 + bytes(504) + "WordDocument".encode("utf-16-le"), "an old Word file (.doc)"),
        (OLE2 + bytes(504) + "__substg1.0_3001001F".encode("utf-16-le"), "an Outlook item (.msg)"),
        (b"\x00\x01\x00\x00Standard Jet DB\x00", "a Microsoft Access database"),
        (b"\x00\x01\x00\x00Standard ACE DB\x00", "a Microsoft Access database"),
        (b"\x09\x08\x08\x00\x00\x05\x05\x00", "a very old Excel file"),
        (b"\x09\x00\x04\x00\x02\x00\x10\x00", "a very old Excel file"),
        (b"\x00\x00\x02\x00\x06\x04\x06\x00", "a sheet of Lotus 1-2-3"),
        (b"PGDMP\x01\x0e\x00", "a dump of Postgres"),
        (b"Obj\x01\x04\x14avro.codec", "an Avro file"),
        (b"bplist00\xd4\x01", "a property list of Apple"),
        (b"ORC\x0a\x0b", "an ORC file"),
        (bytes(8) + b"DUCK\x40" + bytes(7), "a DuckDB database"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"<stata_dta><header><release>118</release>", "a file of a statistics program"),
        (b"BM\x36\x0c\x00\x00\x00\x00\x00\x00\x36\x00", "a picture (BMP)"),
        (b"ID3\x04\x00\x00", "a sound"),
        (b"RIFF\x24\x00\x00\x00AVI LIST", "a video"),
        (b"x\x9c\xab\xca", "compressed with zlib, lzma or lzip"),
        (b"Salted__\x01\x02", "encrypted"),
        (b"%!PS-Adobe-3.0\n", "a document"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a picture (JPEG)"),
        (b"GIF89a\x01\x00", "a picture (GIF)"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "a picture (WebP)"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "a picture (HEIC)"),
        (b"Rar!\x1a\x07\x01\x00", "a RAR archive"),
        (b"BZh91AY&SY\x00", "compressed with bzip2"),
        (b"\xfd7zXZ\x00\x00\x04", "compressed with xz"),
        (b"\x28\xb5\x2f\xfd\x24", "compressed with zstd"),
        (b"contacts.csv" + bytes(245) + b"ustar\x0000" + bytes(200), "a tar archive"),
        (b"PK\x05\x06" + bytes(18), "an empty ZIP archive"),
        (b"MZ\x90\x00\x03\x00\x00", "a program"),
        (b'\xef\xbb\xbf{"url": "https://docs.google.com/open?id=1", "doc_id": "1", "email": "a@x.co"}', "Google Docs"),
        (b'[["vcard", [["fn", {}, "text", "Ann"]]]]', "jCard"),
        (b"{'name': 5}", "a value as Python or JavaScript writes it"),
        (b'{name: "Ann", email: "ann@example.com"}\n', "a value as Python or JavaScript writes it"),
        (b"\xef\xbb\xbf\r\n<!-- saved --><HTML><BODY>", "a web page (HTML)"),
        (b"<tr><td>Name</td><td>Email</td></tr>\n<tr><td>Ann</td><td>ann@example.com</td></tr>", "a web page (HTML)"),
        (b"<pre>\nnot found\n</pre>", "a web page (HTML)"),
        ("<html><body>é</body></html>".encode("utf-16"), "a web page (HTML)"),
        (b"<html>" + b"x" * 2 * LOOK_BYTES, "a web page (HTML)"),
        (b"<?xml version='1.0'?><plist version='1.0'/>", "a property list of Apple"),
        (b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n", "SQL"),
        (b"CREATE TABLE contacts (name text, email text);\n", "SQL"),
        (b'<?php return [["name" => "Ann"]];', "PHP"),
        (b'a:1:{i:0;a:1:{s:4:"name";s:3:"Ann";}}', "PHP"),
        (b"ID;PWXL;N;E\r\nP;PGeneral\r\nC;Y1;X1;K\"Name\"\r\n", "SYLK"),
        (b"-----BEGIN PGP MESSAGE-----\n\nabc\n", "encrypted"),
        (b"[InternetShortcut]\r\nURL=https://example.com/\r\n", "a link to a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n", "Git LFS"),
        (b"HTTP/1.1 401 Unauthorized\r\nServer: x\r\n\r\nno\r\n", "the answer of a web server"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_named(content: bytes, what: str) -> None:
    assert f"{what}" in told(content)


@pytest.mark.parametrize("media_type", ["", "text/csv", "text/vcard", "application/x-ndjson", "text/plain"])
def test_it_is_named_whatever_it_is_called(media_type: str) -> None:
    for content in (
        b"<!DOCTYPE html>\n<html></html>\n",
        b"BEGIN:VCALENDAR\nEND:VCALENDAR\n",
        b"%PDF-1.7",
        b"{\\rtf1 x}",
    ):
        assert told(content, "contacts.json", media_type).startswith("This is ")


def test_it_is_named_at_the_door_where_its_beginning_is_all_that_is_known() -> None:
    page = b"<html>\n" + b"<p>Name, Email</p>\n" * 10_000
    with pytest.raises(UnsupportedMediaType, match="web page"):
        check_header("csv", page[:LOOK_BYTES], Reading(1 << 20, is_beginning=True))


@pytest.mark.parametrize(
    "above",
    [
        "<html>", "<?xml version='1.0'?>", "%yaml 1.2", "---", "-- MySQL dump", "BEGIN:VCALENDAR", "dn: cn=x",
        "var x = [", "From ann@example.com Mon Jan 2", "Date: x\nFrom: y\nTo: z", "HTTP/1.1 200 OK", "INSERT INTO x",
        "TABLE\n0,1",
        "Dear all,\nthis, as you know, is\nour list:", "==== ====", "table, of contacts", "alias ann Ann",
    ],
)  # fmt: skip
def test_a_table_below_lines_that_begin_so_is_read_all_the_same(above: str) -> None:
    content = f"{above}\nName;Email\nAnn;ann@example.com\n".encode()
    [block] = read_blocks(recognise(content, "", "x.csv").name, [content], READING, Findings())
    assert ([*block.names], [*block.emails]) == (["Ann"], ["ann@example.com"])


@pytest.mark.parametrize(
    "header",
    [
        "PAR1,PAR2,Name,Email", "BMI,Name,Email", "MZ,Name,Email", "Obj,Name,Email", "ID;Name;Email", "GIF,Name,Email",
        "ORC,Name,Email", "PK,Name,Email", "From,To,Name,Email", "<Name>,<Email>,Name,Email", "!BDN,Name,Email",
        "7z,Name,Email", "0,Name,Email", "Table,Name,Email", "alias,Name,Email", "var,Name,Email",
    ],
)  # fmt: skip
def test_a_header_row_that_begins_so_is_one(header: str) -> None:
    delimiter = ";" if ";" in header else ","
    row = delimiter.join("Ann" if name == "Name" else "ann@example.com" if name == "Email" else "x"
                         for name in header.split(delimiter))  # fmt: skip
    content = f"{header}\n{row}\n".encode()
    [block] = read_blocks(recognise(content, "", "x.csv").name, [content], READING, Findings())
    assert ([*block.names], [*block.emails]) == (["Ann"], ["ann@example.com"])


@pytest.mark.parametrize(
    "content", ["<Wer>;<Adresse>\nAnn;x\n", "Wer,Adresse\nAnn,x\nBob,y\n", "Date: Wer;Adresse\nAnn;x\n"]
)
def test_a_table_without_our_columns_is_still_told_what_its_header_lacks(content: str) -> None:
    with pytest.raises(MissingColumns, match="The header row lacks name and email"):
        list(read_blocks("csv", [content.encode()], READING, Findings()))


HOSTILE = [
    *(unit * (LOOK_BYTES // len(unit)) for unit in (
        b"-- \n", b"# x\n", b"<!---->", b"<!-- ", b" \t", b"a: b\n", b"a:\n b\n", b"-", b"- - ", b"=- ", b"+-", b"[{",
        b"-\n", b"<a ", b"<?xml ", b"from: x\n ", b"- a", b"a", b"x ", b"/*", b"dn", b"version: 1\n", b"a;b,c\n",
        b"import a", b"class a ", b"const a", b"{a:", b"# a\n", b"a=", b"\\n", b"https://", b"a/annex/", b"error",
        b"\n<", b"@", b"a@b.c,", b"<a@", b"BEGIN:", b"\"", b"type = ", b"x(", b"copy x", b"use x ", b"|-", b"--",
        b"a@b.c\n",
    )),
    b"from: x\n" + b" " * LOOK_BYTES,
    b"- " + b" " * LOOK_BYTES,
    b"a:\n" + b" " * LOOK_BYTES,
    b"-- a" + b" " * LOOK_BYTES,
    b"<html " + b"type" + b" " * LOOK_BYTES,
    b"INSERT" + b" " * LOOK_BYTES,
    b"<html>" + b"type " * 10_000 + b"=",
    b"a@" + b"." * LOOK_BYTES + b"@",
    b"a|b\n---|---\n" + b" " * LOOK_BYTES + b"x",
    b"a|b\n" + b"---|" * 10_000 + b"x",
    b"a|b\n" + b" " * LOOK_BYTES + b"---",
    b"x\n" * (LOOK_BYTES // 2) + b"|",
    b"{a:" + b"\n" * LOOK_BYTES,
    b"+---+" * 10_000,
    b"a@b.c\n" + b"a@" + b"." * LOOK_BYTES + b"@",
]  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE, ids=lambda content: repr(content[:12]))
def test_it_takes_no_time_to_see_what_a_hostile_text_is(content: bytes) -> None:
    with effort.at_most(100):
        foreign.named(content)
        with contextlib.suppress(UnsupportedMediaType):
            foreign.refuse_certain(content, content)
        with contextlib.suppress(DataFlowError):
            check_header("csv", content, Reading(1 << 20, is_beginning=True))


@pytest.mark.parametrize("content", [b";;\n;;\n", b",\n" * 40])
def test_lines_of_nothing_but_delimiters_are_no_addresses(content: bytes) -> None:
    with pytest.raises(MissingColumns, match="header row lacks name and email"):
        list(read_blocks("csv", [content], Reading(1 << 20), Findings()))


def test_of_random_tables_none_is_taken_for_something_else() -> None:
    choose = random.Random(12)
    alphabet = "abcdeFGHXMLPKZ0123456789 -_.#<>():'/%&=+*"
    for _ in range(2_000):
        first = "".join(choose.choices(alphabet, k=choose.randint(1, 12)))
        content = f"{first},name,email\nx,Ann,ann@example.com\n".encode()
        [block] = read_blocks(recognise(content, "", None).name, [content], READING, Findings())
        assert [*block.emails] == ["ann@example.com"]
