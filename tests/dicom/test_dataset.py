"""Values read on demand, sequences of every kind, and rules broken inside them."""

from collections.abc import Callable
from struct import pack

import pytest

from hounsfield.dicom import uids
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.part10 import read_head
from hounsfield.errors import BadRequest, Corrupt

Write = Callable[..., bytes]
ITEM = b"\xfe\xff\x00\xe0"
OPEN = b"\xff\xff\xff\xff"
ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
SEQUENCE = 0x00081140


@pytest.fixture
def read(file: Write, dataset: Write) -> Callable[..., Dataset]:
    def read(extra: dict[int, tuple[str, bytes]], tail: bytes = b"") -> Dataset:
        return read_head(file(dataset(extra) + tail)).dataset

    return read


Read = Callable[..., Dataset]


def test_texts_lose_padding_at_the_end_only(read: Read) -> None:
    found = read({0x00081030: ("LO", b" a  "), 0x00080080: ("LO", b"b\0"), 0x00081040: ("LO", b"    ")})
    assert found.text(0x00081030) == " a"
    assert found.text(0x00080080) == "b"
    assert found.text(0x00081040) == ""


def test_a_nul_ends_a_value_but_not_the_next_one(read: Read) -> None:
    found = read({0x00080008: ("CS", b"A\0B\\C\0"), 0x00080014: ("UI", b" 1.2\0 ")})
    assert found.text(0x00080008) == "A\\C"
    assert found.text(0x00080014) == "1.2"


def test_numbers_are_decimal(read: Read) -> None:
    found = read(
        {
            0x00280010: ("US", b"\x00\x02"),
            0x00189089: ("FD", pack("<3d", 0.1, -1, 2.5)),
            0x00186020: ("SL", pack("<2i", -7, 7)),
            0x00280009: ("AT", b"\x18\x00\x63\x10"),
            0x00660016: ("OF", pack("<2f", 1, 2)),
            0x00720082: ("SV", pack("<q", -(2**63))),
            0x00540081: ("US", b""),
        }
    )
    assert found.text(0x00280010) == "512"
    assert found.text(0x00189089) == "0.10000000000000001\\-1\\2.5"
    assert found.text(0x00186020) == "-7\\7"
    assert found.text(0x00280009) == "0018,1063"
    assert found.text(0x00660016) == "1\\2"
    assert found.text(0x00720082) == "-9223372036854775808"
    assert found.text(0x00540081) == ""
    assert found.numbers(0x00189089) == (0.1, -1, 2.5)


def test_binary_values_and_sequences_have_no_text(read: Read) -> None:
    found = read({0x00420011: ("OB", b"%PDF"), SEQUENCE: ("SQ", b"")})
    assert found.text(0x00420011) is None
    assert found.text(SEQUENCE) is None
    assert found.text(0x00111001) is None
    assert found.raw(0x00420011) == b"%PDF"


def test_attributes_are_found_by_keyword(read: Read) -> None:
    found = read({})
    assert found.get("PatientName") == "DOE^JOHN"
    assert found.get("StudyDescription") == ""
    assert found.get("StudyDescription", "none") == "none"
    with pytest.raises(BadRequest):
        found.get("NoSuchKeyword")


def test_integers_are_read_from_texts_and_numbers(read: Read) -> None:
    found = read({0x00200013: ("IS", b" 00031\\2 "), 0x00280010: ("US", b"\1\0"), 0x00200011: ("IS", b"1A")})
    assert found.int(0x00200013) == 31
    assert found.int(0x00280010) == 1
    assert found.int(0x00200011) is None
    assert found.int(0x00200012) is None


def test_unknown_vrs_are_understood_by_the_dictionary(read: Read) -> None:
    found = read({0x00081030: ("UN", b"study "), 0x00280010: ("UN", b"\0\1"), 0x00111001: ("UN", b"x ")})
    assert (found.vr(0x00081030), found.text(0x00081030)) == ("LO", "study")
    assert found.text(0x00280010) == "256"
    assert (found.vr(0x00111001), found.text(0x00111001)) == ("UN", None)


def test_pixel_values_are_signed_if_the_pixels_are(dataset: Write, element: Write) -> None:
    lut = element(0x00283002, "SS", b"\0\0\xff\xff\x10\0", explicit=False)
    item = ITEM + pack("<I", len(lut)) + lut
    extra = {0x00280103: ("US", b"\1\0"), 0x00280120: ("SS", b"\xff\xff"), 0x00283000: ("SQ", item)}
    found = read_head(dataset(extra, explicit=False)).dataset
    assert found.text(0x00280120) == "-1"
    assert found.items(0x00283000)[0].text(0x00283002) == "0\\-1\\16"


def test_private_attributes_belong_to_their_creator(dataset: Write) -> None:
    extra = {
        0x00290010: ("LO", b"SIEMENS CSA HEADER"),
        0x00290011: ("LO", b"OTHER "),
        0x00291008: ("CS", b"IMAGE NUM 4 "),
        0x00291108: ("CS", b"x "),
    }
    found = read_head(dataset(extra, explicit=False)).dataset
    assert found.private_creator(0x00291008) == "SIEMENS CSA HEADER"
    assert (found.vr(0x00291008), found.text(0x00291008)) == ("CS", "IMAGE NUM 4")
    assert (found.vr(0x00291108), found.text(0x00291108)) == ("UN", None)
    assert found.private_creator(0x00100010) is None


class TestSequences:
    def content(self, element: Write, *, items_open: bool) -> bytes:
        code = element(0x00080100, "SH", b"A ")
        if items_open:
            return ITEM + OPEN + code + ITEM_END + ITEM + OPEN + ITEM_END
        return ITEM + pack("<I", len(code)) + code + ITEM + b"\0\0\0\0"

    @pytest.mark.parametrize("items_open", [False, True])
    @pytest.mark.parametrize("sequence_open", [False, True])
    def test_any_mix_of_lengths_is_read(
        self, file: Write, dataset: Write, element: Write, items_open: bool, sequence_open: bool
    ) -> None:
        content = self.content(element, items_open=items_open)
        inner = element(SEQUENCE, "SQ", content)
        if sequence_open:
            inner = element(SEQUENCE, "SQ", content + SEQUENCE_END, length=0xFFFFFFFF)
        tail = inner + element(0x00204000, "LT", b"after ")
        body = dataset({0x00100010: ("PN", b"X "), 0x0020000D: ("UI", b"1.2 ")})
        split = body.index(b"\x10\x00\x10\x00")
        found = read_head(file(body[:split] + inner + body[split:] + tail[len(inner) :])).dataset
        items = found.items(SEQUENCE)
        assert [item.get("CodeValue") for item in items] == ["A", ""]
        assert found.get("ImageComments") == "after"
        assert found.raw(SEQUENCE) == content

    def test_a_nested_one_is_walked_and_read(self, read: Read, element: Write) -> None:
        leaf = element(0x00080100, "SH", b"deep")
        for _ in range(60):
            leaf = element(0x0040A730, "SQ", ITEM + OPEN + leaf + ITEM_END + SEQUENCE_END, length=0xFFFFFFFF)
        found = read({}, leaf + element(0x00420011, "OB", b"ab"))
        assert found.raw(0x00420011) == b"ab"
        for _ in range(60):
            found = found.items(0x0040A730)[0]
        assert found.get("CodeValue") == "deep"

    def test_too_deep_a_one_is_corrupt(self, read: Read, element: Write) -> None:
        with pytest.raises(Corrupt):
            read({}, (element(0x0040A730, "SQ", b"", length=0xFFFFFFFF) + ITEM + OPEN) * 70)
        leaf = b""
        for _ in range(70):
            leaf = element(0x0040A730, "SQ", ITEM + pack("<I", len(leaf)) + leaf)
        found = read({}, leaf)
        with pytest.raises(Corrupt):
            for _ in range(70):
                found = found.items(0x0040A730)[0]

    def test_an_unknown_vr_of_undefined_length_is_an_implicit_sequence(
        self, read: Read, element: Write
    ) -> None:
        code = element(0x00080100, "SH", b"A ", explicit=False)
        content = ITEM + OPEN + code + ITEM_END + SEQUENCE_END
        found = read(
            {}, element(0x00291010, "UN", content, length=0xFFFFFFFF) + element(0x00420011, "OB", b"ab")
        )
        assert found.vr(0x00291010) == "SQ"
        assert found.items(0x00291010)[0].get("CodeValue") == "A"
        assert 0x00420011 in found

    def test_missing_delimiters_end_with_what_is_around(self, read: Read, element: Write) -> None:
        code = element(0x00080100, "SH", b"A ")
        no_item_end = element(0x0040A730, "SQ", ITEM + OPEN + code + SEQUENCE_END, length=0xFFFFFFFF)
        found = read({}, no_item_end + element(0x00420011, "OB", b"ab"))
        assert found.items(0x0040A730)[0].get("CodeValue") == "A"
        assert 0x00420011 in found
        no_sequence_end = element(0x0040A730, "SQ", ITEM + OPEN + code + ITEM_END, length=0xFFFFFFFF)
        found = read({}, no_sequence_end + element(0x00420011, "OB", b"ab"))
        assert len(found.items(0x0040A730)) == 1
        assert 0x00420011 in found

    def test_an_item_has_the_character_set_around_it_or_its_own(self, read: Read, element: Write) -> None:
        name = element(0x00100010, "PN", b"\xcf ")
        own = element(0x00080005, "CS", b"ISO_IR 100") + name
        content = ITEM + pack("<I", len(name)) + name + ITEM + pack("<I", len(own)) + own
        found = read({0x00080005: ("CS", b"ISO_IR 144"), SEQUENCE: ("SQ", content)})
        assert [item.get("PatientName") for item in found.items(SEQUENCE)] == ["Я", "Ï"]


def test_the_first_of_two_equal_tags_counts_and_order_is_restored(read: Read, element: Write) -> None:
    late = element(0x00100020, "LO", b"EVIL") + element(0x00080050, "SH", b"A1")
    found = read({}, late)
    assert found.get("PatientID") == "ID42"
    assert found.get("AccessionNumber") == "A1"
    assert list(found) == sorted(found)


def test_no_later_element_replaces_one_even_after_a_step_back(read: Read, element: Write) -> None:
    late = (
        element(0x00080050, "SH", b"A1")
        + element(0x00100020, "LO", b"EVIL")
        + element(0x0020000D, "UI", b"6.6.6\0")
        + element(0x00420011, "OB", b"ab")
    )
    found = read({}, late)
    assert found.get("PatientID") == "ID42"
    assert found.get("StudyInstanceUID") == "1.2.3.1"
    assert found.raw(0x00420011) == b"ab"


def test_a_cut_off_duplicate_leaves_the_first(read: Read, element: Write) -> None:
    assert read({}, element(0x00100020, "LO", b"EVIL", length=100)).get("PatientID") == "ID42"


def test_a_vr_of_a_later_edition_has_a_long_length(read: Read) -> None:
    found = read({}, b"\x42\x00\x11\x00ZZ\0\0\x02\0\0\0ab")
    assert found.raw(0x00420011) == b"ab"


def test_an_implicit_element_amid_explicit_ones_is_read(read: Read, element: Write) -> None:
    found = read({}, element(0x00204000, "LT", b"note", explicit=False) + element(0x00420011, "OB", b"ab"))
    assert found.get("ImageComments") == "note"
    assert 0x00420011 in found


def test_odd_lengths_are_read(read: Read) -> None:
    found = read({0x00081030: ("LO", b"odd"), 0x00280010: ("US", b"\1\0\2")})
    assert found.get("StudyDescription") == "odd"
    assert found.text(0x00280010) == "1"


def test_big_endian_values_are_read(file: Write, dataset: Write) -> None:
    data = file(dataset({0x00280010: ("US", b"\2\0")}, big=True), uids.EXPLICIT_VR_BIG_ENDIAN)
    assert read_head(data).dataset.int(0x00280010) == 512
