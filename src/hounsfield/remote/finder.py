"""C-FIND as user: queries to a modality, about patients and studies or about its worklist. PS3.4 C.4.1 and K.4."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from hounsfield.dicom.charset import ENCODINGS, CharacterSet
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.keys import Keys, KeyValue, read_keys, write_keys
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import DEFAULTS
from hounsfield.dicom.tags import (
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
    Tag,
)
from hounsfield.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from hounsfield.errors import Corrupt
from hounsfield.hooks import OutgoingFindFilter
from hounsfield.net.dimse import CommandField, CommandValue
from hounsfield.net.messages import is_pending
from hounsfield.net.scu import Proposal, Requester
from hounsfield.remote.dialing import (
    ScuOptions,
    associated,
    context_of,
    dimse_failure,
    local_ae_title,
)
from hounsfield.remote.modality import Modality
from hounsfield.store.spool import SpoolFile

PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
TRANSFER_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)

QUERY_RETRIEVE_LEVEL: Tag = 0x00080052
PATIENT_ID: Tag = 0x00100020
ACCESSION_NUMBER: Tag = 0x00080050
LEVEL_NAMES: Mapping[Level, str] = MappingProxyType(
    {Level.PATIENT: "PATIENT", Level.STUDY: "STUDY", Level.SERIES: "SERIES", Level.INSTANCE: "IMAGE"}
)
IDENTIFYING: Mapping[Level, tuple[Tag, ...]] = MappingProxyType(
    {
        Level.PATIENT: (PATIENT_ID,),
        Level.STUDY: (PATIENT_ID, STUDY_INSTANCE_UID, ACCESSION_NUMBER),
        Level.SERIES: (PATIENT_ID, STUDY_INSTANCE_UID, ACCESSION_NUMBER, SERIES_INSTANCE_UID),
        Level.INSTANCE: (
            PATIENT_ID,
            STUDY_INSTANCE_UID,
            ACCESSION_NUMBER,
            SERIES_INSTANCE_UID,
            SOP_INSTANCE_UID,
        ),
    }
)
"""What says which resource is meant, at each level."""
_COUNTERS: Mapping[Level, tuple[Tag, ...]] = MappingProxyType(
    {
        Level.PATIENT: (0x00201200, 0x00201202, 0x00201204),
        Level.STUDY: (0x00080061, 0x00080062, 0x00201206, 0x00201208),
        Level.SERIES: (0x00201209,),
        Level.INSTANCE: (0x00080016, 0x00080056),
    }
)
_MOST_ANSWERS = 100_000
"""A modality that gives more has lost its mind, or wants ours."""


def find(
    modality: Modality,
    options: ScuOptions,
    level: Level,
    keys: Keys,
    *,
    filters: Sequence[OutgoingFindFilter] = (),
    calling_ae_title: str | None = None,
    timeout_seconds: float | None = None,
) -> list[dict[Tag, KeyValue]]:
    """Query a modality; `keys` are sent as they are, but for the level and what its manufacturer cannot bear.

    Raises
    ------
    DimseFailure
        If the modality says that it failed.
    NoPresentationContext
        If it answers no queries.
    PeerFailure
        If it cannot be reached.
    """
    sop_class = PATIENT_ROOT_FIND if level == Level.PATIENT else STUDY_ROOT_FIND
    asked: Keys = {**adapt(keys, modality.manufacturer), QUERY_RETRIEVE_LEVEL: LEVEL_NAMES[level]}
    for rewrite in filters:
        asked = rewrite(asked, modality.ae_title)
    answers = _ask(modality, options, sop_class, asked, calling_ae_title, timeout_seconds)
    return [{**answer, QUERY_RETRIEVE_LEVEL: LEVEL_NAMES[level]} for answer in answers]


def find_worklist(
    modality: Modality,
    options: ScuOptions,
    keys: Keys,
    *,
    calling_ae_title: str | None = None,
    timeout_seconds: float | None = None,
) -> list[dict[Tag, KeyValue]]:
    """Query the worklist of a modality. Errors as of `find`."""
    return _ask(modality, options, WORKLIST_FIND, keys, calling_ae_title, timeout_seconds)


def check_find(requester: Requester, options: ScuOptions) -> None:
    """Ask for a patient that hardly exists, to see whether a modality answers queries at all."""
    _exchange(
        requester,
        options,
        PATIENT_ROOT_FIND if requester.find_context(PATIENT_ROOT_FIND) else STUDY_ROOT_FIND,
        {QUERY_RETRIEVE_LEVEL: "PATIENT", PATIENT_ID: "__hounsfield_echo__"},
    )


def normalize(level: Level, keys: Keys) -> dict[Tag, KeyValue]:
    """The keys that mean something at a level and above, with the identifiers of the resource added empty.

    Counters are those of the level itself.
    """
    known = {tag for upper in Level if upper <= level for tag in DEFAULTS[upper]} | set(_COUNTERS[level])
    known |= {SPECIFIC_CHARACTER_SET}
    kept = {tag: value for tag, value in keys.items() if tag in known or tag & 0x10000 or tag in _MODULES}
    return {**dict.fromkeys(IDENTIFYING[level], ""), **kept}


_MODULES = frozenset(
    {
        0x00080016,
        0x00080090,
        0x00081060,
        0x00081080,
        0x00101010,
        0x00101020,
        0x00101030,
        0x00102180,
        0x001021B0,
        0x00104000,
        0x00102160,
        0x00100032,
        0x00100021,
    }
)
"""Attributes of the patient and study modules that are no main DICOM tags. PS3.3 C.7.1 and C.7.2."""


def adapt(keys: Keys, manufacturer: str) -> dict[Tag, KeyValue]:
    """The keys without what programs of a manufacturer do not understand."""
    return {tag: _adapt(tag, value, manufacturer) for tag, value in keys.items()}


def _adapt(tag: Tag, value: KeyValue, manufacturer: str) -> KeyValue:
    if not isinstance(value, str):
        return [adapt(item, manufacturer) for item in value]
    if manufacturer == "GenericNoWildcardInDates" and lookup.vr(tag) in ("DA", "TM", "DT") and "*" in value:
        return ""
    if manufacturer == "GenericNoUniversalWildcard" and value == "*":
        return ""
    if manufacturer == "GE" and value == "" and lookup.vr(tag) in _GE_VRS and tag != SPECIFIC_CHARACTER_SET:
        return "*"
    return value


_GE_VRS = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST"))


def _ask(
    modality: Modality,
    options: ScuOptions,
    sop_class: str,
    keys: Keys,
    calling_ae_title: str | None,
    timeout_seconds: float | None,
) -> list[dict[Tag, KeyValue]]:
    proposal = Proposal(local_ae_title(modality, options, calling_ae_title), [(sop_class, TRANSFER_SYNTAXES)])
    with associated(modality, options, proposal, timeout_seconds=timeout_seconds) as requester:
        return _exchange(requester, options, sop_class, keys)


def _exchange(
    requester: Requester, options: ScuOptions, sop_class: str, keys: Keys
) -> list[dict[Tag, KeyValue]]:
    context = context_of(requester, sop_class)
    command: dict[str, CommandValue] = {
        "CommandField": CommandField.C_FIND_RQ,
        "AffectedSOPClassUID": sop_class,
        "Priority": 0,
    }
    payload = _encode(keys, options, context.transfer_syntax)
    found: list[dict[Tag, KeyValue]] = []
    for answer in requester.request(context.id, command, payload):
        if is_pending(answer.status):
            if answer.payload is None or len(found) >= _MOST_ANSWERS:
                raise Corrupt("A pending response without identifier, or too many of them")
            data = answer.payload.view() if isinstance(answer.payload, SpoolFile) else answer.payload
            found.append(read_keys(data, context.transfer_syntax, options.default_encoding))
        elif answer.status not in (0x0000, 0xFE00):
            raise dimse_failure("C-FIND", requester.agreement.caller.called_ae_title, answer.status)
    return found


def _encode(keys: Keys, options: ScuOptions, transfer_syntax_uid: str) -> bytes:
    """The keys, saying their character set if they need one: the one they name, or that of the configuration."""
    if keys.get(SPECIFIC_CHARACTER_SET) or all(_is_ascii(value) for value in keys.values()):
        return write_keys(keys, transfer_syntax_uid)
    named = {**keys, SPECIFIC_CHARACTER_SET: ENCODINGS.get(options.default_encoding, "")}
    return write_keys(named, transfer_syntax_uid, CharacterSet.parse(None, options.default_encoding))


def _is_ascii(value: KeyValue) -> bool:
    if isinstance(value, str):
        return value.isascii()
    return all(_is_ascii(inner) for item in value for inner in item.values())
