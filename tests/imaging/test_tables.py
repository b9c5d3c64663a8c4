"""Palettes and look-up tables as devices really write them."""

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_palette_files, get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from hounsfield import errors
from hounsfield.dicom.part10 import read_head
from hounsfield.imaging import render
from hounsfield.imaging.decode import Pixels
from hounsfield.imaging.tables import read_lookup_table, read_palette

Make = Callable[..., bytes]
Load = Callable[..., Pixels]

EXPLICIT, IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
CHANNELS = ("Red", "Green", "Blue")


def _palette(descriptor: list[int], data: bytes, *, segmented: bool = False) -> dict[str, Any]:
    prefix = "Segmented" if segmented else ""
    found: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for channel in CHANNELS:
        found[f"{channel}PaletteColorLookupTableDescriptor"] = descriptor
        found[f"{prefix}{channel}PaletteColorLookupTableData"] = data
    return found


def _values(data: bytes) -> list[int]:
    palette = read_palette(read_head(data).dataset)
    assert palette is not None
    assert palette.red.values.tolist() == palette.blue.values.tolist()
    return [int(value) for value in palette.red.values]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_entries_of_16_bits(syntax: str, make: Make) -> None:
    entries = struct.pack("<4H", 0, 1000, 2000, 65535)
    data = make(np.zeros((2, 2), np.uint8), syntax=syntax, **_palette([4, 0, 16], entries))
    assert _values(data) == [0, 1000, 2000, 65535]


def test_entries_in_big_endian(make: Make) -> None:
    entries = struct.pack(">4H", 0, 1000, 2000, 65535)
    data = make(np.zeros((2, 2), np.uint8), syntax=BIG_ENDIAN, **_palette([4, 0, 16], entries))
    assert _values(data) == [0, 1000, 2000, 65535]


def test_entries_of_8_bits_two_to_a_word(make: Make) -> None:
    data = make(np.zeros((2, 2), np.uint8), **_palette([4, 0, 8], b"\x01\x02\x03\x04"))
    assert _values(data) == [1, 2, 3, 4]


def test_entries_of_8_bits_a_word_each(make: Make) -> None:
    data = make(np.zeros((2, 2), np.uint8), **_palette([4, 0, 8], struct.pack("<4H", 1, 2, 3, 4)))
    assert _values(data) == [1, 2, 3, 4]


def test_zero_entries_mean_65536(make: Make) -> None:
    entries = np.arange(65536, dtype="<u2").tobytes()
    assert len(_values(make(np.zeros((2, 2), np.uint8), **_palette([0, 0, 16], entries)))) == 65536


def test_values_below_the_first_take_the_first_entry_and_beyond_the_last_the_last(
    make: Make, load: Load
) -> None:
    indices = np.array([[0, 9, 10, 11, 12, 200]], np.uint8)
    data = make(indices, **_palette([3, 10, 16], struct.pack("<3H", 256, 512, 768)))
    assert render.preview(load(data))[0, :, 0].tolist() == [1, 1, 1, 2, 3, 3]


def test_segments_discrete_linear_and_indirect(make: Make) -> None:
    segments = struct.pack("<13H", 0, 2, 5, 10, 1, 4, 50, 2, 2, 0, 0, 0, 1) + struct.pack("<H", 7)
    data = make(np.zeros((2, 2), np.uint8), **_palette([13, 0, 16], segments, segmented=True))
    # two entries; four steps from 10 to 50; both again, where the line starts from 10 once more; one entry
    assert _values(data) == [5, 10, 20, 30, 40, 50, 5, 10, 20, 30, 40, 50, 7]


@pytest.mark.parametrize(
    "segments",
    [
        [1, 2, 5],  # a line from nowhere
        [0, 9, 1, 2],  # longer than the data
        [0, 0, 0, 0],  # empty
        [0, 1, 5, 2, 1, 6, 0, 2, 1, 0, 0],  # refers to a reference
        [0, 1, 5, 2, 9, 60000, 9],  # refers beyond the end
        [7, 1, 1],
    ],
)
def test_broken_segments_are_corrupt(segments: list[int], make: Make) -> None:
    raw = struct.pack(f"<{len(segments)}H", *segments)
    data = make(np.zeros((2, 2), np.uint8), **_palette([64, 0, 16], raw, segmented=True))
    with pytest.raises(errors.Corrupt):
        read_palette(read_head(data).dataset)


@pytest.mark.parametrize("name", ["OBXXXX1A.dcm", "examples_palette.dcm", "gdcm-US-ALOKA-16.dcm"])
def test_palette_files_look_as_pydicom_shows_them(name: str, load: Load) -> None:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    dataset = pydicom.dcmread(path)
    expected = apply_color_lut(dataset.pixel_array, dataset)
    with open(path, "rb") as file:  # noqa: PTH123
        ours = render.preview(load(file.read()))
    assert (ours == (expected >> 8 if expected.dtype == np.uint16 else expected)).all()


def test_well_known_palettes_are_read() -> None:
    for path in get_palette_files("*.dcm"):
        dataset = pydicom.dcmread(path)
        out = io.BytesIO()
        dataset.save_as(out, enforce_file_format=True)
        head = read_head(out.getvalue())
        palette = read_palette(head.dataset)
        assert palette is not None
        assert len(palette.red.values) == 256
        if "RedPaletteColorLookupTableData" in dataset:
            expected = dataset.RedPaletteColorLookupTableData
            assert palette.red.values.tolist()[:128] == list(expected[:128])


@pytest.mark.parametrize("signed", [False, True])
def test_the_first_value_of_a_modality_table_has_the_sign_of_the_pixels(signed: bool, make: Make) -> None:
    item = Dataset()
    item.add_new(0x00283002, "US", [3, 65534, 16])
    item.add_new(0x00283006, "US", [7, 8, 9])
    data = make(np.zeros((2, 2), np.int16 if signed else np.uint16), ModalityLUTSequence=[item])
    (read,) = read_head(data).dataset.items(0x00283000)
    table = read_lookup_table(read, is_signed=signed)
    assert table.first == (-2 if signed else 65534)
    assert table.values.tolist() == [7, 8, 9]


@pytest.mark.parametrize("descriptor", [[3, 0], [3, 0, 0], [3, 0, 17]])
def test_a_broken_descriptor_is_corrupt(descriptor: list[int], make: Make) -> None:
    data = make(np.zeros((2, 2), np.uint8), **_palette(descriptor, b"\0\0"))
    with pytest.raises(errors.Corrupt):
        read_palette(read_head(data).dataset)


def test_an_empty_palette_is_corrupt(make: Make) -> None:
    with pytest.raises(errors.Corrupt):
        read_palette(read_head(make(np.zeros((2, 2), np.uint8), **_palette([4, 0, 16], b""))).dataset)
