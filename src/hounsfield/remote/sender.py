"""C-STORE as user: instances from the archive to a modality. PS3.4 Annex B.

One association serves as many instances as it can: another one is opened when something is to be sent for which
nothing was proposed.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple

from hounsfield.errors import ArchiveError, PeerFailure
from hounsfield.hooks import Destination, OutgoingStoreFilter
from hounsfield.http.errors import NoPresentationContext, NoSopClassOrInstance
from hounsfield.index.sending import StoredInstance
from hounsfield.net.dimse import CommandSet
from hounsfield.net.items import AsynchronousWindow
from hounsfield.net.scu import Opening, Outgoing, Proposal, Requester
from hounsfield.remote.dialing import (
    DimseFailure,
    ScuOptions,
    association_options,
    calling,
    local_ae_title,
    node_of,
)
from hounsfield.remote.kept import Kept, KeptAssociations
from hounsfield.remote.modality import Modality
from hounsfield.remote.parcel import describe, pack, propose
from hounsfield.remote.shipped import Shipped
from hounsfield.store.spool import Buffer

_AHEAD = 200
"""Instances for which contexts are proposed at once."""
_MOST_BREAKS = 3

_Read = Callable[[StoredInstance], Buffer | None]


@dataclass(frozen=True, slots=True)
class Shipping:
    """What a sender works with; `read` gives the file of an instance."""

    read: Callable[[StoredInstance], Buffer]
    options: ScuOptions
    filters: Sequence[OutgoingStoreFilter] = ()
    kept: KeptAssociations = field(default_factory=KeptAssociations)


class _Ready(NamedTuple):
    """An instance that is ready to be sent, or was sent: its place, its UID as sent, and its message."""

    place: int
    sop_instance_uid: str
    outgoing: Outgoing


@dataclass(slots=True)
class _Shipment:
    """Instances on their way, by their places: those to be sent, the one that is ready, those sent."""

    instances: Sequence[StoredInstance]
    elements: CommandSet
    waiting: deque[int]
    ready: _Ready | None = None
    under_way: dict[int, _Ready] = field(default_factory=dict)
    """By Message ID."""
    failure: PeerFailure | None = None
    """Why no more can be sent on the association; answers may still come."""

    def recall(self) -> None:
        """All that was not answered is to be sent again."""
        places = sorted(each.place for each in self.under_way.values())
        if self.ready is not None:
            places.append(self.ready.place)
        self.waiting.extendleft(reversed(places))
        self.under_way.clear()
        self.ready = self.failure = None


class Sender:
    """Sends to one modality; to be used as a context, which closes the association at its end.

    With `keeps` the association is then left to the next sender for a while.
    """

    def __init__(
        self,
        shipping: Shipping,
        modality: Modality,
        *,
        calling_ae_title: str | None = None,
        timeout_seconds: float | None = None,
        keeps: bool = False,
    ) -> None:
        self.modality = modality
        self.ae_title = local_ae_title(modality, shipping.options, calling_ae_title)
        self._shipping = shipping
        self._keeps = keeps
        self._limits = association_options(modality, shipping.options, timeout_seconds)
        self._node = node_of(modality, shipping.options)
        self._key = (self._node, self.ae_title, self._limits)
        self._requester: Requester | None = None
        self._opening: Opening | None = None
        self._proposed: frozenset[tuple[str, str]] = frozenset()
        self._used = 0
        """How often the association served; one that never did is not opened again."""
        self._has_served = False
        self._breaks = 0
        """Associations in a row that broke before they served once."""
        self._gone: PeerFailure | None = None
        """Why the modality is not called again."""
        self._is_careful = False
        """Whether one broke: then only one instance at a time is under way, so that it is known which is at fault."""
        self._shipment: _Shipment | None = None

    def __enter__(self) -> "Sender":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        is_broken = isinstance(error, PeerFailure) and not isinstance(
            error, DimseFailure | NoPresentationContext
        )
        self.close(is_orderly=not is_broken)

    @property
    def is_open(self) -> bool:
        """Whether there is an association."""
        return self._requester is not None

    @property
    def is_gone(self) -> bool:
        """Whether the modality could not be reached, or broke too many associations, and is not called again."""
        return self._gone is not None

    @property
    def has_served(self) -> bool:
        """Whether the modality answered to anything that was sent."""
        return self._has_served

    def close(self, *, is_orderly: bool = True) -> None:
        """End the association, if there is one, or leave it to others; never fails."""
        for _ in self.drain() if is_orderly else ():
            pass
        if is_orderly and self._keeps and self._requester is not None:
            requester, self._requester = self._requester, None
            self._shipping.kept.keep(self._key, Kept(requester, self._proposed))
        self._end(is_orderly=is_orderly)

    def cut(self) -> None:
        """Make a call on another thread that waits for the modality to take an association fail."""
        opening = self._opening
        if opening is not None:
            opening.cut()

    def _end(self, *, is_orderly: bool = True) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.abort()
        requester, self._requester = self._requester, None
        if requester is None:
            return
        if is_orderly:
            self._release(requester)
        else:
            requester.abort()

    def _release(self, requester: Requester) -> None:
        # All was acknowledged: how the modality says good-bye does not matter.
        with suppress(PeerFailure), calling(self.modality):
            requester.release()

    def begin(self, instances: Sequence[StoredInstance]) -> None:
        """Ask for an association for these instances, without waiting for the answer. Errors as of `ship`."""
        if instances and self._requester is None and self._opening is None:
            self._ask(instances)

    def connect(self, instance: StoredInstance, coming: Sequence[StoredInstance] = ()) -> None:
        """Have an association in which an instance may be sent. Errors as of `ship`."""
        self._gone = None
        self._open((instance, *coming), 0)

    def send(
        self,
        instance: StoredInstance,
        coming: Sequence[StoredInstance] = (),
        elements: CommandSet | None = None,
    ) -> int | None:
        """C-STORE of one instance; the status of the response, None if a filter keeps it back. Errors as of `ship`.

        `coming` are those that will be sent next, for which contexts are proposed at the same time.
        """
        self._gone = None
        work = _Shipment((instance, *coming), elements or {}, deque((0,)))
        (shipped,) = self._follow(work, self._read)
        if shipped.error is not None:
            raise shipped.error
        return shipped.status

    def ship(
        self, instances: Sequence[StoredInstance], elements: CommandSet | None = None
    ) -> Iterator[Shipped]:
        """C-STORE of instances: what became of each, as soon as it is known.

        While the modality works on one instance the next is read, and sent as soon as the answer comes; several are
        under way where the modality agreed to that. Contexts are proposed for all instances, as far as they go.
        `elements` are those of a move originator.

        The errors of an instance are NoSopClassOrInstance if the file does not say what it is; NoPresentationContext if
        the modality takes it in no transfer syntax that it can be sent in; PeerFailure if the modality cannot be
        reached, or the association ends; NotFound, Corrupt or Unsupported if the file cannot be read or transcoded.
        """
        work = _Shipment(instances, elements or {}, deque(range(len(instances))))
        return self._follow(work, self._read)

    def drain(self) -> Iterator[Shipped]:
        """Wait for what is under way when `ship` was not followed to its end; what became of it."""
        shipment, self._shipment = self._shipment, None
        while shipment is not None and shipment.under_way:
            try:
                yield self._finish(shipment)
            except PeerFailure:
                self.close(is_orderly=False)
                return

    def send_file(self, file: Buffer) -> tuple[str, str]:
        """C-STORE of a file that is not in the archive; its SOP Class and SOP Instance UID.

        Raises
        ------
        DimseFailure
            If the modality refuses it. Otherwise errors as of `ship`.
        """
        instance = describe(file)
        (shipped,) = self._follow(_Shipment([instance], {}, deque((0,))), lambda _: file)
        shipped.check(self.modality)
        return instance.sop_class_uid, shipped.sop_instance_uid

    def _read(self, instance: StoredInstance) -> Buffer | None:
        """The file of an instance, None if a filter keeps it back."""
        file = self._shipping.read(instance)
        if self._shipping.filters:
            destination, view = Destination(self.modality.ae_title, self.modality.host), memoryview(file)
            if not all(may_leave(view, destination) for may_leave in self._shipping.filters):
                return None
        return file

    def _follow(self, work: _Shipment, read: _Read) -> Iterator[Shipped]:
        self._shipment = work
        while work.waiting or work.ready or work.under_way:
            try:
                known = self._step(work, read)
            except PeerFailure as error:
                known = self._recover(work, error)
            if known is not None:
                if self._has_room(
                    work
                ):  # Keep the modality busy while somebody is told of the instance before.
                    self._send(work)
                yield known
        self._shipment = None

    def _step(self, work: _Shipment, read: _Read) -> Shipped | None:
        """Do what is next: send what is ready, else make something ready, else wait for an answer."""
        if self._has_room(work):
            self._send(work)
            return None
        if work.ready is None and work.waiting:
            instance = work.instances[work.waiting[0]]
            if not work.under_way or self._serves(instance):
                return self._make_ready(work, read)
        if work.failure is not None and not work.under_way:
            raise work.failure
        return self._finish(work)

    def _has_room(self, work: _Shipment) -> bool:
        """Whether something is ready, and may be under way now."""
        if work.ready is None or work.failure is not None or self._requester is None:
            return False
        return len(work.under_way) < (1 if self._is_careful else self._requester.window)

    def _send(self, work: _Shipment) -> None:
        assert work.ready is not None
        assert self._requester is not None
        ready = work.ready
        try:
            with calling(self.modality):
                self._requester.begin(ready.outgoing)
        except PeerFailure as error:
            work.failure = error
        else:
            work.under_way[ready.outgoing.message_id], work.ready = ready, None

    def _make_ready(self, work: _Shipment, read: _Read) -> Shipped | None:
        place = work.waiting[0]
        instance = work.instances[place]
        try:
            if self._gone is not None:
                raise PeerFailure(str(self._gone)) from self._gone
            if not instance.sop_class_uid or not instance.sop_instance_uid:
                raise NoSopClassOrInstance(f"The instance {instance.public_id} has no SOP class")
            file = read(instance)
            if file is not None:
                requester = self._open(work.instances, place)
                work.ready = self._write(requester, place, instance, file, work.elements)
        except ArchiveError as error:
            if isinstance(error, PeerFailure) and self._requester is None and self._gone is None:
                raise
            work.waiting.popleft()
            return Shipped(instance, error=error)
        work.waiting.popleft()
        return Shipped(instance) if file is None else None

    def _write(
        self,
        requester: Requester,
        place: int,
        instance: StoredInstance,
        file: Buffer,
        elements: CommandSet,
    ) -> _Ready:
        parcel = pack(requester, instance, file, self.modality, self._shipping.options)
        context = requester.find_context(parcel.sop_class_uid, parcel.transfer_syntax_uid)
        assert context is not None
        uid = parcel.sop_instance_uid
        return _Ready(place, uid, requester.write_store(context, uid, parcel.data_set, elements))

    def _finish(self, work: _Shipment) -> Shipped:
        assert self._requester is not None
        with calling(self.modality):
            message_id, answer = self._requester.finish()
        sent = work.under_way.pop(message_id)
        self._used += 1
        self._has_served, self._breaks = True, 0
        return Shipped(work.instances[sent.place], answer.status, sop_instance_uid=sent.sop_instance_uid)

    def _recover(self, work: _Shipment, error: PeerFailure) -> Shipped | None:
        """The association is lost, or was not to be had: what was not answered is sent again if it served before."""
        was_open, was_used = self._requester is not None, self._used > 0
        self._start_again(work)
        if was_used:
            return None
        self._breaks += 1
        if not was_open or self._breaks == _MOST_BREAKS:
            self._gone = error
        return Shipped(work.instances[work.waiting.popleft()], error=error)

    def _start_again(self, work: _Shipment) -> None:
        self.close(is_orderly=False)
        work.recall()
        self._used, self._is_careful = 0, True

    def _serves(self, instance: StoredInstance) -> bool:
        """Whether contexts were proposed for this instance on the association that is open."""
        wanted = (instance.sop_class_uid, instance.transfer_syntax_uid)
        return self._requester is not None and wanted in self._proposed

    def _open(self, instances: Sequence[StoredInstance], place: int) -> Requester:
        """The association, or a new one if nothing was proposed yet for the instance at that place."""
        instance = instances[place]
        if self._requester is not None and self._serves(instance):
            return self._requester
        if (
            self._opening is None
            or (instance.sop_class_uid, instance.transfer_syntax_uid) not in self._proposed
        ):
            self._end()
            self._ask(instances[place : place + _AHEAD])
        if self._opening is not None:
            try:
                with calling(self.modality):
                    self._requester = self._opening.finish()
            finally:
                self._opening = None
        assert self._requester is not None
        return self._requester

    def _ask(self, instances: Sequence[StoredInstance]) -> None:
        """Take over an association that serves for the first of these instances, or ask for one."""
        first = (instances[0].sop_class_uid, instances[0].transfer_syntax_uid)
        kept = self._shipping.kept.take(self._key)
        if kept is not None and first in kept.proposed:
            self._requester, self._proposed, self._used = kept.requester, kept.proposed, 1
            return
        if kept is not None:
            self._release(kept.requester)
        self._used = 0
        contexts, self._proposed = propose(instances, self.modality, self._shipping.options)
        window = self._shipping.options.window
        proposal = Proposal(
            self.ae_title, contexts, window=AsynchronousWindow(window, 1) if window > 1 else None
        )
        with calling(self.modality):
            self._opening = Opening(self._node, proposal, self._limits)
