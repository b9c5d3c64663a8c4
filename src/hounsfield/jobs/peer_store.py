"""Jobs `OrthancPeerStore`: sending resources to a peer by HTTP."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from hounsfield.errors import ArchiveError, PeerFailure
from hounsfield.index.sending import load_to_send
from hounsfield.jobs.kinds import JobKind, JobRun
from hounsfield.jobs.resources import deleted_before_sent, listed_instances
from hounsfield.remote.network import Network
from hounsfield.remote.peer import show_destination
from hounsfield.remote.posting import post_instance
from hounsfield.remote.web_client import WebClient
from hounsfield.retrieve.read_ahead import read_ahead
from hounsfield.store.spool import Buffer

PEER_STORE = "OrthancPeerStore"
_PAGE = 500
_MEGABYTE = 1024 * 1024


def peer_store_kind(network: Network) -> JobKind:
    """The kind of job."""
    return JobKind(PEER_STORE, partial(run_peer_store, network))


def peer_store_parameters(
    peer_name: str,
    resources: Sequence[dict[str, str]],
    instances: Sequence[str],
    *,
    is_compressed: bool,
    transfer_syntax_uid: str | None,
) -> dict[str, object]:
    """The parameters of a job: the instances of resources; the peer by its name alone, so that no password is kept."""
    parameters: dict[str, object] = {
        "PeerName": peer_name,
        "Resources": list(resources),
        "Instances": list(instances),
        "Compress": is_compressed,
    }
    if transfer_syntax_uid is not None:
        parameters["Transcode"] = transfer_syntax_uid
    return parameters


def run_peer_store(network: Network, run: JobRun) -> Iterator[None]:
    """Send one instance after the other on one connection; a permissive job counts those that fail.

    Raises
    ------
    PeerFailure
        If the peer cannot be reached, or refuses an instance.
    Unsupported
        If an instance cannot be transcoded as it was asked.
    NotFound
        If one was deleted meanwhile.
    """
    parameters: dict[str, Any] = run.parameters
    peer = network.peers.get(parameters["PeerName"])
    instances = listed_instances(parameters)
    _describe(run, parameters, len(instances))
    run.content["Peer"] = show_destination(peer)
    with WebClient(peer, network.web) as client:
        start = _number(run, "Position")
        for first in range(start, len(instances), _PAGE):
            page = instances[first : min(first + _PAGE, len(instances))]
            with network.archive.database.read() as tx:
                stored = load_to_send(tx, page)
            there = {each.public_id for each in stored}
            files = read_ahead(network.archive, [each.file for each in stored])
            for public_id in page:
                yield
                try:
                    if public_id not in there:
                        raise deleted_before_sent(public_id)
                    _send(client, next(files)(), parameters, run)
                except ArchiveError as error:
                    if not run.is_permissive:
                        raise
                    _add(run, "Failed", 1)
                    run.content["FailedInstancesCount"] = _number(run, "Failed")
                    if isinstance(error, PeerFailure):
                        client.close()
                _add(run, "Position", 1)
                run.progress = _number(run, "Position") / len(instances)


def _describe(run: JobRun, parameters: dict[str, Any], count: int) -> None:
    content = run.content
    content["InstancesCount"] = count
    content["FailedInstancesCount"] = _number(run, "Failed")
    content["Compress"] = parameters["Compress"]
    if "Transcode" in parameters:
        content["Transcode"] = parameters["Transcode"]
    if parameters["Resources"]:
        content["Resources"] = parameters["Resources"]
        content["ParentResources"] = sorted(each["ID"] for each in parameters["Resources"])
    _tell_size(run)


def _send(client: WebClient, file: Buffer, parameters: dict[str, Any], run: JobRun) -> None:
    size = post_instance(
        client, file, is_compressed=parameters["Compress"], transfer_syntax_uid=parameters.get("Transcode")
    )
    _add(run, "Size", size)
    _tell_size(run)


def _tell_size(run: JobRun) -> None:
    size = _number(run, "Size")
    run.content["Size"] = str(size)
    run.content["SizeMB"] = size // _MEGABYTE


def _number(run: JobRun, name: str) -> int:
    value = run.state.get(name, 0)
    return value if isinstance(value, int) else 0


def _add(run: JobRun, name: str, amount: int) -> None:
    run.state[name] = _number(run, name) + amount
