"""Start-up after a crash: what was acknowledged is there again, what was torn is gone."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.data import get_testdata_files
from tests.ingest.builders import (
    DICOM,
    Bench,
    Clock,
    identifiers,
    instance_values,
    make_dataset,
    make_file,
    make_image,
    open_bench,
)

from hounsfield.dicom.levels import Level
from hounsfield.errors import ArchiveError
from hounsfield.index.changes import list_changes
from hounsfield.index.database import Row
from hounsfield.index.deletion import delete
from hounsfield.index.statistics import Totals, totals
from hounsfield.ingest.instance import Reception
from hounsfield.ingest.intake import Incoming, IngestOptions, Outcome, Overwrite
from hounsfield.ingest.note import Note, write_note
from hounsfield.ingest.receive import receive
from hounsfield.ingest.recovery import Recovered, recover
from hounsfield.retrieve.files import read_file
from hounsfield.store.area import FileKey
from hounsfield.store.note import FOOTER_SIZE, MAGIC

INSTANCE = identifiers().public_id(Level.INSTANCE)
ROWS = (
    "SELECT public_id, main_tags, main_sequences, sop_instance_uid, sop_class_uid, transfer_syntax_uid,"
    " index_in_series, pixel_data_offset, pixel_data_vr, reception_date, origin, remote_aet, called_aet, remote_ip,"
    " http_username, header IS NOT NULL FROM instances ORDER BY public_id",
    "SELECT public_id, main_tags, expected_instances, remote_aet, last_update, received_ns / 1000000000"
    " FROM series ORDER BY 1",
    "SELECT public_id, main_tags, patient_tags, last_update, received_ns / 1000000000 FROM studies ORDER BY 1",
    "SELECT public_id, main_tags, last_update, received_ns / 1000000000, unprotected_ns FROM patients ORDER BY 1",
    "SELECT type, uuid, size, stored_size, compression FROM attachments ORDER BY uuid",
    "SELECT type, level, public_id, date FROM changes ORDER BY seq",
    "SELECT patients, studies, series, instances, size, stored_size, last_change FROM totals",
)


def all_rows(bench: Bench) -> list[list[Row]]:
    with bench.database.read() as tx:
        return [tx.rows(sql) for sql in ROWS]


def counted(bench: Bench) -> Totals:
    with bench.database.read() as tx:
        return totals(tx)


def indexed_keys(bench: Bench) -> set[str]:
    with bench.database.read() as tx:
        return {row[0] for row in tx.rows("SELECT uuid FROM attachments")}


class Machine:
    """A server that can be killed, and start again with an index of our choice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.options = IngestOptions()
        self.clock = Clock()
        self.bench = open_bench(folder, self.options, clock=self.clock)

    def save_index(self, name: str) -> None:
        """Copy the index as it is now, as a power cut may bring it back."""
        self.bench.database.sync()
        for path in self.folder.glob("hounsfield.db*"):
            shutil.copy(path, self.folder / f"{name}{path.name}")

    def restart(self, index: str | None = "", options: IngestOptions | None = None) -> Recovered:
        """Kill, put back the index that was saved under a name (None: none at all), start."""
        self.bench.crash()
        if index != "":
            for path in self.folder.glob("hounsfield.db*"):
                path.unlink()
        if index:
            for path in self.folder.glob(f"{index}hounsfield.db*"):
                shutil.copy(path, self.folder / path.name.removeprefix(index))
        self.bench = open_bench(self.folder, options or self.options, clock=self.clock)
        return recover(self.bench.intake)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.bench.close()


def test_after_a_clean_end_there_is_nothing_to_do(machine: Machine) -> None:
    machine.bench.receive(make_file())
    machine.bench.settle()
    assert machine.restart() == Recovered(0, 0)
    assert read_file(machine.bench.archive, INSTANCE) == make_file()


def test_lost_rows_are_made_again_as_they_were(machine: Machine) -> None:
    machine.save_index("empty ")
    bench = machine.bench
    for patient, sop in (("B", "1"), ("A", "2"), ("A", "1"), ("C", "7")):
        machine.clock.advance(3)
        bench.receive(make_file(patient, sop=sop, extra={0x00200013: sop, 0x7FE00010: bytes(8)}), DICOM)
    before = all_rows(bench)
    assert machine.restart("empty ") == Recovered(4, 0)
    assert all_rows(machine.bench) == before
    machine.bench.settle()
    assert read_file(machine.bench.archive, identifiers("C", sop="7").public_id(Level.INSTANCE))


def test_rows_of_bare_data_sets_are_made_again_as_they_were(machine: Machine) -> None:
    machine.save_index("empty ")
    dataset = make_dataset(instance_values(extra={0x7FE00010: bytes(10)}))
    header = make_file(extra={0x7FE00010: bytes(10)})[: -len(dataset)]
    receive(machine.bench.intake, Incoming(DICOM, dataset, header, "1.2.840.10008.1.2.1"))
    before = all_rows(machine.bench)
    machine.restart("empty ")
    assert all_rows(machine.bench) == before


def test_without_any_index_the_files_with_notes_come_back_and_no_other_is_deleted(machine: Machine) -> None:
    machine.bench.receive(make_file(sop="1"))
    machine.bench.settle()
    machine.bench.receive(make_file(sop="2"))
    files = set(machine.bench.area.keys())
    assert machine.restart(None) == Recovered(1, 0)
    assert set(machine.bench.area.keys()) == files
    assert counted(machine.bench).instances == 1


def test_under_an_older_index_no_settled_file_is_deleted(machine: Machine) -> None:
    machine.bench.receive(make_file(sop="1"))
    machine.save_index("older ")
    machine.bench.receive(make_file(sop="2"))
    machine.bench.settle()
    machine.bench.receive(make_file(sop="3"))
    files = set(machine.bench.area.keys())
    assert machine.restart("older ") == Recovered(1, 0)
    assert set(machine.bench.area.keys()) == files
    for sop in "13":
        assert read_file(machine.bench.archive, identifiers(sop=sop).public_id(Level.INSTANCE))


def tear(machine: Machine, key: str, damage: Callable[[bytes], bytes]) -> None:
    path = machine.bench.area.path(FileKey(key))
    assert path is not None
    path.write_bytes(damage(path.read_bytes()))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:512] + bytes(512) + data[1024:],
        lambda data: data[:-16],
        lambda data: bytes(len(data)),
    ],
)
def test_torn_files_are_swept(machine: Machine, damage: Callable[[bytes], bytes]) -> None:
    machine.bench.receive(make_image(3000, sop="1"))
    machine.bench.settle()
    machine.save_index("before ")
    machine.bench.receive(make_image(3000, sop="2"))
    (key,) = (
        set(machine.bench.area.keys()) - {next(iter(machine.bench.area.keys()))}
        if False
        else _unsettled(machine)
    )
    tear(machine, key, damage)
    assert machine.restart("before ") == Recovered(0, 1)
    assert set(machine.bench.area.keys()) == indexed_keys(machine.bench)
    assert counted(machine.bench).instances == 1
    assert machine.bench.receive(make_image(3000, sop="2")).outcome is Outcome.SUCCESS


def _unsettled(machine: Machine) -> list[FileKey]:
    """The files that have a note."""
    found = []
    for key in list(machine.bench.area.keys()):
        path = machine.bench.area.path(key)
        if path is not None and path.read_bytes()[-FOOTER_SIZE:].startswith(MAGIC):
            found.append(key)
    return found


def test_notes_beside_durable_rows_are_dropped(machine: Machine) -> None:
    data = make_image(500)
    machine.bench.receive(data)
    assert machine.restart() == Recovered(0, 0)
    assert len(_unsettled(machine)) == 1
    machine.bench.settle()
    assert _unsettled(machine) == []
    assert read_file(machine.bench.archive, INSTANCE) == data


def test_files_whose_deletion_was_committed_are_deleted(machine: Machine) -> None:
    for sop in "12":
        machine.bench.receive(make_file(sop=sop))
    machine.bench.database.write(lambda tx: delete(tx, Level.INSTANCE, INSTANCE, "20260101T000000"))
    assert machine.restart() == Recovered(0, 1)
    machine.bench.settle()
    assert set(machine.bench.area.keys()) == indexed_keys(machine.bench)
    with machine.bench.database.read() as tx:
        assert tx.rows("SELECT * FROM deleted_files") == []


def test_settled_files_whose_deletion_was_committed_are_deleted(machine: Machine) -> None:
    machine.bench.receive(make_file())
    machine.bench.settle()
    machine.bench.database.write(lambda tx: delete(tx, Level.INSTANCE, INSTANCE, "20260101T000000"))
    machine.restart()
    machine.bench.settle()
    assert list(machine.bench.area.keys()) == []


@pytest.mark.parametrize("is_settled", [False, True])
def test_an_overwritten_instance_comes_back_as_the_last_one(machine: Machine, is_settled: bool) -> None:
    machine.options = replace(machine.options, overwrite=Overwrite.ALWAYS)
    machine.restart()
    machine.save_index("empty ")
    machine.bench.receive(make_file(extra={0x00100010: "FIRST"}))
    if is_settled:
        machine.bench.settle()
        machine.save_index("first ")
    machine.bench.receive(make_file(extra={0x00100010: "SECOND"}))
    machine.bench.receive(make_file(extra={0x00100010: "THIRD"}))
    machine.restart("first " if is_settled else "empty ")
    assert read_file(machine.bench.archive, INSTANCE) == make_file(extra={0x00100010: "THIRD"})
    machine.bench.settle()
    assert set(machine.bench.area.keys()) == indexed_keys(machine.bench)
    size = len(make_file(extra={0x00100010: "THIRD"}))
    assert counted(machine.bench) == Totals(1, 1, 1, 1, size, size)


def test_compressed_instances_come_back(machine: Machine) -> None:
    machine.options = replace(machine.options, is_compressed=True)
    machine.restart()
    machine.save_index("empty ")
    data = make_image(50_000)
    machine.bench.receive(data)
    before = all_rows(machine.bench)
    assert machine.restart("empty ") == Recovered(1, 0)
    assert all_rows(machine.bench) == before
    assert read_file(machine.bench.archive, INSTANCE) == data


def test_the_first_of_two_comes_back_when_nothing_is_overwritten(machine: Machine) -> None:
    machine.save_index("empty ")
    machine.bench.receive(make_file(extra={0x00100010: "FIRST"}))
    # A second file of the same instance, whose row lost against the first: its sender was at the same time.
    other = open_bench_beside(machine)
    other.receive(make_file(extra={0x00100010: "SECOND"}))
    other.database.close()
    machine.restart("empty ")
    assert read_file(machine.bench.archive, INSTANCE) == make_file(extra={0x00100010: "FIRST"})
    machine.bench.settle()
    assert set(machine.bench.area.keys()) == indexed_keys(machine.bench)


def open_bench_beside(machine: Machine) -> Bench:
    """Another index over the same files."""
    folder = machine.folder / "other"
    folder.mkdir()
    return open_bench(folder, machine.options, area=machine.bench.area, clock=machine.clock)


def test_recovering_twice_finds_nothing_more(machine: Machine) -> None:
    machine.save_index("empty ")
    for sop in "123":
        machine.bench.receive(make_file(sop=sop))
    assert machine.restart("empty ").rows == 3
    assert machine.restart() == Recovered(0, 0)
    assert machine.restart("empty ").rows == 3


def test_a_content_that_ends_like_a_note_survives_restarts(machine: Machine) -> None:
    """A file that was copied out of a storage area before it was settled, and is sent to us."""
    machine.bench.receive(make_image(100))
    (key,) = _unsettled(machine)
    path = machine.bench.area.path(FileKey(key))
    assert path is not None
    copied = path.read_bytes()
    machine.options = replace(machine.options, overwrite=Overwrite.ALWAYS)
    machine.restart()
    machine.bench.receive(copied)
    for _ in range(3):
        machine.bench.settle()
        machine.restart()
        assert read_file(machine.bench.archive, INSTANCE) == copied


def test_a_note_that_is_not_ours_stops_nothing(machine: Machine) -> None:
    machine.save_index("empty ")
    for note in (b"", b"{}", b"\xff", b'{"size": 1}', b"[]", b"null"):
        machine.bench.area.create([make_file()], note)
    machine.bench.area.create([b"not dicom"], b"note")
    machine.bench.receive(make_file(sop="5"))
    files = set(machine.bench.area.keys())
    assert machine.restart("empty ") == Recovered(1, 0)
    assert set(machine.bench.area.keys()) == files


def test_a_file_that_cannot_be_indexed_again_is_left(machine: Machine) -> None:
    machine.save_index("empty ")
    for compression in (1, 2):
        note = write_note(Note(9, compression, False, Reception(DICOM, "20260101T000000", 1)))
        machine.bench.area.create([b"not dicom"], note)
    assert machine.restart("empty ") == Recovered(0, 0)
    assert len(list(machine.bench.area.keys())) == 2


def test_changes_go_on_after_what_was_recovered(machine: Machine) -> None:
    machine.save_index("empty ")
    machine.bench.receive(make_file(sop="1"))
    machine.restart("empty ")
    machine.bench.receive(make_file(sop="2"))
    with machine.bench.database.read() as tx:
        assert [change.seq for change in list_changes(tx).changes] == [1, 2, 3, 4, 5]


def test_real_files_come_back_with_the_rows_they_had(machine: Machine) -> None:
    machine.save_index("empty ")
    stored = {}
    for path in sorted(map(Path, get_testdata_files("**/*"))):
        if path.is_file() and path.stat().st_size < 1 << 20:
            try:
                receipt = machine.bench.receive(path.read_bytes(), DICOM)
            except ArchiveError:
                continue
            if receipt.outcome is Outcome.SUCCESS:
                stored[receipt.identifiers.public_id(Level.INSTANCE)] = path.read_bytes()
    assert len(stored) > 30
    before = all_rows(machine.bench)
    assert machine.restart("empty ") == Recovered(len(stored), 0)
    assert all_rows(machine.bench) == before
    machine.bench.settle()
    for public_id, data in stored.items():
        assert read_file(machine.bench.archive, public_id) == data
