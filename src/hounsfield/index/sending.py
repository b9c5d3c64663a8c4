"""What must be known of instances to send them elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.index.attachments import Attachment, AttachmentType
from hounsfield.index.database import Transaction
from hounsfield.index.keys import to_key, to_public_id
from hounsfield.index.resources import below, get_row

_AT_ONCE = 500
_FIRST = -1


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance, what it is for DICOM, and its file."""

    public_id: PublicId
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    file: Attachment


def instances_in_order(tx: Transaction, level: Level, public_id: str) -> list[PublicId]:
    """All instances of a resource: one series after the other, each in the order of its instance numbers.

    Raises
    ------
    NotFound
        If there is no such resource.
    """
    row = get_row(tx, level, public_id)
    sql = f"SELECT series, index_in_series, public_id FROM instances WHERE {below(level, Level.INSTANCE)}"
    found = [(series, _number(index), key) for series, index, key in tx.rows(sql, row)]
    return [to_public_id(key) for _, _, key in sorted(found)]


def _number(text: str | None) -> int:
    stripped = (text or "").strip()
    return int(stripped) if stripped.isascii() and stripped.isdigit() and len(stripped) < 18 else _FIRST


def load_to_send(tx: Transaction, public_ids: Sequence[str]) -> list[StoredInstance]:
    """The instances in the order of their ids; those that do not exist, or have no file, are left out."""
    found: dict[str, StoredInstance] = {}
    for start in range(0, len(public_ids), _AT_ONCE):
        keys = [to_key(public_id) for public_id in public_ids[start : start + _AT_ONCE]]
        marks = ", ".join("?" * len(keys))
        for row in tx.rows(f"{_SELECT} ({marks})", *keys):
            public_id = to_public_id(row[0])
            found[public_id] = StoredInstance(public_id, row[1], row[2], row[3], Attachment(*row[4:]))
    return [found[public_id] for public_id in public_ids if public_id in found]


_SELECT = (
    "SELECT i.public_id, i.sop_class_uid, i.sop_instance_uid, i.transfer_syntax_uid,"
    " a.type, a.uuid, a.size, a.stored_size, a.compression, a.md5, a.stored_md5, a.revision"
    " FROM instances i JOIN attachments a ON a.level = 3 AND a.resource = i.id"
    f" AND a.type = {int(AttachmentType.DICOM)} WHERE i.public_id IN"
)
