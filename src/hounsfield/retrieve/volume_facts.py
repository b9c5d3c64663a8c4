"""What can be told of a series as volumes without reading its pixels."""

from hounsfield.errors import ArchiveError, Unsupported
from hounsfield.imaging.geometry import Matrix, orientation_of
from hounsfield.imaging.reslice import Plane
from hounsfield.imaging.series import Series
from hounsfield.imaging.stacks import Stack
from hounsfield.imaging.units import MODALITY, SuvScale, suv_scale
from hounsfield.imaging.volume import VolumePlan, plan_volume

_DECIMALS = 6


def volume_facts(series: Series, maximum_bytes: int) -> dict[str, object]:
    """The stacks of a series, where they are, and what is odd about them, as a JSON object.

    Lengths are in mm and points in LPS. A stack that cannot become a volume has a `Problem`.
    """
    facts: dict[str, object] = {
        "Instances": len(series.members),
        "Stacks": [_stack_facts(series, index, maximum_bytes) for index in range(len(series.stacks))],
        "Warnings": list(series.warnings),
    }
    if is_pet(series):
        try:
            scale = suv_of(series)
            facts["Suv"] = {"Factor": scale.factor, "Rule": scale.rule}
        except Unsupported as error:
            facts["Suv"] = {"Problem": str(error)}
    return facts


def is_pet(series: Series) -> bool:
    """Whether these are images of positron emission."""
    return any((member.head.dataset.text(MODALITY) or "") == "PT" for member in series.members[:1])


def suv_of(series: Series) -> SuvScale:
    """What turns the values of a PET series into SUV; `Unsupported` if something is missing."""
    return suv_scale(series.members[0].head.dataset, series.acquisitions)


def _stack_facts(series: Series, index: int, maximum_bytes: int) -> dict[str, object]:
    stack = series.stacks[index]
    facts: dict[str, object] = {
        "Slices": len(stack.frames),
        "Phase": dict(stack.phase),
        "Gaps": [
            {"After": gap.after, "Distance": _rounded(gap.distance_mm), "Missing": gap.missing}
            for gap in stack.gaps
        ],
        "Duplicates": len(stack.duplicates),
        "IsEven": stack.is_even,
        "TiltDegrees": _rounded(stack.tilt_degrees),
        "Warnings": list(stack.warnings),
    }
    try:
        plan = plan_volume(series, index, maximum_bytes=maximum_bytes)
    except ArchiveError as error:
        return {**facts, "Problem": str(error)}
    return {**facts, **_place(plan.affine), **_values(plan, stack)}


def _place(affine: Matrix) -> dict[str, object]:
    columns = [[float(affine[row, column]) for row in range(3)] for column in range(4)]
    lengths = [sum(each**2 for each in column) ** 0.5 for column in columns[:3]]
    return {
        "Affine": [[_rounded(float(each)) for each in row] for row in affine],
        "Orientation": orientation_of(affine),
        "Origin": [_rounded(each) for each in columns[3]],
        "Spacing": [_rounded(lengths[axis]) for axis in (2, 1, 0)],
    }


def _values(plan: VolumePlan, stack: Stack) -> dict[str, object]:
    window = plan.window
    return {
        "Bytes": plan.nbytes,
        "FrameOfReferenceUID": plan.frame_of_reference_uid,
        "Positions": [_rounded(each) for each in stack.positions_mm],
        "Rescale": {"Slope": plan.rescale.slope, "Intercept": plan.rescale.intercept},
        "Shape": list(plan.shape),
        "Type": plan.dtype.name,
        "Units": plan.units,
        "Window": None if window is None else {"Center": window.center, "Width": window.width},
    }


def plane_facts(plane: Plane) -> dict[str, object]:
    """Where the pixels of a picture are: of row r and column c at Origin + r Column Spacing[0] + c Row Spacing[1]."""
    return {
        "Origin": [_rounded(each) for each in plane.origin],
        "Row": [_rounded(each) for each in plane.row],
        "Column": [_rounded(each) for each in plane.column],
        "Normal": [_rounded(each) for each in plane.normal],
        "Spacing": [_rounded(each) for each in plane.spacing_mm],
        "Rows": plane.shape[0],
        "Columns": plane.shape[1],
    }


def _rounded(value: float) -> float:
    """Without the noise of arithmetic, and without a minus before a 0."""
    return round(value, _DECIMALS) + 0.0
