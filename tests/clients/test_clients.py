"""Programs that people wrote for Orthanc, as they are published, drive this server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orthanc_api_client
import pyorthanc
import pytest
from tests.rest.builders import ids, real_file, slice_file
from tests.servers import RunningServer, free_port, running

_PATIENT, _STUDY, _SERIES, _INSTANCE = ids()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    port = free_port()
    options = {
        "StableAge": 1,
        "ExecuteLuaEnabled": True,
        "UserMetadata": {"my-metadata": 1098},
        "UserContentType": {"report": [1100, "text/plain"]},
        "DicomPort": port,
        "DicomModalities": {"self": ["HOUNSFIELD", "127.0.0.1", port]},
        "OverwriteInstances": True,
    }
    with running(tmp_path, options) as started:
        yield started


@pytest.fixture
def pyorthanc_client(server: RunningServer) -> Iterator[Any]:
    client = pyorthanc.Orthanc(f"http://127.0.0.1:{server.http_port}")
    yield client
    client.close()


@pytest.fixture
def api_client(server: RunningServer) -> Any:
    return orthanc_api_client.OrthancApiClient(f"http://127.0.0.1:{server.http_port}")


def test_pyorthanc_uploads_finds_labels_and_downloads(pyorthanc_client: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.dcm"
    file.write_bytes(slice_file())
    pyorthanc.upload(pyorthanc_client, str(file))
    pyorthanc.upload(pyorthanc_client, str(file), check_before_upload=True)
    pyorthanc_client.post_instances(slice_file(patient="P2", study="2.1", series="2.1.1", instance="2.1.1.1"))
    found = pyorthanc.find_studies(pyorthanc_client, {"PatientID": "P1"})
    assert [study.identifier for study in found] == [_STUDY]
    study = found[0]
    assert (study.uid, study.patient_information["PatientID"], str(study.date)[:10]) == (
        "1.1",
        "P1",
        "2020-01-02",
    )
    study.add_label("checked")
    assert study.labels == ["checked"]
    assert [each.identifier for each in pyorthanc.find_studies(pyorthanc_client, labels=["checked"])] == [
        _STUDY
    ]
    study.remove_label("checked")
    series = study.series[0]
    assert (series.modality, len(series.instances)) == ("CT", 1)
    instance = series.instances[0]
    assert instance.get_dicom_file_content() == slice_file()
    assert instance.get_pydicom().PatientID == "P1"
    assert instance.simplified_tags["StudyInstanceUID"] == "1.1"
    assert instance.parent_patient.identifier == _PATIENT
    assert study.get_zip().startswith(b"PK")
    assert study.shared_tags["PatientID"] == "P1"
    pyorthanc.retrieve_and_write_patients([study.parent_patient], tmp_path / "out")
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 1


def test_pyorthanc_anonymizes_and_modifies(pyorthanc_client: Any) -> None:
    pyorthanc_client.post_instances(slice_file())
    study = pyorthanc.find_studies(pyorthanc_client)[0]
    anonymous = study.anonymize(replace={"PatientName": "Nobody"})
    assert anonymous.patient_information["PatientName"] == "Nobody"
    job = study.modify_as_job(replace={"StudyDescription": "New"})
    job.wait_until_completion(time_interval=0)
    assert job.state.value == "Success"
    descriptions = {
        each.main_dicom_tags.get("StudyDescription") for each in pyorthanc.find_studies(pyorthanc_client)
    }
    assert "New" in descriptions
    assert len(pyorthanc_client.get_studies()) == 3


def test_pyorthanc_speaks_with_modalities(pyorthanc_client: Any) -> None:
    pyorthanc_client.post_instances(slice_file())
    modality = pyorthanc.Modality(pyorthanc_client, "self")
    assert modality.echo()
    query = modality.find({"Level": "Study", "Query": {"PatientID": "P1"}})
    assert query["answers"][0]["StudyInstanceUID"] == "1.1"
    assert modality.store(_INSTANCE)["FailedInstancesCount"] == 0
    moved = modality.move(query["ID"], {"TargetAet": "HOUNSFIELD", "Synchronous": True})
    assert moved["Details"][0]["DimseErrorStatus"] == 0
    pyorthanc.delete_queries(pyorthanc_client)
    assert pyorthanc_client.get_queries() == []


def test_orthanc_api_client_uploads_finds_and_downloads(api_client: Any, tmp_path: Path) -> None:
    assert api_client.is_alive()
    assert api_client.is_orthanc_version_at_least(1, 13)
    assert api_client.upload(slice_file()) == [_INSTANCE]
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(real_file("CT_small.dcm"))
    (folder / "b.txt").write_bytes(b"no DICOM")
    assert len(api_client.upload_folder(str(folder), ignore_errors=True)) == 1
    assert api_client.lookup("P1") == [_PATIENT]
    assert api_client.studies.lookup("1.1") == _STUDY
    assert [each.orthanc_id for each in api_client.studies.find({"PatientID": "P1"})] == [_STUDY]
    study = api_client.studies.get(_STUDY)
    assert (study.dicom_id, study.main_dicom_tags.get("StudyDate")) == ("1.1", "20200102")
    assert study.statistics.instances_count == 1
    assert api_client.instances.get_tags(_INSTANCE)["PatientID"] == "P1"
    assert api_client.instances.get_file(_INSTANCE) == slice_file()
    ct_series = next(each for each in api_client.series.get_all_ids() if each != _SERIES)
    assert len(api_client.series.get_ordered_instances_ids(ct_series)) == 1
    assert api_client.series.get_preview_file(ct_series).startswith(b"\x89PNG")
    api_client.studies.download_archive(_STUDY, str(tmp_path / "a.zip"))
    api_client.studies.download_media(_STUDY, str(tmp_path / "m.zip"))
    assert (tmp_path / "a.zip").read_bytes()[:2] == (tmp_path / "m.zip").read_bytes()[:2] == b"PK"
    changes, last, is_done = api_client.get_changes(since=0, limit=3)
    assert (len(changes), last, is_done) == (3, 3, False)
    assert api_client.get_statistics().instances_count == 2
    assert api_client.get_metrics().get("orthanc_count_instances") == "2"
    api_client.delete_all_content()
    assert api_client.instances.get_all_ids() == []


def test_orthanc_api_client_keeps_metadata_attachments_and_labels(api_client: Any) -> None:
    api_client.upload(slice_file())
    studies = api_client.studies
    studies.set_string_metadata(_STUDY, "my-metadata", "first")
    value, revision = studies.get_string_metadata_with_revision(_STUDY, "my-metadata")
    studies.set_string_metadata(_STUDY, "my-metadata", "second", match_revision=revision)
    with pytest.raises(orthanc_api_client.exceptions.OrthancApiException):
        studies.set_string_metadata(_STUDY, "my-metadata", "third", match_revision=revision)
    assert (value, studies.get_string_metadata(_STUDY, "my-metadata")) == ("first", "second")
    assert studies.has_metadata(_STUDY, "my-metadata")
    studies.set_attachment(_STUDY, "report", content="text")
    assert studies.get_attachment(_STUDY, "report") == b"text"
    studies.add_labels(_STUDY, ["a", "b"])
    studies.delete_label(_STUDY, "a")
    assert (studies.get_labels(_STUDY), api_client.get_all_labels()) == (["b"], ["b"])
    assert api_client.execute_lua_script(b"print(42)") in (b"42\n", "42\n")
    api_client.set_log_level(orthanc_api_client.LogLevel.VERBOSE)
    assert api_client.get_log_level() == orthanc_api_client.LogLevel.VERBOSE
    api_client.set_log_level(orthanc_api_client.LogLevel.DEFAULT)


def test_orthanc_api_client_changes_studies_and_speaks_with_modalities(api_client: Any) -> None:
    api_client.upload(slice_file())
    anonymous = api_client.studies.anonymize(
        _STUDY, replace_tags={"PatientName": "Nobody"}, delete_original=False
    )
    assert api_client.studies.get(anonymous).patient_main_dicom_tags.get("PatientName") == "Nobody"
    modified = api_client.studies.modify(
        _STUDY, replace_tags={"StudyDescription": "New"}, delete_original=False
    )
    assert api_client.studies.get(modified).main_dicom_tags.get("StudyDescription") == "New"
    assert b"Changed" in api_client.instances.modify(_INSTANCE, replace_tags={"InstitutionName": "Changed"})
    assert api_client.modalities.get_all_ids() == ["self"]
    found = api_client.modalities.query_studies("self", {"PatientID": "P1", "StudyDescription": "New"})
    assert len(found) == 1
    job = api_client.modalities.send_async("self", [_STUDY])
    assert job.wait_completed(timeout=20, polling_interval=0.05)
    assert job.refresh().info.status == orthanc_api_client.JobStatus.SUCCESS
    assert api_client.modalities.retrieve_study("self", found[0].dicom_id) == modified
