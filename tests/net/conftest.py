"""A server in the process, with services that remember what they were given."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hounsfield.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from hounsfield.net.buffers import BufferOptions
from hounsfield.net.dimse import CommandField
from hounsfield.net.messages import Operation, Request, Response, Responses, Service
from hounsfield.net.negotiation import Policy
from hounsfield.net.options import AssociationOptions, ServerOptions
from hounsfield.net.scu import Proposal, RemoteNode
from hounsfield.net.server import DicomServer, serve
from hounsfield.store.spool import FolderSpool, SpoolFile

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
PREFIX = b"PREFIX"


@dataclass
class Stored:
    """One data set, as the storage service saw it."""

    request: Request
    data: bytes
    was_spooled: bool


@dataclass
class World:
    """A server under test."""

    spool: Path
    options: ServerOptions
    policy: Policy
    stored: list[Stored] = field(default_factory=list)
    server: DicomServer | None = None
    respond: Callable[[Request], Responses] | None = None

    def store(self, request: Request) -> Responses:
        if self.respond is not None:
            yield from self.respond(request)
            return
        payload = request.payload
        if isinstance(payload, SpoolFile):
            content = bytes(payload.view())
            assert content.startswith(PREFIX)
            self.stored.append(Stored(request, content.removeprefix(PREFIX), True))
        else:
            self.stored.append(Stored(request, bytes(payload or b""), False))
        yield Response(0)

    @property
    def running(self) -> DicomServer:
        assert self.server is not None
        return self.server

    @property
    def node(self) -> RemoteNode:
        return RemoteNode("127.0.0.1", self.running.port, "HOUNSFIELD")

    def change(self, **fields: object) -> None:
        self.policy = dataclasses.replace(self.policy, **fields)  # type: ignore[arg-type]


def echo(request: Request) -> Responses:
    yield Response(0)


FAST = AssociationOptions(
    buffer=BufferOptions(initial=1 << 16, maximum=1 << 18),
    artim_timeout_seconds=2.0,
    idle_timeout_seconds=20.0,
)
PROPOSAL = Proposal(
    "TESTER",
    (
        (VERIFICATION, (IMPLICIT_VR_LITTLE_ENDIAN,)),
        (CT, (IMPLICIT_VR_LITTLE_ENDIAN,)),
        (CT, (EXPLICIT_VR_LITTLE_ENDIAN,)),
    ),
)


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Start a server with options of its own."""
    with ExitStack() as stack:

        def make(options: ServerOptions | None = None, association: AssociationOptions = FAST) -> World:
            services: dict[str, Service] = {}
            policy = Policy("HOUNSFIELD", services.get, lambda caller: frozenset(Operation))
            options = options or ServerOptions(host="127.0.0.1", port=0, association=association)
            world = World(tmp_path, options, policy)
            preferred = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
            services[VERIFICATION] = Service(
                {CommandField.C_ECHO_RQ: Operation.ECHO}, echo, preferred.__contains__, preferred
            )
            services[CT] = Service(
                {CommandField.C_STORE_RQ: Operation.STORE, CommandField.C_FIND_RQ: Operation.FIND},
                world.store,
                lambda uid: uid.startswith("1.2.840.10008.1.2"),
                accepts_scp_role=True,
                spool_prefix=lambda request: PREFIX,
            )
            world.server = stack.enter_context(serve(options, lambda: world.policy, FolderSpool(tmp_path)))
            return world

        yield make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A server with small buffers."""
    return make_world()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every association thread ends with its server."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("DICOM-"):
            thread.join(5)
            assert not thread.is_alive(), thread.name
