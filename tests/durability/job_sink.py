"""A storage SCP that remembers for which job what came: each job calls itself by an AE title of its own."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path

from tests import instances

from hounsfield.net.dimse import CommandField
from hounsfield.net.messages import Operation, Request, Response, Responses, Service
from hounsfield.net.negotiation import Policy
from hounsfield.net.options import ServerOptions
from hounsfield.net.server import serve
from hounsfield.store.spool import FolderSpool

_SECONDS = 0.02  # For an instance, so that jobs are caught in the middle.


@dataclass(frozen=True, slots=True)
class Arrival:
    """An instance that a job sent, by the association number and the time it came."""

    instance: str
    association: int
    at: float


@dataclass(slots=True)
class JobSink:
    """What came, by job, and when something was killed meanwhile."""

    port: int = 0
    arrivals: dict[str, list[Arrival]] = field(default_factory=dict)
    disturbances: list[tuple[float, float]] = field(default_factory=list)
    _agreements: list[object] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def disturbed(self) -> Iterator[None]:
        """Something is killed and started again; what it sent may arrive a moment after its end."""
        began = time.monotonic()
        yield
        self.disturbances.append((began, time.monotonic()))

    def take(self, request: Request) -> Responses:
        """Answer a C-STORE."""
        time.sleep(_SECONDS)
        with self._lock:
            agreement = request.agreement
            number = next((n for n, known in enumerate(self._agreements) if known is agreement), None)
            if number is None:
                number = len(self._agreements)
                self._agreements.append(agreement)
            arrival = Arrival(request.sop_instance_uid, number, time.monotonic())
            self.arrivals.setdefault(agreement.caller.calling_ae_title, []).append(arrival)
        yield Response(0)


def doubled(arrivals: Iterable[Arrival], disturbances: Sequence[tuple[float, float]]) -> str:
    """Why a job must have been executed twice, or at two places at once; empty if it was not.

    A job goes on elsewhere only after something was killed while it ran.
    """
    found = sorted(arrivals, key=lambda arrival: arrival.at)
    runs = [
        (number, list(group)) for number, group in groupby(found, key=lambda arrival: arrival.association)
    ]
    if len({number for number, _ in runs}) < len(runs):
        return "two runs at the same time"
    for (_, before), (_, after) in pairwise(runs):
        if not any(began <= after[-1].at and before[0].at <= ended for began, ended in disturbances):
            return "a second run, though nothing was killed"
    for _, run in runs:
        sent = [arrival.instance for arrival in run]
        if len(set(sent)) < len(sent):
            return "an instance twice in one run"
    return ""


@contextmanager
def job_sink(spool: Path) -> Iterator[JobSink]:
    """A sink that runs as long as the block."""
    sink = JobSink()
    service = Service(
        {CommandField.C_STORE_RQ: Operation.STORE}, sink.take, instances.TRANSFER_SYNTAX_UID.__eq__
    )
    services = {instances.SOP_CLASS_UID: service}
    policy = Policy("SINK", services.get, lambda _: frozenset(Operation))
    spool.mkdir()
    with serve(ServerOptions(host="127.0.0.1", port=0), lambda: policy, FolderSpool(spool)) as server:
        sink.port = server.port
        yield sink
