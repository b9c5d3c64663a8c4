"""Overlay planes: bit maps over an image, in Overlay Data or in unused bits of the pixels. PS3.3 C.9.2."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.dicom.dataset import Dataset
from hounsfield.imaging.codecs import CODECS
from hounsfield.imaging.decode import decode_samples
from hounsfield.imaging.frames import EncodedFrame
from hounsfield.imaging.overlay_planes import find_planes, plane_of

_GROUPS = range(0x6000, 0x6020, 2)
_ROWS, _COLUMNS, _FRAMES, _ORIGIN, _FRAME_ORIGIN = 0x10, 0x11, 0x15, 0x50, 0x51
_DATA = 0x3000
_SIDE_MAX = 0xFFFF


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """One overlay of one frame."""

    group: int
    bits: NDArray[np.bool_]
    """Shape (rows, columns) of the overlay."""

    row: int
    """Of the image, from 0, where the overlay's first row is; may be negative."""

    column: int


def read_overlays(dataset: Dataset, number: int) -> list[Overlay]:
    """The overlays in Overlay Data (60xx,3000) that belong to frame `number`, from 1; broken ones are left out."""
    return [overlay for group in _GROUPS for overlay in _read(dataset, group << 16, number)]


def _read(dataset: Dataset, tag: int, number: int) -> Iterator[Overlay]:
    rows, columns = dataset.int(tag | _ROWS) or 0, dataset.int(tag | _COLUMNS) or 0
    if tag | _DATA not in dataset or not (0 < rows <= _SIDE_MAX and 0 < columns <= _SIDE_MAX):
        return
    frames, first = dataset.int(tag | _FRAMES) or 1, dataset.int(tag | _FRAME_ORIGIN) or 1
    # Without Number of Frames in Overlay one plane lies over all frames.
    index = number - first if tag | _FRAMES in dataset else 0
    if not 0 <= index < frames:
        return
    begin = index * rows * columns
    raw = dataset.raw(tag | _DATA)
    if dataset.encoding.is_big_endian and dataset.vr(tag | _DATA) == "OW":
        raw = np.frombuffer(raw + b"\0" * (len(raw) % 2), "<u2").byteswap().tobytes()
    data = np.frombuffer(raw, np.uint8, offset=min(begin // 8, len(raw)))
    bits = np.unpackbits(data[: (rows * columns + 15) // 8], bitorder="little")[begin % 8 :]
    if len(bits) >= rows * columns:
        yield Overlay(
            tag >> 16, bits[: rows * columns].reshape(rows, columns).astype(bool), *_place(dataset, tag)
        )


def _place(dataset: Dataset, tag: int) -> tuple[int, int]:
    origin = dataset.numbers(tag | _ORIGIN)
    return (int(origin[0]) - 1, int(origin[1]) - 1) if len(origin) == 2 else (0, 0)


def embedded_overlays(dataset: Dataset, frame: EncodedFrame) -> list[Overlay]:
    """The overlays in unused bits of a frame's pixels; of native ones and RLE, as other encoders cut these bits off."""
    description = frame.description
    planes = find_planes(dataset, description)
    codec = CODECS.get(frame.transfer_syntax_uid)
    if not planes or (codec is not None and codec.is_foreign):
        return []
    decoded = decode_samples(frame)
    shape = description.rows, description.columns
    return [
        Overlay(
            plane.group,
            np.frombuffer(plane_of(decoded, plane.bit), np.uint8).reshape(shape).astype(bool),
            0,
            0,
        )
        for plane in planes
    ]


def paint(image: NDArray[Any], overlay: Overlay, level: int) -> None:
    """Set the pixels under an overlay; what is beyond the image is left out."""
    rows, columns = image.shape[:2]
    top, left = max(overlay.row, 0), max(overlay.column, 0)
    bottom = min(overlay.row + overlay.bits.shape[0], rows)
    right = min(overlay.column + overlay.bits.shape[1], columns)
    if top < bottom and left < right:
        part = overlay.bits[
            top - overlay.row : bottom - overlay.row, left - overlay.column : right - overlay.column
        ]
        image[top:bottom, left:right][part] = level
