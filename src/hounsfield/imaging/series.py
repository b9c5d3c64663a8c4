"""A series as it came: its instances, their frames sorted into stacks, and what is odd about them.

`read_series` is where work without a server begins: it takes a folder, paths or buffers.
"""

import mmap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hounsfield import errors
from hounsfield.dicom.part10 import Head, read_head
from hounsfield.dicom.scan import Buffer
from hounsfield.dicom.tags import INSTANCE_NUMBER, SERIES_INSTANCE_UID, Tag
from hounsfield.imaging.description import PixelDescription, describe
from hounsfield.imaging.frames import count_frames
from hounsfield.imaging.geometry import (
    IMAGE_ORIENTATION_PATIENT,
    IMAGE_POSITION_PATIENT,
    PIXEL_MEASURES_SEQUENCE,
    PIXEL_SPACING,
    FramePlane,
    Places,
    first_decimals,
    places_of,
    read_planes,
    slice_spacing,
)
from hounsfield.imaging.mosaic import Tile, read_mosaic
from hounsfield.imaging.stacks import Stack, StackFrame, stack_frames
from hounsfield.imaging.units import acquired_at

FRAMES_MAX = 1 << 17
"""Most frames of a series: a hostile header claims millions."""

_FRAME_CONTENT_SEQUENCE = 0x00209111
_STACK_ID = 0x00209056
_IMAGE_TYPE = 0x00080008

# What scanners vary at one place: keyword, sequence of the functional group, tag. In the order they are tried.
_VARIED: tuple[tuple[str, Tag, Tag], ...] = (
    ("TemporalPositionIndex", _FRAME_CONTENT_SEQUENCE, 0x00209128),
    ("TemporalPositionIdentifier", 0, 0x00200100),
    ("DiffusionBValue", 0x00189117, 0x00189087),
    ("DiffusionGradientOrientation", 0x00189117, 0x00189089),
    ("EchoNumbers", 0, 0x00180086),
    ("EffectiveEchoTime", 0x00189114, 0x00189082),
    ("EchoTime", 0, 0x00180081),
    ("InversionTime", 0, 0x00180082),
    ("ImageType", 0, _IMAGE_TYPE),
    ("FrameType", 0x00189226, 0x00089007),
    ("FrameType", 0x00189329, 0x00089007),
    ("NominalCardiacTriggerDelayTime", 0x00189118, 0x00209153),
    ("NominalPercentageOfCardiacPhase", 0x00189118, 0x00209241),
    ("TriggerTime", 0, 0x00181060),
    ("AcquisitionNumber", 0, 0x00200012),
    ("FrameAcquisitionNumber", _FRAME_CONTENT_SEQUENCE, 0x00209156),
    ("FrameReferenceTime", 0, 0x00541300),
    ("AcquisitionTime", 0, 0x00080032),
    ("ConvolutionKernel", 0, 0x00181210),
    ("ContentTime", 0, 0x00080033),
)


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One instance of a series."""

    head: Head
    size: int
    """Bytes of its file."""

    read: Callable[[], Buffer]
    """Gives the whole file; called when pixels are wanted."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The instances of a series, and their frames in stacks."""

    members: tuple[Member, ...]
    stacks: tuple[Stack, ...]
    """The largest first; none if there are no images."""

    warnings: tuple[str, ...] = ()

    @property
    def acquisitions(self) -> Iterator[datetime]:
        """When its instances were acquired, as far as they say."""
        for member in self.members:
            moment = acquired_at(member.head.dataset)
            if moment is not None:
                yield moment


def read_series(source: Path | Iterable[Path | Buffer]) -> Series:
    """Read the headers of a series.

    Parameters
    ----------
    source
        A folder, whose files that are not DICOM are left out, or the files themselves: paths, or their bytes.

    Raises
    ------
    BadRequest
        If there are no instances, or instances of several series.
    Corrupt
        If one of the files given is not DICOM.
    """
    if isinstance(source, Path):
        found = [_try_member(path) for path in sorted(source.rglob("*")) if path.is_file()]
        members = [member for member in found if member is not None]
    else:
        members = [read_member(each) for each in source]
    if not members:
        raise errors.BadRequest("there are no DICOM files")
    if len({member.head.dataset.text(SERIES_INSTANCE_UID) for member in members}) > 1:
        raise errors.BadRequest("the files are of several series: give those of one")
    return arrange(members)


def read_member(file: Path | Buffer) -> Member:
    """An instance in a file, which is mapped and not read, or in memory; `Corrupt` if it is not DICOM."""
    if not isinstance(file, Path):
        return Member(read_head(file), len(file), lambda: file)
    data = _mapped(file)
    return Member(read_head(data), len(data), lambda: _mapped(file))


def _try_member(path: Path) -> Member | None:
    try:
        return read_member(path)
    except errors.Corrupt:
        return None


def _mapped(path: Path) -> Buffer:
    with path.open("rb") as file:
        try:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # An empty file cannot be mapped.
            return b""


def arrange(members: Iterable[Member]) -> Series:
    """Sort the frames of instances into stacks.

    Raises
    ------
    Refused
        If they claim more frames than anybody has.
    """
    kept = tuple(members)
    frames: list[StackFrame] = []
    warnings: list[str] = []
    unreadable = 0
    for index, member in enumerate(kept):
        try:
            frames += _frames(index, member)
        except (errors.Corrupt, errors.Unsupported):
            unreadable += 1
        if len(frames) > FRAMES_MAX:
            raise errors.Refused(f"the series has more than {FRAMES_MAX} frames")
    if unreadable:
        warnings.append(f"{unreadable} instances have images that cannot be read")
    if any(_lacks_spacing(kept[frame.member]) for frame in frames[:1]):
        warnings.append("no Pixel Spacing: pixels are taken to be 1 mm apart")
    stacks = tuple(stack_frames(frames))
    if len(stacks) > 1:
        warnings.append(f"{len(stacks)} stacks, which differ in orientation, size or phase")
    return Series(kept, stacks, tuple(warnings))


def describe_member(member: Member) -> PixelDescription:
    """The pixels of an instance; `Corrupt` or `Unsupported` if it has none that can be read."""
    return describe(member.head.dataset, pixel_data_vr=member.head.pixel_data_vr or "OW")


def _frames(index: int, member: Member) -> list[StackFrame]:
    """The frames of an instance that can be read; none if it has no pixels."""
    count = min(count_frames(member.head, member.size), FRAMES_MAX + 1)
    if not count:
        return []
    dataset = member.head.dataset
    description = describe_member(member)
    kind = (
        description.rows,
        description.columns,
        description.samples,
        description.is_float,
        "LOCALIZER" in (dataset.text(_IMAGE_TYPE) or ""),
    )
    planes = read_planes(dataset, count)
    parts: list[tuple[Tile | None, FramePlane | None]] = []
    tiles = read_mosaic(dataset, planes[0], description.rows, description.columns) if count == 1 else []
    if tiles:
        parts += tiles
        kind = (tiles[0][0].rows, tiles[0][0].columns, *kind[2:])
    return [
        StackFrame(
            member=index,
            number=number,
            plane=plane,
            kind=(*kind, _text(places, _FRAME_CONTENT_SEQUENCE, _STACK_ID)),
            phase=tuple(_phase(places)),
            instance_number=dataset.int(INSTANCE_NUMBER) or 0,
            thickness_mm=slice_spacing(places),
            tile=tile,
        )
        for number, (whole, places) in enumerate(zip(planes, places_of(dataset, count), strict=True), start=1)
        for tile, plane in (parts or [(None, whole)])
    ]


def _phase(places: Places) -> Iterator[tuple[str, str]]:
    for keyword, sequence, tag in _VARIED:
        text = _text(places, sequence, tag)
        if text:
            yield keyword, text


def _text(places: Places, sequence: Tag, tag: Tag) -> str:
    for place in places.find(sequence) if sequence else (places.top,):
        text = place.text(tag)
        if text:
            return text.strip()
    return ""


def _lacks_spacing(member: Member) -> bool:
    dataset = member.head.dataset
    if IMAGE_POSITION_PATIENT in dataset or IMAGE_ORIENTATION_PATIENT in dataset:
        return PIXEL_SPACING not in dataset
    return first_decimals(places_of(dataset, 1)[0], PIXEL_MEASURES_SEQUENCE, PIXEL_SPACING, 2) is None
