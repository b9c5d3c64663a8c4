"""What extensions add to: the archive, the way in, and plain registries.

The doors are extensions too: each has a module with `extend(host, ...)` that appends to the lists here. The wiring
then reads the lists once, so that nothing is added after the start.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from hounsfield.archive import Archive
from hounsfield.events import Event
from hounsfield.hooks import FindFilter, OutgoingFindFilter, OutgoingStoreFilter
from hounsfield.http.asgi import RequestFilter
from hounsfield.http.local import LocalCalls
from hounsfield.http.routing import ExpressionRoute, Route
from hounsfield.ingest.intake import Filter, Intake
from hounsfield.ingest.upload import UploadOptions
from hounsfield.jobs.engine import Engine
from hounsfield.jobs.kinds import JobKind
from hounsfield.net.messages import Service
from hounsfield.settings import Lifecycle


@dataclass(frozen=True, slots=True)
class Host:
    """The registries of one server.

    `filters` is the list that `intake` asks; `expressions` are asked before any of `routes`, of which the later
    wins over an equal earlier one; `services` are by SOP class UID; `job_kinds` is what `engine` knows, by their names.
    Of several find filters each gets what the one before it gave; a file is sent if all store filters agree. `runs` are
    entered when the routes are bound, before the doors open, and left after these are closed; `interrupts` are
    called when the server is about to stop. `calls` is how extensions
    ask the server's own routes, and `lifecycle` how they end it.
    """

    archive: Archive
    intake: Intake
    uploads: UploadOptions
    engine: Engine
    job_kinds: dict[str, JobKind]
    filters: list[Filter] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    expressions: list[ExpressionRoute] = field(default_factory=list)
    request_filters: list[RequestFilter] = field(default_factory=list)
    services: dict[str, Service] = field(default_factory=dict)
    subscribers: list[Callable[[Event], None]] = field(default_factory=list)
    find_filters: list[FindFilter] = field(default_factory=list)
    worklist_filters: list[FindFilter] = field(default_factory=list)
    outgoing_find_filters: list[OutgoingFindFilter] = field(default_factory=list)
    outgoing_store_filters: list[OutgoingStoreFilter] = field(default_factory=list)
    runs: list[Callable[[], AbstractContextManager[None]]] = field(default_factory=list)
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    interrupts: list[Callable[[], None]] = field(default_factory=list)
    calls: LocalCalls = field(default_factory=LocalCalls)
