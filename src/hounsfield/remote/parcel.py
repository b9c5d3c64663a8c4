"""Instances as they leave: what is proposed for them, and the transfer syntax that they are sent in.

An instance goes out as it is stored if the modality accepts that; only otherwise is it transcoded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hounsfield.dicom.file_meta import data_set_offset
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.uids import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from hounsfield.errors import Unsupported
from hounsfield.http.errors import NoPresentationContext, NoSopClassOrInstance
from hounsfield.index.attachments import Attachment, AttachmentType, Compression
from hounsfield.index.sending import StoredInstance
from hounsfield.net.scu import Requester
from hounsfield.remote.dialing import ScuOptions
from hounsfield.remote.modality import Modality
from hounsfield.store.spool import Buffer

_UNCOMPRESSED = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
_MOST_CONTEXTS = 128


@dataclass(frozen=True, slots=True)
class Parcel:
    """An instance as it leaves: a data set in a transfer syntax."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: Buffer = field(repr=False)


def describe(file: Buffer) -> StoredInstance:
    """A file that is not in the archive, as if it were.

    Raises
    ------
    NoSopClassOrInstance
        If it does not say what it is.
    Corrupt
        If it is no DICOM.
    """
    head = read_head(file)
    sop_class, uid = head.dataset.get("SOPClassUID"), head.dataset.get("SOPInstanceUID")
    if not sop_class or not uid:
        raise NoSopClassOrInstance("The file has no SOP class")
    nowhere = Attachment(AttachmentType.DICOM, "", len(file), len(file), Compression.NONE, None, None, 0)
    return StoredInstance(PublicId(uid), sop_class, uid, head.transfer_syntax_uid, nowhere)


def propose(
    instances: Iterable[StoredInstance], modality: Modality, options: ScuOptions
) -> tuple[list[tuple[str, Sequence[str]]], frozenset[tuple[str, str]]]:
    """What to propose for the instances, as far as 128 contexts go, and which of them are provided for."""
    contexts: dict[tuple[str, str], None] = {}
    provided = set()
    for instance in instances:
        wanted = (instance.sop_class_uid, instance.transfer_syntax_uid)
        if not instance.sop_class_uid or wanted in provided:
            continue
        syntaxes = [instance.transfer_syntax_uid, *_others(modality, options)]
        needed = dict.fromkeys((instance.sop_class_uid, syntax) for syntax in syntaxes)
        if len({**contexts, **needed}) > _MOST_CONTEXTS:
            break
        contexts.update(needed)
        provided.add(wanted)
    return [(abstract, (transfer,)) for abstract, transfer in contexts], frozenset(provided)


def pack(
    requester: Requester, instance: StoredInstance, file: Buffer, modality: Modality, options: ScuOptions
) -> Parcel:
    """The instance in a transfer syntax that the modality accepts, its own if possible.

    Raises
    ------
    NoPresentationContext
        If there is none.
    """
    sop_class, own = instance.sop_class_uid, instance.transfer_syntax_uid
    if requester.find_context(sop_class, own) is not None:
        data_set = memoryview(file)[data_set_offset(file) :]
        return Parcel(sop_class, instance.sop_instance_uid, own, data_set)
    failure: Unsupported | None = None
    for syntax in _others(modality, options):
        if requester.find_context(sop_class, syntax) is not None:
            try:
                return _transcode(instance, file, syntax, options)
            except Unsupported as error:
                failure = error
    raise NoPresentationContext(
        f'AET "{modality.ae_title}" accepts no presentation context in which the instance'
        f" {instance.public_id} of SOP class {sop_class} could be sent"
    ) from failure


def _others(modality: Modality, options: ScuOptions) -> Iterable[str]:
    """What may be transcoded to, the preferred transfer syntax first."""
    if not options.is_transcoding or not modality.allow_transcoding:
        return ()
    return dict.fromkeys((options.preferred_transfer_syntax, *_UNCOMPRESSED))


def _transcode(instance: StoredInstance, file: Buffer, syntax: str, options: ScuOptions) -> Parcel:
    from hounsfield.imaging.transcode import transcode  # Most commands that send never need it.

    made = transcode(file, syntax, lossy_quality=options.lossy_quality)
    head = read_head(made)
    uid = head.dataset.get("SOPInstanceUID") or instance.sop_instance_uid
    return Parcel(instance.sop_class_uid, uid, syntax, memoryview(made)[head.dataset_offset :])
