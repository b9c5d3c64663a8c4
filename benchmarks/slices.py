"""Make CT-like slices: `python benchmarks/slices.py FOLDER [--count 1000]`.

Every run gives the same files. A slice has 512 x 512 pixels of 16 bits (0.5 MB), some 120 attributes and UIDs of its
own. There are 100 slices a study, in two series; every study has a patient of its own.
"""

import argparse
import random
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hounsfield.dicom.encode import Values, encode
from hounsfield.dicom.identifiers import Identifiers, PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.part10 import wrap_header
from hounsfield.dicom.scan import EXPLICIT_LITTLE
from hounsfield.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
SIDE = 512
IN_A_STUDY, IN_A_SERIES = 100, 50
_ROOT = "1.2.826.0.1.3680043.10.1200.99"
_AIR, _TISSUE = 24, 1064
_NOISE = 31
_SPACING_MM = 0.75


@dataclass(frozen=True, slots=True)
class Slice:
    """A file in two pieces, as C-STORE has them: what comes before the data set, and the data set."""

    identifiers: Identifiers
    header: bytes
    dataset: bytes

    @property
    def file(self) -> bytes:
        """The Part 10 file."""
        return self.header + self.dataset

    @property
    def public_id(self) -> PublicId:
        """The public id of the instance."""
        return self.identifiers.public_id(Level.INSTANCE)


def make_slices(count: int) -> Iterator[Slice]:
    """The first `count` slices; those of a larger count begin with the same ones."""
    return map(make_slice, range(count))


def make_slice(number: int) -> Slice:
    """One slice, `number` from 0."""
    identifiers = Identifiers(
        patient_id=f"BENCH{number // IN_A_STUDY:05d}",
        study_instance_uid=f"{_ROOT}.1.{number // IN_A_STUDY}",
        series_instance_uid=f"{_ROOT}.2.{number // IN_A_SERIES}",
        sop_instance_uid=f"{_ROOT}.3.{number}",
    )
    values = {
        **_constant(),
        **_identifying(identifiers),
        **_geometry(number % IN_A_SERIES, number // IN_A_SERIES),
        0x7FE00010: _pixels(number),
    }
    header = wrap_header(CT_IMAGE_STORAGE, identifiers.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
    return Slice(identifiers, header, encode(values, EXPLICIT_LITTLE))


def write_slices(folder: Path, count: int) -> list[Path]:
    """Write slices as files; their paths in order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:06d}.dcm" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(make_slice(number).file)
    return paths


def _identifying(identifiers: Identifiers) -> Values:
    return {
        0x00080018: identifiers.sop_instance_uid,
        0x00080050: f"A{identifiers.patient_id}",
        0x00100010: f"Benchmark^{identifiers.patient_id}",
        0x00100020: identifiers.patient_id,
        0x0020000D: identifiers.study_instance_uid,
        0x0020000E: identifiers.series_instance_uid,
        0x00200052: f"{identifiers.study_instance_uid}.1",
    }


def _geometry(position: int, series: int) -> Values:
    z_mm = 1.25 * position
    return {
        0x00080032: f"1015{position:02d}.123456",
        0x00080033: f"1016{position:02d}.654321",
        0x00181151: str(180 + position),
        0x00200011: str(series + 1),
        0x00200013: str(position + 1),
        0x00200032: rf"-192.0\-192.0\{z_mm:.2f}",
        0x00201041: f"{z_mm:.2f}",
    }


@cache
def _templates() -> tuple[bytes, ...]:
    """Bodies in air with noise, from which all slices are made. Values are Hounsfield units plus 1024."""
    return tuple(_template(random.Random(seed)) for seed in range(4))


def _template(rng: random.Random) -> bytes:
    half = SIDE / 2
    radius_x, radius_y = rng.uniform(180, 220), rng.uniform(120, 160)
    # The sum of two even distributions is near enough to the noise of a scanner.
    noise = [
        a % _NOISE + b % _NOISE for a, b in zip(*(rng.randbytes(SIDE * SIDE) for _ in range(2)), strict=True)
    ]
    pixels = array("H")
    for row in range(SIDE):
        inside = 1 - ((row - half) / radius_y) ** 2
        width = int(radius_x * inside**0.5) if inside > 0 else 0
        left, right = int(half) - width, int(half) + width
        values = [_AIR] * left + [_TISSUE] * (right - left) + [_AIR] * (SIDE - right)
        pixels.extend(map(int.__add__, values, noise[row * SIDE : (row + 1) * SIDE]))
    if sys.byteorder == "big":
        pixels.byteswap()
    return pixels.tobytes()


def _pixels(number: int) -> bytes:
    """A template moved by some rows, with the number in its first pixels: no two slices are the same."""
    templates = _templates()
    template = templates[number % len(templates)]
    cut = (number * 7 % SIDE) * SIDE * 2
    return number.to_bytes(8, "little") + (template[cut:] + template[:cut])[8:]


@cache
def _constant() -> Values:
    """What a scanner writes into all slices alike."""
    return {
        0x00080005: "ISO_IR 100",
        0x00080008: r"ORIGINAL\PRIMARY\AXIAL",
        0x00080012: "20260105",
        0x00080013: "101700",
        0x00080016: CT_IMAGE_STORAGE,
        0x00080020: "20260105",
        0x00080021: "20260105",
        0x00080022: "20260105",
        0x00080023: "20260105",
        0x00080030: "101500",
        0x00080031: "101510",
        0x00080060: "CT",
        0x00080070: "Benchmark Devices",
        0x00080080: "General Hospital",
        0x00080081: "1 Main Street",
        0x00080090: "Referring^Doctor",
        0x00080201: "+0100",
        0x00081010: "CT1",
        0x00081030: "Thorax without contrast",
        0x0008103E: "Axial 1.25 mm",
        0x00081040: "Radiology",
        0x00081048: "Reading^Doctor",
        0x00081070: "Operator^One",
        0x00081090: "Scanner 64",
        0x00081110: [_reference("1.2.840.10008.3.1.2.3.1", 1)],
        0x00081111: [_reference("1.2.840.10008.3.1.2.3.3", 2)],
        0x00081140: [_reference(CT_IMAGE_STORAGE, number) for number in (3, 4)],
        0x00082112: [_reference(CT_IMAGE_STORAGE, 5)],
        0x00082218: [_code("51185008", "SCT", "Chest")],
        0x00100030: "19600229",
        0x00100040: "O",
        0x00101000: "OTHER1",
        0x00101010: "065Y",
        0x00101020: "1.75",
        0x00101030: "72",
        0x00102160: "UNKNOWN",
        0x00104000: "Made for measuring",
        0x00180010: "NONE",
        0x00180015: "CHEST",
        0x00180022: "HELICAL MODE",
        0x00180050: "1.25",
        0x00180060: "120",
        0x00180088: "1.25",
        0x00180090: "500",
        0x00181000: "SN0001",
        0x00181020: "1.0.0",
        0x00181030: "Thorax routine",
        0x00181100: "384",
        0x00181110: "949.075",
        0x00181111: "541",
        0x00181120: "0",
        0x00181130: "153.5",
        0x00181140: "CW",
        0x00181150: "570",
        0x00181152: "103",
        0x00181160: "BODY FILTER",
        0x00181170: "24000",
        0x00181190: "1.2",
        0x00181200: "20260101",
        0x00181201: "060000",
        0x00181210: "STANDARD",
        0x00185100: "FFS",
        0x00189305: "0.5",
        0x00189306: "0.625",
        0x00189307: "40",
        0x00189309: "55",
        0x00189310: "110",
        0x00189311: "1.375",
        0x00189313: r"0\0\30",
        0x00189318: r"0\0\30",
        0x00189321: [_code("113691", "DCM", "IEC Body Dosimetry Phantom")],
        0x00189323: "XYZ_EC",
        0x00189324: "12.5",
        0x00200010: "STUDY1",
        0x00200012: "1",
        0x00200037: r"1\0\0\0\1\0",
        0x00200060: "",
        0x00201002: str(IN_A_SERIES),
        0x00201040: "SN",
        0x00204000: "Slice of a benchmark",
        0x00280002: "1",
        0x00280004: "MONOCHROME2",
        0x00280010: str(SIDE),
        0x00280011: str(SIDE),
        0x00280030: rf"{_SPACING_MM}\{_SPACING_MM}",
        0x00280100: "16",
        0x00280101: "12",
        0x00280102: "11",
        0x00280103: "0",
        0x00280106: "0",
        0x00280107: "4095",
        0x00280301: "NO",
        0x00281050: r"40\-600",
        0x00281051: r"400\1500",
        0x00281052: "-1024",
        0x00281053: "1",
        0x00281054: "HU",
        0x00281055: r"SOFT\LUNG",
        0x00282110: "00",
        0x00321032: "Requesting^Doctor",
        0x00321033: "Pneumology",
        0x00321060: "CT thorax",
        0x00324000: "Cough",
        0x00400244: "20260105",
        0x00400245: "101500",
        0x00400253: "PPS1",
        0x00400254: "CT thorax",
        0x00400260: [_code("CTTHOR", "99LOCAL", "CT thorax")],
        0x00400275: [{0x00321060: "CT thorax", 0x00400007: "Thorax", 0x00400009: "SPS1", 0x00401001: "RP1"}],
        0x00400280: "None",
        0x00402016: "PLACER1",
        0x00402017: "FILLER1",
        0x00402400: "None",
    }


def _reference(sop_class_uid: str, number: int) -> Values:
    return {0x00081150: sop_class_uid, 0x00081155: f"{_ROOT}.4.{number}"}


def _code(value: str, scheme: str, meaning: str) -> Values:
    return {0x00080100: value, 0x00080102: scheme, 0x00080104: meaning}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Make CT-like slices.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    arguments = parser.parse_args()
    paths = write_slices(arguments.folder, arguments.count)
    print(f"{len(paths)} slices in {arguments.folder}")


if __name__ == "__main__":
    main()
