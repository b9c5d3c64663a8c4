"""Transfers between peers in buckets: two servers, both ways, and what does not fit."""

import gzip
import hashlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from tests.conformance.peers import make_file, upload
from tests.proxy import Fault, How, Proxy
from tests.servers import RunningServer, running

from hounsfield.config.forwarding import check_transfers
from hounsfield.remote.transfer import Part, bucket_length, plan

FILES = [
    make_file(
        StudyInstanceUID="1.1",
        SeriesInstanceUID="1.1.1",
        SOPInstanceUID=f"1.1.1.{n}",
        TextValue="x" * (40_000 if n == 2 else 50),
    )
    for n in range(6)
]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[RunningServer, RunningServer]]:
    """One that has something, and one that has not; buckets are small."""
    (tmp_path / "near").mkdir()
    (tmp_path / "far").mkdir()
    options = {"Transfers": {"BucketSize": 4, "MaxPushTransactions": 2}}
    with running(tmp_path / "near", options) as near, running(tmp_path / "far", options) as far:
        _define(near, "far", {"Url": f"http://127.0.0.1:{far.http_port}"})
        _define(near, "known", {"Url": f"http://127.0.0.1:{far.http_port}", "RemoteSelf": "near"})
        _define(far, "near", {"Url": f"http://127.0.0.1:{near.http_port}"})
        upload(near, *FILES)
        yield near, far


def _define(server: RunningServer, name: str, body: object) -> None:
    assert server.request("PUT", f"/peers/{name}", json.dumps(body).encode())[0] == 200


def _ended(server: RunningServer, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        job: dict[str, Any] = server.json(f"/jobs/{job_id}")
        if job["State"] in ("Success", "Failure"):
            return job
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _failure(server: RunningServer, method: str, path: str, body: object = b"") -> tuple[int, int]:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, answer = server.request(method, path, sent)
    assert status >= 400, answer
    return status, json.loads(answer)["OrthancStatus"] if answer else 0


def _study(server: RunningServer) -> list[dict[str, str]]:
    return [{"Level": "Study", "ID": public_id} for public_id in server.json("/studies")]


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_instances_are_pushed(pair: tuple[RunningServer, RunningServer], compression: str) -> None:
    near, far = pair
    body = {"Resources": _study(near), "Compression": compression, "Peer": "far"}
    job = _ended(near, near.json("/transfers/send", body)["ID"])
    assert (job["Type"], job["State"]) == ("PushTransfer", "Success")
    content = job["Content"]
    assert (content["TotalInstances"], content["Peer"], content["Compression"]) == (6, "far", compression)
    assert content["CompletedHttpQueries"] > 3
    assert far.json("/instances") == near.json("/instances")
    for public_id in near.json("/instances"):
        path = f"/instances/{public_id}/file"
        assert far.request("GET", path)[1] == near.request("GET", path)[1]
    again = _ended(near, near.json("/transfers/send", {**body, "Resources": []})["ID"])
    assert (again["State"], again["Content"]["TotalInstances"]) == ("Success", 0)


def test_a_peer_that_knows_us_fetches_by_itself(pair: tuple[RunningServer, RunningServer]) -> None:
    near, far = pair
    body = {"Resources": _study(near), "Compression": "gzip", "Peer": "known"}
    answer = near.json("/transfers/send", body)
    assert (answer["Peer"], answer["URL"]) == (
        "known",
        f"http://127.0.0.1:{far.http_port}/jobs/{answer['RemoteJob']}",
    )
    job = _ended(far, answer["RemoteJob"])
    assert (job["Type"], job["State"], job["Content"]["TotalInstances"]) == ("PullTransfer", "Success", 6)
    assert far.json("/instances") == near.json("/instances")
    assert near.json("/transfers/peers") == {"far": "installed", "known": "bidirectional"}
    wrong = far.json("/transfers/pull", {**body, "Peer": "near", "Originator": "somebody else"})
    assert _ended(far, wrong["ID"])["State"] == "Failure"


def test_files_are_given_in_stretches(pair: tuple[RunningServer, RunningServer]) -> None:
    near, _ = pair
    found = near.json("/transfers/lookup", _study(near))
    assert (found["CountInstances"], found["TotalSize"]) == (6, str(sum(map(len, FILES))))
    ids = [each["ID"] for each in found["Instances"]]
    files = {public_id: near.request("GET", f"/instances/{public_id}/file")[1] for public_id in ids}
    assert {each["ID"]: each["MD5"] for each in found["Instances"]} == {
        public_id: hashlib.md5(file).hexdigest() for public_id, file in files.items()
    }
    whole = b"".join(files[public_id] for public_id in ids[:3])
    path = "/transfers/chunks/" + ".".join(ids[:3])
    assert near.request("GET", path)[1] == whole
    first = len(files[ids[0]])
    for offset, size in ((0, 10), (5, 100), (first + 3, 7), (first - 3, 0), (10**9, 5), (3, 10**9)):
        expected = whole[offset : offset + size] if size else whole[offset:]
        assert near.request("GET", f"{path}?offset={offset}&size={size}")[1] == expected
    assert gzip.decompress(near.request("GET", f"{path}?compression=gzip")[1]) == whole
    assert _failure(near, "GET", f"{path}?offset=x") == (400, 5)
    assert _failure(near, "GET", "/transfers/chunks/nope") == (404, 17)


def test_what_does_not_fit_is_refused(pair: tuple[RunningServer, RunningServer]) -> None:
    near, far = pair
    (public_id,) = near.json("/instances")[:1]
    file = near.request("GET", f"/instances/{public_id}/file")[1]
    part = {"ID": public_id, "Size": str(len(file)), "MD5": hashlib.md5(file).hexdigest()}
    bucket = {"ID": public_id, "Offset": "0", "Size": str(len(file))}
    announced = {"Buckets": [[bucket]], "Compression": "none", "Instances": [part]}
    path = far.json("/transfers/push", announced)["Path"]
    assert _failure(far, "PUT", f"{path}/0", b"short") == (500, 9)
    assert _failure(far, "PUT", f"{path}/1", file) == (400, 3)
    assert _failure(far, "PUT", f"{path}/x", file) == (404, 17)
    assert _failure(far, "POST", f"{path}/commit") == (500, 20)
    assert far.request("PUT", f"{path}/0", b"\0" * len(file))[0] == 200
    assert _failure(far, "POST", f"{path}/commit") == (500, 20)
    assert far.json("/instances") == []
    assert far.request("PUT", f"{path}/0", file)[0] == 200
    assert far.request("POST", f"{path}/commit", b"") == (200, b"{}")
    assert far.json("/instances") == [public_id]
    assert _failure(far, "POST", f"{path}/commit") == (404, 17)
    oldest = far.json("/transfers/push", announced)["Path"]
    others = [far.json("/transfers/push", announced)["Path"] for _ in range(2)]
    assert _failure(far, "PUT", f"{oldest}/0", file) == (404, 17)
    assert far.request("DELETE", others[0]) == (200, b"{}")
    assert _failure(far, "DELETE", others[0]) == (404, 17)
    for wrong in (
        {**announced, "Buckets": []},
        {**announced, "Buckets": [[bucket], [bucket]]},
        {**announced, "Buckets": [[{**bucket, "Offset": "5"}]]},
        {**announced, "Instances": [part, part]},
        {**announced, "Compression": "zip"},
        {"Buckets": 1},
    ):
        assert _failure(far, "POST", "/transfers/push", wrong)[0] == 400


def test_errors_of_the_caller_are_told(pair: tuple[RunningServer, RunningServer]) -> None:
    near, _ = pair
    good = {"Resources": _study(near), "Compression": "gzip", "Peer": "far"}
    assert _failure(near, "POST", "/transfers/send", {**good, "Peer": "nope"}) == (404, 17)
    assert _failure(near, "POST", "/transfers/send", {**good, "Compression": "zip"}) == (400, 3)
    assert _failure(near, "POST", "/transfers/send", {**good, "Resources": [{"ID": "x"}]}) == (400, 15)
    assert _failure(near, "POST", "/transfers/lookup", {}) == (400, 15)
    unknown = [{"Level": "Study", "ID": "nope"}]
    assert _failure(near, "POST", "/transfers/lookup", unknown) == (404, 17)
    for route, peer in (("send", "far"), ("pull", "far")):
        answer = near.json(f"/transfers/{route}", {**good, "Resources": unknown, "Peer": peer})
        assert _ended(near, answer["ID"])["State"] == "Failure"


@given(st.lists(st.integers(0, 5000), max_size=60), st.integers(1, 3000))
def test_buckets_hold_every_byte_once(sizes: list[int], bucket_size: int) -> None:
    parts = [Part(f"{number:044d}", size, "") for number, size in enumerate(sizes)]
    buckets = plan(parts, bucket_size, longest_ids=1000)
    ends = dict.fromkeys((part.id for part in parts), 0)
    for bucket in buckets:
        assert len(bucket) * 45 <= 1000 + 45
        assert bucket_length(bucket) <= 3 * bucket_size + 5000 // bucket_size
        for place, chunk in enumerate(bucket):
            assert ends[chunk.id] == chunk.offset
            assert place == 0 or chunk.offset == 0
            ends[chunk.id] += chunk.size
    assert ends == {part.id: part.size for part in parts}


def test_a_silent_peer_holds_nobody_up(tmp_path: Path) -> None:
    with running(tmp_path, {"Transfers": {"PeerConnectivityTimeout": 1}}) as server:
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
        for number, listener in enumerate(listeners):
            _define(server, f"silent{number}", {"Url": f"http://127.0.0.1:{listener.getsockname()[1]}/"})
        began = time.monotonic()
        assert set(server.json("/transfers/peers").values()) == {"disabled"}
        assert time.monotonic() - began < 20
        for listener in listeners:
            listener.close()


@pytest.mark.parametrize("direction", ["push", "pull"])
@pytest.mark.parametrize("how", [How.CLOSE, How.RESET, How.TRUNCATE, How.STALL])
def test_a_bucket_that_is_cut_is_asked_for_again(tmp_path: Path, direction: str, how: How) -> None:
    (tmp_path / "near").mkdir()
    (tmp_path / "far").mkdir()
    options = {"Transfers": {"BucketSize": 4, "MaxHttpRetries": 2}, "HttpTimeout": 2}
    with (
        running(tmp_path / "near", options) as near,
        running(tmp_path / "far", options) as far,
        Proxy(far.http_port) as proxy,
    ):
        _define(near, "far", {"Url": f"http://127.0.0.1:{proxy.port}"})
        source, sink = (near, far) if direction == "push" else (far, near)
        upload(source, *FILES)
        # The first connection is that of the announcement.
        proxy.reset(Fault(how, direction == "push", 500, connection=2))
        body = {"Resources": _study(source), "Compression": "none", "Peer": "far"}
        path = "/transfers/send" if direction == "push" else "/transfers/pull"
        job = _ended(near, near.json(path, body)["ID"])
        assert proxy.has_struck
        assert job["State"] == "Success", job
        assert sink.json("/instances") == source.json("/instances")


def test_transfers_by_https_with_certificates_of_both_sides(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    servers = []
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    for name in ("near", "far"):
        (tmp_path / name).mkdir()
        issued = authority.issue_cert("127.0.0.1", name).private_key_and_cert_chain_pem
        issued.write_to_path(tmp_path / f"{name}.pem")
        options = {
            "SslEnabled": True,
            "SslCertificate": str(tmp_path / f"{name}.pem"),
            "SslVerifyPeers": True,
            "SslTrustedClientCertificates": str(tmp_path / "ca.pem"),
            "HttpsCACertificates": str(tmp_path / "ca.pem"),
            "Transfers": {"BucketSize": 4},
        }
        servers.append((tmp_path / name, options))
    context.load_cert_chain(tmp_path / "near.pem")
    with (
        running(servers[0][0], servers[0][1], tls=context) as near,
        running(servers[1][0], servers[1][1], tls=context) as far,
    ):
        url = f"https://127.0.0.1:{far.http_port}/"
        _define(near, "far", {"Url": url, "CertificateFile": str(tmp_path / "near.pem")})
        _define(near, "nobody", {"Url": url})
        assert near.json("/transfers/peers") == {"far": "installed", "nobody": "disabled"}
        upload(near, *FILES[:3])
        body = {"Resources": _study(near), "Compression": "gzip", "Peer": "far"}
        assert _ended(near, near.json("/transfers/send", body)["ID"])["State"] == "Success"
        assert far.json("/instances") == near.json("/instances")
        upload(far, *FILES[3:])
        body = {"Resources": _study(far), "Compression": "gzip", "Peer": "far"}
        assert _ended(near, near.json("/transfers/pull", body)["ID"])["State"] == "Success"
        assert far.json("/instances") == near.json("/instances")
        body = {"Resources": _study(near), "Compression": "none", "Peer": "nobody"}
        assert _ended(near, near.json("/transfers/send", body)["ID"])["State"] == "Failure"
        figures = far.request("GET", "/tools/metrics-prometheus")[1].decode()
        assert "orthanc_transfers_committed_push_count 1 " in figures


@pytest.mark.parametrize("number", [0, -1, "four"])
def test_a_server_that_could_receive_nothing_does_not_start(number: int | str) -> None:
    refused = list(check_transfers({"Transfers": {"MaxPushTransactions": number}}))
    assert [each.code for each in refused] == [3 if number == 0 else 5]
    assert not list(check_transfers({"Transfers": {"MaxPushTransactions": 1, "MaxHttpRetries": 0}}))
