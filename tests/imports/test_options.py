"""What may be asked of an import, as text in a query or a form, and what is kept of it on the job."""

import codecs
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from marshmallow import ValidationError
from marshmallow import fields as typed

from dataflow.cli import _parser
from dataflow.config import Config
from dataflow.errors import InvalidContacts
from dataflow.formats.reading import Reading
from dataflow.imports.json_check import JsonCheck
from dataflow.imports.option_names import kebab_case
from dataflow.imports.options import (
    MAX_REJECTS_DEFAULT,
    MEMBERS,
    REFUSED_MEMBERS,
    Options,
    OptionsSchema,
)
from dataflow.web.app import create_app

pytestmark = pytest.mark.unit

SCHEMA = OptionsSchema()
NO_MAPPING = "Expected an object with name, email or both"
NO_COLUMNS = "Expected the name of a column, or a list of 1 to 10, each of 1 to 255 characters"
NO_JSON = 'Expected JSON like {"name": "Full name", "email": "Mail"}'
NO_ENCODING = "Expected the name of an encoding, such as utf-8, cp1252 or utf-16"
NO_DELIMITER = "Expected one of , ; | or tab"


def loaded(name: str, text: object) -> object:
    return SCHEMA.load({name: text})[name]


def refused(name: str, text: object) -> str:
    """The one message with which a value is refused."""
    with pytest.raises(ValidationError) as caught:
        SCHEMA.load({name: text})
    [message] = caught.value.messages_dict[name]
    return str(message)


@pytest.mark.parametrize("name", ["useResumable", "dryRun"])
def test_a_flag_is_true_or_false_in_any_case_and_nothing_else(name: str) -> None:
    assert [loaded(name, text) for text in ("true", "TRUE", " True ", True)] == [True] * 4
    assert [loaded(name, text) for text in ("false", "False", False)] == [False] * 3
    for text in ("", "yes", "1", "0", "on", "truee", 1, 0, "nul\0"):
        assert refused(name, text) == "Expected true or false"


@pytest.mark.parametrize(
    ("name", "choices", "message"),
    [
        ("onInvalid", ["skip", "abort"], "Expected skip or abort"),
        ("onConflict", ["insert", "skip", "update"], "Expected insert, skip or update"),
    ],
)
def test_a_choice_is_one_of_those_that_the_message_names(name: str, choices: list[str], message: str) -> None:
    assert [loaded(name, choice) for choice in choices] == choices
    for text in ("", "Skip", " skip", "replace", "skip,abort"):
        assert refused(name, text) == message


@pytest.mark.parametrize(("name", "limit"), [("maxRejects", 1_000_000), ("skipRows", 1_000)])
def test_a_number_is_within_its_range(name: str, limit: int) -> None:
    assert [loaded(name, text) for text in ("0", "7", str(limit))] == [0, 7, limit]
    for text in ("-1", str(limit + 1), "9" * 30, "9" * 5_000, "", "many", "1.5", "1e3", "0x10", "1_0", "\u0663"):
        assert refused(name, text) == f"Expected 0 to {limit}"


def test_a_sheet_is_a_name_or_a_number() -> None:
    for text in ("Contacts", "2", " x ", "Kontakte (neu)", "é\u00a0名", "x" * 100):
        assert loaded("sheet", text) == text
    for text in ("", "  ", "a\nb", "a\0", "x" * 101):
        assert refused("sheet", text) == "Expected the name of a sheet, of 1 to 100 characters, or its number"
    assert Options(sheet="2").reading(10, 20).sheet == "2"
    assert Options.of(Options(sheet="2").as_json()).sheet == "2"


# Encodings


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("utf-8", "utf-8"),
        ("UTF8", "utf-8"),
        (" u8 ", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("UTF_16LE", "utf-16-le"),
        ("utf-32", "utf-32"),
        ("ascii", "ascii"),
        ("latin-1", "iso8859-1"),
        ("ISO-8859-15", "iso8859-15"),
        ("windows-1252", "cp1252"),
        ("CP1252", "cp1252"),
        ("shift-jis", "shift_jis"),
        ("MS932", "cp932"),
        ("gb18030", "gb18030"),
        ("big5", "big5"),
        ("euc-kr", "euc_kr"),
        ("macintosh", "mac-roman"),
    ],
)
def test_an_encoding_is_known_by_any_of_its_names_and_kept_by_the_plain_one(text: str, name: str) -> None:
    assert loaded("encoding", text) == name
    assert loaded("encoding", name) == name
    assert codecs.lookup(name).incrementaldecoder is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", NO_ENCODING),
        ("utf-9", NO_ENCODING),
        ("base64", NO_ENCODING),
        ("rot13", NO_ENCODING),
        ("hex", NO_ENCODING),
        ("zlib", NO_ENCODING),
        ("undefined", NO_ENCODING),
        ("aliases", NO_ENCODING),
        ("../encodings", NO_ENCODING),
        ("nul\0", NO_ENCODING),
        ("é", NO_ENCODING),
        ("x" * 10_000, NO_ENCODING),
        ("idna", NO_ENCODING),
        ("punycode", NO_ENCODING),
        ("utf-7", NO_ENCODING),
        ("unicode_escape", NO_ENCODING),
        ("unicode-escape", NO_ENCODING),
        ("raw_unicode_escape", NO_ENCODING),
        ("charmap", NO_ENCODING),
    ],
)
def test_a_codec_that_is_no_encoding_of_a_file_is_refused(text: str, message: str) -> None:
    assert refused("encoding", text) == message


# Delimiters


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        (",", ","),
        ("comma", ","),
        (";", ";"),
        ("Semicolon", ";"),
        ("|", "|"),
        ("pipe", "|"),
        ("\t", "\t"),
        ("tab", "\t"),
        ("TAB", "\t"),
        ("\\t", "\t"),
    ],
)
def test_a_delimiter_is_given_as_itself_or_by_its_name(text: str, delimiter: str) -> None:
    assert loaded("delimiter", text) == delimiter


@pytest.mark.parametrize("text", ["", " ", ":", ",,", "a", "\n", '"', "space", "\0"])
def test_no_other_delimiter_is_taken(text: str) -> None:
    assert refused("delimiter", text) == NO_DELIMITER


# Mapping


@pytest.mark.parametrize(
    ("given", "mapping"),
    [
        ({"name": "Full name", "email": "Mail"}, {"name": ["Full name"], "email": ["Mail"]}),
        ({"name": ["First", "Last"]}, {"name": ["First", "Last"]}),
        ({"email": ["Mail"]}, {"email": ["Mail"]}),
        ({"name": [f"Part {number}" for number in range(10)]}, {"name": [f"Part {number}" for number in range(10)]}),
        ({"email": "x" * 255}, {"email": ["x" * 255]}),
        ({"name": " Näme 名前 "}, {"name": [" Näme 名前 "]}),
    ],
)
def test_a_mapping_names_a_column_or_a_list_of_columns_for_each_member(
    given: object, mapping: dict[str, list[str]]
) -> None:
    assert loaded("mapping", json.dumps(given)) == mapping


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", NO_JSON),
        ("name", NO_JSON),
        ("{name: 1}", NO_JSON),
        ('{"name": "x"', NO_JSON),
        ("[" * 100_000, NO_JSON),
        ("1" * 5_000, NO_JSON),
        ("null", NO_MAPPING),
        ("[]", NO_MAPPING),
        ('"name"', NO_MAPPING),
        ("{}", NO_MAPPING),
        ('{"phone": "x"}', NO_MAPPING),
        ('{"name": "x", "phone": "y"}', NO_MAPPING),
        ('{"Name": "x"}', NO_MAPPING),
        ('{"name": null}', NO_COLUMNS),
        ('{"name": 5}', NO_COLUMNS),
        ('{"name": {}}', NO_COLUMNS),
        ('{"name": []}', NO_COLUMNS),
        ('{"name": ["x", 5]}', NO_COLUMNS),
        ('{"name": [["x"]]}', NO_COLUMNS),
        ('{"name": ""}', NO_COLUMNS),
        ('{"name": " "}', NO_COLUMNS),
        ('{"name": "x", "email": ["y", ""]}', NO_COLUMNS),
        ('{"name": "nul\\u0000"}', NO_COLUMNS),
        ('{"name": "half \\ud83d"}', NO_COLUMNS),
        (json.dumps({"name": ["x"] * 11}), NO_COLUMNS),
        (json.dumps({"name": "x" * 256}), NO_COLUMNS),
    ],
)
def test_any_other_mapping_is_told_what_is_wrong(text: str, message: str) -> None:
    assert refused("mapping", text) == message


# The source


@pytest.mark.parametrize("source", ["crm", " crm ", "x" * 100, "\U0001f600" * 100, "tab\t\\"])
def test_a_source_of_1_to_100_characters_is_valid(source: str) -> None:
    assert loaded("source", source) == source


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "Required"),
        ("", "Must not be empty"),
        (" \t", "Must not be empty"),
        ("x" * 101, "Must contain at most 100 characters, has 101"),
        (5, "Expected a string"),
        (dict, "Expected a string"),
        ("\0", "Contains a NUL character, which cannot be stored"),
        ("\ud83d", "Contains half of a surrogate pair, which is not a character"),
    ],
)
def test_any_other_source_is_refused(source: object, message: str) -> None:
    assert refused("source", source) == message


def test_the_options_may_come_without_the_source_which_may_still_follow() -> None:
    assert SCHEMA.load({}) == {}


# All together


def test_an_option_of_an_unknown_name_is_refused() -> None:
    for name in ("oninvalid", "on_invalid", "dry_run", "data", "limit", ""):
        assert refused(name, "x") == "Unknown field."


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        SCHEMA.load({"onInvalid": "x", "dryRun": "x", "skipRows": "x", "unknown": "x", "delimiter": ";"})
    assert set(caught.value.messages_dict) == {"onInvalid", "dryRun", "skipRows", "unknown"}


def test_what_is_not_asked_for_has_a_default() -> None:
    assert Options.of({}) == Options("skip", MAX_REJECTS_DEFAULT, "insert", False, None, None, None, None, False)
    assert Options.of({}).as_json() == {
        "onInvalid": "skip",
        "maxRejects": 100_000,
        "onConflict": "insert",
        "dryRun": False,
        "useResumable": False,
    }


def test_options_come_back_from_the_job_as_they_were_kept() -> None:
    text = {
        "onInvalid": "abort",
        "maxRejects": "0",
        "onConflict": "update",
        "dryRun": "true",
        "mapping": '{"name": ["First", "Last"], "email": "Mail"}',
        "encoding": "latin1",
        "delimiter": "tab",
        "skipRows": "0",
        "useResumable": "true",
    }
    options = Options.of(SCHEMA.load(text))
    mapping = {"name": ["First", "Last"], "email": ["Mail"]}
    assert options == Options("abort", 0, "update", True, mapping, "iso8859-1", "\t", 0, True)
    assert set(options.as_json()) == set(text)
    assert Options.of(json.loads(json.dumps(options.as_json()))) == options


def test_a_job_of_an_earlier_version_or_of_a_later_one_is_read() -> None:
    assert Options.of({"useResumable": True}) == Options(use_resumable=True)
    assert Options.of({"onInvalid": "abort", "somethingElse": 5}) == Options(on_invalid="abort")


def test_a_format_is_told_what_was_asked_for() -> None:
    reading = Options(mapping={"email": ["Mail"]}, encoding="cp1252", delimiter=";", skip_rows=3).reading(10, 20)
    assert (reading.max_row_bytes, reading.max_expanded_bytes) == (10, 20)
    assert (reading.mapping, reading.encoding, reading.delimiter) == ({"email": ["Mail"]}, "cp1252", ";")
    assert (reading.skip_rows, reading.is_beginning) == (3, False)


# One entry is a whole option: each is known in every place, under the name that follows from its own


#: As the client writes them; what follows from an entry is held to this list.
NAMES = (
    *("source", "onInvalid", "maxRejects", "onConflict", "dryRun", "mapping", "encoding", "delimiter", "skipRows"),
    *("useResumable", "sheet"),
)
README = (Path(__file__).parents[2] / "README.rst").read_text()
TOO_LATE = ("mapping", "encoding", "delimiter", "skipRows")


@pytest.fixture(scope="module")
def http() -> FlaskClient:
    return create_app(Config.from_env({"ENABLE_METRICS": "false"})).test_client()


def test_the_entries_are_the_options() -> None:
    assert tuple(SCHEMA.fields) == NAMES
    kept = {name for name in NAMES if name != "source"} | {"charset"}
    given = {name: SCHEMA.fields[name] for name in kept - {"charset"}} | {"charset": "x"}
    assert {*Options.of(given).as_json()} == kept


def refused_parameters(http: FlaskClient, **request: Any) -> list[list[str]]:
    """Which parameters a preview is refused for."""
    answer = http.post("/import/preview", **request)
    assert answer.status_code == 400, answer.text
    assert answer.json is not None
    return [issue["path"] for issue in answer.json["issues"]]


@pytest.mark.parametrize("name", NAMES)
def test_an_option_is_a_query_parameter_a_header_and_a_form_field(http: FlaskClient, name: str) -> None:
    raw: Mapping[str, Any] = {"data": b"name,email\n", "content_type": "text/csv"}
    assert refused_parameters(http, query_string={name: ""}, **raw) == [[name]]
    header = "X" + re.sub("(^[a-z]|[A-Z])", lambda letter: f"-{letter[0].upper()}", name)
    assert refused_parameters(http, headers={header: ""}, **raw) == [[name]]
    assert refused_parameters(http, data={name: ""}, content_type="multipart/form-data") == [[name]]


@pytest.mark.parametrize("name", NAMES)
def test_an_option_is_a_member_of_a_json_body_unless_rows_may_stand_before_it(name: str) -> None:
    body = JsonCheck(Reading(64 * 1024), {"onConflict": "skip"} | ({"source": "crm"} if name != "source" else {}))
    body.feed(json.dumps({"data": [{"name": "Ada", "email": "ada@example.org"}], name: {}}).encode())
    if name == "sheet":
        body.close()
        return
    with pytest.raises(InvalidContacts) as caught:
        body.close()
    [issue] = caught.value.issues
    assert issue.path == (name,)
    assert (issue.message == "Send it as a query parameter or a header") is (name in TOO_LATE)


@pytest.mark.parametrize("name", NAMES)
def test_an_option_is_a_flag_of_the_command_line_with_its_help(name: str) -> None:
    commands = next(action.choices for action in _parser()._actions if isinstance(action.choices, dict))
    commands["import"].fill()
    [flag] = [action for action in commands["import"]._actions if f"--{kebab_case(name)}" in action.option_strings]
    assert flag.help and flag.help in commands["import"].format_help().replace("\n" + " " * 24, " ")
    is_flag = isinstance(SCHEMA.fields[name], typed.Boolean)
    text = [] if is_flag else [next(iter(flag.choices or ["7"]))]
    given = commands["import"].parse_args(
        ["file", *(["--source", "s"] * (name != "source")), flag.option_strings[0], *text]
    )
    assert getattr(given, name) == ("true" if is_flag else text[0])


def test_every_option_is_described_in_the_readme_those_that_a_json_body_may_have_first() -> None:
    start = README.index("An option is a query parameter")
    table = README[README.index("\n\n", start) : README.index("Files\n~~~~~", start)]
    assert {name for name in NAMES if f"``{name}``" not in table} == set()
    rows = re.findall(r"^``(\w+)``", table, re.MULTILINE)
    assert {*rows[: rows.index("useResumable") + 1]} == MEMBERS - REFUSED_MEMBERS


def test_a_generator_of_documents_sees_kinds_that_it_knows() -> None:
    kinds = {
        name: next(kind for kind in type(field).__mro__ if kind.__module__ == typed.__name__)
        for name, field in SCHEMA.fields.items()
    }
    assert {name for name, kind in kinds.items() if kind is typed.Boolean} == {"dryRun", "useResumable"}
    assert {name for name, kind in kinds.items() if kind is typed.Integer} == {"maxRejects", "skipRows"}
    assert {name for name, kind in kinds.items() if kind is typed.Field} == {"mapping"}
    assert {kinds[name] for name in ("source", "onInvalid", "onConflict", "encoding", "delimiter", "sheet")} == {
        typed.String
    }
