import re
from typing import Any

import pytest
from tests.rest.builders import Builder, Server, ids, slice_file

from hounsfield.rest.door import RestOptions

PATIENT, STUDY, SERIES, INSTANCE = ids()


@pytest.fixture
def filled(server: Server) -> Server:
    server.post("/instances", slice_file())
    server.post("/instances", slice_file(instance="1.1.1.2"))
    return server


def test_the_server_says_what_it_is(build: Builder) -> None:
    found = build(RestOptions(name="A", user_metadata={"my-metadata": 1098})).get("/system")
    assert (found["ApiVersion"], found["Version"], found["Name"]) == (31, "1.13.0", "A")
    assert found["UserMetadata"] == {"my-metadata": 1098, "1098": 1098}
    assert found["MainDicomTags"]["Patient"] == "0010,0010;0010,0020;0010,0030;0010,0040;0010,1000"
    assert len(found) == 31


def test_everything_is_counted(filled: Server) -> None:
    found = filled.get("/statistics")
    size = 2 * len(slice_file())
    assert found == {
        "CountPatients": 1, "CountStudies": 1, "CountSeries": 1, "CountInstances": 2, "TotalDiskSize": str(size),
        "TotalUncompressedSize": str(size), "TotalDiskSizeMB": 0, "TotalUncompressedSizeMB": 0,
    }  # fmt: skip


def test_plugins_are_told(build: Builder) -> None:
    server = build(RestOptions(plugins={"dicom-web": {"Version": "1", "RootUri": "../dicom-web"}}))
    assert server.get("/plugins") == ["dicom-web", "explorer.js"]
    assert server.get("/plugins/dicom-web") == {
        "ID": "dicom-web", "Version": "1", "RootUri": "../dicom-web", "ExtendsOrthancExplorer": False,
    }  # fmt: skip
    assert server.failure("GET", "/plugins/nope") == (404, None)
    assert server.ask("GET", "/plugins/explorer.js").header(b"content-type") == b"application/javascript"


def test_the_way_to_the_explorer(build: Builder) -> None:
    for path, location in (
        ("/", b"app/explorer.html"),
        ("/favicon.ico", b"app/images/favicon.ico"),
        ("/app/explorer.html", b"../ui/app/"),
    ):
        response = build().ask("GET", path)
        assert (response.status, response.header(b"location")) == (307, location)
        assert build(RestOptions(is_explorer_enabled=False)).failure("GET", path)[0] == 404
    for path in ("/app", "/app/", "/app/nope"):
        assert build().failure("GET", path) == (404, None)


def test_the_time_is_told(server: Server) -> None:
    for name in ("now", "now-local"):
        response = server.ask("GET", f"/tools/{name}")
        assert response.header(b"content-type") == b"text/plain"
        assert isinstance(response.body, bytes)
        assert re.fullmatch(rb"\d{8}T\d{6}", response.body)


def test_identifiers_are_made(server: Server) -> None:
    levels = ("study", "series", "instance")
    made = [server.bytes_of("GET", f"/tools/generate-uid?level={each}") for each in levels]
    assert len(set(made)) == 3
    assert all(re.fullmatch(rb"[0-9.]{1,64}", uid) for uid in made)
    assert len(server.bytes_of("GET", "/tools/generate-uid?level=patient")) == 36
    for query in ("", "?level=Series", "?level=x"):
        assert server.failure("GET", f"/tools/generate-uid{query}") == (404, None)


@pytest.mark.parametrize(
    ("value", "level", "public_id"),
    [("P1", "Patient", PATIENT), ("p1", "Patient", PATIENT), ("1.1", "Study", STUDY), ("1.1.1", "Series", SERIES),
     ("1.1.1.1", "Instance", INSTANCE)],
)  # fmt: skip
def test_identifiers_are_looked_up(filled: Server, value: str, level: str, public_id: str) -> None:
    plural = {"Study": "studies", "Series": "series"}.get(level, level.lower() + "s")
    expected = [{"Type": level, "ID": public_id, "Path": f"/{plural}/{public_id}"}]
    assert filled.post("/tools/lookup", value.encode()) == expected


@pytest.mark.parametrize("value", [" P1", "P_", "P%", "*", "DOE^P1", PATIENT, ""])
def test_nothing_else_is_looked_up(filled: Server, value: str) -> None:
    assert filled.post("/tools/lookup", value.encode()) == []


def test_the_patient_without_id_is_looked_up_by_nothing(server: Server) -> None:
    server.post("/instances", slice_file(patient=""))
    assert [each["Type"] for each in server.post("/tools/lookup", b"")] == ["Patient"]


def test_many_objects_come_at_once(filled: Server) -> None:
    def content(body: dict[str, Any]) -> list[tuple[str, str]]:
        return [(each["Type"], each["ID"]) for each in filled.post("/tools/bulk-content", body)]

    names = [SERIES, "nope", INSTANCE, SERIES]
    assert content({"Resources": names}) == [("Series", SERIES), ("Instance", INSTANCE), ("Series", SERIES)]
    assert content({"Resources": names, "Level": "Patient"}) == [("Patient", PATIENT)]
    assert len(content({"Resources": [STUDY, INSTANCE], "Level": "Instance"})) == 2
    full = filled.post("/tools/bulk-content", {"Resources": [INSTANCE], "Short": True})[0]
    assert full["Metadata"]["Origin"] == "RestApi"
    assert full["MainDicomTags"]["0008,0018"] == "1.1.1.1"
    assert (
        "Metadata" not in filled.post("/tools/bulk-content", {"Resources": [INSTANCE], "Metadata": False})[0]
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, 15)),
        ({"Resources": "x"}, (400, 15)),
        ([], (400, 8)),
        ({"Resources": [], "Level": "x"}, (400, 3)),
    ],
)
def test_bad_requests_for_many_objects_are_refused(
    server: Server, body: object, expected: tuple[int, int]
) -> None:
    assert server.failure("POST", "/tools/bulk-content", body) == expected


def test_many_resources_are_deleted_at_once(filled: Server) -> None:
    other = ids(instance="1.1.1.2")[3]
    for wrong in ({}, {"Resources": [5]}, {"Resources": [{"ID": "x"}]}):
        assert filled.failure("POST", "/tools/bulk-delete", wrong) == (400, 8)
    body = b'{"Resources":["nope",{"Level":"Series","ID":"%s"},"%s","%s"]}' % (
        (other.encode(), INSTANCE.encode(), INSTANCE.encode())
    )
    assert filled.ask("POST", "/tools/bulk-delete", body).body == b""
    assert filled.get("/instances") == [other]


def test_changes_are_listed(filled: Server) -> None:
    found = filled.get("/changes")
    kinds = [each["ChangeType"] for each in found["Changes"]]
    assert kinds == ["NewInstance", "NewSeries", "NewStudy", "NewPatient", "NewInstance"]
    assert found["Changes"][0] == {
        "Seq": 1, "ChangeType": "NewInstance", "ResourceType": "Instance", "ID": INSTANCE,
        "Path": f"/instances/{INSTANCE}", "Date": found["Changes"][0]["Date"],
    }  # fmt: skip
    assert (found["Done"], found["First"], found["Last"]) == (True, 1, 5)


@pytest.mark.parametrize(
    ("query", "seqs", "is_done", "last"),
    [
        ("since=2", [3, 4, 5], True, 5),
        ("since=1&limit=2", [2, 3], False, 3),
        ("limit=0", [], False, 5),
        ("since=x&limit=y&to=z", [1, 2, 3, 4, 5], True, 5),
        ("to=3&limit=2", [2, 3], False, 3),
        ("since=1&to=3", [2, 3], True, 3),
        ("last", [5], True, 5),
        ("type=NewInstance", [1, 5], True, 5),
        ("type=NewStudy;NewSeries", [2, 3], True, 3),
        ("type=all", [1, 2, 3, 4, 5], True, 5),
        ("since=5", [], True, 5),
    ],
)
def test_changes_are_paged(filled: Server, query: str, seqs: list[int], is_done: bool, last: int) -> None:
    found = filled.get(f"/changes?{query}")
    assert [each["Seq"] for each in found["Changes"]] == seqs
    assert (found["Done"], found["Last"]) == (is_done, last)
    assert ("First" in found) is bool(seqs)


def test_the_log_can_be_emptied(filled: Server) -> None:
    assert filled.failure("GET", "/changes?type=Nope") == (400, 3)
    assert filled.ask("DELETE", "/changes").body == b""
    assert filled.get("/changes") == {"Changes": [], "Done": True, "Last": 5}
    filled.post("/instances", slice_file(instance="1.1.1.3"))
    assert filled.get("/changes")["First"] == 6
