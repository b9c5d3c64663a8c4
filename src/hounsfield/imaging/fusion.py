"""Two volumes of one patient together: one resampled onto the other, and their pictures blended.

Both must be in one frame of reference, PS3.3 C.7.4.1; this is not checked here, as a registration may have shown that
two frames of reference are the same.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging.lut import IDENTITY
from hounsfield.imaging.reslice import Interpolation, Plane, reslice
from hounsfield.imaging.volume import Volume, evenly_spaced


def resample(moving: Volume, onto: Volume, interpolation: Interpolation = Interpolation.LINEAR) -> Volume:
    """A volume with the voxels of another one.

    Parameters
    ----------
    moving
        The volume whose values are wanted: PET.
    onto
        The volume whose voxels are wanted: CT.
    interpolation
        Between the voxels of `moving`; `NEAREST` for labels.

    Returns
    -------
    Values as float32 in the units of `moving`; NaN outside of it.

    >>> from hounsfield.imaging.phantom import sphere
    >>> pet = sphere(slices=16, rows=16, columns=16, spacing_mm=(4.0, 4.0, 4.0))
    >>> ct = sphere(slices=64, rows=64, columns=64)
    >>> resample(pet, ct).array.shape
    (64, 64, 64)
    """
    onto = evenly_spaced(onto)
    array = np.empty(onto.array.shape, np.float32)
    for index in range(len(array)):
        array[index] = reslice(moving, slice_plane(onto, index), interpolation)
    return replace(
        onto,
        array=array,
        rescale=IDENTITY,
        units=moving.units,
        is_inverted=moving.is_inverted,
        frame_of_reference_uid=moving.frame_of_reference_uid,
        window=moving.window,
    )


def slice_plane(volume: Volume, index: int) -> Plane:
    """The plane of one slice of a volume, pixel by voxel."""
    step, row, column = volume.spacing_mm
    place = float(volume.positions_mm[index]) / step
    x, y, z = (float(each) for each in volume.affine[:3, 3] + place * volume.affine[:3, 2])
    along_row, along_column = (
        (float(axis[0]), float(axis[1]), float(axis[2]))
        for axis in (volume.affine[:3, 0] / column, volume.affine[:3, 1] / row)
    )
    rows, columns = volume.array.shape[1:]
    return Plane((x, y, z), along_row, along_column, (row, column), (rows, columns))


def blend(
    under: NDArray[np.uint8], over: NDArray[np.uint8], opacity: float, levels: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """One picture over another.

    Parameters
    ----------
    under, over
        Shape (rows, columns) for grey or (rows, columns, 3); the same rows and columns.
    opacity
        Of the upper one: 0 hides it, 1 hides the lower one.
    levels
        If given, shape (rows, columns): the upper picture is as opaque as they are high, so that nothing covers the
        lower one where there is no uptake.

    Returns
    -------
    Shape (rows, columns, 3).
    """
    if not 0 <= opacity <= 1:
        raise errors.BadRequest(f"an opacity of {opacity} is not in 0..1")
    weight = (
        np.float32(opacity) if levels is None else levels.astype(np.float32) * (np.float32(opacity) / 255)
    )
    share = np.broadcast_to(np.asarray(weight, np.float32), under.shape[:2])[..., np.newaxis]
    lower, upper = (_rgb(each).astype(np.float32) for each in (under, over))
    return np.rint(lower + (upper - lower) * share).astype(np.uint8)


def _rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image if image.ndim == 3 else np.repeat(image[..., np.newaxis], 3, axis=2)
