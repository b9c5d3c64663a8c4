"""Make the pictures of `docs/imaging.md` from a phantom: `python3 tools/make_volume_pictures.py`.

The phantom is a head with a skull, two eyes at the front, a bright mark on the patient's left and a hot spot, so that a
picture that is upside down or turned over is seen at once. No patient is in them.
"""

import io
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.data import get_testdata_file

from hounsfield.dicom.part10 import read_head
from hounsfield.imaging.lettering import write
from hounsfield.imaging.lut import Window
from hounsfield.imaging.plane_pictures import Look, Overlay, PlaneView, plane_picture, view_plane
from hounsfield.imaging.png import encode_png
from hounsfield.imaging.projection import Projection
from hounsfield.imaging.reslice import Axis
from hounsfield.imaging.volume import Volume
from hounsfield.imaging.waveforms import draw_pixels, read_waveforms

TARGET = Path(__file__).parents[1] / "docs" / "images"
BRAIN = Look(Window(40, 400))
SIDE = 200


def main() -> None:
    ct, pet = head(), uptake()
    (TARGET / "planes.png").write_bytes(encode_png(planes(ct)))
    (TARGET / "slabs.png").write_bytes(encode_png(slabs(ct)))
    (TARGET / "fusion.png").write_bytes(encode_png(fusion(ct, pet)))
    (TARGET / "ecg.png").write_bytes(encode_png(electrocardiogram()))


def points(
    shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates in mm of all voxels, z, y, x, with the origin in the middle."""
    z, y, x = (
        (np.arange(count) - (count - 1) / 2) * step for count, step in zip(shape, spacing, strict=True)
    )
    return z[:, None, None], y[None, :, None], x[None, None, :]


def place(array: NDArray[np.float64], spacing: tuple[float, float, float], units: str) -> Volume:
    affine = np.diag([spacing[2], spacing[1], spacing[0], 1.0])
    affine[:3, 3] = [
        -(count - 1) / 2 * step for count, step in zip(array.shape[::-1], spacing[::-1], strict=True)
    ]
    positions = np.array([index * spacing[0] for index in range(len(array))])
    return Volume(array.astype(np.int16), affine, positions, units=units)


def head() -> Volume:
    """A CT of 100 slices of 2 mm; LPS: y is negative at the front, x is positive on the left."""
    spacing = (2.0, 1.0, 1.0)
    z, y, x = points((100, 220, 180), spacing)
    radius = np.sqrt((x / 75) ** 2 + (y / 95) ** 2 + (z / 90) ** 2)
    image = np.full(radius.shape, -1000.0)
    image[radius < 1] = 40
    image[radius < 0.96] = 900
    image[radius < 0.88] = 35
    image[((x / 14) ** 2 + (y / 26) ** 2 + ((z - 5) / 22) ** 2) < 1] = 5
    for side in (-1, 1):
        image[np.sqrt((x - side * 28) ** 2 + (y + 78) ** 2 + (z + 20) ** 2) < 13] = 15
        image[np.sqrt((x - side * 28) ** 2 + (y + 88) ** 2 + (z + 20) ** 2) < 6] = 140
    vessels = np.sqrt((x - 25 * np.sin(z / 14)) ** 2 + (y - 20 - 20 * np.cos(z / 14)) ** 2) < 3
    image[vessels & (radius < 0.86)] = 320
    image[np.sqrt((x - 55) ** 2 + (y - 20) ** 2 + (z - 30) ** 2) < 7] = 250
    return place(image, spacing, "HU")


def uptake() -> Volume:
    """Activity in 50 slices of 4 mm with a hot spot on the left, above the middle."""
    spacing = (4.0, 4.0, 4.0)
    z, y, x = points((50, 55, 45), spacing)
    brain = ((x / 65) ** 2 + (y / 83) ** 2 + (z / 79) ** 2) < 1
    spot = 4000 * np.exp(-((x - 40) ** 2 + (y - 20) ** 2 + (z - 30) ** 2) / 260)
    return place(np.where(brain, 700.0, 0.0) + spot, spacing, "BQML")


def shown(
    volume: Volume, view: PlaneView, look: Look, title: str, overlay: Overlay | None = None
) -> NDArray[np.uint8]:
    picture = plane_picture(volume, view_plane(volume, view), view, look, overlay)
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    tile = np.zeros((SIDE + 14, SIDE, 3), np.uint8)
    top, left = (SIDE - picture.shape[0]) // 2, (SIDE - picture.shape[1]) // 2
    tile[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    write(tile, SIDE + 4, 4, title, (255, 255, 255))
    return tile


def planes(ct: Volume) -> NDArray[np.uint8]:
    """The three planes of anatomy, and an oblique one through the eyes."""
    tiles = [
        shown(ct, PlaneView(axis=axis, position_mm=position, columns=SIDE, rows=SIDE), BRAIN, axis.value)
        for axis, position in ((Axis.AXIAL, -20.0), (Axis.CORONAL, 20.0), (Axis.SAGITTAL, 28.0))
    ]
    oblique = PlaneView(
        origin=(0.0, -40.0, 0.0), normal=(0.0, 0.6, -1.0), spacing_mm=1.1, columns=SIDE, rows=SIDE
    )
    return np.hstack([*tiles, shown(ct, oblique, BRAIN, "oblique")])


def slabs(ct: Volume) -> NDArray[np.uint8]:
    """The vessels in slabs of 80 mm."""
    tiles = []
    for projection, look in (
        (Projection.MAXIMUM, Look(Window(200, 500))),
        (Projection.MEAN, BRAIN),
        (Projection.MINIMUM, Look(Window(0, 200))),
    ):
        view = PlaneView(
            axis=Axis.CORONAL,
            position_mm=20.0,
            columns=SIDE,
            rows=SIDE,
            thickness_mm=80,
            projection=projection,
        )
        tiles.append(shown(ct, view, look, f"{projection.value} 80 mm"))
    return np.hstack(tiles)


def fusion(ct: Volume, pet: Volume) -> NDArray[np.uint8]:
    """Activity over anatomy in several colour maps."""
    view = PlaneView(axis=Axis.CORONAL, position_mm=20.0, columns=SIDE, rows=SIDE)
    return np.hstack(
        [
            shown(ct, view, BRAIN, colours, Overlay(pet, Look(Window(2000, 4000), colours), 0.8))
            for colours in ("hot-iron", "pet", "rainbow")
        ]
    )


def electrocardiogram() -> NDArray[np.uint8]:
    """The first leads of the sample that comes with pydicom."""
    path = get_testdata_file("waveform_ecg.dcm")
    assert isinstance(path, str)
    dataset = pydicom.dcmread(path)
    item = dataset.WaveformSequence[0]
    samples = np.frombuffer(item.WaveformData, "<i2").reshape(-1, 12)[:6000, :4]
    item.WaveformData, item.NumberOfWaveformSamples = samples.tobytes(), 6000
    item.NumberOfWaveformChannels, item.ChannelDefinitionSequence = 4, item.ChannelDefinitionSequence[:4]
    written = io.BytesIO()
    dataset.save_as(written)
    return draw_pixels(read_waveforms(read_head(written.getvalue()).dataset)[0])


if __name__ == "__main__":
    main()
