"""Which instances a C-MOVE or C-GET asks for. PS3.4 C.4.2.1.4.1."""

from hounsfield.archive import Archive
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.keys import Keys, text_of
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import (
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Tag,
)
from hounsfield.errors import BadRequest, NotFound
from hounsfield.index.find import find
from hounsfield.index.query import Constraint, Match, Query
from hounsfield.index.sending import StoredInstance, instances_in_order, load_to_send
from hounsfield.scp.query import QUERY_RETRIEVE_LEVEL, parse_level

ACCESSION_NUMBER: Tag = 0x00080050
_IDENTIFIER: dict[Level, Tag] = {
    Level.PATIENT: PATIENT_ID,
    Level.STUDY: STUDY_INSTANCE_UID,
    Level.SERIES: SERIES_INSTANCE_UID,
    Level.INSTANCE: SOP_INSTANCE_UID,
}


def level_of(keys: Keys, *, is_mandatory: bool) -> Level:
    """The level that is asked for; unless it is mandatory, that of the most specific identifier.

    Raises
    ------
    BadRequest
        If there is none.
    """
    named = text_of(keys, QUERY_RETRIEVE_LEVEL)
    if named.strip() or is_mandatory:
        return parse_level(named)
    for level in reversed(Level):
        if text_of(keys, _IDENTIFIER[level]) or (level == Level.STUDY and text_of(keys, ACCESSION_NUMBER)):
            return level
    raise BadRequest("The identifier names nothing")


def select(archive: Archive, keys: Keys, level: Level) -> list[StoredInstance]:
    """The instances, in order. Only the identifier of the level selects; those above it are not looked at.

    Raises
    ------
    BadRequest
        If there is no identifier.
    NotFound
        If there is nothing of that name.
    """
    tag = _IDENTIFIER[level]
    if level == Level.STUDY and text_of(keys, ACCESSION_NUMBER).strip():
        tag = ACCESSION_NUMBER
    values = tuple(value for value in text_of(keys, tag).split("\\") if value)
    if not values:
        raise BadRequest("The identifier of the level is missing")
    query = Query(level, (Constraint(tag, Match.LIST, values, is_case_sensitive=True),))
    found: dict[PublicId, None] = {}
    with archive.database.read() as tx:
        for public_id in find(tx, query):
            found.update(dict.fromkeys(instances_in_order(tx, level, public_id)))
        instances = load_to_send(tx, list(found))
    if not instances:
        raise NotFound("There is nothing of this identifier")
    return instances
