"""Plans and structures of radiotherapy, told in a few facts. PS3.3 C.8.8.

No patient is named: structures and beams have names of their own.
"""

from collections.abc import Iterator

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.tags import Tag

RT_STRUCTURE_SET_STORAGE = "1.2.840.10008.5.1.4.1.1.481.3"
RT_PLAN_STORAGE = "1.2.840.10008.5.1.4.1.1.481.5"
RT_ION_PLAN_STORAGE = "1.2.840.10008.5.1.4.1.1.481.8"

_STRUCTURE_SET_ROIS: Tag = 0x30060020
_ROI_NUMBER: Tag = 0x30060022
_ROI_NAME: Tag = 0x30060026
_ROI_CONTOURS: Tag = 0x30060039
_CONTOURS: Tag = 0x30060040
_CONTOUR_TYPE: Tag = 0x30060042
_CONTOUR_POINTS: Tag = 0x30060046
_REFERENCED_ROI: Tag = 0x30060084
_ROI_COLOUR: Tag = 0x3006002A
_ROI_OBSERVATIONS: Tag = 0x30060080
_ROI_TYPE: Tag = 0x300600A4
_BEAMS: Tag = 0x300A00B0
_ION_BEAMS: Tag = 0x300A03A2
_FRACTION_GROUPS: Tag = 0x300A0070
_REFERENCED_BEAMS: Tag = 0x300C0004
_CONTROL_POINTS: Tag = 0x300A0111
_ION_CONTROL_POINTS: Tag = 0x300A03A8
_DOSE_REFERENCES: Tag = 0x300A0010


def structure_facts(dataset: Dataset) -> dict[str, object]:
    """The regions of interest of a structure set, with how many contours and points each has."""
    contours = {item.int(_REFERENCED_ROI): item for item in dataset.items(_ROI_CONTOURS)}
    kinds = {item.int(_REFERENCED_ROI): _text(item, _ROI_TYPE) for item in dataset.items(_ROI_OBSERVATIONS)}
    return {
        "StructureSetLabel": dataset.get("StructureSetLabel").strip(),
        "Regions": [
            _region(item, contours.get(item.int(_ROI_NUMBER)), kinds.get(item.int(_ROI_NUMBER), ""))
            for item in dataset.items(_STRUCTURE_SET_ROIS)
        ],
    }


def _region(item: Dataset, drawn: Dataset | None, kind: str) -> dict[str, object]:
    contours = drawn.items(_CONTOURS) if drawn is not None else []
    colour = (drawn.text(_ROI_COLOUR) or "").split("\\") if drawn is not None else []
    return {
        "Number": item.int(_ROI_NUMBER),
        "Name": _text(item, _ROI_NAME),
        "Type": kind,
        "Contours": len(contours),
        "Points": sum(contour.int(_CONTOUR_POINTS) or 0 for contour in contours),
        "Geometry": sorted({_text(contour, _CONTOUR_TYPE) for contour in contours}),
        "Colour": [int(part) for part in colour if part.strip().isdigit()],
    }


def plan_facts(dataset: Dataset) -> dict[str, object]:
    """The beams and the fractions of a plan."""
    return {
        "PlanLabel": dataset.get("RTPlanLabel").strip(),
        "Intent": dataset.get("PlanIntent").strip(),
        "ApprovalStatus": dataset.get("ApprovalStatus").strip(),
        "Prescriptions": [
            {
                "Structure": item.get("DoseReferenceStructureType").strip(),
                "Type": item.get("DoseReferenceType").strip(),
                "DoseGy": item.get("TargetPrescriptionDose").strip(),
            }
            for item in dataset.items(_DOSE_REFERENCES)
        ],
        "Fractions": [
            {
                "Group": item.int(0x300A0071),
                "Planned": item.int(0x300A0078),
                "Beams": item.int(0x300A0080),
            }
            for item in dataset.items(_FRACTION_GROUPS)
        ],
        "Beams": list(_beams(dataset)),
    }


def _beams(dataset: Dataset) -> Iterator[dict[str, object]]:
    meterset = {
        each.int(0x300C0006): _text(each, 0x300A0086)
        for group in dataset.items(_FRACTION_GROUPS)
        for each in group.items(_REFERENCED_BEAMS)
    }
    for item in [*dataset.items(_BEAMS), *dataset.items(_ION_BEAMS)]:
        points = item.items(_CONTROL_POINTS) or item.items(_ION_CONTROL_POINTS)
        first = points[0] if points else item
        number = item.int(0x300A00C0)
        yield {
            "Number": number,
            "Name": item.get("BeamName").strip(),
            "Type": item.get("BeamType").strip(),
            "Radiation": item.get("RadiationType").strip(),
            "Machine": item.get("TreatmentMachineName").strip(),
            "Energy": first.get("NominalBeamEnergy").strip(),
            "GantryAngle": first.get("GantryAngle").strip(),
            "ControlPoints": len(points),
            "Meterset": meterset.get(number, ""),
        }


def _text(dataset: Dataset, tag: Tag) -> str:
    return (dataset.text(tag) or "").strip()
