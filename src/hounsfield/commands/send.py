"""Send DICOM files, or all files of folders, to a DICOM program: C-STORE.

  hounsfield send pacs.example:104 --aet PACS study/

Files that are no DICOM are passed over in folders, and are an error where they are named. What the other program does
not take as it is, is transcoded, unless --as-is.
"""

import argparse
import mmap
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hounsfield.commands.arguments import (
    Progress,
    add_json,
    add_node,
    modality_of,
    options_of,
    print_json,
    say,
)
from hounsfield.errors import ArchiveError, BadRequest, Corrupt, PeerFailure
from hounsfield.http.errors import NoSopClassOrInstance
from hounsfield.index.sending import StoredInstance
from hounsfield.remote.parcel import describe
from hounsfield.remote.sender import Sender, Shipping
from hounsfield.store.spool import Buffer


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_node(parser)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file or a folder")
    parser.add_argument("--as-is", action="store_true", help="do not transcode")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it. PeerFailure if the other program cannot be reached; single failures are told at the end."""
    instances = list(_instances(arguments.paths))
    if not instances:
        raise BadRequest("There is nothing to send")
    options = replace(options_of(arguments), is_transcoding=not arguments.as_is)
    failures = _send_all(Shipping(_read, options), arguments, instances)
    if arguments.json:
        print_json({"Sent": len(instances) - len(failures), "Failed": failures})
        return 1 if failures else 0
    for name, reason in failures.items():
        sys.stderr.write(f"{name}: {reason}\n")
    say(f"{len(instances) - len(failures)} of {len(instances)} instances sent")
    return 1 if failures else 0


def _send_all(
    shipping: Shipping, arguments: argparse.Namespace, instances: Sequence[StoredInstance]
) -> dict[str, str]:
    """Send them; the names of the files that were not taken, and why."""
    failures: dict[str, str] = {}
    progress = Progress("sent")
    modality = modality_of(arguments)
    with Sender(shipping, modality) as sender:
        for number, shipped in enumerate(sender.ship(instances), 1):
            try:
                shipped.check(modality)
            except ArchiveError as error:
                if isinstance(error, PeerFailure) and not sender.has_served and not sender.is_open:
                    raise
                failures[shipped.instance.file.uuid] = str(error)
            progress.show(number, len(instances))
    progress.end()
    return failures


def _instances(paths: Sequence[Path]) -> Iterator[StoredInstance]:
    """What the files hold, one series after the other as far as their names go."""
    for path in paths:
        if path.is_dir():
            for file in sorted(each for each in path.rglob("*") if each.is_file()):
                try:
                    yield _describe(file)
                except (Corrupt, NoSopClassOrInstance):
                    continue
        else:
            yield _describe(path)


def _describe(path: Path) -> StoredInstance:
    """The instance in a file, whose name takes the place of that of an attachment."""
    try:
        found = describe(_map(path))
    except Corrupt as error:
        raise Corrupt(f"{path}: {error}") from error
    return replace(found, file=replace(found.file, uuid=str(path)))


def _read(instance: StoredInstance) -> Buffer:
    return _map(Path(instance.file.uuid))


def _map(path: Path) -> Buffer:
    with path.open("rb") as file:
        try:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except ValueError:  # Empty, which cannot be mapped.
            return b""
