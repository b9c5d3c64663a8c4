"""Whole archives are anonymized on a real server: references match, pixels stay, and nothing tells who it was."""

import json
import warnings
import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.rest.builders import slice_file
from tests.servers import RunningServer
from tests.walks.conftest import Start
from tests.walks.samples import Sample

_CT, _SR, _PR, _STRUCT = (f"1.2.840.10008.5.1.4.1.1.{last}" for last in ("2", "88.11", "11.1", "481.3"))
_STUDY, _FRAME = "1.2.826.0.1.3680043.10.1200.61", "1.2.826.0.1.3680043.10.1200.62"
_SECRETS = ("SECRET", "19561231", "1956-12-31", "SE^CRET", "Sécret")


def _read(server: RunningServer, public_id: str) -> Dataset:
    status, data = server.request("GET", f"/instances/{public_id}/file")
    assert status == 200
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(BytesIO(data), force=True)


def _post(server: RunningServer, file: bytes) -> dict[str, Any]:
    status, answer = server.request("POST", "/instances", file)
    assert status == 200, answer
    found: dict[str, Any] = json.loads(answer)
    return found


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _reference(uid: str, sop_class: str = _CT, **values: object) -> Dataset:
    return _item(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=uid, **values)


def _uids(dataset: Dataset, place: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], str]]:
    """All UIDs of a data set, also in items, with their places."""
    for element in dataset:
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                yield from _uids(item, (*place, int(element.tag), number))
        elif element.VR == "UI" and element.value:
            values = [element.value] if isinstance(element.value, str) else list(element.value)
            for value in values:
                yield (*place, int(element.tag)), str(value)


def _study() -> list[bytes]:
    """Four slices, a report, a structure set and a presentation state that refer to them in all ways."""
    series = {word: f"{_STUDY}.{number}" for number, word in enumerate(("CT", "SR", "ST", "PR"), start=1)}
    slices = [f"{series['CT']}.{number}" for number in range(1, 5)]
    common: dict[str, Any] = {"study": _STUDY, "FrameOfReferenceUID": _FRAME, "PixelData": None}
    files = [
        slice_file(
            study=_STUDY,
            series=series["CT"],
            instance=uid,
            FrameOfReferenceUID=_FRAME,
            ReferencedImageSequence=Sequence([_reference(slices[0])]),
        )
        for uid in slices
    ]
    listed = _item(
        SeriesInstanceUID=series["CT"], ReferencedSOPSequence=Sequence([_reference(u) for u in slices])
    )
    evidence = _item(StudyInstanceUID=_STUDY, ReferencedSeriesSequence=Sequence([listed]))
    content = _item(ValueType="IMAGE", ReferencedSOPSequence=Sequence([_reference(slices[2])]))
    files.append(
        slice_file(
            series=series["SR"],
            instance=series["SR"] + ".1",
            SOPClassUID=_SR,
            CurrentRequestedProcedureEvidenceSequence=Sequence([evidence]),
            ContentSequence=Sequence([content]),
            **common,
        )
    )
    in_series = _item(
        SeriesInstanceUID=series["CT"], ContourImageSequence=Sequence([_reference(uid) for uid in slices])
    )
    in_study = _reference(_STUDY, "1.2.840.10008.3.1.2.3.1", RTReferencedSeriesSequence=Sequence([in_series]))
    frame = _item(FrameOfReferenceUID=_FRAME, RTReferencedStudySequence=Sequence([in_study]))
    files.append(
        slice_file(
            series=series["ST"],
            instance=series["ST"] + ".1",
            SOPClassUID=_STRUCT,
            ReferencedFrameOfReferenceSequence=Sequence([frame]),
            **common,
        )
    )
    shown = _item(
        SeriesInstanceUID=series["CT"], ReferencedImageSequence=Sequence([_reference(uid) for uid in slices])
    )
    files.append(
        slice_file(
            series=series["PR"],
            instance=series["PR"] + ".1",
            SOPClassUID=_PR,
            ReferencedSeriesSequence=Sequence([shown]),
            **common,
        )
    )
    return files


@pytest.mark.parametrize("given", ["", "1.2.3.4.5.6"])
@pytest.mark.parametrize("edition", ["2017c", "2021b", "2023b"])
def test_references_in_a_study_lead_to_what_they_led_to(
    server: RunningServer, given: str, edition: str
) -> None:
    for file in _study():
        study = _post(server, file)["ParentStudy"]
    body: dict[str, Any] = {
        "DicomVersion": edition,
        "Keep": ["ContentSequence"] if edition == "2017c" else [],
    }
    if given:
        body |= {"Replace": {"StudyInstanceUID": given}, "Force": True}
    new = server.json(f"/studies/{study}/anonymize", body)["ID"]
    old_to_new: dict[str, str] = {}
    pairs = []
    for public_id in server.json(f"/studies/{new}/instances?expand=false"):
        source = server.json(f"/instances/{public_id}/metadata?expand")["AnonymizedFrom"]
        before, after = _read(server, source), _read(server, public_id)
        pairs.append((before, after))
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            old_to_new[before[keyword].value] = after[keyword].value
        if "FrameOfReferenceUID" in before:
            old_to_new[_FRAME] = after.FrameOfReferenceUID
    assert len(pairs) == 7
    assert old_to_new[_STUDY] == (given or old_to_new[_STUDY]) != _STUDY
    references = 0
    for before, after in pairs:
        found = dict(_uids(after))
        for place, uid in _uids(before):
            is_kept = place[0] == 0x0040A730 and edition == "2017c"
            if uid in old_to_new and place in found and not is_kept:
                assert found[place] == old_to_new[uid], place
                references += len(place) > 1
        left = [uid for place, uid in _uids(after) if place[0] != 0x0040A730]
        assert not set(left) & set(old_to_new)
    assert references >= 20
    server.request("DELETE", f"/studies/{new}")


def test_all_samples_are_anonymized_and_stay_what_they_were(
    server: RunningServer, samples: list[Sample]
) -> None:
    for sample in samples:
        _post(server, sample.data)
    sources = server.json("/patients")
    answer = server.json("/tools/bulk-anonymize", {"Resources": sources, "KeepLabels": True})
    assert answer["FailedInstancesCount"] == 0
    made = [each["ID"] for each in answer["Resources"] if each["Type"] == "Instance"]
    assert len(made) == answer["InstancesCount"] >= len(samples)
    for public_id in made:
        source = server.json(f"/instances/{public_id}/metadata?expand")["AnonymizedFrom"]
        before, after = _read(server, source), _read(server, public_id)
        assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
        assert after.PatientName == f"Anonymized{str(after.PatientName)[10:]}"
        if "TransferSyntaxUID" in before.file_meta:
            assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
        if "PixelData" in before:
            assert before.PixelData.rstrip(b"\0") == after.PixelData.rstrip(b"\0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = str(after)
            for keyword in ("PatientID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
                if len(str(before.get(keyword, ""))) > 8:
                    assert str(before[keyword].value) not in text
    server.json("/tools/bulk-modify", {"Resources": sources, "Level": "Study", "RemovePrivateTags": True})


def _planted(edition: str) -> bytes:
    """A file with a name, an identifier and a date wherever they are known to hide, and the edition knows of it."""
    names = (
        "PatientName",
        "OtherPatientNames",
        "ReferringPhysicianName",
        "PhysiciansOfRecord",
        "OperatorsName",
    )
    texts = (
        "PatientID", "OtherPatientIDs", "IssuerOfPatientID", "AccessionNumber", "StudyID", "InstitutionName",
        "InstitutionAddress", "StationName", "StudyDescription", "SeriesDescription", "ProtocolName",
        "DeviceSerialNumber", "PatientComments", "ImageComments", "AdditionalPatientHistory",
        "RequestedProcedureDescription",
        "PerformedProcedureStepDescription", "AdmissionID", "PatientAddress", "MilitaryRank", "Occupation",
        "EthnicGroup", "PatientReligiousPreference", "RequestingService", "DerivationDescription",
    )  # fmt: skip
    dates = (
        "PatientBirthDate",
        "StudyDate",
        "SeriesDate",
        "AcquisitionDate",
        "ContentDate",
        "InstanceCreationDate",
    )
    values: dict[str, object] = dict.fromkeys(names, "SE^CRET")
    values |= {word: "SECRET" for word in texts if word != "PatientID"}
    values |= dict.fromkeys(dates if edition == "2023b" else dates[:-1], "19561231")
    values |= {"AcquisitionDateTime": "19561231120000", "SpecificCharacterSet": "ISO_IR 192"}
    file = slice_file("SECRET", "1.2.826.0.1.99", "1.2.826.0.1.99.1", "1.2.826.0.1.99.1.1", **values)
    dataset = pydicom.dcmread(BytesIO(file))
    item = _item(**values, PatientID="SECRET", CodeMeaning="kept")
    item.add_new(0x00110010, "LO", "SECRET")
    item.add_new(0x00111001, "UN", b"SECRET")
    inner = _item(SourceImageSequence=Sequence([_item(**values, PatientID="SECRET")]))
    dataset.SourceImageSequence = Sequence([item, inner])
    dataset.RequestAttributesSequence = Sequence([_item(ScheduledProcedureStepDescription="SECRET")])
    dataset.OtherPatientIDsSequence = Sequence([_item(PatientID="SECRET")])
    dataset.add_new(0x00090010, "LO", "SECRET")
    dataset.add_new(0x00091001, "PN", "SE^CRET")
    dataset.add_new(0x7FE10010, "LO", "SECRET")
    dataset.add_new(0x7FE11001, "UN", b"after the pixels: SECRET")
    dataset.add_new(0x60003000, "OW", b"overlay: SECRET.")
    dataset.add_new(0x60004000, "LT", "SECRET")
    dataset.add_new(0x50003000, "OW", b"curve: SECRET...")
    dataset.add_new(0xFFFCFFFC, "OB", b"padding: SECRET.")
    dataset.preamble = b"SECRET".ljust(128, b"\0")
    dataset.file_meta.SourceApplicationEntityTitle = "SECRET"
    dataset.file_meta.add_new(0x00020100, "UI", "1.2.826.0.1.99.5")
    dataset.file_meta.add_new(0x00020102, "OB", b"SECRET")
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue() + b"SECRET"


def _leaks(data: bytes) -> list[str]:
    return [secret for secret in _SECRETS if secret.encode() in data]


@pytest.mark.parametrize("edition", ["2017c", "2021b", "2023b"])
def test_nothing_that_was_planted_comes_out(start_server: Start, edition: str) -> None:
    server = start_server()
    planted = _planted(edition)
    assert {"SECRET", "19561231", "SE^CRET"} <= set(_leaks(planted))
    stored = _post(server, planted)
    server.request("PUT", f"/studies/{stored['ParentStudy']}/metadata/1024", b"SECRET")
    server.request("PUT", f"/studies/{stored['ParentStudy']}/attachments/1025", b"SECRET")
    status, file = server.request(
        "POST", f"/instances/{stored['ID']}/anonymize", json.dumps({"DicomVersion": edition}).encode()
    )
    assert status == 200
    assert _leaks(file) == []
    assert b"kept" in file
    job = server.json(
        f"/studies/{stored['ParentStudy']}/anonymize", {"DicomVersion": edition, "KeepSource": False}
    )
    new = job["ID"]
    (instance,) = server.json(f"/studies/{new}/instances?expand=false")
    addresses = [
        "/patients?expand", "/studies?expand", "/series?expand", "/instances?expand", "/changes", "/jobs?expand",
        "/statistics", f"/instances/{instance}/file", f"/instances/{instance}/tags", f"/instances/{instance}/header",
        f"/studies/{new}/instances-tags", f"/studies/{new}/shared-tags", f"/studies/{new}/metadata?expand",
        f"/studies/{new}/attachments", f"/instances/{instance}/metadata?expand",
    ]  # fmt: skip
    for address in addresses:
        status, answer = server.request("GET", address)
        assert status == 200, address
        assert _leaks(answer) == [], address
    status, archive = server.request("GET", f"/studies/{new}/archive")
    assert status == 200
    with zipfile.ZipFile(BytesIO(archive)) as opened:
        for name in opened.namelist():
            assert _leaks(name.encode()) == []
            assert _leaks(opened.read(name)) == []
    assert _leaks(server.log.read_bytes()) == []
