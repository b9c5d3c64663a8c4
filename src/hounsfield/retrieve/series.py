"""The frames of a series, in the order of the slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from hounsfield.archive import Archive
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.part10 import read_head
from hounsfield.errors import BadRequest
from hounsfield.imaging.decode import decode
from hounsfield.imaging.display import read_display
from hounsfield.imaging.frames import NoPixelData, count_frames, has_frames, read_frame
from hounsfield.imaging.geometry import FramePlane, order_planes, read_planes
from hounsfield.imaging.npy import encode_npy, frame_values
from hounsfield.index.resources import children, load
from hounsfield.retrieve.datasets import read_instance_head
from hounsfield.retrieve.files import find_dicom
from hounsfield.retrieve.frames import file_buffer


class CannotOrderSlices(BadRequest):
    """The slices of a series have neither positions nor numbers that put them in order."""


class SeriesKind(Enum):
    """By what slices were put in order."""

    VOLUME = "Volume"
    """By their positions."""

    SEQUENCE = "Sequence"
    """By their numbers in the series."""


@dataclass(frozen=True, slots=True)
class OrderedSeries:
    """The instances of a series in the order of the slices, each with the number of its frames."""

    kind: SeriesKind
    instances: tuple[tuple[PublicId, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Slice:
    public_id: PublicId
    frames: int
    plane: FramePlane | None
    number: int | None


def order_slices(archive: Archive, series_id: str) -> OrderedSeries:
    """Put the instances of a series in order.

    By position along the normal of the planes, if all instances have parallel planes at different places; else by
    Instance Number (0020,0013) or Image Index (0054,1330).

    Raises
    ------
    NotFound
        If there is no such series.
    CannotOrderSlices
        If there is no such order.
    """
    slices = _slices(archive, series_id)
    by_position = _by_position(slices)
    if by_position is not None:
        return _ordered(SeriesKind.VOLUME, by_position)
    numbers = [each.number for each in slices]
    if None in numbers or len(set(numbers)) < len(numbers):
        raise CannotOrderSlices("The slices of this series cannot be put in order")
    return _ordered(SeriesKind.SEQUENCE, sorted(slices, key=lambda each: each.number or 0))


def _ordered(kind: SeriesKind, slices: Sequence[_Slice]) -> OrderedSeries:
    return OrderedSeries(kind, tuple((each.public_id, each.frames) for each in slices))


def _slices(archive: Archive, series_id: str) -> list[_Slice]:
    with archive.database.read() as tx:
        public_ids = children(tx, Level.SERIES, series_id, Level.INSTANCE)
        numbers = {each.public_id: each.index_in_series for each in load(tx, Level.INSTANCE, public_ids, ())}
    found = []
    for public_id in public_ids:
        attachment = find_dicom(archive, public_id)
        head = read_instance_head(archive, attachment)
        frames = count_frames(head, attachment.size) or 1
        found.append(_Slice(public_id, frames, _plane_of(head.dataset), numbers.get(public_id)))
    return found


def _plane_of(dataset: Dataset) -> FramePlane | None:
    return read_planes(dataset, 1)[0]


def _by_position(slices: Sequence[_Slice]) -> list[_Slice] | None:
    """The slices along their common normal; None if there is none, or two are at the same place."""
    planes = [each.plane for each in slices if each.plane is not None]
    if len(planes) < max(len(slices), 2):
        return None
    order = order_planes(planes)
    return [slices[index] for index in order] if order is not None else None


def series_numpy(
    archive: Archive, series_id: str, *, is_rescaled: bool = True, is_compressed: bool = False
) -> bytes:
    """The values of all frames of a series in the order of the slices, shape (frames, rows, columns, samples).

    Raises
    ------
    NotFound, CannotOrderSlices
        As of `order_slices`.
    NoPixelData
        If an instance has no pixels.
    BadRequest
        If frames have different sizes.
    Corrupt, Unsupported
        If a frame cannot be decoded.
    """
    ordered = order_slices(archive, series_id)
    arrays = []
    for public_id, _ in ordered.instances:
        data = file_buffer(archive, find_dicom(archive, public_id))
        head = read_head(data)
        if not has_frames(head):
            raise NoPixelData("An instance of this series has no pixel data")
        for number in range(1, count_frames(head, len(data)) + 1):
            pixels = decode(read_frame(data, head, number))
            display = read_display(head.dataset, pixels.description, number)
            arrays.append(frame_values(pixels, display.modality, is_rescaled=is_rescaled))
            if arrays[-1].shape != arrays[0].shape:
                raise BadRequest("The frames of this series have different sizes")
    return encode_npy(arrays, is_single=False, is_compressed=is_compressed)
