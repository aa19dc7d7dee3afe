"""E-mails as one column: the same rows are plain as when each address is looked at alone."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataflow.contacts.plain_emails import find_others, is_plain
from tests.support import effort

pytestmark = pytest.mark.unit

quick = settings(max_examples=300, deadline=None, derandomize=True, database=None)
#: What breaks a rule, or brings addresses together that are apart.
crumbs = st.sampled_from(
    [
        *"aZ9_+-.@\n\r\té ",
        "",
        "--",
        "..",
        ".-",
        ".\n",
        "\n.",
        "\n\n",
        "@b.co",
        "a@b.co\nc@d.co",
        "\ud800",
        "\x85",
        "\u2028",
    ]
)


@st.composite
def addresses(draw: st.DrawFn) -> str:
    label = st.text("aZ09-", min_size=1, max_size=4)
    local = draw(st.text("aZ09_+-.", min_size=1, max_size=6))
    address = (
        f"{local}@{'.'.join(draw(st.lists(label, min_size=1, max_size=2)))}.{draw(st.sampled_from(['co', 'c', 'c0m']))}"
    )
    for crumb in draw(st.lists(crumbs, max_size=2)):
        at = draw(st.integers(0, len(address)))
        address = address[:at] + crumb + address[at:]
    return address


plain = st.sampled_from(["a@b.co", "Ada.Lovelace@example.org", "x_y+z-1@mail.sub-domain.example.museum", "1@2.com"])
cells = st.one_of(plain, plain, addresses(), addresses(), st.lists(crumbs, max_size=4).map("".join))


def row_by_row(column: Sequence[str]) -> list[int]:
    return [row for row, address in enumerate(column) if not is_plain(address)]


@quick
@given(st.lists(cells, max_size=12))
@example([])
@example([""])
@example(["", ""])
@example(["a@b.co\nc@d.co", "e@f.co"])
@example(["a@b.co\n", "", "a@b.co"])
@example(["a@b.co", ".a@b.co", "-@b.co", "a.@b.co", "a@b.c", "a@b.co."])
@example(["a", "@b.co"])
@example([f"{'a' * 64}@b.co", f"{'a' * 65}@b.co", f"a@{'b' * 63}.co", f"a@{'b' * 64}.co", f"a@b.{'c' * 64}"])
def test_a_column_has_the_same_plain_addresses_as_its_rows(column: list[str]) -> None:
    assert find_others(column) == row_by_row(column)


@pytest.mark.parametrize("rows", [1, 2, 100, 1600])
def test_a_single_other_address_is_found_wherever_it_is(rows: int) -> None:
    for other in ("", "nobody", "é@b.co", "a..b@c.co", ".a@b.co", "a@b.co.", "a@b--c.co", "a@b.co\nc@d.co", "\n"):
        for row in {0, rows // 2, rows - 1}:
            column = ["ada@example.org"] * rows
            column[row] = other
            assert find_others(column) == [row]


def test_hyphens_side_by_side_are_plain_before_the_at_sign_only() -> None:
    assert find_others(["a--b@c.co", "-@c.co", "a-.b@c.co", "a@b--c.co", "a@-b.co", "a@b-.co"]) == [3, 4, 5]


@pytest.mark.parametrize("text", ["a.", "@", "-", ".", "a", "a-", "a@", "@.", "\n", ".\n", "é", "a@b.co\n", "a@b.co."])
def test_no_column_makes_the_check_slow(text: str) -> None:
    """With a pattern that matches in two ways, or lines that are counted from the beginning, one takes minutes."""
    whole = text * (64 * 1024 // len(text))
    with effort.at_most():
        assert find_others([whole] * 16) == list(range(16))
        assert find_others([f"a@{whole}"] * 16) == list(range(16))
        assert find_others([whole[:190]] * 1600) == list(range(1600))
        short = find_others([text] * 65_536)
    assert short in ([], list(range(65_536)))
