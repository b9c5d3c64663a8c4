"""Several associations with one modality, which share what is to be sent.

A modality that is far away, or slow with each instance, takes more when it is asked on several associations. Each of
them takes some instances from those that wait, fewer and fewer towards the end, so that all finish at the same time.
None takes any before the modality accepted it. One that is rejected, or cannot be had again, leaves its instances to
the others: only when none is left does an instance fail for that.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from queue import SimpleQueue
from types import TracebackType

from hounsfield.errors import ArchiveError, PeerFailure
from hounsfield.index.sending import StoredInstance
from hounsfield.net.dimse import CommandSet
from hounsfield.remote.modality import Modality
from hounsfield.remote.sender import Sender, Shipping
from hounsfield.remote.shipped import Shipped

_MOST_AT_ONCE = 64

_log = logging.getLogger("hounsfield.dicom")


class Fleet:
    """Sends to one modality on as many associations as it is to have; to be used as a context, like `Sender`."""

    def __init__(
        self,
        shipping: Shipping,
        modality: Modality,
        *,
        calling_ae_title: str | None = None,
        timeout_seconds: float | None = None,
        keeps: bool = False,
    ) -> None:
        self._count = modality.store_associations
        self._hire = partial(
            Sender,
            shipping,
            modality,
            calling_ae_title=calling_ae_title,
            timeout_seconds=timeout_seconds,
            keeps=keeps,
        )
        self._senders: list[Sender] = []
        self._voyage: _Voyage | None = None

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _ in self.drain():
            pass
        for sender in self._senders:
            sender.__exit__(kind, error, trace)

    def ship(
        self, instances: Sequence[StoredInstance], elements: CommandSet | None = None
    ) -> Iterator[Shipped]:
        """As `Sender.ship`, in whatever order they are done."""
        while len(self._senders) < min(self._count, max(len(instances), 1)):
            self._senders.append(self._hire())
        if len(self._senders) == 1 or len(instances) < 2:
            yield from self._senders[0].ship(instances, elements)
            return
        self._voyage = _Voyage(self._senders, instances, elements or {})
        yield from self._voyage.follow()
        self._senders, self._voyage = self._voyage.end(), None

    def drain(self) -> Iterator[Shipped]:
        """As `Sender.drain`: what became of all that was under way when `ship` was not followed to its end."""
        voyage = self._voyage
        if voyage is not None:
            voyage.stop()
            yield from voyage.follow()
            self._senders, self._voyage = voyage.end(), None
        for sender in self._senders[:1]:
            yield from sender.drain()


class _Voyage:
    """The shipment of some instances: a thread for each association, which take from what waits."""

    def __init__(
        self, senders: Sequence[Sender], instances: Sequence[StoredInstance], elements: CommandSet
    ) -> None:
        self._instances, self._elements = instances, elements
        self._told: SimpleQueue[Shipped | BaseException | None] = SimpleQueue()
        """What became of instances; the mistake by which a thread ended; None when something else changed."""
        self._untold = len(instances)
        self._lock = threading.Lock()
        """Of all below."""
        self._waiting = deque(instances)
        self._is_stopping = self._is_over = False
        self._running = self._sailing = min(len(senders), len(instances))
        """Threads, and those of them that may still take something."""
        self._joining = set(senders[: self._running])
        """Those that wait for the modality to take their association."""
        self._home = list(senders[self._running :])
        for number, sender in enumerate(senders[: self._running]):
            thread = threading.Thread(target=self._run, args=(sender,), name=f"store-{number}", daemon=True)
            thread.start()

    def follow(self) -> Iterator[Shipped]:
        """What became of the instances, as it becomes known; at the end nothing is under way."""
        while not self._is_finished():
            told = self._told.get()
            if isinstance(told, Shipped):
                self._untold -= 1
                yield told
            elif told is not None:
                self.stop()
                raise told

    def stop(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._is_stopping = True
            self._waiting.clear()

    def end(self) -> list[Sender]:
        """The senders that can be used again. Those that are still not let in are given up."""
        with self._lock:
            self._is_over = True
            late = list(self._joining)
        for sender in late:
            sender.cut()
        return self._home

    def _is_finished(self) -> bool:
        """Whether all is told; associations that the modality did not take yet are not waited for if so."""
        with self._lock:
            if not self._told.empty():
                return False
            is_done = self._is_stopping or not self._untold
            return self._running == (len(self._joining) if is_done else 0)

    def _run(self, sender: Sender) -> None:
        failure: BaseException | None = None
        try:
            if self._joins(sender):
                while (some := self._take()) and self._deliver(sender, some):
                    pass
        except BaseException as error:  # noqa: BLE001  Raised again in the thread that follows.
            failure = error
        with self._lock:
            self._running -= 1
            self._joining.discard(sender)
            is_late = self._is_over
            if not is_late:
                self._home.append(sender)
        if is_late:
            sender.close()
        self._told.put(failure)

    def _joins(self, sender: Sender) -> bool:
        """Whether there is an association, or else none beside this one, so that it has to say what is wrong."""
        try:
            sender.connect(self._instances[0], self._instances[1:])
        except ArchiveError as error:
            _log.info("One of several associations is not to be had: %s", error)
            return not self._leave([])
        finally:
            with self._lock:
                self._joining.discard(sender)
            self._told.put(None)
        return True

    def _deliver(self, sender: Sender, some: Sequence[StoredInstance]) -> bool:
        """Send some instances; False if that is the end of this association."""
        done = set()
        for shipped in sender.ship(some, self._elements):
            if _is_lost(sender, shipped) and self._leave(
                [each for each in some if each.public_id not in done]
            ):
                return False
            done.add(shipped.instance.public_id)
            self._told.put(shipped)
            if self._is_stopping:
                for late in sender.drain():
                    self._told.put(late)
                return False
        return True

    def _take(self) -> list[StoredInstance]:
        """Some of what waits; none at the end."""
        with self._lock:
            if not self._waiting:
                self._sailing -= 1
                return []
            share = len(self._waiting) // (2 * self._sailing)
            count = min(max(share, 1), _MOST_AT_ONCE)
            return [self._waiting.popleft() for _ in range(count)]

    def _leave(self, instances: Sequence[StoredInstance]) -> bool:
        """Leave instances to the other associations; False if there are none."""
        with self._lock:
            if self._sailing == 1:
                return False
            self._sailing -= 1
            if not self._is_stopping:
                self._waiting.extendleft(reversed(instances))
            return True


def _is_lost(sender: Sender, shipped: Shipped) -> bool:
    """Whether it is for the association, and not for the instance, that this could not be sent."""
    if sender.is_gone:
        return True
    return isinstance(shipped.error, PeerFailure) and not sender.is_open and not sender.has_served
