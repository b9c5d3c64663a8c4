"""Reading the resources: lists, parents, children, and all that the index knows of one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import orjson

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.errors import NotFound
from hounsfield.index.attachments import Attachment, attachments_among
from hounsfield.index.database import Row, Transaction
from hounsfield.index.keys import to_key, to_public_id
from hounsfield.index.metadata import MetadataType
from hounsfield.index.paging import marks, padded, pages
from hounsfield.index.pending import TABLES
from hounsfield.index.series_status import parse_index, series_status

PARENT_COLUMN = ("", "patient", "study", "series")
_CHILD, _LABEL = -1, -2  # Among the types of metadata, which are not negative.


class Part(Enum):
    """What `load` may leave out."""

    CHILDREN = "Children"
    LABELS = "Labels"
    METADATA = "Metadata"
    ATTACHMENTS = "Attachments"
    STATUS = "Status"


ALL_PARTS = frozenset(Part)


@dataclass(slots=True)
class Resource:
    """A row of the index, as answers need it. Tags are keyed `gggg,eeee`; sequences are in full JSON format."""

    level: Level
    public_id: PublicId
    row: int
    parent: PublicId | None
    main_tags: dict[str, str]
    main_sequences: dict[str, Any] = field(default_factory=dict)
    patient_main_tags: dict[str, str] = field(default_factory=dict)
    children: list[PublicId] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    metadata: dict[int, str] = field(default_factory=dict)
    attachments: list[Attachment] = field(default_factory=list)
    is_stable: bool = True
    is_protected: bool = False
    last_update: str = ""
    expected_instances: int | None = None
    status: str = ""
    index_in_series: int | None = None
    sop_class_uid: str = ""


def list_ids(tx: Transaction, level: Level, since: int = 0, limit: int = 0) -> list[PublicId]:
    """Public ids in ascending order, `limit` at most (0: all), after skipping `since`."""
    rows = tx.rows(
        f"SELECT public_id FROM {TABLES[level]} ORDER BY public_id LIMIT ? OFFSET ?",
        limit or (1 << 62),
        since,
    )
    return [to_public_id(row[0]) for row in rows]


def find_row(tx: Transaction, level: Level, public_id: str) -> int | None:
    """The row of a resource, or None."""
    row = tx.row(f"SELECT id FROM {TABLES[level]} WHERE public_id = ?", to_key(public_id))
    return row[0] if row else None


def get_row(tx: Transaction, level: Level, public_id: str) -> int:
    """The row of a resource.

    Raises
    ------
    NotFound
        If there is none at this level.
    """
    row = find_row(tx, level, public_id)
    if row is None:
        raise NotFound(f"No such {level.word.lower()} in the index")
    return row


def find_level(tx: Transaction, public_id: str) -> Level | None:
    """The level at which a public id exists."""
    return next((level for level in Level if find_row(tx, level, public_id) is not None), None)


def ancestor(tx: Transaction, level: Level, public_id: str, wanted: Level) -> PublicId:
    """The public id of an ancestor, or of the resource itself.

    Raises
    ------
    NotFound
        If there is no such resource.
    """
    row = get_row(tx, level, public_id)
    while level > wanted:
        (row,) = tx.row(f"SELECT {PARENT_COLUMN[level]} FROM {TABLES[level]} WHERE id = ?", row) or (0,)
        level = Level(level - 1)
    return _public_id(tx, level, row)


def children(tx: Transaction, level: Level, public_id: str, wanted: Level) -> list[PublicId]:
    """Public ids of all descendants at level `wanted`, in ascending order.

    Raises
    ------
    NotFound
        If there is no such resource.
    """
    row = get_row(tx, level, public_id)
    sql = f"SELECT public_id FROM {TABLES[wanted]} WHERE {below(level, wanted)} ORDER BY public_id"
    return [to_public_id(found[0]) for found in tx.rows(sql, row)]


def below(level: Level, wanted: Level) -> str:
    """The SQL condition for being a descendant at level `wanted` of the row `?` of `level`."""
    if wanted == level:
        return "id = ?"
    condition = f"{PARENT_COLUMN[level + 1]} = ?"
    for between in range(level + 1, wanted):
        condition = f"{PARENT_COLUMN[between + 1]} IN (SELECT id FROM {TABLES[between]} WHERE {condition})"
    return condition


def load(
    tx: Transaction, level: Level, public_ids: Sequence[str], parts: Collection[Part] = ALL_PARTS
) -> list[Resource]:
    """All that the index knows of some resources of a level, in their order; those that do not exist are left out.

    Takes a few statements, however many resources there are.
    """
    found: list[Resource] = []
    for page in pages(public_ids):
        rows = tx.rows(_SELECT[level] + f" IN ({marks(page)})", *padded([to_key(each) for each in page]))
        if not rows:
            continue
        made = {bytes(row[0]): _MAKE[level](row) for row in rows}
        resources = list(made.values()) if len(page) == 1 else _in_order(made, page)
        _complete(tx, level, {resource.row: resource for resource in resources}, parts)
        found += resources
    return found


def _in_order(made: dict[bytes, Resource], page: Sequence[str]) -> list[Resource]:
    keys = map(to_key, page)
    return [made[key] for key in keys if key in made]


_SELECT = {
    Level.PATIENT: "SELECT public_id, id, NULL, main_tags, main_sequences, main_tags_version, last_update, is_stable,"
    " is_protected FROM patients WHERE public_id",
    Level.STUDY: "SELECT s.public_id, s.id, p.public_id, s.main_tags, s.main_sequences, s.main_tags_version,"
    " s.last_update, s.is_stable, s.patient_tags FROM studies s JOIN patients p ON p.id = s.patient"
    " WHERE s.public_id",
    Level.SERIES: "SELECT s.public_id, s.id, p.public_id, s.main_tags, s.main_sequences, s.main_tags_version,"
    " s.last_update, s.is_stable, s.expected_instances, s.remote_aet"
    " FROM series s JOIN studies p ON p.id = s.study WHERE s.public_id",
    Level.INSTANCE: "SELECT s.public_id, s.id, p.public_id, s.main_tags, s.main_sequences, s.main_tags_version,"
    " s.index_in_series, s.sop_class_uid, s.transfer_syntax_uid, s.pixel_data_offset,"
    " s.pixel_data_vr, s.reception_date,"
    " s.origin, s.remote_aet, s.called_aet, s.remote_ip, s.http_username"
    " FROM instances s JOIN series p ON p.id = s.series WHERE s.public_id",
}


def _common(level: Level, row: Row) -> Resource:
    resource = Resource(
        level=level,
        public_id=to_public_id(row[0]),
        row=row[1],
        parent=to_public_id(row[2]) if row[2] else None,
        main_tags=orjson.loads(row[3]),
    )
    if row[4]:
        resource.main_sequences = orjson.loads(row[4])["Sequences"]
        resource.metadata[MetadataType.MAIN_DICOM_SEQUENCES] = row[4]
    resource.metadata[MetadataType.MAIN_DICOM_TAGS_SIGNATURE] = str(row[5])
    return resource


def _parent_level(level: Level, row: Row) -> Resource:
    resource = _common(level, row)
    resource.last_update, resource.is_stable = row[6], bool(row[7])
    resource.metadata[MetadataType.LAST_UPDATE] = row[6]
    return resource


def _patient(row: Row) -> Resource:
    resource = _parent_level(Level.PATIENT, row)
    resource.is_protected = bool(row[8])
    return resource


def _study(row: Row) -> Resource:
    resource = _parent_level(Level.STUDY, row)
    resource.patient_main_tags = orjson.loads(row[8])
    return resource


def _series(row: Row) -> Resource:
    resource = _parent_level(Level.SERIES, row)
    resource.expected_instances = row[8]
    resource.metadata[MetadataType.REMOTE_AET] = row[9]
    if row[8] is not None:
        resource.metadata[MetadataType.EXPECTED_NUMBER_OF_INSTANCES] = str(row[8])
    return resource


def _instance(row: Row) -> Resource:
    resource = _common(Level.INSTANCE, row)
    index, sop_class, syntax, offset, vr, received, origin, remote_aet, called_aet, remote_ip, username = row[
        6:
    ]
    resource.index_in_series = parse_index(index)
    resource.sop_class_uid = sop_class
    metadata = resource.metadata
    metadata[MetadataType.RECEPTION_DATE] = received
    metadata[MetadataType.REMOTE_AET] = remote_aet
    metadata[MetadataType.ORIGIN] = origin
    metadata[MetadataType.TRANSFER_SYNTAX] = syntax
    metadata[MetadataType.SOP_CLASS_UID] = sop_class
    if index is not None:
        metadata[MetadataType.INDEX_IN_SERIES] = index
    if remote_ip:
        metadata[MetadataType.REMOTE_IP] = remote_ip
    if origin == "DicomProtocol":
        metadata[MetadataType.CALLED_AET] = called_aet
    if origin == "RestApi":
        metadata[MetadataType.HTTP_USERNAME] = username
    if offset is not None:
        metadata[MetadataType.PIXEL_DATA_OFFSET] = str(offset) if offset >= 0 else ""
    if vr:
        metadata[MetadataType.PIXEL_DATA_VR] = vr
    return resource


_MAKE = {Level.PATIENT: _patient, Level.STUDY: _study, Level.SERIES: _series, Level.INSTANCE: _instance}


def _complete(tx: Transaction, level: Level, resources: dict[int, Resource], parts: Collection[Part]) -> None:
    """Add the parts that lie in other tables, to resources by row."""
    rows = padded(list(resources))
    among = f"IN ({', '.join('?' * len(rows))})"
    if Part.METADATA in parts:
        _name_signatures(tx, level, resources.values())
    # One statement: each costs more than what it reads.
    selects = []
    if level < Level.INSTANCE and Part.CHILDREN in parts:
        child, parent = Level(level + 1), PARENT_COLUMN[level + 1]
        selects.append(
            f"SELECT {parent}, {_CHILD}, NULL, public_id FROM {TABLES[child]} WHERE {parent} {among}"
        )
    if Part.LABELS in parts:
        selects.append(
            f"SELECT resource, {_LABEL}, label, NULL FROM labels WHERE level = {int(level)} AND resource {among}"
        )
    selects.append(
        f"SELECT resource, type, value, NULL FROM metadata WHERE level = {int(level)} AND resource {among}"
    )
    for row, kind, text, key in tx.rows(" UNION ALL ".join(selects), *[*rows] * len(selects)):
        if kind == _CHILD:
            resources[row].children.append(to_public_id(key))
        elif kind == _LABEL:
            resources[row].labels.append(text)
        else:
            resources[row].metadata[kind] = text
    for resource in resources.values():
        resource.children.sort()
        resource.labels.sort()
    if Part.ATTACHMENTS in parts:
        for row, attachment in attachments_among(tx, level, rows):
            resources[row].attachments.append(attachment)
    if level == Level.SERIES and Part.STATUS in parts:
        for resource in resources.values():
            resource.status = _status(tx, resource)


def _status(tx: Transaction, series: Resource) -> str:
    if series.expected_instances is None:
        return "Unknown"
    indexes = tx.rows("SELECT index_in_series FROM instances WHERE series = ?", series.row)
    return series_status((index[0] for index in indexes), series.expected_instances)


def _name_signatures(tx: Transaction, level: Level, resources: Collection[Resource]) -> None:
    """Replace the numbers of sets of main tags by what they stand for."""
    kind = MetadataType.MAIN_DICOM_TAGS_SIGNATURE
    names = {
        str(number): name
        for number, name in tx.rows(f"SELECT id, {_SIGNATURES[level]} FROM main_tags_versions")
    }
    for resource in resources:
        resource.metadata[kind] = names.get(resource.metadata[kind], "")


_SIGNATURES = ("patient", "study", "series", "instance")


def _public_id(tx: Transaction, level: Level, row: int) -> PublicId:
    found = tx.row(f"SELECT public_id FROM {TABLES[level]} WHERE id = ?", row)
    if found is None:
        raise NotFound(f"No such {level.word.lower()} in the index")
    return to_public_id(found[0])


def first_instance(tx: Transaction, level: Level, public_id: str) -> PublicId:
    """One instance below a resource: the first that was received.

    Raises
    ------
    NotFound
        If there is no such resource.
    """
    row = get_row(tx, level, public_id)
    sql = f"SELECT public_id FROM instances WHERE {below(level, Level.INSTANCE)} ORDER BY id LIMIT 1"
    found = tx.row(sql, row)
    if found is None:
        raise NotFound("No instance below this resource")
    return to_public_id(found[0])
