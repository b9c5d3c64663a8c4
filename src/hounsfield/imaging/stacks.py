"""Frames in stacks: which belong together, in which order they lie, and what is wrong with them.

Order and distance come from Image Position and Orientation (Patient) alone, never from Instance Number: PS3.3 C.7.6.2.
Frames at the same place are told apart by what a scanner varies: time, echo, diffusion and the like.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hounsfield.imaging.geometry import FramePlane, Matrix, Vector, affine_of, dot
from hounsfield.imaging.mosaic import Tile

SAME_DIRECTION = 1e-3
"""Largest difference in a coordinate of directions that count as the same: 0.06 degrees."""

_SAME_SPACING = 1e-3
_SAME_PLACE_MM = 0.01
_SAME_PLACE_PIXELS = 0.1  # of micro-CT, whose pixels are smaller than that
_UNEVEN = 0.05
"""Largest distance of a slice from its place on an even grid, in slices, that is put down to rounding."""

_GAP = 1.5
_TILT_DEGREES = 0.1
_SHIFTED_MM = 0.1


@dataclass(frozen=True, slots=True)
class StackFrame:
    """One frame of a series, as far as stacking it matters."""

    member: int
    """Index of its instance in the series."""

    number: int
    """Frame number in its instance, from 1."""

    plane: FramePlane | None
    kind: tuple[object, ...]
    """What frames of a stack have in common besides their orientation: sizes, colour, and so on."""

    phase: tuple[tuple[str, str], ...] = ()
    """Attributes that scanners vary at one place, by keyword, in the order they are tried."""

    instance_number: int = 0
    thickness_mm: float | None = None
    tile: Tile | None = None
    """Which part of the frame it is, of a mosaic."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Slices that are missing between two neighbours."""

    after: int
    """Index of the slice before the gap."""

    distance_mm: float
    missing: int
    """How many slices would fit."""


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Frames that are parallel, of one size and one phase, along their normal."""

    frames: tuple[StackFrame, ...]
    positions_mm: tuple[float, ...]
    """Along the slice direction, from the first slice: 0, ascending."""

    spacing_mm: float
    """The usual distance of neighbours: the median; of a single slice its thickness."""

    step: Vector
    """From one slice to the next in mm, LPS; not along the normal if the gantry is tilted."""

    phase: tuple[tuple[str, str], ...] = ()
    gaps: tuple[Gap, ...] = ()
    duplicates: tuple[StackFrame, ...] = ()
    """Frames left out because another one is at their place."""

    is_even: bool = True
    """Whether all distances are the usual one."""

    tilt_degrees: float = 0.0
    """Between the slice direction and the normal of the slices."""

    warnings: tuple[str, ...] = ()

    @property
    def affine(self) -> Matrix | None:
        """From (column, row, slice, 1) to LPS in mm; None without planes. Exact if `is_even`."""
        plane = self.frames[0].plane
        return None if plane is None else affine_of(plane, self.step)


def stack_frames(frames: Iterable[StackFrame]) -> list[Stack]:
    """Sort the frames of a series into stacks, the largest first.

    Frames without a plane make stacks in the order of Instance Number, with positions 1 mm apart.
    """
    stacks: list[Stack] = []
    for group in _parallel_groups(frames):
        if group[0].plane is None:
            stacks.append(_flat_stack(group))
        else:
            stacks += [_stack(phase, members) for phase, members in _split_phases(group)]
    order = {id(stack): index for index, stack in enumerate(stacks)}
    return sorted(stacks, key=lambda stack: (-len(stack.frames), order[id(stack)]))


def _in_order(frame: StackFrame) -> tuple[int, int, int]:
    return (frame.instance_number, frame.member, frame.number)


def _parallel_groups(frames: Iterable[StackFrame]) -> list[list[StackFrame]]:
    """Frames of the same kind whose orientation and spacing are the same."""
    by_kind: dict[tuple[object, ...], list[list[StackFrame]]] = {}
    for frame in sorted(frames, key=_in_order):
        groups = by_kind.setdefault(frame.kind, [])
        # A group's last frame is asked first: series are mostly one run after the other.
        for group in reversed(groups):
            if _is_parallel(group[0].plane, frame.plane):
                group.append(frame)
                break
        else:
            groups.append([frame])
    return [group for groups in by_kind.values() for group in groups]


def _is_parallel(a: FramePlane | None, b: FramePlane | None) -> bool:
    if a is None or b is None:
        return a is b
    directions = zip((*a.row, *a.column), (*b.row, *b.column), strict=True)
    spacings = zip(a.spacing_mm, b.spacing_mm, strict=True)
    return all(abs(x - y) < SAME_DIRECTION for x, y in directions) and all(
        abs(x - y) < _SAME_SPACING * x for x, y in spacings
    )


def _flat_stack(group: list[StackFrame]) -> Stack:
    positions = tuple(float(index) for index in range(len(group)))
    warning = "no Image Position and Orientation (Patient): frames are in the order of Instance Number"
    return Stack(tuple(group), positions, 1.0, (0.0, 0.0, 1.0), warnings=(warning,))


def _distance(frame: StackFrame, normal: Vector) -> float:
    return dot(frame.plane.position, normal) if frame.plane is not None else 0.0


Phase = tuple[tuple[str, str], ...]


def _split_phases(group: list[StackFrame]) -> list[tuple[Phase, list[StackFrame]]]:
    """Parts of a group in which no two frames are at the same place, as far as their attributes can tell.

    Attributes are taken one by one, those that tell frames at one place apart, until no place is taken twice. Where
    none is left, but each place was taken equally often, the order of Instance Number tells repetitions. An attribute
    that differs from slice to slice anyway, as a time may, tells no phases.
    """
    places = _by_place(group)
    keywords: list[str] = []
    most = most_at_first = _most_at_a_place(places, keywords)
    for keyword in dict.fromkeys(keyword for frame in group for keyword, _ in frame.phase):
        if most == 1:
            break
        tried = [*keywords, keyword]
        fewer = _most_at_a_place(places, tried)
        if fewer < most and len({_phase(frame, tried) for frame in group}) <= 2 * most_at_first:
            keywords, most = tried, fewer
    phases: dict[Phase, list[StackFrame]] = {}
    for frame in group:
        phases.setdefault(_phase(frame, keywords), []).append(frame)
    return [part for phase, members in phases.items() for part in _split_repetitions(phase, members)]


def _phase(frame: StackFrame, keywords: Sequence[str]) -> Phase:
    values = dict(frame.phase)
    return tuple((keyword, values.get(keyword, "")) for keyword in keywords)


def _by_place(group: list[StackFrame]) -> list[list[StackFrame]]:
    """Frames at the same distance along the normal."""
    normal = _normal(group[0])
    smallest = min(group[0].plane.spacing_mm) if group[0].plane else 1.0
    same = min(_SAME_PLACE_MM, _SAME_PLACE_PIXELS * smallest)
    found: list[list[StackFrame]] = []
    last = -math.inf
    for frame in sorted(group, key=lambda frame: _distance(frame, normal)):
        distance = _distance(frame, normal)
        if distance - last > same:
            found.append([])
            last = distance
        found[-1].append(frame)
    return found


def _normal(frame: StackFrame) -> Vector:
    return frame.plane.normal if frame.plane is not None else (0.0, 0.0, 1.0)


def _most_at_a_place(places: list[list[StackFrame]], keywords: Sequence[str]) -> int:
    most = 0
    for place in places:
        counts: dict[Phase, int] = {}
        for frame in place:
            phase = _phase(frame, keywords)
            counts[phase] = counts.get(phase, 0) + 1
        most = max(most, *counts.values())
    return most


def _split_repetitions(phase: Phase, members: list[StackFrame]) -> list[tuple[Phase, list[StackFrame]]]:
    places = _by_place(members)
    times = len(places[0])
    if times == 1 or len(places) == 1 or any(len(place) != times for place in places):
        return [(phase, members)]
    ordered = [sorted(place, key=_in_order) for place in places]
    return [
        ((*phase, ("Repetition", str(number + 1))), [place[number] for place in ordered])
        for number in range(times)
    ]


def _stack(phase: Phase, members: list[StackFrame]) -> Stack:
    """The stack of frames that are parallel; of several at one place the first by Instance Number counts."""
    places = [sorted(place, key=_in_order) for place in _by_place(members)]
    frames = tuple(place[0] for place in places)
    duplicates = tuple(frame for place in places for frame in place[1:])
    normal = _normal(frames[0])
    heights = [_distance(frame, normal) for frame in frames]
    distances = [after - before for before, after in pairwise(heights)]
    height = _usual(distances) if distances else frames[0].thickness_mm or 1.0
    # Where slices are missing here and there, the usual distance is still that of most neighbours.
    step, shifted = _step(frames, height, normal)
    along = math.hypot(*step)
    tilt = math.degrees(math.acos(max(-1.0, min(1.0, dot(step, normal) / along))))
    gaps = tuple(
        Gap(index, distance * along / height, round(distance / height) - 1)
        for index, distance in enumerate(distances)
        if distance > _GAP * height
    )
    is_even = _is_even(heights)
    return Stack(
        frames=frames,
        positions_mm=tuple((each - heights[0]) * along / height for each in heights),
        spacing_mm=along,
        step=_even_step(frames, step) if is_even and not shifted else step,
        phase=phase,
        gaps=gaps,
        duplicates=duplicates,
        is_even=is_even,
        tilt_degrees=tilt if tilt > _TILT_DEGREES else 0.0,
        warnings=tuple(_warnings(distances, gaps, duplicates, is_even, shifted, tilt)),
    )


def _usual(distances: Sequence[float]) -> float:
    """The median; of two in the middle the lower, as missing slices only make distances longer."""
    return sorted(distances)[(len(distances) - 1) // 2]


def _is_even(heights: Sequence[float]) -> bool:
    """Whether slices lie on a grid from the first to the last."""
    if len(heights) < 3:
        return True
    mean = (heights[-1] - heights[0]) / (len(heights) - 1)
    return all(
        abs(height - heights[0] - index * mean) <= _UNEVEN * mean for index, height in enumerate(heights)
    )


def _step(frames: Sequence[StackFrame], height: float, normal: Vector) -> tuple[Vector, bool]:
    """From one slice to the next, `height` along the normal, and whether some slices are beside that line."""
    straight = (normal[0] * height, normal[1] * height, normal[2] * height)
    first, last = frames[0].plane, frames[-1].plane
    if first is None or last is None or len(frames) == 1:
        return straight, False
    whole = _minus(last.position, first.position)
    steps = dot(whole, normal) / height
    step = (whole[0] / steps, whole[1] / steps, whole[2] / steps)
    shift = max(_beside(frame, first, step, height, normal) for frame in frames)
    return (step, False) if shift <= _SHIFTED_MM else (straight, True)


def _beside(frame: StackFrame, first: FramePlane, step: Vector, height: float, normal: Vector) -> float:
    """How far a slice lies beside the line that leads from the first in steps."""
    if frame.plane is None:
        return 0.0
    offset = _minus(frame.plane.position, first.position)
    steps = dot(offset, normal) / height
    return math.hypot(*(each - steps * part for each, part in zip(offset, step, strict=True)))


def _even_step(frames: Sequence[StackFrame], step: Vector) -> Vector:
    """The mean step, which spreads the rounding of positions over all slices."""
    first, last = frames[0].plane, frames[-1].plane
    if first is None or last is None or len(frames) == 1:
        return step
    x, y, z = (each / (len(frames) - 1) for each in _minus(last.position, first.position))
    return (x, y, z)


def _minus(a: Vector, b: Vector) -> Vector:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def _warnings(
    distances: Sequence[float],
    gaps: Sequence[Gap],
    duplicates: Sequence[StackFrame],
    is_even: bool,
    is_shifted: bool,
    tilt: float,
) -> Iterable[str]:
    if gaps:
        yield f"{sum(gap.missing for gap in gaps)} slices are missing in {len(gaps)} gaps"
    elif not is_even:
        yield f"slices are {min(distances):.3f} to {max(distances):.3f} mm apart"
    if duplicates:
        yield f"{len(duplicates)} frames are at the place of another one and were left out"
    if is_shifted:
        yield "slices are shifted in their plane against each other, which is not corrected"
    if tilt > _TILT_DEGREES:
        yield f"the gantry is tilted by {tilt:.2f} degrees"
