import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from hounsfield.errors import BadRequest, PeerFailure
from hounsfield.net.options import ServerOptions
from hounsfield.net.scu import associate
from hounsfield.net.tls import PROTOCOL_VERSIONS, client_context, server_context

from .conftest import CT, FAST, PROPOSAL, World

Make = Callable[..., World]


class Files:
    """Certificates of one authority, in files."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.trusted = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.trusted))
        self.certificate, self.key = folder / "cert.pem", folder / "key.pem"
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(str(self.key))
        issued.cert_chain_pems[0].write_to_path(str(self.certificate))


@pytest.fixture
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


def options(tls: ssl.SSLContext) -> ServerOptions:
    return ServerOptions(host="127.0.0.1", port=0, association=FAST, tls=tls)


def test_instances_arrive_over_tls(make_world: Make, files: Files) -> None:
    world = make_world(options(server_context(files.certificate, files.key, [files.trusted])))
    tls = client_context(files.certificate, files.key, [files.trusted])
    payloads = [bytes(range(256)) * 500, bytes(1_000_000)]
    with associate(replace(world.node, tls=tls), PROPOSAL, FAST) as requester:
        context = requester.find_context(CT)
        assert context is not None
        assert [requester.store(context, "1.2", data).status for data in payloads] == [0, 0]
    assert [stored.data for stored in world.stored] == payloads


def test_a_stop_ends_idle_tls_associations_in_good_order(make_world: Make, files: Files) -> None:
    world = make_world(options(server_context(files.certificate, files.key, [files.trusted])))
    tls = client_context(files.certificate, files.key, [files.trusted])
    with (
        pytest.raises(PeerFailure, match="aborted"),
        associate(replace(world.node, tls=tls), PROPOSAL, FAST) as requester,
    ):
        assert requester.echo() == 0
        world.running.stop()
        requester.echo()


def test_a_client_without_certificate_is_refused_if_one_is_required(make_world: Make, files: Files) -> None:
    world = make_world(options(server_context(files.certificate, files.key, [files.trusted])))
    anonymous = client_context(None, None, [files.trusted])
    with pytest.raises(PeerFailure), associate(replace(world.node, tls=anonymous), PROPOSAL, FAST):
        pass


def test_a_client_without_certificate_is_accepted_if_none_is_required(make_world: Make, files: Files) -> None:
    tls = server_context(files.certificate, files.key, [files.trusted], require_client=False)
    world = make_world(options(tls))
    anonymous = client_context(None, None, [files.trusted])
    with associate(replace(world.node, tls=anonymous), PROPOSAL, FAST) as requester:
        assert requester.echo() == 0


def test_a_client_of_another_authority_is_refused(
    make_world: Make, files: Files, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = make_world(options(server_context(files.certificate, files.key, [files.trusted])))
    stranger = Files(tmp_path_factory.mktemp("stranger"))
    tls = client_context(stranger.certificate, stranger.key, [files.trusted])
    with pytest.raises(PeerFailure), associate(replace(world.node, tls=tls), PROPOSAL, FAST):
        pass


def test_a_server_of_another_authority_is_not_trusted(
    make_world: Make, files: Files, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = make_world(options(server_context(files.certificate, files.key, require_client=False)))
    stranger = Files(tmp_path_factory.mktemp("stranger"))
    tls = client_context(None, None, [stranger.trusted])
    with (
        pytest.raises(PeerFailure, match="handshake"),
        associate(replace(world.node, tls=tls), PROPOSAL, FAST),
    ):
        pass


def test_a_plain_client_is_refused(make_world: Make, files: Files) -> None:
    world = make_world(options(server_context(files.certificate, files.key, require_client=False)))
    with pytest.raises(PeerFailure), associate(world.node, PROPOSAL, FAST):
        pass


def test_the_profile_is_bcp_195_unless_said_otherwise(files: Files) -> None:
    context = server_context(files.certificate, files.key, require_client=False)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    strong = {cipher["name"] for cipher in context.get_ciphers()}
    assert not any("CBC" in name or "NULL" in name or name.startswith("AES") for name in strong)
    chosen = server_context(
        files.certificate,
        files.key,
        require_client=False,
        minimum_version=PROTOCOL_VERSIONS[5],
        ciphers=["ECDHE-RSA-AES256-GCM-SHA384"],
    )
    assert chosen.minimum_version is ssl.TLSVersion.TLSv1_3


def test_unusable_files_and_options_are_bad_requests(files: Files, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="cannot be used"):
        server_context(tmp_path / "missing.pem", None, require_client=False)
    with pytest.raises(BadRequest, match="no trusted certificate"):
        server_context(files.certificate, files.key)
    with pytest.raises(BadRequest, match="NOT-A-CIPHER"):
        server_context(files.certificate, files.key, require_client=False, ciphers=["NOT-A-CIPHER"])
