"""Section A: upload, hierarchy, deletion."""

import gzip
import json
from io import BytesIO
from typing import Any

import pydicom
import pytest
from tests.acceptance.asking import failure, find, status_of, until, upload
from tests.rest.builders import ids, slice_file
from tests.servers import RunningServer


def test_an_empty_server_counts_nothing_in_strings(server: RunningServer) -> None:
    """Scenario 1."""
    statistics = server.json("/statistics")
    assert statistics["TotalDiskSize"] == statistics["TotalUncompressedSize"] == "0"


def test_an_upload_tells_where_it_went(server: RunningServer) -> None:
    """Scenarios 2 and 3."""
    patient, study, series, instance = ids()
    told = upload(server, slice_file())
    assert told == {
        "ID": instance,
        "ParentPatient": patient,
        "ParentSeries": series,
        "ParentStudy": study,
        "Path": f"/instances/{instance}",
        "Status": "Success",
    }
    before = server.json("/statistics")
    assert upload(server, slice_file())["Status"] == "AlreadyStored"
    assert server.json("/statistics") == before


@pytest.mark.parametrize("body", [b"x", b""])
def test_what_is_no_dicom_is_refused_with_its_code(server: RunningServer, body: bytes) -> None:
    """Scenario 7."""
    assert failure(server, "POST", "/instances", body) == (400, 15)


def test_only_known_encodings_of_content_count(server: RunningServer) -> None:
    """Scenario 8."""
    plain, packed = slice_file(), gzip.compress(slice_file(instance="1.2"))
    assert status_of(server, "POST", "/instances", packed) == 400
    assert status_of(server, "POST", "/instances", packed, {"Content-Encoding": "nope"}) == 400
    assert status_of(server, "POST", "/instances", packed, {"Content-Encoding": "gzip"}) == 200
    assert status_of(server, "POST", "/instances", plain, {"Content-Encoding": "nope"}) == 200
    assert len(server.json("/instances")) == 2


def test_a_form_of_an_odd_client_stores_its_files(server: RunningServer) -> None:
    """Scenario 11."""
    parts = b"".join(
        b'--b0\r\nContent-Disposition :  form-data;name = "f";  filename="a.dcm"\r\ncontent-type:x/y\r\n\r\n'
        + slice_file(instance=f"1.{number}")
        + b"\r\n"
        for number in (1, 2)
    )
    headers = {
        "Content-Type": "multipart/form-data ;   boundary=b0",
        "X-Requested-With": "XMLHttpRequest",
    }
    assert server.request("POST", "/instances", parts + b"--b0--\r\n", headers) == (200, b"")
    assert len(server.json("/instances")) == 2


def test_files_in_interleaved_pieces_are_stored_once_they_are_whole(server: RunningServer) -> None:
    """Scenario 12."""
    files = {name: slice_file(instance=f"1.{number}") for number, name in enumerate("ab")}

    def send(name: str, piece: bytes) -> None:
        form = (
            b'--b0\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n'
            + piece
            + b"\r\n--b0--\r\n"
        )
        headers = {
            "Content-Type": "multipart/form-data; boundary=b0",
            "X-Requested-With": "XMLHttpRequest",
            "X-File-Name": name,
            "X-File-Size": str(len(files[name])),
            "Content-Range": "bytes 0-1/2",
        }
        assert status_of(server, "POST", "/instances", form, headers) == 200

    send("a", files["a"][:300])
    send("b", files["b"][:200])
    assert server.json("/instances") == []
    send("b", files["b"][200:])
    assert server.json("/instances") == [ids(instance="1.1")[3]]
    send("a", files["a"][300:])
    assert len(server.json("/instances")) == 2


def test_sequences_without_end_are_refused_and_the_server_lives(server: RunningServer) -> None:
    """Scenario 13."""
    before_pixels = slice_file()
    at = before_pixels.index(b"\xe0\x7f\x10\x00")
    deep = (b"\x11\x00\x10\x00SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * 20_000
    assert status_of(server, "POST", "/instances", before_pixels[:at] + deep) == 400
    assert server.json("/system")["Name"] is not None


def test_a_file_without_patient_id_belongs_to_the_patient_without_one(server: RunningServer) -> None:
    """Scenario 14."""
    told = upload(server, slice_file(patient="", PatientID=None))
    assert told["ParentPatient"] == ids(patient="")[0]
    made = server.json(f"/studies/{told['ParentStudy']}/modify", {"Replace": {"StudyDescription": "x"}})
    assert server.json(f"/studies/{made['ID']}")["MainDicomTags"]["StudyDescription"] == "x"


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_a_file_without_an_identifier_lacks_a_tag(server: RunningServer, keyword: str) -> None:
    """Scenario 14."""
    without: dict[str, Any] = {keyword: None}
    assert failure(server, "POST", "/instances", slice_file(**without)) == (404, 21)


def _two_studies(server: RunningServer) -> None:
    for number in range(4):
        upload(server, slice_file("A", "1.1", f"1.1.{number // 2}", f"1.1.{number // 2}.{number}"))
    for number in range(5):
        series = 1 if number < 2 else 2
        upload(server, slice_file("B", "1.2", f"1.2.{series}", f"1.2.{series}.{number}"))


def test_levels_are_counted_and_listed_below_each_other(server: RunningServer) -> None:
    """Scenario 16."""
    _two_studies(server)
    assert [len(server.json(f"/{each}")) for each in ("patients", "studies", "series", "instances")] == [
        2,
        2,
        4,
        9,
    ]
    assert len(server.json(f"/patients/{ids('A')[0]}/instances")) == 4
    assert len(server.json(f"/series/{ids('B', '1.2', '1.2.2')[2]}/instances")) == 3


def test_deletion_tells_the_nearest_ancestor_that_stays(server: RunningServer) -> None:
    """Scenarios 17 to 20."""
    _two_studies(server)

    def delete(path: str) -> object:
        status, answer = server.request("DELETE", path)
        assert status == 200
        return json.loads(answer)["RemainingAncestor"]

    assert delete(f"/studies/{ids('A', '1.1')[1]}") is None
    assert len(server.json("/patients")) == 1
    patient, study, second, _ = ids("B", "1.2", "1.2.2")
    remaining = delete(f"/series/{second}")
    assert remaining == {"ID": study, "Path": f"/studies/{study}", "Type": "Study"}
    first, zero, one = (ids("B", "1.2", "1.2.1", f"1.2.1.{n}")[i] for n, i in ((0, 2), (0, 3), (1, 3)))
    assert delete(f"/instances/{zero}") == {"ID": first, "Path": f"/series/{first}", "Type": "Series"}
    assert delete(f"/instances/{one}") is None
    assert [server.json(f"/{each}") for each in ("patients", "studies", "series", "instances")] == [[]] * 4
    for path in (f"/instances/{one}", f"/series/{first}", f"/studies/{study}", f"/patients/{patient}"):
        assert server.request("DELETE", path) == (404, b"")


def test_deleting_an_instance_touches_its_ancestors(server: RunningServer) -> None:
    """Scenario 21."""
    patient, study, series, instance = ids()
    upload(server, slice_file())
    upload(server, slice_file(instance="1.9"))
    paths = [
        f"/{level}/{each}"
        for level, each in zip(("patients", "studies", "series"), (patient, study, series), strict=True)
    ]

    def updates() -> list[str]:
        return [server.json(path)["LastUpdate"] for path in paths]

    before = updates()
    until(lambda: server.request("GET", "/tools/now")[1].decode() > max(before))
    assert status_of(server, "DELETE", f"/instances/{instance}") == 200
    assert all(new > old for new, old in zip(updates(), before, strict=True))


def test_studies_of_one_patient_id_show_their_own_names(server: RunningServer) -> None:
    """Scenario 22."""
    upload(server, slice_file("COMMON", "1.1", PatientName="FOO"))
    upload(server, slice_file("COMMON", "1.2", "1.2.1", "1.2.1.1", PatientName="HELLO"))
    assert len(server.json("/patients")) == 1
    names = {each["PatientMainDicomTags"]["PatientName"] for each in server.json("/studies?expand")}
    assert names == {"FOO", "HELLO"}
    assert len(find(server, "Study", {"PatientName": "FOO\\HELLO"})) == 2


def test_a_wrong_level_is_not_found(server: RunningServer) -> None:
    """Scenario 24."""
    upload(server, slice_file())
    patient = ids()[0]
    assert failure(server, "GET", f"/studies/{patient}/metadata") == (404, 17)
    assert failure(server, "GET", f"/studies/{patient}") == (404, None)


def test_a_series_tells_when_it_is_complete_and_when_it_has_too_many(server: RunningServer) -> None:
    """Scenario 25."""
    series = ids()[2]
    seen = []
    for number in range(1, 6):
        upload(
            server,
            slice_file(
                instance=f"1.{number}",
                InstanceNumber=number,
                ImagesInAcquisition=4,
                NumberOfTemporalPositions=1,
            ),
        )
        told = server.json(f"/series/{series}")
        seen.append(told["Status"])
        assert told["ExpectedNumberOfInstances"] == 4
    assert seen == ["Missing", "Missing", "Missing", "Complete", "Inconsistent"]
    kinds = [each["ChangeType"] for each in server.json("/changes")["Changes"]]
    assert kinds.count("CompletedSeries") == 1


def test_a_series_that_expects_nothing_is_unknown(server: RunningServer) -> None:
    """Scenario 26."""
    upload(server, slice_file())
    told = server.json(f"/series/{ids()[2]}")
    assert (told["Status"], told["ExpectedNumberOfInstances"]) == ("Unknown", None)


def test_a_bare_data_set_has_no_offset_of_pixels_to_tell(server: RunningServer) -> None:
    """Scenario 15."""
    dataset = pydicom.dcmread(BytesIO(slice_file()))
    bare = BytesIO()
    pydicom.dcmwrite(bare, pydicom.Dataset(dataset), implicit_vr=True, little_endian=True)
    instance = upload(server, bare.getvalue())["ID"]
    metadata = server.json(f"/instances/{instance}/metadata?expand")
    assert metadata["TransferSyntax"] == "1.2.840.10008.1.2"
    assert metadata.get("PixelDataOffset") == ""
