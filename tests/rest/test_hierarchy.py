from typing import Any

import pytest
from tests.rest.builders import Builder, Server, ids, slice_file

from hounsfield.dicom.levels import Level
from hounsfield.events import Event, ResourceDeleted
from hounsfield.rest.door import RestOptions

PATIENT, STUDY, SERIES, INSTANCE = ids()
IDS = {"patients": PATIENT, "studies": STUDY, "series": SERIES, "instances": INSTANCE}
LEVELS = tuple(IDS)


@pytest.fixture
def filled(server: Server) -> Server:
    """Two slices of one series, and a third in another study of the same patient."""
    for instance, number in (("1.1.1.1", 1), ("1.1.1.2", 2)):
        server.post("/instances", slice_file(instance=instance, InstanceNumber=number))
    server.post("/instances", slice_file(study="1.2", series="1.2.1", instance="1.2.1.1"))
    return server


@pytest.mark.parametrize(
    ("level", "count"), [("patients", 1), ("studies", 2), ("series", 2), ("instances", 3)]
)
def test_lists_are_in_ascending_order(filled: Server, level: str, count: int) -> None:
    found = filled.get(f"/{level}")
    assert len(found) == count
    assert found == sorted(found)
    assert [each["ID"] for each in filled.get(f"/{level}?expand")] == found
    assert filled.get(f"/{level}?expand=false") == found


def test_pages_are_cut_by_since_and_limit(filled: Server) -> None:
    everything = filled.get("/instances")
    assert filled.get("/instances?since=1&limit=1") == everything[1:2]
    assert filled.get("/instances?since=1&limit=0") == everything[1:]
    assert filled.get("/instances?since=9&limit=5") == []


@pytest.mark.parametrize(
    ("query", "code"),
    [("since=1", 8), ("limit=1", 8), ("since=a&limit=1", 5), ("since=0&limit=1.5", 5), ("expand=foo", 3)],
)
def test_bad_arguments_of_lists_are_refused(filled: Server, query: str, code: int) -> None:
    assert filled.failure("GET", f"/studies?{query}") == (400, code)


MEMBERS = {
    "patients": {"ID", "Type", "Studies", "MainDicomTags", "Labels", "IsStable", "IsProtected", "LastUpdate"},
    "studies": {
        "ID", "Type", "ParentPatient", "Series", "MainDicomTags", "PatientMainDicomTags", "Labels", "IsStable",
        "LastUpdate",
    },
    "series": {
        "ID", "Type", "ParentStudy", "Instances", "MainDicomTags", "Labels", "IsStable", "LastUpdate", "Status",
        "ExpectedNumberOfInstances",
    },
    "instances": {"ID", "Type", "ParentSeries", "MainDicomTags", "Labels", "FileSize", "FileUuid", "IndexInSeries"},
}  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
def test_an_object_has_the_members_of_its_level(filled: Server, level: str) -> None:
    assert set(filled.get(f"/{level}/{IDS[level]}")) == MEMBERS[level]


def test_objects_name_their_relatives(filled: Server) -> None:
    assert filled.get(f"/patients/{PATIENT}")["Studies"] == sorted([STUDY, ids(study="1.2")[1]])
    study = filled.get(f"/studies/{STUDY}")
    assert (study["ParentPatient"], study["Series"], study["Type"]) == (PATIENT, [SERIES], "Study")
    series = filled.get(f"/series/{SERIES}")
    assert series["Instances"] == sorted([INSTANCE, ids(instance="1.1.1.2")[3]])
    assert (series["Status"], series["ExpectedNumberOfInstances"]) == ("Unknown", None)
    instance = filled.get(f"/instances/{INSTANCE}")
    assert (instance["ParentSeries"], instance["IndexInSeries"]) == (SERIES, 1)
    assert instance["FileSize"] == len(slice_file(InstanceNumber=1))


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("", {"PatientID": "P1", "PatientName": "DOE^P1"}),
        ("?simplify", {"PatientID": "P1", "PatientName": "DOE^P1"}),
        ("?short", {"0010,0010": "DOE^P1", "0010,0020": "P1"}),
        ("?full", {
            "0010,0010": {"Name": "PatientName", "Type": "String", "Value": "DOE^P1"},
            "0010,0020": {"Name": "PatientID", "Type": "String", "Value": "P1"},
        }),
        ("?short&simplify", {"PatientID": "P1", "PatientName": "DOE^P1"}),
    ],
)  # fmt: skip
def test_tags_are_written_in_the_format_asked_for(
    filled: Server, argument: str, expected: dict[str, Any]
) -> None:
    assert filled.get(f"/patients/{PATIENT}{argument}")["MainDicomTags"] == expected
    assert filled.get(f"/studies/{STUDY}{argument}")["PatientMainDicomTags"] == expected


@pytest.mark.parametrize("level", LEVELS)
def test_the_content_of_a_list_can_be_chosen(filled: Server, level: str) -> None:
    path = f"/{level}?since=0&limit=1&response-content="
    assert set(filled.get(path)[0]) == {"ID", "Type"}
    assert set(filled.get(path + "Labels;MainDicomTags")[0]) == {"ID", "Type", "Labels", "MainDicomTags"} | (
        {"PatientMainDicomTags"} if level == "studies" else set()
    )
    assert (
        set(filled.get(path + "IsStable;IsProtected;Parent;Children;Status&expand=false")[0])
        == {
            "patients": {"ID", "Type", "IsStable", "IsProtected", "Studies"},
            "studies": {"ID", "Type", "IsStable", "ParentPatient", "Series"},
            "series": {
                "ID",
                "Type",
                "IsStable",
                "ParentStudy",
                "Instances",
                "Status",
                "ExpectedNumberOfInstances",
            },
            "instances": {"ID", "Type", "ParentSeries"},
        }[level]
    )


def test_an_unknown_content_is_refused(filled: Server) -> None:
    assert filled.failure("GET", "/studies?response-content=Nope") == (400, 3)


def test_the_content_of_one_object_cannot_be_chosen(filled: Server) -> None:
    assert set(filled.get(f"/studies/{STUDY}?response-content=Labels")) == MEMBERS["studies"]
    assert set(filled.get(f"/patients/{PATIENT}/studies?response-content=Labels")[0]) == MEMBERS["studies"]


def test_metadata_and_attachments_come_only_when_asked_for(filled: Server) -> None:
    found = filled.get("/instances?response-content=Metadata;Attachments")[0]
    assert found["Metadata"]["Origin"] == "RestApi"
    assert [each["ContentType"] for each in found["Attachments"]] == [1]


REQUESTED = (
    "PatientName;0020,000d;NumberOfStudyRelatedInstances;ModalitiesInStudy;Rows;SliceThickness;0002,0010"
)


def test_requested_tags_come_from_the_index_from_computation_and_from_files(filled: Server) -> None:
    found = filled.get(f"/studies/{STUDY}?requested-tags={REQUESTED}")["RequestedTags"]
    assert found == {
        "PatientName": "DOE^P1",
        "StudyInstanceUID": "1.1",
        "NumberOfStudyRelatedInstances": "2",
        "ModalitiesInStudy": "CT",
        "Rows": "2",
        "SliceThickness": None,
    }
    assert filled.get(f"/studies/{STUDY}?requestedTags=PatientID")["RequestedTags"] == {"PatientID": "P1"}


def test_requested_tags_of_an_instance_include_those_of_its_parents(filled: Server) -> None:
    tags = "PatientID;StudyDate;Modality;SOPInstanceUID;SOPClassUID;InstanceAvailability"
    assert filled.get(f"/instances/{INSTANCE}?requested-tags={tags}&short")["RequestedTags"] == {
        "0010,0020": "P1",
        "0008,0020": "20200102",
        "0008,0060": "CT",
        "0008,0018": "1.1.1.1",
        "0008,0016": "1.2.840.10008.5.1.4.1.1.2",
        "0008,0056": "ONLINE",
    }


def test_a_computed_tag_of_another_level_is_absent(filled: Server) -> None:
    path = f"/series/{SERIES}?requested-tags=NumberOfStudyRelatedInstances"
    assert filled.get(path)["RequestedTags"] == {}
    assert filled.get(path + ";Rows")["RequestedTags"] == {"NumberOfStudyRelatedInstances": None, "Rows": "2"}


def test_without_access_to_files_other_tags_are_absent(build: Builder) -> None:
    server = build(RestOptions(storage_access="Never"))
    server.post("/instances", slice_file())
    assert server.get(f"/studies/{STUDY}?requested-tags=Rows;StudyDate")["RequestedTags"] == {
        "StudyDate": "20200102"
    }


def test_an_unknown_requested_tag_is_refused(filled: Server) -> None:
    assert filled.failure("GET", "/studies?expand&requested-tags=Nope") == (400, 8)


def test_asking_for_tags_alone_does_not_expand(filled: Server) -> None:
    assert filled.get("/studies?requested-tags=Rows") == filled.get("/studies")


@pytest.mark.parametrize(
    ("level", "children"),
    [
        ("patients", {"studies": 2, "series": 2, "instances": 3}),
        ("studies", {"series": 1, "instances": 2}),
        ("series", {"instances": 2}),
    ],
)
def test_children_are_objects_unless_ids_are_asked_for(
    filled: Server, level: str, children: dict[str, int]
) -> None:
    for child, count in children.items():
        objects = filled.get(f"/{level}/{IDS[level]}/{child}")
        assert len(objects) == count
        assert set(objects[0]) == MEMBERS[child]
        assert filled.get(f"/{level}/{IDS[level]}/{child}?expand=false") == [each["ID"] for each in objects]
        assert filled.failure("GET", f"/{level}/nope/{child}") == (404, 17)


@pytest.mark.parametrize(
    ("level", "parents"),
    [
        ("studies", ["patient"]),
        ("series", ["patient", "study"]),
        ("instances", ["patient", "study", "series"]),
    ],
)
def test_ancestors_are_objects(filled: Server, level: str, parents: list[str]) -> None:
    for parent in parents:
        found = filled.get(f"/{level}/{IDS[level]}/{parent}?expand=false")
        plural = {"patient": "patients", "study": "studies", "series": "series"}[parent]
        assert (found["ID"], set(found)) == (IDS[plural], MEMBERS[plural])
        assert filled.failure("GET", f"/{level}/nope/{parent}") == (404, 17)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_resource_has_no_answer(filled: Server, level: str, method: str) -> None:
    for unknown in ("nope", PATIENT[:-1] + "x", INSTANCE if level != "instances" else PATIENT):
        assert filled.failure(method, f"/{level}/{unknown}") == (404, None)


def test_statistics_count_what_is_below(filled: Server) -> None:
    size = sum(each["FileSize"] for each in filled.get("/instances?expand"))
    found = filled.get(f"/patients/{PATIENT}/statistics")
    assert found == {
        "DiskSize": str(size), "DiskSizeMB": 0, "UncompressedSize": str(size), "UncompressedSizeMB": 0,
        "DicomDiskSize": str(size), "DicomDiskSizeMB": 0, "DicomUncompressedSize": str(size),
        "DicomUncompressedSizeMB": 0, "CountStudies": 2, "CountSeries": 2, "CountInstances": 3,
    }  # fmt: skip
    assert set(filled.get(f"/series/{SERIES}/statistics")) == set(found) - {"CountStudies", "CountSeries"}
    assert not any(name.startswith("Count") for name in filled.get(f"/instances/{INSTANCE}/statistics"))
    assert filled.get("/studies/nope/statistics")["DiskSize"] == "0"


def test_deleting_tells_what_is_left(filled: Server) -> None:
    events: list[Event] = []
    filled.archive.database.finish()
    filled.archive.events.subscribe(events.append)
    response = filled.ask("DELETE", f"/instances/{INSTANCE}")
    assert response.body == (
        b'{"RemainingAncestor":{"ID":"%s","Path":"/series/%s","Type":"Series"}}' % ((SERIES.encode(),) * 2)
    )
    assert events == [ResourceDeleted(Level.INSTANCE, INSTANCE)]
    assert f'"/patients/{PATIENT}"'.encode() in filled.bytes_of("DELETE", f"/studies/{STUDY}")
    assert filled.ask("DELETE", f"/patients/{PATIENT}").body == b'{"RemainingAncestor":null}'
    assert filled.get("/statistics")["CountInstances"] == 0
    filled.settling.settle()
    assert list(filled.area.keys()) == []


def test_a_patient_can_be_protected(filled: Server) -> None:
    path = f"/patients/{PATIENT}/protected"
    for body, expected in ((b"1", b"1"), (b" false\n", b"0"), (b"true", b"1"), (b"0", b"0")):
        assert filled.ask("PUT", path, body).status == 200
        assert filled.ask("GET", path).body == expected
        assert filled.get(f"/patients/{PATIENT}")["IsProtected"] is (expected == b"1")
    for wrong in (b"", b"2", b"yes"):
        assert filled.failure("PUT", path, wrong) == (400, 15)
    for method in ("GET", "PUT"):
        assert filled.failure(method, "/patients/nope/protected", b"1") == (400, 3)


def test_a_read_only_server_knows_no_writing(build: Builder) -> None:
    server = build(RestOptions(is_read_only=True))
    for method, path in (
        ("POST", "/instances"),
        ("DELETE", f"/studies/{STUDY}"),
        ("PUT", f"/studies/{STUDY}/labels/a"),
        ("PUT", f"/patients/{PATIENT}/protected"),
    ):
        response = server.ask(method, path)
        assert (response.status, response.headers) == (405, ((b"allow", b"GET"),))
    assert server.failure("POST", "/tools/bulk-delete", {"Resources": []}) == (404, 17)
    assert server.failure("PUT", f"/studies/{STUDY}/metadata/1024") == (500, 22)
    assert server.failure("DELETE", "/changes") == (500, 22)


def test_the_level_of_patients_can_be_hidden(build: Builder) -> None:
    server = build(RestOptions(is_patient_level_enabled=False))
    server.post("/instances", slice_file())
    assert server.failure("GET", "/patients") == (404, 17)
    assert server.get(f"/studies/{STUDY}/patient")["ID"] == PATIENT
