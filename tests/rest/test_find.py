from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.rest.builders import Builder, Server, ids, slice_file

from hounsfield.rest.door import RestOptions

STUDIES = {"a": ids("P1", "1.1")[1], "b": ids("P2", "2.1")[1], "c": ids("P2", "2.2")[1]}


def fill(server: Server) -> Server:
    server.post(
        "/instances",
        slice_file("P1", "1.1", "1.1.1", "1.1.1.1", PatientName="Müller^Zoé", SpecificCharacterSet="ISO_IR 192",
                   StudyDate="20200102", AccessionNumber="A1", SliceThickness="1.5", SeriesNumber=2),
    )  # fmt: skip
    server.post(
        "/instances",
        slice_file("P2", "2.1", "2.1.1", "2.1.1.1", PatientName="SMITH^JOHN", StudyDate="20210601", Modality="MR",
                   SliceThickness="3", SeriesNumber=10),
    )  # fmt: skip
    server.post(
        "/instances",
        slice_file("P2", "2.2", "2.2.1", "2.2.1.1", PatientName="smith^john", StudyDate="20220101"),
    )
    return server


@pytest.fixture
def filled(server: Server) -> Server:
    return fill(server)


def names(found: list[str]) -> str:
    known = {str(public_id): name for name, public_id in STUDIES.items()}
    return "".join(sorted(known[each] for each in found))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "abc"),
        ({"PatientID": "P2"}, "bc"),
        ({"PatientID": ""}, "abc"),
        ({"PatientID": "p2"}, "bc"),
        ({"0010,0020": "P1"}, "a"),
        ({"00100020": "P1\\P2"}, "abc"),
        ({"PatientName": "smith*"}, "bc"),
        ({"PatientName": "m?ller^zo*"}, "a"),
        ({"PatientName": "muller*"}, ""),
        ({"PatientName": "%"}, ""),
        ({"StudyDate": "20200102"}, "a"),
        ({"StudyDate": "20200103-20211231"}, "b"),
        ({"StudyDate": "20210101-"}, "bc"),
        ({"StudyDate": "-20210101"}, "a"),
        ({"AccessionNumber": "*"}, "a"),
        ({"StudyInstanceUID": "2.1\\2.2"}, "bc"),
        ({"ModalitiesInStudy": "MR"}, "b"),
        ({"ModalitiesInStudy": "MR\\CT"}, "abc"),
        ({"ModalitiesInStudy": "*"}, ""),
        ({"NumberOfStudyRelatedInstances": "1"}, "abc"),
        ({"NumberOfStudyRelatedInstances": "2"}, ""),
        ({"SliceThickness": "1.5"}, "a"),
        ({"SliceThickness": "3", "PatientID": "P2"}, "b"),
        ({"StationName": "*"}, ""),
        ({"0002,0010": "1.2"}, ""),
    ],
)
def test_studies_are_found_by_their_attributes(filled: Server, query: dict[str, str], expected: str) -> None:
    body = {"Level": "Study", "Query": query}
    assert names(filled.post("/tools/find", body)) == expected
    if "SliceThickness" not in query and "StationName" not in query and "0002,0010" not in query:
        assert filled.post("/tools/count-resources", body) == {"Count": len(expected)}


def test_case_matters_only_if_asked(filled: Server) -> None:
    body = {"Level": "Study", "Query": {"PatientName": "SMITH*"}, "CaseSensitive": True}
    assert names(filled.post("/tools/find", body)) == "b"
    assert filled.failure("POST", "/tools/count-resources", body) == (400, 3)


@pytest.mark.parametrize("level", ["study", "STUDIES", "Studies", "Study"])
def test_a_level_has_several_names(filled: Server, level: str) -> None:
    assert len(filled.post("/tools/find", {"Level": level, "Query": {}})) == 3
    assert len(filled.post("/tools/find", {"Level": "Image", "Query": {}})) == 3


def test_results_are_in_ascending_order_and_paged(filled: Server) -> None:
    body: dict[str, Any] = {"Level": "Study", "Query": {}}
    everything = filled.post("/tools/find", body)
    assert everything == sorted(everything)
    assert filled.post("/tools/find", {**body, "Since": 1, "Limit": 1}) == everything[1:2]
    assert filled.post("/tools/find", {**body, "Limit": 2}) == everything[:2]
    assert filled.post("/tools/find", {**body, "Since": 2}) == everything[2:]
    assert filled.post("/tools/find", {**body, "Query": {"Rows": "2"}, "Limit": 1}) == everything[:1]


def test_results_may_be_ordered(filled: Server) -> None:
    def ordered(kind: str, key: str, direction: str) -> list[str]:
        order = [{"Type": kind, "Key": key, "Direction": direction}]
        found = filled.post("/tools/find", {"Level": "Series", "Query": {}, "OrderBy": order, "Expand": True})
        return [each["MainDicomTags"].get("SeriesNumber", "") for each in found]

    assert ordered("DicomTagAsInt", "SeriesNumber", "ASC") == ["2", "10", ""]
    assert ordered("DicomTagAsInt", "SeriesNumber", "DESC") == ["10", "2", ""]
    assert ordered("DicomTag", "SeriesNumber", "ASC") == ["10", "2", ""]


def test_results_may_be_expanded(filled: Server) -> None:
    body: dict[str, Any] = {"Level": "Study", "Query": {"PatientID": "P1"}}
    found = filled.post("/tools/find", {**body, "Expand": True, "RequestedTags": ["PatientID", "Rows"]})[0]
    assert found["RequestedTags"] == {"PatientID": "P1", "Rows": "2"}
    assert found["PatientMainDicomTags"]["PatientName"] == "Müller^Zoé"
    assert filled.post("/tools/find", {**body, "RequestedTags": ["Rows"]}) == [STUDIES["a"]]
    found = filled.post(
        "/tools/find", {**body, "ResponseContent": ["Labels", "MainDicomTags"], "Short": True}
    )[0]
    assert set(found) == {"ID", "Type", "Labels", "MainDicomTags", "PatientMainDicomTags"}
    assert found["MainDicomTags"]["0020,000d"] == "1.1"


def test_labels_filter(filled: Server) -> None:
    for name, labels in (("a", "xy"), ("b", "x")):
        for label in labels:
            assert filled.ask("PUT", f"/studies/{STUDIES[name]}/labels/{label}").status == 200

    def found(labels: list[str], constraint: str | None = None) -> str:
        more = {"LabelsConstraint": constraint} if constraint else {}
        return names(filled.post("/tools/find", {"Level": "Study", "Query": {}, "Labels": labels, **more}))

    assert [found(["x"]), found(["x", "y"]), found(["x", "y"], "Any"), found(["y"], "None")] == [
        "ab",
        "a",
        "ab",
        "bc",
    ]
    assert [found([]), found([], "Any"), found([], "None")] == ["abc", "abc", "c"]


def test_a_search_may_stay_below_a_resource(filled: Server) -> None:
    patient = ids("P2")[0]
    body: dict[str, Any] = {"Level": "Study", "Query": {}, "ParentPatient": patient}
    assert names(filled.post("/tools/find", body)) == "bc"
    assert filled.post("/tools/find", {**body, "ParentPatient": "nope"}) == []
    assert filled.post("/tools/find", {"Level": "Study", "Query": {}, "ParentStudy": STUDIES["a"]}) == [
        STUDIES["a"]
    ]
    assert filled.failure("POST", "/tools/find", {"Level": "Patient", "Query": {}, "ParentStudy": "x"}) == (
        500,
        6,
    )


def test_metadata_may_be_searched(filled: Server) -> None:
    body: dict[str, Any] = {"Level": "Instance", "Query": {}}
    assert len(filled.post("/tools/find", {**body, "MetadataQuery": {"Origin": "rest*"}})) == 3
    assert filled.post("/tools/find", {**body, "MetadataQuery": {"Origin": "Lua\\Plugins"}}) == []
    assert filled.failure("POST", "/tools/find", {**body, "MetadataQuery": {"Nope": "x"}}) == (404, 7)


def test_all_metadata_that_are_shown_may_be_searched(filled: Server) -> None:
    for level in ("patients", "studies", "series", "instances"):
        for public_id in filled.get(f"/{level}"):
            shown = filled.get(f"/{level}/{public_id}/metadata?expand")
            for name, value in shown.items():
                if not set(value) & set("*?\\"):
                    found = filled.post(
                        "/tools/find", {"Level": level, "Query": {}, "MetadataQuery": {name: value}}
                    )
                    assert public_id in found, name


def test_answers_may_be_capped(build: Builder) -> None:
    server = fill(build(RestOptions(limit_find_results=2, limit_find_instances=1)))
    assert len(server.post("/tools/find", {"Level": "Study", "Query": {}, "Limit": 9})) == 2
    assert len(server.post("/tools/find", {"Level": "Instance", "Query": {}})) == 1


def test_without_access_to_files_their_attributes_find_nothing(build: Builder) -> None:
    server = fill(build(RestOptions(storage_access="Never")))
    assert server.post("/tools/find", {"Level": "Study", "Query": {"SliceThickness": "3"}}) == []


GOOD: dict[str, Any] = {"Level": "Study", "Query": {}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, 8)),
        (b"{", (400, 8)),
        ([], (400, 8)),
        ({"Query": {}}, (400, 8)),
        ({"Level": 1, "Query": {}}, (400, 8)),
        ({"Level": "Study"}, (400, 8)),
        ({"Level": "x", "Query": {}}, (400, 3)),
        ({"Level": "Study", "Query": {"PatientName": 5}}, (400, 8)),
        ({"Level": "Study", "Query": {"Nope": ""}}, (500, 27)),
        ({**GOOD, "Expand": True, "RequestedTags": ["Nope"]}, (500, 27)),
        ({**GOOD, "Limit": -1}, (400, 3)),
        ({**GOOD, "Since": "1"}, (400, 8)),
        ({**GOOD, "Since": True}, (400, 8)),
        ({**GOOD, "CaseSensitive": 1}, (400, 8)),
        ({**GOOD, "Labels": "x"}, (400, 8)),
        ({**GOOD, "Labels": [1]}, (400, 8)),
        ({**GOOD, "LabelsConstraint": "all"}, (400, 8)),
        ({**GOOD, "RequestedTags": "x"}, (400, 8)),
        ({**GOOD, "ResponseContent": ["x"]}, (400, 3)),
        ({**GOOD, "ResponseContent": {}}, (400, 8)),
        ({**GOOD, "OrderBy": {}}, (400, 8)),
        ({**GOOD, "OrderBy": [{"Type": "DicomTag", "Key": "PatientID"}]}, (400, 8)),
        ({**GOOD, "OrderBy": [{"Type": "x", "Key": "PatientID", "Direction": "ASC"}]}, (400, 8)),
        ({**GOOD, "OrderBy": [{"Type": "Metadata", "Key": "nope", "Direction": "ASC"}]}, (404, 7)),
        ({**GOOD, "MetadataQuery": []}, (400, 8)),
        ({**GOOD, "ParentPatient": 1}, (400, 8)),
        ({"Level": "Instance", "Query": {"SOPInstanceUID": "*"}}, (400, 3)),
        ({"Level": "Study", "Query": {"StudyDate": "2020*"}}, (400, 3)),
        ({"Level": "Study", "Query": {"Rows": "2"}, "Since": 1}, (400, 8)),
        ({"Level": "Study", "Query": {"PatientID": "x"}, "CaseSensitive": True, "Since": 1}, (400, 8)),
    ],
)
def test_a_bad_search_is_refused(filled: Server, body: object, expected: tuple[int, int]) -> None:
    assert filled.failure("POST", "/tools/find", body) == expected


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_FIELDS = [
    "Query",
    "Limit",
    "Since",
    "Labels",
    "LabelsConstraint",
    "OrderBy",
    "MetadataQuery",
    "ParentPatient",
]
_FIELDS += ["RequestedTags", "ResponseContent", "Expand", "CaseSensitive", "Full"]
_TAGS = st.sampled_from(["PatientName", "StudyDate", "0010,0020", "Rows", "ModalitiesInStudy", "0020,1208"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(_FIELDS), _JSON, max_size=4),
    st.dictionaries(_TAGS, st.text(max_size=8) | st.text("*?-\\%_12 ", max_size=8), max_size=3),
    st.sampled_from(["Patient", "Study", "Series", "Instance"]),
)
def test_any_search_is_answered(
    filled: Server, fields: dict[str, Any], query: dict[str, str], level: str
) -> None:
    response = filled.ask("POST", "/tools/find", orjson.dumps({"Level": level, "Query": query, **fields}))
    assert response.error is None or response.error.code != -1, response.body
