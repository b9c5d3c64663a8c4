"""From the head of a file to what the index keeps of it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache

from hounsfield.dicom import tags
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.identifiers import Identifiers, PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import MainTags, extract, sequences
from hounsfield.dicom.part10 import Head
from hounsfield.dicom.uids import transfer_syntax
from hounsfield.index.headers import NewHeader
from hounsfield.index.insertion import NewInstance, NewParents

PIXEL_DATA_OFFSET_UNKNOWN = -1
_COUNT_DIGITS = 9
PublicIds = tuple[PublicId, PublicId, PublicId, PublicId]
_UPPER_LEVELS = (Level.PATIENT, Level.STUDY, Level.SERIES)


class OriginKind(Enum):
    """By which door an instance came in."""

    UNKNOWN = "Unknown"
    DICOM_PROTOCOL = "DicomProtocol"
    REST_API = "RestApi"
    PLUGINS = "Plugins"
    LUA = "Lua"
    WEB_DAV = "WebDav"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sent an instance."""

    kind: OriginKind
    remote_aet: str = ""
    called_aet: str = ""
    remote_ip: str = ""
    http_username: str = ""


def origin_metadata(origin: Origin) -> dict[str, str]:
    """An origin under the names of metadata."""
    return {
        "Origin": origin.kind.value,
        "RemoteAET": origin.remote_aet,
        "CalledAET": origin.called_aet,
        "RemoteIP": origin.remote_ip,
        "HttpUsername": origin.http_username,
    }


@dataclass(frozen=True, slots=True)
class Reception:
    """When and from whom: what the file itself does not say. `received_at` is YYYYMMDDTHHMMSS in UTC.

    `made_from` is the metadata that names the instance it was made from: its number, and the public id.
    """

    origin: Origin
    received_at: str
    received_ns: int
    made_from: tuple[int, str] | None = None


def describe(
    head: Head,
    identifiers: Identifiers,
    reception: Reception,
    *,
    main_tags: MainTags,
    main_tags_version: int,
    offset: int = 0,
    with_parents: bool = True,
    public_ids: PublicIds | None = None,
    header: NewHeader | None = None,
) -> NewInstance:
    """Gather what the index keeps.

    `offset` is where the bytes that `head` was read from begin in the file. Without `with_parents` nothing is said of
    the patient, the study and the series, which takes three quarters of the time.
    """
    dataset, origin, made_from = head.dataset, reception.origin, reception.made_from
    public_ids = public_ids or identifiers.public_ids()
    return NewInstance(
        identifiers=identifiers,
        public_ids=public_ids,
        tags=extract(dataset, Level.INSTANCE, main_tags),
        sequences=sequences(dataset, Level.INSTANCE, main_tags),
        parents=_parents(dataset, main_tags) if with_parents else None,
        main_tags_version=main_tags_version,
        sop_class_uid=dataset.text(tags.SOP_CLASS_UID) or "",
        transfer_syntax_uid=head.transfer_syntax_uid,
        index_in_series=_index_in_series(dataset),
        pixel_data_offset=_pixel_data_offset(head, offset),
        pixel_data_vr=_unusual_pixel_vr(head),
        reception_date=reception.received_at,
        received_ns=reception.received_ns,
        origin=origin.kind.value,
        remote_aet=origin.remote_aet,
        called_aet=origin.called_aet,
        remote_ip=origin.remote_ip,
        http_username=origin.http_username,
        header=header,
        metadata=(made_from,) if made_from and made_from[1] != public_ids[Level.INSTANCE] else (),
    )


def _parents(dataset: Dataset, main_tags: MainTags) -> NewParents:
    patient, study, series = (extract(dataset, level, main_tags) for level in _UPPER_LEVELS)
    sequences_of = [sequences(dataset, level, main_tags) for level in _UPPER_LEVELS]
    return NewParents(
        (patient, study, series),
        (sequences_of[Level.PATIENT], sequences_of[Level.STUDY], sequences_of[Level.SERIES]),
        _expected_instances(dataset),
    )


def _index_in_series(dataset: Dataset) -> str | None:
    """Instance Number, else Image Index, as written, if it is a number."""
    for tag in (tags.INSTANCE_NUMBER, tags.IMAGE_INDEX):
        text = dataset.text(tag)
        if text and _is_number(text.strip()):
            return text
    return None


def _is_number(text: str) -> bool:
    """Whether a text is digits; `isdigit` alone also takes superscripts and other scripts."""
    return text.isascii() and text.isdigit()


def _expected_instances(dataset: Dataset) -> int | None:
    """How many instances the series should have, by the tags of Orthanc's rule; None if they do not say."""

    def positive(tag: int) -> int | None:
        text = (dataset.text(tag) or "").strip()
        # A count of more digits is no count, and would not fit into the index.
        return int(text) if _is_number(text) and len(text) <= _COUNT_DIGITS and int(text) > 0 else None

    for first, second in (
        (tags.IMAGES_IN_ACQUISITION, tags.NUMBER_OF_TEMPORAL_POSITIONS),
        (tags.NUMBER_OF_SLICES, tags.NUMBER_OF_TIME_SLICES),
    ):
        a, b = positive(first), positive(second)
        if a and b:
            return a * b
    return positive(tags.CARDIAC_NUMBER_OF_IMAGES)


def _pixel_data_offset(head: Head, offset: int) -> int | None:
    if not head.has_pixel_data:
        return None
    if head.pixel_data_offset is None or (head.dataset_offset == 0 and offset == 0):
        return PIXEL_DATA_OFFSET_UNKNOWN
    return head.pixel_data_offset + offset


def _unusual_pixel_vr(head: Head) -> str | None:
    """The VR of native pixel data where PS3.5 A would have expected another; fragments are bytes whatever it says."""
    vr = head.pixel_data_vr
    if vr not in ("OB", "OW"):
        return None
    syntax = transfer_syntax(head.transfer_syntax_uid)
    if not syntax.is_explicit or syntax.is_encapsulated:
        return None
    is_byte = (head.dataset.int(tags.BITS_ALLOCATED) or 16) <= 8
    return vr if vr != ("OB" if is_byte else "OW") else None


def date_of(time_ns: int) -> str:
    """A time as `YYYYMMDDTHHMMSS` in UTC."""
    return _date_of_second(time_ns // 1_000_000_000)


@lru_cache(maxsize=16)
def _date_of_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%S")
