"""Making the index again from the files alone."""

import json
from pathlib import Path

import pytest
from tests.databases import BACKENDS
from tests.ingest.builders import DICOM, Bench, make_file, make_image, open_bench

from hounsfield import cli
from hounsfield.dicom.levels import Level
from hounsfield.index.resources import Part, list_ids, load
from hounsfield.index.statistics import totals
from hounsfield.ingest.intake import Incoming, IngestOptions, Overwrite
from hounsfield.ingest.receive import receive
from hounsfield.retrieve.files import find_dicom
from hounsfield.store.area import FileKey
from hounsfield.store.files import FolderFiles
from hounsfield.store.filesystem import FilesystemArea
from hounsfield.upkeep.findings import Finding
from hounsfield.upkeep.rebuild import Rebuilt, rebuild
from hounsfield.upkeep.verify import verify

PARTS = (Part.CHILDREN, Part.ATTACHMENTS)


def fill(folder: Path) -> None:
    bench = open_bench(folder)
    for number in range(30):
        bench.receive(make_file(patient=f"P{number % 2}", study=str(number % 4), sop=str(number)), DICOM)
    bench.receive(make_image(100_000, sop="large"))
    bench.with_options(IngestOptions(is_compressed=True)).receive(make_image(5000, sop="compressed"))
    bench.settle()
    bench.receive(make_file(sop="with a note"), DICOM)
    bench.crash()


def shape(bench: Bench) -> object:
    with bench.database.read() as tx:
        resources = [
            (
                found.public_id,
                found.parent,
                found.main_tags,
                found.children,
                [a.uuid for a in found.attachments],
            )
            for level in Level
            for found in load(tx, level, list_ids(tx, level), PARTS)
        ]
        return resources, totals(tx)


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_a_lost_index_is_made_again(tmp_path: Path, backend: str) -> None:
    folder = tmp_path / "files"
    fill(folder)
    old = open_bench(folder)
    wanted = shape(old)
    old.crash()
    for path in folder.glob("hounsfield.db*"):
        path.unlink()
    bench = open_bench(
        folder, area=FilesystemArea(folder, sync=False), database=BACKENDS[backend](tmp_path)()
    )
    last = list(rebuild(bench.intake, FolderFiles(folder)))[-1]
    assert last == Rebuilt(files=33, known=0, indexed=33, doubled=0, left=0)
    assert shape(bench) == wanted
    assert [each for each in verify(bench.database, FolderFiles(folder)) if isinstance(each, Finding)] == []
    assert list(rebuild(bench.intake, FolderFiles(folder)))[-1] == Rebuilt(33, 33, 0, 0, 0)
    bench.close()


def test_a_note_tells_who_sent_an_instance(tmp_path: Path) -> None:
    bench = open_bench(tmp_path)
    bench.receive(make_file(), DICOM)
    bench.crash()
    for path in tmp_path.glob("hounsfield.db*"):
        path.unlink()
    again = open_bench(tmp_path)
    list(rebuild(again.intake, FolderFiles(tmp_path)))
    with again.database.read() as tx:
        (found,) = load(tx, Level.INSTANCE, list_ids(tx, Level.INSTANCE))
    assert "SCANNER" in found.metadata.values()
    again.close()


def test_what_was_to_take_the_place_of_others_does_so_only_where_they_are_gone(tmp_path: Path) -> None:
    bench = open_bench(tmp_path).with_options(IngestOptions(overwrite=Overwrite.ALWAYS))
    public_ids = [bench.receive(make_file(sop=str(sop)), DICOM).identifiers.public_ids() for sop in range(40)]
    originals = [find_dicom(bench.archive, each[Level.INSTANCE]).uuid for each in public_ids]
    bench.settle()
    for sop, (ids, original) in enumerate(zip(public_ids, originals, strict=True)):
        incoming = Incoming(DICOM, make_file(sop=str(sop)), original=ids[Level.INSTANCE], replaced=original)
        assert receive(bench.intake, incoming).staged is not None
    bench.crash()
    for path in tmp_path.glob("hounsfield.db*"):
        path.unlink()
    FolderFiles(tmp_path).path(FileKey(originals[7])).unlink()
    again = open_bench(tmp_path)
    last = list(rebuild(again.intake, FolderFiles(tmp_path)))[-1]
    assert last == Rebuilt(files=79, known=0, indexed=40, doubled=39, left=0)
    found = [find_dicom(again.archive, each[Level.INSTANCE]).uuid for each in public_ids]
    assert [number for number in range(40) if found[number] != originals[number]] == [7]
    again.close()


def test_what_cannot_be_indexed_is_left_and_what_is_doubled_is_kept_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "files"
    bench = open_bench(folder)
    bench.receive(make_file(sop="1"))
    bench.close()
    for number, data in enumerate(
        (b"no DICOM at all", make_file(sop="1"), make_image(5000)[:-10], make_file(sop="2"))
    ):
        name = f"{number:04x}0000-0000-4000-8000-000000000000"
        (folder / name[:2] / name[2:4]).mkdir(parents=True, exist_ok=True)
        (folder / name[:2] / name[2:4] / name).write_bytes(data)
    configuration = tmp_path / "hounsfield.json"
    configuration.write_text(json.dumps({"StorageDirectory": "files"}))
    assert cli.main(["rebuild", "--json", str(configuration)]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "Files": 5,
        "Known": 1,
        "Indexed": 1,
        "Doubled": 1,
        "Left": 2,
    }
    assert len(list(FolderFiles(folder).keys())) == 5
    assert cli.main(["rebuild", str(configuration)]) == 1
    assert "0 indexed, 2 were known" in capsys.readouterr().out
