"""Small images to read, written by pydicom."""

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from hounsfield.dicom.part10 import read_head, wrap_header
from hounsfield.imaging.decode import Pixels, decode
from hounsfield.imaging.frames import read_frame

EXPLICIT, IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
Make = Callable[..., bytes]
Load = Callable[..., Pixels]
Wrap = Callable[..., bytes]


def wrap_fragments(*fragments: bytes, offset_table: bytes = b"", delimiter: bool = True) -> bytes:
    """Encapsulated pixel data: its value, from the offset table to the delimiter."""
    padded = [part + b"\0" * (len(part) % 2) for part in (offset_table, *fragments)]
    items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part for part in padded)
    return items + (struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) if delimiter else b"")


def make_file(
    pixels: NDArray[Any] | bytes | Sequence[bytes],
    *,
    like: NDArray[Any] | None = None,
    syntax: str = EXPLICIT,
    vr: str | None = None,
    offset_table: bytes = b"",
    **attributes: Any,
) -> bytes:
    """A Part 10 file of one image, shape (rows, columns) or (rows, columns, samples).

    `pixels` may be the bytes of native pixel data, or the fragments of encapsulated pixel data; `like` then gives the
    shape and type.
    """
    shape = pixels if isinstance(pixels, np.ndarray) else like
    assert shape is not None
    dataset = Dataset()
    dataset.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    dataset.SOPInstanceUID = UID("1.2.3.4")
    dataset.Rows, dataset.Columns = shape.shape[:2]
    dataset.SamplesPerPixel = 1 if shape.ndim == 2 else shape.shape[2]
    dataset.PhotometricInterpretation = "MONOCHROME2" if shape.ndim == 2 else "RGB"
    if shape.ndim == 3:
        dataset.PlanarConfiguration = 0
    bits = shape.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(shape.dtype.kind == "i")
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    if "BitsStored" in attributes and "HighBit" not in attributes:
        dataset.HighBit = dataset.BitsStored - 1
    is_encapsulated = not isinstance(pixels, np.ndarray | bytes)
    if isinstance(pixels, np.ndarray):
        dataset.PixelData = pixels.tobytes()
    elif isinstance(pixels, bytes):
        dataset.PixelData = pixels
    else:
        dataset.PixelData = wrap_fragments(*pixels, offset_table=offset_table)
    dataset["PixelData"].VR = vr or ("OB" if is_encapsulated or bits == 8 else "OW")
    dataset["PixelData"].is_undefined_length = is_encapsulated
    return _written(dataset, syntax)


def _written(dataset: Dataset, syntax: str) -> bytes:
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = syntax == IMPLICIT, syntax != BIG_ENDIAN
    write_dataset(out, dataset)  # type: ignore[no-untyped-call, unused-ignore]
    return wrap_header(dataset.SOPClassUID, dataset.SOPInstanceUID, syntax) + out.getvalue()


def load_file(data: bytes, number: int = 1) -> Pixels:
    return decode(read_frame(data, read_head(data), number))


@pytest.fixture(scope="session")
def make() -> Make:
    return make_file


@pytest.fixture(scope="session")
def load() -> Load:
    return load_file


@pytest.fixture(scope="session")
def wrap() -> Wrap:
    return wrap_fragments


@pytest.fixture(scope="session")
def grey() -> NDArray[np.uint16]:
    """A smooth 12-bit image of 48 rows and 64 columns."""
    rows, columns = np.mgrid[:48, :64]
    return np.asarray(2000 + 1500 * np.sin(columns / 9) * np.cos(rows / 7), np.uint16)


@pytest.fixture(scope="session")
def rgb(grey: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """The same in colour: red and green go with it, blue against it."""
    return np.stack([grey >> 4, grey >> 5, 255 - (grey >> 4)], axis=-1).astype(np.uint8)
