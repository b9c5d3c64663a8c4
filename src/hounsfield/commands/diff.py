"""Compare two DICOM files, or two folders of them by SOP Instance UID.

  hounsfield diff before.dcm after.dcm
  hounsfield diff --ignore 0002 --ignore InstanceCreationDate --ignore-private sent/ received/

Values are compared, not how they are written: the character set, the byte order, the transfer syntax of the pixels make
no difference, though attributes that name them do. Exit status: 0 if all is the same, 1 if not, 2 if it could not be
told.
"""

import argparse
import mmap
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hounsfield.commands.arguments import add_json, parse_keys, print_json, say
from hounsfield.dicom.differences import Difference, Ignored, differences
from hounsfield.dicom.part10 import read_head, read_whole
from hounsfield.dicom.scan import Buffer
from hounsfield.dicom.tags import Tag
from hounsfield.errors import ArchiveError, Corrupt
from hounsfield.imaging.comparison import PixelComparison, compare_pixels

TROUBLE = 2
_LONGEST_SHOWN = 120
_PIXELS = range(0x7FE00000, 0x7FE10000)


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("first", type=Path, metavar="FIRST", help="a file or a folder")
    parser.add_argument("second", type=Path, metavar="SECOND", help="a file or a folder")
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="TAG",
        help="pass over this attribute (PatientID, 0010,0020) or group (0002) at any depth; may be given often",
    )
    parser.add_argument("--ignore-private", action="store_true", help="pass over private attributes")
    parser.add_argument("--ignore-pixels", action="store_true", help="pass over the pixel data")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    try:
        report = _compare(arguments.first, arguments.second, _reading(arguments))
    except ArchiveError as error:
        sys.stderr.write(f"hounsfield diff: {error}\n")
        return TROUBLE
    except OSError as error:
        sys.stderr.write(f"hounsfield diff: {error.filename or ''}: {error.strerror}\n")
        return TROUBLE
    if arguments.json:
        print_json(_to_json(report))
    else:
        _print(report)
    return TROUBLE if report.unreadable else 0 if report.is_same else 1


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is to be compared."""

    is_ignored: Ignored
    has_pixels: bool


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two files of one instance, and what differs."""

    uid: str
    first: Path
    second: Path
    attributes: Sequence[Difference]
    pixels: PixelComparison | None

    @property
    def is_same(self) -> bool:
        return not self.attributes and (self.pixels is None or self.pixels.is_same)


@dataclass(slots=True)
class _Report:
    """Everything that was found."""

    compared: int = 0
    different: list[_Pair] = field(default_factory=list)
    only_first: dict[str, Path] = field(default_factory=dict)
    only_second: dict[str, Path] = field(default_factory=dict)
    doubles: list[Path] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)

    @property
    def is_same(self) -> bool:
        return not (self.different or self.only_first or self.only_second or self.doubles)


def _reading(arguments: argparse.Namespace) -> _Reading:
    groups = {int(text, 16) for text in arguments.ignore if _is_group(text)}
    tags = set(parse_keys([text for text in arguments.ignore if not _is_group(text)]))
    is_private_ignored: bool = arguments.ignore_private
    has_pixels = not arguments.ignore_pixels and 0x7FE0 not in groups and 0x7FE00010 not in tags

    def is_ignored(tag: Tag, creator: str | None) -> bool:
        del creator
        group = tag >> 16
        return tag in tags or group in groups or (is_private_ignored and group % 2 == 1)

    return _Reading(is_ignored, has_pixels)


def _is_group(text: str) -> bool:
    return len(text) == 4 and all(each in "0123456789abcdefABCDEF" for each in text)


def _compare(first: Path, second: Path, reading: _Reading) -> _Report:
    report = _Report()
    if not first.is_dir() and not second.is_dir():
        _compare_files("", first, second, reading, report)
        return report
    ours, theirs = _by_uid(first, report), _by_uid(second, report)
    report.only_first = {uid: path for uid, path in ours.items() if uid not in theirs}
    report.only_second = {uid: path for uid, path in theirs.items() if uid not in ours}
    for uid in sorted(ours.keys() & theirs.keys()):
        try:
            _compare_files(uid, ours[uid], theirs[uid], reading, report)
        except Corrupt as error:
            report.unreadable[ours[uid]] = str(error)
    return report


def _by_uid(place: Path, report: _Report) -> dict[str, Path]:
    """The files of a folder, or a single one, by SOP Instance UID. What is no DICOM is passed over in folders."""
    found: dict[str, Path] = {}
    for path in _files(place):
        try:
            uid = read_head(_map(path)).dataset.get("SOPInstanceUID")
        except Corrupt as error:
            if place.is_dir():
                continue
            raise Corrupt(f"{path}: {error}") from error
        if found.setdefault(uid, path) is not path:
            report.doubles.append(path)
    return found


def _files(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from sorted(each for each in place.rglob("*") if each.is_file())
    else:
        yield place


def _map(path: Path) -> Buffer:
    with path.open("rb") as file:
        try:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except ValueError:  # Empty, which cannot be mapped.
            return b""


def _compare_files(uid: str, first: Path, second: Path, reading: _Reading, report: _Report) -> None:
    pair = compare_bytes(_map(first), _map(second), reading.is_ignored, has_pixels=reading.has_pixels)
    report.compared += 1
    found = _Pair(uid, first, second, *pair)
    if not found.is_same:
        report.different.append(found)


def compare_bytes(
    first: Buffer,
    second: Buffer,
    is_ignored: Ignored,
    *,
    has_pixels: bool = True,
    most_frames: int | None = None,
) -> tuple[list[Difference], PixelComparison | None]:
    """What differs between two files.

    Raises
    ------
    Corrupt
        If one is no DICOM, or is cut off.
    """
    heads = read_whole(first), read_whole(second)
    for head, which in zip(heads, ("first", "second"), strict=True):
        if head.is_truncated:
            raise Corrupt(f"The {which} file is cut off")

    def is_passed_over(tag: Tag, creator: str | None) -> bool:
        return tag in _PIXELS or is_ignored(tag, creator)

    found = list(differences(heads[0].meta_dataset, heads[1].meta_dataset, is_ignored))
    found += differences(heads[0].dataset, heads[1].dataset, is_passed_over)
    return found, compare_pixels(first, second, most_frames=most_frames) if has_pixels else None


def _print(report: _Report) -> None:
    for name, files in (("first", report.only_first), ("second", report.only_second)):
        for uid, path in files.items():
            say(f"only in the {name}: {path} ({uid})")
    for path in report.doubles:
        say(f"there twice: {path}")
    for path, reason in report.unreadable.items():
        say(f"unreadable: {path}: {reason}")
    for pair in report.different:
        say(f"--- {pair.first}")
        say(f"+++ {pair.second}")
        for each in pair.attributes:
            say(f"({each.tag >> 16:04X},{each.tag & 0xFFFF:04X}) {each.path}")
            for sign, value in (("-", each.first), ("+", each.second)):
                if value is not None:
                    say(f"  {sign} {value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + '…'}")
        if pair.pixels is not None and not pair.pixels.is_same:
            say(f"pixel data: {_tell(pair.pixels)}")
    say(f"{report.compared} compared, {len(report.different)} different")


def _tell(pixels: PixelComparison) -> str:
    first, second = pixels.frames
    if pixels.obstacle:
        return f"cannot be compared: {pixels.obstacle}"
    counts = f"{first} frames" if first == second else f"{first} and {second} frames"
    return (
        f"{counts}, {pixels.differing_frames} different; {pixels.differing_values} of {pixels.compared_values} values,"
        f" by {pixels.greatest_difference:g} at most"
    )


def _to_json(report: _Report) -> dict[str, object]:
    return {
        "Same": report.is_same and not report.unreadable,
        "Compared": report.compared,
        "OnlyInFirst": {uid: str(path) for uid, path in report.only_first.items()},
        "OnlyInSecond": {uid: str(path) for uid, path in report.only_second.items()},
        "Doubles": [str(path) for path in report.doubles],
        "Unreadable": {str(path): reason for path, reason in report.unreadable.items()},
        "Different": [_pair_to_json(pair) for pair in report.different],
    }


def _pair_to_json(pair: _Pair) -> dict[str, object]:
    pixels = pair.pixels
    return {
        "SOPInstanceUID": pair.uid,
        "First": str(pair.first),
        "Second": str(pair.second),
        "Attributes": [
            {
                "Path": each.path,
                "Tag": f"{each.tag >> 16:04x},{each.tag & 0xFFFF:04x}",
                "Name": each.name,
                "First": each.first,
                "Second": each.second,
            }
            for each in pair.attributes
        ],
        "Pixels": None
        if pixels is None
        else {
            "Same": pixels.is_same,
            "Frames": list(pixels.frames),
            "ComparedValues": pixels.compared_values,
            "DifferingValues": pixels.differing_values,
            "DifferingFrames": pixels.differing_frames,
            "GreatestDifference": pixels.greatest_difference,
            "Obstacle": pixels.obstacle,
        },
    }
