"""Which encoding a text is in that is not UTF-8 and has no byte order mark.

Each encoding is weighed by how likely its languages have the letters beyond ASCII in the places where they stand.

Why it is so: charset-normalizer, which is made for prose, recognised 58 % of samples of contacts, of any size, and took
most French and Spanish ones for cp1250.
"""

import math
import re
from collections import Counter
from functools import cache
from typing import Final

_WESTERN: Final = (
    "üöäßé",
    "éèçëïôêâàîûœùüÿ",
    "íáóéñúüº",
    "ãçáéíóâêõôúàº",
    "àèòùìé",
    "øåæéö",
    "öäåé",
    "óáíðöúþéýæ",
    "ëéïèö",
    "äüöéåõ",
    "àèéíòçóúïü·",
    "éüöäáóíèçñãåøàúæêâôëßïîõûòìùœ",  # any of them, as international lists have it
)
_CENTRAL: Final = ("łąóńśężćź", "áíéřěšýžčůúťďňó", "áíčéýžľúšťňôäóďĺŕ", "áéóöőíüúű", "ăşţâî", "čćšžđ", "üöäßé")
_CYRILLIC: Final = (
    "аоеинртсвлкмдпуяыьбгчйхжзшюцщэфёъ",
    "аоинерівтслкмдупябьгчйхжзшюцщєїфґ",
    "аоеинртсвлкмдпуяъбгчйхжзшюцщф",
    "аоеиинртсвлкмдпујњљћчшжђцхзбгфџ",
)
_GREEK: Final = ("αοιετσνηυρπκμλςωδγχθφάίόέήύώβξζψϊϋ",)
_TURKISH: Final = ("ıüöşçğâî",)
_BALTIC: Final = ("ėšžūųįčąę", "āšīēķņļūžčģ", "äõöüšž")
_HEBREW: Final = ("יואהלרמנתבשדחעקכפגסצטםןזךץף",)
_ARABIC: Final = ("اليمنرودعبسحفهقكجطشخصزتغثضظةىأإذءؤئآ",)
_THAI: Final = ("านรกอมเสวยงลทตคดพชบปหจขผณธศภถซญฟโไแใะิีุู่้์ัำึืฐษฏฑฒฌฉฆฎฤ็",)
#: Of each script its alphabets, and how much less likely than cp1252 its encodings are: those of Windows, of Unix, of
#: Macs and of Excel's "CSV (MS-DOS)". koi8-u stands for koi8-r, too.
_SCRIPTS: Final[tuple[tuple[tuple[str, ...], dict[str, float]], ...]] = (
    (_WESTERN, {"cp1252": 0, "iso8859-15": 2, "mac-roman": 3, "cp850": 5}),
    (_CENTRAL, {"cp1250": 2.5, "iso8859-2": 4, "mac-latin2": 5, "cp852": 5}),
    (_TURKISH, {"cp1254": 2, "mac-turkish": 5, "cp857": 5}),
    (_BALTIC, {"cp1257": 3, "cp775": 6}),
    (_CYRILLIC, {"cp1251": 2, "koi8-u": 4, "cp866": 4, "mac-cyrillic": 4, "iso8859-5": 5}),
    (_GREEK, {"cp1253": 2, "iso8859-7": 4, "mac-greek": 5, "cp737": 5}),
    (_HEBREW, {"cp1255": 4, "cp862": 6}),
    (_ARABIC, {"cp1256": 4, "cp720": 6}),
    (_THAI, {"cp874": 4}),
)
_ALPHABETS: Final = {name: alphabets for alphabets, names in _SCRIPTS for name in names}
_RARITIES: Final = {name: rarity for _, names in _SCRIPTS for name, rarity in names.items()}
_LATIN: Final = {name for _, names in _SCRIPTS[:4] for name in names}
_JAPANESE: Final = (
    "田中山本藤木村川小大高橋佐渡辺井上松野原子美一郎太加伊鈴林清水斎石池前岡長谷島和阿部森三健花恵真由香明"
    "株式会社有限東京都市区県北海道神奈"
)
#: Characters frequent in names, and the first and last leading byte of the more frequent half of the others.
_IDEOGRAPHS: Final = {
    "cp932": (_JAPANESE, (0x88, 0x97)),
    "euc-jp": (_JAPANESE, (0xB0, 0xCF)),
    "gb18030": (
        "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏"
        "小明伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛超霞平刚桂文华建国玉婷公司有限科技北京上海市中国",
        (0xB0, 0xD7),
    ),
    "big5": (
        "陳林黃張李王吳劉蔡楊許鄭謝郭洪邱曾廖賴徐周葉蘇莊江呂何蕭羅高潘簡朱鍾彭游詹胡施沈余趙盧梁顏柯孫魏翁戴范"
        "小明雅婷怡君志豪美玲淑芬家宗德華英文佳穎建國有限公司台北市中",
        (0xA4, 0xC6),
    ),
    "cp949": (
        "김이박최정강조윤장임한오서신권황안송류홍전고문양손배백허유남심노하곽성차주우구민진지수영희철현은경연미선동호준훈"
        "주식회사서울시",
        (0xB0, 0xC8),
    ),
}
# Costs are negative logarithms of likelihoods. ASCII letters have one because several encodings swallow them.
_ASCII_COST, _FOREIGN_LETTER_COST, _SYMBOL_COST = 3.0, 6.0, 9.0
_NAME_COST, _KANA_COST, _FREQUENT_COST, _RARE_COST = 4.5, 5.0, 7.5, 11.0
_APOSTROPHE: Final = "\N{RIGHT SINGLE QUOTATION MARK}"
_PUNCTUATION: Final = "\N{EN DASH}\N{LEFT SINGLE QUOTATION MARK}“”„—…·\xa0«»"
#: Of what is no letter. The signs in the last line stand where central European encodings have letters.
_COSTS: Final = (
    {"\n": 0.0, _APOSTROPHE: _ASCII_COST}
    | dict.fromkeys("\N{REPLACEMENT CHARACTER}" + "".join(map(chr, range(0x80, 0xA0))), 25.0)
    | dict.fromkeys(_PUNCTUATION + "•€™®°№", 4.0)
    | dict.fromkeys("\N{LEFT SINGLE QUOTATION MARK}£§¡¿²³½¼¾·µ¹ªº¥", 6.5)
)
#: What looks odd in a name, written in the kinds of `_kind`, and what each occurrence costs.
_ODDITIES: Final = (
    # capitals and small letters mixed, the last as in OÕConnor: on a Mac it is an apostrophe
    (re.compile("(?<=[al])L|(?<=l)A|(?<=g)G|(?<=A)l(?=A)|(?<=G)g(?=G)|(?<=A)L(?=A[al])"), 5.0),
    (re.compile("L|(?<!G)G"), 1.5),  # a capital, or a whole word: where cp1251 has ИВАН, koi8 has small letters
    (re.compile("(?<![algALG])[lg](?=[alg])"), 2.0),  # a word that begins small
    (re.compile("(?<=[aAlL])[gGIH]|(?<=[gGIH])[aAlL]|(?<=[gGH])I|(?<=[gGI])H"), 6.0),  # two scripts in one word
    (re.compile("(?<=[lL])[lL]"), 1.5),  # accented letters side by side
    (re.compile("(?<![aAlL])[lL](?![aAlL])"), 3.0),  # an accented letter on its own
    (re.compile("(?<=[alLgG])p(?=[alLgG])"), 4.0),  # a dash or a quotation mark within a word
    (re.compile("s(?=[alg])|(?<=[aAlLgG])s(?=[ALG])"), 6.0),  # a sign within a word, or before a small letter
)
#: A sample of so much takes a tenth of a second; a fiftieth of it is enough to be sure.
_MAX_LINES, _MAX_SAMPLE_BYTES = 1000, 4 * 1024
#: What the likeliest encoding may cost for each byte that is not ASCII. Measured: Latin words up to 6, words of other
#: scripts 2 to 4.3, and words in an encoding that is not known here 4.4 to 6.
_MAX_LATIN_BYTE_COST, _MAX_BYTE_COST = 7.0, 4.5
#: Bytes that no encoding has within a character.
_BETWEEN_WORDS: Final = re.compile(rb"[\0-\x2f\x3a-\x3f]+")


def guess(head: bytes) -> str | None:
    """The most likely encoding, None when there is no telling."""
    sample = _sample(head)
    costs = {name: _cost(sample, name) for name in (*_ALPHABETS, *_IDEOGRAPHS)}
    best = min(costs, key=lambda name: costs[name] + _RARITIES.get(name, 0))
    ascii_bytes = len(sample.decode("ascii", "ignore"))
    byte_cost = _MAX_LATIN_BYTE_COST if best in _LATIN else _MAX_BYTE_COST
    limit = byte_cost * (len(sample) - ascii_bytes) + _ASCII_COST * ascii_bytes
    return best if costs[best] <= limit else None


def _sample(head: bytes) -> bytes:
    """Different words that are not all ASCII, from all over the head, one a line."""
    lines = [line for line in head.splitlines() if not line.isascii()]
    some = lines[:: len(lines) // _MAX_LINES + 1]
    words = list(dict.fromkeys(word for line in some for word in _BETWEEN_WORDS.split(line) if not word.isascii()))
    sample = b"\n".join(words[:: sum(map(len, words)) // _MAX_SAMPLE_BYTES + 1])
    return sample[: 2 * _MAX_SAMPLE_BYTES]


def _cost(sample: bytes, name: str) -> float:
    """How unlikely the sample is, taken for this encoding."""
    text = sample.decode(name, "replace")
    kinds = text.translate({ord(character): _kind(character) for character in set(text)})
    odd = sum(cost * len(pattern.findall(kinds)) for pattern, cost in _ODDITIES)
    counted = Counter(text)
    if name in _IDEOGRAPHS:
        return odd + sum(count * _ideograph_cost(character, name) for character, count in counted.items())
    others = "".join(_ALPHABETS[name])
    return odd + min(
        sum(count * _letter_cost(character, alphabet, others) for character, count in counted.items())
        for alphabet in _ALPHABETS[name]
    )


def _general_cost(character: str) -> float | None:
    """What a character costs in any language; None for letters, which have a cost in each."""
    if character in _COSTS:
        return _COSTS[character]
    return _ASCII_COST if character.isascii() else None


@cache  # of the 128 characters of each encoding
def _letter_cost(character: str, alphabet: str, others: str) -> float:
    if (general := _general_cost(character)) is not None:
        return general
    small = character.lower()
    if small in alphabet:
        # The letter of rank n is taken to be n times rarer than the first, as Zipf's law has it.
        return math.log((alphabet.index(small) + 2) * math.log(len(alphabet) + 2))
    return _FOREIGN_LETTER_COST if small in others else _SYMBOL_COST


def _ideograph_cost(character: str, name: str) -> float:
    if (general := _general_cost(character)) is not None:
        return general
    names, (first, last) = _IDEOGRAPHS[name]
    if character in names:
        return _NAME_COST
    if "\u3040" <= character <= "\u30ff" or "\uff66" <= character <= "\uff9f":
        return _KANA_COST if names is _JAPANESE else _RARE_COST
    return _FREQUENT_COST if first <= character.encode(name)[0] <= last else _RARE_COST


def _kind(character: str) -> str:
    """a is ASCII (and the apostrophe), l other Latin, g Greek and Cyrillic, all also as capitals; then there are
    I for ideographs, H for half-width kana, p for punctuation, s for signs.
    """
    if character == _APOSTROPHE or character.isascii():
        kind = "a" if character.isalpha() or not character.isascii() else "-"
    elif "\uff66" <= character <= "\uff9f":
        kind = "H"
    elif not character.isalpha():
        kind = "p" if character in _PUNCTUATION else "s"
    elif character < "\u0250":
        kind = "l"
    else:
        kind = "g" if character < "\u0530" else "I"
    return kind.upper() if character.isupper() else kind
