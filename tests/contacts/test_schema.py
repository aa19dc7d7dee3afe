"""What a contact is, and what COPY gets to read."""

import re
from uuid import UUID

import email_validator
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from dataflow.contacts import schema
from dataflow.contacts.copy_text import copy_lines, escape
from dataflow.contacts.schema import ContactSchema
from dataflow.formats.block import ABSENT
from dataflow.ids import IdRange

pytestmark = pytest.mark.unit

quick = settings(max_examples=300, deadline=None, derandomize=True, database=None)
SCHEMA = ContactSchema()

# 64 + 1 + 189 octets, each part as long as it may be.
LONGEST_EMAIL = f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 57}.com"


def faults(name: object = "Ada", email: object = "ada@example.org") -> dict[str, list[str]]:
    """What the rule says about one contact."""
    members = {"name": name, "email": email}
    return SCHEMA.validate({key: value for key, value in members.items() if value is not ABSENT})


def code(name: object = "Ada", email: object = "ada@example.org") -> str | None:
    """The code of the one fault, if the rule gives it one."""
    [[fault]] = faults(name, email).values()
    return getattr(fault, "code", None)


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
def test_a_name_of_1_to_255_characters_is_valid(name: str) -> None:
    assert faults(name=name) == {}


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
        ("a\udbff", "Contains half of a surrogate pair, which is not a character"),
        ("a\udd00b", "Contains half of a surrogate pair, which is not a character"),
        ("Andr\udce9", "Contains the byte 0xe9, which is not a character"),
        ("\udc80\ud800", "Contains the byte 0x80, which is not a character"),
    ],
)
def test_any_other_name_is_told_what_is_wrong(name: object, message: str) -> None:
    assert faults(name=name) == {"name": [message]}


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
def test_a_real_address_is_valid(email: str) -> None:
    assert faults(email=email) == {}


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
def test_what_is_no_address_is_an_invalid_email_format(email: str) -> None:
    found = faults(email=email)
    assert list(found) == ["email"]
    [message] = found["email"]
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
        ("andr\udce9@example.org", "Contains the byte 0xe9, which is not a character"),
    ],
)
def test_an_email_that_is_no_storable_text_is_told_so(email: object, message: str) -> None:
    assert faults(email=email) == {"email": [message]}


@settings(quick)
@given(st.text("a@\"\\=.'<> ()", max_size=12).filter(lambda text: "@" in text))
@example('="ann@example.org')
@example('\\"ann@example.org\\"')
@example('=HYPERLINK("mailto:ann@example.org")')
def test_what_has_an_at_sign_is_never_told_that_it_lacks_one(email: str) -> None:
    assert "must have an @" not in str(faults(email=email))


def test_the_limit_of_an_address_is_in_octets() -> None:
    address = f"{'a' * 60}@{'é' * 40}.{'é' * 40}.{'d' * 40}.com"
    assert len(address) < 254 < len(address.encode())
    assert faults(email=address) == {"email": ["Invalid email format: longer than 254 octets"]}
    assert len(LONGEST_EMAIL.encode()) == 254


def test_a_fault_says_its_code_when_it_does_not_follow_from_the_type_of_the_value() -> None:
    assert code(name="x" * 256) == code(email="a" + LONGEST_EMAIL) == "too_long"
    assert code(name="a\0") == code(email="a\0@example.org") == "bad_character"
    assert code(name="\udce9") == code(email="\ud800@example.org") == "bad_encoding"
    assert code(email="nobody") == "invalid_email"
    assert code(name=" ") is code(name=None) is code(name=5) is code(name=ABSENT) is code(email=5) is None


def test_both_members_of_a_row_are_reported() -> None:
    assert faults(name=ABSENT, email=None) == {"name": ["Required"], "email": ["Expected a string"]}


def test_members_without_a_meaning_are_ignored() -> None:
    assert SCHEMA.validate({"name": "Ada", "email": "ada@example.org", "phone": 5, "x": {"name": 1}}) == {}


def test_halves_of_a_pair_nul_and_the_mark_of_what_was_no_text_are_what_cannot_be_stored() -> None:
    for text in ("a\0", "\ud800", "\udfff", "a\ufdd0"):
        with pytest.raises(ValidationError):
            schema.check_storable(text)
    all_others = [*range(1, 0xD800), *range(0xE000, 0xFDD0), *range(0xFDD1, 0x110000)]
    schema.check_storable("".join(map(chr, all_others)))


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
def test_what_copy_reads_is_what_was_given(rows: list[tuple[str, str]], source: str) -> None:
    made = IdRange()
    found = copied(copy_lines([name for name, _ in rows], [email for _, email in rows], escape(source), made))
    assert [tuple(row[1:]) for row in found] == [(name, email, source) for name, email in rows]
    identifiers = [UUID(row[0]) for row in found]
    assert identifiers == sorted(set(identifiers))
    assert (made.first, made.last) == (identifiers[0], identifiers[-1])


def test_without_a_source_the_lines_have_three_columns() -> None:
    names, emails = ["Ada", "tab\t"], ["ada@example.org", "b@example.org"]
    assert [row[1:] for row in copied(copy_lines(names, emails, None, IdRange()))] == [
        ["Ada", "ada@example.org"],
        ["tab\t", "b@example.org"],
    ]


@quick
@given(storable)
def test_escaping_is_undone_by_copy_and_leaves_no_bare_separator(text: str) -> None:
    assert unescape(escape(text)) == text
    assert not re.search(r"[\t\n\r]", escape(text))


def test_a_text_that_looks_like_null_or_the_end_of_the_data_stays_text() -> None:
    assert escape("\\N") == "\\\\N"
    assert escape("\\.") == "\\\\."


@settings(quick, max_examples=100)  # to draw from the expression takes a hundred times as long as to judge
@example("ann@example.org..")
@example("ann@localhost")
@example("a" * 61 + "@b")
@given(st.from_regex(schema._WITHOUT_END.__self__, fullmatch=True))
def test_what_is_wrong_most_often_is_told_in_the_librarys_words(address: str) -> None:
    told = schema._usual_fault(address)
    with pytest.raises(email_validator.EmailNotValidError) as caught:
        email_validator.validate_email(address, check_deliverability=False, allow_quoted_local=True, strict=True)
    assert told in (str(caught.value), None)
    assert told or len(address) > schema.MAX_PLAIN_CHARACTERS
