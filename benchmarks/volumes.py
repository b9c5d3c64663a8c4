"""How long planes through a large CT take: `python benchmarks/volumes.py`, in processor time, beside SciPy.

The volume is 400 slices of 512 x 512 of noise, 16 bits: 210 MB. SciPy's `affine_transform` is asked for the same points
with the same order of interpolation.
"""

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import ndimage

from hounsfield.imaging.geometry import cross, unit
from hounsfield.imaging.lut import Rescale, Window
from hounsfield.imaging.plane_pictures import Look, PlaneView, plane_picture, view_plane
from hounsfield.imaging.png import encode_png
from hounsfield.imaging.projection import Projection, project
from hounsfield.imaging.reslice import Axis, Interpolation, Plane, axis_plane, plane_to_voxels, reslice
from hounsfield.imaging.volume import Volume

_SHAPE = (400, 512, 512)
_SPACING = 0.7


def main() -> None:
    volume = noise()
    plane = oblique(volume)
    matrix = plane_to_voxels(volume, plane)
    # SciPy counts slices, rows, columns, of the array as of the plane.
    order = [2, 1, 0]
    linear = matrix[np.ix_(order, [1, 0, 2])]
    offset = matrix[order, 3]
    cases: dict[str, Callable[[], object]] = {
        "oblique, trilinear": lambda: reslice(volume, plane),
        "oblique, nearest": lambda: reslice(volume, plane, Interpolation.NEAREST),
        "oblique, trilinear, SciPy": lambda: ndimage.affine_transform(
            volume.array, linear, offset, (512, 512, 1), np.float32, 1
        ),
        **{axis.value: along(volume, axis) for axis in (Axis.AXIAL, Axis.CORONAL, Axis.SAGITTAL)},
        "oblique slab of 14 mm, maximum": lambda: project(volume, plane, 14, Projection.MAXIMUM),
        "oblique, as a PNG file": lambda: encode_png(picture(volume)),
    }
    print("| 512 x 512 points | processor ms |\n|---|---|")
    for name, case in cases.items():
        print(f"| {name} | {measured(case):.1f} |")
    with ThreadPoolExecutor(2) as pool:
        start = time.perf_counter()
        list(pool.map(lambda _: reslice(volume, plane), range(60)))
        print(
            f"\n{60 / (time.perf_counter() - start):.0f} oblique planes a second by the clock, with two threads"
        )


def noise() -> Volume:
    array = np.random.default_rng(0).integers(-1000, 2000, _SHAPE, np.int16)
    affine = np.diag([_SPACING] * 3 + [1.0])
    positions = np.array([index * _SPACING for index in range(_SHAPE[0])])
    return Volume(array, affine, positions, Rescale(1, -1024), "HU", window=Window(40, 400))


def oblique(volume: Volume) -> Plane:
    """A plane through the middle, 25 degrees from one axis and 15 from another."""
    a, b = math.radians(25), math.radians(15)
    row = (math.cos(a) * math.cos(b), math.cos(a) * math.sin(b), math.sin(a))
    column = unit(cross((0.0, 0.0, 1.0), row))
    assert column is not None
    view = PlaneView(
        origin=(179.0, 179.0, 140.0), row=row, column=column, spacing_mm=_SPACING, rows=512, columns=512
    )
    return view_plane(volume, view)


def along(volume: Volume, axis: Axis) -> Callable[[], object]:
    plane = axis_plane(volume, axis)
    return lambda: reslice(volume, plane)


def picture(volume: Volume) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    view = PlaneView()
    return plane_picture(volume, oblique(volume), view, Look())


def measured(case: Callable[[], object]) -> float:
    """Milliseconds of processor time, the lowest of ten."""
    found = []
    for _ in range(10):
        start = time.process_time()
        case()
        found.append(time.process_time() - start)
    return min(found) * 1000


if __name__ == "__main__":
    main()
