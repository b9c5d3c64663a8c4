"""Every transfer syntax, and every way samples can lie in memory, against pydicom, DCMTK and what was encoded."""

import io
import pickle
import subprocess
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_files
from pydicom.pixels.utils import pixel_array
from rle.utils import encode_pixel_data

from hounsfield import errors
from hounsfield.dicom.part10 import read_head
from hounsfield.imaging.codecs import CODECS
from hounsfield.imaging.decode import Pixels, decode
from hounsfield.imaging.frames import read_frame
from hounsfield.imaging.limits import Limits

Make = Callable[..., bytes]
Load = Callable[..., Pixels]
Grey = NDArray[np.uint16]
Rgb = NDArray[np.uint8]

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG_ENDIAN, DEFLATED, DEFLATED_FRAME = (
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.8.1",
)
RLE, BASELINE, LOSSLESS, JPEG_LS = (
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
)
FRAMES_COMPARED = 3


def _rle(image: NDArray[Any]) -> bytes:
    return bytes(
        encode_pixel_data(
            image.tobytes(),
            rows=image.shape[0],
            columns=image.shape[1],
            samples_per_pixel=1 if image.ndim == 2 else image.shape[2],
            bits_allocated=image.dtype.itemsize * 8,
            bits_stored=image.dtype.itemsize * 8,
            number_of_frames=1,
            byteorder="<",
        )
    )


def _lossless_jpeg(image: NDArray[Any]) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(image, lossless=True, bitspersample=image.dtype.itemsize * 8))


ENCODERS: dict[str, tuple[Callable[[NDArray[Any]], bytes], int]] = {
    "1.2.840.10008.1.2.4.51": (lambda i: bytes(imagecodecs.jpeg8_encode(i, 98, bitspersample=12)), 12),
    "1.2.840.10008.1.2.4.57": (_lossless_jpeg, 0),
    "1.2.840.10008.1.2.4.70": (_lossless_jpeg, 0),
    "1.2.840.10008.1.2.4.80": (lambda i: bytes(imagecodecs.jpegls_encode(i)), 0),
    "1.2.840.10008.1.2.4.81": (lambda i: bytes(imagecodecs.jpegls_encode(i, 3)), 3),
    "1.2.840.10008.1.2.4.90": (lambda i: bytes(imagecodecs.jpeg2k_encode(i, codecformat="j2k")), 0),
    "1.2.840.10008.1.2.4.91": (lambda i: bytes(imagecodecs.jpeg2k_encode(i, codecformat="jp2")), 0),
    "1.2.840.10008.1.2.4.92": (lambda i: bytes(imagecodecs.jpeg2k_encode(i, codecformat="j2k")), 0),
    "1.2.840.10008.1.2.4.93": (lambda i: bytes(imagecodecs.jpeg2k_encode(i, codecformat="j2k")), 0),
    "1.2.840.10008.1.2.4.110": (lambda i: bytes(imagecodecs.jpegxl_encode(i, lossless=True)), 0),
    "1.2.840.10008.1.2.4.112": (lambda i: bytes(imagecodecs.jpegxl_encode(i, usecontainer=True)), 0),
    "1.2.840.10008.1.2.4.201": (lambda i: bytes(imagecodecs.htj2k_encode(i)), 0),
    "1.2.840.10008.1.2.4.202": (lambda i: bytes(imagecodecs.htj2k_encode(i)), 0),
    "1.2.840.10008.1.2.4.203": (lambda i: bytes(imagecodecs.htj2k_encode(i, reversible=False)), 3),
    RLE: (_rle, 0),
}


@pytest.mark.parametrize("syntax", sorted(ENCODERS))
def test_grey_comes_back_from_every_encapsulated_syntax(
    syntax: str, grey: Grey, make: Make, load: Load
) -> None:
    encode, tolerance = ENCODERS[syntax]
    data = make([encode(grey), encode(grey[::-1])], like=grey, syntax=syntax, NumberOfFrames=2, BitsStored=12)
    for number, expected in ((1, grey), (2, grey[::-1])):
        pixels = load(data, number)
        assert pixels.array.shape == (*grey.shape, 1)
        assert pixels.array.dtype == np.uint16
        assert np.abs(pixels.array[..., 0].astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("syntax", sorted(set(ENCODERS) - {"1.2.840.10008.1.2.4.51"}))
def test_colour_comes_back_from_every_encapsulated_syntax(
    syntax: str, rgb: Rgb, make: Make, load: Load
) -> None:
    encode, tolerance = ENCODERS[syntax]
    pixels = load(make([encode(rgb)], like=rgb, syntax=syntax))
    assert pixels.photometric == "RGB"
    assert np.abs(pixels.array.astype(int) - rgb).max() <= tolerance + (syntax.endswith(("112", "203"))) * 8


def test_every_known_syntax_is_tried_here() -> None:
    tried = {
        *ENCODERS,
        BASELINE,
        "1.2.840.10008.1.2.4.53",
        "1.2.840.10008.1.2.4.55",
        "1.2.840.10008.1.2.4.111",
    }
    assert set(CODECS) == tried


@pytest.mark.parametrize("syntax", [BASELINE, "1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55"])
def test_baseline_jpeg_is_close(syntax: str, rgb: Rgb, make: Make, load: Load) -> None:
    stream = bytes(imagecodecs.jpeg8_encode(rgb, 98))
    pixels = load(make([stream], like=rgb, syntax=syntax, PhotometricInterpretation="YBR_FULL_422"))
    assert pixels.photometric == "RGB"
    assert np.abs(pixels.array.astype(int) - rgb).mean() < 2


def test_jpeg_recompressed_as_jpeg_xl_is_close(rgb: Rgb, make: Make, load: Load) -> None:
    stream = bytes(imagecodecs.jpegxl_encode_jpeg(bytes(imagecodecs.jpeg8_encode(rgb, 98))))
    pixels = load(make([stream], like=rgb, syntax="1.2.840.10008.1.2.4.111"))
    assert np.abs(pixels.array.astype(int) - rgb).mean() < 2


@pytest.mark.parametrize("declared", ["RGB", "YBR_FULL", "YBR_FULL_422"])
def test_the_markers_of_a_jpeg_know_its_colour_space(declared: str, rgb: Rgb, make: Make, load: Load) -> None:
    untransformed = bytes(imagecodecs.jpeg8_encode(rgb, 98, outcolorspace="rgb"))  # with an Adobe marker
    pixels = load(make([untransformed], like=rgb, syntax=BASELINE, PhotometricInterpretation=declared))
    assert np.abs(pixels.array.astype(int) - rgb).mean() < 2


@pytest.mark.parametrize("syntax", [LOSSLESS, JPEG_LS, RLE])
def test_ybr_in_a_lossless_stream_becomes_rgb(syntax: str, make: Make, load: Load) -> None:
    ybr = np.full((8, 8, 3), (76, 85, 255), np.uint8)  # red, PS3.3 C.7.6.3.1.2
    stream = ENCODERS[syntax][0](ybr)
    pixels = load(make([stream], like=ybr, syntax=syntax, PhotometricInterpretation="YBR_FULL"))
    assert np.abs(pixels.array[0, 0].astype(int) - (255, 0, 0)).max() <= 1


@pytest.mark.parametrize("syntax", [LOSSLESS, JPEG_LS, RLE])
def test_negative_values_come_back_from_codecs_without_a_sign(syntax: str, make: Make, load: Load) -> None:
    values = np.arange(-128, 128, dtype=np.int16).reshape(16, 16) * 16
    stored = (values & 0xFFF).astype(np.uint16)
    if syntax == LOSSLESS:
        stream = bytes(imagecodecs.jpeg8_encode(stored, lossless=True, bitspersample=12))
    else:
        stream = ENCODERS[syntax][0](stored)
    pixels = load(make([stream], like=values, syntax=syntax, BitsStored=12))
    assert pixels.array.dtype == np.int16
    assert (pixels.array[..., 0] == values).all()


def test_a_signed_jpeg_2000_stream_keeps_its_sign(make: Make, load: Load) -> None:
    values = np.arange(-128, 128, dtype=np.int16).reshape(16, 16) * 200
    stream = bytes(imagecodecs.jpeg2k_encode(values, codecformat="j2k"))
    assert (load(make([stream], like=values, syntax="1.2.840.10008.1.2.4.90")).array[..., 0] == values).all()


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED])
@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", "<i2", "<u4", "<i4"])
def test_native_little_endian(syntax: str, dtype: str, make: Make, load: Load) -> None:
    values = np.arange(-40, 40).astype(dtype).reshape(2, 5, 8)
    data = make(values.tobytes(), like=values[0], syntax=syntax, NumberOfFrames=2)
    if syntax == DEFLATED:
        data = _deflated(data)
    for number in (1, 2):
        array = load(data, number).array[..., 0]
        assert array.dtype == np.dtype(dtype)
        assert (array == values[number - 1]).all()


def _deflated(data: bytes) -> bytes:
    head = read_head(data, transfer_syntax_uid=None)
    deflater = zlib.compressobj(wbits=-15)
    return data[: head.dataset_offset] + deflater.compress(data[head.dataset_offset :]) + deflater.flush()


@pytest.mark.parametrize("dtype", [">u2", ">i2", ">u4"])
def test_native_big_endian(dtype: str, make: Make, load: Load) -> None:
    values = np.arange(40, 80).astype(dtype).reshape(5, 8)
    array = load(make(values, syntax=BIG_ENDIAN)).array[..., 0]
    assert array.dtype.isnative
    assert (array == values).all()


def test_bytes_in_big_endian_words_are_swapped_back_across_frames_of_odd_length(
    make: Make, load: Load
) -> None:
    values = np.arange(30, dtype=np.uint8).reshape(2, 3, 5)
    swapped = values.reshape(-1, 2)[:, ::-1].tobytes()
    data = make(swapped, like=values[0], syntax=BIG_ENDIAN, vr="OW", NumberOfFrames=2)
    assert (load(data, 1).array[..., 0] == values[0]).all()
    assert (load(data, 2).array[..., 0] == values[1]).all()


def test_planes_of_samples(rgb: Rgb, make: Make, load: Load) -> None:
    planes = np.ascontiguousarray(rgb.transpose(2, 0, 1))
    assert (load(make(planes.tobytes(), like=rgb, PlanarConfiguration=1)).array == rgb).all()


def test_single_bits_of_frames_that_do_not_end_on_a_byte(make: Make, load: Load) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (3, 3, 7), dtype=np.uint8)
    packed = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    data = make(packed, like=bits[0], BitsAllocated=1, BitsStored=1, HighBit=0, NumberOfFrames=3)
    for number in (1, 2, 3):
        assert (load(data, number).array[..., 0] == bits[number - 1]).all()


def test_a_deflated_frame(grey: Grey, make: Make, load: Load) -> None:
    deflater = zlib.compressobj(wbits=-15)
    stream = deflater.compress(grey.tobytes()) + deflater.flush()
    assert (load(make([stream], like=grey, syntax=DEFLATED_FRAME)).array[..., 0] == grey).all()


def test_a_deflated_frame_that_goes_on_is_not_inflated_further(grey: Grey, make: Make, load: Load) -> None:
    deflater = zlib.compressobj(wbits=-15)
    stream = deflater.compress(grey.tobytes() + bytes(50_000_000)) + deflater.flush()
    assert (load(make([stream], like=grey, syntax=DEFLATED_FRAME)).array[..., 0] == grey).all()


def test_floating_point_pixels(make: Make, load: Load) -> None:
    values = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
    dataset = pydicom.dcmread(io.BytesIO(make(np.zeros((8, 8), np.uint8))))
    del dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
    dataset.BitsAllocated = 32
    dataset.FloatPixelData = values.tobytes()
    out = io.BytesIO()
    dataset.save_as(out)
    assert (load(out.getvalue()).array[..., 0] == values).all()


def test_native_422_shares_chrominance_between_two_pixels(make: Make, load: Load) -> None:
    stored = np.array([[76, 76, 85, 255], [29, 29, 255, 107]], np.uint8)  # two red pixels, two blue ones
    data = make(
        stored.tobytes(), like=np.zeros((2, 2, 3), np.uint8), PhotometricInterpretation="YBR_FULL_422"
    )
    array = load(data).array.astype(int)
    assert np.abs(array[0] - (255, 0, 0)).max() <= 1
    assert np.abs(array[1] - (0, 0, 255)).max() <= 1


def test_overlays_in_unused_bits_are_not_seen(make: Make, load: Load) -> None:
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 60
    assert (load(make(values | 0x8000, BitsStored=12)).array[..., 0] == values).all()
    assert (load(make((values << 4) | 3, BitsStored=12, HighBit=15)).array[..., 0] == values).all()


def test_unused_bits_of_negative_values_are_filled_with_the_sign(make: Make, load: Load) -> None:
    values = np.arange(-32, 32, dtype=np.int16).reshape(8, 8)
    assert (load(make(values & 0xFFF, BitsStored=12)).array[..., 0] == values).all()


def test_a_frame_and_its_pixels_can_go_to_another_process(grey: Grey, make: Make) -> None:
    data = make([_rle(grey)], like=grey, syntax=RLE)
    frame = read_frame(data, read_head(data), 1)
    assert (decode(pickle.loads(pickle.dumps(frame))).array[..., 0] == grey).all()


@pytest.mark.parametrize("syntax", sorted(CODECS))
def test_a_bit_stream_cut_off_or_empty_is_corrupt(syntax: str, grey: Grey, make: Make, load: Load) -> None:
    for stream in (b"", b"\xff\xd8\xff\xe0", b"\xff\x4f\xff\x51" * 3, b"\xff\x0a", bytes(200)):
        with pytest.raises(errors.Corrupt):
            load(make([stream], like=grey, syntax=syntax))


@pytest.mark.parametrize("syntax", sorted(ENCODERS))
def test_a_bit_stream_of_another_size_is_corrupt(syntax: str, grey: Grey, make: Make, load: Load) -> None:
    stream = ENCODERS[syntax][0](grey)
    with pytest.raises(errors.Corrupt):
        load(make([stream], like=np.zeros((60, 100), np.uint16), syntax=syntax, BitsStored=12))


def test_a_damaged_htj2k_stream_is_an_error_and_not_another_image(grey: Grey, make: Make, load: Load) -> None:
    stream = bytes(imagecodecs.htj2k_encode(grey))
    with pytest.raises(errors.Corrupt):
        load(make([stream[: len(stream) // 2]], like=grey, syntax="1.2.840.10008.1.2.4.201"))


@pytest.mark.parametrize("syntax", sorted({*ENCODERS, BASELINE} - {"1.2.840.10008.1.2.4.110"}))
def test_half_a_bit_stream_is_an_error_and_not_half_an_image(
    syntax: str, rgb: Rgb, make: Make, load: Load
) -> None:
    encode = ENCODERS.get(syntax, (lambda i: bytes(imagecodecs.jpeg8_encode(i, 90)), 0))[0]
    if syntax == "1.2.840.10008.1.2.4.51":
        encode = _lossless_jpeg
    stream = encode(rgb)
    with pytest.raises(errors.Corrupt):
        load(make([stream[: len(stream) // 2]], like=rgb, syntax=syntax))


def test_a_jpeg_ls_stream_cut_off_ends_soon(rgb: Rgb, make: Make, load: Load) -> None:
    stream = bytes(imagecodecs.jpegls_encode(rgb))
    for end in range(100, 200, 7):
        with pytest.raises(errors.Corrupt):
            load(make([stream[:end]], like=rgb, syntax=JPEG_LS))


@pytest.mark.parametrize("is_lossless", [True, False])
def test_a_jpeg_stream_is_as_long_as_its_size_needs(is_lossless: bool, make: Make, load: Load) -> None:
    syntax = "1.2.840.10008.1.2.4.70" if is_lossless else BASELINE
    flat = np.full((1000, 1200), 7, np.uint8)
    for shape in (flat, np.stack([flat] * 3, axis=-1)):
        stream = bytearray(imagecodecs.jpeg8_encode(shape, lossless=is_lossless, optimize=True))
        np.testing.assert_allclose(
            load(make([bytes(stream)], like=shape, syntax=syntax)).array.max(), 7, atol=1
        )
        place = stream.index(b"\xff\xc3" if is_lossless else b"\xff\xc0")
        stream[place + 5 : place + 9] = b"\x40\x00" * 2  # 16384 by 16384, which libjpeg would fill with grey
        with pytest.raises(errors.Corrupt, match="cut off"):
            load(make([bytes(stream)], like=shape, syntax=syntax, Rows=16384, Columns=16384))


@pytest.mark.parametrize("syntax", [EXPLICIT, RLE, BASELINE, "1.2.840.10008.1.2.4.90"])
def test_an_absurd_size_takes_no_memory(syntax: str, make: Make, load: Load) -> None:
    pixels: bytes | list[bytes] = b"0123456789" if syntax == EXPLICIT else [b"0123456789"]
    for side in (65535, 20000):
        data = make(pixels, like=np.zeros((1, 1), np.uint16), vr="OB", syntax=syntax, Rows=side, Columns=side)
        with pytest.raises(errors.Corrupt):
            load(data)


def test_the_limit_on_a_frame_is_kept(grey: Grey, make: Make) -> None:
    data = make(grey)
    with pytest.raises(errors.Corrupt):
        read_frame(data, read_head(data), 1, limits=Limits(frame_bytes=grey.nbytes - 1))
    read_frame(data, read_head(data), 1, limits=Limits(frame_bytes=grey.nbytes))


def test_an_unknown_syntax_is_unsupported(grey: Grey, make: Make, load: Load) -> None:
    with pytest.raises(errors.Unsupported):
        load(make([b"1234"], like=grey, syntax="1.2.840.10008.1.2.4.94"))


def _corpus() -> list[Path]:
    return sorted({Path(name) for name in get_testdata_files() if Path(name).is_file()})


def _oracle(path: Path) -> NDArray[Any] | None:
    """What pydicom decodes, with colour in RGB; None where it has no image or no decoder without GPL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(path, force=True)
            if not any(k in dataset for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
                return None
            colour = dataset.SamplesPerPixel == 3
            array = pixel_array(dataset) if colour else dataset.pixel_array
            frames = int(dataset.get("NumberOfFrames") or 1)
        except (AttributeError, ValueError, RuntimeError, TypeError, NotImplementedError, KeyError):
            return None
    return array.reshape(frames, *array.shape[-3 if colour else -2 :])


def test_pydicoms_own_files_decode_as_pydicom_does() -> None:
    compared = 0
    for path in _corpus():
        expected = _oracle(path)
        if expected is None:
            continue
        data = path.read_bytes()
        head = read_head(data)
        for number in range(1, min(len(expected), FRAMES_COMPARED) + 1):
            array = decode(read_frame(data, head, number)).array
            array = array if expected.ndim == 4 else array[..., 0]
            difference = np.abs(array.astype(np.float64) - expected[number - 1].astype(np.float64)).max()
            assert difference <= (1 if expected.ndim == 4 else 0), path.name
        compared += 1
    assert compared >= 110


DCMTK = {
    "1.2.840.10008.1.2.4.5": "dcmdjpeg",
    "1.2.840.10008.1.2.4.7": "dcmdjpeg",
    "1.2.840.10008.1.2.4.8": "dcmdjpls",
}


@pytest.mark.dcmtk
@pytest.mark.skipif(not Path("/usr/bin/dcmdjpeg").exists(), reason="needs DCMTK")
def test_jpeg_and_jpeg_ls_decode_as_dcmtk_does(tmp_path: Path) -> None:
    compared = 0
    for path in _corpus():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            meta = pydicom.dcmread(path, force=True, specific_tags=["SamplesPerPixel"]).file_meta
        tool = DCMTK.get(meta.get("TransferSyntaxUID", "")[:-1])
        out = tmp_path / "out.dcm"
        if tool is None or subprocess.run([f"/usr/bin/{tool}", path, out], check=False).returncode:
            continue
        data, theirs = path.read_bytes(), out.read_bytes()
        if not read_head(theirs).has_pixel_data:
            continue
        ours = decode(read_frame(data, read_head(data), 1)).array.astype(int)
        difference = np.abs(ours - decode(read_frame(theirs, read_head(theirs), 1)).array)
        assert difference.mean() < 2.5, path.name
        compared += 1
    assert compared >= 15
