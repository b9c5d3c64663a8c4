"""Series of small slices with a known geometry, written by pydicom."""

import math
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian

Triple = tuple[float, float, float]
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
_STEM = "1.2.826.0.1.3680043.10.1200.55"


def ramp(index: int, rows: int = 4, columns: int = 5) -> NDArray[np.int16]:
    """Pixels of slice `index`: 100 a slice, 10 a row, 1 a column."""
    row, column = np.mgrid[:rows, :columns]
    return np.asarray(100 * index + 10 * row + column, np.int16)


def image(
    pixels: NDArray[Any],
    *,
    number: int = 1,
    position: Sequence[float] | None = (0.0, 0.0, 0.0),
    orientation: Sequence[float] | None = AXIAL,
    spacing: Sequence[float] | None = (2.0, 1.0),
    series: str = "1",
    **attributes: Any,
) -> Dataset:
    """A CT slice as a data set; attributes by keyword, None to leave one out."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, UID(f"{_STEM}.{series}.{number}")
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{_STEM}.0", f"{_STEM}.{series}"
    dataset.PatientID, dataset.PatientName, dataset.Modality = "P1", "DOE^JANE", "CT"
    dataset.InstanceNumber, dataset.FrameOfReferenceUID = number, f"{_STEM}.9"
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.SliceThickness = 1, -1024, 3
    if position is not None:
        dataset.ImagePositionPatient = [f"{each:.10g}" for each in position]
    if orientation is not None:
        dataset.ImageOrientationPatient = [f"{each:.10g}" for each in orientation]
    if spacing is not None:
        dataset.PixelSpacing = list(spacing)
    _add_pixels(dataset, pixels)
    for keyword, value in attributes.items():
        if value is None:
            dataset.pop(keyword, None)
        else:
            setattr(dataset, keyword, value)
    return dataset


def _add_pixels(dataset: Dataset, pixels: NDArray[Any]) -> None:
    if pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.add_new(0x7FE00010, "OW", pixels.tobytes())


def part10(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The file of a data set."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def normal(orientation: Sequence[float]) -> Triple:
    x, y, z = np.cross(orientation[:3], orientation[3:])
    return float(x), float(y), float(z)


def slices(
    positions: Sequence[float],
    *,
    orientation: Sequence[float] = AXIAL,
    origin: Triple = (-10.0, -20.0, 30.0),
    **attributes: Any,
) -> list[bytes]:
    """A series with slices at these distances along the normal, in that order and numbered so; pixels are `ramp`s."""
    along = normal(orientation)
    return [
        part10(
            image(
                ramp(index),
                number=index + 1,
                position=[o + distance * n for o, n in zip(origin, along, strict=True)],
                orientation=orientation,
                **attributes,
            )
        )
        for index, distance in enumerate(positions)
    ]


def tilted(degrees: float, count: int = 4, step_mm: float = 5.0) -> list[bytes]:
    """Axial slices of a CT with a tilted gantry: inclined around x, while the table moves along z."""
    angle = math.radians(degrees)
    orientation = (1.0, 0.0, 0.0, 0.0, math.cos(angle), math.sin(angle))
    return [
        part10(
            image(ramp(index), number=index + 1, position=(0, 0, index * step_mm), orientation=orientation)
        )
        for index in range(count)
    ]


def enhanced(positions: Sequence[float], **attributes: Any) -> bytes:
    """The same as one multi-frame instance with functional groups, in the order of `positions`."""
    dataset = image(
        np.stack([ramp(index) for index in range(len(positions))]),
        position=None,
        orientation=None,
        spacing=None,
        SOPClassUID=EnhancedCTImageStorage,
        RescaleSlope=None,
        RescaleIntercept=None,
        SliceThickness=None,
    )
    shared = Dataset()
    shared.PixelMeasuresSequence = [_item(PixelSpacing=[2, 1], SliceThickness=3)]
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=list(AXIAL))]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [
        _item(
            PlanePositionSequence=[_item(ImagePositionPatient=[-10, -20, position])],
            PixelValueTransformationSequence=[
                _item(RescaleIntercept=-1000, RescaleSlope=2, RescaleType="HU")
            ],
        )
        for position in positions
    ]
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return part10(dataset)


def _item(**attributes: Any) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def structure_set(points: Sequence[Triple] = ((0, 0, 5), (10, 0, 5), (10, 20, 5)), copies: int = 2) -> bytes:
    """One region, the same closed contour some times."""
    dataset = image(ramp(0), SOPClassUID=UID("1.2.840.10008.5.1.4.1.1.481.3"), Modality="RTSTRUCT")
    del dataset.PixelData
    contour = _item(
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=len(points),
        ContourData=[each for point in points for each in point],
    )
    dataset.StructureSetROISequence = [_item(ROINumber=5, ROIName="PTV <1>")]
    dataset.ROIContourSequence = [
        _item(ReferencedROINumber=5, ROIDisplayColor=[255, 0, 128], ContourSequence=[contour] * copies)
    ]
    return part10(dataset)
