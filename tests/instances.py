"""Small DICOM files made by hand, each different, fast enough to make thousands."""

import hashlib
import struct

from hounsfield.dicom.identifiers import Identifiers, PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.part10 import wrap_header

SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.7"
TRANSFER_SYNTAX_UID = "1.2.840.10008.1.2.1"
_ROOT = "1.2.826.0.1.3680043.10.1200.77"


def _element(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def uids(number: int) -> tuple[str, str, str]:
    """Study, series and SOP Instance UID of an instance: ten a series, two series a study."""
    return f"{_ROOT}.1.{number // 20}", f"{_ROOT}.2.{number // 10}", f"{_ROOT}.3.{number}"


def public_id(number: int) -> PublicId:
    """The public id of an instance."""
    return Identifiers(f"P{number // 40}", *uids(number)).public_id(Level.INSTANCE)


def dataset(number: int, size: int = 4096, version: int = 0) -> bytes:
    """The data set of an instance, in Explicit VR Little Endian; `version` gives other pixels."""
    study, series, instance = (uid.encode() for uid in uids(number))
    seed = hashlib.sha256(f"{number} {version}".encode()).digest()
    pixels = (seed * (size // len(seed) + 1))[: size - size % 2]
    rows = struct.pack("<H", 16)
    return b"".join(
        (
            _element(0x0008, 0x0016, b"UI", SOP_CLASS_UID.encode()),
            _element(0x0008, 0x0018, b"UI", instance),
            _element(0x0008, 0x0060, b"CS", b"OT"),
            _element(0x0010, 0x0010, b"PN", f"PATIENT^{number // 40}".encode()),
            _element(0x0010, 0x0020, b"LO", f"P{number // 40}".encode()),
            _element(0x0020, 0x000D, b"UI", study),
            _element(0x0020, 0x000E, b"UI", series),
            _element(0x0020, 0x0013, b"IS", str(number % 10 + 1).encode()),
            _element(0x0028, 0x0010, b"US", rows),
            _element(0x0028, 0x0011, b"US", rows),
            struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, len(pixels)) + pixels,
        )
    )


def file(number: int, size: int = 4096, version: int = 0) -> bytes:
    """The Part 10 file of an instance."""
    return wrap_header(SOP_CLASS_UID, uids(number)[2], TRANSFER_SYNTAX_UID) + dataset(number, size, version)
