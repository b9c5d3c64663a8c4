"""Character sets, with the examples of PS3.5 Annexes H, I, J and K."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.dicom.charset import ENCODINGS, CharacterSet

# PS3.5 H.3.1, H.3.2, I.2, J.1, J.3, K.2; VR PN.
EXAMPLES = [
    (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    (
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    ("ISO_IR 192", "Wang^XiaoDong=王^小東=".encode(), "Wang^XiaoDong=王^小東="),
    ("GB18030", "Wang^XiaoDong=王^小东=".encode("gb18030"), "Wang^XiaoDong=王^小东="),
    (
        "\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
    ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    ("ISO_IR 144", "Люкceмбypг".encode("iso8859_5"), "Люкceмбypг"),
    ("ISO_IR 126", "Διονυσιος".encode("iso8859_7"), "Διονυσιος"),
    ("ISO_IR 127", "قباني^لنزار".encode("iso8859_6"), "قباني^لنزار"),
    ("ISO_IR 138", "שרון^דבורה".encode("iso8859_8"), "שרון^דבורה"),
    ("ISO_IR 166", "สมชาย".encode("iso8859_11"), "สมชาย"),
    (
        "ISO 2022 IR 100\\ISO 2022 IR 144\\ISO 2022 IR 126",
        b"Dionysios \x1b-F\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2 \x1b-L\xbb\xee\xda^J\xe9r",
        "Dionysios Διονυσιος Люк^Jér",
    ),
]


@pytest.mark.parametrize(("term", "raw", "text"), EXAMPLES)
def test_the_examples_of_the_standard_are_understood(term: str, raw: bytes, text: str) -> None:
    assert CharacterSet.parse(term).decode(raw, "PN") == text


@pytest.mark.parametrize(("term", "raw", "text"), EXAMPLES)
def test_what_is_encoded_reads_back(term: str, raw: bytes, text: str) -> None:
    character_set = CharacterSet.parse(term)
    assert character_set.decode(character_set.encode(text, "PN"), "PN") == text


def test_the_standard_examples_of_escapes_are_written_as_printed() -> None:
    for term, raw, text in EXAMPLES[:3]:
        assert CharacterSet.parse(term).encode(text, "PN") == raw


@pytest.mark.parametrize(
    "spelling", ["ISO_IR 144", "ISO_IR_144", "ISO 2022 IR 144", "iso_ir 144 ", "ISO-IR 144"]
)
def test_spellings_found_in_the_field_are_understood(spelling: str) -> None:
    assert CharacterSet.parse(spelling).codec == "iso8859_5"


def test_a_missing_set_is_the_default_one() -> None:
    assert CharacterSet.parse(None, "Cyrillic").codec == "iso8859_5"
    assert CharacterSet.parse("", "Windows1251").decode(b"\xcf", "LO") == "П"
    assert CharacterSet.parse(" \\ ").codec == "latin_1"


def test_an_unknown_set_drops_what_is_not_ascii() -> None:
    assert CharacterSet.parse("ISO_IR 999").decode(b"J\xe9r\xf4me", "LO") == "Jrme"


@pytest.mark.parametrize(
    ("term", "raw", "text"),
    [
        ("ISO_IR 13", "山田^太郎".encode("shift_jis"), "山田^太郎"),
        ("ISO_IR 13", "ソ\\表".encode("shift_jis"), "ソ\\表"),
        ("ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("GB2312", "王东".encode("gbk"), "王东"),
        ("UTF-8", "Jé".encode(), "Jé"),
        ("ISO8859-1", b"J\xe9", "Jé"),
        ("ISO-8859-5", "Чехов".encode("iso8859_5"), "Чехов"),
    ],
)
def test_what_careless_devices_mean_is_understood(term: str, raw: bytes, text: str) -> None:
    assert CharacterSet.parse(term).decode(raw, "PN") == text


def test_invalid_bytes_are_dropped() -> None:
    assert CharacterSet.parse("ISO_IR 192").decode(b"a\xffb", "LO") == "ab"
    assert CharacterSet.parse("\\ISO 2022 IR 87").decode(b"a\x1b$B;3E\x1b(Bb", "LO") == "a山b"


def test_answers_in_japanese_keep_kanji_where_files_are_strict() -> None:
    answers = CharacterSet.of_answers("Japanese")
    assert (answers.term, answers.encode("山田^ﾀﾛｳ=Дé", "PN")) == (
        "ISO_IR 13",
        "山田^ﾀﾛｳ=Д".encode("shift_jis"),
    )
    assert CharacterSet.parse("ISO_IR 13").encode("山田^ﾀﾛｳ", "PN") == b"^\xc0\xdb\xb3"
    assert CharacterSet.of_answers("Latin2") == CharacterSet.parse(None, "Latin2")


def test_a_backslash_of_jis_stays_one_between_values() -> None:
    japanese = CharacterSet.parse("ISO_IR 13")
    assert japanese.decode(b"\xb1\\\xb2", "LO") == "ｱ\\ｲ"
    assert japanese.decode(b"\\100", "LT") == "¥100"
    assert japanese.encode("¥100", "LT") == b"\\100"


def test_a_trail_byte_that_looks_like_a_backslash_is_no_delimiter() -> None:
    assert CharacterSet.parse("GBK").decode("誠".encode("gbk"), "LO") == "誠"
    kanji = b"\xb0\xdc".decode("euc_jp")
    assert CharacterSet.parse("\\ISO 2022 IR 87").decode(b"\x1b$B0\\\x1b(B", "LO") == kanji


def test_a_delimiter_brings_the_first_set_back() -> None:
    mixed = CharacterSet.parse("ISO 2022 IR 100\\ISO 2022 IR 144")
    assert mixed.decode(b"\x1b-L\xbb\\\xe9", "LO") == "Л\\é"
    assert mixed.decode(b"\x1b-L\xbb^\xe9", "PN") == "Л^é"
    assert mixed.decode(b"\x1b-L\xbb\\\xbb\r\n\xe9", "LT") == "Л\\Л\r\né"


def test_devices_that_designate_once_are_understood() -> None:
    korean = CharacterSet.parse("\\ISO 2022 IR 149")
    assert korean.decode(b"\x1b$)C\xb1\xe8^\xc8\xf1\xc1\xdf", "PN") == "김^희중"
    assert korean.decode(b"\xb1\xe8", "PN") == "김"


def test_escapes_are_followed_even_if_not_announced() -> None:
    assert CharacterSet.parse("ISO_IR 100").decode(b"\x1b$B;3ED\x1b(B", "PN") == "山田"


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_named_encoding_round_trips_ascii(name: str) -> None:
    character_set = CharacterSet.parse(None, name)
    assert character_set.decode(character_set.encode("DOE^JOHN", "PN"), "PN") == "DOE^JOHN"


def test_characters_a_set_lacks_are_dropped_when_encoding() -> None:
    assert CharacterSet.parse("ISO_IR 100").encode("Жérôme", "LO") == b"\xe9r\xf4me"
    assert CharacterSet.parse("\\ISO 2022 IR 87").encode("aЖ山", "LO") != b""


terms = st.lists(
    st.sampled_from(["", *ENCODINGS.values(), "ISO 2022 IR 159", "ISO 2022 IR 100", "x"]), max_size=4
).map("\\".join)


@given(terms, st.binary(max_size=60), st.sampled_from(["PN", "LO", "LT", "UT", "CS"]))
def test_any_bytes_give_text_that_utf8_can_write(term: str, raw: bytes, vr: str) -> None:
    CharacterSet.parse(term).decode(raw, vr).encode()


@given(terms, st.text(max_size=30), st.sampled_from(["PN", "LO", "LT"]))
def test_any_text_gives_bytes_that_read_back_to_what_could_be_written(term: str, text: str, vr: str) -> None:
    character_set = CharacterSet.parse(term)
    once = character_set.decode(character_set.encode(text, vr), vr)
    assert character_set.decode(character_set.encode(once, vr), vr) == once
