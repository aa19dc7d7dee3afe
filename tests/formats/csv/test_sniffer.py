"""The layout of delimited text: its delimiter, preamble and header row, found together or said by the sender."""

from typing import Any

import pytest

from dataflow.errors import AmbiguousColumns, DataFlowError, MalformedInput, MissingColumns, NoContacts
from dataflow.formats.csv.sniffer import find, settle
from dataflow.formats.reading import Reading
from dataflow.formats.tables.header_search import MAX_RECORDS
from tests.support import effort

pytestmark = pytest.mark.unit

LIMIT = 64 * 1024


def found(text: str, **said: Any) -> tuple[str, int, list[str]]:
    dialect = settle(text, Reading(said.pop("max_row_bytes", LIMIT), **said), is_whole=True)
    return dialect.delimiter, dialect.header_line, dialect.header


def at(text: str, **said: Any) -> tuple[str, int]:
    return found(text, **said)[:2]


def refused(kind: type[DataFlowError], text: str, **said: Any) -> str:
    with pytest.raises(kind) as caught:
        found(text, **said)
    return caught.value.message


# The delimiter


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_by_which_there_is_a_header(delimiter: str) -> None:
    header = delimiter.join(["id", "E-mail", '"Last, First; or|both"', "name"])
    assert at(f"{header}\n1{delimiter}a@x{delimiter},;|{delimiter}A\n") == (delimiter, 1)


def test_of_several_delimiters_that_of_the_most_columns_is_taken() -> None:
    assert found("name;email;x;a,name,email\n")[0] == ";"
    assert found("name,email,a;name;email;b;c\n")[0] == ";"


def test_the_earliest_header_is_taken() -> None:
    assert at("name,email\nname;email;x\n") == (",", 1)
    assert at("name;email\nname,email,x\n") == (";", 1)


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"', "sep=; "])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_first_line_may_name_the_delimiter(line: str, newline: str) -> None:
    assert at(f"{line}{newline}name;email{newline}") == (";", 2)


def test_a_line_that_names_the_delimiter_allows_any() -> None:
    assert at("sep=^\nname^email\n") == ("^", 2)
    assert at("sep=\t\nname\temail\n") == ("\t", 2)


def test_a_megabyte_of_blanks_that_are_delimiters_is_read_in_a_moment() -> None:
    with effort.at_most():
        refused(MissingColumns, "sep= \n" + " " * 1_000_000 + "x\n", max_row_bytes=1024 * 1024)


def test_a_name_may_begin_like_a_line_that_names_the_delimiter() -> None:
    assert at("sep=x,name,email\n") == (",", 1)


def test_the_delimiter_that_the_sender_says_counts() -> None:
    assert at("sep=,\nname;email\n", delimiter=";") == (";", 2)
    assert at("name:email\n", delimiter=":") == (":", 1)
    assert "lacks name and email. It has: name;email." in refused(MissingColumns, "name;email\n", delimiter=",")


# What stands above the header

LINKEDIN = """Notes:
"When exporting your connection data, you may notice that some of the email addresses, ""hidden"", are missing. \
You will only see email addresses for connections who have allowed it; name, email."

First Name,Last Name,URL,Email Address,Company,Position,Connected On
Ada,Lovelace,https://example.org/ada,ada@example.org,Engines,Countess,12 Mar 2024
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_the_preamble_of_linkedin_is_skipped(newline: str) -> None:
    delimiter, line, header = found(LINKEDIN.replace("\n", newline))
    assert (delimiter, line, header[3]) == (",", 4, "Email Address")


@pytest.mark.parametrize(
    ("preamble", "line"),
    [
        ("Report\n", 2),
        ("\n\n \n", 4),
        ('"a\nb\r\nc"\n', 4),
        (";;;\nExported,today\n\n", 4),
        ("First, Last; and more\n" * (MAX_RECORDS - 1), MAX_RECORDS),
        ('"an open quote\n\n', 3),
        ('x\n"an open quote, and\nmore\n', 4),
    ],
)
def test_any_preamble_is_skipped(preamble: str, line: int) -> None:
    assert at(f"{preamble}name;email\nA;a@x\n") == (";", line)
    assert at(f'{preamble}name;email\nA;a@x\n"B";b@x\n') == (";", line)


@pytest.mark.parametrize(
    ("above", "line"),
    [
        ("Ann,ann@x.com\n", 1),
        ("Ann,ann@x.com,\n", 2),  # the first is wider, and refused as a row
        ("x\n\nAnn,<ann@x.com>\n", 3),
        ('Ann, "Ann Lee" <ann@x.com>\n', 1),
        ('"an open quote\nAnn,ann@x.com\n', 2),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_contacts_above_the_header_are_no_preamble(above: str, line: int, delimiter: str) -> None:
    text = f"{above}Bo,bo@x.com\nname,email\nCi,ci@x.com\n".replace(",", delimiter)
    header_line = above.count("\n") + 2
    message = refused(AmbiguousColumns, text)
    assert f"Line {line} looks like a contact, but the header row is line {header_line}." in message
    assert f"skipRows={header_line - 1} " in message
    assert at(text, skip_rows=header_line - 1) == (delimiter, header_line)


@pytest.mark.parametrize("above", ["Exported by ann@x.com", "ann@x.com", "Exported, by ann@x.com"])
def test_prose_with_an_address_above_the_header_is_a_preamble(above: str) -> None:
    assert at(f"{above}\nname,email\nCi,ci@x.com\n") == (",", 2)


def test_a_header_below_the_first_records_is_not_found() -> None:
    refused(MissingColumns, "x,y\n" * MAX_RECORDS + "name,email\n")


def test_a_header_may_have_several_lines() -> None:
    assert found('"a\nb",email,"na\nme"\n', mapping={"name": ["na\nme"]}) == (",", 1, ["a\nb", "email", "na\nme"])


@pytest.mark.parametrize(("skip_rows", "line"), [(0, 1), (1, 2), (2, 4), (3, 4)])
def test_the_header_is_the_first_line_with_text_after_those_that_the_sender_skips(skip_rows: int, line: int) -> None:
    text = "name,email,1\nname;email;2\n\nname|email|3\n"
    assert found(text, skip_rows=skip_rows)[1:][0] == line


def test_a_line_that_is_no_header_is_not_passed_over_when_the_sender_skips() -> None:
    assert "It has: x, y." in refused(MissingColumns, "a\nx,y\nname,email\n", skip_rows=1)


def test_nothing_is_left_when_all_lines_are_skipped() -> None:
    refused(NoContacts, "name,email\n", skip_rows=1)
    refused(NoContacts, "name,email\n", skip_rows=1000)


def test_an_open_quote_in_a_skipped_line_does_not_matter() -> None:
    assert at('"open\nname,email\n"A",b\n', skip_rows=1) == (",", 2)


# Which columns


def test_a_mapping_tells_the_header() -> None:
    text = "a;b\nVorname;Nachname;Adresse\nA;B;a@x\n"
    dialect = settle(
        text, Reading(LIMIT, mapping={"name": ["Vorname", "Nachname"], "email": ["Adresse"]}), is_whole=True
    )
    assert (dialect.delimiter, dialect.header_line) == (";", 2)
    assert (dialect.columns.names, dialect.columns.emails) == (((0, 1),), ((2,),))


def test_a_mapping_that_names_no_column_is_refused_with_those_that_are_there() -> None:
    message = refused(MissingColumns, "name;email\nA;a@x\n", mapping={"name": ["Nom"]})
    assert "'Nom'" in message
    assert "name, email" in message


def test_the_header_that_is_shown_is_the_most_likely_line() -> None:
    text = "Contacts, exported\n\nNom;Posta;Ville\nA;a@x;Paris\nB;b@x;Rome\n"
    assert "It has: Nom, Posta, Ville." in refused(MissingColumns, text)


def test_columns_that_could_be_the_same_are_refused() -> None:
    assert "could be the email" in refused(AmbiguousColumns, "name;mail;Mail\nA;a@x;b@x\n")


@pytest.mark.parametrize("header", ["name,email,x,x", "name,email,,", ",,name,,email", "x,x,,name,email,"])
def test_columns_that_are_not_looked_at_may_be_doubled_or_empty(header: str) -> None:
    assert found(header)[2] == header.split(",")


def test_an_unclosed_quote_without_a_header_above_is_named_by_its_line() -> None:
    assert "line 2 is" in refused(MalformedInput, 'x;y\n"name;email\n')


# Beginnings


def beginning(text: str, **said: Any) -> tuple[str, int] | None:
    dialect = find(text, Reading(LIMIT, **said), is_whole=False)
    return (dialect.delimiter, dialect.header_line) if dialect else None


def test_a_cut_line_is_never_taken_for_the_header() -> None:
    for text in ("name,email", 'name,email,"x\n', "a\nname,email", ""):
        assert beginning(text) is None
    assert beginning("name,email\r") == (",", 1)


def test_a_beginning_is_refused_when_enough_of_it_is_there() -> None:
    assert beginning("x,y\n" * (MAX_RECORDS - 1)) is None
    assert beginning('x,"y\n' + "z\n" * 100) is None
    with pytest.raises(MissingColumns):
        beginning("x,y\n" * MAX_RECORDS)
    with pytest.raises(MissingColumns):
        beginning("x,y\n", skip_rows=0)
    assert beginning("x,y\n", skip_rows=1) is None


def test_blank_lines_are_not_enough_to_refuse_a_beginning() -> None:
    assert beginning("\n" * 1000 + ",,\n" * 100) is None


def test_lines_are_numbered_from_where_the_beginning_stands() -> None:
    dialect = find("a\nname,email\n", Reading(LIMIT), is_whole=False, first_line=11)
    assert dialect is not None
    assert dialect.header_line == 12
    skipping = find("a\nname,email\n", Reading(LIMIT, skip_rows=11), is_whole=False, first_line=11)
    assert skipping is not None
    assert skipping.header_line == 12


@pytest.mark.parametrize(
    "text",
    [
        "name,email,cityAnn,a@x.org,Bern\nBob,b@x.org,Rome\n",
        "email,name,job titlea@x.org,Ann,cook\nb@x.org,Bob,cook\n",
        'name,email,"city\nAnn,a@x.org,Bern\nBob,b@x.org","Rome"\n',
        "name,email,note [a@x.org,Ann\n",
        "name,email,note 2: citya@x.org,Ann\n",
        'name,email,="Ann",="a@x.org"\n',
        "'name','email','Ann','a@x.org'\n",
    ],
)
def test_a_header_that_has_swallowed_a_contact_is_refused(text: str) -> None:
    assert "There is an e-mail address in the header row on line 1" in refused(MalformedInput, text)


@pytest.mark.parametrize(
    "header",
    ["email (me@x.org)", "E-mail, e.g. me@x.org", 'email such as "me@x.org"', "email @ work"],
)
def test_a_header_may_give_an_address_as_an_example(header: str) -> None:
    assert at(f"name;email;{header}\nAnn;a@x.org;\n") == (";", 1)
