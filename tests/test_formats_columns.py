"""Which columns of a header are the name and the e-mail: as it is compared, and in no time however wide it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow.errors import AmbiguousColumns, InputError, MissingColumns
from dataflow.formats.columns import find
from dataflow.formats.delimited import look_ahead, read_blocks
from dataflow.formats.dialect import MAX_RECORDS
from dataflow.formats.headers import normalise
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.text import HEAD_BYTES
from tests import effort

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
