"""Metadata: small texts beside a resource, with a revision. Orthanc's numbers and names."""

from dataclasses import dataclass
from enum import IntEnum

from hounsfield.dicom.levels import Level
from hounsfield.errors import NotFound
from hounsfield.index.database import Transaction

FIRST_USER_TYPE, LAST_USER_TYPE = 1024, 65535


class MetadataType(IntEnum):
    """What the system itself records."""

    INDEX_IN_SERIES = 1
    RECEPTION_DATE = 2
    REMOTE_AET = 3
    EXPECTED_NUMBER_OF_INSTANCES = 4
    MODIFIED_FROM = 5
    ANONYMIZED_FROM = 6
    LAST_UPDATE = 7
    ORIGIN = 8
    TRANSFER_SYNTAX = 9
    SOP_CLASS_UID = 10
    REMOTE_IP = 11
    CALLED_AET = 12
    HTTP_USERNAME = 13
    PIXEL_DATA_OFFSET = 14
    MAIN_DICOM_TAGS_SIGNATURE = 15
    MAIN_DICOM_SEQUENCES = 16
    PIXEL_DATA_VR = 17

    @property
    def word(self) -> str:
        """The name in addresses and answers, such as `ReceptionDate`."""
        special = {
            "REMOTE_AET": "RemoteAET",
            "REMOTE_IP": "RemoteIP",
            "CALLED_AET": "CalledAET",
            "HTTP_USERNAME": "HttpUsername",
            "PIXEL_DATA_VR": "PixelDataVR",
        }
        return special.get(self.name) or "".join(part.capitalize() for part in self.name.split("_"))


@dataclass(frozen=True, slots=True)
class Metadata:
    """One value and how many times it was changed."""

    value: str
    revision: int


def get_stored(tx: Transaction, level: Level, resource: int, kind: int) -> Metadata | None:
    """One of them, with its revision."""
    row = tx.row(
        "SELECT value, revision FROM metadata WHERE level = ? AND resource = ? AND type = ?",
        int(level),
        resource,
        kind,
    )
    return Metadata(*row) if row else None


def put_metadata(tx: Transaction, level: Level, resource: int, kind: int, value: str) -> int:
    """Set a metadata; its new revision."""
    existing = get_stored(tx, level, resource, kind)
    revision = existing.revision + 1 if existing else 0
    tx.run(
        "INSERT INTO metadata (level, resource, type, value, revision) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (level, resource, type) DO UPDATE SET value = excluded.value, revision = excluded.revision",
        int(level),
        resource,
        kind,
        value,
        revision,
    )
    return revision


def delete_metadata(tx: Transaction, level: Level, resource: int, kind: int) -> None:
    """Delete a metadata.

    Raises
    ------
    NotFound
        If it is not set.
    """
    deleted = tx.run(
        "DELETE FROM metadata WHERE level = ? AND resource = ? AND type = ?", int(level), resource, kind
    )
    if not deleted:
        raise NotFound(f"No metadata {kind} on this resource")
