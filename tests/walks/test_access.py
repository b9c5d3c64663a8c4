"""Who may come in over HTTP: Basic authentication, HTTPS, addresses."""

import socket
import ssl
from base64 import b64encode
from pathlib import Path

import pytest
import trustme
from tests import instances
from tests.servers import running

_USERS = {"alice": "secret: ä", "bob": "other"}
_REMOTE = {
    "RemoteAccessAllowed": True,
    "AuthenticationEnabled": True,
    "RegisteredUsers": _USERS,
    "HttpBindAddresses": ["127.0.0.1"],
    "DicomBindAddresses": ["127.0.0.1"],
}


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def test_only_registered_users_are_let_in(tmp_path: Path) -> None:
    with running(tmp_path, _REMOTE) as server:
        for user, password in _USERS.items():
            assert server.request("GET", "/statistics", headers=_basic(user, password))[0] == 200
        wrong = [
            {},
            _basic("alice", "other"),
            _basic("bob", ""),
            _basic("", ""),
            {"Authorization": "Basic ?"},
        ]
        for headers in wrong:
            for method, path in (("GET", "/statistics"), ("GET", "/nothing"), ("POST", "/instances")):
                status, body = server.request(method, path, b"x" if method == "POST" else None, headers)
                assert (status, body) == (401, b""), (headers, path)
        status, _ = server.request("POST", "/instances", instances.file(1), _basic("bob", "other"))
        assert status == 200
        public_id = instances.public_id(1)
        found = server.request(
            "GET", f"/instances/{public_id}/metadata/HttpUsername", headers=_basic(*_bob())
        )
        assert found == (200, b"bob")


def _bob() -> tuple[str, str]:
    return "bob", _USERS["bob"]


def test_a_server_open_to_the_network_does_not_start_without_users(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="RegisteredUsers"):  # noqa: SIM117
        with running(tmp_path, {"RemoteAccessAllowed": True}):
            pass


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.RSA)


def _certificate(authority: trustme.CA, path: Path) -> Path:
    issued = authority.issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.RSA)
    issued.private_key_and_cert_chain_pem.write_to_path(str(path))
    return path


def test_https_is_spoken_and_nothing_else(tmp_path: Path, authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    options = {"SslEnabled": True, "SslCertificate": str(_certificate(authority, tmp_path / "server.pem"))}
    with running(tmp_path, options, tls=context) as server:
        assert server.request("POST", "/instances", instances.file(1))[0] == 200
        assert server.json("/statistics")["CountInstances"] == 1
        with socket.create_connection(("127.0.0.1", server.http_port), timeout=10) as plain:
            plain.sendall(b"GET /system HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP" not in plain.recv(1000)
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(old)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        server.tls = old
        assert server.json("/statistics")["CountInstances"] == 1


def test_https_can_ask_for_a_certificate(tmp_path: Path, authority: trustme.CA) -> None:
    trusted = tmp_path / "trusted.pem"
    authority.cert_pem.write_to_path(str(trusted))
    options = {
        "SslEnabled": True,
        "SslCertificate": str(_certificate(authority, tmp_path / "server.pem")),
        "SslVerifyPeers": True,
        "SslTrustedClientCertificates": str(trusted),
    }
    known = ssl.create_default_context()
    authority.configure_trust(known)
    known.load_cert_chain(_certificate(authority, tmp_path / "client.pem"))
    unknown = ssl.create_default_context()
    authority.configure_trust(unknown)
    with running(tmp_path, options, tls=known) as server:
        assert server.json("/statistics")["CountInstances"] == 0
        server.tls = unknown
        with pytest.raises((ssl.SSLError, ConnectionError)):
            server.request("GET", "/statistics")


def test_without_remote_access_only_this_machine_is_listened_to(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        own = _own_address()
        if own is None:
            pytest.skip("this machine has no other address")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((own, server.http_port), timeout=5)


def _own_address() -> str | None:
    """An address of this machine other than the loopback one; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address
