"""`hounsfield diff`, run as users run it."""

import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian
from tests.conformance.peers import make_file

_UIDS = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.1"}


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hounsfield", "diff", *map(str, arguments)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False, env=environment
    )


def _json(*arguments: object) -> tuple[int, Any]:
    result = _run(*arguments, "--json")
    return result.returncode, json.loads(result.stdout)


def _file(folder: Path, name: str, number: int = 1, **attributes: Any) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(make_file(**_UIDS, SOPInstanceUID=f"1.1.1.{number}", **attributes))
    return path


def _saved(dataset: pydicom.FileDataset, path: Path, **options: Any) -> Path:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True, **options)
    path.write_bytes(buffer.getvalue())
    return path


def _real(name: str) -> Path:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    return Path(path)


def test_equal_files_are_the_same(tmp_path: Path) -> None:
    one, other = _file(tmp_path, "a"), _file(tmp_path, "b")
    result = _run(one, other)
    assert (result.returncode, result.stdout) == (0, "1 compared, 0 different\n")


def test_attributes_are_told_by_path_tag_and_name(tmp_path: Path) -> None:
    item, changed = Dataset(), Dataset()
    item.Modality, changed.Modality = "CT", "MR"
    one = _file(tmp_path, "a", PatientID="A", ReferencedSeriesSequence=[item], Rows=4)
    other = _file(tmp_path, "b", PatientID="B", ReferencedSeriesSequence=[changed, item], StudyID="7")
    code, told = _json(one, other)
    (pair,) = told["Different"]
    found = {each["Path"]: (each["Tag"], each["First"], each["Second"]) for each in pair["Attributes"]}
    assert code == 1
    assert found == {
        "PatientID": ("0010,0020", "A", "B"),
        "ReferencedSeriesSequence": ("0008,1115", "1 items", "2 items"),
        "ReferencedSeriesSequence[1].Modality": ("0008,0060", "CT", "MR"),
        "StudyID": ("0020,0010", None, "7"),
    }
    assert pair["Pixels"]["Same"] is True
    text = _run(one, other).stdout
    assert "(0010,0020) PatientID\n  - A\n  + B\n" in text
    assert "1 compared, 1 different" in text


@pytest.mark.parametrize(
    "arguments", [["PatientID", "StudyID"], ["0010,0020", "0020,0010"], ["0010", "0020"]], ids=str
)
def test_attributes_and_groups_can_be_ignored(tmp_path: Path, arguments: list[str]) -> None:
    one = _file(tmp_path, "a", PatientID="A")
    other = _file(tmp_path, "b", PatientID="B", StudyID="7")
    ignored = [each for name in arguments for each in ("--ignore", name)]
    assert _run(one, other, *ignored).returncode == 0
    assert _run(one, other, *ignored[:2]).returncode == 1
    assert _run(one, other, "--ignore", "NoSuchName").returncode == 2


def test_how_values_are_written_makes_no_difference(tmp_path: Path) -> None:
    source = dcmread(_real("MR_small.dcm"))
    plain = _saved(source, tmp_path / "plain")
    source.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    other = _saved(source, tmp_path / "other")
    code, told = _json(plain, other)
    assert [each["Path"] for each in told["Different"][0]["Attributes"]] == ["TransferSyntaxUID"]
    assert told["Different"][0]["Pixels"]["Same"] is True
    assert code == 1
    assert _run(plain, other, "--ignore", "0002").returncode == 0
    big = _real("MR_small_bigendian.dcm")
    assert dcmread(big).file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    compared = _json(_real("MR_small.dcm"), big, "--ignore", "0002")[1]
    assert all(not pair["Attributes"] for pair in compared["Different"]), compared
    assert _run(_real("MR_small.dcm"), _real("MR_small_RLE.dcm"), "--ignore", "0002").returncode == 0


def test_private_attributes_are_matched_by_their_creator(tmp_path: Path) -> None:
    def with_private(name: str, block: int, value: str) -> Path:
        dataset = dcmread(BytesIO(_file(tmp_path, name).read_bytes()))
        dataset.add_new((0x0011, block), "LO", "ACME")
        dataset.add_new((0x0011, block * 256 + 1), "LO", value)
        return _saved(dataset, tmp_path / name)

    one, moved, changed = (
        with_private("a", 0x10, "x"),
        with_private("b", 0x22, "x"),
        with_private("c", 0x10, "y"),
    )
    assert _run(one, moved).returncode == 0
    assert _run(one, changed).returncode == 1
    assert _run(one, changed, "--ignore-private").returncode == 0


def test_pixels_are_summed_up(tmp_path: Path) -> None:
    source = dcmread(_real("CT_small.dcm"))
    one = _saved(source, tmp_path / "one")
    pixels = bytearray(source.PixelData)
    pixels[0] ^= 4
    source.PixelData = bytes(pixels)
    other = _saved(source, tmp_path / "other")
    code, told = _json(one, other)
    found = told["Different"][0]["Pixels"]
    assert (code, found["DifferingFrames"], found["DifferingValues"], found["ComparedValues"]) == (
        1,
        1,
        1,
        16384,
    )
    assert found["GreatestDifference"] == 4
    assert told["Different"][0]["Attributes"] == []
    assert "1 frames, 1 different; 1 of 16384 values, by 4 at most" in _run(one, other).stdout
    assert _run(one, other, "--ignore-pixels").returncode == 0


def test_folders_are_matched_by_sop_instance_uid(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        _file(tmp_path / "left", f"{number}.dcm", number)
    for number in (2, 3, 4):
        _file(tmp_path / "right", f"other{number}", number, StudyID="x" if number == 3 else "")
    _file(tmp_path / "right", "again", 4)
    (tmp_path / "right" / "notes.txt").write_text("no DICOM")
    code, told = _json(tmp_path / "left", tmp_path / "right", "--ignore", "AccessionNumber")
    assert code == 1
    assert (list(told["OnlyInFirst"]), list(told["OnlyInSecond"])) == (["1.1.1.1"], ["1.1.1.4"])
    assert told["Compared"] == 2
    assert len(told["Doubles"]) == 1
    assert [pair["SOPInstanceUID"] for pair in told["Different"]] == ["1.1.1.2", "1.1.1.3"]


def test_what_cannot_be_compared_is_trouble(tmp_path: Path) -> None:
    one = _file(tmp_path, "a")
    (tmp_path / "text").write_text("this is no DICOM file at all")
    (tmp_path / "cut").write_bytes(one.read_bytes()[:-10])
    for other in ("text", "cut", "missing"):
        result = _run(one, tmp_path / other)
        assert result.returncode == 2, other
        assert result.stderr.startswith("hounsfield diff: ")
