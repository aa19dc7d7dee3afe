"""What a preview tells of a body, whatever its format and wherever its beginning ends."""

import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from openpyxl import Workbook

from dataflow.config import Config
from dataflow.errors import (
    AmbiguousColumns,
    ExpandsTooFar,
    InputError,
    InvalidContacts,
    MalformedInput,
    MissingColumns,
    NoContacts,
    RequestError,
    UnsupportedMediaType,
)
from dataflow.formats.block import PIECE_BYTES
from dataflow.imports import preview
from dataflow.imports.preview import MAX_BYTES
from dataflow.imports.upload import Upload
from tests.support.errors import has_code
from tests.support.workbooks import package, parts
from tests.support.workbooks import row as sheet_row

pytestmark = pytest.mark.unit

HEADER = b"name,email\n"


def upload(content: bytes, piece_bytes: int = PIECE_BYTES, **facts: Any) -> Upload:
    """A body of which nothing may be asked for behind its first MiB, or the first 32 of a form's file."""
    given = facts.pop("given", {})
    enough = preview.MAX_FORM_BYTES if facts.get("is_form") else MAX_BYTES

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(content), piece_bytes):
            assert start < enough, "more was read than is looked at"
            yield content[start : start + piece_bytes]
        assert len(content) < enough or facts.get("size_bytes") == len(content), "the end was waited for"

    return Upload(pieces(), facts.pop("media_type", "application/octet-stream"), given=given, **facts)


def look(content: bytes, **facts: Any) -> dict[str, Any]:
    found = preview.look_at(upload(content, **facts), Config.from_env({}))
    json.dumps(found, ensure_ascii=False).encode()  # or it could not be answered
    return found


def rows(found: dict[str, Any]) -> list[tuple[object, ...]]:
    return [
        (row["record"], row["line"], row["name"], row["email"], [problem["code"] for problem in row["problems"]])
        for row in found["rows"]
    ]


def test_a_file_is_described_with_its_rows_in_order() -> None:
    content = (
        'Exported today\n\nFull name;E-Mail;City\nÄnn;MAILTO:ann@example.com;Bonn\nBob;bob;Ulm\n;;\n"C\nid";cid@b.de;\n'
    )
    found = look(content.encode("utf-8-sig"), media_type="text/csv")
    shown = found.pop("rows")
    assert found == {
        **{"format": "csv", "encoding": "utf-8", "hasByteOrderMark": True, "delimiter": ";"},
        **{"preambleLines": 2, "headerLine": 3, "columns": ["Full name", "E-Mail", "City"]},
        "mapping": {
            "name": {"columns": ["Full name"], "reason": "one of the usual names for name"},
            "email": {"columns": ["E-Mail"], "reason": "one of the usual names for email"},
        },
        **{"ignoredColumns": ["City"], "isComplete": True},
    }
    assert shown[0] == {"record": 1, "line": 4, "name": "Änn", "email": "ann@example.com", "problems": []}
    [problem] = shown[1].pop("problems")
    assert shown[1] == {"record": 2, "line": 5, "name": "Bob", "email": "bob"}
    assert (problem["field"], problem["code"]) == ("email", "invalid_email")
    assert problem["message"].startswith("Invalid email format")
    assert shown[2] == {"record": 3, "line": 7, "name": "C\nid", "email": "cid@b.de", "problems": []}


def test_json_ndjson_and_vcard_are_described_alike() -> None:
    people: list[dict[str, object]] = [
        {"name": "Ann", "email": " ann@example.com", "tel": 1},
        {"name": 7, "email": "bob@b.de"},
    ]
    bodies = {
        "json": json.dumps({"source": "crm", "data": people}).encode(),
        "ndjson": "\n\n".join(map(json.dumps, people)).encode(),
    }
    lines = {"json": (None, None), "ndjson": (1, 3)}
    for name, content in bodies.items():
        found = look(content)
        assert (found["format"], found["isComplete"], found["ignoredColumns"]) == (name, True, ["tel"])
        assert rows(found) == [
            (1, lines[name][0], "Ann", "ann@example.com", []),
            (2, lines[name][1], None, "bob@b.de", ["wrong_type"]),
        ]
    cards = b"BEGIN:VCARD\r\nFN:Ann\r\nEMAIL:ann@example.com\r\nEND:VCARD\r\nBEGIN:VCARD\r\nFN:Bob\r\nEND:VCARD\r\n"
    found = look(cards)
    assert (found["format"], found["isComplete"]) == ("vcard", True)
    assert rows(found) == [(1, 1, "Ann", "ann@example.com", []), (2, 5, "Bob", None, ["missing_email"])]


def workbook(rows: int) -> bytes:
    book, file = Workbook(), io.BytesIO()
    assert book.active
    book.active.append(["Name", "Mail"])
    for number in range(rows):
        book.active.append([f"Ann {number * 7919 % 10007} {number}", f"ann{number}@example.com"])
    book.save(file)
    return file.getvalue()


def test_a_workbook_is_described_as_a_whole() -> None:
    found = look(workbook(30))
    assert (found["format"], found["headerLine"], found["columns"], len(found["rows"])) == (
        "xlsx",
        1,
        ["Name", "Mail"],
        20,
    )
    assert rows(found)[0] == (1, 2, "Ann 0 0", "ann0@example.com", [])


def test_a_workbook_that_is_larger_than_what_is_looked_at_is_refused_as_such() -> None:
    content = io.BytesIO(workbook(1))
    with zipfile.ZipFile(content, "a") as book:
        book.writestr("xl/media/picture.png", b"x" * MAX_BYTES)
    with pytest.raises(MalformedInput, match="as a whole"):
        look(content.getvalue())


#: What expands far in a workbook: rows, or texts behind which the one of the only row would be.
BOMBS = {"rows": ("<row></row>", ""), "texts": ("", "<si><t/></si>")}
LATE_TEXT = '<row><c t="s"><v>4000000</v></c></row>'


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_workbook_that_expands_far_is_refused_and_the_import_is_pointed_to(bomb: str) -> None:
    row, text = (item * (2 * preview.MAX_WORKBOOK_BYTES // max(len(item), 1)) for item in BOMBS[bomb])
    content = package(parts(row, LATE_TEXT, strings=text))
    with pytest.raises(ExpandsTooFar, match="limit of a preview, an import may take more"):
        look(content)


def test_of_a_workbook_only_as_much_is_expanded_as_its_first_rows_take() -> None:
    rest = 2 * preview.MAX_WORKBOOK_BYTES
    lines = [sheet_row("Ann", "ann@example.com")] * 1000
    content = parts(sheet_row("name", "email"), *lines, "<row/>" * (rest // 6), strings="<si><t/></si>" * (rest // 13))
    found = look(package(content))
    assert len(found["rows"]) == 20


def form(content: bytes, **behind: object) -> Upload:
    """A form with fields behind its file."""
    found = upload(content, is_form=True)
    pieces = found.pieces

    def then_fields() -> Iterator[bytes]:
        yield from pieces
        found.take(behind)

    found.pieces = then_fields()
    return found


MAPPING = {"name": ["Who"], "email": ["Where"]}


def test_fields_behind_a_file_that_is_larger_than_what_is_looked_at_count() -> None:
    content = b"Who,Where\n" + b"Ann,ann@example.com\n" * (2 * MAX_BYTES // 20)
    found = preview.look_at(form(content, mapping=MAPPING), Config.from_env({}))
    assert (found["isComplete"], len(found["rows"])) == (False, 20)
    assert found["rows"][0]["name"] == "Ann"


@pytest.mark.parametrize(
    ("header", "error"), [(b"Who,Where\n", MissingColumns), (b"name,mail,Mail\n", AmbiguousColumns)]
)
def test_whoever_sends_fields_behind_a_very_large_file_is_told_to_send_them_first(
    header: bytes, error: type[InputError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "MAX_FORM_BYTES", 2 * MAX_BYTES)
    content = header + b"Ann,ann@example.com,\n" * (3 * MAX_BYTES // 21)
    with pytest.raises(error, match="send them before the file"):
        preview.look_at(form(content, mapping=MAPPING), Config.from_env({}))
    with pytest.raises(error) as caught:
        look(content)
    assert "before the file" not in caught.value.message


def test_a_beginning_of_only_blank_lines_is_no_error() -> None:
    found = look(b"\n" * (MAX_BYTES + 1), media_type="text/csv")
    assert (found["format"], found["isComplete"], found["rows"]) == ("csv", False, [])
    with pytest.raises(NoContacts):
        look(b"\n" * 9, media_type="text/csv")


def test_twenty_rows_are_shown() -> None:
    found = look(HEADER + b"".join(b"Ann,ann%d\n" % number for number in range(5000)))
    assert [row[0] for row in rows(found)] == [*range(1, 21)]


#: Of each format what comes before the rows, a row, and how the next one may be cut.
CUTS = {
    "character": (HEADER, b"Ann,ann@example.com\n", b"B\xc3"),
    "quote": (HEADER, b"Ann,ann@example.com\n", b'"Bob\n'),
    "line": (HEADER, b"Ann,ann@example.com\n", b"Bob,bob@example.com"),
    "surrogate pair": (
        "\ufeffname\temail\n".encode("utf-16-le"),
        "Ann\tann@example.com\n".encode("utf-16-le"),
        "B\U0001f600".encode("utf-16-le")[:-2],
    ),
    "JSON": (b"[", b'{"name":"Ann","email":"ann@example.com"},', b'{"name":"Bo'),
    "request": (b'{"data":[', b'{"name":"Ann","email":"ann@example.com"},', b'{"na'),
    "NDJSON": (b"", b'{"name":"Ann","email":"ann@example.com"}\n', b'{"name":"B\xc3'),
    "vCard": (b"", b"BEGIN:VCARD\nFN:Ann\nEMAIL:ann@example.com\nEND:VCARD\n", b"BEGIN:VCARD\nFN:Bo"),
}


def beginning(before: bytes, row: bytes, end: bytes) -> bytes:
    """One row of such a size that its file is cut behind `end`."""
    name, letter = (b"Ann", b"x") if b"Ann" in row else ("Ann".encode("utf-16-le"), "x".encode("utf-16-le"))
    letters = (MAX_BYTES - len(before) - len(row) + len(name) - len(end)) // len(letter)
    content = before + row.replace(name, letter * letters) + end
    assert len(content) == MAX_BYTES
    return content


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("cut", CUTS)
def test_of_a_beginning_that_ends_anywhere_the_complete_rows_are_shown(cut: str, compressed: bool) -> None:
    content = beginning(*CUTS[cut])
    body = gzip.compress(content + b" and more", 1) if compressed else content
    # A line that does not end in sight could be a document.
    found = look(body, media_type="application/x-ndjson" if cut == "NDJSON" else "")
    assert found["isComplete"] is False
    [row] = found["rows"]
    assert (row["record"], row["email"], len(row["name"])) == (1, "ann@example.com", 500)
    assert [problem["code"] for problem in row["problems"]] == ["too_long"]


def test_a_body_of_exactly_what_is_looked_at_is_complete_if_its_size_was_declared() -> None:
    content = beginning(HEADER, b"Ann,ann@example.com\n", b"Bob,bob@example.com")
    found = look(content, size_bytes=MAX_BYTES)
    assert (found["isComplete"], [row["email"] for row in found["rows"]]) == (
        True,
        ["ann@example.com", "bob@example.com"],
    )
    assert look(content)["isComplete"] is False


@pytest.mark.parametrize("piece_bytes", [1, 7, 1024])
def test_pieces_of_any_size_are_taken(piece_bytes: int) -> None:
    found = look(HEADER + "Änn,ann@example.com\n".encode(), piece_bytes=piece_bytes)
    assert rows(found) == [(1, 2, "Änn", "ann@example.com", [])]


def test_a_gzip_stream_is_looked_into() -> None:
    found = look(gzip.compress(HEADER + b"Ann,ann@example.com\n"), is_gzip=True)
    assert (found["compression"], found["format"], found["isComplete"]) == ("gzip", "csv", True)
    assert rows(found) == [(1, 2, "Ann", "ann@example.com", [])]


def test_of_a_gzip_bomb_no_more_is_expanded_than_is_looked_at() -> None:
    bomb = gzip.compress(HEADER + b"Ann,ann@example.com\n" + b" " * 3 * MAX_BYTES)
    found = preview.look_at(upload(bomb), Config.from_env({"MAX_EXPANDED_BYTES": str(2 * MAX_BYTES)}))
    assert (found["isComplete"], len(found["rows"])) == (False, 1)


def test_options_are_followed() -> None:
    content = "Titel|x\nWer|Wo|Post\nÄnn|Ulm|ann@example.com\n".encode("cp1252")
    given = {
        "mapping": {"name": ["Wer", "Wo"], "email": ["Post"]},
        "encoding": "cp1252",
        "delimiter": "|",
        "skipRows": 1,
    }
    found = look(content, given=given)
    assert (found["encoding"], found["delimiter"], found["preambleLines"], found["headerLine"]) == ("cp1252", "|", 1, 2)
    assert found["mapping"]["name"] == {"columns": ["Wer", "Wo"], "reason": "as given in mapping"}
    assert rows(found) == [(1, 3, "Änn Ulm", "ann@example.com", [])]


def test_a_value_that_is_no_text_can_be_answered_all_the_same() -> None:
    content = HEADER + "Änn,ann@example.com\n".encode() * 3 + b"B\xfcb,bob@example.com\nC\0,c@example.com\n"
    found = look(content, given={"encoding": "utf-8"}, media_type="text/csv")
    assert rows(found)[3:] == [
        (4, 5, "B\\xfcb", "bob@example.com", ["bad_encoding"]),
        (5, 6, "C\\x00", "c@example.com", ["bad_character"]),
    ]


@pytest.mark.parametrize(
    ("content", "facts", "error", "message"),
    [
        (b"", {}, NoContacts, "empty"),
        (HEADER, {}, NoContacts, "no rows"),
        (b"[]", {}, NoContacts, "no rows"),
        (b"Who,Where\nAnn,Ulm\n", {}, MissingColumns, "Who, Where"),
        (b"name,mail,Mail\nA,b,c\n", {}, AmbiguousColumns, "mail"),
        (b'{"a":1', {"is_json_body": True}, MalformedInput, "JSON"),
        (b'{"source":"crm"}', {"is_json_body": True}, InvalidContacts, "data: Required"),
        (b'{"data":[{}],"mapping":{"name":"x"}}', {"is_json_body": True}, InvalidContacts, "mapping: Send it as a"),
        ('{"data":[{}],"onConflict":"zz"}'.encode("utf-16"), {"is_json_body": True}, InvalidContacts, "onConflict"),
        (HEADER + b'"Ann,ann@example.com\n', {}, MalformedInput, "quote"),
        (HEADER + b"Ann,ann@example.com\n", {"is_gzip": True}, MalformedInput, "not compressed"),
        (gzip.compress(HEADER * 9, mtime=0)[:-9], {}, MalformedInput, "ends early"),
        (gzip.compress(gzip.compress(HEADER, mtime=0), mtime=0), {}, MalformedInput, "only once"),
        (b"%PDF-1.7", {}, UnsupportedMediaType, "PDF"),
    ],
)
def test_what_importing_would_refuse_is_refused_alike(
    content: bytes, facts: dict[str, Any], error: type[InputError], message: str
) -> None:
    with pytest.raises(error, match=message):
        look(content, **facts)


def test_a_beginning_without_a_row_is_no_error() -> None:
    found = look(HEADER + b" " * MAX_BYTES)
    assert (found["format"], found["isComplete"], found["rows"]) == ("csv", False, [])


@pytest.mark.parametrize(
    ("content", "is_json_body"),
    [(HEADER + b"Ann,ann@example.com\n", False), (b'[{"name": "Ann", "email": "ann@example.com"}]', True)],
    ids=["file", "json"],
)
def test_a_body_is_not_looked_at_for_a_client_that_has_left(
    content: bytes, is_json_body: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataflow.imports.upload.LOOK_UP_SECONDS", 0.0)
    assert rows(look(content, is_json_body=is_json_body, has_left=lambda: False))
    with pytest.raises(RequestError, match="has left", check=has_code("incomplete_body")):
        look(content, is_json_body=is_json_body, has_left=lambda: True)
