"""How a server starts and ends, and how it speaks TLS."""

import http.client
import logging
import socket
import ssl
import threading
import time
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import trustme
from tests.http.house import HOST, OPTIONS, Build, House, until

from hounsfield.http.asgi import Application
from hounsfield.http.dispatch import Dispatcher
from hounsfield.http.options import TlsOptions
from hounsfield.http.routing import Router
from hounsfield.http.server import BadTls, HttpServer, PortInUse
from hounsfield.store.spool import FolderSpool


def test_stopping_waits_for_what_is_in_progress(build: Build) -> None:
    house = build()
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(house.ask("GET", "/wait")[1]))
    client.start()
    assert house.entered.wait(10)
    stopper = threading.Thread(target=house.server.stop)
    stopper.start()
    house.may_leave.set()
    stopper.join(10)
    client.join(10)
    assert answers == [b"waited"]
    with pytest.raises(OSError, match="refused"):
        house.connect().connect()


def test_what_nobody_waits_for_any_more_is_not_done(build: Build) -> None:
    """One thread is busy; of those who wait for it two hang up, and what changes nothing is left out."""
    house = build(replace(OPTIONS, threads=1))
    first = threading.Thread(target=house.ask, args=("GET", "/wait"))
    first.start()
    assert house.entered.wait(10)
    for head in (b"GET /visit HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /visit HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection((HOST, house.port), timeout=10) as gone:
            gone.sendall(head)
            house.ask("GET", "/system")  # Answered by the event loop, which has then read the other one too.
    for _ in range(2):
        house.ask("GET", "/system")  # And has seen them leave.
    house.may_leave.set()
    first.join(10)
    until(lambda: "POST" in house.visits)
    assert house.ask("GET", "/visit")[1] == b"visited"
    assert house.visits == ["POST", "GET"]


def test_stopping_closes_idle_connections_at_once(build: Build) -> None:
    house = build()
    connection = house.connect()
    connection.request("GET", "/system")
    connection.getresponse().read()
    started = time.monotonic()
    house.server.stop()
    assert time.monotonic() - started < 3
    connection.close()


def test_stopping_gives_up_endless_streams(build: Build) -> None:
    house = build(replace(OPTIONS, shutdown_timeout_seconds=1))
    logging.getLogger("uvicorn.error").disabled = True
    with socket.create_connection((HOST, house.port), timeout=10) as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(100)
        started = time.monotonic()
        house.server.stop()
        assert time.monotonic() - started < 8
    logging.getLogger("uvicorn.error").disabled = False
    assert house.closed.wait(10)


def test_a_port_in_use_is_told(house: House, build: Build) -> None:
    with pytest.raises(PortInUse, match=str(house.port)):
        build(replace(OPTIONS, port=house.port))


def test_an_address_that_is_not_ours_is_told(build: Build) -> None:
    with pytest.raises(PortInUse):
        build(replace(OPTIONS, bind_addresses=("192.0.2.1",)))


def test_https_is_spoken_with_a_certificate(build: Build, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = tmp_path / "server.pem"
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(certificate))
    house = build(replace(OPTIONS, tls=TlsOptions(certificate, minimum_version=5)))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    connection = http.client.HTTPSConnection(HOST, house.port, timeout=10, context=context)
    for target in ("/pool", "/system", "/big"):
        connection.request("GET", target)
        response = connection.getresponse()
        assert response.status == 200
        response.read()
    connection.close()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        http.client.HTTPSConnection(HOST, house.port, timeout=10, context=context).request("GET", "/system")


def test_https_may_ask_clients_for_a_certificate(build: Build, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, trusted = tmp_path / "server.pem", tmp_path / "ca.pem"
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(certificate))
    authority.cert_pem.write_to_path(str(trusted))
    house = build(replace(OPTIONS, tls=TlsOptions(certificate, trusted_client_certificates=trusted)))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    stranger = http.client.HTTPSConnection(HOST, house.port, timeout=10, context=context)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        stranger.request("GET", "/pool")
        stranger.getresponse()
    authority.issue_cert("client").configure_cert(context)
    friend = http.client.HTTPSConnection(HOST, house.port, timeout=10, context=context)
    friend.request("GET", "/pool")
    assert orjson.loads(friend.getresponse().read()) == {"secure": True}
    friend.close()


def test_a_certificate_that_cannot_be_read_is_told(build: Build, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    for path in (bad, tmp_path / "missing.pem"):
        with pytest.raises(BadTls, match="certificates"):
            HttpServer(
                Application(Dispatcher(Router([])), OPTIONS, FolderSpool(tmp_path)),
                replace(OPTIONS, tls=TlsOptions(path)),
            ).start()
