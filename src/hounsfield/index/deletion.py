"""Deleting a resource with all that lies below it, and its ancestors that become empty."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.errors import NotFound
from hounsfield.index.database import Transaction
from hounsfield.index.keys import to_key, to_public_id
from hounsfield.index.paging import marks, padded, pages
from hounsfield.index.pending import TABLES

_PARENT_COLUMN = ("", "patient", "study", "series")


@dataclass(slots=True)
class Deleted:
    """What a deletion took away.

    `resources` are listed with ancestors that vanished first. `uuids` are the files, which are also in
    the table `deleted_files` until the storage area has deleted them.
    """

    remaining_ancestor: tuple[Level, PublicId] | None = None
    resources: list[tuple[Level, PublicId]] = field(default_factory=list)
    uuids: list[str] = field(default_factory=list)


def delete(tx: Transaction, level: Level, public_id: str, date: str) -> Deleted:
    """Delete a resource; `date` becomes the last update of its remaining ancestors.

    Raises
    ------
    NotFound
        If there is no such resource at this level.
    """
    return delete_rows(tx, level, to_key(public_id), date)


def delete_rows(tx: Transaction, level: Level, key: bytes, date: str) -> Deleted:
    """As `delete`, by the key of the public id."""
    row = tx.row(f"SELECT id FROM {TABLES[level]} WHERE public_id = ?", key)
    if row is None:
        raise NotFound(
            f"No {level.word.lower()} {to_public_id(key) if key else ''} in the index".replace("  ", " ")
        )
    tx.forget()
    deleted = Deleted()
    ancestors = _ancestors(tx, level, row[0])
    top_level, top = level, row[0]
    for upper, resource in ancestors:
        if _count_children(tx, upper, resource) > 1:
            break
        top_level, top = upper, resource
    _delete_tree(tx, top_level, top, deleted)
    for upper, resource in ancestors:
        if upper < top_level:
            tx.pending.updated[upper, resource] = date
    remaining = next(((upper, resource) for upper, resource in ancestors if upper < top_level), None)
    if remaining:
        (found,) = tx.row(f"SELECT public_id FROM {TABLES[remaining[0]]} WHERE id = ?", remaining[1]) or (
            b"",
        )
        deleted.remaining_ancestor = remaining[0], to_public_id(found)
    return deleted


def delete_instances(tx: Transaction, rows: Sequence[int]) -> None:
    """Delete instances by their rows. Whoever leaves a series empty must fill it in the same transaction."""
    tx.forget()
    for page in pages(rows):
        _delete_instances(tx, f"id IN ({marks(page)})", padded(page), Deleted())


def list_deleted_files(tx: Transaction, limit: int) -> list[str]:
    """Some files whose rows are gone."""
    return [row[0] for row in tx.rows("SELECT uuid FROM deleted_files LIMIT ?", limit)]


def keep_deleted_files(tx: Transaction, uuids: Sequence[str]) -> list[str]:
    """Those of some files that still wait to be deleted."""
    if not uuids:
        return []
    marks = ", ".join("?" * len(uuids))
    return [row[0] for row in tx.rows(f"SELECT uuid FROM deleted_files WHERE uuid IN ({marks})", *uuids)]


def forget_deleted_files(tx: Transaction, uuids: list[str]) -> None:
    """The storage area no longer has these files."""
    for uuid in uuids:
        tx.send("DELETE FROM deleted_files WHERE uuid = ?", uuid)


def mark_file_deleted(tx: Transaction, uuid: str) -> None:
    """A file is to be deleted once this transaction is durable."""
    tx.send("INSERT INTO deleted_files (uuid) VALUES (?) ON CONFLICT DO NOTHING", uuid)


def _ancestors(tx: Transaction, level: Level, resource: int) -> list[tuple[Level, int]]:
    """The ancestors of a row, the nearest first."""
    found = []
    while level > Level.PATIENT:
        row = tx.row(f"SELECT {_PARENT_COLUMN[level]} FROM {TABLES[level]} WHERE id = ?", resource)
        if row is None:
            break
        level, resource = Level(level - 1), row[0]
        found.append((level, resource))
    return found


def _count_children(tx: Transaction, level: Level, resource: int) -> int:
    """The number of children, counted up to two."""
    child = Level(level + 1)
    return len(tx.rows(f"SELECT 1 FROM {TABLES[child]} WHERE {_PARENT_COLUMN[child]} = ? LIMIT 2", resource))


def _delete_tree(tx: Transaction, level: Level, resource: int, deleted: Deleted) -> None:
    row = tx.row(f"SELECT public_id FROM {TABLES[level]} WHERE id = ?", resource)
    if row is None:
        return
    deleted.resources.append((level, to_public_id(row[0])))
    if level == Level.SERIES:
        _delete_instances(tx, "series = ?", [resource], deleted)
    elif level < Level.SERIES:
        child = Level(level + 1)
        for (found,) in tx.rows(
            f"SELECT id FROM {TABLES[child]} WHERE {_PARENT_COLUMN[child]} = ?", resource
        ):
            _delete_tree(tx, child, found, deleted)
    if level == Level.INSTANCE:
        deleted.resources.pop()
        _delete_instances(tx, "id = ?", [resource], deleted)
        return
    _delete_satellites(tx, level, "= ?", [resource], deleted)
    if level == Level.SERIES:
        tx.send("DELETE FROM header_references WHERE series = ?", resource)
    tx.send(f"DELETE FROM {TABLES[level]} WHERE id = ?", resource)
    tx.pending.count(TABLES[level], -1)


def _delete_instances(tx: Transaction, condition: str, parameters: Sequence[int], deleted: Deleted) -> None:
    """Delete the instances that satisfy a condition, by a few statements whatever their number."""
    rows = tx.rows(f"SELECT public_id FROM instances WHERE {condition}", *parameters)
    deleted.resources += [(Level.INSTANCE, to_public_id(row[0])) for row in rows]
    _delete_satellites(
        tx, Level.INSTANCE, f"IN (SELECT id FROM instances WHERE {condition})", parameters, deleted
    )
    tx.send(f"DELETE FROM instances WHERE {condition}", *parameters)
    tx.pending.count("instances", -len(rows))


def _delete_satellites(
    tx: Transaction, level: Level, selection: str, parameters: Sequence[int], deleted: Deleted
) -> None:
    """Delete the attachments, metadata, labels and changes of some resources of a level."""
    where = f"level = {int(level)} AND resource {selection}"
    files = tx.rows(f"SELECT uuid, size, stored_size FROM attachments WHERE {where}", *parameters)
    if files:
        tx.send(
            f"INSERT INTO deleted_files (uuid) SELECT uuid FROM attachments WHERE {where} ON CONFLICT DO NOTHING",
            *parameters,
        )
        deleted.uuids += [row[0] for row in files]
        tx.pending.count("size", -sum(row[1] for row in files))
        tx.pending.count("stored_size", -sum(row[2] for row in files))
    for table in ("attachments", "metadata", "labels", "changes"):
        tx.send(f"DELETE FROM {table} WHERE {where}", *parameters)
