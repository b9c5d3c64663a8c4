"""Jobs `PushTransfer` and `PullTransfer`: moving instances to or from a peer in buckets, several at a time."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from isal import igzip

from hounsfield.errors import ArchiveError, Corrupt, PeerFailure
from hounsfield.http.errors import CorruptedTransfer
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.intake import Intake
from hounsfield.jobs.kept_buckets import KeptBuckets
from hounsfield.jobs.kinds import JobKind, JobRun
from hounsfield.jobs.resources import instances_of
from hounsfield.remote.network import Network
from hounsfield.remote.peer import Peer
from hounsfield.remote.transfer import (
    LONGEST_URL,
    Bucket,
    Part,
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
from hounsfield.remote.web_client import WebClient, WebFailure

PUSH, PULL = "PushTransfer", "PullTransfer"
_GZIP_LEVEL = 1
_MEGABYTE = 1 << 20
_TICK_SECONDS = 0.5
_NOT_FOUND = 404


def push_kind(network: Network, options: TransferOptions) -> JobKind:
    """The kind of job that sends."""
    return JobKind(PUSH, partial(run_push, network, options))


def pull_kind(network: Network, options: TransferOptions, intake: Intake, folder: Path) -> JobKind:
    """The kind of job that fetches; what came so far is in `folder`."""
    return JobKind(PULL, partial(run_pull, network, options, intake, folder))


def run_push(network: Network, options: TransferOptions, run: JobRun) -> Iterator[None]:
    """Announce the buckets, send them, and have the peer store what it got.

    A job that was stopped goes on with the buckets that are left, if the peer still has the others.

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
    announced = orjson.dumps(
        {
            "Buckets": write_buckets(buckets),
            "Compression": parameters["Compression"],
            "Instances": write_parts(parts),
        }
    )
    push = _Push(network, options, peer, run, buckets, announced)
    is_resumed = push.goes_on()
    try:
        yield from push.run_all(tally)
    except WebFailure as error:
        if not is_resumed or error.status != _NOT_FOUND:
            raise
        push.forget()  # The peer does not know it any more.
        yield from push.run_all(_Tally(run, "UploadedSizeMB", parts))


@dataclass(frozen=True, slots=True)
class _Push:
    """What a peer is sent; what it has already is in the state of the job."""

    network: Network
    options: TransferOptions
    peer: Peer
    run: JobRun
    buckets: Sequence[Bucket]
    announced: bytes

    def goes_on(self) -> bool:
        """Whether the job was stopped after it had begun to send the same."""
        known = self.run.state.get("Plan") == _digest(self.announced)
        if not known:
            self.forget()
        return known

    def forget(self) -> None:
        """Begin from the beginning."""
        self.run.state.clear()

    def run_all(self, tally: "_Tally") -> Iterator[None]:
        """Send what is left, and have it stored. The peer forgets it all when that fails, or is cancelled."""
        state: dict[str, Any] = self.run.state
        with WebClient(self.peer, self.network.web) as client:
            if "Path" not in state:
                self._announce(client)
                yield
            sent: list[int] = state["Sent"]
            tally.add(sum(bucket_length(self.buckets[index]) for index in sent), is_query=False)
            left = sorted(set(range(len(self.buckets))).difference(sent))
            try:
                yield from _in_parallel(self.options.threads, self._send, left, tally)
                patient = WebClient(
                    _with_timeout(self.peer, self.options.commit_timeout_seconds), self.network.web
                )
                with patient:
                    patient.request("POST", f"{state['Path']}/commit", b"{}", state["Headers"])
            except GeneratorExit:
                if self.run.is_cancelled:
                    self._discard(client)
                raise
            except BaseException:
                self._discard(client)
                raise

    def _announce(self, client: WebClient) -> None:
        headers = {"sender-transfer-id": str(self.run.parameters.get("SenderTransferID") or uuid4())}
        begun = client.request("POST", "transfers/push", self.announced, headers)
        path = str(_object(begun.body).get("Path", "")).strip("/")
        if not path.startswith("transfers/push/"):
            raise PeerFailure(f'The peer "{self.peer.name}" does not understand transfers')
        if "set-cookie" in begun.headers:  # A load balancer may need it to find the same server again.
            headers["Cookie"] = begun.headers["set-cookie"].partition(";")[0]
        self.run.state.update(Plan=_digest(self.announced), Path=path, Headers=headers, Sent=[])
        self.run.is_save_wanted = True

    def _send(self, index: int) -> int:
        state: dict[str, Any] = self.run.state
        body = read_bucket(self.network.archive, self.buckets[index])
        is_compressed = self.run.parameters["Compression"] == "gzip"
        content = igzip.compress(body, _GZIP_LEVEL) if is_compressed else body
        path, headers = f"{state['Path']}/{index}", state["Headers"]
        _patiently(
            self.peer,
            self.network,
            self.options,
            lambda each: each.request("PUT", path, content, headers),
        )
        state["Sent"].append(index)
        return len(body)

    def _discard(self, client: WebClient) -> None:
        state: dict[str, Any] = self.run.state
        with suppress(ArchiveError):  # The peer forgets it by itself in time.
            client.request("DELETE", state["Path"], b"", state["Headers"])


def run_pull(
    network: Network, options: TransferOptions, intake: Intake, folder: Path, run: JobRun
) -> Iterator[None]:
    """Ask what there is, fetch it, and store it when all came.

    What a job that was stopped had fetched is kept in `folder`, and not fetched again if it is still the same.

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
    parts = _ask_what_there_is(network, options, peer, parameters)
    tally = _Tally(run, "DownloadedSizeMB", parts)
    if not parts:
        return
    if intake.spool is None:
        raise PeerFailure("There is no room for what is to come")
    buckets = plan(parts, options.bucket_size, longest_ids=LONGEST_URL - len(peer.url) - 100)
    kept = KeptBuckets(folder / run.id)
    announced = _digest(orjson.dumps([write_parts(parts), write_buckets(buckets)]))
    if run.state.get("Plan") != announced:
        kept.clear()
        run.state["Plan"], run.is_save_wanted = announced, True
        yield
    is_compressed = parameters["Compression"] == "gzip"
    reception = Reception(parts, buckets, is_compressed, intake.spool, kept.found(buckets), place=kept.create)
    pull = _Pull(network, options, peer, reception, parameters["Compression"])
    origin = Origin(OriginKind.REST_API, remote_ip=str(parameters.get("RemoteIp", "")))
    is_kept = False
    try:
        has_old = bool(reception.received)
        yield from pull.fetch_all(tally)
        try:
            reception.commit(intake, origin)
        except CorruptedTransfer:
            if not has_old:
                raise
            reception.close()  # Perhaps a power cut spoiled what was fetched before.
            yield from pull.fetch_all(_Tally(run, "DownloadedSizeMB", parts))
            reception.commit(intake, origin)
    except GeneratorExit:
        is_kept = not run.is_cancelled
        raise
    finally:
        if is_kept:
            reception.leave()
        else:
            reception.close()
            kept.clear()


def _ask_what_there_is(
    network: Network, options: TransferOptions, peer: Peer, parameters: Mapping[str, Any]
) -> list[Part]:
    question = orjson.dumps(parameters["Resources"])
    answer = _patiently(
        peer, network, options, lambda each: each.request("POST", "transfers/lookup", question)
    )
    found = _object(answer.body)
    if "Originator" in parameters and found.get("Originator") != parameters["Originator"]:
        raise PeerFailure("Another server than the originator answers: check RemoteSelf of the peers")
    try:
        return read_parts(found.get("Instances"))
    except Corrupt as error:
        raise PeerFailure(f'The peer "{peer.name}" does not understand transfers') from error


@dataclass(frozen=True, slots=True)
class _Pull:
    """What is fetched from a peer."""

    network: Network
    options: TransferOptions
    peer: Peer
    reception: Reception
    compression: str

    def fetch_all(self, tally: "_Tally") -> Iterator[None]:
        """Fetch what is not there yet."""
        buckets, received = self.reception.buckets, self.reception.received
        tally.add(sum(bucket_length(buckets[index]) for index in received), is_query=False)
        left = [index for index in range(len(buckets)) if index not in received]
        yield from _in_parallel(self.options.threads, self._fetch, left, tally)

    def _fetch(self, index: int) -> int:
        bucket = self.reception.buckets[index]
        path = _chunks_path(bucket, self.compression)
        answer = _patiently(self.peer, self.network, self.options, lambda each: each.request("GET", path))
        try:
            self.reception.put(index, answer.body)
        except ArchiveError as error:
            raise CorruptedTransfer(f"A bucket from the peer is not what it should be: {error}") from error
        return bucket_length(bucket)


def _digest(plan: bytes) -> str:
    return hashlib.sha256(plan).hexdigest()


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
