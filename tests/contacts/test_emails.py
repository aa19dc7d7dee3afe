"""Cells with an e-mail as the exports of other programs, and people, write them."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataflow.contacts.emails import clean
from dataflow.contacts.schema import ContactSchema
from tests.support import effort

pytestmark = pytest.mark.unit

quick = settings(max_examples=300, deadline=None, derandomize=True, database=None)
EMAIL = ContactSchema(only=["email"])


@pytest.mark.parametrize(
    "cell",
    [
        "a@b.co",
        " a@b.co\n",
        "\xa0a@b.co\xa0",
        "\u200b \ufeffa@b.co \u200d\u3000",
        "\u202aa@b.co\u202c",
        "\u2068a@b.co\u2069",
        "mailto:a@b.co",
        "MailTo: a@b.co",
        "mailto:a@b.co?subject=Hello%20you&cc=c@d.org",
        "<mailto:a@b.co>",
        "mailto:<a@b.co>",
        "mailto:a@b.co?",
        "mailto:%61@b.co",
        "mailto:a@b.co,c@d.org",
        "<a@b.co>",
        "< a@b.co >",
        "Ann <a@b.co>",
        "Ann<a@b.co>",
        '"Ann, B" <a@b.co>',
        "B, Ann <a@b.co>",
        "'Ann O\"Neill' <a@b.co>",
        '"Ann (at home: ann@home.org)" <a@b.co>',
        "Ann 'the boss' <'a@b.co'>",
        "a@b.co <a@b.co>",
        "'a@b.co' <a@b.co>",
        '"a@b.co" <a@b.co>',
        "名前 <a@b.co>",
        '"a@b.co"',
        "'a@b.co'",
        "' a@b.co '",
        "\"'a@b.co'\"",
        "'mailto:a@b.co'",
    ],
)
def test_an_address_is_taken_out_of_what_surrounds_it(cell: str) -> None:
    assert clean(cell) == "a@b.co"


@pytest.mark.parametrize(
    "cell",
    [
        "a@b.co; c@d.org",
        "a@b.co;c@d.org;e@f.net",
        "a@b.co,c@d.org",
        "a@b.co c@d.org",
        "a@b.co\r\nc@d.org",
        "a@b.co;",
        ";, a@b.co",
        "a@b.co\u200b; \u200bc@d.org",
        "Ann <a@b.co>; Bob <c@d.org>",
        "Ann <a@b.co>, Bob <c@d.org>",
        "B, Ann <a@b.co>; D, Bob <c@d.org>",
        "B, Ann <a@b.co>, D, Bob <c@d.org>;",
        "a@b.co, Bob <c@d.org>",
        "Ann <a@b.co>, c@d.org",
        "mailto:a@b.co; mailto:c@d.org",
        "'a@b.co','c@d.org'",
        '"a@b.co";"c@d.org"',
    ],
)
def test_the_first_of_several_addresses_counts(cell: str) -> None:
    assert clean(cell) == "a@b.co"


@pytest.mark.parametrize(
    "cell",
    [
        "* a@b.co ::: c@d.org",
        "c@d.org ::: * a@b.co",
        "c@d.org ::: e@f.net ::: *  a@b.co",
        "* a@b.co",
        "a@b.co ::: c@d.org",
        "a@b.co:::c@d.org",
        " ::: a@b.co ::: ",
        "c@d.org ::: * Ann <a@b.co>",
        "* mailto:a@b.co ::: nobody",
        "* a@b.co ::: * c@d.org",
    ],
)
def test_of_googles_values_the_marked_one_counts_and_else_the_first(cell: str) -> None:
    assert clean(cell) == "a@b.co"


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "nobody",
        "a@b.co or c@d.org",
        "a@b.co; nobody",
        "nobody; a@b.co",
        "a@b.co; c@d.org@e.net",
        "work: a@b.co",
        "a @b.co",
        "a@b.co c@",
        "a@b.co (Ann)",
        "Ann (a@b.co)",
        "Ann <a@b.co",
        "Ann a@b.co>",
        "Ann <a@b.co> <c@d.org>",
        "Ann <>",
        "Ann <nobody>",
        "c@d.org Ann <a@b.co>",
        "<<a@b.co>>",
        "'a@b.co, c@d.org'",
        "nobody ::: a@b.co",
        "* nobody ::: a@b.co",
        " ::: ",
        "* ",
        "mailto:",
        "mailto:a%40b.co",
        '"a@b.co',
        "''",
        "@",
        "<@>",
        "''''''a@b.co''''''",
        "http://a@b.co/",
    ],
)
def test_what_is_none_of_these_is_only_trimmed(cell: str) -> None:
    assert clean(f"\ufeff {cell}\xa0") == cell.strip()


@pytest.mark.parametrize(
    "address",
    [
        "o'brien@x.ie",
        "'a@b.co",
        "'a'@b.co",
        "*a@b.co",
        "a+b@c.de",
        "a%b@c.de",
        "mailto@b.co",
        "{a|b}~c@d.org",
        '"a;b"@c.de',
        '"a, b"@c.de',
        '"a b"@c.de',
        '"a@b"@c.de',
        '"a<b@c>d"@e.fr',
        '"* a ::: b"@c.de',
        '"mailto:a"@c.de',
        '"a\\"@b\\\\"@c.de',
        "é@exämple.de",
        "用户@例子.公司",
        "ada@xn--exmple-cua.de",
        "ada@例子。公司",
    ],
)
def test_an_odd_address_stays_what_it_is(address: str) -> None:
    assert clean(address) == address
    assert clean(f"\t{address}\xa0") == address


@pytest.mark.parametrize("address", ["o'brien@x.ie", '"a;b"@c.de', '"a@b"@c.de', "用户@例子.公司"])
def test_an_odd_address_survives_what_surrounds_it(address: str) -> None:
    assert clean(f"Ann <{address}>") == address
    assert clean(f"mailto:{address}") == address
    assert clean(f"'{address}'") == address
    assert clean(f"{address}; c@d.org") == address


def test_bytes_that_are_no_text_in_a_link_are_left_for_the_rule_to_refuse() -> None:
    assert clean("mailto:%e9@b.co") == "\udce9@b.co"
    assert clean("mailto:%C3%A9@b.co") == "é@b.co"


local_crumbs = st.sampled_from(
    [*"aZ9._+-'*%{}!#é名\u0301\u200c\uff20", "mailto", ":", ":::", "* ", ";", ",", " ", "@", "<", ">"]
)
quoted_crumbs = st.sampled_from([*"aZ9._+-'*é@<>;,: ()[]", ":::", "* ", "mailto:", '\\"', "\\\\", "\\a"])
domains = st.sampled_from(
    ["b.co", "sub-1.example.org", "exämple.de", "例子。公司", "xn--exmple-cua.de", "b.co\u200b", "b\uff0eco"]
)


@st.composite
def odd_addresses(draw: st.DrawFn) -> str:
    if draw(st.booleans()):
        return f'"{draw(st.lists(quoted_crumbs, max_size=8).map("".join))}"@{draw(domains)}'
    return f"{draw(st.lists(local_crumbs, min_size=1, max_size=6).map(''.join))}@{draw(domains)}"


@settings(quick, max_examples=300)
@given(odd_addresses())
@example("a@b.co\u200b")
@example('"a"\u0338@b.co')
@example('"<a@b.co>"@b.co')
def test_every_address_that_the_rule_accepts_stays_what_it_is(address: str) -> None:
    if EMAIL.validate({"email": address}) == {}:
        assert clean(address) == address.rstrip("\u200b")


crumbs = st.sampled_from(
    [
        *"a@<>\"'\\;,:.()* \t\n\xa0\u200b\ufeff\udc80é%",
        *("a@b.co", "Ann ", "mailto:", "MAILTO:", ":::", "* ", "%20", "%40", "%3E", "?x=y", '"Ann, B" ', "<c@d.org>"),
    ]
)


@settings(quick, max_examples=400)
@given(
    st.one_of(st.lists(crumbs, max_size=10).map("".join), st.text(st.characters(exclude_categories=()), max_size=20))
)
def test_what_is_clean_stays_so(cell: str) -> None:
    once = clean(cell)
    assert clean(once) == once
    assert clean(f" {cell}\u200b\n") == once


@pytest.mark.parametrize(
    "cell",
    [
        "x" * 300_000,
        "@" * 300_000,
        "a@" * 150_000,
        "a@b;" + "x" * 300_000,
        "a@b.co;" * 40_000,
        "Ann <a@b.co>," * 20_000,
        "'" * 300_000 + "@",
        '"' * 300_000 + "@",
        "<" * 150_000 + "a@b.co" + ">" * 150_000,
        '"' + "\\" * 300_000 + "@",
        " " * 300_000 + "@" + " " * 300_000 + "@",
        "* a ::: " * 40_000 + "@",
        "mailto:" * 40_000 + "a@b.co",
        "%" * 300_000 + "@",
        "mailto:" + "%e9" * 100_000 + "@",
    ],
)
def test_no_cell_makes_cleaning_slow(cell: str) -> None:
    with effort.at_most():
        clean(cell)
