"""Looks after the queues of all destinations: each that has something to be sent gets a thread meanwhile.

A keeper thread sleeps until something is queued, a delay is over, or a courier comes back. Where several nodes share
the index, a queue is worked on by the node that has its lease.
"""

import logging
import threading
import time
from collections.abc import Callable
from uuid import uuid4

from hounsfield.errors import DatabaseUnavailable
from hounsfield.forwarding.courier import Courier
from hounsfield.forwarding.destinations import Destination, find_destination
from hounsfield.forwarding.options import ForwardingOptions
from hounsfield.index import deliveries
from hounsfield.index.database import Transaction
from hounsfield.index.deliveries import TOPIC, Queue
from hounsfield.remote.network import Network

_log = logging.getLogger("hounsfield.generic")

_STOP_SECONDS = 20.0
_PAUSE_SECONDS = 1.0
_TURN_SECONDS = 30.0
"""How long a courier may go on while other destinations wait for theirs."""
_POLL_SECONDS = 5.0
"""How often definitions of destinations, and what other nodes do, are looked at: nobody tells of them."""
_SECOND_NS = 1_000_000_000


class Forwarder:
    """Forwards what is queued, for one node."""

    def __init__(
        self,
        network: Network,
        options: ForwardingOptions | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.options = options or ForwardingOptions()
        self.node = self.options.server + uuid4().hex
        self._network, self._clock_ns = network, clock_ns
        self._changed = threading.Condition()
        self._generation = 0
        self._is_stopping = False
        self._are_others_waiting = False
        self._keeper: threading.Thread | None = None
        self._couriers: dict[int, threading.Thread] = {}
        self._served: dict[int, float] = {}
        self._renewed = self._aged = 0.0

    def start(self) -> None:
        """Take up what the last run left, and begin."""
        database = self._network.archive.database
        database.write(lambda tx: deliveries.release_earlier_runs(tx, self.options.server), durable=False)
        database.subscribe(self._hear)
        self._keeper = threading.Thread(target=self._keep, name="FORWARDER", daemon=True)
        self._keeper.start()

    def interrupt(self) -> None:
        """Begin nothing more, and let every courier stop after the instance that it is sending."""
        with self._changed:
            self._is_stopping = True
            self._notify()

    def stop(self) -> None:
        """As `interrupt`, and wait for the couriers; what they did not send is sent after the next start."""
        self.interrupt()
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in (self._keeper, *list(self._couriers.values())):
            if thread is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _hear(self, topic: str) -> None:
        """Something was committed somewhere: wake up, if it may concern us."""
        if topic in (TOPIC, ""):
            with self._changed:
                self._notify()

    def _notify(self) -> None:
        """The caller holds `_changed`."""
        self._generation += 1
        self._changed.notify_all()

    def _keep(self) -> None:
        while True:
            with self._changed:
                generation = self._generation
                if self._is_stopping:
                    return
            patience = self._look()
            with self._changed:
                if self._generation == generation and not self._is_stopping:
                    self._changed.wait(patience)

    def _look(self) -> float | None:
        """Send couriers to where something is due; how long nothing will be, None for as long as nothing changes."""
        try:
            self._renew()
            return self._tend()
        except DatabaseUnavailable:
            return _PAUSE_SECONDS
        except Exception:  # noqa: BLE001  The rim of jobs: forwarding must go on.
            _log.exception("The queues of deliveries cannot be looked after")
            return _PAUSE_SECONDS

    def _renew(self) -> None:
        now = time.monotonic()
        if not self.options.is_shared or now - self._renewed < self.options.lease_seconds / 3:
            return
        if self._couriers:
            lease_ns = self._lease_ns()
            self._network.archive.database.write(
                lambda tx: deliveries.renew(tx, self.node, lease_ns), durable=False
            )
        self._renewed = now

    def _tend(self) -> float | None:
        self._fail_what_is_old()
        with self._network.archive.database.read() as tx:
            queues = deliveries.list_queues(tx)
            waits = {queue.id: self._wait_seconds(tx, queue) for queue in queues}
        resting = [queue for queue in queues if queue.id not in self._couriers]
        ready = [queue for queue in resting if waits[queue.id] == 0.0]
        ready.sort(key=lambda queue: self._served.get(queue.id, 0.0))
        free = max(0, self.options.concurrent - len(self._couriers))
        self._are_others_waiting = len(ready) > free
        for queue in ready[:free]:
            self._send_courier(queue)
        later = [seconds for queue in resting if (seconds := waits[queue.id]) is not None and seconds > 0.0]
        if any(seconds is not None for seconds in waits.values()):
            later.append(_POLL_SECONDS)
        return min(later, default=None)

    def _wait_seconds(self, tx: Transaction, queue: Queue) -> float | None:
        """How long a queue has to wait, 0 if it is due; None if there is nothing to be done."""
        destination = find_destination(self._network, queue.kind, queue.name)
        if queue.is_paused:
            return None
        due_ns = None if destination is None else deliveries.next_due_ns(tx, queue.id, destination.target)
        if due_ns is None:  # What is left may become due by another definition.
            return _POLL_SECONDS if deliveries.has_waiting(tx, queue.id) else None
        now_ns = self._clock_ns()
        if queue.node not in ("", self.node) and queue.lease_ns > now_ns:
            return max((queue.lease_ns - now_ns) / _SECOND_NS, 0.001)
        return max((max(due_ns, queue.retry_ns) - now_ns) / _SECOND_NS, 0.0)

    def _fail_what_is_old(self) -> None:
        """Mark what waited longer than it may as failed, now and then."""
        age, now = self.options.maximum_age_seconds, time.monotonic()
        if not age or now - self._aged < min(60.0, age / 2):
            return
        self._aged = now
        before_ns = self._clock_ns() - int(age * _SECOND_NS)
        reason = f"Not delivered within {age:g} seconds"

        def work(tx: Transaction) -> int:
            return sum(
                deliveries.fail_older(tx, queue.id, before_ns, reason) for queue in deliveries.list_queues(tx)
            )

        count = self._network.archive.database.write(work, durable=False)
        if count:
            _log.error("%d instances could not be forwarded in time, and are kept as failed", count)

    def _lease_ns(self) -> int:
        return self._clock_ns() + int(self.options.lease_seconds * _SECOND_NS)

    def _send_courier(self, queue: Queue) -> None:
        """Take care of a queue, unless another node was faster."""
        destination = find_destination(self._network, queue.kind, queue.name)
        now_ns, lease_ns = self._clock_ns(), self._lease_ns()
        if destination is None or not self._network.archive.database.write(
            lambda tx: deliveries.claim(tx, queue.id, self.node, now_ns, lease_ns), durable=False
        ):
            return
        thread = threading.Thread(
            target=self._run, args=(queue, destination), name=f"FORWARD-{queue.name}", daemon=True
        )
        with self._changed:
            self._couriers[queue.id] = thread
        thread.start()

    def _run(self, queue: Queue, destination: Destination) -> None:
        """The thread of a courier."""
        began = time.monotonic()

        def is_wanted() -> bool:
            if self._is_stopping:
                return False
            if self._are_others_waiting and time.monotonic() - began > _TURN_SECONDS:
                return False
            if find_destination(self._network, queue.kind, queue.name) != destination:
                return False
            with self._network.archive.database.peek() as tx:
                return deliveries.is_claimed(tx, queue.id, self.node)

        try:
            Courier(self._network, self.options, queue, destination, self._clock_ns, is_wanted).run()
        except DatabaseUnavailable as error:
            _log.warning("Forwarding to %s stops until the index is back: %s", queue.name, error)
            self._rest()
        except Exception:  # noqa: BLE001  The rim of jobs: one queue must not stop the others.
            _log.exception("Forwarding to %s failed", queue.name)
            self._rest()
        finally:
            self._come_back(queue)

    def _rest(self) -> None:
        """Do not come back at once where nothing can be written down."""
        with self._changed:
            if not self._is_stopping:
                self._changed.wait_for(lambda: self._is_stopping, _POLL_SECONDS)

    def _come_back(self, queue: Queue) -> None:
        try:
            self._network.archive.database.write(
                lambda tx: deliveries.release(tx, queue.id, self.node), durable=False
            )
        except DatabaseUnavailable:  # Its lease ends by itself, or we take it again.
            pass
        finally:
            with self._changed:
                self._couriers.pop(queue.id, None)
                self._served[queue.id] = time.monotonic()
                self._notify()
