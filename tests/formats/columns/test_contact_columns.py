"""Which columns of a header are the name and the e-mail: as it is compared, and in no time however wide it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.errors import AmbiguousColumns, InputError, MissingColumns
from dataflow.formats.columns.comparison import normalise
from dataflow.formats.columns.contact_columns import find, require
from dataflow.formats.csv.delimited import look_ahead, read_blocks
from dataflow.formats.encoding import HEAD_BYTES
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.tables.header_search import MAX_RECORDS
from tests.support import effort

pytestmark = pytest.mark.unit


@given(st.lists(st.text(st.characters() | st.sampled_from("\n\r_ -\u0308\u0345\ufb03\u00aa"), max_size=5), min_size=1))
def test_columns_of_a_mapping_are_found_exactly_or_as_they_are_normalised(header: list[str]) -> None:
    for column in header:
        wanted = column.strip()
        exact = [at for at, cell in enumerate(header) if wanted and cell.strip() == wanted]
        nearly = [at for at, cell in enumerate(header) if normalise(column) and normalise(cell) == normalise(column)]
        expected = exact or nearly
        try:
            found = find(header, {"name": [column], "email": [column]}).names
        except MissingColumns:
            assert expected == []
        except AmbiguousColumns:
            assert len(expected) > 1
        else:
            assert found == ((expected[0],),)
            assert len(expected) == 1


@given(st.text())
def test_headers_are_compared_by_letters_and_digits_alone(header: str) -> None:
    assert normalise(header).isalnum() or not normalise(header)
    assert normalise(f"_-{header} \n") == normalise(header)


def test_an_exact_column_wins_over_one_that_is_nearly_called_so() -> None:
    assert find(["E-Mail", "e mail", "x"], {"email": ["e mail"], "name": [" X "]}).emails == ((1,),)


# Halves of a name


@pytest.mark.parametrize(
    "header",
    [
        "Forename,Surname", "Given,Surname", "fname,last", "First,LName", "Vorname,Last", "Vorname,Nachname",
        "Prénom,Nom de famille", "Voornaam,Achternaam", "given_name,Apellidos", "first name,Cognome",
        "Primeiro nome,Sobrenome",
    ],
)  # fmt: skip
def test_first_and_last_name_are_joined_whatever_they_are_called(header: str) -> None:
    assert require([*header.split(","), "email"]).names == ((0, 1),)
    assert require(["email", *reversed(header.split(","))]).names == ((2, 1),)


@pytest.mark.parametrize(
    ("header", "together"),
    [
        ("Name,Surname", '"Name", "Surname"'),
        ("Last name,NAME", '"NAME", "Last name"'),
        ("Name,First Name", '"First Name", "Name"'),
        ("Name,Display Name,Vorname", '"Vorname", "Name"'),
        ("Nome,Vorname", '"Vorname", "Nome"'),
        ("Naam,Voornaam", '"Voornaam", "Naam"'),
    ],
)
def test_one_half_of_a_name_beside_what_may_be_the_other_half_is_refused(header: str, together: str) -> None:
    columns = [*header.split(","), "email"]
    with pytest.raises(AmbiguousColumns) as caught:
        require(columns)
    assert f'mapping={{"name": [{together}]}}.' in caught.value.message
    mapping = {"name": together.strip('"').split('", "')}
    assert len(require(columns, mapping).names[0]) == 2


def test_a_last_name_alone_is_refused_and_a_first_name_alone_is_not() -> None:
    for header in (["Surname", "Email"], ["Wer", "Surname", "Email"]):
        with pytest.raises(MissingColumns, match=r'mapping={"name": "Surname"}') as caught:
            require(header)
        assert f"has: {', '.join(header)}." in caught.value.message
        assert require(header, {"name": ["Surname"]}).is_complete
    assert require(["First name", "Email"]).names == ((0,),)
    assert require(["Surname", "Full name", "Email"]).names == ((1,), (0,))


def test_first_and_last_name_stand_in_for_a_name_that_is_empty() -> None:
    assert require(["Name", "Given Name", "Family Name", "Email"]).names == ((0,), (1, 2))


def test_a_member_that_is_called_name_wins_alone_and_a_row_may_have_half_a_name() -> None:
    for half in ("first", "surname"):
        assert find(["name", half, "email"], is_table=False).names == ((0,),)
        assert find([half, "email"], is_table=False).names == ((0,),)


# Several addresses


def test_further_addresses_come_after_the_first_in_their_order() -> None:
    header = ["Email 3", "Secondary Email", "E-mail 2 Address", "E-mail", "name"]
    assert find(header).emails == ((3,), (2,), (1,), (0,))
    assert find([*header, "email"], is_table=False).emails == ((5,),)


def test_a_second_address_is_not_taken_for_the_first() -> None:
    with pytest.raises(MissingColumns, match="lacks email"):
        require(["name", "Poczta", "E-mail 2 - Value"])


# Advice


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        ("name,Name,email", 'Say which with mapping={"name": ["..."]}.'),
        ("First,Given,Last,email", 'Say which with mapping={"name": ["..."]}.'),
        ("name,mail,Mail,Mail", 'Say which with mapping={"email": ["..."]}.'),
        ("name,name ,email", "rename one of them."),
        ("name,email,email", "rename one of them."),
    ],
)
def test_rivals_are_refused_with_advice_that_helps(header: str, advice: str) -> None:
    for is_table in (True, False):
        with pytest.raises(AmbiguousColumns) as caught:
            find(header.split(","), is_table=is_table)
        assert caught.value.message.endswith(advice)


def test_what_a_mapping_names_twice_is_refused_with_advice_that_helps() -> None:
    with pytest.raises(AmbiguousColumns, match=r'mapping={"name": \["..."\]}'):
        find(["Who", "who", "email"], {"name": ["WHO"]})
    with pytest.raises(AmbiguousColumns, match="rename one of them"):
        find(["Who", "Who", "email"], {"name": ["Who"]})


WIDE = {
    "columns": ",".join(f"Spalte {at}" for at in range(2_700)),
    "columns with umlauts": ",".join(f"Sp\u00e4lte {at}" for at in range(2_500)),
    "columns of one letter": ",".join("x" * 16_000),
    "columns that could all be the one": ",".join(["e-mail"] * 4_500),
    "cells that begin with blanks and a quote": ",".join(['" ""x"'] * 4_000) + ', "x"',
    "columns by any delimiter": ";".join(["a,b|c"] * 5_000),
}


@pytest.mark.parametrize("case", WIDE)
@pytest.mark.parametrize("is_mapped", [True, False])
def test_a_megabyte_of_wide_rows_is_searched_for_the_header_in_a_moment(case: str, is_mapped: bool) -> None:
    mapping = {field: [f"{field} {at}" for at in range(10)] for field in ("name", "email")} if is_mapped else None
    head = ((WIDE[case] + "\n") * MAX_RECORDS).encode()[:HEAD_BYTES]
    # The old way took a minute of the first of them.
    with effort.at_most():
        with pytest.raises(InputError):
            look_ahead(head, Reading(HEAD_BYTES, mapping=mapping))
        with pytest.raises(InputError):
            list(read_blocks([head], Reading(HEAD_BYTES, mapping=mapping), Findings()))
