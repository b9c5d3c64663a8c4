"""Peers: two servers that speak HTTP with each other, and others that do not behave."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydicom import dcmread
from pydicom.data import get_testdata_file
from tests.conformance.peers import make_file, upload
from tests.servers import RunningServer, free_port, running

FILES = [
    make_file(
        StudyInstanceUID="1.1",
        SeriesInstanceUID="1.1.1",
        SOPInstanceUID=f"1.1.1.{n}",
        ImageComments="x" * 500,
    )
    for n in range(3)
]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[RunningServer, RunningServer]]:
    """One that sends, and one that receives and wants a password."""
    (tmp_path / "near").mkdir()
    (tmp_path / "far").mkdir()
    access = {"AuthenticationEnabled": True, "RegisteredUsers": {"alice": "secret"}, "Name": "FAR"}
    with (
        running(tmp_path / "far", access) as far,
        running(tmp_path / "near", {"LogExportedResources": True}) as near,
    ):
        _put(near, "far", [f"http://127.0.0.1:{far.http_port}", "alice", "secret"])
        yield near, far


def _put(server: RunningServer, name: str, body: object) -> tuple[int, int]:
    status, answer = server.request("PUT", f"/peers/{name}", json.dumps(body).encode())
    return status, json.loads(answer)["OrthancStatus"] if answer else 0


def _failure(server: RunningServer, method: str, path: str, body: object = b"") -> tuple[int, int]:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, answer = server.request(method, path, sent)
    return status, json.loads(answer)["OrthancStatus"] if answer else 0


def _far(far: RunningServer, path: str) -> Any:
    headers = {"Authorization": "Basic YWxpY2U6c2VjcmV0"}
    status, answer = far.request("GET", path, None, headers)
    assert status == 200
    return json.loads(answer)


def test_a_study_reaches_the_peer(pair: tuple[RunningServer, RunningServer]) -> None:
    near, far = pair
    upload(near, *FILES)
    (study,) = near.json("/studies")
    content = near.json("/peers/far/store", [study])
    assert content["Peer"] == [f"http://127.0.0.1:{far.http_port}/", "alice", ""]
    assert (content["InstancesCount"], content["FailedInstancesCount"], content["Compress"]) == (3, 0, False)
    assert content["Size"] == str(sum(map(len, FILES)))
    assert content["ParentResources"] == [study]
    assert _far(far, "/statistics")["CountInstances"] == 3
    assert [each["RemoteModality"] for each in near.json("/exports")["Exports"]] == ["far"]
    squeezed = near.json("/peers/far/store", {"Resources": [study], "Compress": True})
    assert int(squeezed["Size"]) < int(content["Size"]) / 2
    assert "secret" not in near.request("GET", "/jobs?expand")[1].decode()


def test_instances_are_transcoded_for_the_peer(pair: tuple[RunningServer, RunningServer]) -> None:
    near, far = pair
    (public_id,) = upload(near, Path(str(get_testdata_file("CT_small.dcm"))).read_bytes())
    for syntax in (
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.5",
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2",
    ):
        assert (
            near.json("/peers/far/store", {"Resources": [public_id], "Transcode": syntax})["Transcode"]
            == syntax
        )
        path = f"/instances/{public_id}"
        assert _far(far, f"{path}/metadata?expand")["TransferSyntax"] == syntax
        far.request("DELETE", path, None, {"Authorization": "Basic YWxpY2U6c2VjcmV0"})
    assert _failure(near, "POST", "/peers/far/store", {"Resources": [public_id], "Transcode": "1.2"}) == (
        400,
        3,
    )


def test_a_file_may_be_sent_without_being_stored(pair: tuple[RunningServer, RunningServer]) -> None:
    near, far = pair
    status, answer = near.request("POST", "/peers/far/store-straight", FILES[0])
    assert status == 200
    assert json.loads(answer)["Status"] == "Success"
    assert near.json("/statistics")["CountInstances"] == 0
    assert _far(far, "/statistics")["CountInstances"] == 1
    assert _failure(near, "POST", "/peers/far/store-straight", b"nothing") == (500, 9)


def test_peers_are_defined_shown_without_secrets_and_forgotten(
    pair: tuple[RunningServer, RunningServer],
) -> None:
    near, _ = pair
    assert near.json("/peers/far/system")["Name"] == "FAR"
    assert near.json("/peers/far") == ["configuration", "store", "store-straight", "system"]
    assert _put(near, "a", ["http://h:1"]) == (200, 0)
    assert near.json("/peers/a/configuration") == {
        "HttpHeaders": [],
        "Pkcs11": False,
        "Timeout": 0,
        "Url": "http://h:1/",
    }
    full = {
        "Url": "http://h/",
        "Username": "u",
        "Password": "p",
        "HttpHeaders": {"Token": "t"},
        "Timeout": 7,
        "Color": "red",
        "Number": 42,
    }
    assert _put(near, "b", full) == (200, 0)
    shown = near.json("/peers/b/configuration")
    assert (shown["Password"], shown["HttpHeaders"], shown["Color"], shown["Number"]) == (
        None,
        ["Token"],
        "red",
        "42",
    )
    assert near.json("/peers?expand")["b"] == shown
    assert near.json("/peers") == ["a", "b", "far"]
    for wrong in (["a", "b"], ["a", "b", "c", "d"], {"Username": "u"}, [1], "x"):
        assert _put(near, "c", wrong) == (400, 15), wrong
    assert _put(near, "c", {"Url": "http://h", "CertificateFile": "/nowhere"}) == (404, 13)
    assert near.request("PUT", "/peers/c", b"{") == (404, b"")
    assert near.request("GET", "/peers/nope") == (404, b"")
    assert _failure(near, "GET", "/peers/nope/configuration") == (404, 17)
    assert _failure(near, "POST", "/peers/nope/store", []) == (404, 17)
    assert _failure(near, "DELETE", "/peers/nope") == (404, 7)
    assert near.request("DELETE", "/peers/a") == (200, b"")
    assert near.json("/peers") == ["b", "far"]


def test_peers_that_refuse_or_are_not_there_are_errors(pair: tuple[RunningServer, RunningServer]) -> None:
    near, far = pair
    public_ids = upload(near, *FILES)
    _put(near, "dead", [f"http://127.0.0.1:{free_port()}"])
    _put(near, "wrong", [f"http://127.0.0.1:{far.http_port}", "alice", "guess"])
    for name in ("dead", "wrong"):
        assert _failure(near, "POST", f"/peers/{name}/store", public_ids) == (500, 9)
        assert _failure(near, "GET", f"/peers/{name}/system") == (500, 9)
        content = near.json(f"/peers/{name}/store", {"Resources": public_ids, "Permissive": True})
        assert content["FailedInstancesCount"] == 3
    _put(near, "odd", ["ftp://127.0.0.1"])
    assert _failure(near, "GET", "/peers/odd/system")[0] == 400


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Ty",
    ],
)
def test_a_peer_that_talks_nonsense_is_an_error(tmp_path: Path, answer: bytes) -> None:
    with running(tmp_path) as server, socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):  # The listener is closed when the test is over.
                while True:
                    connection, _ = listener.accept()
                    connection.recv(4096)
                    connection.sendall(answer)
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        _put(server, "odd", [f"http://127.0.0.1:{listener.getsockname()[1]}"])
        assert _failure(server, "GET", "/peers/odd/system") == (500, 9)


def test_a_silent_peer_is_waited_for_only_so_long(tmp_path: Path) -> None:
    with running(tmp_path) as server, socket.create_server(("127.0.0.1", 0)) as listener:
        _put(server, "mute", {"Url": f"http://127.0.0.1:{listener.getsockname()[1]}", "Timeout": 1})
        assert _failure(server, "GET", "/peers/mute/system") == (500, 9)


def test_https_checks_certificates_on_both_sides(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    (tmp_path / "near").mkdir()
    (tmp_path / "far").mkdir()
    options = {
        "SslEnabled": True,
        "SslCertificate": str(tmp_path / "server.pem"),
        "SslVerifyPeers": True,
        "SslTrustedClientCertificates": str(tmp_path / "ca.pem"),
    }
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    context.load_cert_chain(tmp_path / "client.pem")
    with running(tmp_path / "far", options, tls=context) as far:
        url = f"https://127.0.0.1:{far.http_port}/"
        with running(tmp_path / "near", {"HttpsCACertificates": str(tmp_path / "ca.pem")}) as near:
            _put(near, "good", {"Url": url, "CertificateFile": str(tmp_path / "client.pem")})
            _put(near, "anonymous", [url])
            assert "Version" in near.json("/peers/good/system")
            assert _failure(near, "GET", "/peers/anonymous/system") == (500, 9)
            (public_id,) = upload(near, FILES[0])
            assert near.json("/peers/good/store", [public_id])["FailedInstancesCount"] == 0
        (tmp_path / "strict").mkdir()
        with running(tmp_path / "strict") as strict:
            _put(strict, "good", {"Url": url, "CertificateFile": str(tmp_path / "client.pem")})
            assert _failure(strict, "GET", "/peers/good/system") == (500, 9)


def test_peers_in_the_index_survive(tmp_path: Path) -> None:
    options = {"OrthancPeersInDatabase": True, "OrthancPeers": {"file": ["http://h/"]}}
    with running(tmp_path, options) as server:
        assert server.json("/peers") == []
        _put(server, "kept", ["http://h/", "u", "p"])
        _put(server, "plain", ["http://h/"])
    with running(tmp_path, options) as server:
        assert server.json("/peers") == ["kept", "plain"]
        assert server.json("/peers/kept/configuration")["Username"] == "u"


def test_what_arrives_is_what_was_sent(pair: tuple[RunningServer, RunningServer], tmp_path: Path) -> None:
    near, far = pair
    (public_id,) = upload(near, FILES[0])
    near.json("/peers/far/store", {"Resources": [public_id], "Compress": True})
    headers = {"Authorization": "Basic YWxpY2U6c2VjcmV0"}
    assert far.request("GET", f"/instances/{public_id}/file", None, headers)[1] == FILES[0]
    (tmp_path / "x").write_bytes(FILES[0])
    assert dcmread(tmp_path / "x").SOPInstanceUID == "1.1.1.0"
