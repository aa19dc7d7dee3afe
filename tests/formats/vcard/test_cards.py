"""vCard: what phones and address books write, and what one bad card does (one bad row), and does not."""

import base64
import encodings
import tracemalloc

import pytest

from dataflow.errors import MissingColumns, RowTooLarge
from dataflow.formats.block import ABSENT, BAD_ENCODING, BLOCK_ROWS, MALFORMED_ROW, Block, Malformed
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.vcard import card_lines, card_rows, cards
from tests.support import effort

pytestmark = pytest.mark.unit

LIMIT = 64 * 1024
APPLE = """BEGIN:VCARD
VERSION:3.0
PRODID:-//Apple Inc.//macOS 14.4//EN
N:Lovelace;Ada;Augusta;;
FN:Ada Lovelace
ORG:Analytical Engines;
EMAIL;type=INTERNET;type=HOME:old@example.org
item1.EMAIL;type=INTERNET;type=pref:ada@example.org
item1.X-ABLabel:_$!<Other>!$_
END:VCARD
"""
ANDROID = """BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C3=96=73;=4A=6F=
=72=67;;;
FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=4A=6F=
=72=67=20=
=C3=96=73
EMAIL;HOME:jorg@example.org
PHOTO;ENCODING=BASE64;JPEG:/9j/4AAQSkZJRgABAQAAAQABAAD/
 2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwg

END:VCARD
"""
UNENDED = (Malformed(cards.Card.problem),) * 2
STRAY = (Malformed(cards.Stray.problem),) * 2
ADA, JORG = ("Ada Lovelace", "ada@example.org"), ("Jorg Ös", "jorg@example.org")


def read(*pieces: bytes, reading: Reading | None = None) -> tuple[list[Block], Findings]:
    findings = Findings()
    return list(card_rows.read_blocks(pieces, reading or Reading(LIMIT), findings)), findings


def rows(*pieces: bytes, reading: Reading | None = None) -> list[tuple[object, object]]:
    found: list[tuple[object, object]] = []
    for block in read(*pieces, reading=reading)[0]:
        assert block.first_record == len(found)
        found += zip(block.names, block.emails, strict=True)
    return found


def card(*lines: str, version: str = "3.0") -> bytes:
    return "\n".join(["BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD", ""]).encode("utf-8", "surrogateescape")


def one(*lines: str, version: str = "3.0", reading: Reading | None = None) -> tuple[object, object]:
    [row] = rows(card(*lines, version=version), reading=reading)
    return row


def problem(*lines: str) -> Malformed:
    """Why the card is refused, between two that are not."""
    first, (name, email), last = rows(card("FN:A") + card(*lines) + card("FN:B"))
    assert (first, last) == (("A", ABSENT), ("B", ABSENT))
    assert isinstance(name, Malformed)
    assert name is email
    return name


def encoded(text: str, charset: str) -> str:
    return base64.b64encode(text.encode(charset)).decode()


# Cards


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_cards_are_rows_however_their_lines_end_and_the_bytes_are_cut(newline: str) -> None:
    content = (APPLE + ANDROID).replace("\n", newline).encode()
    assert rows(content) == [ADA, JORG]
    assert rows(*(content[at : at + 1] for at in range(len(content)))) == [ADA, JORG]
    for cut in range(0, len(content), 7):
        assert rows(content[:cut], content[cut:]) == [ADA, JORG]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_may_be_in_any_unicode_encoding_with_a_mark(encoding: str) -> None:
    text = APPLE.replace("Ada", "Zoë")
    content = text.encode(encoding) if encoding[-1] != "e" else f"\ufeff{text}".encode(encoding)
    assert rows(content) == [("Zoë Lovelace", "ada@example.org")]


def test_text_between_cards_is_one_bad_row_wherever_it_comes_from() -> None:
    content = (
        b"Exported by Phone\n\n" + APPLE.encode() + b"\n\n  -- \nEND:VCARD\nFN:Nobody\n\xef\xbb\xbf" + ANDROID.encode()
    )
    assert rows(content) == [STRAY, ADA, STRAY, JORG]
    [block], _ = read(content)
    assert [(block.origin.line(at), block.origin.row(at)) for at in (0, 2)] == [
        (1, "Exported by Phone"),
        (15, "  -- \nEND:VCARD\nFN:Nobody"),
    ]
    assert rows(b"Exported", content, reading=Reading(LIMIT, is_beginning=True)) == [STRAY, ADA, STRAY, JORG]
    assert rows(APPLE.encode() + b"so", reading=Reading(LIMIT, is_beginning=True)) == [ADA]


def test_much_text_outside_of_cards_takes_little_memory() -> None:
    rubbish = (b"x" * 50 + b"\n") * 1000
    tracemalloc.start()
    try:
        [(_, text)] = [(row, str(block.origin.row(0))) for block in read(*[rubbish] * 200)[0] for row in block.names]
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert 4096 < len(text) < LIMIT


def test_upper_and_lower_case_are_the_same() -> None:
    content = (
        b"begin:vcard\nversion:2.1\nfn;encoding=quoted-printable;charset=utf-8:Zo=C3=AB\nemail:z@x.org\nend:vcard\n"
    )
    assert rows(content) == [("Zoë", "z@x.org")]


@pytest.mark.parametrize("begin", ["# contacts of 2024\nBEGIN:VCARD", "BEGIN: VCARD ", "begin:\tvcard"])
def test_a_file_may_begin_with_a_comment_or_have_a_blank_in_begin(begin: str) -> None:
    found = rows(APPLE.replace("BEGIN:VCARD", begin).encode() * 2)
    assert found == ([STRAY, ADA] * 2 if begin.startswith("#") else [ADA, ADA])


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf \n", b"\r\n\x1a"])
def test_a_file_without_cards_has_no_rows(content: bytes) -> None:
    assert rows(content) == []


def test_a_card_without_end_is_one_bad_row() -> None:
    cut = APPLE.removesuffix("END:VCARD\n").encode()
    expected = Malformed("Invalid vCard: END:VCARD is missing", MALFORMED_ROW)
    assert rows(cut + ANDROID.encode()) == [(expected, expected), JORG]
    assert rows(ANDROID.encode() + cut) == [JORG, (expected, expected)]


def test_the_cut_card_at_the_end_of_a_beginning_is_left_out() -> None:
    content = (ANDROID + APPLE).encode()
    for cut in range(len(ANDROID.encode()), len(content) - len("\n")):
        assert rows(content[:cut], reading=Reading(LIMIT, is_beginning=True)) == [JORG]
    assert rows(content, reading=Reading(LIMIT, is_beginning=True)) == [JORG, ADA]


def test_a_card_inside_of_a_card_is_nobody() -> None:
    """vCard 2.1 has the assistant's card inside of the boss's."""
    inner = card("FN:Sue", "EMAIL;PREF:sue@x.org", version="2.1").decode().strip()
    outer = card("FN:Boss", "AGENT:", inner, "EMAIL:boss@x.org", version="2.1")
    assert rows(outer + APPLE.encode()) == [("Boss", "boss@x.org"), ADA]


@pytest.mark.parametrize(
    "damaged",
    [
        ("FN:Boss", "EMAIL:boss@x.org", "AGENT:", "BEGIN:VCARD", "FN:In", "END:VCARD"),
        ("FN:Boss", "AGENT:", "BEGIN:VCARD", "FN:In", "EMAIL:boss@x.org"),
        ("FN:Boss", "AGENT:", "BEGIN:VCARD", "FN:In", "EMAIL:boss@x.org", "END:VCARD"),
        ("AGENT:", "BEGIN:VCARD", "AGENT:", "BEGIN:VCARD", "END:VCARD"),
        ("FN:Boss", "AGENT:"),
    ],
)
def test_a_damaged_card_with_an_assistant_does_not_take_the_cards_that_follow(damaged: tuple[str, ...]) -> None:
    cut = card(*damaged, version="2.1").removesuffix(b"END:VCARD\n")
    # Nobody can tell the card after an AGENT where a file was cut from that of the assistant.
    assistant = card("FN:In") if damaged[-1] == "AGENT:" else b""
    assert rows(ANDROID.encode() + cut + assistant + APPLE.encode() * 5) == [JORG, UNENDED, *[ADA] * 5]


def test_an_assistant_may_have_an_assistant() -> None:
    innermost = card("FN:Ida", version="2.1").decode().strip()
    inner = card("FN:Sue", "AGENT:", innermost, "EMAIL:sue@x.org", version="2.1").decode().strip()
    outer = card("FN:Boss", "AGENT:", inner, "EMAIL:boss@x.org", version="2.1")
    assert rows(outer + APPLE.encode()) == [("Boss", "boss@x.org"), ADA]


def test_findings_tell_the_encoding_and_the_version_of_the_first_card() -> None:
    _, findings = read(ANDROID.encode(), APPLE.encode())
    assert findings.facts == {"encoding": "utf-8", "hasByteOrderMark": False, "version": "2.1"}


def test_an_origin_tells_the_line_and_the_card() -> None:
    content = "\n" + APPLE + "\n" + APPLE.replace("FN:Ada Lovelace", "PHOTO:x\n yz\nFN:Bob")
    [block], _ = read(content.replace("\n", "\r\n").encode())
    assert [block.origin.line(index) for index in (0, 1)] == [2, 13]
    assert block.origin.row(0) == APPLE.strip()
    assert block.origin.row(1) == APPLE.replace("Ada Lovelace", "Bob").strip()


def test_many_cards_come_in_blocks_whose_records_go_on() -> None:
    many = b"".join(card(f"FN:{number}", f"EMAIL:{number}@x.org") for number in range(BLOCK_ROWS + 1))
    assert rows(many) == [(str(number), f"{number}@x.org") for number in range(BLOCK_ROWS + 1)]
    assert len(read(many)[0]) == 2


# Lines that go on


@pytest.mark.parametrize(
    "lines",
    [
        ("NOTE;ENCODING=QUOTED-PRINTABLE:call=", "{}"),
        ("NOTE;QUOTED-PRINTABLE:call=", "{}"),
        ("note;charset=utf-8;encoding=quoted-printable:call=", "{}"),
        ("item1.X-NOTE;Quoted-Printable;X=y:call=", "{}"),
        ("NOTE;QUOTED-PRINTABLE:=", "a=", "=", "{}=", "{}"),
        ("NOTE;QUOTED-PRINTABLE:call=", " {}"),
        ("NOTE;QUOTED-PRINTABLE:folded", " line=", "{}=", "\t{}"),
        ("NOTE;ENCODING=", " QUOTED-PRINT", "\tABLE:call=", "{}"),
        ("NOTE;QUOTED-PRINTABLE:see=", "PHOTO:x=", "{}"),
        ("SOUND;QUOTED-PRINTABLE:=41=", "{}"),
    ],
)
def test_what_follows_a_soft_line_break_is_no_property(lines: tuple[str, ...]) -> None:
    for wrong in ("EMAIL:wrong@x.org", "FN:Wrong", "N:Wrong", "EMAIL;TYPE=pref:wrong@x.org", 'ORG;A=b"c:'):
        broken = [line.format(wrong) for line in lines]
        assert one(*broken, "N:Lee;Ann", "EMAIL:a@x.org", version="2.1") == ("Ann Lee", "a@x.org")


@pytest.mark.parametrize(
    "lines",
    [
        ("NOTE:1+1=",),
        ("NOTE:QUOTED-PRINTABLE: no=",),
        ("NOTE;ENCODING=b:eA==",),
        ("PHOTO;ENCODING=b:eA", " eA=="),
        ("NOTE;QUOTED-PRINTABLE:call=", ""),
        ("NOTE;QUOTED-PRINTABLE:a==3D", "X-NOTE:b="),
        ("NOTE;QUOTED-PRINTABLE:see=", "PHOTO:x"),
        ("FN;QUOTED-PRINTABLE:=", "", "X-FN:1="),
        ('NOTE;X="' + "x" * 5000 + ";QUOTED-PRINTABLE:=",),
    ],
)
def test_without_a_soft_line_break_the_next_line_is_a_property(lines: tuple[str, ...]) -> None:
    assert one(*lines, "EMAIL:a@x.org", version="2.1")[1] == "a@x.org"


def test_a_fold_after_a_sum_is_no_soft_break_because_another_property_has_some() -> None:
    assert one("FN:1+1=", " 2", "NOTE;QUOTED-PRINTABLE:x=", "y") == ("1+1=2", ABSENT)


@pytest.mark.parametrize("line", ["NOTE;QUOTED-PRINTABLE:cut off=", "EMAIL;QUOTED-PRINTABLE:a=40x.org="])
def test_a_soft_line_break_before_the_end_of_a_card_leaves_the_cards_apart(line: str) -> None:
    content = card("FN:Ann", "EMAIL:a@x.org", line, version="2.1")
    assert rows(content + APPLE.encode()) == [("Ann", "a@x.org"), ADA]
    [(name, email), ada] = rows(content.removesuffix(b"END:VCARD\n") + APPLE.encode())
    assert (name, email, ada) == (*UNENDED, ADA)


def test_a_card_in_a_note_is_nobody() -> None:
    note = "=0D=0A=\n".join(["NOTE;QUOTED-PRINTABLE:", "BEGIN:VCARD", "FN:Eve", "EMAIL:e@x.org", "END:VCARD", "bye"])
    assert rows(card("FN:Ann", note, "EMAIL:a@x.org") + APPLE.encode()) == [("Ann", "a@x.org"), ADA]


@pytest.mark.parametrize("lines", [("NOTE;QUOTED-PRINTABLE:=", "AGENT:"), ("AGENT:", " Sue")])
def test_only_an_assistant_without_a_value_makes_the_next_card_an_inner_one(lines: tuple[str, ...]) -> None:
    content = card("FN:Ann", *lines).removesuffix(b"END:VCARD\n") + APPLE.encode()
    assert rows(content) == [UNENDED, ADA]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    ("name", "encoding", "wish"),
    [
        ("Ann-Sofie Lindström", "utf-8", None),
        ("Łukasz Żółć 山田太郎 😀", "utf-8", None),
        ("山田ソ十表 ｱｲ", "cp932", "cp932"),
        ("王小明 㐀𠀀", "gb18030", "gb18030"),
        ("許功蓋", "big5", "big5"),
        ("Jörg Øü", "cp1252", "cp1252"),
    ],
)
def test_lines_may_be_folded_within_a_character(name: str, encoding: str, wish: str | None, newline: bytes) -> None:
    encoded, reading = name.encode(encoding), Reading(LIMIT, encoding=wish)
    begin, end = b"BEGIN:VCARD" + newline + b"FN:", newline + b"EMAIL:a@x.org" + newline + b"END:VCARD" + newline
    for at in range(1, len(encoded) + 1):
        folded = begin + encoded[:at] + newline + b" " + encoded[at:] + end
        [block], findings = read(folded, folded, reading=reading)
        assert (block.names, block.emails) == ([name, name], ["a@x.org", "a@x.org"])
        assert [block.origin.line(0), block.origin.line(1)] == [1, 6]
        assert findings.facts["encoding"] == encoding
    bytewise = begin + (newline + b"\t").join(encoded[at : at + 1] for at in range(len(encoded))) + end
    for size in (1, 2, 3, 5, len(bytewise)):
        [block], _ = read(*(bytewise[at : at + size] for at in range(0, len(bytewise), size)), folded, reading=reading)
        assert block.names == [name, name]
        assert block.origin.line(1) == 4 + len(encoded)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_has_bytes_that_only_look_like_a_fold(encoding: str) -> None:
    name = "Ann \u8041\u200aA\u4180\u0a20\u4141"
    text = f"BEGIN:VCARD\nFN:{name}\nEND:VCARD\n"
    assert rows(f"\ufeff{text}".encode(encoding)) == [(name, ABSENT)]
    assert rows(text.encode(encoding), reading=Reading(LIMIT, encoding=encoding)) == [(name, ABSENT)]


def test_a_word_that_never_ends_is_neither_kept_nor_searched_twice() -> None:
    pieces = [b"\xc3\n \xa9" * (16 * 1024)] * 10
    missing_bytes = 0
    with effort.at_most():
        for piece, found in zip(pieces, card_lines.with_whole_characters(pieces), strict=False):
            missing_bytes += len(piece) - len(found)
            assert missing_bytes <= 64 * 1024


# Names


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (["FN:Lovelace, Ada", "N:x;y"], "Lovelace, Ada"),
        ([r"FN:Acme\, Inc.\; Ltd\\x"], "Acme, Inc.; Ltd\\x"),
        (["FN:Ada", " Love", "\tlace"], "AdaLovelace"),
        (["FN: ", "N:Lovelace;Ada;King;Countess;"], "Ada Lovelace"),
        (["N:Lovelace;;;;"], "Lovelace"),
        (["N:;Ada"], "Ada"),
        ([r"N:Love\;lace;Ada"], "Ada Love;lace"),
        (['FN;LANGUAGE=en;X="a:b;c,d":Ada'], "Ada"),
        (["FN:", "N:;;;;", "ORG:Analytical Engines;Sales"], "Analytical Engines"),
        (["ORG:Acme"], "Acme"),
        (["FN:", "N:;;;;"], ""),
        (["TEL:1"], ABSENT),
        (["item2.FN:Ada"], "Ada"),
        (["FN:Ada", "NOTE:a", "FN2:Bob", "X-FN:Eve"], "Ada"),
    ],
)
def test_the_name_is_the_formatted_one_or_made_of_what_there_is(lines: list[str], name: object) -> None:
    assert one(*lines)[0] == name


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("FN;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:Jos=E9", "José"),
        ("FN;QUOTED-PRINTABLE;CHARSET=windows-1251:=C0=E4=E0", "Ада"),
        ("FN;ENCODING=QUOTED-PRINTABLE:Zo=C3=AB", "Zoë"),
        ("FN;ENCODING=QUOTED-PRINTABLE:Ada=\n Lovelace", "AdaLovelace"),
        ("FN;ENCODING=QUOTED-PRINTABLE:a=3Db=3A=\n=\n=3B", "a=b:;"),
        ("FN;CHARSET=ISO-8859-1:Jos\udce9", "José"),
        ("FN;CHARSET=UTF-8:José", "José"),
        ("FN:1+1=", "1+1="),
        ("FN;ENCODING=B;CHARSET=UTF-8:QW5uIExlZQ==", "Ann Lee"),
        ("FN;encoding=b:Sm9zw6k=", "José"),
        ("FN;BASE64;CHARSET=ISO-8859-1:Sm9z\n  6Q==\n", "José"),
        ("N;ENCODING=BASE64:" + encoded("Lee;Ann", "utf-8"), "Ann Lee"),
        ("FN;CHARSET=CP1252;QUOTED-PRINTABLE:Jos\udce9 Pe=F1a", "José Peña"),
        ("FN;CHARSET=ANSI_X3.4-1968;X=" + "," * 999 + ":Ann", "Ann"),
    ],
)
def test_a_name_of_version_2_1_is_decoded(line: str, name: str) -> None:
    assert one(line, "EMAIL:a@x.org", version="2.1") == (name, "a@x.org")


MULLER = ["N;ENCODING=QUOTED-PRINTABLE:M=FCller;J=F6rg", "N;ENCODING=B:" + encoded("Müller;Jörg", "cp1252")]


@pytest.mark.parametrize("line", MULLER)
def test_bytes_that_name_no_encoding_are_in_the_one_that_the_sender_names(line: str) -> None:
    name, _ = one(line, "EMAIL:a@x.org")
    assert name == Malformed(f"{line!r} is no UTF-8; name the encoding with encoding=cp1252", BAD_ENCODING)
    for reading in (Reading(LIMIT, encoding="cp1252"), Reading(LIMIT, charset="cp1252")):
        assert one(line, "EMAIL:a@x.org", reading=reading) == ("Jörg Müller", "a@x.org")
        assert one("FN;CHARSET=CP850;ENCODING=B:" + encoded("Zoë", "cp850"), reading=reading) == ("Zoë", ABSENT)


def test_a_content_type_counts_only_for_bytes_that_are_no_utf_8() -> None:
    line = "FN;QUOTED-PRINTABLE:Zo=C3=AB"
    assert one(line, reading=Reading(LIMIT, charset="cp1252"))[0] == "Zoë"
    assert one(line, reading=Reading(LIMIT, encoding="cp1252"))[0] == "ZoÃ«"


@pytest.mark.parametrize("line", MULLER)
def test_no_bytes_of_a_property_are_taken_for_utf_16(line: str) -> None:
    """As if they were, an even number of them would make a name in Chinese."""
    content = card(line, "EMAIL:a@x.org").decode().encode("utf-16-le")
    [(name, _)] = rows(content, reading=Reading(LIMIT, encoding="utf-16-le", charset="utf-16"))
    assert isinstance(name, Malformed)
    [row] = rows(card("FN;QUOTED-PRINTABLE:Zo=C3=AB").decode().encode("utf-16"))
    assert row == ("Zoë", ABSENT)


def test_bytes_that_nobody_explains_are_kept_for_the_verdict() -> None:
    """One property names its encoding, so that none is guessed for the other."""
    assert rows(card("FN:Jos\udce9") + card("FN;CHARSET=CP1252:Jos\udce9")) == [("Jos\udce9", ABSENT), ("José", ABSENT)]


# E-mail


@pytest.mark.parametrize(
    ("lines", "email"),
    [
        (["EMAIL:a@x.org", "EMAIL:b@x.org"], "a@x.org"),
        (["EMAIL:a@x.org", "EMAIL;TYPE=WORK,pref:b@x.org"], "b@x.org"),
        (["EMAIL:a@x.org", "EMAIL;PREF;INTERNET:b@x.org"], "b@x.org"),
        (["EMAIL;PREF=2:a@x.org", "EMAIL;PREF=1:b@x.org", "EMAIL:c@x.org"], "b@x.org"),
        (["EMAIL;PREF=x:a@x.org", "EMAIL;PREF=" + "9" * 5000 + ":b@x.org"], "a@x.org"),
        (["EMAIL;TYPE=pref:", "EMAIL:b@x.org"], "b@x.org"),
        (["EMAIL;TYPE=home:a@x.org", 'EMAIL;TYPE="INTERNET,PREF":b@x.org'], "b@x.org"),
        (["EMAIL:a@x.org", 'EMAIL;TYPE="home, pref";TYPE=x:b@x.org'], "b@x.org"),
        (["EMAIL:a@x.org", 'EMAIL;X="a;PREF:1":b@x.org'], "a@x.org"),
        (["EMAIL;ENCODING=BASE64:YUB4Lm9yZw=="], "a@x.org"),
        (["EMAIL;INTERNET;:a@x.org", "EMAIL;PREF;;:b@x.org"], "b@x.org"),
        (["EMAIL: "], " "),
        (["EMAIL;:a@x.org"], "a@x.org"),
        (["EMAIL:mailto:a@x.org"], "mailto:a@x.org"),
        (["EMAIL:Ann <a@x.org>"], "Ann <a@x.org>"),
        (["EMAIL;ENCODING=QUOTED-PRINTABLE:a=40x.org"], "a@x.org"),
        (["EMAIL:a", " @x.org"], "a@x.org"),
        (["X-EMAIL:a@x.org", "NOTE:EMAIL:b@x.org"], ABSENT),
    ],
)
def test_the_email_is_the_preferred_one_or_the_first(lines: list[str], email: object) -> None:
    assert one("FN:Ada", *lines)[1] == email


# Mapping


@pytest.mark.parametrize("mapping", [{"name": ["email"]}, {"name": [" Email "], "email": ["EMAIL"]}])
def test_the_email_may_stand_for_the_name(mapping: dict[str, list[str]]) -> None:
    reading = Reading(LIMIT, mapping=mapping)
    assert one("FN:", "N:;;;;", "EMAIL:a@x.org", reading=reading) == ("a@x.org", "a@x.org")
    assert one("FN;QUOTED-PRINTABLE:=FF", "EMAIL:a@x.org", reading=reading) == ("a@x.org", "a@x.org")
    assert one("FN:Ann", reading=reading) == (ABSENT, ABSENT)


@pytest.mark.parametrize(
    "mapping",
    [{"email": ["email"]}, {"name": ["FN"]}, {"name": ["email", "email"]}, {"name": ["email"], "email": ["mail"]}],
)
def test_any_other_mapping_is_refused(mapping: dict[str, list[str]]) -> None:
    with pytest.raises(MissingColumns, match=r'The only mapping for them is \{"name": "email"\}'):
        rows(APPLE.encode(), reading=Reading(LIMIT, mapping=mapping))


# Bad cards


FAULTY = [
    ";ENCODING=QUOTED-PRINTABLE:M=FCller GmbH",
    ";CHARSET=X-UNKNOWN:Foo",
    ";ENCODING=B:Foo",
    ";ENCODING=B;CHARSET=UTF-8:6Q==",
    ';TYPE="x:Foo',
]


@pytest.mark.parametrize("fault", FAULTY)
def test_a_property_that_nothing_depends_on_may_be_faulty(fault: str) -> None:
    ann = ("Ann", "a@x.org")
    assert one("FN:Ann", "EMAIL:a@x.org", f"ORG{fault}", f"N{fault}", f"EMAIL{fault}", f"FN{fault}") == ann
    assert one(f"FN{fault}", f"EMAIL;PREF=1{fault}", "N:;Ann", f"EMAIL{fault}", "EMAIL:a@x.org") == ann
    assert one(f"FN{fault}", f"N{fault}", "ORG:Ann", "EMAIL:a@x.org", "EMAIL:b@x.org") == ann


@pytest.mark.parametrize("fault", FAULTY)
def test_a_card_whose_names_or_addresses_are_all_faulty_is_one_bad_row(fault: str) -> None:
    assert "FN" in problem(f"FN{fault}", f"N{fault}", "ORG:", "EMAIL:a@x.org").message
    assert "EMAIL" in problem("FN:Ann", f"EMAIL{fault}", "EMAIL:").message
    assert "ORG" in problem("FN:", "N:;;", f"ORG{fault}", "EMAIL:a@x.org").message


@pytest.mark.parametrize(
    "line", ['EMAIL;TYPE="home:a@x.org', 'FN;A=b"c:x', "EMAIL;TYPE=a;=;b@x.org", "EMAIL;=a:b@x.org", "N;(x):y"]
)
def test_a_property_that_is_none_makes_one_bad_row(line: str) -> None:
    assert problem(line) == Malformed(f"Invalid vCard: {line!r} is no property", MALFORMED_ROW)


@pytest.mark.parametrize("charset", ["klingon", "hex", "zip", "punycode", "idna", "unicode-escape", "."])
def test_an_encoding_that_is_not_known_makes_one_bad_row(charset: str) -> None:
    found = problem(f"FN;CHARSET={charset};ENCODING=QUOTED-PRINTABLE:=41")
    assert found.code == BAD_ENCODING
    assert charset in found.message


def test_names_of_encodings_that_are_not_known_take_no_memory() -> None:
    """Python keeps all that it has ever looked for."""
    one("FN:Ann", "ORG;CHARSET=Klingon-2:Foo")
    assert not [name for name in vars(encodings)["_cache"] if "klingon_2" in name.lower()]


def test_bytes_that_are_not_in_the_encoding_that_is_named_make_one_bad_row() -> None:
    assert problem("FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Jos=E9").code == BAD_ENCODING


@pytest.mark.parametrize(
    "line",
    [
        "EMAIL;A=" + "," * 5000 + '"',
        "FN;A" + "=," * 5000,
        "FN" + ";" * 5000,
        "FN" + ';A="",' * 5000 + '"',
        "N:" + "\\a" * 20000 + ";" * 20000,
        "ORG;ENCODING=B:" + "QUFB" * 10000,
        "FN;" + "QUOTED-PRINTABLE" * 3000,
        "NOTE;" + "\n =" * 15000,
        "NOTE;QUOTED-PRINTABLE:" + "=\n" * 15000,
        "FN;" + "\n QUOTED-PRINTABLE=" * 3000,
        "NOTE:" + "é\n " * 10000,
    ],
)
def test_a_hostile_line_takes_no_time(line: str) -> None:
    """The pattern of vobject takes 11 s for 24 commas, twice as long for 25, and holds the interpreter."""
    with effort.at_most():
        one(line)


@pytest.mark.parametrize("line", ["FN" + ";" * 60000, "FN;A=" + '""' * 30000 + ":x", "N:" + "\\a" * 30000])
def test_a_hostile_line_takes_little_memory(line: str) -> None:
    """A pattern takes 200 bytes for each of its rounds."""
    one("FN:A")
    tracemalloc.start()
    try:
        one(line)
        assert tracemalloc.get_traced_memory()[1] < 40 * len(line)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "line",
    [
        "BEGIN:VCARD" * 5000,
        "END:VCARD" * 6000,
        "x" + "END:VCARD." * 6000,
        "x" + "END:VCARD " * 6000,
        "x" + "END:VCARDBEGIN:VCARD" * 3000,
        "BEGIN" + " " * 60000 + ":VCARD",
        "NOTE:" + "END:VCARD" + " " * 50000 + ".",
        "FN:" + "x" * 30000 + "\nx" * 14000,
        "FN:x" + "\n x\n" * 7000,
    ],
)
def test_many_marks_and_lines_that_are_none_take_no_time(line: str) -> None:
    for text in (line, f"BEGIN:VCARD\nFN:Ann\n{line}", f" {line}", f"BEGIN:VCARD\n {line}"):
        with effort.at_most():
            rows(text.encode() + b"\nEND:VCARD\n")


# What is no property of a card, and no card


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (["FN:Eszter Anna", "", "Kis-Tóth"], "Eszter Anna Kis-Tóth"),
        (["FN:Eszter", "  ", "Kis"], "Eszter  Kis"),
        (["FN:Eszter", "", "\tKis", " Tóth"], "Eszter Kis Tóth"),
        (["N:Kis", "Tóth;Eszter"], "Eszter Kis Tóth"),
        (["item1.FN:Eszter", "Kis"], "Eszter Kis"),
        (["ORG:Kis", "Tóth Kft."], "Kis Tóth Kft."),
        (["NOTE:x", "Eszter Kis", "FN:Ann"], "Ann"),
        (["FN:Ann", "NOTE:a", "b", " c", "", "FN Eve"], "Ann"),
        (["FN:Ann", "T L:1", "N:Lee;Ann"], "Ann Lee"),
    ],
)
def test_a_line_that_is_no_property_goes_on_with_the_name_before_it_and_nothing_else(
    lines: list[str], name: str
) -> None:
    assert one(*lines, "EMAIL:a@x.org") == (name, "a@x.org")


@pytest.mark.parametrize(
    "lines",
    [
        ["FN:Eszter", "T=L"],
        ["FN:Eszter", "e@x.org"],
        ["FN:Eszter", "a b: c"],
        ["FN:Eszter", "Kis: Anna"],
        ["fn:eszter", "kis; anna"],
        ["FN:" + "x" * 70, "y"],
        ["FN;QUOTED-PRINTABLE:=41", "=42"],
        ["FN:Ann", "EMAIL:a@x.org", "y"],
    ],
)
def test_where_nobody_knows_what_a_line_is_that_goes_on_with_what_counts_the_card_is_refused(lines: list[str]) -> None:
    assert "is neither a property nor indented" in problem(*lines).message


@pytest.mark.parametrize("other", ["Tel:1", "x-abc:1", "Item2.X-AbLabel:1", "ABUID:1", "ABC2_D;TYPE=x:1", "Note:1"])
def test_properties_that_nobody_knows_are_left_out_when_they_are_written_as_such(other: str) -> None:
    assert one("FN:Eszter Anna", other, "EMAIL:a@x.org") == ("Eszter Anna", "a@x.org")


@pytest.mark.parametrize("lines", [["VERSION:3.0"], ["version:2.1"], ["N:Lee;Ann", "N:Ray;Bob"]])
def test_two_cards_in_one_are_one_bad_row(lines: list[str]) -> None:
    assert problem("FN:Ann", *lines) is card_rows._TWO_CARDS
    assert one("FN:Ann", "N:Lee;Ann", "N:Lee;Ann", "N:;;;;") == ("Ann", ABSENT)


# Sizes


@pytest.mark.parametrize(("name", "indent"), [("PHOTO", " "), ("item1.LOGO", "\t"), ("sound", ""), ("Key", " ")])
def test_a_picture_does_not_count(name: str, indent: str) -> None:
    encoded = base64.b64encode(bytes(range(256)) * LIMIT).decode()[: 2 * LIMIT]
    for picture in (encoded, *([f"\n{indent}".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))])):
        content = card("FN:Ada", f"{name};ENCODING=b:{picture}", "", "EMAIL:a@x.org")
        assert rows(*(content[at : at + 4096] for at in range(0, len(content), 4096))) == [("Ada", "a@x.org")]


@pytest.mark.parametrize("note", ["NOTE:" + "x" * LIMIT, "NOTE:" + "\n xxxxxxx" * (LIMIT // 8), "NOTE:x\n" * LIMIT])
def test_a_card_that_is_too_large_is_refused(note: str) -> None:
    with pytest.raises(RowTooLarge, match="The card on line 5 is larger than 65536 bytes"):
        rows(card("FN:Ada") + card(note))


def test_large_cards_make_small_blocks() -> None:
    content = card("FN:Ada", "NOTE:" + "x" * (LIMIT - 100)) * 12
    assert [len(block.names) for block in read(content)[0]] == [5, 5, 2]
