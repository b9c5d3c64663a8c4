"""The files of the instances of a series, in one query."""

from dataclasses import dataclass

from hounsfield.dicom.identifiers import PublicId
from hounsfield.index.attachments import Attachment, AttachmentType
from hounsfield.index.database import Transaction
from hounsfield.index.keys import to_public_id
from hounsfield.index.series_status import parse_index

_JOIN = "FROM instances i JOIN attachments a ON a.level = 3 AND a.resource = i.id AND a.type = ? WHERE i.series = ?"


@dataclass(frozen=True, slots=True)
class InstanceFile:
    """The DICOM file of an instance, and its place in its series."""

    public_id: PublicId
    index_in_series: int | None
    transfer_syntax_uid: str
    attachment: Attachment


def series_files(tx: Transaction, series: int) -> list[InstanceFile]:
    """The files of a series, given by its row, by the ids of their instances."""
    sql = (
        "SELECT i.public_id, i.index_in_series, i.transfer_syntax_uid, a.type, a.uuid, a.size, a.stored_size,"
        f" a.compression, a.md5, a.stored_md5, a.revision {_JOIN} ORDER BY i.public_id"
    )
    return [
        InstanceFile(to_public_id(row[0]), parse_index(row[1]), row[2], Attachment(*row[3:]))
        for row in tx.rows(sql, int(AttachmentType.DICOM), series)
    ]


def series_size(tx: Transaction, series: int) -> tuple[int, int]:
    """How many files a series has, given by its row, and how many bytes they are."""
    sql = f"SELECT COUNT(*), SUM(a.size) {_JOIN}"
    count, size = tx.row(sql, int(AttachmentType.DICOM), series) or (0, 0)
    return int(count), int(size or 0)
