"""What a contact is, that the fast check never says more than the schema, and what COPY gets to read."""

import re
import time
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from dataflow import contacts
from dataflow.contacts import ContactSchema, are_surely_valid, check_source, copy_lines, escape, judge, source_issues
from dataflow.errors import InvalidRequest, Issue
from dataflow.formats.rows import ABSENT, Block, Malformed
from dataflow.ids import IdRange

pytestmark = pytest.mark.unit

quick = settings(max_examples=300, deadline=None, derandomize=True, database=None)
SCHEMA = ContactSchema()

# 64 + 1 + 189 octets, each part as long as it may be.
LONGEST_EMAIL = f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 57}.com"


def problems(name: object = "Ada", email: object = "ada@example.org") -> list[tuple[tuple[str | int, ...], str]]:
    """What is wrong with one row, the second of its file."""
    verdict = judge(Block(1, [name], [email]))
    assert verdict.rejected_rows == (1 if verdict.issues else 0)
    assert list(zip(verdict.names, verdict.emails, strict=True)) == ([] if verdict.issues else [(name, email)])
    return [(issue.path, issue.message) for issue in verdict.issues]


# The rule


@pytest.mark.parametrize(
    "name",
    [
        "A",
        "Ada Lovelace",
        " padded ",
        "tab\tnew\nline",
        'quo"te\\',
        "名前",
        "\U0001f600" * 255,
        "x" * 255,
        "\x01\x7f",
        "\u200b",
        "\ufeff",
    ],
)
def test_a_name_of_1_to_255_characters_is_valid(name: str):
    assert SCHEMA.validate({"name": name, "email": "ada@example.org"}) == {}
    assert problems(name=name) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (ABSENT, "Required"),
        (None, "Expected a string"),
        (5, "Expected a string"),
        (1.5, "Expected a string"),
        (True, "Expected a string"),
        (dict, "Expected a string"),
        (list, "Expected a string"),
        ({"a": 1}, "Expected a string"),
        ("", "Must not be empty"),
        (" \t\n\u3000\xa0", "Must not be empty"),
        ("x" * 256, "Must contain at most 255 characters, has 256"),
        ("\U0001f600" * 300, "Must contain at most 255 characters, has 300"),
        ("a\0b", "Contains a NUL character, which cannot be stored"),
        ("\ud83d", "Contains half of a surrogate pair, which is not a character"),
        ("a\udc00b", "Contains half of a surrogate pair, which is not a character"),
    ],
)
def test_any_other_name_is_told_what_is_wrong(name: object, message: str):
    assert problems(name=name) == [(("data", 1, "name"), message)]


@pytest.mark.parametrize(
    "email",
    [
        "ada@example.org",
        "ADA.Lovelace+tag_1-x@Sub-domain.Example.ORG",
        "a@b.co",
        "1@2.com",
        "o'hara@example.org",
        "a!#$%&'*+/=?^_`{|}~b@example.org",
        '"quoted local"@example.org',
        '"back\\\\slash"@example.org',
        "é@exämple.de",
        "用户@例子.公司",
        "ada@xn--exmple-cua.de",
        "ada@example.test",
        "ada@printer.local",
        "ada@host.invalid",
        LONGEST_EMAIL,
    ],
)
def test_a_real_address_is_valid(email: str):
    assert SCHEMA.validate({"name": "Ada", "email": email}) == {}
    assert problems(email=email) == []


@pytest.mark.parametrize(
    "email",
    [
        "",
        " ",
        "ada",
        "@example.org",
        "ada@",
        "ada@localhost",
        "ada@@example.org",
        "ada@example..org",
        ".ada@example.org",
        "ada.@example.org",
        "a..b@example.org",
        "ada@-example.org",
        "ada@example-.org",
        "ada@example.org.",
        "ada@.example.org",
        "ada@exa_mple.org",
        "ada@[127.0.0.1]",
        "ada@127.0.0.1",
        "a da@example.org",
        " ada@example.org",
        "ada@example.org ",
        "ada@example.org\n",
        "Ada <ada@example.org>",
        "ada@example.org,bob@example.org",
        "ada@ex\tample.org",
        f"ada@{'b' * 64}.org",
        "a" + LONGEST_EMAIL,
        LONGEST_EMAIL + "m",
    ],
)
def test_what_is_no_address_is_an_invalid_email_format(email: str):
    [(path, message)] = problems(email=email)
    assert path == ("data", 1, "email")
    assert message.startswith("Invalid email format: ")
    assert len(message) < 300


@pytest.mark.parametrize(
    ("email", "message"),
    [
        (ABSENT, "Required"),
        (None, "Expected a string"),
        (5, "Expected a string"),
        (list, "Expected a string"),
        ("a\0@example.org", "Contains a NUL character, which cannot be stored"),
        ("a\ud83d@example.org", "Contains half of a surrogate pair, which is not a character"),
    ],
)
def test_an_email_that_is_no_storable_text_is_told_so(email: object, message: str):
    assert problems(email=email) == [(("data", 1, "email"), message)]


def test_the_limit_of_an_address_is_in_octets():
    address = f"{'a' * 60}@{'é' * 40}.{'é' * 40}.{'d' * 40}.com"
    assert len(address) < 254 < len(address.encode())
    assert problems(email=address) == [(("data", 1, "email"), "Invalid email format: longer than 254 octets")]
    assert len(LONGEST_EMAIL.encode()) == 254


def test_both_members_of_a_row_are_reported():
    assert problems(name=ABSENT, email=None) == [
        (("data", 1, "name"), "Required"),
        (("data", 1, "email"), "Expected a string"),
    ]


def test_members_without_a_meaning_are_ignored():
    assert SCHEMA.validate({"name": "Ada", "email": "ada@example.org", "phone": 5, "x": {"name": 1}}) == {}


# The verdict on a block


def test_a_verdict_keeps_the_good_rows_in_order_and_numbers_the_bad_ones():
    broken = Malformed("Invalid JSON: expected an object")
    names: list[object] = ["A", "", "C", broken, "E", 5]
    emails: list[object] = ["a@x.org", "b@x.org", "c@x.org", broken, "é@exämple.de", "no"]
    verdict = judge(Block(1_000, names, emails))
    assert (verdict.names, verdict.emails) == (["A", "C", "E"], ["a@x.org", "c@x.org", "é@exämple.de"])
    assert verdict.rejected_rows == 3
    assert verdict.issues[:2] == [
        Issue(("data", 1_001, "name"), "Must not be empty"),
        Issue(("data", 1_003), "Invalid JSON: expected an object"),
    ]
    assert [issue.path for issue in verdict.issues[2:]] == [("data", 1_005, "name"), ("data", 1_005, "email")]


def test_a_block_of_good_rows_is_handed_on_whole():
    block = Block(0, ("A", "B"), ("a@x.org", "b@x.org"))
    verdict = judge(block)
    assert verdict.names is block.names
    assert verdict.emails is block.emails
    assert (verdict.rejected_rows, verdict.issues) == (0, [])


def test_a_block_without_rows_has_no_good_and_no_bad_ones():
    verdict = judge(Block(0, [], []))
    assert (list(verdict.names), list(verdict.emails), verdict.rejected_rows, verdict.issues) == ([], [], 0, [])


anything = st.one_of(
    st.text(max_size=5),
    st.sampled_from(["Ada", "ada@example.org", "é@exämple.de", "\0", "\ud800", " "]),
    st.sampled_from([ABSENT, None, 5, 1.5, False, dict, list]),
)


@quick
@given(st.lists(st.tuples(anything, anything), max_size=8), st.integers(0, 10**9))
def test_every_row_is_either_good_or_has_an_issue_of_its_own(rows: list[tuple[object, object]], first_record: int):
    verdict = judge(Block(first_record, [name for name, _ in rows], [email for _, email in rows]))
    good = [
        row
        for row in rows
        if not SCHEMA.validate({k: v for k, v in zip(("name", "email"), row, strict=True) if v is not ABSENT})
    ]
    assert list(zip(verdict.names, verdict.emails, strict=True)) == good
    assert verdict.rejected_rows == len(rows) - len(good)
    rejected = {issue.path[1] for issue in verdict.issues}
    assert rejected == {first_record + number for number, row in enumerate(rows) if row not in good}


# The fast check

PLAIN = [
    "a@b.co",
    "Ada.Lovelace@example.org",
    "x_y+z-1@mail.sub-domain.example.museum",
    "1@2.com",
    "A-@B.CO",
    f"{'a' * 59}@b.co",
]


def test_ordinary_rows_need_no_schema():
    assert are_surely_valid(["Ada", "José", "名前 \U0001f600", "tab\tnew\nline", "x" * 255, "\\"], PLAIN)


@pytest.mark.parametrize("name", [None, 5, "", " ", "x" * 256, "\0", "\ud800", ABSENT, ["Ada"], b"Ada"])
def test_a_single_bad_name_among_many_is_left_to_the_schema(name: object):
    assert not are_surely_valid(["Ada"] * 50 + [name] + ["Bob"] * 50, ["a@b.co"] * 101)


@pytest.mark.parametrize(
    "email", [None, 5, "", "a@b", "a@b.c", "é@b.co", '"a"@b.co', "a@b--c.co", "a@b.co\n", ABSENT, b"a@b.co"]
)
def test_a_single_unusual_address_among_many_is_left_to_the_schema(email: object):
    assert not are_surely_valid(["Ada"] * 101, ["a@b.co"] * 50 + [email] + ["b@b.co"] * 50)


crumbs = st.sampled_from(
    [
        *"aZ90_+-.@é'\"\\ \n\r\t\0",
        *("--", "..", "com", "xn--", "localhost", "a" * 30, "b" * 60),
        # Letters that lower to ASCII, a digit of another script, full-width punctuation, marks, half a pair.
        *"\u017f\u212a\u0130\u0663\uff0e\uff20\u0301\u200d\ud800",
    ]
)


@st.composite
def edge_addresses(draw: st.DrawFn) -> str:
    """An address as the grammar has it, more often than not with something that breaks a rule."""
    label = st.text("aZ09-", min_size=1, max_size=8)
    local = ".".join(draw(st.lists(st.text("aZ09_+-", min_size=1, max_size=8), min_size=1, max_size=3)))
    domain = ".".join(draw(st.lists(label, min_size=1, max_size=3)))
    tops = ["co", "org", "museum", "test", "local", "arpa", "invalid", "c", "123", "c0m", "xn--p1ai"]
    address = f"{local}@{domain}.{draw(st.sampled_from(tops))}"
    for crumb in draw(st.lists(crumbs, max_size=2)):
        at = draw(st.integers(0, len(address)))
        address = address[:at] + crumb + address[at:]
    return address


@settings(quick, max_examples=1_500)
@given(st.one_of(edge_addresses(), edge_addresses(), st.lists(crumbs, max_size=12).map("".join)))
@example("a@b.test")
@example(f"{'a' * 61}@b.co")
@example("a@" + "b" * 62)
@example("a@" + "b." * 30 + "co")
@example("a@b.co\n")
def test_what_the_fast_check_accepts_as_address_the_schema_accepts(address: str):
    found = SCHEMA.validate({"name": "Ada", "email": address})
    if are_surely_valid(("Ada",), (address,)):
        assert found == {}
    assert all(text.startswith(("Invalid email format", "Contains ")) for text in found.get("email", []))


any_character = st.characters(exclude_categories=())


@settings(quick, max_examples=600)
@given(
    st.lists(
        st.one_of(st.text(any_character), st.text(st.sampled_from(" \t\n\0\ud83d\udc00a\xa0\u3000"), max_size=4)),
        min_size=1,
    )
)
@example(["\x1c\x1d\x1e\x1f\x85"])
@example(["\u180e", "\u200b", "\ufeff"])
@example(["a" * 256])
def test_what_the_fast_check_accepts_as_names_the_schema_accepts(names: list[str]):
    if are_surely_valid(names, ["a@b.co"] * len(names)):
        for name in names:
            assert SCHEMA.validate({"name": name, "email": "a@b.co"}) == {}


@pytest.mark.parametrize(
    "address", ["a" * 100_000, "a." * 50_000 + "@", "a@" + "b-" * 50_000, "a@" + "b." * 50_000, "@" * 100_000]
)
def test_no_address_makes_the_check_slow(address: str):
    """Without possessive matching these take time that grows with the square of their length, or worse."""
    began = time.process_time()
    assert not are_surely_valid(("Ada",), (address,))
    assert contacts._PLAIN_EMAIL(address) is None
    assert problems(email=address)
    assert time.process_time() - began < 1


# The source


@pytest.mark.parametrize("source", ["crm", " crm ", "x" * 100, "\U0001f600" * 100, "tab\t\\"])
def test_a_source_of_1_to_100_characters_is_valid(source: str):
    assert source_issues(source) == []
    assert check_source(source) == source


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
def test_any_other_source_is_refused(source: object, message: str):
    assert source_issues(source) == [Issue(("source",), message)]
    with pytest.raises(InvalidRequest, match=re.escape(f"Invalid source: {message}.")) as caught:
        check_source(source)
    assert caught.value.issues == (Issue(("source",), message),)


def test_halves_of_a_pair_and_nul_are_what_cannot_be_stored():
    for text in ("a\0", "\ud800", "\udfff"):
        with pytest.raises(ValidationError):
            contacts.check_storable(text)
    contacts.check_storable("".join(map(chr, [*range(1, 0xD800), *range(0xE000, 0x110000)])))


# COPY


def unescape(text: str) -> str:
    """The value of a column in COPY's text format, as PostgreSQL's manual describes it."""
    letters = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

    def one(match: re.Match[str]) -> str:
        octal, hexadecimal, letter = match.groups()
        if octal:
            return chr(int(octal, 8))
        if hexadecimal:
            return chr(int(hexadecimal, 16))
        return letters.get(letter, letter)

    return re.sub(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))", one, text, flags=re.DOTALL)


def copied(lines: bytes) -> list[list[str]]:
    """The rows that COPY reads: a tab or newline without a backslash before it ends a column."""
    assert b"\r" not in lines
    rows: list[list[str]] = [[]]
    for value, end in re.findall(r"((?:[^\\\t\n]|\\.)*)([\t\n])", lines.decode(), re.DOTALL):
        assert value not in (r"\N", r"\.")
        rows[-1].append(unescape(value))
        if end == "\n":
            rows.append([])
    assert rows.pop() == []
    return rows


storable = st.text(
    st.one_of(
        st.sampled_from("\t\n\r\\\b\f\vnNtrx01.é\U0001f600\u2028\x85"),
        st.characters(exclude_categories=("Cs",), exclude_characters="\0"),
    ),
    max_size=12,
)


@quick
@given(st.lists(st.tuples(storable, storable), min_size=1, max_size=20), storable)
@example([("back\\slash", "\\")], "\\")
@example([("\\N", "\\."), ("\\", "\\\\"), ("\\t", "\t"), ("\r\n", "\n\r")], "\\N")
def test_what_copy_reads_is_what_was_given(rows: list[tuple[str, str]], source: str):
    made = IdRange()
    found = copied(copy_lines([name for name, _ in rows], [email for _, email in rows], escape(source), made))
    assert [tuple(row[1:]) for row in found] == [(name, email, source) for name, email in rows]
    identifiers = [UUID(row[0]) for row in found]
    assert identifiers == sorted(set(identifiers))
    assert (made.first, made.last) == (identifiers[0], identifiers[-1])


@quick
@given(storable)
def test_escaping_is_undone_by_copy_and_leaves_no_bare_separator(text: str):
    assert unescape(escape(text)) == text
    assert not re.search(r"[\t\n\r]", escape(text))


def test_a_text_that_looks_like_null_or_the_end_of_the_data_stays_text():
    assert escape("\\N") == "\\\\N"
    assert escape("\\.") == "\\\\."
