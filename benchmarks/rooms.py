"""Measure the rooms of Hounsfield alone, without sockets: `python benchmarks/rooms.py [--slices 200] [--repeat 5]`."""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.slices import CT_IMAGE_STORAGE, IN_A_STUDY, Slice, make_slices

from hounsfield.archive import Archive
from hounsfield.dicom.identifiers import identify
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import DEFAULT_MAIN_TAGS, extract
from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.tags import PATIENT_ID
from hounsfield.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from hounsfield.events import EventBus
from hounsfield.index.find import find
from hounsfield.index.insertion import find_main_tags_version
from hounsfield.index.query import Constraint, Match, Query
from hounsfield.index.resources import ALL_PARTS, load
from hounsfield.index.sqlite import SqliteDatabase
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.intake import Incoming, IngestOptions, Intake, Outcome
from hounsfield.ingest.receive import receive
from hounsfield.ingest.settling import Settling
from hounsfield.net.buffers import BufferBudget, BufferOptions, DataSetBuffer
from hounsfield.net.dimse import DATA_SET_FOLLOWS, CommandField, encode_command
from hounsfield.net.indications import AssociateIndicated, LastFragmentReceived
from hounsfield.net.items import UserInformation
from hounsfield.net.pdu import (
    AnsweredContext,
    AssociateAccept,
    AssociateRequest,
    ContextResult,
    ProposedContext,
    encode,
    fragment,
)
from hounsfield.net.reassembly import Reassembler
from hounsfield.net.upper_layer import PduLimits, UpperLayer
from hounsfield.retrieve.frames import preview_png
from hounsfield.store.filesystem import FilesystemArea

T = TypeVar("T")
THREADS = 8
PDU_LENGTHS = (16384, 131072)
_CONTEXT_ID = 1
_MAXIMUM_COMMAND_LENGTH = 65536
_ORIGIN = Origin(OriginKind.DICOM_PROTOCOL, "BENCHMARK", "ORTHANC", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: how long one thing took, one value a round."""

    name: str
    seconds: Sequence[float]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure the rooms of Hounsfield, without sockets.")
    parser.add_argument("--slices", type=int, default=200, help="how many, kept in memory (default: 200)")
    parser.add_argument("--repeat", type=int, default=5, help="rounds, whose median is printed (default: 5)")
    parser.add_argument("--folder", type=Path, help="where the archives are put: choose the disk")
    arguments = parser.parse_args()
    slices = list(make_slices(arguments.slices))
    with tempfile.TemporaryDirectory(prefix="hounsfield-benchmark-", dir=arguments.folder) as name:
        rows = [*_heads(slices, arguments.repeat), *_messages(slices, arguments.repeat)]
        rows += _receptions(slices, Path(name), arguments.repeat)
        rows += _answers(slices, Path(name), arguments.repeat)
    print(
        f"{len(slices)} slices, medians of {arguments.repeat} rounds; Python {platform.python_version()}.\n"
    )
    print("| what | µs each | a second | slowest round, µs |\n| --- | ---: | ---: | ---: |")
    for row in rows:
        middle = statistics.median(row.seconds)
        print(f"| {row.name} | {middle * 1e6:,.0f} | {1 / middle:,.0f} | {max(row.seconds) * 1e6:,.0f} |")


def _timed(name: str, repeat: int, things: Sequence[T], work: Callable[[T], object]) -> Row:
    """How long `work` takes for a thing, on average of each round."""
    seconds = []
    for _ in range(repeat):
        began = time.perf_counter()
        for thing in things:
            work(thing)
        seconds.append((time.perf_counter() - began) / len(things))
    return Row(name, seconds)


def _heads(slices: Sequence[Slice], repeat: int) -> Iterator[Row]:
    files = [each.file for each in slices]
    yield _timed("read_head", repeat, files, read_head)
    yield _timed("read_head, identify, main tags of all levels", repeat, files, _understand)


def _understand(file: bytes) -> None:
    dataset = read_head(file).dataset
    identify(dataset).public_ids()
    for level in Level:
        extract(dataset, level)


def _messages(slices: Sequence[Slice], repeat: int) -> Iterator[Row]:
    for length in PDU_LENGTHS:
        wires = [_wire(each, length) for each in slices]
        side = _Acceptor()
        yield _timed(f"C-STORE message in PDUs of {length} bytes", repeat, wires, side.take)


def _wire(made: Slice, pdu_length: int) -> bytes:
    """A C-STORE request as it comes over the network."""
    command = encode_command(
        {
            "AffectedSOPClassUID": CT_IMAGE_STORAGE,
            "CommandField": CommandField.C_STORE_RQ,
            "MessageID": 1,
            "Priority": 0,
            "CommandDataSetType": DATA_SET_FOLLOWS,
            "AffectedSOPInstanceUID": made.identifiers.sop_instance_uid,
        }
    )
    parts = [
        part
        for payload, is_command in ((command, True), (made.dataset, False))
        for pdu in fragment(_CONTEXT_ID, payload, is_command=is_command, maximum_length=pdu_length)
        for part in pdu
    ]
    return b"".join(parts)


class _Acceptor:
    """The acceptor of an association, fed from memory as it is by `recvmsg_into` from a socket."""

    def __init__(self) -> None:
        options = BufferOptions()
        self._sink = Reassembler(
            DataSetBuffer(options, BufferBudget(options.maximum), None), _MAXIMUM_COMMAND_LENGTH
        )
        self._layer = UpperLayer(self._sink, PduLimits(), is_requester=False)
        proposed = ProposedContext(_CONTEXT_ID, CT_IMAGE_STORAGE, (EXPLICIT_VR_LITTLE_ENDIAN,))
        request = AssociateRequest("ORTHANC", "BENCHMARK", (proposed,), UserInformation())
        for event in self._layer.receive(encode(request)):
            if isinstance(event, AssociateIndicated):
                answered = AnsweredContext(_CONTEXT_ID, ContextResult.ACCEPTED, EXPLICIT_VR_LITTLE_ENDIAN)
                self._layer.send(AssociateAccept("ORTHANC", "BENCHMARK", (answered,), UserInformation()))

    def take(self, wire: bytes) -> None:
        """Receive one message."""
        rest = memoryview(wire)
        while True:
            match self._layer.next_event():
                case None:
                    rest = self._feed(rest)
                case LastFragmentReceived(_, True):
                    self._sink.take_command()
                    self._sink.start_data_set(bytes)
                case LastFragmentReceived(_, False):
                    self._sink.take_data_set()
                    return
                case event:
                    raise RuntimeError(f"{type(event).__name__} came instead of a message")

    def _feed(self, rest: memoryview) -> memoryview:
        if not rest:
            raise RuntimeError("The message ended too early")
        count = 0
        for buffer in self._layer.wanted():
            here = min(len(buffer), len(rest) - count)
            buffer[:here] = rest[count : count + here]
            count += here
        self._layer.filled(count)
        return rest[count:]


@contextmanager
def _intake(folder: Path, *, sync: bool) -> Iterator[Intake]:
    """An empty archive, settled as in the server."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        database = SqliteDatabase(Path(name) / "hounsfield.db")
        area = FilesystemArea(Path(name), sync=sync)
        archive = Archive(database, area, EventBus())
        patient, study, series, instance = (DEFAULT_MAIN_TAGS.signature(level) for level in Level)
        signatures = (patient, study, series, instance)
        version = database.write(lambda tx: find_main_tags_version(tx, signatures))
        settling = Settling(archive)
        settling.start()
        try:
            yield Intake(archive, IngestOptions(), version, settling)
        finally:
            settling.stop()
            area.close()
            database.close()


def _receptions(slices: Sequence[Slice], folder: Path, repeat: int) -> Iterator[Row]:
    for sync in (True, False):
        for threads in (1, THREADS):
            by = "1 thread" if threads == 1 else f"{threads} threads"
            name = f"ingest.receive, {'synced' if sync else 'not synced'}, {by}"
            yield Row(name, [_reception(slices, folder, threads, sync=sync) for _ in range(repeat)])


def _reception(slices: Sequence[Slice], folder: Path, threads: int, *, sync: bool) -> float:
    """Seconds an instance, all of them into an empty archive."""
    with _intake(folder, sync=sync) as intake, ThreadPoolExecutor(threads) as pool:
        os.sync()
        began = time.perf_counter()
        list(pool.map(lambda made: _receive(intake, made), slices))
        return (time.perf_counter() - began) / len(slices)


def _receive(intake: Intake, made: Slice) -> None:
    content = memoryview(made.dataset)
    receipt = receive(intake, Incoming(_ORIGIN, content, made.header, EXPLICIT_VR_LITTLE_ENDIAN))
    if receipt.outcome is not Outcome.SUCCESS:
        raise RuntimeError(f"An instance was not stored: {receipt.outcome.value}")


def _answers(slices: Sequence[Slice], folder: Path, repeat: int) -> Iterator[Row]:
    """What is asked of an archive that has the slices."""
    ids = [made.public_id for made in slices]
    patients = [made.identifiers.patient_id for made in slices[::IN_A_STUDY]] * IN_A_STUDY
    with _intake(folder, sync=False) as intake:
        for made in slices:
            _receive(intake, made)
        archive = intake.archive

        def expand(public_id: str) -> None:
            with archive.database.read() as tx:
                load(tx, Level.INSTANCE, [public_id], ALL_PARTS)

        def find_studies(patient_id: str) -> None:
            constraint = Constraint(PATIENT_ID, Match.EXACT, (patient_id,))
            with archive.database.read() as tx:
                find(tx, Query(Level.STUDY, (constraint,)))

        yield _timed("load an instance with all that the index knows", repeat, ids, expand)
        yield _timed("find a study by PatientID", repeat, patients, find_studies)
        yield _timed("preview as PNG, 512 x 512", repeat, ids[:50], lambda id_: preview_png(archive, id_))


if __name__ == "__main__":
    main()
