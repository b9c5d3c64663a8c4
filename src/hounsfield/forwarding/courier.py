"""Emptying the queue of one destination, as far as that goes."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hounsfield.dicom.identifiers import PublicId
from hounsfield.errors import ArchiveError, DatabaseUnavailable, NotFound
from hounsfield.forwarding.carriers import Carried, Carrier, Load, carrier, is_refusal
from hounsfield.forwarding.destinations import Destination
from hounsfield.forwarding.options import ForwardingOptions, delay_seconds
from hounsfield.index import deliveries
from hounsfield.index.database import Transaction
from hounsfield.index.deliveries import Delivery, Queue
from hounsfield.index.sending import StoredInstance, load_to_send
from hounsfield.remote.network import Network

_log = logging.getLogger("hounsfield.generic")

_PAGE = 64
_FLUSH_SECONDS = 1.0
_MOST_REFUSALS = 50
"""So many instances refused in a row say that the destination is not well, whatever it answers."""
_PATIENT_ATTEMPTS = 3
"""So often a delivery may lose its connection before others are let go first."""
_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Courier:
    """What one run on a queue works with; `is_wanted` tells whether it should go on.

    `arrived` is done and not yet noted; `sent` of these were really sent, as a filter may keep some back.
    """

    network: Network
    options: ForwardingOptions
    queue: Queue
    destination: Destination
    clock_ns: Callable[[], int]
    is_wanted: Callable[[], bool]
    arrived: list[Delivery] = field(default_factory=list)
    sent: int = 0
    failures: int = field(init=False)
    refused_in_a_row: int = 0
    flushed: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Go on counting where the last run stopped."""
        self.failures = self.queue.attempts

    def run(self) -> None:
        """Send what is due, until nothing is, or the destination fails.

        Raises
        ------
        DatabaseUnavailable
            If the index is away. What arrived and could not be noted will be sent again.
        """
        try:
            with carrier(self.network, self.destination) as sends:
                while self.is_wanted() and (page := self._page()):
                    if not self._send_page(sends, page):
                        break
        except DatabaseUnavailable:
            raise
        except ArchiveError as error:  # It cannot even be spoken to as it is defined.
            self._back_off(str(error))
        finally:
            self._flush()

    def _page(self) -> Sequence[Delivery]:
        with self.network.archive.database.read() as tx:
            return deliveries.due(tx, self.queue.id, self.destination.target, self.clock_ns(), _PAGE)

    def _send_page(self, sends: Carrier, page: Sequence[Delivery]) -> bool:
        """Send some; whether the destination is well enough to go on."""
        with self.network.archive.database.read() as tx:
            loaded = load_to_send(tx, [delivery.public_id for delivery in page])
        found = {instance.public_id: instance for instance in loaded}
        load: list[tuple[Delivery, StoredInstance]] = []
        for delivery in page:
            instance = found.get(PublicId(delivery.public_id))
            if instance is None:
                gone = "The instance was deleted before it could be sent"
                self._refuse(delivery, NotFound(gone), is_final=True)
            else:
                load.append((delivery, instance))
        is_well = self._carry(sends, load)
        self._flush()
        return is_well

    def _carry(self, sends: Carrier, load: Load) -> bool:
        """Send some; whether the destination is well enough to go on.

        One that failed gets one instance at a time, so that it is known which is at fault.
        """
        trouble = None
        try:
            for carried in sends.carry(load, is_careful=self.failures > 0):
                trouble = self._took(carried)
                if trouble is not None or not self.is_wanted():
                    break
                if time.monotonic() - self.flushed > _FLUSH_SECONDS:
                    self._flush()
        finally:
            for late in sends.drain():
                self._arrive(late)
        if trouble is not None:
            self._back_off(trouble)
        return trouble is None

    def _took(self, carried: Carried) -> str | None:
        """Note what became of one; why the destination is to be left alone, if it is."""
        delivery, error = carried.delivery, carried.error
        if isinstance(error, DatabaseUnavailable):
            raise error
        if error is not None and carried.is_connected and is_refusal(error):
            return self._refuse(delivery, error)
        if error is not None:
            if carried.is_connected and delivery.attempts + 1 >= _PATIENT_ATTEMPTS:
                self._defer(delivery, error)
            elif carried.is_connected:
                self._note(delivery, error, 0)
            return str(error)
        self._arrive(carried)
        self.failures, had_failed = 0, self.failures
        if had_failed:
            _log.warning("%s %s takes what it is sent again", *self._named())
            self._flush()
        return None

    def _arrive(self, carried: Carried) -> None:
        """One is done, if it is; whatever became of others is seen when they are sent again."""
        if carried.error is None:
            self.arrived.append(carried.delivery)
            self.sent += carried.is_sent
            self.refused_in_a_row = 0

    def _refuse(self, delivery: Delivery, error: ArchiveError, *, is_final: bool = False) -> str | None:
        """One instance was not taken: it comes again later, or has failed; why others may not go on, if so."""
        attempts = delivery.attempts + 1
        has_failed = is_final or 0 < self.options.maximum_attempts <= attempts
        self._note(delivery, error, self._later_ns(attempts), has_failed=has_failed)
        if has_failed:
            _log.error(
                "The instance %s cannot be forwarded to %s %s, and is kept as failed: %s",
                delivery.public_id,
                *self._named(),
                error,
            )
        self.refused_in_a_row += not is_final
        return None if self.refused_in_a_row < _MOST_REFUSALS else f"It refuses everything: {error}"

    def _defer(self, delivery: Delivery, error: ArchiveError) -> None:
        """It may be this instance that breaks the connection: let others go first."""
        self._note(delivery, error, self._later_ns(delivery.attempts + 1))

    def _note(
        self, delivery: Delivery, error: ArchiveError, retry_ns: int, *, has_failed: bool = False
    ) -> None:
        now_ns = self.clock_ns()

        def work(tx: Transaction) -> None:
            deliveries.refuse(tx, delivery, str(error), retry_ns, is_failed=has_failed)
            deliveries.note_error(tx, self.queue.id, f"{delivery.public_id}: {error}", now_ns)

        self.network.archive.database.write(work, durable=False)

    def _later_ns(self, failures: int) -> int:
        return self.clock_ns() + int(delay_seconds(self.options, failures) * _SECOND_NS)

    def _back_off(self, error: str) -> None:
        """The destination failed: leave it alone for some time."""
        self._flush()
        now_ns = self.clock_ns()
        self.failures += 1
        retry_ns = self._later_ns(self.failures)
        seconds = (retry_ns - now_ns) / _SECOND_NS
        _log.warning(
            "%s %s cannot be forwarded to, which is tried again in %.0f s: %s", *self._named(), seconds, error
        )
        self.network.archive.database.write(
            lambda tx: deliveries.back_off(tx, self.queue.id, error, now_ns, retry_ns), durable=False
        )

    def _flush(self) -> None:
        """Note what has arrived."""
        self.flushed = time.monotonic()
        arrived, self.arrived = self.arrived, []
        if not arrived:
            return
        now_ns, sent, self.sent = self.clock_ns(), self.sent, 0
        self.network.archive.database.write(
            lambda tx: deliveries.acknowledge(tx, self.queue.id, arrived, now_ns, sent=sent), durable=False
        )

    def _named(self) -> tuple[str, str]:
        return self.destination.kind.value.capitalize(), self.destination.name
