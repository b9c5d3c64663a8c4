"""Series of any files as volumes, and objects that are no images: values, or an `ArchiveError`."""

import io
from collections.abc import Callable

import pydicom
from pydicom.data import get_testdata_file
from tests.imaging.test_mosaic import mosaic
from tests.volumes import enhanced, slices, structure_set, tilted

from hounsfield.dicom.part10 import read_head
from hounsfield.errors import ArchiveError
from hounsfield.imaging import dose, segmentation, structures, waveforms
from hounsfield.imaging.nifti import nifti_bytes
from hounsfield.imaging.plane_pictures import Look, PlaneView, plane_picture, view_plane
from hounsfield.imaging.reslice import Axis
from hounsfield.imaging.series import Member, arrange, read_member
from hounsfield.imaging.units import suv_scale
from hounsfield.imaging.volume import load_volume, plan_volume
from hounsfield.retrieve.documents import document_type
from hounsfield.retrieve.reports import read_report, report_html, report_text
from hounsfield.retrieve.treatments import plan_facts, structure_facts
from hounsfield.retrieve.volume_facts import volume_facts

_BYTES_MAX = 1 << 20


def series(data: bytes) -> None:
    """The file beside two good slices, as a volume, in planes and as NIfTI."""
    arranged = arrange([read_member(data), *_GOOD])
    volume_facts(arranged, _BYTES_MAX)
    for index in range(min(len(arranged.stacks), 2)):
        try:
            plan = plan_volume(arranged, index, maximum_bytes=_BYTES_MAX)
            volume = load_volume(plan, workers=1)
            for axis in Axis:
                view = PlaneView(axis=axis, columns=20, rows=20, thickness_mm=2.0)
                plane_picture(volume, view_plane(volume, view), view, Look())
            nifti_bytes(volume)
        except ArchiveError:
            continue


def uptake(data: bytes) -> None:
    """Standardized uptake values."""
    suv_scale(read_head(data).dataset)


def report(data: bytes) -> None:
    """The text of a report."""
    items = read_report(read_head(data).dataset)
    report_text(items)
    report_html(items)


def treatment(data: bytes) -> None:
    """A plan or structures, whatever it is."""
    dataset = read_head(data).dataset
    plan_facts(dataset)
    structure_facts(dataset)
    document_type(dataset)


def contours(data: bytes) -> None:
    """Contours, drawn."""
    structures.draw_structures(read_head(data).dataset)


def waveform(data: bytes) -> None:
    """Signals, drawn both ways."""
    for group in waveforms.read_waveforms(read_head(data).dataset)[:2]:
        waveforms.draw_svg(group)
        waveforms.draw_pixels(group)


def segments(data: bytes) -> None:
    """Segments and their fullest plane."""
    head = read_head(data)
    segmentation.read_segments(head.dataset)
    segmentation.picture_of(segmentation.fullest_plane(data, head), None)


def doses(data: bytes) -> None:
    """The hottest plane."""
    dose.picture_of(dose.hottest_plane(data, read_head(data)))


def _real(name: str, samples: int = 0) -> bytes:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    dataset = pydicom.dcmread(path)
    if samples:
        del dataset.WaveformSequence[1:]
        item = dataset.WaveformSequence[0]
        item.NumberOfWaveformSamples = samples
        item.WaveformData = item.WaveformData[: samples * item.NumberOfWaveformChannels * 2]
    written = io.BytesIO()
    dataset.save_as(written)
    return written.getvalue()


_SLICES = slices([0, 3, 6])
_GOOD: list[Member] = [read_member(each) for each in _SLICES[:2]]

TARGETS: dict[str, Callable[[bytes], None]] = {
    "series": series,
    "uptake": uptake,
    "report": report,
    "treatment": treatment,
    "contours": contours,
    "waveform": waveform,
    "segments": segments,
    "dose": doses,
}
SEEDS: dict[str, tuple[bytes, ...]] = {
    "series": (
        _SLICES[2],
        mosaic(2),
        mosaic(3, "0 0 -1"),
        tilted(20)[2],
        enhanced([0, 2, 6]),
        _real("rtdose_1frame.dcm"),
    ),
    "uptake": (_SLICES[0],),
    "report": (_real("test-SR.dcm"), _real("reportsi.dcm")),
    "treatment": (_real("rtplan.dcm"),),
    "contours": (structure_set(), structure_set([(0, 0, 0), (1e9, 0, 0)])),
    "waveform": (_real("waveform_ecg.dcm", samples=50),),
    "segments": (_real("liver_1frame.dcm"), enhanced([0, 0])),
    "dose": (_real("rtdose_1frame.dcm"), _real("rtdose.dcm")),
}
