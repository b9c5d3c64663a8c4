"""Cutting frames out of pixel data, with and without help from offset tables, whatever the bytes are."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield import errors
from hounsfield.dicom.part10 import read_head
from hounsfield.imaging import fragments
from hounsfield.imaging.description import describe, frame_count
from hounsfield.imaging.fragments import Encapsulated, locate_frame
from hounsfield.imaging.frames import NoPixelData, NoSuchFrame, count_frames, read_frame
from hounsfield.imaging.limits import DEFAULT_LIMITS, Limits

Make = Callable[..., bytes]
Wrap = Callable[..., bytes]

JPEG = b"\xff\xd8\xff\xe0"


def _frame(value: bytes, number: int, frames: int, **options: Any) -> bytes:
    data = memoryview(value)
    encapsulated = Encapsulated(data, 0, frames, options.pop("begins", fragments.begins_jpeg), **options)
    return b"".join(data[begin:end] for begin, end in locate_frame(encapsulated, number, DEFAULT_LIMITS))


def test_one_fragment_a_frame(wrap: Wrap) -> None:
    value = wrap(b"aa", b"bb", b"cc")
    assert [_frame(value, number, 3, begins=None) for number in (1, 2, 3)] == [b"aa", b"bb", b"cc"]


def test_all_fragments_of_a_single_frame(wrap: Wrap) -> None:
    assert _frame(wrap(b"aa", b"bb", b"cc"), 1, 1) == b"aabbcc"


def test_bit_streams_tell_where_frames_of_several_fragments_begin(wrap: Wrap) -> None:
    value = wrap(JPEG + b"11", b"22", JPEG + b"33", b"44", b"55")
    assert _frame(value, 1, 2) == JPEG + b"1122"
    assert _frame(value, 2, 2) == JPEG + b"334455"


def test_the_basic_offset_table_is_followed(wrap: Wrap) -> None:
    value = wrap(b"aa", b"bb", b"cc", offset_table=struct.pack("<II", 0, 20))
    assert _frame(value, 1, 2, begins=None) == b"aabb"
    assert _frame(value, 2, 2, begins=None) == b"cc"


def test_the_extended_offset_table_goes_before_the_basic_one(wrap: Wrap) -> None:
    value = wrap(b"aa", b"bb", b"cc", offset_table=struct.pack("<II", 0, 20))
    assert _frame(value, 1, 2, begins=None, extended_offsets=struct.pack("<QQ", 0, 10)) == b"aa"


@pytest.mark.parametrize("offsets", [(0, 0), (0, 6), (14, 0), (0, 4_000_000_000), (5, 9), (14, 28)])
def test_a_wrong_offset_table_is_not_believed(offsets: tuple[int, int], wrap: Wrap) -> None:
    value = wrap(JPEG + b"11", JPEG + b"22", offset_table=struct.pack("<II", *offsets))
    assert [_frame(value, number, 2) for number in (1, 2)] == [JPEG + b"11", JPEG + b"22"]


def test_an_offset_table_of_four_zero_bytes_says_nothing(wrap: Wrap) -> None:
    value = wrap(JPEG + b"11", JPEG + b"22", offset_table=bytes(4))
    assert _frame(value, 2, 2) == JPEG + b"22"


def test_a_missing_delimiter_is_forgiven(wrap: Wrap) -> None:
    assert _frame(wrap(b"aa", b"bb", delimiter=False), 2, 2) == b"bb"


def test_the_frames_before_a_cut_are_still_there(wrap: Wrap) -> None:
    value = wrap(JPEG + b"11", JPEG + b"22", JPEG + b"33")
    cut = value[:-10]
    assert _frame(cut, 2, 3) == JPEG + b"22"
    with pytest.raises(errors.Corrupt):
        _frame(cut, 3, 3)


def test_fragments_nobody_can_tell_apart_are_corrupt(wrap: Wrap) -> None:
    with pytest.raises(errors.Corrupt):
        _frame(wrap(b"aa", b"bb", b"cc"), 1, 2, begins=None)


def test_fragments_are_not_walked_without_end(wrap: Wrap) -> None:
    value = memoryview(wrap(*[b""] * 50))
    with pytest.raises(errors.Corrupt):
        locate_frame(Encapsulated(value, 0, 1, None), 1, Limits(fragments=49))


@given(st.binary(max_size=200), st.integers(1, 4), st.integers(1, 4), st.integers(0, 20))
def test_any_bytes_give_a_frame_or_are_corrupt(data: bytes, number: int, frames: int, start: int) -> None:
    for begins in (None, fragments.begins_jpeg):
        try:
            spans = locate_frame(
                Encapsulated(memoryview(data), start, max(frames, number), begins), number, DEFAULT_LIMITS
            )
        except errors.Corrupt:
            continue
        assert all(0 <= begin <= end <= len(data) for begin, end in spans)


@given(
    st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=5),
    st.lists(st.integers(0, 2**32 - 1), max_size=5),
)
def test_any_offset_table_leaves_single_fragments_readable(parts: list[bytes], offsets: list[int]) -> None:
    streams = [JPEG + part + b"\0" * (len(part) % 2) for part in parts]
    items = [struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part for part in streams]
    table = struct.pack(f"<{len(offsets)}I", *offsets)
    value = struct.pack("<HHI", 0xFFFE, 0xE000, len(table)) + table + b"".join(items)
    value += struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    for number in range(1, len(streams) + 1):
        # A table that names whole items is believed: it may then name too many, but the first is a bit stream's.
        assert _frame(value, number, len(streams))[:4] == JPEG


def test_rle_headers_are_told_from_other_bytes() -> None:
    assert fragments.begins_rle(struct.pack("<16I", 2, 64, 100, *[0] * 13))
    assert not fragments.begins_rle(struct.pack("<16I", 2, 64, 60, *[0] * 13))
    assert not fragments.begins_rle(struct.pack("<16I", 16, *[64] * 15))
    assert not fragments.begins_rle(b"short")


def test_native_frames_lie_one_after_the_other(make: Make) -> None:
    values = np.arange(45, dtype=np.uint8).reshape(3, 3, 5)
    data = make(values.tobytes(), like=values[0], NumberOfFrames=3)
    head = read_head(data)
    assert [bytes(read_frame(data, head, number).data) for number in (1, 2, 3)] == [
        frame.tobytes() for frame in values
    ]


def test_a_native_frame_beyond_the_bytes_is_corrupt_and_those_before_are_not(make: Make) -> None:
    values = np.arange(45, dtype=np.uint8).reshape(3, 3, 5)
    data = make(values[:2].tobytes(), like=values[0], NumberOfFrames=3)
    head = read_head(data)
    read_frame(data, head, 2)
    with pytest.raises(errors.Corrupt):
        read_frame(data, head, 3)


@pytest.mark.parametrize("number", [0, -1, 2, 10**12])
def test_there_is_no_frame_outside_of_the_count(number: int, make: Make) -> None:
    data = make(np.zeros((4, 4), np.uint8))
    with pytest.raises(NoSuchFrame):
        read_frame(data, read_head(data), number)


def test_an_instance_without_pixel_data_says_so(make: Make) -> None:
    data = make(np.zeros((4, 4), np.uint8))
    head = read_head(data[: read_head(data).pixel_data_offset])
    with pytest.raises(NoPixelData):
        read_frame(data, head, 1)


def test_an_encapsulated_syntax_with_native_pixel_data_is_corrupt(make: Make) -> None:
    data = make(bytes(32), like=np.zeros((4, 4), np.uint16), syntax="1.2.840.10008.1.2.4.70")
    with pytest.raises(errors.Corrupt):
        read_frame(data, read_head(data), 1)


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"Rows": 0}, errors.Corrupt),
        ({"BitsStored": 17}, errors.Corrupt),
        ({"HighBit": 16}, errors.Corrupt),
        ({"HighBit": 3}, errors.Corrupt),
        ({"BitsAllocated": 12}, errors.Unsupported),
        ({"SamplesPerPixel": 2}, errors.Unsupported),
        ({"NumberOfFrames": -1}, errors.Corrupt),
    ],
)
def test_impossible_descriptions_are_refused(
    attributes: dict[str, int], error: type[errors.ArchiveError], make: Make
) -> None:
    data = make(np.zeros((4, 4), np.uint16), **attributes)
    with pytest.raises(error):
        describe(read_head(data).dataset)


def test_no_more_frames_are_counted_than_the_bytes_could_hold(make: Make, wrap: Wrap) -> None:
    image = np.zeros((4, 4), np.uint16)
    for data, possible in (
        (make(image.tobytes() * 3, like=image, NumberOfFrames=2**31 - 1), 3),
        (make([b"12"] * 5, like=image, syntax="1.2.840.10008.1.2.4.70", NumberOfFrames=2**31 - 1), 500),
    ):
        assert 0 < count_frames(read_head(data), len(data)) <= possible
    for frames in (1, 2, 5):
        data = make(image.tobytes() * frames, like=image, NumberOfFrames=frames)
        assert count_frames(read_head(data), len(data)) == frames
    data = make([b"12"] * 5, like=image, syntax="1.2.840.10008.1.2.4.70", NumberOfFrames=5)
    assert count_frames(read_head(data), len(data)) == 5
    assert count_frames(read_head(data[: read_head(data).pixel_data_offset]), len(data)) == 0


def test_sizes_written_as_wider_numbers_are_no_way_around_the_limits(make: Make) -> None:
    data = make(np.zeros((4, 4), np.uint16))
    rows = b"\x28\x00\x10\x00US\x02\x00\x04\x00"
    for value in (0xFFFFFFFF, 0x10000, 0x10004):
        wide = data.replace(rows, b"\x28\x00\x10\x00UL\x04\x00" + struct.pack("<I", value))
        assert wide != data
        with pytest.raises(errors.Corrupt):
            read_frame(wide, read_head(wide), 1)


def test_a_number_of_frames_left_out_or_zero_is_one(make: Make) -> None:
    image = np.zeros((4, 4), np.uint8)
    assert frame_count(read_head(make(image)).dataset) == 1
    assert frame_count(read_head(make(image, NumberOfFrames=0)).dataset) == 1
    assert frame_count(read_head(make(image, NumberOfFrames=7)).dataset) == 7
