"""What an instance is about, for a preview: facts, text, and a picture, whether it is an image or not.

One table, `_KINDS`, says how each kind of object is told. Nothing is taken from the Patient module.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from html import escape

from hounsfield.archive import Archive
from hounsfield.dicom import uids
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.levels import Level
from hounsfield.dicom.part10 import Head, read_head
from hounsfield.dicom.scan import Buffer
from hounsfield.dicom.tags import SOP_CLASS_UID
from hounsfield.errors import ArchiveError, BadRequest
from hounsfield.imaging import dose, segmentation, structures, waveforms
from hounsfield.imaging.frames import count_frames, has_frames
from hounsfield.imaging.png import encode_png
from hounsfield.imaging.render import Image
from hounsfield.imaging.units import RT_DOSE_STORAGE
from hounsfield.index.find import lookup
from hounsfield.retrieve.documents import document_type, has_document, is_video
from hounsfield.retrieve.files import find_dicom
from hounsfield.retrieve.frames import ImageRequest, View, file_buffer, frame_picture
from hounsfield.retrieve.reports import VALUE_TYPE, read_report, report_html, report_status, report_text
from hounsfield.retrieve.treatments import (
    RT_ION_PLAN_STORAGE,
    RT_PLAN_STORAGE,
    RT_STRUCTURE_SET_STORAGE,
    plan_facts,
    structure_facts,
)

_TITLES = ("ContentLabel", "DocumentTitle", "SeriesDescription", "StudyDescription")
_CONTENT_DATE, _CONTENT_TIME = "ContentDate", "ContentTime"
Facts = Mapping[str, object]


class NoPicture(BadRequest):
    """The instance cannot be shown in a picture."""


class Kind(Enum):
    """What an instance is."""

    REPORT = "Report"
    WAVEFORM = "Waveform"
    SEGMENTATION = "Segmentation"
    DOSE = "Dose"
    PLAN = "Plan"
    STRUCTURES = "Structures"
    VIDEO = "Video"
    DOCUMENT = "Document"
    IMAGE = "Image"
    OTHER = "Other"


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """An instance that is told about."""

    archive: Archive
    public_id: str
    data: Buffer
    head: Head

    @property
    def dataset(self) -> Dataset:
        """Its data set, up to the pixels."""
        return self.head.dataset


def open_subject(archive: Archive, public_id: str) -> Subject:
    """Read an instance to tell about it; `NotFound` if there is none."""
    data = file_buffer(archive, find_dicom(archive, public_id))
    return Subject(archive, public_id, data, read_head(data))


def kind_of(head: Head) -> Kind:
    """What an instance is, by its SOP class or by what it holds."""
    dataset = head.dataset
    by_class = _BY_CLASS.get((dataset.text(SOP_CLASS_UID) or "").strip())
    if by_class is not None:
        return by_class
    if waveforms.WAVEFORM_SEQUENCE in dataset:
        return Kind.WAVEFORM
    if has_document(dataset):
        return Kind.DOCUMENT
    if is_video(head):
        return Kind.VIDEO
    if has_frames(head):
        return Kind.IMAGE
    return Kind.REPORT if VALUE_TYPE in dataset else Kind.OTHER


_SECOND = 25
"""Frames of a video."""

_BY_CLASS: Mapping[str, Kind] = {
    segmentation.SEGMENTATION_STORAGE: Kind.SEGMENTATION,
    segmentation.LABEL_MAP_STORAGE: Kind.SEGMENTATION,
    RT_DOSE_STORAGE: Kind.DOSE,
    RT_PLAN_STORAGE: Kind.PLAN,
    RT_ION_PLAN_STORAGE: Kind.PLAN,
    RT_STRUCTURE_SET_STORAGE: Kind.STRUCTURES,
}


def summary_facts(subject: Subject) -> dict[str, object]:
    """What an instance is about, as a JSON object.

    Raises
    ------
    Corrupt, Unsupported
        If it cannot be read as what it claims to be.
    """
    dataset, kind = subject.dataset, kind_of(subject.head)
    sop_class_uid = (dataset.text(SOP_CLASS_UID) or "").strip()
    return {
        "Kind": kind.value,
        "SOPClassUID": sop_class_uid,
        "SOPClass": uids.uid_name(sop_class_uid) or "",
        "Modality": dataset.get("Modality").strip(),
        "Title": _title(subject, kind),
        "ContentDate": dataset.get(_CONTENT_DATE).strip(),
        "ContentTime": dataset.get(_CONTENT_TIME).strip(),
        **_FACTS[kind](subject),
    }


def _title(subject: Subject, kind: Kind) -> str:
    if kind is Kind.REPORT:
        root = read_report(subject.dataset)[0]
        if root.name:
            return root.name
    return next((text for text in map(subject.dataset.get, _TITLES) if text.strip()), "").strip()


def _report(subject: Subject) -> Facts:
    return {**report_status(subject.dataset), "Text": report_text(read_report(subject.dataset))}


def _waveform(subject: Subject) -> Facts:
    return {
        "Groups": [
            {
                "Label": group.label,
                "FrequencyHz": group.frequency_hz,
                "Seconds": round(group.seconds, 3),
                "Channels": [{"Label": each.label, "Units": each.units} for each in group.channels],
            }
            for group in waveforms.read_waveforms(subject.dataset)
        ]
    }


def _segmentation(subject: Subject) -> Facts:
    return {
        **_frames(subject),
        "Segments": [
            {
                "Number": each.number,
                "Label": each.label,
                "Algorithm": each.algorithm,
                "Colour": list(each.colour),
            }
            for each in segmentation.read_segments(subject.dataset)
        ],
    }


def _dose(subject: Subject) -> Facts:
    plane = dose.hottest_plane(subject.data, subject.head)
    return {
        **_frames(subject),
        "DoseType": subject.dataset.get("DoseType").strip(),
        "SummationType": subject.dataset.get("DoseSummationType").strip(),
        "Units": plane.units,
        "Maximum": plane.maximum,
        "FrameOfMaximum": plane.frame,
    }


def _document(subject: Subject) -> Facts:
    return {"MimeType": document_type(subject.dataset)}


def _frames(subject: Subject) -> Facts:
    dataset = subject.dataset
    return {
        "Frames": count_frames(subject.head, len(subject.data)),
        "Rows": dataset.int(0x00280010),
        "Columns": dataset.int(0x00280011),
    }


_FACTS: Mapping[Kind, Callable[[Subject], Facts]] = {
    Kind.REPORT: _report,
    Kind.WAVEFORM: _waveform,
    Kind.SEGMENTATION: _segmentation,
    Kind.DOSE: _dose,
    Kind.PLAN: lambda subject: plan_facts(subject.dataset),
    Kind.STRUCTURES: lambda subject: structure_facts(subject.dataset),
    Kind.VIDEO: _frames,
    Kind.DOCUMENT: _document,
    Kind.IMAGE: _frames,
    Kind.OTHER: lambda _: {},
}


def summary_picture(subject: Subject) -> Image:
    """A picture of an instance.

    Raises
    ------
    NoPicture
        If it is nothing to look at: a report, a plan, a document.
    Corrupt, Unsupported
        If it cannot be read as what it claims to be.
    """
    kind = kind_of(subject.head)
    if kind is Kind.WAVEFORM:
        return waveforms.draw_pixels(_first_group(subject))
    if kind is Kind.SEGMENTATION:
        return _segments_on_their_image(subject)
    if kind is Kind.DOSE:
        return dose.picture_of(dose.hottest_plane(subject.data, subject.head))
    if kind is Kind.STRUCTURES:
        return structures.draw_structures(subject.dataset)
    if kind in (Kind.IMAGE, Kind.VIDEO):
        middle = (count_frames(subject.head, len(subject.data)) + 1) // 2
        if kind is Kind.VIDEO:  # All frames before it have to be decoded.
            middle = min(middle, _SECOND)
        return frame_picture(subject.archive, subject.public_id, middle, ImageRequest(View.RENDERED))
    raise NoPicture(f"There is no picture of a {kind.value.lower()}")


def summary_png(subject: Subject) -> bytes:
    """A picture of an instance as a PNG file. Errors as of `summary_picture`."""
    return encode_png(summary_picture(subject))


def has_own_picture(head: Head) -> bool:
    """Whether its frames, or the lack of them, say less than the picture that is made of it."""
    return kind_of(head) in (Kind.WAVEFORM, Kind.SEGMENTATION, Kind.DOSE, Kind.STRUCTURES)


def summary_svg(subject: Subject) -> str:
    """A waveform on squared paper as an SVG document; `NoPicture` of anything else."""
    if kind_of(subject.head) is not Kind.WAVEFORM:
        raise NoPicture("Only waveforms are drawn as SVG")
    return waveforms.draw_svg(_first_group(subject))


def _first_group(subject: Subject) -> waveforms.MultiplexGroup:
    groups = waveforms.read_waveforms(subject.dataset)
    if not groups:
        raise NoPicture("The instance has no waveform")
    return groups[0]


def _segments_on_their_image(subject: Subject) -> Image:
    plane = segmentation.fullest_plane(subject.data, subject.head)
    return segmentation.picture_of(plane, _source_picture(subject.archive, plane.source))


def _source_picture(archive: Archive, source: tuple[str, int] | None) -> Image | None:
    """The image that was segmented, if the archive has it and can show it."""
    if source is None:
        return None
    uid, number = source
    with archive.database.read() as tx:
        found = [public_id for level, public_id in lookup(tx, uid) if level is Level.INSTANCE]
    for public_id in found:
        try:
            return frame_picture(archive, public_id, number, ImageRequest(View.RENDERED))
        except ArchiveError:
            continue
    return None


def summary_html(subject: Subject) -> str:
    """A page about an instance, complete in itself and without any script."""
    facts = summary_facts(subject)
    title = escape(str(facts["Title"] or facts["SOPClass"] or facts["Kind"]))
    kind = kind_of(subject.head)
    body = report_html(read_report(subject.dataset)) if kind is Kind.REPORT else _table(facts)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>{_STYLE}</head>'
        f"<body><h1>{title}</h1>{_status(facts)}{_picture(subject, kind)}{body}</body></html>"
    )


_STYLE = (
    "<style>body{font-family:sans-serif;max-width:60rem;margin:1rem auto;padding:0 1rem}img,svg{max-width:100%;"
    "height:auto}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2rem .5rem;text-align:left;"
    "vertical-align:top}li{margin:.2rem 0}</style>"
)


def _status(facts: Facts) -> str:
    """What is known of a report's making; an unverified one says so."""
    words = [str(facts.get(name, "")) for name in ("CompletionFlag", "VerificationFlag", "ContentDate")]
    shown = ", ".join(escape(word.lower()) for word in words if word)
    return f"<p>{shown}</p>" if shown else ""


def _picture(subject: Subject, kind: Kind) -> str:
    try:
        if kind is Kind.WAVEFORM:
            return summary_svg(subject)
        return f'<img alt="" src="data:image/png;base64,{b64encode(summary_png(subject)).decode()}">'
    except ArchiveError:  # The text tells enough where there is no picture.
        return ""


def _table(value: object) -> str:
    """Facts as a table, in tables."""
    if isinstance(value, Mapping):
        rows = "".join(
            f"<tr><th>{escape(str(key))}</th><td>{_table(each)}</td></tr>" for key, each in value.items()
        )
        return f"<table>{rows}</table>"
    if isinstance(value, list):
        if all(isinstance(each, str | int | float) for each in value):
            return escape(", ".join(map(str, value)))
        return "".join(_table(each) for each in value)
    return escape("" if value is None else str(value))
