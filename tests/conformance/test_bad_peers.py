"""Modalities that are silent, slow, broken or hostile; and modalities behind TLS."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from tests.conformance.peers import CT, Receiver, make_file, upload
from tests.servers import RunningServer, running

from hounsfield.net.dimse import decode_command, encode_command
from hounsfield.net.items import UserInformation
from hounsfield.net.pdu import AnsweredContext, AssociateAccept, encode, fragment

FILES = [
    make_file(
        StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1", SOPInstanceUID=f"1.1.1.{n}", InstanceNumber=n
    )
    for n in range(1, 6)
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("bad"), {"DicomScuTimeout": 1}) as started:
        upload(started, *FILES)
        yield started


def _define(server: RunningServer, name: str, port: int, **options: Any) -> None:
    body = {"AET": "PEER", "Host": "127.0.0.1", "Port": port, **options}
    assert server.request("PUT", f"/modalities/{name}", json.dumps(body).encode())[0] == 200


def _failure(server: RunningServer, path: str, body: object = None) -> tuple[int, int]:
    status, answer = server.request("POST", path, b"" if body is None else json.dumps(body).encode())
    return status, json.loads(answer)["OrthancStatus"] if status >= 400 else 0


class Raw:
    """A listener that does with each connection what it is told."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._serve = serve
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._kept.append(connection)
            try:
                self._serve(connection)
            except OSError:
                continue

    def close(self) -> None:
        self._listener.close()
        for each in self._kept:
            each.close()


def _silent(_: socket.socket) -> None:
    """Says nothing."""


def _closing(connection: socket.socket) -> None:
    connection.close()


def _garbage(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20)


def _half(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"\x02\x00\x00\x00\x00\xb8\x00\x01")
    connection.close()


def _endless(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"\x02\x00\xff\xff\xff\xff" + b"A" * 100_000)


def _aborting(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x00")
    connection.close()


@pytest.mark.parametrize("serve", [_silent, _closing, _garbage, _half, _endless, _aborting])
def test_what_does_not_speak_dicom_is_an_error_soon(
    server: RunningServer, serve: Callable[[socket.socket], None]
) -> None:
    peer = Raw(serve)
    try:
        _define(server, "bad", peer.port)
        began = time.monotonic()
        assert _failure(server, "/modalities/bad/echo") == (500, 9)
        assert _failure(server, "/modalities/bad/query", {"Level": "Study", "Query": {}}) == (500, 9)
        assert _failure(server, "/modalities/bad/store", server.json("/series")) == (500, 9)
        assert time.monotonic() - began < 30
    finally:
        peer.close()
    assert server.json("/system")["ApiVersion"]


def _rude(connection: socket.socket) -> None:
    """Answers an echo, and leaves without a word."""
    connection.recv(65536)
    information = UserInformation(16384)
    accepted = AnsweredContext(1, 0, "1.2.840.10008.1.2.1")
    connection.sendall(encode(AssociateAccept("PEER", "HOUNSFIELD", (accepted,), information)))
    asked = connection.recv(65536)
    message_id = decode_command(asked[12:])["MessageID"]
    response = encode_command(
        {
            "AffectedSOPClassUID": "1.2.840.10008.1.1",
            "CommandField": 0x8030,
            "MessageIDBeingRespondedTo": message_id,
            "CommandDataSetType": 0x0101,
            "Status": 0,
        }
    )
    for pdu in fragment(1, response, is_command=True, maximum_length=16384):
        connection.sendall(b"".join(pdu))
    connection.recv(65536)
    connection.close()


def test_how_a_peer_says_good_bye_does_not_matter(server: RunningServer) -> None:
    peer = Raw(_rude)
    try:
        _define(server, "rude", peer.port)
        assert _failure(server, "/modalities/rude/echo") == (200, 0)
    finally:
        peer.close()


def test_an_association_that_breaks_amid_a_job_is_opened_again_once(server: RunningServer) -> None:
    seen: list[str] = []
    entity = AE(ae_title="PEER")
    entity.add_supported_context(CT, [ExplicitVRLittleEndian])

    def store(event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        seen.append(uid)
        if uid == "1.1.1.3" and seen.count(uid) == 1:
            event.assoc.abort()
        return 0

    handlers: Any = [(evt.EVT_C_STORE, store)]
    peer: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        _define(server, "breaking", peer.server_address[1])
        content = server.json("/modalities/breaking/store", server.json("/series"))
        assert content["FailedInstancesCount"] == 0
        assert seen == ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.3", "1.1.1.4", "1.1.1.5"]
    finally:
        peer.shutdown()


def test_a_peer_that_always_breaks_fails_the_job(server: RunningServer) -> None:
    entity = AE(ae_title="PEER")
    entity.add_supported_context(CT, [ExplicitVRLittleEndian])

    def store(event: Any) -> int:
        event.assoc.abort()
        return 0

    handlers: Any = [(evt.EVT_C_STORE, store)]
    peer: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        _define(server, "broken", peer.server_address[1])
        assert _failure(server, "/modalities/broken/store", server.json("/series")) == (500, 9)
        body = {"Resources": server.json("/series"), "Permissive": True}
        content = server.json("/modalities/broken/store", body)
        assert content["FailedInstancesCount"] == 5
    finally:
        peer.shutdown()


def test_a_slow_peer_is_given_its_time(server: RunningServer) -> None:
    peer = Receiver((ExplicitVRLittleEndian,))
    peer.delay_seconds = 1.5
    try:
        _define(server, "slow", peer.port)
        instance = server.json("/instances")[:1]
        assert _failure(server, "/modalities/slow/store", instance) == (500, 9)
        content = server.json("/modalities/slow/store", {"Resources": instance, "Timeout": 20})
        assert content["FailedInstancesCount"] == 0
        _define(server, "slow", peer.port, Timeout=20)
        assert server.json("/modalities/slow/store", instance)["FailedInstancesCount"] == 0
    finally:
        peer.stop()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name in ("near", "far"):
        leaf = authority.issue_cert(name)
        leaf.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        leaf.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    return tmp_path


def _tls(folder: Path, name: str, trusted: str = "ca") -> dict[str, Any]:
    return {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(folder / f"{name}.pem"),
        "DicomTlsPrivateKey": str(folder / f"{name}.key"),
        "DicomTlsTrustedCertificates": str(folder / f"{trusted}.pem"),
    }


def test_modalities_behind_tls_are_spoken_to_encrypted(certificates: Path) -> None:
    for name in ("one", "two", "three"):
        (certificates / name).mkdir()
    with (
        running(certificates / "one", {**_tls(certificates, "far"), "DicomAet": "FAR"}) as far,
        running(certificates / "two", {**_tls(certificates, "near"), "DicomAet": "NEAR"}) as near,
    ):
        _define(near, "far", far.dicom_port, AET="FAR", UseDicomTls=True)
        _define(near, "plain", far.dicom_port, AET="FAR", Timeout=2)
        _define(far, "near", near.dicom_port, AET="NEAR", UseDicomTls=True)
        upload(near, *FILES)
        assert _failure(near, "/modalities/far/echo") == (200, 0)
        assert _failure(near, "/modalities/plain/echo") == (500, 9)
        assert near.json("/modalities/far/store", near.json("/studies"))["FailedInstancesCount"] == 0
        moved = near.json(
            "/modalities/far/move", {"Level": "Study", "Resources": [{"StudyInstanceUID": "1.1"}]}
        )
        assert len(moved["Details"][0]["ReceivedInstancesIds"]) == 5
        with running(certificates / "three", _tls(certificates, "near", "other")) as stranger:
            _define(stranger, "far", far.dicom_port, AET="FAR", UseDicomTls=True)
            assert _failure(stranger, "/modalities/far/echo") == (500, 9)


def test_certificates_that_nobody_needs_do_not_keep_the_server_from_starting(tmp_path: Path) -> None:
    with running(tmp_path, {"DicomTlsCertificate": "missing.pem"}) as server:
        _define(server, "far", 104, UseDicomTls=True)
        assert _failure(server, "/modalities/far/echo")[0] == 400
        assert "Modalities cannot be spoken to with TLS" in server.log.read_text()
