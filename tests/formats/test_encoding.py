"""Text in whatever encoding people export it: which it is, and what becomes of bytes that it does not have."""

import codecs
from collections.abc import Iterator

import pytest

from dataflow.errors import MalformedInput
from dataflow.formats.block import PIECE_BYTES
from dataflow.formats.encoding import HEAD_BYTES, Encoding, decoded, detect, read_text
from dataflow.formats.reading import Findings
from tests.support import effort

pytestmark = pytest.mark.unit


def text_of(content: bytes, wish: str | None = None, piece_bytes: int = 7) -> str:
    pieces = [content[start : start + piece_bytes] for start in range(0, len(content), piece_bytes)]
    return "".join(read_text(pieces, wish, Findings()))


def facts_of(content: bytes, wish: str | None = None) -> tuple[object, object]:
    findings = Findings()
    list(read_text([content], wish, findings))
    return findings.facts["encoding"], findings.facts["hasByteOrderMark"]


# What proves itself

SAMPLE = "name,email\r\nJosé 名前 \U0001f600,j@x.org\r\n"


@pytest.mark.parametrize("name", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("piece_bytes", [1, 3, 1000])
def test_a_byte_order_mark_tells_the_encoding_and_is_dropped(name: str, piece_bytes: int) -> None:
    content = ("\ufeff" + SAMPLE).encode(name)
    assert facts_of(content) == (name, True)
    assert text_of(content, piece_bytes=piece_bytes) == SAMPLE


def test_only_the_first_mark_is_one() -> None:
    assert text_of("\ufeff\ufeffa\ufeff".encode()) == "\ufeffa\ufeff"


def test_text_that_is_valid_utf8_is_utf8() -> None:
    for content in (SAMPLE.encode(), b"name,email\n", b""):
        assert facts_of(content) == ("utf-8", False)
        assert text_of(content, piece_bytes=1) == content.decode()


def test_a_character_cut_where_the_head_ends_is_no_fault() -> None:
    content = b"x" * (HEAD_BYTES - 1) + "é".encode() + b"y"
    assert facts_of(content) == ("utf-8", False)
    assert text_of(content, piece_bytes=PIECE_BYTES) == content.decode()


def test_the_last_byte_of_a_whole_text_begins_no_character() -> None:
    assert detect(b"name,email\nAndr\xe9", is_whole=True).name == "cp1252"
    assert detect(b"name,email\nAndr\xe9").name == "utf-8"


def test_a_few_bad_bytes_do_not_make_utf8_another_encoding() -> None:
    content = "José\nMuñoz\nIbáñez\n".encode() + b"Andr\xe9\n"
    assert facts_of(content)[0] == "utf-8"
    assert text_of(content, piece_bytes=1).endswith("Andr\udce9\n")


def test_rows_of_two_encodings_are_read_as_the_one_that_tells_them_apart() -> None:
    good, others = ["José", "Müller"], ["Jürgen", "Käthe", "Groß", "Zoë"]
    content = "\n".join(good).encode() + b"\n" + "\n".join(others).encode("cp1252")
    assert facts_of(content)[0] == "utf-8"
    assert text_of(content).splitlines()[:3] == [*good, "J\udcfcrgen"]


@pytest.mark.parametrize("encoding", ["cp1251", "cp1253", "koi8-u", "gb18030", "cp932", "big5"])
def test_utf8_is_told_from_any_encoding_that_it_is_mixed_with(encoding: str) -> None:
    names = PEOPLE[encoding]
    content = "\n".join(names[:2]).encode() + b"\n" + "\n".join(names).encode(encoding)
    assert facts_of(content)[0] == "utf-8"


def test_names_that_are_utf8_by_chance_do_not_hide_the_encoding() -> None:
    by_chance = "伟通"
    assert by_chance.encode("gb18030").decode()
    people = [by_chance, *PEOPLE["gb18030"], by_chance, "李小龙"]
    text = "".join(f"{name},user{at}@x.org\n" for at, name in enumerate(people))
    assert facts_of(text.encode("gb18030"))[0] == "gb18030"


def test_iso_2022_jp_is_told_by_its_escapes() -> None:
    text = "name,email\n山田 太郎,a@x.org\n"
    for piece_bytes in (1, 7, 100):
        assert text_of(text.encode("iso2022_jp"), piece_bytes=piece_bytes) == text
    assert facts_of(text.encode("iso2022_jp")) == ("iso2022_jp", False)
    assert facts_of(b"name\n\x1b[1mAda\x1b[0m\n") == ("utf-8", False)


def test_a_damaged_escape_of_iso_2022_jp_is_an_error_of_the_input() -> None:
    with pytest.raises(MalformedInput, match="iso2022_jp"):
        list(decoded(["山田".encode("iso2022_jp") + b"\x1b(xample."], Encoding("iso2022_jp")))


# What is guessed: three rows with other letters among forty plain ones must do, but for a few look-alikes

POLES = ["Łukasz Wiśniewski", "Paweł Dąbrowski", "Józef Wróbel"]
CZECHS = ["Jiří Dvořák", "Tomáš Kučera", "Zdeněk Veselý"]
TURKS = ["Ayşegül Güneş", "Çağla Öztürk", "İbrahim Şahin"]
BALTS = ["Žydrūnė Šimkienė", "Jānis Bērziņš", "Rūta Kučinskaitė"]
RUSSIANS = ["Иван Петров", "Юрий Щербаков", "Анна Фёдорова"]
GREEKS = ["Γιώργος Παπαδόπουλος", "Ελένη Γεωργίου", "Νίκος Αντωνίου"]
HEBREWS = ["דוד כהן", "שרה לוי", "יוסף מזרחי"]
ARABS = ["محمد العلي", "فاطمة الزهراء", "أحمد حسن"]
IRISH = [
    f"{first}\N{RIGHT SINGLE QUOTATION MARK}{last}"
    for first, last in (("Dan O", "Connor"), ("Pat O", "Brien"), ("Ann D", "Arcy"))
]
PEOPLE = {
    "cp1252": ["Jürgen Groß", "Jörg Schäfer", "Käthe Müller"],
    "cp1252 French": ["Hélène Lefèvre", "François Côté", "Benoît Garçon"],
    "cp1252 Spanish": ["Begoña Muñoz", "Íñigo Ibáñez", "José García"],
    "cp1252 Portuguese": ["João Gonçalves", "Conceição Simões", "Luísa Guimarães"],
    "cp1252 Nordic": ["Søren Kjær", "Åse Østergård", "Bjørn Håkonsen"],
    "cp1252 punctuation": ["Smith \N{EN DASH} Sons", "“Best” Bakery", "O\N{RIGHT SINGLE QUOTATION MARK}Brien €5"],
    "cp1252 Estonian": ["Jõe Põld", "Ülle Mägi", "Tõnu Õunapuu"],
    "cp1252 Irish": IRISH,
    "cp1252 Irish in capitals": [name.upper() for name in IRISH],
    "cp1250": POLES,
    "cp1250 Czech": CZECHS,
    "cp1250 Hungarian": ["Győző Szőke", "László Kovács", "Zsófia Szűcs"],
    "cp1251": RUSSIANS,
    "cp1251 in capitals": [name.upper() for name in RUSSIANS],
    "cp1251 numbered": [*RUSSIANS, *(f"Школа №{number}" for number in range(40))],
    "cp1253": GREEKS,
    "cp1253 in capitals": ["ΓΙΩΡΓΟΣ ΠΑΠΑΔΟΠΟΥΛΟΣ", "ΕΛΕΝΗ ΓΕΩΡΓΙΟΥ", "ΝΙΚΟΣ ΑΝΤΩΝΙΟΥ"],
    "cp1254": TURKS,
    "cp1255": HEBREWS,
    "cp1256": ARABS,
    "cp1257": BALTS,
    "cp874": ["สมชาย ใจดี", "สุดา แสงทอง", "วิชัย ศรีสุข"],
    "cp932": ["田中太郎", "佐藤 さくら", "株式会社サンプル"],
    "gb18030": ["王小明", "张丽", "北京科技有限公司"],
    "big5": ["陳怡君", "林志豪", "黃雅婷"],
    "cp949": ["김철수", "이영희", "박민수"],
    "iso8859-15": ["Jürgen Groß 5€", "Jörg Schäfer 10€", "Käthe Müller 7€"],
    "iso8859-7": ["Άννα Παπαδοπούλου", "Άρης Γεωργίου", "Νίκος Αντωνίου"],
    "iso8859-5": RUSSIANS,
    "iso8859-2": ["Łukasz Wiśniewski", "Stanisław Śliwa", "Małgorzata Źródłowska"],
    "mac-roman": ["Jürgen Groß", "Hélène Lefèvre", "Begoña Muñoz"],
    "mac-roman Irish": IRISH,
    "mac-roman Irish in capitals": [name.upper() for name in IRISH],
    "mac-latin2": POLES,
    "mac-latin2 Czech": CZECHS,
    "mac-turkish": TURKS,
    "mac-cyrillic": RUSSIANS,
    "mac-greek": GREEKS,
    "koi8-u": ["Іван Петренко", "Євген Їжак", "Ольга Ґудзь"],
    "koi8-u Russian": RUSSIANS,
    "koi8-u in capitals": [name.upper() for name in RUSSIANS],
    "cp850": ["Jürgen Groß", "Jörg Schäfer", "Käthe Müller"],
    "cp852": POLES,
    "cp852 Czech": CZECHS,
    "cp857": TURKS,
    "cp775": BALTS,
    "cp866": RUSSIANS,
    "cp737": GREEKS,
    "cp862": HEBREWS,
    "cp720": ARABS,
}


@pytest.mark.parametrize("case", PEOPLE)
def test_an_encoding_is_recognised_by_three_rows(case: str) -> None:
    encoding = case.partition(" ")[0]
    names = [*["John Smith"] * 20, *PEOPLE[case], *["Mary Jones"] * 20]
    text = "name,email\r\n" + "".join(f"{name},user{at}@example.org\r\n" for at, name in enumerate(names))
    assert text_of(text.encode(encoding)) == text
    assert facts_of(text.encode(encoding)) == (encoding, False)


@pytest.mark.parametrize("name", ["Müller", "José", "Zoë", "Muñoz", "Lefèvre", "Gonçalves", "Æsa", "£100", "Café 5€"])
def test_one_row_in_cp1252_is_enough(name: str) -> None:
    assert facts_of(f"name,email\n{name},a@x.org\n".encode("cp1252"))[0] == "cp1252"


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("mac-roman", IRISH[0]),  # Dan OÕConnor in cp1252
        ("mac-roman", "KÄTHE"),  # K€THE in cp1252
        ("cp850", "Begoña Muñoz"),  # Bego€a Mu€oz in iso8859-15
        ("mac-cyrillic", "Пётр Щукин"),  # ЏЮтр ™укин in cp1251
        ("koi8-u", "ИВАН ПЕТРОВ"),  # small letters in cp1253
        ("cp1251", "Юлия"),  # ёли€ in mac-cyrillic
    ],
)
def test_one_row_is_enough_where_it_reads_oddly_in_other_encodings(encoding: str, name: str) -> None:
    assert facts_of(f"name,email\n{name},a@x.org\n".encode(encoding))[0] == encoding


def test_a_stray_byte_does_not_hide_the_encoding() -> None:
    content = "Jürgen Groß\nJörg Schäfer\n".encode("cp1252") * 20 + b"Bad \x81\n"
    assert facts_of(content)[0] == "cp1252"
    assert text_of(content).endswith("Bad \udc81\n")


def test_bytes_that_are_no_text_in_any_encoding_are_refused_with_the_way_out() -> None:
    content = bytes(range(0x80, 0x100)) * 2 + b"".join(b"%ca" % byte for byte in range(0x80, 0x100))
    with pytest.raises(MalformedInput, match="encoding=cp1252"):
        facts_of(content)
    assert facts_of(content, "latin-1") == ("iso8859-1", False)


@pytest.mark.parametrize(
    ("encoding", "names"), [("cp855", RUSSIANS), ("iso8859-6", ARABS * 2 + ["خالد القاسمي", "ليلى السعيد"])]
)
def test_names_that_no_known_encoding_makes_sense_of_are_refused(encoding: str, names: list[str]) -> None:
    content = "\n".join(names).encode(encoding)
    with pytest.raises(MalformedInput, match="name its encoding"):
        facts_of(content)
    assert text_of(content, encoding) == "\n".join(names)


def test_a_finding_says_that_the_encoding_is_a_guess() -> None:
    def guessed(content: bytes, wish: str | None = None, label: str | None = None) -> bool:
        findings = Findings()
        list(read_text([content], wish, findings, label=label))
        return "encodingIsGuessed" in findings.facts

    content = "Jürgen Groß\n".encode("cp1252")
    assert guessed(content)
    assert guessed("José\nMuñoz\n".encode() + content * 4)
    assert not guessed(content, wish="cp1252")
    assert not guessed(content, label="cp1252")
    assert not guessed("Jürgen\n".encode())


@pytest.mark.parametrize(
    "filler", ["Иван Петров,i@x.ru\n".encode("cp1251"), "Jürgen,j@x.de\n".encode("cp1252"), b"\xff\xfa"]
)
def test_a_megabyte_is_judged_in_a_moment(filler: bytes) -> None:
    content = b"x" + filler * (HEAD_BYTES // len(filler))
    with effort.at_most():
        detect(content)


# What a Content-Type says, which is often no more than a client's default


def test_a_label_counts_where_the_bytes_prove_nothing() -> None:
    for name in ("cp1250", "iso8859-2", "mac-roman", "cp932"):
        content = "".join(f"{person},p{at}@x.org\n" for at, person in enumerate(PEOPLE.get(name, ["Jürgen"]))).encode(
            name
        )
        assert detect(content, label=name).name == name
    assert detect("Jürgen\n".encode("latin-1"), label="iso8859-1").name == "cp1252"


@pytest.mark.parametrize("label", ["cp1252", "iso8859-1", "utf-16", "utf-16-le", "cp932"])
def test_a_label_does_not_make_mojibake_of_utf8(label: str) -> None:
    for content in ("Jürgen, Łukasz, 田中\n".encode(), b"plain\n", "\ufeffJürgen\n".encode()):
        assert detect(content, label=label).name == "utf-8"
    assert detect("\ufeffJürgen\n".encode("utf-16-be"), label=label).name == "utf-16-be"


def test_a_label_tells_utf_16_without_a_mark() -> None:
    assert detect("name,email\n".encode("utf-16-be"), label="utf-16-be").name == "utf-16-be"
    assert detect("name,email\n".encode("utf-16-le"), label="utf-16").name == "utf-16-le"


def test_what_the_sender_says_is_stronger_than_a_label() -> None:
    assert detect("Jürgen\n".encode("cp1252"), "cp1250", label="cp932").name == "cp1250"


def test_a_label_of_utf8_does_not_keep_the_encoding_from_being_found() -> None:
    assert detect("Jürgen Groß\nJörg Schäfer\n".encode("cp1252"), label="utf-8").name == "cp1252"


# What the sender says


@pytest.mark.parametrize(
    ("wish", "written", "name", "has_mark"),
    [
        ("UTF8", "utf-8", "utf-8", False),
        ("utf-8", "utf-8-sig", "utf-8", True),
        ("utf-8-sig", "utf-8", "utf-8", False),
        ("utf_16", "utf-16", "utf-16-le", True),
        ("utf-16", "utf-16-le", "utf-16-le", False),
        ("utf-16-le", "utf-16", "utf-16-le", True),
        ("utf-32", "utf-32", "utf-32-le", True),
        ("gb18030", "gb18030", "gb18030", False),
        ("latin-1", "latin-1", "iso8859-1", False),
        ("sjis", "shift_jis", "shift_jis", False),
        ("iso-2022-jp", "iso-2022-jp", "iso2022_jp", False),
    ],
)
def test_the_encoding_that_the_sender_names_is_used(wish: str, written: str, name: str, has_mark: bool) -> None:
    text = "name,email\nテスト,a@x\n" if "jp" in wish or "jis" in wish else "name,email\nJosé,a@x\n"
    assert text_of(text.encode(written), wish, piece_bytes=1) == text
    assert facts_of(text.encode(written), wish) == (name, has_mark)


def test_the_mark_of_big_endian_utf16_counts_in_utf16() -> None:
    content = codecs.BOM_UTF16_BE + "aé".encode("utf-16-be")
    assert (text_of(content, "utf-16"), facts_of(content, "utf-16")) == ("aé", ("utf-16-be", True))


def test_what_the_sender_says_counts_whatever_the_bytes_look_like() -> None:
    assert text_of("Jürgen".encode(), "cp1252") == "JÃ¼rgen"
    assert facts_of(codecs.BOM_UTF16_LE, "cp1252") == ("cp1252", False)


# Undecodable bytes


def kept(content: bytes) -> str:
    return "".join(chr(0xDC00 + byte) for byte in content)


@pytest.mark.parametrize(
    ("encoding", "content", "text"),
    [
        ("utf-8", b"a\xffb\xc3,\xe2\x82\n", "a" + kept(b"\xff") + "b" + kept(b"\xc3") + "," + kept(b"\xe2\x82") + "\n"),
        ("utf-8", b"\xed\xa0\x80", kept(b"\xed\xa0\x80")),
        ("cp1252", b"a\x81b\x9d", "a" + kept(b"\x81") + "b" + kept(b"\x9d")),
        ("ascii", b"Jos\xe9", "Jos" + kept(b"\xe9")),
        ("utf-16-le", b"a\0\x3d\xd8b\0", "a" + kept(b"\x3d\xd8") + "b"),
        ("utf-16-le", b"a\0b", "a" + kept(b"b")),
        ("utf-16-be", b"\0a\xdc\x00\0b", "a" + kept(b"\xdc\x00") + "b"),
        (
            "shift_jis",
            b"\x83\x65\x85\x40,\x83\n\xa0",
            "テ" + kept(b"\x85") + "@," + kept(b"\x83") + "\n" + kept(b"\xa0"),
        ),
        ("gb18030", b"\xff,\x81\n", kept(b"\xff") + "," + kept(b"\x81") + "\n"),
        ("utf-8", b"a\xf0\x9f\x98", "a" + kept(b"\xf0\x9f\x98")),
    ],
)
@pytest.mark.parametrize("piece_bytes", [1, 2, 100])
def test_each_byte_that_cannot_be_decoded_is_kept_as_a_lone_surrogate(
    encoding: str, content: bytes, text: str, piece_bytes: int
) -> None:
    assert text_of(content, encoding, piece_bytes) == text


# Memory


def test_text_comes_while_the_content_is_still_arriving() -> None:
    fed = []

    def pieces() -> Iterator[bytes]:
        for number in range(100):
            fed.append(number)
            yield b"x" * PIECE_BYTES

    texts = read_text(pieces(), None, Findings())
    assert next(texts) == "x" * PIECE_BYTES
    assert len(fed) == HEAD_BYTES // PIECE_BYTES
