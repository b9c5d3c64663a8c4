"""Verifying an archive: each kind of damage is found, where it is, and nothing else."""

import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from tests.databases import BACKENDS
from tests.ingest.builders import Bench, make_file, make_image, open_bench

from hounsfield import cli
from hounsfield.dicom.levels import Level
from hounsfield.index.database import Transaction
from hounsfield.index.deletion import delete
from hounsfield.index.resources import list_ids
from hounsfield.ingest.intake import IngestOptions
from hounsfield.store.area import FileKey
from hounsfield.store.files import FolderFiles
from hounsfield.store.filesystem import FilesystemArea
from hounsfield.upkeep.findings import Damage, Finding, Progress
from hounsfield.upkeep.verify import verify


@dataclass(slots=True)
class Archive:
    """An archive, and what its files are."""

    bench: Bench
    root: Path

    def keys(self) -> list[FileKey]:
        return sorted(self.bench.area.keys())

    def path(self, number: int) -> Path:
        path = self.bench.area.path(self.keys()[number])
        assert path is not None
        return path

    def run(self, sql: str, *parameters: object) -> None:
        self.bench.database.write(lambda tx: tx.run(sql, *parameters))

    def damages(self, **options: bool) -> list[Finding]:
        found = verify(self.bench.database, FolderFiles(self.root), **options)
        return [each for each in found if isinstance(each, Finding)]


@pytest.fixture(params=sorted(BACKENDS))
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    root = tmp_path / "files"
    area = FilesystemArea(root, sync=False, batch=8)
    bench = open_bench(tmp_path, area=area, database=BACKENDS[request.param](tmp_path)())
    for number in range(24):
        bench.receive(make_file(patient=f"P{number % 3}", study=str(number % 6), sop=str(number)))
    bench.receive(make_image(30_000, sop="large"))
    bench.settle()
    yield Archive(bench, root)
    bench.close()


def test_a_sound_archive_has_no_damage(archive: Archive) -> None:
    assert archive.damages() == []
    last = [
        each
        for each in verify(archive.bench.database, FolderFiles(archive.root))
        if isinstance(each, Progress)
    ]
    assert last[-1].rows == 25
    assert last[-1].bytes_read == last[-1].total_bytes


def test_files_that_are_not_settled_yet_are_sound(archive: Archive) -> None:
    archive.bench.receive(make_image(1000, sop="new"))
    assert archive.damages() == []


def test_compressed_files_are_sound(archive: Archive) -> None:
    archive.bench.with_options(IngestOptions(is_compressed=True)).receive(make_image(5000, sop="compressed"))
    archive.bench.settle()
    assert archive.damages() == []


def test_files_that_wait_to_be_deleted_are_no_damage(archive: Archive) -> None:
    with archive.bench.database.read() as tx:
        first, *_ = list_ids(tx, Level.PATIENT)
    archive.bench.database.write(lambda tx: delete(tx, Level.PATIENT, first, "20260101T000000"))
    assert archive.damages() == []


def test_each_of_twenty_damages_is_found(archive: Archive) -> None:
    source = random.Random(5)
    keys = archive.keys()
    wanted: set[tuple[Damage, str]] = set()
    for number in range(4):
        archive.path(0).unlink()
        wanted.add((Damage.MISSING_FILE, keys[number]))
    for number in range(4, 8):
        path = archive.root / keys[number][:2] / keys[number][2:4] / keys[number]
        os.truncate(path, path.stat().st_size - 1 - number)
        wanted.add((Damage.WRONG_SIZE, keys[number]))
    for number in range(8, 12):
        path = archive.root / keys[number][:2] / keys[number][2:4] / keys[number]
        data = bytearray(path.read_bytes())
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)
        path.write_bytes(data)
        wanted.add((Damage.ALTERED_FILE, keys[number]))
    for number in range(4):
        orphan = f"{number:04x}0000-0000-4000-8000-000000000000"
        (archive.root / orphan[:2] / orphan[2:4]).mkdir(parents=True, exist_ok=True)
        (archive.root / orphan[:2] / orphan[2:4] / orphan).write_bytes(make_file(sop=f"orphan {number}"))
        wanted.add((Damage.ORPHANED_FILE, orphan))
    for number in range(12, 14):
        archive.run(
            "INSERT INTO attachments (level, resource, type, uuid, size, stored_size, compression, revision)"
            " SELECT level, resource, ?, uuid, size, stored_size, compression, revision FROM attachments"
            " WHERE uuid = ?",
            2000 + number,
            keys[number],
        )
        wanted.add((Damage.DOUBLED_ROW, keys[number]))
    missing = ["ffff0000-0000-4000-8000-000000000000", "80000000-0000-4000-8000-000000000000"]
    for number, uuid in enumerate(missing):
        archive.run(
            "INSERT INTO attachments (level, resource, type, uuid, size, stored_size, compression, revision)"
            " VALUES (3, ?, 1, ?, 10, 10, 1, 0)",
            100_000 + number,
            uuid,
        )
        wanted |= {
            (Damage.MISSING_FILE, uuid),
            (Damage.DANGLING_ROW, f"attachments of instance row {100_000 + number}"),
        }
    found = archive.damages()
    assert len(wanted) == 22
    assert {(each.damage, each.where) for each in found if each.damage is not Damage.WRONG_TOTALS} == wanted
    assert sum(each.damage is Damage.WRONG_TOTALS for each in found) == 1
    quick = {(each.damage, each.where) for each in archive.damages(reads_content=False)}
    assert wanted - quick == {each for each in wanted if each[0] is Damage.ALTERED_FILE}


@pytest.mark.parametrize(
    ("sql", "damage"),
    [
        ("DELETE FROM attachments WHERE resource = (SELECT MIN(id) FROM instances)", Damage.EMPTY_RESOURCE),
        ("UPDATE totals SET instances = instances + 1", Damage.WRONG_TOTALS),
        ("INSERT INTO labels (level, resource, label) VALUES (1, 99999, 'x')", Damage.DANGLING_ROW),
    ],
)
def test_rows_that_contradict_each_other_are_found(archive: Archive, sql: str, damage: Damage) -> None:
    archive.run(sql)
    assert damage in {each.damage for each in archive.damages()}


def test_nothing_is_told_while_instances_come_and_go(archive: Archive) -> None:
    found = []
    with archive.bench.database.read() as tx:
        gone = list_ids(tx, Level.INSTANCE)
    steps = verify(archive.bench.database, FolderFiles(archive.root))
    for number, step in enumerate(steps):
        found.append(step)
        if number < len(gone):
            archive.bench.receive(make_file(sop=f"late {number}"))
    work: Callable[[Transaction], object] = partial(
        delete, level=Level.INSTANCE, public_id=gone[0], date="2026"
    )
    archive.bench.database.write(work)
    assert [each for each in found if isinstance(each, Finding)] == []


def test_the_command_tells_and_leaves_with_a_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = open_bench(tmp_path / "files")
    for number in range(3):
        bench.receive(make_file(sop=str(number)))
    bench.settle()
    (first, *_) = bench.area.keys()
    configuration = tmp_path / "hounsfield.json"
    configuration.write_text(json.dumps({"StorageDirectory": "files"}))
    assert cli.main(["verify", str(configuration)]) == 0  # While a server has the index.
    assert capsys.readouterr().out == "3 files, all sound\n"
    bench.close()
    path = FolderFiles(tmp_path / "files").path(first)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert cli.main(["verify", "--json", "--grace=0", str(configuration)]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["Sound"] is False
    assert [(each["Damage"], each["Where"]) for each in told["Damages"]] == [("altered file", first)]
    assert cli.main(["verify", "--quick", str(configuration)]) == 0
    assert cli.main(["verify", str(tmp_path / "none.json")]) == 255
    assert cli.main(["verify", "--colour", str(configuration)]) == 255
