"""Files in another transfer syntax: what comes out is read by our own decoders, by pydicom and by DCMTK."""

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.pixels.utils import pixel_array

from hounsfield import errors
from hounsfield.dicom.part10 import read_head, wrap_header
from hounsfield.imaging.decode import Pixels, decode
from hounsfield.imaging.encapsulation import encapsulated
from hounsfield.imaging.encoders import ENCODERS, near_lossless_error
from hounsfield.imaging.frames import count_frames, read_frame
from hounsfield.imaging.transcode import is_lossy, transcode

Make = Callable[..., bytes]
Grey = NDArray[np.uint16]
Rgb = NDArray[np.uint8]

ARC = "1.2.840.10008.1.2.4."
IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
)
NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)
RLE, DEFLATED_FRAME = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1"
LOSSLESS = [uid for uid in ENCODERS if not is_lossy(uid)]
LOSSY = [uid for uid in ENCODERS if is_lossy(uid)]
FILES = (
    "CT_small.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "emri_small_jpeg_2k_lossless.dcm",
    "SC_rgb_rle_2frame.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "SC_rgb_32bit.dcm",
    "OBXXXX1A_rle.dcm",
    "examples_palette.dcm",
    "liver.dcm",
    "image_dfl.dcm",
    "rtdose_expb.dcm",
    "JPEG2000.dcm",
    "JPEG-lossy.dcm",
)


def bundled(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    if not isinstance(path, str):
        pytest.skip(f"pydicom has no {name}")
    return Path(path).read_bytes()


def floating(values: NDArray[Any]) -> bytes:
    """A file of Float or Double Float Pixel Data, shape (frames, rows, columns)."""
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.30", "1.2.3.4"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = 8 * values.dtype.itemsize
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    keyword = "FloatPixelData" if values.dtype == np.float32 else "DoubleFloatPixelData"
    setattr(dataset, keyword, values.tobytes())
    written = io.BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def frames(data: bytes) -> list[Pixels]:
    head = read_head(data)
    return [decode(read_frame(data, head, each)) for each in range(1, count_frames(head, len(data)) + 1)]


def attributes(data: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)


def distance(one: Pixels, other: Pixels) -> int:
    return int(np.abs(one.array.astype(np.int64) - other.array).max())


@pytest.mark.parametrize("name", FILES)
def test_every_lossless_transcoding_gives_the_same_pixels_of_the_same_instance(name: str) -> None:
    source = bundled(name)
    before = frames(source)
    for uid in (*LOSSLESS, *NATIVE):
        try:
            result = transcode(source, uid)
        except errors.Unsupported:
            assert uid not in NATIVE
            continue
        after = frames(result)
        assert len(after) == len(before)
        for one, other in zip(before, after, strict=True):
            assert one.photometric == other.photometric, uid
            np.testing.assert_array_equal(one.array, other.array, err_msg=uid)
        head = attributes(result)
        assert head.file_meta.TransferSyntaxUID == uid
        assert head.SOPInstanceUID == attributes(source).SOPInstanceUID


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_point_pixels_go_between_native_transfer_syntaxes(dtype: type[np.floating[Any]]) -> None:
    values = np.random.default_rng(2).normal(size=(2, 3, 5)).astype(dtype)
    for first in NATIVE:
        for second in NATIVE:
            found = frames(transcode(transcode(floating(values), first), second))
            np.testing.assert_array_equal(np.stack([each.array[..., 0] for each in found]), values)


@pytest.mark.parametrize("first", [*LOSSLESS, *NATIVE])
def test_from_every_transfer_syntax_to_every_other(first: str, make: Make, grey: Grey) -> None:
    start = transcode(make(grey, BitsStored=12), first)
    for second in (*LOSSLESS, *NATIVE):
        [pixels] = frames(transcode(start, second))
        np.testing.assert_array_equal(pixels.array[..., 0], grey, err_msg=second)


@pytest.mark.parametrize("uid", LOSSY)
@pytest.mark.parametrize("quality", [20, 90])
def test_lossy_transcoding_stays_near_and_makes_another_instance(
    uid: str, quality: int, make: Make, rgb: Rgb
) -> None:
    source = make(rgb, ImageType=["ORIGINAL", "PRIMARY"])
    result = transcode(source, uid, lossy_quality=quality)
    [before], [after] = frames(source), frames(result)
    error = np.abs(before.array.astype(int) - after.array).mean()
    assert error <= (8 if quality == 20 else 3)
    head = attributes(result)
    assert head.SOPInstanceUID != "1.2.3.4"
    assert head.file_meta.MediaStorageSOPInstanceUID == head.SOPInstanceUID
    assert head.LossyImageCompression == "01"
    assert head.LossyImageCompressionMethod == ENCODERS[uid].method
    assert head.LossyImageCompressionRatio > 1
    assert head.ImageType == ["DERIVED", "PRIMARY"]
    assert f"quality {quality}" in head.DerivationDescription
    assert head.DerivationCodeSequence[0].CodeValue == "113040"
    assert head.SourceImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"
    assert head.SourceImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "121320"


@pytest.mark.parametrize("uid", [ARC + "51", ARC + "81", ARC + "91", ARC + "203", ARC + "112"])
def test_lossy_transcoding_is_judged_by_the_values_there_are(uid: str, make: Make, grey: Grey) -> None:
    # 12 bits that use a tenth of their range: an error that is small beside 4095 would be large here.
    narrow = np.asarray(100 + grey // 10, np.uint16)
    source = make(narrow, BitsStored=12)
    [before], [after] = frames(source), frames(transcode(source, uid))
    assert distance(before, after) < np.ptp(narrow) / 10


def test_near_lossless_keeps_its_promise_at_the_ends_of_the_type(make: Make) -> None:
    values = np.tile(np.array([-2048, 2047, -1, 0, 5], np.int16), (40, 8))
    source = make(values, BitsStored=12)
    for quality in (100, 90, 40):
        [after] = frames(transcode(source, ARC + "81", lossy_quality=quality))
        assert int(np.abs(after.array[..., 0].astype(int) - values).max()) <= near_lossless_error(quality)


def test_a_quality_less_gives_a_file_smaller(make: Make, rgb: Rgb) -> None:
    for uid in LOSSY:
        fine, coarse = (len(transcode(make(rgb), uid, lossy_quality=each)) for each in (95, 30))
        assert coarse < fine, uid


def test_the_uid_is_kept_where_the_caller_says_so(make: Make, rgb: Rgb) -> None:
    head = attributes(transcode(make(rgb), ARC + "50", is_uid_kept=True))
    assert head.SOPInstanceUID == "1.2.3.4"
    assert head.LossyImageCompression == "01"
    assert "SourceImageSequence" not in head


def test_a_file_of_that_transfer_syntax_comes_back_unchanged(make: Make, grey: Grey) -> None:
    for uid in (EXPLICIT, ARC + "91", RLE):
        once = transcode(make(grey), uid)
        assert transcode(once, uid) == once


def test_what_ps35_has_no_place_for_is_unsupported(make: Make, grey: Grey, rgb: Rgb) -> None:
    signed = grey.astype(np.int16)
    for data, uid in (
        (make(grey, BitsStored=12), ARC + "50"),
        (make(grey), ARC + "51"),
        (make(signed, BitsStored=12), ARC + "51"),
        (make(grey), ARC + "100"),
        (make(grey), "1.2.3"),
        (bundled("examples_palette.dcm"), ARC + "50"),
        (bundled("liver.dcm"), RLE),
        (floating(np.ones((2, 3, 5), np.float32)), ARC + "90"),
        (bundled("test-SR.dcm"), ARC + "90"),
    ):
        with pytest.raises(errors.Unsupported):
            transcode(data, uid)


def test_an_instance_without_pixels_is_only_written_anew() -> None:
    source = bundled("test-SR.dcm")
    for uid in NATIVE:
        assert attributes(transcode(source, uid)).SOPInstanceUID == attributes(source).SOPInstanceUID


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("NumberOfFrames", -3), ("SamplesPerPixel", 2), ("HighBit", 3), ("BitsAllocated", 12)],
)
def test_an_image_that_makes_no_sense_is_still_written_in_another_order(keyword: str, value: object) -> None:
    path = get_testdata_file("CT_small.dcm")
    assert isinstance(path, str)
    dataset = pydicom.dcmread(path)
    pixels = dataset.PixelData
    with pydicom.config.disable_value_validation():
        dataset.add_new(keyword, pydicom.datadict.dictionary_VR(keyword), value)
        written = io.BytesIO()
        dataset.save_as(written)
    implicit = transcode(written.getvalue(), "1.2.840.10008.1.2")
    assert pydicom.dcmread(io.BytesIO(implicit))["PixelData"].value == pixels
    swapped = transcode(implicit, "1.2.840.10008.1.2.2")
    again = transcode(swapped, "1.2.840.10008.1.2.1")
    assert pydicom.dcmread(io.BytesIO(again))["PixelData"].value == pixels
    assert swapped.find(pixels[:64]) == -1


def test_what_is_damaged_is_corrupt(make: Make, grey: Grey) -> None:
    for uid in (ARC + "90", ARC + "70", RLE, EXPLICIT):
        with pytest.raises(errors.Corrupt):
            transcode(transcode(make(grey), uid)[:-1200], ARC + "80")


def test_overlays_in_unused_bits_become_overlay_data(make: Make, grey: Grey) -> None:
    stamp = np.zeros(grey.shape, np.uint16)
    stamp[10:20, 30:50] = 1
    source = make(grey | (stamp << 12), BitsStored=12)
    dataset = pydicom.dcmread(io.BytesIO(source))
    rows, columns = grey.shape
    for tag, vr, value in (
        (0x60000010, "US", rows),
        (0x60000011, "US", columns),
        (0x60000040, "CS", "G"),
        (0x60000050, "SS", [1, 1]),
        (0x60000100, "US", 16),
        (0x60000102, "US", 12),
    ):
        dataset.add_new(tag, vr, value)
    written = io.BytesIO()
    dataset.save_as(written)
    for uid in (ARC + "80", RLE):
        head = attributes(transcode(written.getvalue(), uid))
        assert (head[0x60000100].value, head[0x60000102].value) == (1, 0)
        np.testing.assert_array_equal(head.overlay_array(0x6000), stamp)


def test_elements_behind_the_pixels_stay(make: Make, grey: Grey) -> None:
    source = make(grey) + b"\xfc\xff\xfc\xffOB\0\0\x04\0\0\0pad\0"
    for uid in (*NATIVE[:2], ARC + "90"):
        whole = pydicom.dcmread(io.BytesIO(transcode(source, uid)))
        assert whole[0xFFFCFFFC].value == b"pad\0", uid


def test_frames_have_an_offset_table(make: Make) -> None:
    result = transcode(bundled("SC_rgb_rle_2frame.dcm"), ARC + "90")
    dataset = pydicom.dcmread(io.BytesIO(result))
    assert pydicom.encaps.get_frame(dataset.PixelData, 1)[:4] == b"\xff\x4f\xff\x51"
    assert pydicom.encaps.parse_basic_offsets(dataset.PixelData)[0] == 0


def test_offsets_too_large_for_the_basic_table_are_in_the_extended_one() -> None:
    pieces = encapsulated([b"first", b"second frame", b"last"], largest_offset=20)
    data = wrap_header("1.2", "1.2.3", ARC + "80") + b"".join(pieces)
    dataset = pydicom.dcmread(io.BytesIO(data))
    assert np.frombuffer(dataset.ExtendedOffsetTable, "<u8").tolist() == [0, 14, 34]
    assert np.frombuffer(dataset.ExtendedOffsetTableLengths, "<u8").tolist() == [5, 12, 4]
    found = pydicom.encaps.get_frame(
        dataset.PixelData,
        1,
        extended_offsets=(dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths),
    )
    assert found == b"second frame"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("uid", [IMPLICIT, EXPLICIT, DEFLATED, RLE, ARC + "90"])
def test_nothing_but_the_pixels_changes(name: str, uid: str) -> None:
    source = bundled(name)
    try:
        after = attributes(transcode(source, uid))
    except errors.Unsupported:
        return
    before = attributes(source)
    of_pixels = {
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "HighBit",
        "BitsStored",
        "BitsAllocated",
        "PixelRepresentation",
        "LossyImageCompression",
        "LossyImageCompressionMethod",
    }
    for element in before:
        if element.tag.element == 0 or element.keyword in of_pixels or element.tag.is_private:
            continue
        if element.VR in ("OW", "SQ", "UN"):
            assert element.tag in after
        else:
            assert after[element.tag].value == element.value, element.tag
    added = {element.keyword for element in after} - {element.keyword for element in before}
    assert added <= of_pixels


@pytest.mark.dcmtk
@pytest.mark.parametrize(
    ("uid", "tool"),
    [
        (ARC + "57", "dcmdjpeg"),
        (ARC + "70", "dcmdjpeg"),
        (ARC + "80", "dcmdjpls"),
        (RLE, "dcmdrle"),
        (BIG_ENDIAN, "dcmconv"),
        (DEFLATED, "dcmconv"),
    ],
)
@pytest.mark.parametrize("name", ["CT_small.dcm", "SC_rgb_rle_2frame.dcm", "examples_palette.dcm"])
def test_dcmtk_reads_what_we_write(name: str, uid: str, tool: str, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool}")
    source = bundled(name)
    (tmp_path / "ours.dcm").write_bytes(transcode(source, uid))
    options = ["+te"] if tool == "dcmconv" else []
    subprocess.run([tool, *options, tmp_path / "ours.dcm", tmp_path / "theirs.dcm"], check=True)
    theirs = pixel_array(tmp_path / "theirs.dcm", raw=True)
    np.testing.assert_array_equal(theirs, pixel_array(io.BytesIO(source), raw=True))


@pytest.mark.parametrize("uid", [ARC + "90", ARC + "201", RLE])
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "SC_rgb_rle_2frame.dcm"])
def test_pydicom_reads_what_we_write(name: str, uid: str) -> None:
    source = bundled(name)
    ours: Any = pixel_array(io.BytesIO(transcode(source, uid)), raw=True)
    np.testing.assert_array_equal(ours, pixel_array(io.BytesIO(source), raw=True))


def test_the_smallest_images_are_transcoded_too(make: Make) -> None:
    for shape in ((1, 1), (1, 2), (5, 1), (1, 1, 3)):
        for dtype in (np.uint8, np.int16, np.uint32):
            array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
            for uid in LOSSLESS:
                try:
                    [after] = frames(transcode(make(array), uid))
                except errors.Unsupported:
                    continue
                np.testing.assert_array_equal(after.array.reshape(shape), array, err_msg=uid)
