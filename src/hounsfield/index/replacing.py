"""Instances that take the place of others with the same identifiers, many at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from hounsfield.dicom.levels import Level
from hounsfield.errors import Conflict
from hounsfield.index.attachments import AttachmentType
from hounsfield.index.database import Transaction
from hounsfield.index.deletion import delete_instances
from hounsfield.index.insertion import Added, NewAttachment, NewInstance, add_instance
from hounsfield.index.keys import to_key
from hounsfield.index.paging import marks, padded, pages


class OriginalsChanged(Conflict):
    """What is to be replaced is no longer what it was."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """An instance with its file, and the file that the index has of it, whose place it is to take."""

    new: NewInstance
    file: NewAttachment
    replaced: str


def replace_instances(tx: Transaction, replacements: Sequence[Replacement]) -> list[Added]:
    """Delete instances, and add those that take their place; what is above them stays.

    Raises
    ------
    OriginalsChanged
        If one is no longer there, or has another file than that whose place is to be taken.
    """
    rows: dict[tuple[bytes, str], int] = {}
    for page in pages([to_key(each.new.public_ids[Level.INSTANCE]) for each in replacements]):
        found = tx.rows(
            "SELECT i.public_id, a.uuid, i.id FROM instances i"
            f" JOIN attachments a ON a.level = {int(Level.INSTANCE)} AND a.resource = i.id"
            f" AND a.type = {int(AttachmentType.DICOM)} WHERE i.public_id IN ({marks(page)})",
            *padded(page),
        )
        rows |= {(bytes(key), uuid): row for key, uuid, row in found}
    wanted = [(to_key(each.new.public_ids[Level.INSTANCE]), each.replaced) for each in replacements]
    if any(each not in rows for each in wanted):
        raise OriginalsChanged("An instance was deleted or replaced meanwhile: nothing is changed")
    delete_instances(tx, [rows[each] for each in wanted])
    return [add_instance(tx, each.new, each.file) for each in replacements]
