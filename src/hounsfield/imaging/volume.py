"""A stack of frames as one array with physical coordinates.

`plan_volume` tells the shape, the place and the memory from the headers alone; `load_volume` reads the pixels. Values
are kept as they are stored, so that a CT takes two bytes a voxel, and become HU or SUV where they are looked at.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.dicom.scan import Buffer
from hounsfield.dicom.tags import Tag
from hounsfield.imaging.decode import decode
from hounsfield.imaging.description import MONOCHROME1, PALETTE_COLOR, PixelDescription
from hounsfield.imaging.display import read_display
from hounsfield.imaging.frames import read_frame
from hounsfield.imaging.geometry import LPS_TO_RAS, Matrix, places_of
from hounsfield.imaging.lut import IDENTITY, Rescale, Window, modality_values
from hounsfield.imaging.mosaic import Tile
from hounsfield.imaging.series import Member, Series, describe_member
from hounsfield.imaging.stacks import Stack, StackFrame
from hounsfield.imaging.tables import LookupTable
from hounsfield.imaging.units import SUV_UNITS, SuvScale, read_modality, read_units

VOLUME_BYTES_MAX = 4 << 30

_FRAME_OF_REFERENCE_UID: Tag = 0x00200052
_FRAMES_A_TASK = 16
_SLICES_MAX = 8192
_EMPTY_SLICE = 1.5
"""Neighbours this many usual distances apart have nothing between them."""


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Slices in memory."""

    array: NDArray[Any]
    """Stored values, shape (slices, rows, columns)."""

    affine: Matrix
    """From (column, row, slice, 1) to LPS in mm. Its third column is the way from slice to slice, which is oblique to
    the other two if the gantry was tilted."""

    positions_mm: NDArray[np.float64]
    """Of each slice along that way, from the first. Multiples of its length, unless slices are missing or uneven."""

    rescale: Rescale = IDENTITY
    """From stored values to those of the modality."""

    units: str = ""
    """Of the rescaled values: HU, BQML, ...; empty if unknown."""

    is_inverted: bool = False
    """Whether low values are shown bright: MONOCHROME1."""

    frame_of_reference_uid: str = ""
    window: Window | None = None
    """How the data set of the middle slice asks to be shown, in the units of the volume."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Between slices, between rows, between columns."""
        column, row, step = (float(np.linalg.norm(self.affine[:3, axis])) for axis in range(3))
        return step, row, column

    @property
    def affine_ras(self) -> Matrix:
        """The same affine to RAS, as NIfTI and most research software have it."""
        return np.asarray(LPS_TO_RAS @ self.affine)

    @property
    def is_even(self) -> bool:
        """Whether slices are where the affine says."""
        return is_even(self.positions_mm, self.spacing_mm[0])

    def values(self) -> NDArray[np.float32]:
        """All values of the modality (HU for CT), which takes four bytes a voxel."""
        return rescaled(self.array, self.rescale)


@dataclass(frozen=True, slots=True, eq=False)
class VolumePlan:
    """What a volume will be, known from the headers."""

    series: Series
    stack: Stack
    shape: tuple[int, int, int]
    """Slices, rows, columns."""

    dtype: np.dtype[Any]
    affine: Matrix
    rescale: Rescale
    """Of all frames; the identity where frames differ, whose values are then rescaled as they are read."""

    is_rescaled: bool
    """Whether values are rescaled as they are read."""

    units: str
    is_inverted: bool
    frame_of_reference_uid: str
    window: Window | None
    descriptions: tuple[PixelDescription, ...]
    """Of each frame."""

    modalities: tuple[Rescale | LookupTable, ...]
    """Of each frame."""

    @property
    def nbytes(self) -> int:
        """The memory it takes."""
        slices, rows, columns = self.shape
        return slices * rows * columns * self.dtype.itemsize


def plan_volume(series: Series, stack: int = 0, *, maximum_bytes: int = VOLUME_BYTES_MAX) -> VolumePlan:
    """Tell what the volume of a stack will be, without reading pixels.

    Parameters
    ----------
    series
        By `series.read_series` or `series.arrange`.
    stack
        Its index among the stacks, the largest of which is 0.
    maximum_bytes
        How much memory it may take.

    Raises
    ------
    BadRequest
        If there is no such stack.
    Unsupported
        If its frames are in colour, or have no place in the patient.
    Refused
        If it would take too much memory.
    """
    if not 0 <= stack < len(series.stacks):
        raise errors.BadRequest(f"there is no stack {stack} among {len(series.stacks)}")
    chosen = series.stacks[stack]
    affine = chosen.affine
    if affine is None:
        raise errors.Unsupported("the images have no Image Position and Orientation (Patient)")
    known = {index: describe_member(series.members[index]) for index in _members(chosen)}
    descriptions = tuple(known[frame.member] for frame in chosen.frames)
    if any(each.samples > 1 or each.photometric == PALETTE_COLOR for each in descriptions):
        raise errors.Unsupported("a volume of colour images")
    modalities = tuple(_modalities(series, chosen, known))
    dtypes = {stored_type(each) for each in known.values()}
    rescale, is_rescaled = modalities[0], len(dtypes) > 1
    if isinstance(rescale, LookupTable) or any(each != rescale for each in modalities):
        rescale, is_rescaled = IDENTITY, True
    first = series.members[chosen.frames[0].member].head.dataset
    plan = VolumePlan(
        series=series,
        stack=chosen,
        shape=(len(chosen.frames), *_size(chosen.frames[0], descriptions[0])),
        dtype=np.dtype(np.float32) if is_rescaled else next(iter(dtypes)),
        affine=affine,
        rescale=IDENTITY if is_rescaled else rescale,
        is_rescaled=is_rescaled,
        units=read_units(places_of(first, 1)[0]),
        is_inverted=descriptions[0].photometric == MONOCHROME1,
        frame_of_reference_uid=(first.text(_FRAME_OF_REFERENCE_UID) or "").strip(),
        window=_window(series, chosen, descriptions),
        descriptions=descriptions,
        modalities=modalities,
    )
    if plan.nbytes > maximum_bytes:
        raise errors.Refused(f"the volume takes {plan.nbytes} bytes, over the limit of {maximum_bytes}")
    return plan


def _size(frame: StackFrame, description: PixelDescription) -> tuple[int, int]:
    """Rows and columns of a slice."""
    if frame.tile is not None:
        return frame.tile.rows, frame.tile.columns
    return description.rows, description.columns


def cut(array: NDArray[Any], tile: Tile | None) -> NDArray[Any]:
    """The part of a frame that is a slice: all of it, unless it is a mosaic."""
    if tile is None:
        return array
    return array[tile.top : tile.top + tile.rows, tile.left : tile.left + tile.columns]


def stored_type(description: PixelDescription) -> np.dtype[Any]:
    """The type of decoded pixels."""
    if description.bits_allocated == 1:
        return np.dtype(np.uint8)
    kind = "f" if description.is_float else "i" if description.is_signed else "u"
    return np.dtype(f"{kind}{description.bits_allocated // 8}")


def _members(stack: Stack) -> Iterable[int]:
    return dict.fromkeys(frame.member for frame in stack.frames)


def _modalities(
    series: Series, stack: Stack, known: dict[int, PixelDescription]
) -> Iterable[Rescale | LookupTable]:
    """The modality transformation of each frame; functional groups are read once an instance."""
    last, places = -1, places_of(series.members[0].head.dataset, 0)
    for frame in stack.frames:
        if frame.member != last:
            last = frame.member
            dataset = series.members[last].head.dataset
            places = places_of(dataset, known[last].number_of_frames)
        yield read_modality(places[frame.number - 1], is_signed=known[last].is_signed)


def load_volume(
    plan: VolumePlan, *, workers: int | None = None, is_wanted: Callable[[], bool] = lambda: True
) -> Volume:
    """Read the pixels of a volume, several frames at a time.

    Parameters
    ----------
    plan
        By `plan_volume`.
    workers
        Threads; as many as there are processors, but no more than 8, by default.
    is_wanted
        Asked before each frame; loading stops when it says no.

    Raises
    ------
    Corrupt, Unsupported
        If a frame cannot be decoded.
    Cancelled
        If it is no longer wanted.
    """
    array = np.empty(plan.shape, plan.dtype)
    tasks = list(_tasks(plan.stack.frames))
    with ThreadPoolExecutor(workers or min(os.cpu_count() or 1, 8), thread_name_prefix="VOLUME") as pool:
        waiting = [pool.submit(_read_slices, plan, array, slices, is_wanted) for slices in tasks]
        try:
            for each in waiting:
                each.result()
        finally:
            for each in waiting:
                each.cancel()
    return Volume(
        array=array,
        affine=plan.affine,
        positions_mm=np.array(plan.stack.positions_mm),
        rescale=plan.rescale,
        units=plan.units,
        is_inverted=plan.is_inverted,
        frame_of_reference_uid=plan.frame_of_reference_uid,
        window=plan.window,
    )


def _window(series: Series, stack: Stack, descriptions: Sequence[PixelDescription]) -> Window | None:
    """The window of the middle slice, as those at the ends show little.

    A table cannot be applied to values between voxels, and is left out.
    """
    middle = len(stack.frames) // 2
    frame = stack.frames[middle]
    dataset = series.members[frame.member].head.dataset
    voi = read_display(dataset, descriptions[middle], frame.number).voi
    return voi if isinstance(voi, Window) else None


def _tasks(frames: Sequence[StackFrame]) -> Iterable[range]:
    """Runs of slices of one instance, short enough to be shared out among threads."""
    start = 0
    for index in range(1, len(frames) + 1):
        if (
            index == len(frames)
            or frames[index].member != frames[start].member
            or index - start == _FRAMES_A_TASK
        ):
            yield range(start, index)
            start = index


def _read_slices(plan: VolumePlan, array: NDArray[Any], slices: range, is_wanted: Callable[[], bool]) -> None:
    member = plan.series.members[plan.stack.frames[slices.start].member]
    data = member.read()
    last, values = -1, array[:0]
    for index in slices:
        if not is_wanted():
            raise errors.Cancelled("nobody waits for the volume")
        frame = plan.stack.frames[index]
        if frame.number != last:  # The tiles of a mosaic are all in one frame.
            last, values = frame.number, _values(plan, member, data, index)
        array[index] = cut(values, frame.tile)


def _values(plan: VolumePlan, member: Member, data: Buffer, index: int) -> NDArray[Any]:
    frame = plan.stack.frames[index]
    encoded = read_frame(data, member.head, frame.number, description=plan.descriptions[index])
    stored = decode(encoded).array[..., 0]
    if plan.is_rescaled:
        return modality_values(stored, plan.modalities[index]).astype(np.float32)
    if stored.dtype != plan.dtype:
        raise errors.Corrupt(f"frame {frame.number} has values of type {stored.dtype}, not {plan.dtype}")
    return stored


def rescaled(stored: NDArray[Any], rescale: Rescale) -> NDArray[np.float32]:
    """Stored values as values of the modality, in single precision."""
    values = stored.astype(np.float32)
    if rescale.slope != 1:
        values *= np.float32(rescale.slope)
    if rescale.intercept:
        values += np.float32(rescale.intercept)
    return values


def with_suv(volume: Volume, scale: SuvScale) -> Volume:
    """The same volume in SUV of body weight, by `units.suv_scale`; no pixel is touched."""
    rescale = Rescale(volume.rescale.slope * scale.factor, volume.rescale.intercept * scale.factor)
    window = volume.window
    if window is not None:
        window = Window(window.center * scale.factor, window.width * scale.factor)
    return replace(volume, rescale=rescale, units=SUV_UNITS, window=window)


def is_even(positions_mm: NDArray[np.float64], spacing_mm: float) -> bool:
    """Whether slices lie one spacing apart, up to the rounding of positions."""
    grid = np.arange(len(positions_mm)) * spacing_mm
    return bool(np.all(np.abs(positions_mm - grid) <= 0.05 * spacing_mm))


def slice_indices(
    positions_mm: NDArray[np.float64], spacing_mm: float, wanted_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where along the slice axis places are, as fractions of an index.

    NaN in gaps, where nothing was acquired: more than half a spacing from the slices on both sides of one. The same
    before the first slice and after the last.

    >>> slice_indices(np.array([0.0, 2.0, 8.0]), 2.0, np.array([1.0, 2.5, 5.0, 7.5, 10.0]))
    array([0.5, 1. , nan, 2. , nan])
    """
    last = len(positions_mm) - 1
    below = np.clip(np.searchsorted(positions_mm, wanted_mm, side="right") - 1, 0, max(last - 1, 0))
    above = np.minimum(below + 1, last)
    before, after = wanted_mm - positions_mm[below], positions_mm[above] - wanted_mm
    width = np.maximum(positions_mm[above] - positions_mm[below], 1e-9)
    is_gap = width > _EMPTY_SLICE * spacing_mm
    nearest = np.where(np.abs(before) <= np.abs(after), below, above).astype(np.float64)
    indices = np.where(is_gap | (last == 0), nearest, below + np.clip(before / width, 0.0, 1.0))
    half = spacing_mm / 2
    distance = np.abs(wanted_mm - positions_mm[nearest.astype(np.intp)])
    is_outside = (wanted_mm < positions_mm[0]) | (wanted_mm > positions_mm[-1]) | is_gap
    return np.where(is_outside & (distance > half), np.nan, indices)


def evenly_spaced(volume: Volume, empty: float = 0.0) -> Volume:
    """The volume on an even grid, as file formats want it; the same one if it is even already.

    Slices are interpolated between neighbours, and `empty`, a stored value, fills what was never acquired. `BadRequest`
    if that would be most of it.
    """
    if volume.is_even:
        return volume
    spacing = volume.spacing_mm[0]
    count = round(float(volume.positions_mm[-1]) / spacing) + 1
    if count > min(_SLICES_MAX, 8 * len(volume.positions_mm)):
        raise errors.BadRequest(f"an even grid of {count} slices")
    positions = np.array([index * spacing for index in range(count)])
    indices = slice_indices(volume.positions_mm, spacing, positions)
    array = np.empty((count, *volume.array.shape[1:]), volume.array.dtype)
    for target, index in enumerate(indices):
        array[target] = empty if np.isnan(index) else _between(volume.array, float(index))
    return replace(volume, array=array, positions_mm=positions)


def _between(array: NDArray[Any], index: float) -> NDArray[Any]:
    """The slice at a fraction of an index."""
    below = int(index)
    part = index - below
    if part < 0.01 or below + 1 >= len(array):
        return np.asarray(array[below])
    if part > 0.99:
        return np.asarray(array[below + 1])
    mixed = array[below] * (1 - part) + array[below + 1] * part
    return np.asarray(mixed if array.dtype.kind == "f" else np.rint(mixed)).astype(array.dtype)
