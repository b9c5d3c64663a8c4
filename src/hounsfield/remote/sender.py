"""C-STORE as user: instances from the archive to a modality. PS3.4 Annex B.

An instance goes out as it is stored if the modality accepts its transfer syntax; only otherwise is it transcoded.
One association serves as many instances as it can: another one is opened when something is to be sent for which
nothing was proposed.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.uids import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from hounsfield.errors import PeerFailure, Unsupported
from hounsfield.hooks import Destination, OutgoingStoreFilter
from hounsfield.http.errors import NoPresentationContext, NoSopClassOrInstance
from hounsfield.index.attachments import Attachment, AttachmentType, Compression
from hounsfield.index.sending import StoredInstance
from hounsfield.net.agreement import PresentationContext
from hounsfield.net.dimse import CommandSet
from hounsfield.net.scu import Opening, Proposal, Requester
from hounsfield.remote.dialing import (
    ScuOptions,
    association_options,
    calling,
    dimse_failure,
    local_ae_title,
    node_of,
)
from hounsfield.remote.modality import Modality
from hounsfield.store.spool import Buffer

UNCOMPRESSED = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
_MOST_CONTEXTS = 128
_SUCCESSES = frozenset((0x0000, 0xB000, 0xB006, 0xB007, 0x0111))
"""PS3.4 Table B.2-1; 0111H says that the modality has the instance already."""
_META_ELEMENT = struct.Struct("<HH2sH")
_META_GROUP = 0x0002
_LONG_VRS = frozenset((b"OB", b"OW", b"UN", b"SQ", b"UT", b"UC", b"UR"))
_LONGEST_META = 1 << 16
_META_LENGTH = struct.Struct(
    "<4xHHI"
)  # After the preamble: DICM, then the tag, VR and length in what follows.


@dataclass(frozen=True, slots=True)
class Shipping:
    """What a sender works with; `read` gives the file of an instance."""

    read: Callable[[StoredInstance], Buffer]
    options: ScuOptions
    filters: Sequence[OutgoingStoreFilter] = ()


@dataclass(frozen=True, slots=True)
class Parcel:
    """An instance as it leaves: a data set in a transfer syntax."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: Buffer = field(repr=False)


def is_success(status: int) -> bool:
    """Whether a C-STORE with this status left the instance at the modality."""
    return status in _SUCCESSES


def is_warning(status: int) -> bool:
    """Whether it did so with a remark. PS3.7 C.3."""
    return status >> 12 == 0xB or status == 0x0111


class Sender:
    """Sends to one modality; to be used as a context, which closes the association at its end."""

    def __init__(
        self,
        shipping: Shipping,
        modality: Modality,
        *,
        calling_ae_title: str | None = None,
        timeout_seconds: float | None = None,
    ) -> None:
        self.modality = modality
        self.ae_title = local_ae_title(modality, shipping.options, calling_ae_title)
        self._shipping = shipping
        self._timeout_seconds = timeout_seconds
        self._requester: Requester | None = None
        self._opening: Opening | None = None
        self._proposed: frozenset[tuple[str, str]] = frozenset()
        self._used = 0

    def __enter__(self) -> "Sender":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(is_orderly=error is None or not isinstance(error, PeerFailure))

    @property
    def is_open(self) -> bool:
        """Whether there is an association."""
        return self._requester is not None

    def close(self, *, is_orderly: bool = True) -> None:
        """End the association, if there is one; never fails."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.abort()
        requester, self._requester = self._requester, None
        if requester is None:
            return
        if not is_orderly:
            requester.abort()
            return
        try:
            with calling(self.modality):
                requester.release()
        except PeerFailure:  # All was acknowledged: how the modality says good-bye does not matter.
            pass

    def begin(self, instances: Sequence[StoredInstance]) -> None:
        """Ask for an association for these instances, without waiting for the answer. Errors as of `send`."""
        if instances and self._requester is None and self._opening is None:
            self._ask(instances)

    def connect(self, instance: StoredInstance, coming: Sequence[StoredInstance] = ()) -> None:
        """Have an association in which an instance may be sent. Errors as of `send`."""
        self._open(instance, coming)

    def send(
        self,
        instance: StoredInstance,
        coming: Sequence[StoredInstance] = (),
        elements: CommandSet | None = None,
    ) -> int | None:
        """C-STORE of an instance; the status of the response, None if a filter keeps it back.

        `coming` are those that will be sent next, for which contexts are proposed at the same time; `elements` are
        those of a move originator.

        Raises
        ------
        NoSopClassOrInstance
            If the file does not say what it is.
        NoPresentationContext
            If the modality takes the instance in no transfer syntax that it can be sent in.
        PeerFailure
            If the modality cannot be reached, or the association ends.
        NotFound, Corrupt, Unsupported
            If the file cannot be read, or cannot be transcoded.
        """
        if not instance.sop_class_uid or not instance.sop_instance_uid:
            raise NoSopClassOrInstance(f"The instance {instance.public_id} has no SOP class")
        file = self._shipping.read(instance)
        if not self._passes(file):
            return None
        parcel = self._pack(instance, file, coming)
        return self._store(parcel, instance, coming, elements)

    def send_file(self, file: Buffer) -> tuple[str, str]:
        """C-STORE of a file that is not in the archive; its SOP Class and SOP Instance UID.

        Raises
        ------
        DimseFailure
            If the modality refuses it. Otherwise errors as of `send`.
        """
        instance = describe(file)
        parcel = self._pack(instance, file, ())
        status = self._store(parcel, instance, (), None)
        if not is_success(status):
            raise dimse_failure("C-STORE", self.modality.ae_title, status)
        return parcel.sop_class_uid, parcel.sop_instance_uid

    def _passes(self, file: Buffer) -> bool:
        destination = Destination(self.modality.ae_title, self.modality.host)
        return all(may_leave(memoryview(file), destination) for may_leave in self._shipping.filters)

    def _store(
        self,
        parcel: Parcel,
        instance: StoredInstance,
        coming: Sequence[StoredInstance],
        elements: CommandSet | None,
    ) -> int:
        """Send; an association that served before and was closed meanwhile is opened anew, once."""
        while True:
            requester = self._open(instance, coming)
            context = requester.find_context(parcel.sop_class_uid, parcel.transfer_syntax_uid)
            if context is None:
                raise self._no_context(instance)
            try:
                with calling(self.modality):
                    status = requester.store(
                        context, parcel.sop_instance_uid, parcel.data_set, elements
                    ).status
            except PeerFailure:
                self.close(is_orderly=False)
                if not self._used:
                    raise
                continue
            self._used += 1
            return status

    def _pack(self, instance: StoredInstance, file: Buffer, coming: Sequence[StoredInstance]) -> Parcel:
        """The instance in a transfer syntax that the modality accepts, its own if possible."""
        requester = self._open(instance, coming)
        sop_class, own = instance.sop_class_uid, instance.transfer_syntax_uid
        if requester.find_context(sop_class, own) is not None:
            data_set = memoryview(file)[data_set_offset(file) :]
            return Parcel(sop_class, instance.sop_instance_uid, own, data_set)
        failure: Unsupported | None = None
        for context in self._alternatives(requester, sop_class):
            try:
                return self._transcode(instance, file, context.transfer_syntax)
            except Unsupported as error:
                failure = error
        raise self._no_context(instance) from failure

    def _alternatives(self, requester: Requester, sop_class_uid: str) -> Iterable[PresentationContext]:
        """Contexts for other transfer syntaxes, the preferred one first."""
        options = self._shipping.options
        if not options.is_transcoding or not self.modality.allow_transcoding:
            return
        for syntax in dict.fromkeys((options.preferred_transfer_syntax, *UNCOMPRESSED)):
            context = requester.find_context(sop_class_uid, syntax)
            if context is not None:
                yield context

    def _transcode(self, instance: StoredInstance, file: Buffer, transfer_syntax_uid: str) -> Parcel:
        from hounsfield.imaging.transcode import transcode  # Most commands that send never need it.

        made = transcode(file, transfer_syntax_uid, lossy_quality=self._shipping.options.lossy_quality)
        head = read_head(made)
        uid = head.dataset.get("SOPInstanceUID") or instance.sop_instance_uid
        return Parcel(
            instance.sop_class_uid, uid, transfer_syntax_uid, memoryview(made)[head.dataset_offset :]
        )

    def _no_context(self, instance: StoredInstance) -> NoPresentationContext:
        return NoPresentationContext(
            f'AET "{self.modality.ae_title}" accepts no presentation context in which the instance'
            f" {instance.public_id} of SOP class {instance.sop_class_uid} could be sent"
        )

    def _open(self, instance: StoredInstance, coming: Sequence[StoredInstance]) -> Requester:
        """The association, or a new one if nothing was proposed yet for this instance."""
        wanted = (instance.sop_class_uid, instance.transfer_syntax_uid)
        if self._requester is not None and wanted in self._proposed:
            return self._requester
        if self._opening is None or wanted not in self._proposed:
            self.close()
            self._ask([instance, *coming])
        opening, self._opening = self._opening, None
        assert opening is not None
        with calling(self.modality):
            self._requester = opening.finish()
        self._used = 0
        return self._requester

    def _ask(self, instances: Sequence[StoredInstance]) -> None:
        contexts, self._proposed = self._contexts(instances)
        options = self._shipping.options
        limits = association_options(self.modality, options, self._timeout_seconds)
        with calling(self.modality):
            self._opening = Opening(
                node_of(self.modality, options), Proposal(self.ae_title, contexts), limits
            )

    def _contexts(
        self, instances: Iterable[StoredInstance]
    ) -> tuple[list[tuple[str, Sequence[str]]], frozenset[tuple[str, str]]]:
        """What to propose for the instances, as far as 128 contexts go, and which of them are provided for."""
        options = self._shipping.options
        contexts: dict[tuple[str, str], None] = {}
        provided = set()
        for instance in instances:
            wanted = (instance.sop_class_uid, instance.transfer_syntax_uid)
            if not instance.sop_class_uid or wanted in provided:
                continue
            syntaxes = [instance.transfer_syntax_uid]
            if options.is_transcoding and self.modality.allow_transcoding:
                syntaxes += [options.preferred_transfer_syntax, *UNCOMPRESSED]
            needed = dict.fromkeys((instance.sop_class_uid, syntax) for syntax in syntaxes)
            if len({**contexts, **needed}) > _MOST_CONTEXTS:
                break
            contexts.update(needed)
            provided.add(wanted)
        return [(abstract, (transfer,)) for abstract, transfer in contexts], frozenset(provided)


def data_set_offset(file: Buffer) -> int:
    """Where the data set begins in a file: after the File Meta Information, whose elements are counted. PS3.10 7.1.

    Its group length is not trusted: some programs write a wrong one.
    """
    view = memoryview(file)[:_LONGEST_META]
    position = 132
    if bytes(view[128:132]) != b"DICM":
        return read_head(file).dataset_offset
    while position + 12 <= len(view):
        group, _, vr, short = _META_ELEMENT.unpack_from(view, position)
        if group != _META_GROUP:
            return position
        if vr in _LONG_VRS:
            position += 12 + int.from_bytes(view[position + 8 : position + 12], "little")
        else:
            position += 8 + short
    return read_head(file).dataset_offset


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
