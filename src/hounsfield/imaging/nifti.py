"""Volumes as NIfTI-1 files, as neuroimaging software has them: RAS, rows written from the bottom up.

The format is https://nifti.nimh.nih.gov/nifti-1; the choices that it leaves are those of dcm2niix, so that a file made
here can replace one made there.
"""

import math
import struct
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging.geometry import Matrix
from hounsfield.imaging.volume import Volume, evenly_spaced

_HEADER_SIZE = 348
_OFFSET = 352
_TYPES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768}
_SCANNER = 1
_MM_AND_SECONDS = 2 | 8
_SIDE_MAX = 32767
# Two bits each for the axis of frequency, of phase and of slices. ROW: phases are along the rows.
_DIM_INFO = {"ROW": 2 | 1 << 2 | 3 << 4, "COL": 1 | 2 << 2 | 3 << 4, "COLUMN": 1 | 2 << 2 | 3 << 4}


def nifti_pieces(
    volumes: Iterable[Volume],
    times: int = 1,
    *,
    repetition_seconds: float = 1.0,
    description: str = "",
    phase_encoding: str = "",
) -> Iterator[bytes]:
    """The bytes of a NIfTI-1 file (`.nii`), in pieces.

    Parameters
    ----------
    volumes
        One for three dimensions; several of the same shape and place make a fourth one. Each is asked for when the one
        before is written.
    times
        How many there are.
    repetition_seconds
        Between volumes.
    description
        At most 79 characters. Files are passed on: no identity belongs into it.
    phase_encoding
        In-plane Phase Encoding Direction (0018,1312): ROW, COLUMN or COL; empty if unknown.

    Raises
    ------
    BadRequest
        If volumes do not fit together, or a side is longer than the format allows.
    """
    shape: tuple[object, ...] = ()
    for each in volumes:
        volume = evenly_spaced(each)
        if not shape:
            shape = (*volume.array.shape, volume.array.dtype)
            yield _header(volume, times, repetition_seconds, description, _DIM_INFO.get(phase_encoding, 0))
            yield bytes(_OFFSET - _HEADER_SIZE)
        if shape != (*volume.array.shape, volume.array.dtype):
            raise errors.BadRequest("volumes of different shape or type make no NIfTI file")
        for rows in _writable(volume.array):
            yield np.ascontiguousarray(rows[::-1], rows.dtype.newbyteorder("<")).tobytes()


def nifti_bytes(volume: Volume) -> bytes:
    """A whole NIfTI-1 file of one volume.

    >>> from hounsfield.imaging.phantom import gradient
    >>> len(nifti_bytes(gradient(slices=2, rows=3, columns=4)))
    400
    """
    return b"".join(nifti_pieces([volume]))


def nifti_affine(volume: Volume) -> Matrix:
    """From (i, j, k, 1) of the file to RAS in mm: rows are counted from the bottom.

    >>> from hounsfield.imaging.phantom import gradient
    >>> nifti_affine(gradient(slices=2, rows=4, columns=4))
    array([[-1.,  0.,  0.,  2.],
           [ 0.,  1.,  0., -1.],
           [ 0.,  0.,  1., -1.],
           [ 0.,  0.,  0.,  1.]])
    """
    affine = volume.affine_ras.copy()
    affine[:3, 3] += affine[:3, 1] * (volume.array.shape[1] - 1)
    affine[:3, 1] *= -1
    return np.asarray(affine + 0.0)  # no minus before a 0


def _writable(array: NDArray[Any]) -> NDArray[Any]:
    """The array in a type that the format has."""
    return array if f"{array.dtype.kind}{array.dtype.itemsize}" in _TYPES else array.astype(np.float64)


def _header(volume: Volume, times: int, repetition_seconds: float, description: str, dim_info: int) -> bytes:
    slices, rows, columns = volume.array.shape
    if max(slices, rows, columns, times) > _SIDE_MAX:
        raise errors.BadRequest("NIfTI-1 cannot hold more than 32767 voxels on a side")
    step, row, column = volume.spacing_mm
    dtype = _writable(volume.array[:1, :1, :1]).dtype
    affine = nifti_affine(volume)
    factor, quaternion = _quaternion(affine)
    header = struct.pack(
        "<i35xB8h", _HEADER_SIZE, dim_info, 4 if times > 1 else 3, columns, rows, slices, times, 1, 1, 1
    )
    header += struct.pack("<12x4h", 0, _TYPES[f"{dtype.kind}{dtype.itemsize}"], dtype.itemsize * 8, 0)
    header += struct.pack("<8f", factor, column, row, step, repetition_seconds if times > 1 else 0, 0, 0, 0)
    header += struct.pack("<3f", _OFFSET, volume.rescale.slope, volume.rescale.intercept)
    header += struct.pack("<hBB24x", 0, 0, _MM_AND_SECONDS)
    header += struct.pack("<80s24s2h", description.encode("ascii", "replace")[:79], b"", _SCANNER, _SCANNER)
    header += struct.pack("<6f", *quaternion, *affine[:3, 3])
    header += struct.pack("<12f", *affine[:3].reshape(-1))
    return header + struct.pack("<16s4s", b"", b"n+1\0")


def _quaternion(affine: Matrix) -> tuple[float, tuple[float, float, float]]:
    """The rotation of an affine: qfac, which is -1 if it is left-handed, and the quaternion's b, c, d.

    A shear, as of a tilted gantry, cannot be said this way: the nearest rotation is, and readers prefer the sform.
    """
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    factor = -1.0 if np.linalg.det(columns) < 0 else 1.0
    columns[:, 2] *= factor
    left, _, right = np.linalg.svd(columns)
    rotation = left @ right
    # The largest component is computed first, against cancellation.
    diagonal = rotation.diagonal()
    squares = np.array(
        [
            1 + diagonal.sum(),
            1 + diagonal[0] - diagonal[1] - diagonal[2],
            1 - diagonal[0] + diagonal[1] - diagonal[2],
            1 - diagonal[0] - diagonal[1] + diagonal[2],
        ]
    )
    main = int(np.argmax(squares))
    double = math.sqrt(float(squares[main]))
    skew = np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    both = rotation + rotation.T
    if main == 0:
        parts = [double, *(skew / double)]
    else:
        axis = main - 1
        parts = [skew[axis] / double, *(both[axis] / double)]
        parts[main] = double
    a, b, c, d = (float(part) / 2 for part in parts)
    sign = -1.0 if a < 0 else 1.0
    return factor, (b * sign, c * sign, d * sign)
