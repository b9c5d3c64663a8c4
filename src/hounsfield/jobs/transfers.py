"""Jobs `PushTransfer` and `PullTransfer`: moving instances to or from a peer in buckets, several at a time."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any
from uuid import uuid4

import orjson
from isal import igzip

from hounsfield.errors import ArchiveError, Corrupt, PeerFailure
from hounsfield.http.errors import CorruptedTransfer
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.receive import Intake
from hounsfield.jobs.kinds import JobKind, JobRun
from hounsfield.jobs.resources import instances_of
from hounsfield.remote.network import Network
from hounsfield.remote.peer import Peer
from hounsfield.remote.transfer import (
    LONGEST_URL,
    Bucket,
    Reception,
    TransferOptions,
    bucket_length,
    look_up,
    plan,
    read_bucket,
    read_parts,
    write_buckets,
    write_parts,
)
from hounsfield.remote.web_client import WebClient

PUSH, PULL = "PushTransfer", "PullTransfer"
_GZIP_LEVEL = 1
_MEGABYTE = 1 << 20
_TICK_SECONDS = 0.5


def push_kind(network: Network, options: TransferOptions) -> JobKind:
    """The kind of job that sends."""
    return JobKind(PUSH, partial(run_push, network, options))


def pull_kind(network: Network, options: TransferOptions, intake: Intake) -> JobKind:
    """The kind of job that fetches."""
    return JobKind(PULL, partial(run_pull, network, options, intake))


def run_push(network: Network, options: TransferOptions, run: JobRun) -> Iterator[None]:
    """Announce the buckets, send them, and have the peer store what it got.

    Raises
    ------
    PeerFailure
        If the peer cannot be reached, or does not want it.
    """
    parameters: dict[str, Any] = run.parameters
    peer = network.peers.get(parameters["Peer"])
    _describe(run, "UploadedSizeMB")
    yield
    with network.archive.database.read() as tx:
        public_ids = instances_of(tx, _named(parameters["Resources"]), is_complete=True)
    parts = look_up(network.archive, public_ids)
    tally = _Tally(run, "UploadedSizeMB", parts)
    if not parts:
        return
    buckets = plan(parts, options.bucket_size)
    is_compressed = parameters["Compression"] == "gzip"
    headers = {"sender-transfer-id": str(parameters.get("SenderTransferID") or uuid4())}
    plan_json = {
        "Buckets": write_buckets(buckets),
        "Compression": parameters["Compression"],
        "Instances": write_parts(parts),
    }
    with WebClient(peer, network.web) as client:
        begun = client.request("POST", "transfers/push", orjson.dumps(plan_json), headers)
        path = str(_object(begun.body).get("Path", "")).strip("/")
        if not path.startswith("transfers/push/"):
            raise PeerFailure(f'The peer "{peer.name}" does not understand transfers')
        if "set-cookie" in begun.headers:  # A load balancer may need it to find the same server again.
            headers["Cookie"] = begun.headers["set-cookie"].partition(";")[0]

        def send(index: int) -> int:
            body = read_bucket(network.archive, buckets[index])
            sent = igzip.compress(body, _GZIP_LEVEL) if is_compressed else body
            _patiently(
                peer, network, options, lambda each: each.request("PUT", f"{path}/{index}", sent, headers)
            )
            return len(body)

        try:
            yield from _in_parallel(options.threads, send, range(len(buckets)), tally)
            patient = WebClient(_with_timeout(peer, options.commit_timeout_seconds), network.web)
            with patient:
                patient.request("POST", f"{path}/commit", b"{}", headers)
        except BaseException:
            with suppress(ArchiveError):  # The peer forgets it by itself in time.
                client.request("DELETE", path, b"", headers)
            raise


def run_pull(network: Network, options: TransferOptions, intake: Intake, run: JobRun) -> Iterator[None]:
    """Ask what there is, fetch it, and store it when all came.

    Raises
    ------
    PeerFailure
        If the peer cannot be reached.
    CorruptedTransfer
        If something came that is not what was announced.
    """
    parameters: dict[str, Any] = run.parameters
    peer = network.peers.get(parameters["Peer"])
    _describe(run, "DownloadedSizeMB")
    if "Originator" in parameters:
        run.content["Originator"] = parameters["Originator"]
    yield
    question = orjson.dumps(parameters["Resources"])
    found = _object(
        _patiently(
            peer, network, options, lambda each: each.request("POST", "transfers/lookup", question)
        ).body
    )
    if "Originator" in parameters and found.get("Originator") != parameters["Originator"]:
        raise PeerFailure("Another server than the originator answers: check RemoteSelf of the peers")
    try:
        parts = read_parts(found.get("Instances"))
    except Corrupt as error:
        raise PeerFailure(f'The peer "{peer.name}" does not understand transfers') from error
    tally = _Tally(run, "DownloadedSizeMB", parts)
    if not parts:
        return
    spool = intake.spool
    if spool is None:
        raise PeerFailure("There is no room for what is to come")
    longest = LONGEST_URL - len(peer.url) - 100
    buckets = plan(parts, options.bucket_size, longest_ids=longest)
    is_compressed = parameters["Compression"] == "gzip"
    reception = Reception(parts, buckets, is_compressed, spool)

    def fetch(index: int) -> int:
        path = _chunks_path(buckets[index], parameters["Compression"])
        answer = _patiently(peer, network, options, lambda each: each.request("GET", path))
        try:
            reception.put(index, answer.body)
        except ArchiveError as error:
            raise CorruptedTransfer(f"A bucket from the peer is not what it should be: {error}") from error
        return bucket_length(buckets[index])

    try:
        yield from _in_parallel(options.threads, fetch, range(len(buckets)), tally)
        reception.commit(intake, Origin(OriginKind.REST_API, remote_ip=str(parameters.get("RemoteIp", ""))))
    finally:
        reception.close()


def _chunks_path(bucket: Bucket, compression: str) -> str:
    ids = ".".join(chunk.id for chunk in bucket)
    offset, size = bucket[0].offset, bucket_length(bucket)
    return f"transfers/chunks/{ids}?offset={offset}&size={size}&compression={compression}"


def _in_parallel(
    threads: int, work: Callable[[int], int], indexes: Sequence[int], tally: "_Tally"
) -> Iterator[None]:
    """Do the work for each index on a few threads, and yield now and then."""
    waiting = iter(indexes)
    with ThreadPoolExecutor(threads, "TRANSFER") as pool:
        running: set[Future[int]] = {pool.submit(work, index) for index in islice(waiting, threads)}
        try:
            while running:
                done, running = wait(running, _TICK_SECONDS, FIRST_COMPLETED)
                for each in done:
                    tally.add(each.result())
                    running |= {pool.submit(work, index) for index in islice(waiting, 1)}
                yield
        except BaseException:
            for each in running:
                each.cancel()
            raise


def _patiently(
    peer: Peer, network: Network, options: TransferOptions, ask: Callable[[WebClient], Any]
) -> Any:
    """Ask with a connection of its own, again after a second if it fails, as often as the options say."""
    for tries_left in range(options.retries, -1, -1):
        try:
            with WebClient(peer, network.web) as client:
                return ask(client)
        except PeerFailure:
            if not tries_left:
                raise
            time.sleep(1.0)
    raise AssertionError("unreachable")


def _with_timeout(peer: Peer, seconds: int) -> Peer:
    return replace(peer, timeout_seconds=max(seconds, peer.timeout_seconds))


def _named(resources: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    return [{"ID": each["ID"], "Type": each["Level"]} for each in resources]


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise PeerFailure("The peer does not understand transfers")
    return value


def _describe(run: JobRun, size_name: str) -> None:
    for name in ("Compression", "Peer", "Resources"):
        run.content[name] = run.parameters[name]
    run.content["TotalInstances"] = run.content["TotalSizeMB"] = 0
    run.content[size_name] = 0


class _Tally:
    """What the job tells of its progress."""

    def __init__(self, run: JobRun, size_name: str, parts: Sequence[Any]) -> None:
        self._run, self._size_name = run, size_name
        self._total = sum(part.size for part in parts)
        self._done = self._queries = 0
        self._began = time.monotonic()
        run.content["TotalInstances"] = len(parts)
        run.content["TotalSizeMB"] = self._total // _MEGABYTE
        self.add(0, is_query=False)

    def add(self, size: int, *, is_query: bool = True) -> None:
        """So many more bytes are there."""
        self._done += size
        self._queries += is_query
        seconds = max(time.monotonic() - self._began, 0.001)
        self._run.content["CompletedHttpQueries"] = self._queries
        self._run.content[self._size_name] = self._done // _MEGABYTE
        self._run.content["NetworkSpeedKBs"] = int(self._done / 1024 / seconds)
        self._run.progress = self._done / self._total if self._total else 1.0
