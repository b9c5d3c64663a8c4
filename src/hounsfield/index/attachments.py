"""Attachments: the files of a resource. Orthanc's numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from hounsfield.dicom.levels import Level
from hounsfield.index.database import Transaction
from hounsfield.index.deletion import mark_file_deleted
from hounsfield.index.keys import to_key
from hounsfield.index.pending import TABLES


class AttachmentType(IntEnum):
    """What the system itself attaches; users' types start at 1024."""

    DICOM = 1
    DICOM_AS_JSON = 2
    DICOM_UNTIL_PIXEL_DATA = 3

    @property
    def word(self) -> str:
        """The name in addresses, such as `dicom-as-json`."""
        return self.name.lower().replace("_", "-")


class Compression(IntEnum):
    """How the stored bytes are compressed."""

    NONE = 1
    ZLIB_WITH_SIZE = 2


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file: `size` bytes to the world, `stored_size` on disk. An MD5 that was not computed yet is None."""

    type: int
    uuid: str
    size: int
    stored_size: int
    compression: int
    md5: str | None
    stored_md5: str | None
    revision: int


_MOST_AT_ONCE = 500  # Parameters of one statement, which databases limit.
_COLUMNS = "type, uuid, size, stored_size, compression, md5, stored_md5, revision"


def attachments_of(tx: Transaction, level: Level, resource: int) -> list[Attachment]:
    """The attachments of a row, by type."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM attachments WHERE level = ? AND resource = ? ORDER BY type",
        int(level),
        resource,
    )
    return [Attachment(*row) for row in rows]


def attachments_among(
    tx: Transaction, level: Level, resources: Sequence[int]
) -> Iterator[tuple[int, Attachment]]:
    """The attachments of some rows, by type."""
    sql = (
        f"SELECT resource, {_COLUMNS} FROM attachments WHERE level = {int(level)}"
        f" AND resource IN ({', '.join('?' * len(resources))}) ORDER BY type"
    )
    for row in tx.stream(sql, *resources):
        yield row[0], Attachment(*row[1:])


def find_attachment(tx: Transaction, level: Level, public_id: str, kind: int) -> Attachment | None:
    """An attachment by the public id of its resource."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM attachments WHERE level = ? AND type = ?"
        f" AND resource = (SELECT id FROM {TABLES[level]} WHERE public_id = ?)",
        int(level),
        kind,
        to_key(public_id),
    )
    return Attachment(*row) if row else None


def put_attachment(tx: Transaction, level: Level, resource: int, attachment: Attachment) -> None:
    """Attach a file to a row, in place of the one of the same type, which is then to be deleted."""
    remove_attachment(tx, level, resource, attachment.type)
    tx.run(
        f"INSERT INTO attachments (level, resource, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        int(level),
        resource,
        attachment.type,
        attachment.uuid,
        attachment.size,
        attachment.stored_size,
        attachment.compression,
        attachment.md5,
        attachment.stored_md5,
        attachment.revision,
    )
    tx.pending.count("size", attachment.size)
    tx.pending.count("stored_size", attachment.stored_size)


def remove_attachment(tx: Transaction, level: Level, resource: int, kind: int) -> None:
    """Detach a file from a row, if it has one of this type; the file is then to be deleted."""
    where = "level = ? AND resource = ? AND type = ?"
    key = int(level), resource, kind
    row = tx.row(f"SELECT uuid, size, stored_size FROM attachments WHERE {where}", *key)
    if row is None:
        return
    tx.run(f"DELETE FROM attachments WHERE {where}", *key)
    mark_file_deleted(tx, row[0])
    tx.pending.count("size", -row[1])
    tx.pending.count("stored_size", -row[2])


def set_md5(tx: Transaction, uuid: str, md5: str, stored_md5: str) -> None:
    """Record the MD5 of a file, computed after it was stored."""
    tx.run("UPDATE attachments SET md5 = ?, stored_md5 = ? WHERE uuid = ?", md5, stored_md5, uuid)


def stored_sizes(tx: Transaction, uuids: Sequence[str]) -> dict[str, int]:
    """How many bytes each of some files has, of those that a resource has."""
    found: dict[str, int] = {}
    for start in range(0, len(uuids), _MOST_AT_ONCE):
        page = uuids[start : start + _MOST_AT_ONCE]
        marks = ", ".join("?" * len(page))
        found.update(tx.rows(f"SELECT uuid, stored_size FROM attachments WHERE uuid IN ({marks})", *page))
    return found


def unknown_files(tx: Transaction, uuids: Sequence[str]) -> set[str]:
    """Those of some files that no resource has, and that do not wait to be deleted either."""
    found = set(uuids)
    for start in range(0, len(uuids), _MOST_AT_ONCE):
        page = uuids[start : start + _MOST_AT_ONCE]
        marks = ", ".join("?" * len(page))
        for table in ("attachments", "deleted_files"):
            found -= {row[0] for row in tx.rows(f"SELECT uuid FROM {table} WHERE uuid IN ({marks})", *page)}
    return found
