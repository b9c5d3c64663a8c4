"""Metadata as SQL: what the system sets has columns of its own."""

from hounsfield.dicom.levels import Level
from hounsfield.index.metadata import MetadataType
from hounsfield.index.pending import TABLES

_OFFSET = "instances.pixel_data_offset"
# Some are there only for one kind of origin.
_COLUMNS: dict[tuple[Level, int], str] = {
    **{
        (level, MetadataType.LAST_UPDATE): f"{TABLES[level]}.last_update"
        for level in (Level.PATIENT, Level.STUDY, Level.SERIES)
    },
    **{(level, MetadataType.MAIN_DICOM_SEQUENCES): f"{TABLES[level]}.main_sequences" for level in Level},
    **{
        (level, MetadataType.MAIN_DICOM_TAGS_SIGNATURE): (
            f"(SELECT v.{level.word.lower()} FROM main_tags_versions v"
            f" WHERE v.id = {TABLES[level]}.main_tags_version)"
        )
        for level in Level
    },
    (Level.SERIES, MetadataType.REMOTE_AET): "series.remote_aet",
    (Level.SERIES, MetadataType.EXPECTED_NUMBER_OF_INSTANCES): "CAST(series.expected_instances AS TEXT)",
    (Level.INSTANCE, MetadataType.INDEX_IN_SERIES): "instances.index_in_series",
    (Level.INSTANCE, MetadataType.RECEPTION_DATE): "instances.reception_date",
    (Level.INSTANCE, MetadataType.REMOTE_AET): "instances.remote_aet",
    (Level.INSTANCE, MetadataType.ORIGIN): "instances.origin",
    (Level.INSTANCE, MetadataType.TRANSFER_SYNTAX): "instances.transfer_syntax_uid",
    (Level.INSTANCE, MetadataType.SOP_CLASS_UID): "instances.sop_class_uid",
    (Level.INSTANCE, MetadataType.REMOTE_IP): "NULLIF(instances.remote_ip, '')",
    (Level.INSTANCE, MetadataType.CALLED_AET): (
        "CASE instances.origin WHEN 'DicomProtocol' THEN instances.called_aet END"
    ),
    (Level.INSTANCE, MetadataType.HTTP_USERNAME): (
        "CASE instances.origin WHEN 'RestApi' THEN instances.http_username END"
    ),
    # Below 0 it is not known, which is told by an empty text.
    (Level.INSTANCE, MetadataType.PIXEL_DATA_OFFSET): (
        f"CASE WHEN {_OFFSET} >= 0 THEN CAST({_OFFSET} AS TEXT) WHEN {_OFFSET} < 0 THEN '' END"
    ),
    (Level.INSTANCE, MetadataType.PIXEL_DATA_VR): "instances.pixel_data_vr",
}


def metadata_sql(level: Level, kind: int) -> str:
    """The SQL expression for a metadata of a row."""
    column = _COLUMNS.get((level, kind))
    if column:
        return column
    return (
        f"(SELECT m.value FROM metadata m WHERE m.level = {int(level)} AND m.resource = {TABLES[level]}.id"
        f" AND m.type = {kind})"
    )
