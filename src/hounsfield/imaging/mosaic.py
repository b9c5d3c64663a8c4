"""Siemens mosaics: all slices of a volume as tiles of one image. Private, as nibabel and dcm2niix have found it out.

Image Position (Patient) of a mosaic is that of the whole sheet laid over the first slice, centre on centre; where the
slices go is in the private CSA header.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.tags import Tag
from hounsfield.imaging.geometry import (
    SLICE_THICKNESS,
    SPACING_BETWEEN_SLICES,
    FramePlane,
    Vector,
    decimals,
    dot,
    unit,
)

_IMAGE_TYPE: Tag = 0x00080008
_CSA_GROUP, _CSA_CREATOR, _CSA_IMAGE_HEADER = 0x0029, "SIEMENS CSA HEADER", 0x10
_MR_GROUP, _MR_CREATOR, _IMAGES_IN_MOSAIC = 0x0019, "SIEMENS MR HEADER", 0x0A
_TILES_MAX = 4096
_LONGEST_HEADER = 1 << 20
_CSA_MAGIC = b"SV10"
_CSA_TAGS_MAX = 128
_CSA_ITEMS_MAX = 4096


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a frame that is a slice."""

    top: int
    left: int
    rows: int
    columns: int


def read_mosaic(
    dataset: Dataset, plane: FramePlane | None, rows: int, columns: int
) -> list[tuple[Tile, FramePlane]]:
    """The slices of a mosaic of `rows` by `columns` pixels in the order of acquisition; none if it is no mosaic."""
    if plane is None or "MOSAIC" not in (dataset.text(_IMAGE_TYPE) or ""):
        return []
    header = _csa_header(dataset)
    count = _count(dataset, header)
    side = math.isqrt(max(count - 1, 0)) + 1
    if not 1 < count <= _TILES_MAX or rows % side or columns % side:
        return []
    height, width = rows // side, columns // side
    spacing = decimals(dataset, SPACING_BETWEEN_SLICES, 1) or decimals(dataset, SLICE_THICKNESS, 1) or (1.0,)
    step = _step(plane, header, spacing[0])
    first = _first_position(plane, (rows - height) / 2, (columns - width) / 2)
    return [
        (
            Tile(index // side * height, index % side * width, height, width),
            FramePlane(_along(first, step, index), plane.row, plane.column, plane.spacing_mm),
        )
        for index in range(count)
    ]


def _count(dataset: Dataset, header: dict[str, list[str]]) -> int:
    raw = _private(dataset, _MR_GROUP, _MR_CREATOR, _IMAGES_IN_MOSAIC)
    if len(raw) == 2:
        return int.from_bytes(raw, "big" if dataset.encoding.is_big_endian else "little")
    text = (header.get("NumberOfImagesInMosaic") or [""])[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0


def _step(plane: FramePlane, header: dict[str, list[str]], spacing: float) -> Vector:
    """From slice to slice: along the normal, or against it if the private header says so."""
    normal = plane.normal
    try:
        said = unit(tuple(float(each) for each in header.get("SliceNormalVector", [])[:3]))
    except (ValueError, IndexError, OverflowError):
        said = None
    sign = -1.0 if said is not None and dot(said, normal) < 0 else 1.0
    return (sign * spacing * normal[0], sign * spacing * normal[1], sign * spacing * normal[2])


def _first_position(plane: FramePlane, rows: float, columns: float) -> Vector:
    """The position moved so many rows down and columns to the right."""
    down, right = rows * plane.spacing_mm[0], columns * plane.spacing_mm[1]
    x, y, z = (
        p + down * c + right * r for p, c, r in zip(plane.position, plane.column, plane.row, strict=True)
    )
    return (x, y, z)


def _along(start: Vector, step: Vector, times: int) -> Vector:
    return (start[0] + times * step[0], start[1] + times * step[1], start[2] + times * step[2])


def _private(dataset: Dataset, group: int, creator: str, element: int) -> bytes:
    for reservation in range(group << 16 | 0x10, group << 16 | 0x18):
        if reservation in dataset and (dataset.text(reservation) or "").strip() == creator:
            return dataset.raw(group << 16 | (reservation & 0xFF) << 8 | element)
    return b""


def _csa_header(dataset: Dataset) -> dict[str, list[str]]:
    """The fields of the CSA image header that are needed here; empty if there is none, or it is damaged."""
    raw = _private(dataset, _CSA_GROUP, _CSA_CREATOR, _CSA_IMAGE_HEADER)
    if raw[:4] != _CSA_MAGIC or len(raw) > _LONGEST_HEADER:
        return {}
    try:
        return dict(_csa_fields(raw))
    except (struct.error, UnicodeDecodeError):
        return {}


def _csa_fields(raw: bytes) -> Iterator[tuple[str, list[str]]]:
    """Name and values of each field: a name of 64 bytes, how many items, then each with its length in front."""
    (count,) = struct.unpack_from("<I", raw, 8)
    position = 16
    for _ in range(min(count, _CSA_TAGS_MAX)):
        name, items = struct.unpack_from("<64s12xI", raw, position)
        position += 84
        values = []
        for _ in range(min(items, _CSA_ITEMS_MAX)):
            (length,) = struct.unpack_from("<4xI", raw, position)
            position += 16
            text = raw[position : position + length].partition(b"\0")[0].strip()
            position += (length + 3) // 4 * 4
            if text:
                values.append(text.decode("latin-1"))
        yield name.partition(b"\0")[0].decode("latin-1"), values
