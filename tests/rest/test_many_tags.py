import pytest
from tests.rest.builders import Server, ids, slice_file

PATIENT, STUDY, SERIES, INSTANCE = ids()
PATHS = {"patients": PATIENT, "studies": STUDY, "series": SERIES}


@pytest.fixture
def filled(server: Server) -> Server:
    for number in (1, 2):
        server.post(
            "/instances",
            slice_file(instance=f"1.1.1.{number}", InstanceNumber=number, ImageComments="x" * 300),
        )
    return server


@pytest.mark.parametrize("level", PATHS)
def test_attributes_are_given_by_instance(filled: Server, level: str) -> None:
    path = f"/{level}/{PATHS[level]}/instances-tags"
    found = filled.get(path + "?simplify")
    assert set(found) == set(filled.get("/instances"))
    assert found[INSTANCE] == filled.get(f"/instances/{INSTANCE}/simplified-tags")
    assert filled.get(path)[INSTANCE] == filled.get(f"/instances/{INSTANCE}/tags")
    assert filled.get(path + "?short&ignore-length=ImageComments")[INSTANCE]["0020,4000"] == "x" * 300
    assert filled.failure("GET", f"/{level}/nope/instances-tags") == (404, 17)


@pytest.mark.parametrize("level", PATHS)
def test_shared_attributes_are_the_same_in_all(filled: Server, level: str) -> None:
    path = f"/{level}/{PATHS[level]}/shared-tags"
    found = filled.get(path + "?simplify")
    assert (found["PatientID"], found["Rows"]) == ("P1", "2")
    assert not {"InstanceNumber", "SOPInstanceUID", "PixelData", "ImageComments"} & set(found)
    assert filled.get(path)["0010,0020"] == {"Name": "PatientID", "Type": "String", "Value": "P1"}
    assert filled.get(path + "?short")["0010,0020"] == "P1"
    assert filled.failure("GET", f"/{level}/nope/shared-tags") == (404, 17)


def test_of_one_instance_every_text_is_shared(server: Server) -> None:
    server.post("/instances", slice_file())
    assert server.get(f"/series/{SERIES}/shared-tags?simplify")["SOPInstanceUID"] == "1.1.1.1"
