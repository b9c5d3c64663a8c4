"""DICOMDIR: read by pydicom, DCMTK and dicom3tools, and compared with what DCMTK writes."""

import io
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_charset_files, get_testdata_file
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet

from hounsfield.dicom.part10 import read_head
from hounsfield.errors import Corrupt
from hounsfield.retrieve.dicomdir import read_record, write_dicomdir

_NOW = datetime(2026, 11, 20, 10, 26, 36, tzinfo=UTC)
_FILES = (
    "CT_small.dcm",
    "MR_small.dcm",
    "JPEG2000.dcm",
    "rtplan.dcm",
    "rtdose.dcm",
    "reportsi.dcm",
    "waveform_ecg.dcm",
    "chrH31.dcm",
    "chrFrenMulti.dcm",
)


def bytes_of(name: str) -> bytes:
    path = get_charset_files(name)[0] if name.startswith("chr") else get_testdata_file(name)
    assert isinstance(path, str), name
    return Path(path).read_bytes()


def directory(files: list[bytes], *, is_extended: bool = False) -> bytes:
    return write_dicomdir(
        (f"IMAGES/IM{number}", read_record(read_head(file), is_extended=is_extended, now=_NOW))
        for number, file in enumerate(files)
    )


def written(folder: Path, files: list[bytes]) -> Path:
    """A whole medium."""
    (folder / "IMAGES").mkdir(parents=True)
    for number, file in enumerate(files):
        (folder / "IMAGES" / f"IM{number}").write_bytes(file)
    (folder / "DICOMDIR").write_bytes(directory(files))
    return folder / "DICOMDIR"


def changed(file: bytes, **attributes: object) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(file), force=True)
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    target = io.BytesIO()
    dataset.save_as(target)
    return target.getvalue()


def records(data: bytes) -> list[Dataset]:
    return list(pydicom.dcmread(io.BytesIO(data)).DirectoryRecordSequence)


def test_pydicom_finds_every_instance(tmp_path: Path) -> None:
    files = [bytes_of(name) for name in _FILES]
    fileset = FileSet(written(tmp_path, files))
    assert len(fileset) == len(files)
    for instance in fileset:
        assert Path(instance.path).read_bytes() in files
        assert instance.load().SOPInstanceUID == instance.SOPInstanceUID
    fileset._stage["t"].cleanup()  # Which pydicom leaves to the garbage collector.


def test_links_lead_from_record_to_record() -> None:
    data = directory([bytes_of(name) for name in _FILES])
    opened = pydicom.dcmread(io.BytesIO(data))
    by_offset = {item.seq_item_tell: item for item in opened.DirectoryRecordSequence}
    reached: list[str] = []

    def follow(offset: int) -> None:
        while offset:
            record = by_offset.pop(offset)
            reached.append(record.DirectoryRecordType)
            follow(record.OffsetOfReferencedLowerLevelDirectoryEntity)
            offset = record.OffsetOfTheNextDirectoryRecord

    follow(opened.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity)
    assert by_offset == {}
    assert reached.count("PATIENT") == len(set(_FILES))
    assert {"IMAGE", "RT PLAN", "RT DOSE", "SR DOCUMENT", "WAVEFORM"} < set(reached)


def test_instances_of_a_series_share_its_records() -> None:
    file = bytes_of("CT_small.dcm")
    files = [changed(file, SOPInstanceUID=f"1.2.{n}", InstanceNumber=n) for n in range(3)]
    kinds = [record.DirectoryRecordType for record in records(directory(files))]
    assert kinds == ["PATIENT", "STUDY", "SERIES", "IMAGE", "IMAGE", "IMAGE"]


def test_names_keep_their_characters() -> None:
    data = directory([bytes_of("chrH31.dcm"), bytes_of("chrFrenMulti.dcm")])
    names = [str(r.PatientName) for r in records(data) if r.DirectoryRecordType == "PATIENT"]
    originals = [
        str(pydicom.dcmread(io.BytesIO(bytes_of(name))).PatientName)
        for name in ("chrH31.dcm", "chrFrenMulti.dcm")
    ]
    assert names == originals


def test_text_whose_character_set_nobody_names_is_written_in_utf_8() -> None:
    file = bytes_of("CT_small.dcm").replace(b"CompressedSamples^CT1", b"Compress\xe9dSamples^CT1", 1)
    dataset = pydicom.dcmread(io.BytesIO(file))
    del dataset.SpecificCharacterSet
    target = io.BytesIO()
    dataset.save_as(target)
    patient = records(directory([target.getvalue()]))[0]
    assert str(patient.PatientName) == "Compress\xe9dSamples^CT1"


@pytest.mark.dcmtk
def test_dcmtk_understands_several_character_sets(tmp_path: Path) -> None:
    if shutil.which("dcm2xml") is None:
        pytest.skip("needs DCMTK")
    path = written(
        tmp_path, [bytes_of(name) for name in ("chrFrenMulti.dcm", "chrGreek.dcm", "MR_small.dcm")]
    )
    subprocess.run(["dcm2xml", str(path)], check=True, capture_output=True)


def test_dates_and_numbers_that_are_missing_are_made_up_and_no_name() -> None:
    file = changed(
        bytes_of("CT_small.dcm"),
        StudyDate=None,
        SeriesDate=None,
        AcquisitionDate=None,
        ContentDate=None,
        StudyTime=None,
        PatientID=None,
        PatientName=None,
        StudyID=None,
        SeriesNumber=None,
        InstanceNumber=None,
    )
    patient, study, series, image = records(directory([file]))
    assert (patient.PatientID, str(patient.PatientName)) == ("", "")
    assert (study.StudyDate, study.StudyID) == ("20261120", "0")
    assert study.StudyTime == pydicom.dcmread(io.BytesIO(file)).SeriesTime
    assert (series.SeriesNumber, image.InstanceNumber) == (0, 0)


def test_only_an_extended_one_has_descriptions_of_series() -> None:
    file = changed(bytes_of("CT_small.dcm"), SeriesDescription="Thin")
    assert "SeriesDescription" not in records(directory([file]))[2]
    assert records(directory([file], is_extended=True))[2].SeriesDescription == "Thin"


def test_an_empty_directory_is_one() -> None:
    opened = pydicom.dcmread(io.BytesIO(directory([])))
    assert opened.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity == 0
    assert list(opened.DirectoryRecordSequence) == []


def test_what_has_no_sop_class_cannot_be_listed() -> None:
    file = changed(bytes_of("CT_small.dcm"), SOPClassUID=None)
    with pytest.raises(Corrupt):
        directory([file])


@pytest.mark.dcmtk
def test_dcmtk_would_write_the_same_records(tmp_path: Path) -> None:
    if shutil.which("dcmmkdir") is None:
        pytest.skip("needs DCMTK")
    files = [bytes_of(name) for name in ("MR_small.dcm", "rtdose.dcm", "reportsi.dcm", "waveform_ecg.dcm")]
    ours = written(tmp_path / "ours", files)
    theirs = tmp_path / "DCMTK"
    # -Pgp is the general purpose profile; +I invents what is missing, -nb makes no copy.
    subprocess.run(
        ["dcmmkdir", "-Nxc", "-Pgp", "+I", "-W", "+D", str(theirs), "+id", str(ours.parent), "+r", "IMAGES"],
        check=True,
        capture_output=True,
    )
    seen = {}
    for path in (ours, theirs):
        found = [r for r in pydicom.dcmread(path).DirectoryRecordSequence if "ReferencedFileID" in r]
        seen[path] = sorted(
            (r.DirectoryRecordType, r.ReferencedFileID[-1], r.ReferencedSOPInstanceUIDInFile) for r in found
        )
    assert seen[ours] == seen[theirs]


@pytest.mark.dcmtk
@pytest.mark.parametrize("program", ["dcmdump", "dciodvfy", "dcentvfy"])
def test_validators_accept_it(program: str, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    ours = written(tmp_path, [bytes_of("MR_small.dcm"), bytes_of("rtdose.dcm"), bytes_of("CT_small.dcm")])
    done = subprocess.run([program, str(ours)], capture_output=True, text=True, check=True)
    assert "Error" not in done.stdout + done.stderr
