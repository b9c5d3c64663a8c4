"""Section E: search."""

from itertools import chain

import pytest
from pydicom.dataset import Dataset
from tests.acceptance.asking import failure, find, status_of, upload
from tests.rest.builders import ids, slice_file
from tests.servers import RunningServer

OPTIONS = {"UserMetadata": {"my-metadata": 1098, "unused": 1099}}

BRAINIX = {"patient": "5Yp0E", "study": "1.1", "series": "1.1.1", "instance": "1.1.1.1"}
KNEE = {"patient": "887", "study": "1.2", "series": "1.2.1", "instance": "1.2.1.1"}


@pytest.fixture
def two(server: RunningServer) -> RunningServer:
    """A server with two studies."""
    upload(
        server,
        slice_file(
            **BRAINIX,
            PatientName="BRAINIX",
            StudyDate="20061201",
            Modality="MR",
            PatientBirthDate="19700101",
            PatientPosition="HFS",
            AccessionNumber="ACC1",
        ),
    )
    upload(
        server,
        slice_file(
            **KNEE,
            PatientName="KNEE",
            StudyDate="20080819",
            Modality="CT",
            PatientSex="F",
            PatientPosition="FFS",
        ),
    )
    return server


def _names(
    server: RunningServer, level: str = "Study", /, query: dict[str, str] | None = None, **more: object
) -> set[str]:
    """The patients' IDs of what is found."""
    found = find(server, level, query or {}, Expand=True, RequestedTags=["PatientID"], **more)
    return {each["RequestedTags"]["PatientID"] for each in found}


def test_identifiers_are_looked_up(two: RunningServer) -> None:
    """Scenario 91."""
    for value, kind, public_id in zip(
        ("5Yp0E", "1.1", "1.1.1", "1.1.1.1"),
        ("Patient", "Study", "Series", "Instance"),
        ids(**BRAINIX),
        strict=True,
    ):
        status, answer = two.request("POST", "/tools/lookup", value.encode())
        assert (status, f'"{public_id}"'.encode() in answer, kind.encode() in answer) == (200, True, True)
    assert two.request("POST", "/tools/lookup", b"5yP0e")[1] != b"[]"
    for nothing in (b"_5Yp0E", b"ACC1", b"_Yp0E"):
        assert two.request("POST", "/tools/lookup", nothing) == (200, b"[]")


@pytest.mark.parametrize(
    ("query", "is_case_sensitive", "wanted"),
    [
        ({"PatientID": "5yp0e"}, True, set()),
        ({"PatientID": "5yp0e"}, False, {"5Yp0E"}),
        ({"PatientName": "*NE*"}, True, {"887"}),
        ({"PatientName": "*ne*"}, True, set()),
        ({"PatientName": "*ne*"}, False, {"887"}),
        ({"PatientName": "BRAINIX\\KNEE\\NOPE"}, False, {"887", "5Yp0E"}),
        ({"StudyDate": "20061201-20091201"}, False, {"887", "5Yp0E"}),
        ({"StudyDate": "-20061201"}, False, {"5Yp0E"}),
        ({"StudyDate": "20061202-"}, False, {"887"}),
        ({"StudyDate": "20061201-"}, False, {"887", "5Yp0E"}),
        ({"StudyDate": "20061202-20061202"}, False, set()),
        ({"PatientSex": ""}, False, {"887", "5Yp0E"}),
        ({"PatientSex": "*"}, False, {"887"}),
        ({"ModalitiesInStudy": "CT"}, False, {"887"}),
        ({"ModalitiesInStudy": "US\\CT"}, False, {"887"}),
        ({"ModalitiesInStudy": "UX\\MR"}, False, {"5Yp0E"}),
        ({"ModalitiesInStudy": ""}, False, {"887", "5Yp0E"}),
        ({"ModalitiesInStudy": "*"}, False, set()),
        ({"PatientBirthDate": "19691231-19700102"}, False, {"5Yp0E"}),
        ({"PatientPosition": "HFS"}, False, {"5Yp0E"}),
        ({"Modality": "CT"}, False, set()),
    ],
)
def test_studies_are_found(
    two: RunningServer, query: dict[str, str], is_case_sensitive: bool, wanted: set[str]
) -> None:
    """Scenarios 92 to 98."""
    assert _names(two, query=query, CaseSensitive=is_case_sensitive) == wanted


def test_series_are_found_by_what_is_above_and_in_files(two: RunningServer) -> None:
    """Scenarios 96 to 98."""
    assert _names(two, "Series", query={"ModalitiesInStudy": "CT"}) == set()
    assert _names(
        two, "Series", query={"PatientName": "KNEE", "StudyDate": "20080819", "Modality": "CT"}
    ) == {"887"}
    assert _names(two, "Series", query={"PatientPosition": "FFS"}) == {"887"}


def test_pages_of_answers(two: RunningServer) -> None:
    """Scenarios 99, 100 and 102."""
    for number in range(6):
        upload(two, slice_file(f"X{number}", f"3.{number}", f"3.{number}.1", f"3.{number}.1.1"))
    everything = find(two, "Study", {})
    assert find(two, "Study", {}, Limit=3) == everything[:3]
    assert find(two, "Study", {}, Limit=0) == everything
    assert find(two, "Study", {}, Since=2) == everything[2:]
    pages = [find(two, "Study", {}, Since=start, Limit=3) for start in (0, 3, 6)]
    assert list(chain(*pages)) == everything
    for query, more in (
        ({"PatientPosition": "HFS"}, {}),
        ({"PatientName": "*ne*"}, {"CaseSensitive": True}),
    ):
        body = {"Level": "Study", "Query": query, "Since": 1, **more}
        assert status_of(two, "POST", "/tools/find", body) == 400
        del body["Since"]
        assert status_of(two, "POST", "/tools/count-resources", body) == 400
    counted = two.json("/tools/count-resources", {"Level": "Study", "Query": {}, "Since": 4})
    assert counted == {"Count": 8}


def test_letters_with_accents_and_brackets(server: RunningServer) -> None:
    """Scenarios 103 and 104."""
    upload(server, slice_file("A", "1.1", PatientName="MyName[*]"))
    name = "Test-éüäöò"
    upload(server, slice_file("B", "1.2", SpecificCharacterSet="ISO_IR 192", PatientName=name))
    assert _names(server, query={"PatientName": "MyName[*]"}) == {"A"}
    assert _names(server, query={"PatientName": "MyName*"}) == {"A"}
    assert _names(server, query={"PatientName": "TeSt-É*"}) == {"B"}
    assert _names(server, query={"PatientName": "TeSt-É*"}, CaseSensitive=True) == set()
    assert _names(server, query={"PatientName": "Test-é*"}, CaseSensitive=True) == {"B"}


def test_answers_are_ordered(server: RunningServer) -> None:
    """Scenarios 105, 106 and 107."""
    names = {"A": "C", "B": "A", "C": "B", "D": None}
    for patient, name in names.items():
        told = upload(
            server, slice_file(patient, "1." + str(ord(patient)), "1.1.1", PatientName=name or "zz")
        )
        if name:
            path = f"/studies/{told['ParentStudy']}/metadata/my-metadata"
            assert status_of(server, "PUT", path, f"{10 if name == 'A' else 9}.{ord(name)}") == 200

    def order(*keys: tuple[str, str, str], level: str = "Study") -> str:
        by = [{"Type": kind, "Key": key, "Direction": direction} for kind, key, direction in keys]
        found = find(server, level, {}, OrderBy=by, Expand=True, RequestedTags=["PatientID"])
        return "".join(each["RequestedTags"]["PatientID"] for each in found)

    assert order(("DicomTag", "PatientName", "ASC")) == "BCAD"
    assert order(("DicomTag", "PatientName", "DESC")) == "DACB"
    assert order(("DicomTag", "StudyDate", "ASC"), ("DicomTag", "PatientID", "DESC")) == "DCBA"
    assert order(("Metadata", "my-metadata", "DESC")) == "ACBD"
    assert order(("Metadata", "my-metadata", "ASC")) == "BCAD"
    assert order(("MetadataAsFloat", "my-metadata", "DESC")) == "BACD"
    assert len(order(("Metadata", "unused", "ASC"))) == 4
    assert len(order(("DicomTag", "PatientPosition", "ASC"), level="Instance")) == 4
    bad = {
        "Level": "Study",
        "Query": {},
        "OrderBy": [{"Type": "Metadata", "Key": "nope", "Direction": "ASC"}],
    }
    assert failure(server, "POST", "/tools/find", bad) == (404, 7)


def test_searches_below_a_parent_and_by_metadata(two: RunningServer) -> None:
    """Scenarios 108, 109 and 110."""
    patient, study, series, instance = ids(**KNEE)
    assert (
        find(two, "Series", {}, ParentPatient=patient)
        == find(two, "Series", {}, ParentStudy=study)
        == [series]
    )
    assert status_of(two, "PUT", f"/series/{series}/metadata/my-metadata", "123") == 200
    assert find(two, "Series", {}, MetadataQuery={"my-metadata": "*2*"}) == [series]
    one = {"PatientID": "887"}
    told = find(two, "Instances", one, ResponseContent=["MainDicomTags"])[0]
    assert sorted(told) == ["ID", "MainDicomTags", "Type"]
    told = find(two, "Instance", one, ResponseContent=["MainDicomTags"], RequestedTags=["Modality"])[0]
    assert sorted(told) == ["ID", "MainDicomTags", "RequestedTags", "Type"]
    told = find(two, "Instance", one, ResponseContent=["Attachments"])[0]
    assert {"Uuid", "UncompressedSize"} <= set(told["Attachments"][0])
    assert find(two, "Patients", one, ResponseContent=[]) == [{"ID": patient, "Type": "Patient"}]
    assert find(two, "Instance", one) == [instance]


def test_counters_are_computed_at_their_level(two: RunningServer) -> None:
    """Scenarios 111, 112 and 113."""
    item = Dataset()
    item.ScheduledProcedureStepID = "7"
    upload(
        two,
        slice_file(
            "887", "1.2", "1.2.2", "1.2.2.1", Modality="PT", SOPClassUID="1.2.840.10008.5.1.4.1.1.128",
            PatientComments="", RequestAttributesSequence=[item],
        ),
    )  # fmt: skip
    tags = [
        "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "ModalitiesInStudy", "SOPClassesInStudy"
    ]  # fmt: skip
    told = find(two, "Study", {"PatientID": "887"}, Expand=True, RequestedTags=tags)[0]["RequestedTags"]
    assert told == {
        "NumberOfStudyRelatedSeries": "2",
        "NumberOfStudyRelatedInstances": "2",
        "ModalitiesInStudy": "CT\\PT",
        "SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.128\\1.2.840.10008.5.1.4.1.1.2",
    }
    wanted = ["NumberOfSeriesRelatedInstances", "NumberOfStudyRelatedInstances"]
    told = find(two, "Series", {"SeriesInstanceUID": "1.2.2"}, Expand=True, RequestedTags=wanted)
    assert told[0]["RequestedTags"] == {"NumberOfSeriesRelatedInstances": "1"}
    wanted = ["PatientComments", "RequestAttributesSequence"]
    told = find(two, "Series", {"SeriesInstanceUID": "1.2.2"}, Expand=True, RequestedTags=wanted)
    assert told[0]["RequestedTags"] == {
        "PatientComments": "",
        "RequestAttributesSequence": [{"ScheduledProcedureStepID": "7"}],
    }


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"Level": "Nope", "Query": {}}, (400, 3)),
        ({"Level": "Study"}, (400, 8)),
        ({"Level": "Study", "Query": {}, "Limit": -1}, (400, None)),
        ({"Level": "Study", "Query": {"Nope": "x"}}, (500, 27)),
        ({"Level": "Study", "Query": {}, "Expand": True, "RequestedTags": ["Nope"]}, (500, 27)),
    ],
)
def test_questions_that_mean_nothing(
    two: RunningServer, body: dict[str, object], wanted: tuple[int, int | None]
) -> None:
    """Scenario 114."""
    status, code = failure(two, "POST", "/tools/find", body)
    assert (status, code if wanted[1] else None) == wanted


def test_many_resources_at_once(two: RunningServer) -> None:
    """Scenario 115."""
    four = [*ids(**KNEE)]
    told = two.json("/tools/bulk-content", {"Resources": [*four, "nope"]})
    assert [each["ID"] for each in told] == four
    assert all("Metadata" in each for each in told)
    for level in ("Patient", "Study", "Series", "Instance"):
        told = two.json("/tools/bulk-content", {"Resources": four, "Level": level, "Metadata": False})
        assert [each["Type"] for each in told] == [level]
        assert "Metadata" not in told[0]
