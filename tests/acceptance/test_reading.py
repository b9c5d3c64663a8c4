"""Section B: reading resources."""

import json
from io import BytesIO
from itertools import chain
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.acceptance.asking import failure, full, status_of, upload
from tests.rest.builders import ids, slice_file
from tests.servers import RunningServer

LEVELS = ("patients", "studies", "series", "instances")


def _changed(data: bytes, change: Any) -> bytes:
    """The file after a function changed its data set."""
    dataset = pydicom.dcmread(BytesIO(data))
    change(dataset)
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def test_objects_have_exactly_their_members(server: RunningServer) -> None:
    """Scenarios 27 and 28."""
    upload(server, slice_file(InstanceNumber=1))
    counts = {"patients": 8, "studies": 9, "series": 10, "instances": 8}
    for level, public_id in zip(LEVELS, ids(), strict=True):
        assert len(server.json(f"/{level}/{public_id}")) == counts[level]
    told = server.json(f"/instances/{ids()[3]}")
    assert (told["FileSize"], told["IndexInSeries"], told["Labels"]) == (
        len(slice_file(InstanceNumber=1)),
        1,
        [],
    )


@pytest.mark.parametrize("argument", ["requested-tags", "requestedTags"])
def test_requested_tags_are_one_member_more(server: RunningServer, argument: str) -> None:
    """Scenarios 29 and 30."""
    upload(server, slice_file(StudyDescription="S", RepetitionTime=500))
    names = "PatientID;StudyDescription;SeriesDescription;SOPClassUID;RepetitionTime;DerivationCodeSequence"
    for level, public_id in zip(LEVELS, ids(), strict=True):
        path = f"/{level}/{public_id}"
        told = server.json(f"{path}?{argument}={names}")
        requested = told.pop("RequestedTags")
        assert told == server.json(path) == server.json(f"{path}?response-content=Labels")
        assert sorted(requested) == sorted(names.split(";"))
        assert requested["StudyDescription"] == "S"
        assert requested["SeriesDescription"] is None
        assert status_of(server, "GET", f"{path}?{argument}=Nope") == 400


def test_lists_may_be_expanded_in_all_spellings(server: RunningServer) -> None:
    """Scenarios 31 and 32."""
    upload(server, slice_file())
    for path in ("/instances", "/series", "/studies", "/modalities", "/peers"):
        assert server.json(f"{path}?expand") == server.json(f"{path}?expand=true")
        assert server.json(path) == server.json(f"{path}?expand=false")
    study, series = ids()[1:3]
    assert server.json(f"/studies/{study}/series?expand=false") == [series]
    assert server.json(f"/studies/{study}/series") == [server.json(f"/series/{series}")]


def test_formats_of_tags_are_chosen_everywhere(server: RunningServer) -> None:
    """Scenario 33."""
    upload(server, slice_file())
    study = ids()[1]
    for path in (
        "/patients?expand&{}",
        f"/studies/{study}/patient?{{}}",
        f"/studies/{study}/module-patient?{{}}",
    ):
        short, long = (server.json(path.format(form)) for form in ("short", "full"))
        tags = [
            each[0]["MainDicomTags"] if "expand" in path else each.get("MainDicomTags", each)
            for each in (short, long)
        ]
        assert tags[0]["0010,0010"] == "DOE^P1"
        assert tags[1]["0010,0010"] == {"Name": "PatientName", "Type": "String", "Value": "DOE^P1"}
    found = server.json("/tools/find", {"Level": "Study", "Query": {}, "Expand": True, "Short": True})
    assert found[0]["PatientMainDicomTags"]["0010,0020"] == "P1"


def test_pages_hold_each_resource_once(server: RunningServer) -> None:
    """Scenarios 34 and 35."""
    for number in range(16):
        upload(server, slice_file(f"P{number % 5}", f"1.{number % 5}", f"1.{number % 5}.1", f"1.1.{number}"))
    everything = server.json("/instances")
    assert everything == sorted(everything)
    assert len(everything) == 16
    for size in (1, 2, 3, 7, 16, 17):
        pages = [server.json(f"/instances?since={start}&limit={size}") for start in range(0, 16, size)]
        assert list(chain(*pages)) == everything
    patients = server.json("/patients")
    assert server.json("/patients?since=0&limit=0") == patients
    assert server.json("/patients?since=1&limit=0") == patients[1:]
    assert status_of(server, "GET", "/patients?since=0") == 400


def test_relatives_are_objects_of_their_level(server: RunningServer) -> None:
    """Scenario 36."""
    upload(server, slice_file())
    patient, study, series, instance = ids()
    for path, kind, public_id in (
        (f"/studies/{study}/patient", "Patient", patient),
        (f"/series/{series}/study", "Study", study),
        (f"/instances/{instance}/series", "Series", series),
        (f"/instances/{instance}/patient", "Patient", patient),
    ):
        told = server.json(path)
        assert (told["Type"], told["ID"]) == (kind, public_id)


def test_modules_and_shared_tags(server: RunningServer) -> None:
    """Scenarios 37 and 38."""
    for number in (1, 2):
        upload(server, slice_file(instance=f"1.{number}", SeriesDescription="SD"))
    _, study, series, _ = ids()
    shared = server.json(f"/series/{series}/shared-tags?simplify")
    assert "PatientName" in shared
    assert "SOPInstanceUID" not in shared
    assert "PatientName" in server.json(f"/studies/{study}/module-patient?simplify")
    assert server.json(f"/series/{series}/module?simplify")["SeriesDescription"] == "SD"
    assert "0008,0018" in server.json(f"/instances/{server.json('/instances')[0]}/module")


def test_long_values_are_shown_on_demand(server: RunningServer) -> None:
    """Scenario 39."""
    text = "x" * 300
    instance = upload(server, _changed(slice_file(), lambda ds: ds.add_new(0x00181020, "LT", text)))["ID"]
    path = f"/instances/{instance}/tags"
    assert server.json(f"{path}?simplify")["SoftwareVersions"] is None
    assert server.json(path)["0018,1020"]["Type"] == "TooLong"
    for name in ("SoftwareVersions", "0018-1020"):
        assert server.json(f"{path}?simplify&ignore-length={name}")["SoftwareVersions"] == text
        shown = server.json(f"/series/{ids()[2]}/instances-tags?ignore-length={name}")
        assert shown[instance]["0018,1020"] == {"Name": "SoftwareVersions", "Type": "String", "Value": text}


def test_tags_behind_the_pixels_are_shown_on_demand(server: RunningServer) -> None:
    """Scenario 40."""

    def change(dataset: Dataset) -> None:
        block = dataset.private_block(0x7FE1, "MAKER", create=True)
        block.add_new(0x01, "LO", "behind")

    instance = upload(server, _changed(slice_file(), change))["ID"]
    assert "7fe1,1001" not in server.json(f"/instances/{instance}/tags")
    assert server.json(f"/instances/{instance}/tags?whole")["7fe1,1001"]["Value"] == "behind"
    # Scenario 45: a private tag that no dictionary knows.
    assert "behind" not in server.json(f"/instances/{instance}/simplified-tags").values()
    assert server.json(f"/instances/{instance}/simplified-tags?whole")["Unknown Tag & Data"] == "behind"


def test_the_header_tells_the_transfer_syntax(server: RunningServer) -> None:
    """Scenario 41."""
    instance = upload(server, slice_file())["ID"]
    assert server.json(f"/instances/{instance}/header?simplify")["TransferSyntaxUID"] == "1.2.840.10008.1.2.1"
    assert server.json(f"/instances/{instance}/header?short")["0002,0010"] == "1.2.840.10008.1.2.1"


def test_content_walks_through_nested_sequences(server: RunningServer) -> None:
    """Scenarios 42 and 43."""

    def change(dataset: Dataset) -> None:
        block = dataset.private_block(0x7FE1, "MAKER", create=True)
        inner = Dataset()
        inner.private_block(0x7FE1, "MAKER", create=True).add_new(0x57, "LO", "deep")
        outer = Dataset()
        outer.private_block(0x7FE1, "MAKER", create=True).add_new(
            0x08, "SQ", Sequence([Dataset()] * 2 + [inner])
        )
        block.add_new(0x01, "SQ", Sequence([outer]))

    instance = upload(server, _changed(slice_file(), change))["ID"]
    path = f"/instances/{instance}/content"
    assert server.request("GET", f"{path}/7fe1-1001/0/7fe1-1008/2/7fe1-1057") == (200, b"deep")
    assert server.request("GET", f"{path}/7fe1-1001/0/7fe1-1008/3/7fe1-1057")[0] == 404
    assert server.json(f"{path}/7fe0-0010") == ["0"]
    status, block = server.request("GET", f"{path}/7fe0-0010/0")
    assert (status, len(block)) == (200, 8)


def test_odd_representations_are_printed_as_texts(server: RunningServer) -> None:
    """Scenarios 44 and 47."""

    def change(dataset: Dataset) -> None:
        dataset.add_new(0x00280009, "AT", 0x00181063)
        dataset.add_new(0x00660016, "OF", bytes.fromhex("0000803f000000400000c03f"))
        dataset.add_new(0x00660040, "OL", bytes.fromhex("0100000002000000"))

    instance = upload(server, _changed(slice_file(), change))["ID"]
    tags = server.json(f"/instances/{instance}/simplified-tags")
    assert tags["FrameIncrementPointer"] == "0018,1063"
    assert [float(each) for each in tags["PointCoordinatesData"].split("\\")] == [1, 2, 1.5]
    assert tags["LongPrimitivePointIndexList"] == "1\\2"
    body = {"Replace": {"PointCoordinatesData": "4\\0.5"}}
    status, made = server.request("POST", f"/instances/{instance}/modify", json.dumps(body).encode())
    assert status == 200
    assert pydicom.dcmread(BytesIO(made))[0x00660016].value == bytes.fromhex("000080400000003f")


def test_a_file_as_json_of_dicomweb(server: RunningServer) -> None:
    """Scenario 48."""

    def change(dataset: Dataset) -> None:
        dataset.add_new(0x00081030, "LO", "")
        dataset.add_new(0x00191010, "UN", b"")
        dataset.add_new(0x00191011, "UN", b"\x42\x00")
        dataset.add_new(0x00190010, "LO", "MAKER")

    instance = upload(server, _changed(slice_file(), change))["ID"]
    _, headers, body = full(
        server, "GET", f"/instances/{instance}/file", headers={"Accept": "application/dicom+json"}
    )
    told = json.loads(body)
    told = told[0] if isinstance(told, list) else told
    assert headers["Content-Type"] == "application/dicom+json"
    assert told["00081030"] == {"vr": "LO"}
    assert told["00191010"] == {"vr": "UN"}
    assert told["00191011"] == {"vr": "UN", "InlineBinary": "QgA="}


def test_lists_may_be_xml(server: RunningServer) -> None:
    """Scenarios 49 and 50."""
    tools = server.json("/tools")
    assert {"now", "dicom-conformance", "invalidate-tags"} <= set(tools)
    _, body = server.request("GET", "/tools", headers={"Accept": "application/xml"})
    assert body.count(b"<item>") == len(tools)
    assert b"<root>" in body
    assert status_of(server, "GET", "/tools/nope") == status_of(server, "GET", "/nope/nope.html") == 404


def test_what_is_not_there_is_told_in_plain_text(server: RunningServer) -> None:
    """Scenarios 51 and 249."""
    status, headers, body = full(server, "PUT", "/system", b"")
    assert (status, body, headers["Content-Type"], headers["Allow"]) == (405, b"", None, "GET")
    status, headers, body = full(server, "GET", "/nope/%3Cscript%3Ealert(1)%3C/script%3E")
    assert (status, headers["Content-Type"]) == (404, "text/plain")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert json.loads(body)["OrthancStatus"] == 17


def test_sizes_add_up_at_every_level(server: RunningServer) -> None:
    """Scenarios 52 and 53."""
    sizes: dict[str, int] = {}
    for number in range(6):
        patient = f"P{number % 2}"
        data = slice_file(
            patient,
            f"1.{number % 3}.{number % 2}",
            f"2.{number}",
            f"3.{number}",
            ImageComments="c" * number * 10,
        )
        upload(server, data)
        sizes[patient] = sizes.get(patient, 0) + len(data)
    total = server.json("/statistics")["TotalUncompressedSize"]
    for level in LEVELS:
        told = [
            server.json(f"/{level}/{each}/statistics")["UncompressedSize"]
            for each in server.json(f"/{level}")
        ]
        assert sum(map(int, told)) == int(total)
    for patient, size in sizes.items():
        told = server.json(f"/patients/{ids(patient)[0]}/statistics")
        assert (told["DicomDiskSize"], told["DiskSize"]) == (str(size), str(size))


def test_a_name_of_a_file_cannot_leave_its_header(server: RunningServer) -> None:
    """Scenario 54."""
    instance = upload(server, slice_file())["ID"]

    def name(query: str, path: str = "file") -> str:
        _, headers, _ = full(server, "GET", f"/instances/{instance}/{path}{query}")
        assert headers["X-Evil"] is None
        return str(headers["Content-Disposition"])

    assert name('?filename="toto".dcm') == 'filename="toto.dcm"'
    assert name("?filename=a%0d%0aX-Evil:%20b") == 'filename="aX-Evil: b"'
    uuid = server.json(f"/instances/{instance}/attachments/dicom/info")["Uuid"]
    assert name("", "attachments/dicom/data") == f'filename="{uuid}"'


def test_private_tags_get_the_name_of_their_creators_dictionary(server: RunningServer) -> None:
    """Scenario 46."""

    def change(dataset: Dataset) -> None:
        dataset.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x01, "LO", "x")

    instance = upload(server, _changed(slice_file(), change))["ID"]
    told = server.json(f"/instances/{instance}/tags")["0009,1001"]
    assert told["PrivateCreator"] == "GEMS_PETD_01"
    assert told["Name"] != "Unknown Tag & Data"
    assert failure(server, "GET", f"/instances/{instance}/content/NoSuchName") == (500, 27)


def test_names_of_patients_are_never_markup(server: RunningServer) -> None:
    """Scenario 249."""
    instance = upload(server, slice_file(PatientName="<script>alert(1)</script>"))["ID"]
    for path in (
        f"/instances/{instance}/simplified-tags",
        "/patients?expand",
        f"/instances/{instance}/content/0010-0010",
    ):
        _, headers, _ = full(server, "GET", path)
        assert "html" not in headers["Content-Type"]
        assert headers["X-Content-Type-Options"] == "nosniff"
