"""Where Hounsfield differs from Orthanc by intention: what `docs/differences.md` says of Hounsfield."""

import hashlib
import json
from pathlib import Path
from uuid import UUID

import pytest
from pynetdicom import AE
from tests import instances
from tests.servers import RunningServer, running
from tests.walks.samples import Sample

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def by_name(samples: list[Sample]) -> dict[str, Sample]:
    return {sample.name: sample for sample in samples}


def _tags(server: RunningServer, sample: Sample) -> dict[str, object]:
    server.request("POST", "/instances", sample.data)
    found: dict[str, object] = server.json(f"/instances/{sample.public_id}/tags?short")
    return found


def test_large_packets_are_announced(server: RunningServer) -> None:
    entity = AE("WALKER")
    entity.add_requested_context("1.2.840.10008.1.1")
    association = entity.associate("127.0.0.1", server.dicom_port)
    assert association.acceptor.maximum_length == 131072
    association.release()


def test_a_damaged_file_is_healed_when_it_comes_again(tmp_path: Path) -> None:
    with running(tmp_path, {"OverwriteInstances": "IfChanged"}) as server:
        server.request("POST", "/instances", instances.file(1))
    path = next((tmp_path / "storage").glob("[0-9a-f][0-9a-f]/*/*"))
    damaged = bytearray(instances.file(1))
    damaged[-10] ^= 1
    path.write_bytes(damaged)
    with running(tmp_path, {"OverwriteInstances": "IfChanged"}) as server:
        answer = json.loads(server.request("POST", "/instances", instances.file(1))[1])
        assert answer["Status"] == "Success"
        found = server.request("GET", f"/instances/{instances.public_id(1)}/file")
        assert found == (200, instances.file(1))


def test_files_fill_one_folder_after_the_other(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        for number in range(40):
            server.request("POST", "/instances", instances.file(number))
    paths = list((tmp_path / "storage").glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*"))
    assert len(paths) == 40
    assert len({path.parent for path in paths}) == 1
    assert all(
        str(UUID(path.name)) == path.name and path.name.startswith(path.parent.parent.name) for path in paths
    )


def test_values_in_japanese_sets_are_separated(server: RunningServer, by_name: dict[str, Sample]) -> None:
    tags = _tags(server, by_name["J2K_pixelrep_mismatch"])
    assert tags["0008,0005"] == "ISO 2022 IR 13\\ISO 2022 IR 87"
    assert tags["0028,0030"] == "0.431\\0.431"


def test_all_character_sets_of_a_value_are_decoded(server: RunningServer, by_name: dict[str, Sample]) -> None:
    assert _tags(server, by_name["chrH32"])["0010,0010"] == "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"
    assert _tags(server, by_name["chrJapMulti"])["0010,0010"] == "やまだ^たろう"


def test_group_lengths_are_left_out(server: RunningServer, by_name: dict[str, Sample]) -> None:
    assert [key for key in _tags(server, by_name["693_UNCI"]) if key.endswith(",0000")] == []


def test_all_numbers_of_an_element_are_given(server: RunningServer, by_name: dict[str, Sample]) -> None:
    tags = _tags(server, by_name["examples_palette"])
    descriptors = [str(tags[f"0028,110{channel}"]).split("\\") for channel in (1, 2, 3)]
    assert [len(descriptor) for descriptor in descriptors] == [3, 3, 3]


@pytest.mark.parametrize("name", ["htj2k", "htj2k-lossless", "jpeg-xl", "jpeg-xl-lossless", "jpeg2000"])
def test_new_transfer_syntaxes_are_known_and_shown(
    server: RunningServer, by_name: dict[str, Sample], name: str
) -> None:
    sample = by_name[f"syntax-{name}"]
    server.request("POST", "/instances", sample.data)
    address = f"/instances/{sample.public_id}"
    status, syntax = server.request("GET", f"{address}/metadata/TransferSyntax")
    assert (status, syntax.decode()) == (200, sample.transfer_syntax_uid)
    assert server.request("GET", f"{address}/preview")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/patients?since=0&limit=-1", None),
        ("POST", "/tools/find", {"Level": "Study", "Query": []}),
        ("POST", "/tools/find", {"Level": "Study", "Query": {}, "Expand": 3}),
    ],
)
def test_mistakes_of_the_caller_are_bad_requests(
    server: RunningServer, method: str, path: str, body: object
) -> None:
    data = None if body is None else json.dumps(body).encode()
    assert server.request(method, path, data)[0] == 400


def test_a_frame_that_does_not_exist_is_a_bad_request(server: RunningServer) -> None:
    server.request("POST", "/instances", instances.file(1))
    address = f"/instances/{instances.public_id(1)}/frames/7"
    assert server.request("GET", f"{address}/raw")[0] == 400
    assert server.request("GET", f"{address}/preview")[0] == 415


def test_md5_is_computed_when_it_is_asked_for(server: RunningServer) -> None:
    server.request("POST", "/instances", instances.file(2))
    address = f"/instances/{instances.public_id(2)}/attachments/dicom"
    wanted = hashlib.md5(instances.file(2)).hexdigest().encode()
    assert server.request("GET", f"{address}/md5") == (200, wanted)
    assert server.request("POST", f"{address}/verify-md5", b"") == (200, b"{}")
