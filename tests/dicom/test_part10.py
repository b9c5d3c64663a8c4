"""Reading heads: what is a file, where its pixel data is, and what happens when it breaks the rules."""

import mmap
import random
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.dicom import json, part10, uids
from hounsfield.dicom.identifiers import identify
from hounsfield.errors import ArchiveError, Corrupt

Write = Callable[..., bytes]
PIXELS = {0x7FE00010: ("OW", bytes(range(8)))}
ITEM = b"\xfe\xff\x00\xe0"
ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
OPEN = b"\xff\xff\xff\xff"


def test_a_header_is_what_pydicom_expects(dataset: Write) -> None:
    header = part10.wrap_header("1.2.840.10008.5.1.4.1.1.7", "1.2.3", uids.EXPLICIT_VR_LITTLE_ENDIAN)
    meta = pydicom.dcmread(BytesIO(header + dataset())).file_meta
    assert meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert meta.ImplementationVersionName == uids.IMPLEMENTATION_VERSION_NAME
    assert meta.FileMetaInformationGroupLength == len(header) - 144
    assert len(header) % 2 == 0


def test_the_pixel_data_offset_is_that_of_its_tag(file: Write, dataset: Write) -> None:
    data = file(dataset(PIXELS))
    head = part10.read_head(data)
    assert head.pixel_data_offset == data.index(b"\xe0\x7f\x10\x00")
    assert (head.pixel_data_vr, head.pixel_data_length) == ("OW", 8)
    assert 0x7FE00010 not in head.dataset
    assert head.meta.transfer_syntax_uid == head.transfer_syntax_uid == uids.EXPLICIT_VR_LITTLE_ENDIAN
    assert head.meta_dataset.int(0x00020000) is not None
    assert head.dataset_offset == len(data) - len(dataset(PIXELS))


def test_encapsulated_pixel_data_has_no_length(file: Write, dataset: Write, element: Write) -> None:
    fragments = ITEM + b"\0\0\0\0" + ITEM + b"\x02\0\0\0ab" + SEQUENCE_END
    data = dataset() + element(0x7FE00010, "OB", fragments, length=0xFFFFFFFF)
    head = part10.read_head(file(data, "1.2.840.10008.1.2.4.50"))
    assert head.has_pixel_data
    assert head.pixel_data_length is None


def test_the_whole_file_has_elements_after_pixel_data(file: Write, dataset: Write) -> None:
    data = file(dataset({**PIXELS, 0xFFFCFFFC: ("OB", b"\0\0")}))
    assert 0xFFFCFFFC not in part10.read_head(data).dataset
    whole = part10.read_whole(data)
    assert list(whole.dataset)[-2:] == [0x7FE00010, 0xFFFCFFFC]
    assert whole.dataset.raw(0x7FE00010) == bytes(range(8))
    assert whole.pixel_data_offset == part10.read_head(data).pixel_data_offset


@pytest.mark.parametrize(
    ("explicit", "big", "syntax"),
    [
        (True, False, uids.EXPLICIT_VR_LITTLE_ENDIAN),
        (False, False, uids.IMPLICIT_VR_LITTLE_ENDIAN),
        (True, True, uids.EXPLICIT_VR_BIG_ENDIAN),
    ],
)
class TestEncodings:
    def test_a_bare_data_set_is_read_in_the_syntax_given(
        self, dataset: Write, explicit: bool, big: bool, syntax: str
    ) -> None:
        head = part10.read_head(dataset(PIXELS, explicit=explicit, big=big), transfer_syntax_uid=syntax)
        assert identify(head.dataset).patient_id == "ID42"
        assert head.pixel_data_vr == "OW"
        assert head.dataset_offset == 0

    def test_without_meta_the_syntax_is_guessed(
        self, dataset: Write, explicit: bool, big: bool, syntax: str
    ) -> None:
        head = part10.read_head(dataset(PIXELS, explicit=explicit, big=big))
        assert head.transfer_syntax_uid == syntax
        assert head.dataset.get("PatientName") == "DOE^JOHN"

    def test_without_preamble_the_meta_is_found(
        self, file: Write, dataset: Write, explicit: bool, big: bool, syntax: str
    ) -> None:
        head = part10.read_head(file(dataset(explicit=explicit, big=big), syntax)[132:])
        assert head.transfer_syntax_uid == syntax
        assert head.dataset.get("PatientID") == "ID42"

    @pytest.mark.parametrize("label", [uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.IMPLICIT_VR_LITTLE_ENDIAN])
    def test_a_wrong_label_is_seen_through(
        self, file: Write, dataset: Write, explicit: bool, big: bool, syntax: str, label: str
    ) -> None:
        head = part10.read_head(file(dataset(PIXELS, explicit=explicit, big=big), label))
        assert identify(head.dataset).study_instance_uid == "1.2.3.1"
        assert head.transfer_syntax_uid == label


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_any_buffer_will_do(file: Write, dataset: Write, wrap: Callable[[bytes], bytes]) -> None:
    head = part10.read_head(wrap(file(dataset(PIXELS))))
    assert head.dataset.get("PatientName") == "DOE^JOHN"


def test_a_small_head_does_not_hold_the_map_it_was_read_from(
    tmp_path: Path, file: Write, dataset: Write
) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(file(dataset(PIXELS)))
    with path.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        head = part10.read_head(mapped)
        view = memoryview(mapped)
        other = part10.read_head(view)
        view.release()
        mapped.close()
    assert head.dataset.get("PatientID") == other.dataset.get("PatientID") == "ID42"


class TestDeflated:
    @staticmethod
    def deflate(data: bytes) -> bytes:
        engine = zlib.compressobj(wbits=-15)
        return engine.compress(data) + engine.flush()

    def test_it_is_inflated_up_to_pixel_data(self, file: Write, dataset: Write) -> None:
        body = dataset({0x7FE00010: ("OW", bytes(50 << 20))})
        head = part10.read_head(
            file(self.deflate(body), uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN), maximum_inflated=1 << 20
        )
        assert head.dataset.get("PatientID") == "ID42"
        assert (head.pixel_data_vr, head.pixel_data_offset, head.has_pixel_data) == ("OW", None, True)

    def test_a_bomb_is_refused(self, file: Write, dataset: Write) -> None:
        body = dataset({0x00420011: ("OB", bytes(50 << 20))})
        with pytest.raises(Corrupt):
            part10.read_head(
                file(self.deflate(body), uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN), maximum_inflated=1 << 20
            )

    def test_a_header_of_zlib_and_a_label_alone_are_tolerated(self, file: Write, dataset: Write) -> None:
        for body in (zlib.compress(dataset()), dataset()):
            head = part10.read_head(file(body, uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN))
            assert head.dataset.get("PatientID") == "ID42"


class TestDamage:
    @pytest.mark.parametrize(
        "data",
        [b"", b"DICM", b"\0" * 200, b"\0" * 128 + b"DICM", b"hello, world" * 30, b"\x89PNG\r\n\x1a\n" * 9],
    )
    def test_what_is_not_dicom_is_corrupt(self, data: bytes) -> None:
        with pytest.raises(ArchiveError):
            identify(part10.read_head(data).dataset)

    def test_a_cut_in_pixel_data_is_fine(self, file: Write, dataset: Write) -> None:
        head = part10.read_head(file(dataset(PIXELS))[:-5])
        assert head.has_pixel_data
        assert not head.is_truncated

    def test_a_cut_after_the_identifiers_keeps_what_can_be_read(self, file: Write, dataset: Write) -> None:
        head = part10.read_head(file(dataset({0x00204000: ("LT", b"comment ")}))[:-3])
        assert head.is_truncated
        assert identify(head.dataset).sop_instance_uid == "1.2.3.4"
        assert 0x00204000 not in head.dataset

    def test_a_cut_before_them_is_corrupt(self, file: Write, dataset: Write) -> None:
        with pytest.raises(Corrupt):
            part10.read_head(file(dataset())[:-20])

    def test_a_wrong_group_length_of_the_meta_is_ignored(self, file: Write, dataset: Write) -> None:
        data = bytearray(file(dataset()))
        for wrong in (0, 14, 15, 0xFFFFFFFF, 300):
            data[140:144] = wrong.to_bytes(4, "little")
            assert part10.read_head(bytes(data)).dataset.get("PatientID") == "ID42"

    def test_zeros_at_the_end_are_padding(self, file: Write, dataset: Write) -> None:
        assert not part10.read_head(file(dataset()) + bytes(100)).is_truncated

    def test_too_many_elements_are_corrupt(self, file: Write, dataset: Write, element: Write) -> None:
        with pytest.raises(Corrupt):
            part10.read_head(file(dataset() + element(0x00210001, "LO", b"") * 300_000))


def test_cutting_a_file_anywhere_gives_a_head_or_an_error(file: Write, dataset: Write) -> None:
    data = file(dataset({0x00081030: ("LO", b"study "), **PIXELS}))
    for size in range(len(data)):
        _try(data[:size])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([None, *uids.TRANSFER_SYNTAXES]))
def test_any_bytes_give_a_head_or_an_error(data: bytes, syntax: str | None) -> None:
    _try(data, syntax)


def test_mutated_files_give_a_head_or_an_error(file: Write, dataset: Write, element: Write) -> None:
    items = (ITEM + OPEN + element(0x00080100, "SH", b"code") + ITEM_END) * 2
    nested = element(0x0040A730, "SQ", ITEM + OPEN + items + ITEM_END + SEQUENCE_END, length=0xFFFFFFFF)
    seed = file(
        dataset({0x00080005: ("CS", b"\\ISO 2022 IR 87 "), 0x00091001: ("UN", b"x"), **PIXELS}) + nested
    )
    randomness = random.Random(42)
    for _ in range(3000):
        data = bytearray(seed)
        for _ in range(randomness.randint(1, 6)):
            data[randomness.randrange(130, len(data))] = randomness.choice(
                (0, 1, 0xFF, 0xFE, randomness.randrange(256))
            )
        _try(bytes(data))


def _try(data: bytes, syntax: str | None = None) -> None:
    try:
        head = part10.read_whole(data, transfer_syntax_uid=syntax)
        json.full(head.dataset)
        json.simplified(part10.read_head(data, transfer_syntax_uid=syntax).dataset)
        identify(head.dataset).public_ids()
    except ArchiveError:
        pass
