"""Every fuzz target of every room, under the name `room.target`, with its share of a campaign."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pydicom.data

Parser = Callable[[bytes], None]
REGRESSIONS = Path(__file__).parents[1] / "data" / "fuzz"
FAILURES = Path(__file__).parent / "failures"

_MODULE_END = "_targets.py"
_SMALLEST_SHARE = 0.01
_LARGEST_REAL_FILE = 3000
_TAKE_REAL_FILES = (
    "deid.anonymized",
    "deid.modified",
    "dicom.head",
    "dicom.whole",
    "imaging.file",
    "imaging.presentation",
    "imaging.transcode",
    "ingest.upload",
)

_COST_US = {
    "config.configuration": 140,
    "config.json": 90,
    "deid.anonymized": 500,
    "deid.modified": 500,
    "dicom.bare_dataset": 110,
    "dicom.head": 120,
    "dicom.text": 15,
    "dicom.whole": 350,
    "imaging.decode_jpeg_2000": 40,
    "imaging.decode_jpeg_xl": 270,
    "imaging.file": 370,
    "imaging.fragments": 100,
    "imaging.palette": 30,
    "imaging.presentation": 1500,
    "imaging.transcode": 1500,
    "ingest.indexed_file": 700,
    "ingest.upload": 1100,
    "net.association": 40,
    "net.association_at_once": 90,
    "rest.find": 800,
    "rest.request": 2000,
    "rest.uploads": 2500,
    "retrieve.dicomdir": 250,
    "search.kept_header": 60,
    "search.keep_header": 120,
    "search.value": 50,
    "search.qido": 550,
}
"""Microseconds for a seed, measured once and rounded: constants, so that shares and numbers do not move."""
_USUAL_COST_US = 10


@dataclass(frozen=True, slots=True)
class Target:
    """A function that takes any bytes and may only return or raise an `ArchiveError`."""

    name: str
    parse: Parser
    seeds: tuple[bytes, ...]


def full_name(room: str, name: str) -> str:
    """`room.name`, whether or not the room's module has prefixed it already.

    >>> full_name("net", "pdu"), full_name("dicom", "dicom.tag"), full_name("imaging", "imaging_file")
    ('net.pdu', 'dicom.tag', 'imaging.file')
    """
    return f"{room}.{name.removeprefix(room + '.').removeprefix(room + '_')}"


def all_targets() -> dict[str, Target]:
    """The targets of every `<room>_targets.py`, by name."""
    found: dict[str, Target] = {}
    for path in sorted(Path(__file__).parent.glob("*" + _MODULE_END)):
        room = path.name.removesuffix(_MODULE_END)
        module = importlib.import_module(f"tests.fuzz.{path.stem}")
        for name, parse in module.TARGETS.items():
            full = full_name(room, name)
            seeds = (*module.SEEDS[name], *(real_files() if full in _TAKE_REAL_FILES else ()))
            found[full] = Target(full, parse, seeds)
    return found


@cache
def real_files() -> tuple[bytes, ...]:
    """Small files that devices wrote, of those that come with pydicom; one of each size, for many are alike."""
    folder = Path(pydicom.data.__file__).parent
    paths = sorted(path for path in folder.glob("*_files/**/*") if path.suffix in ("", ".dcm"))
    small = (path for path in paths if path.is_file() and 200 < path.stat().st_size <= _LARGEST_REAL_FILE)
    return tuple({path.stat().st_size: path.read_bytes() for path in small}.values())


def share_out(inputs: int, names: Sequence[str]) -> dict[str, int]:
    """How many inputs each target gets: more for what is cheap, about one in a hundred at least."""
    weights = {name: (_COST_US.get(name, _USUAL_COST_US) + 20) ** -0.4 for name in names}
    total = sum(weights.values())
    shares = {name: max(_SMALLEST_SHARE, weight / total) for name, weight in weights.items()}
    scale = inputs / sum(shares.values())
    return {name: max(1, round(share * scale)) for name, share in shares.items()}
