"""Fetch from a DICOM program into a folder: C-GET, or C-MOVE to ourselves.

  hounsfield retrieve pacs.example:104 --aet PACS --output folder StudyInstanceUID=1.2.3
  hounsfield retrieve pacs.example:104 --move --port 11112 --calling ME --output folder StudyInstanceUID=1.2.3

For C-MOVE the other program must know our AE title, with our address and the port.
"""

import argparse
import re
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from hounsfield.commands.arguments import (
    Progress,
    add_json,
    add_node,
    modality_of,
    options_of,
    parse_keys,
    print_json,
    say,
)
from hounsfield.commands.find import LEVELS
from hounsfield.dicom.identifiers import identify
from hounsfield.dicom.keys import Keys
from hounsfield.dicom.levels import Level
from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.uids import STORAGE_SOP_CLASSES
from hounsfield.errors import BadRequest, Corrupt
from hounsfield.ingest.intake import Incoming, Outcome, Receipt
from hounsfield.net.dimse import Status
from hounsfield.net.messages import Operation, Request, Response, Service, is_pending, part10_header
from hounsfield.net.negotiation import Policy
from hounsfield.net.options import ServerOptions
from hounsfield.net.server import serve
from hounsfield.remote.dialing import dimse_failure
from hounsfield.remote.retriever import Caller, get, move, storage_classes
from hounsfield.remote.retriever import Progress as Step
from hounsfield.scp.storage import storage_service
from hounsfield.scp.verification import VERIFICATION_SOP_CLASS_UID, verification_service
from hounsfield.store.spool import FolderSpool, SpoolFile

_UID = re.compile(r"[0-9.]{1,64}")
_SUCCESSES = (0x0000, 0xB000)
_CANNOT_UNDERSTAND = 0xC000


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_node(parser)
    parser.add_argument("keys", nargs="+", metavar="KEY=VALUE", help="what to fetch, by its identifiers")
    parser.add_argument("--level", choices=LEVELS, default="study", help="default: %(default)s")
    parser.add_argument("--output", type=Path, required=True, help="the folder for the files")
    parser.add_argument("--move", action="store_true", help="use C-MOVE, and listen on --port")
    parser.add_argument("--port", type=int, default=11112, help="for C-MOVE (default: %(default)s)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it. PeerFailure if there is no good answer."""
    keys, level = parse_keys(arguments.keys), LEVELS[arguments.level]
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".receiving-", dir=arguments.output) as spool:
        folder = _Folder(arguments.output, FolderSpool(Path(spool)))
        last = _retrieve(arguments, folder, keys, level)
    if last.status not in _SUCCESSES:
        raise dimse_failure("C-MOVE" if arguments.move else "C-GET", arguments.aet, last.status)
    if arguments.json:
        print_json({"Received": folder.count, "Failed": last.failed, "Folder": str(arguments.output)})
    else:
        say(f"{folder.count} instances in {arguments.output}, {last.failed} failed")
    return 1 if last.failed else 0


def _retrieve(arguments: argparse.Namespace, folder: "_Folder", keys: Keys, level: Level) -> Step:
    modality, options = modality_of(arguments), options_of(arguments)
    caller = Caller(options.ae_title, arguments.timeout)
    progress = Progress("received")
    if not arguments.move:
        steps = get(modality, options, level, keys, folder.store, caller, storage_classes(""), folder.spool)
        return _follow(steps, progress)
    policy = partial(_policy, options.ae_title, folder)
    with serve(ServerOptions(arguments.port), policy, folder.spool):
        return _follow(move(modality, options, level, keys, options.ae_title, caller), progress)


def _follow(steps: Iterator[Step], progress: Progress) -> Step:
    last = Step(_CANNOT_UNDERSTAND)
    for last in steps:
        if is_pending(last.status):
            done = last.completed + last.failed + last.warning
            progress.show(done, done + last.remaining)
    progress.end()
    return last


class _Folder:
    """Where files go, named by their SOP Instance UIDs."""

    def __init__(self, path: Path, spool: FolderSpool) -> None:
        self._path = path
        self.spool = spool
        self.count = 0

    def store(self, request: Request) -> Response:
        """Write what came by C-GET."""
        payload = request.payload
        if payload is None:
            return Response(_CANNOT_UNDERSTAND)
        header = b"" if isinstance(payload, SpoolFile) else part10_header(request)
        try:
            self._write(request.sop_instance_uid, payload, header)
        except (BadRequest, OSError):
            return Response(_CANNOT_UNDERSTAND)
        return Response(Status.SUCCESS)

    def receive(self, incoming: Incoming) -> Receipt:
        """Write what came because of a C-MOVE."""
        content = incoming.content
        view = content.view() if isinstance(content, SpoolFile) else memoryview(content)
        head = read_head(view, transfer_syntax_uid=incoming.transfer_syntax_uid)
        identifiers = identify(head.dataset)
        self._write(identifiers.sop_instance_uid, content, incoming.prefix)
        return Receipt(Outcome.SUCCESS, identifiers)

    def _write(self, uid: str, content: SpoolFile | bytes | memoryview, header: bytes) -> None:
        if not _UID.fullmatch(uid):
            raise Corrupt("What came has no SOP Instance UID that could be the name of a file")
        body = content.view() if isinstance(content, SpoolFile) else content
        with (self._path / f"{uid}.dcm").open("wb") as file:
            file.write(header)
            file.write(body)
        self.count += 1


def _policy(ae_title: str, folder: _Folder) -> Policy:
    """Takes everything from everybody, as long as we wait for it."""
    storage, verification = storage_service(folder.receive, lambda _: True), verification_service()

    def find_service(uid: str) -> Service | None:
        if uid == VERIFICATION_SOP_CLASS_UID:
            return verification
        return storage if uid in STORAGE_SOP_CLASSES else None

    return Policy(ae_title, find_service, lambda _: frozenset((Operation.ECHO, Operation.STORE)))
