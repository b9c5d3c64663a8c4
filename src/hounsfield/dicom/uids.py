"""Transfer syntaxes, storage SOP classes, and UIDs of our own. PS3.5 8 to 10 and Annex A, PS3.4 B.5, PS3.6 Annex A."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from uuid import UUID, uuid4

# Under the UUID root, PS3.5 B.2: derived once from a random UUID.
# Both as long as those of DCMTK: files received by C-STORE then have the size and the offsets that Orthanc gives them.
IMPLEMENTATION_CLASS_UID = "2.25.81842439293415027642081"
IMPLEMENTATION_VERSION_NAME = "HOUNSFIELD_0.1.0"

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """How a data set and its pixel data are encoded. PS3.5 Annex A.

    `is_deflated` means the whole data set is; `is_video` that the fragments are one stream, not frames.
    """

    uid: str
    name: str
    is_explicit: bool = True
    is_big_endian: bool = False
    is_deflated: bool = False
    is_encapsulated: bool = False
    is_video: bool = False


def _syntax(uid: str, name: str) -> TransferSyntax:
    """Derive the properties from the arc of the UID, which PS3.5 uses consistently."""
    is_jpip = uid in _JPIP
    is_image = uid.startswith("1.2.840.10008.1.2.4.") and not is_jpip
    return TransferSyntax(
        uid,
        name,
        is_explicit=uid not in _IMPLICIT,
        is_big_endian=uid == EXPLICIT_VR_BIG_ENDIAN,
        is_deflated=uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN or (is_jpip and name.endswith("Deflate")),
        is_encapsulated=is_image or uid in _OTHER_ENCAPSULATED,
        is_video=uid.startswith("1.2.840.10008.1.2.4.10") and is_image,
    )


_GE_PRIVATE = "1.2.840.113619.5.2"
_PAPYRUS = "1.2.840.10008.1.20"
_IMPLICIT = frozenset((IMPLICIT_VR_LITTLE_ENDIAN, _GE_PRIVATE, _PAPYRUS))
_JPIP = frozenset(f"1.2.840.10008.1.2.4.{last}" for last in (94, 95, 204, 205))
_OTHER_ENCAPSULATED = frozenset(
    ("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.6.1")
)
# Later than the printed edition the other names come from, or private and common.
_ADDED_SYNTAXES = (
    ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless"),
    ("1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression"),
    ("1.2.840.10008.1.2.4.112", "JPEG XL"),
    ("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression"),
    (_GE_PRIVATE, "GE Private Implicit VR Little Endian with Big Endian pixel data"),
)
# Not patient's instances in PS3.4 B.5: services whose name has the word, and non-patient objects (PS3.4 GG.3).
_NOT_STORAGE = frozenset(
    (
        "1.2.840.10008.1.3.10",
        "1.2.840.10008.1.20.1",
        "1.2.840.10008.1.20.2",
        "1.2.840.10008.5.1.1.27",
        "1.2.840.10008.5.1.4.38.1",
        "1.2.840.10008.5.1.4.39.1",
        "1.2.840.10008.5.1.4.43.1",
        "1.2.840.10008.5.1.4.44.1",
        "1.2.840.10008.5.1.4.45.1",
    )
)
_PRIVATE_STORAGE = (
    ("1.2.392.200036.9116.7.8.1.1.1", "Toshiba US Private Data Storage"),
    ("1.2.392.200036.9125.1.1.2", "Fuji Private CR Image Storage"),
    ("1.2.840.113543.6.6.1.3.10002", "Philips 3D Volume Storage"),
    ("1.2.840.113619.4.26", "GE Private 3D Model Storage"),
    ("1.2.840.113619.4.27", "GE Nuclear Medicine Image Storage"),
    ("1.2.840.113619.4.30", "GE Private Image Info Storage"),
    ("1.3.12.2.1107.5.9.1", "Siemens CSA Non-Image Storage"),
    ("1.3.46.670589.2.3.1.1", "Philips Private Specialised XA Storage"),
    ("1.3.46.670589.5.0.1", "Philips Private Volume Storage"),
    ("1.3.46.670589.5.0.1.1", "Philips Private 3D Object Storage"),
    ("1.3.46.670589.5.0.2", "Philips Private Surface Storage"),
    ("1.3.46.670589.5.0.3", "Philips Private Composite Object Storage"),
    ("1.3.46.670589.5.0.8", "Philips Private CT Synthetic Image Storage"),
    ("1.3.46.670589.11.0.0.12.1", "Philips Private MR Spectrum Storage"),
    ("1.3.46.670589.11.0.0.12.2", "Philips Private MR Series Data Storage"),
    ("1.3.46.670589.11.0.0.12.4", "Philips Private MR Examcard Storage"),
)


def _uid_table() -> list[list[str]]:
    text = files("hounsfield.dicom.dictionary").joinpath("uids.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]


def _transfer_syntaxes() -> Mapping[str, TransferSyntax]:
    rows = [(uid, name) for uid, kind, name, _ in _uid_table() if kind == "Transfer Syntax"]
    return MappingProxyType({uid: _syntax(uid, name) for uid, name in (*rows, *_ADDED_SYNTAXES)})


def _storage_sop_classes() -> Mapping[str, str]:
    standard = [
        (uid, name)
        for uid, kind, name, _ in _uid_table()
        if kind == "SOP Class" and "Storage" in name and uid not in _NOT_STORAGE
    ]
    return MappingProxyType(dict((*standard, *_PRIVATE_STORAGE)))


TRANSFER_SYNTAXES = _transfer_syntaxes()
STORAGE_SOP_CLASSES = _storage_sop_classes()


def transfer_syntax(uid: str) -> TransferSyntax:
    """Find a transfer syntax; an unknown one is explicit little endian and encapsulated, as PS3.5 10 suggests."""
    return TRANSFER_SYNTAXES.get(uid) or TransferSyntax(uid, uid, is_encapsulated=bool(uid))


@cache
def _names() -> dict[str, str]:
    return {uid: name for uid, _, name, _ in _uid_table()}


def uid_name(uid: str) -> str | None:
    """Give the name PS3.6 Annex A prints for a UID."""
    return STORAGE_SOP_CLASSES.get(uid) or _names().get(uid)


def new_uid(source: UUID | None = None) -> str:
    """Make a UID from a UUID, a random one if none is given. PS3.5 B.2.

    >>> new_uid(UUID(int=42))
    '2.25.42'
    """
    return f"2.25.{(source or uuid4()).int}"
