"""Instances moved between peers in buckets: pieces of files, many small ones together, large ones cut.

The protocol of Orthanc's transfers accelerator. Nothing is stored before all of it came and every MD5 was right.
"""

import hashlib
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from hounsfield.archive import Archive
from hounsfield.errors import BadRequest, Corrupt, NotFound
from hounsfield.http.errors import CorruptedTransfer, ParameterOutOfRange, ProtocolViolation
from hounsfield.index.sending import load_to_send
from hounsfield.ingest.instance import Origin
from hounsfield.ingest.intake import Incoming, Intake
from hounsfield.ingest.receive import receive
from hounsfield.retrieve.files import map_attachment, with_md5
from hounsfield.store.spool import Buffer, Spool, SpoolFile

LONGEST_URL = 1956
_MEGABYTE = 1 << 20
_MOST_BUCKETS = 1_000_000
_LARGEST_BUCKET = 1 << 30
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """How instances are transferred; sizes in bytes. `max_pushes` are received at a time.

    What failed is asked again `retries` times, a second apart: a bucket that was cut does not end a transfer.
    """

    threads: int = 4
    bucket_size: int = 4096 << 10
    max_pushes: int = 4
    retries: int = 0
    commit_timeout_seconds: int = 600
    connectivity_timeout_seconds: int = 2


@dataclass(frozen=True, slots=True)
class Part:
    """An instance to be transferred."""

    id: str
    size: int
    md5: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of the file of an instance."""

    id: str
    offset: int
    size: int


Bucket = tuple[Chunk, ...]


def bucket_length(bucket: Bucket) -> int:
    """The bytes of a bucket."""
    return sum(chunk.size for chunk in bucket)


def plan(parts: Iterable[Part], bucket_size: int, *, longest_ids: int = 0) -> list[Bucket]:
    """Sort instances into buckets: small ones together until a bucket is full, large ones in equal chunks.

    `longest_ids` bounds the characters of the ids of one bucket, 0 for no limit.

    >>> [len(bucket) for bucket in plan([Part("a", 10, ""), Part("b", 20, ""), Part("c", 500, "")], 100)]
    [1, 1, 1, 2]
    """
    buckets: list[Bucket] = []
    waiting: list[Chunk] = []
    for part in sorted(parts, key=lambda each: each.id):
        if part.size >= 2 * bucket_size:
            buckets += _cut(part, bucket_size)
            continue
        if part.size >= bucket_size:
            buckets.append((Chunk(part.id, 0, part.size),))
            continue
        waiting.append(Chunk(part.id, 0, part.size))
        is_full = sum(chunk.size for chunk in waiting) >= bucket_size
        if is_full or (longest_ids and (len(waiting) + 1) * 45 > longest_ids):
            buckets.append(tuple(waiting))
            waiting = []
    if waiting:
        buckets.append(tuple(waiting))
    return buckets


def _cut(part: Part, bucket_size: int) -> Iterator[Bucket]:
    count = -(-part.size // (2 * bucket_size))
    step = part.size // count
    for number in range(count):
        start = number * step
        end = part.size if number == count - 1 else start + step
        yield (Chunk(part.id, start, end - start),)


def look_up(archive: Archive, public_ids: Sequence[str]) -> list[Part]:
    """The instances with their sizes and MD5, by id."""
    with archive.database.read() as tx:
        stored = load_to_send(tx, public_ids)
    parts = [Part(each.public_id, each.file.size, with_md5(archive, each.file).md5 or "") for each in stored]
    return sorted(parts, key=lambda part: part.id)


def read_bucket(archive: Archive, bucket: Bucket) -> bytes:
    """The bytes of a bucket, from the archive.

    Raises
    ------
    NotFound
        If an instance is gone.
    """
    with archive.database.read() as tx:
        stored = {each.public_id: each.file for each in load_to_send(tx, [chunk.id for chunk in bucket])}
    pieces = []
    for chunk in bucket:
        attachment = stored.get(chunk.id)  # type: ignore[call-overload]
        if attachment is None:
            raise NotFound("No such instance")
        pieces.append(
            memoryview(map_attachment(archive, attachment))[chunk.offset : chunk.offset + chunk.size]
        )
    return b"".join(pieces)


def expand(data: Buffer, length: int) -> bytes:
    """Decompress a bucket of this length. ProtocolViolation if it has another, Corrupt if it is damaged."""
    engine = zlib.decompressobj(_GZIP)
    try:
        expanded = engine.decompress(bytes(data), length + 1)
    except zlib.error as error:
        raise Corrupt("A bucket is no gzip") from error
    return expanded


@dataclass(slots=True)
class Reception:
    """What is being received: the plan, and the buckets that came; `place` makes the file of the bucket of a number."""

    parts: Sequence[Part]
    buckets: Sequence[Bucket]
    is_compressed: bool
    spool: Spool
    received: dict[int, SpoolFile] = field(default_factory=dict)
    place: Callable[[int], SpoolFile] | None = None

    def __post_init__(self) -> None:
        """Raise BadRequest unless every byte of every instance is in a bucket, once and in order."""
        ends = {part.id: 0 for part in self.parts}
        if len(ends) != len(self.parts) or len(self.buckets) > _MOST_BUCKETS:
            raise BadRequest("An instance is there twice, or there are too many buckets")
        for bucket in self.buckets:
            if bucket_length(bucket) > _LARGEST_BUCKET:
                raise BadRequest("A bucket is too large")
            for chunk in bucket:
                if ends.get(chunk.id) != chunk.offset:
                    raise BadRequest("The buckets do not fit the instances")
                ends[chunk.id] = chunk.offset + chunk.size
        if any(ends[part.id] != part.size for part in self.parts):
            raise BadRequest("The buckets do not fit the instances")

    def put(self, index: int, data: Buffer) -> None:
        """A bucket came; it may come again.

        Raises
        ------
        ParameterOutOfRange
            If there is no such bucket.
        ProtocolViolation
            If it has not the length that was announced.
        """
        if not 0 <= index < len(self.buckets):
            raise ParameterOutOfRange("There is no bucket of this number")
        length = bucket_length(self.buckets[index])
        body = expand(data, length) if self.is_compressed else data
        if len(body) != length:
            raise ProtocolViolation(f"WriteUncompressedBucket: {len(body)} != {length}")
        former = self.received.pop(index, None)
        if former is not None:
            former.close()
        file = self.spool.create() if self.place is None else self.place(index)
        file.write(body)
        self.received[index] = file

    def commit(self, intake: Intake, origin: Origin) -> None:
        """Check everything, then store it.

        Raises
        ------
        CorruptedTransfer
            If a bucket is missing, or the MD5 of an instance is another.
        """
        places: dict[str, list[memoryview]] = {part.id: [] for part in self.parts}
        for index, bucket in enumerate(self.buckets):
            file = self.received.get(index)
            position, view = 0, memoryview(b"") if file is None else file.view()
            for chunk in bucket:
                places[chunk.id].append(view[position : position + chunk.size])
                position += chunk.size
        for part in self.parts:
            digest = hashlib.md5(usedforsecurity=False)
            for piece in places[part.id]:
                digest.update(piece)
            if digest.hexdigest() != part.md5:
                raise CorruptedTransfer(f"Bad MD5 sum in a transfered DICOM instance: {part.id}")
        for part in self.parts:
            receive(intake, Incoming(origin, self._whole(places[part.id])))

    def _whole(self, pieces: Sequence[memoryview]) -> memoryview | SpoolFile:
        if len(pieces) == 1:
            return pieces[0]
        file = self.spool.create()
        for piece in pieces:
            file.write(piece)
        return file

    def leave(self) -> None:
        """Leave the files of all buckets to whoever goes on."""
        for file in self.received.values():
            file.leave()
        self.received.clear()

    def close(self) -> None:
        """Forget it all."""
        for file in self.received.values():
            file.close()
        self.received.clear()


class Receptions:
    """What peers push to us; the least recently active goes when there are too many."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Reception] = OrderedDict()

    def add(self, reception: Reception) -> str:
        """Begin; the id under which the buckets are to come."""
        reception_id = str(uuid4())
        with self._lock:
            self._open[reception_id] = reception
            dropped = [self._open.popitem(last=False)[1] for _ in range(len(self._open) - self._maximum)]
        for each in dropped:
            each.close()
        return reception_id

    def get(self, reception_id: str) -> Reception:
        """A reception; NotFound if there is none, or it was dropped."""
        with self._lock:
            found = self._open.get(reception_id)
            if found is None:
                raise NotFound("No such transfer")
            self._open.move_to_end(reception_id)
            return found

    def remove(self, reception_id: str) -> None:
        """End a reception. Errors as of `get`."""
        with self._lock:
            found = self._open.pop(reception_id, None)
        if found is None:
            raise NotFound("No such transfer")
        found.close()


def write_parts(parts: Iterable[Part]) -> list[dict[str, str]]:
    """Instances as JSON; sizes are texts."""
    return [{"ID": part.id, "Size": str(part.size), "MD5": part.md5} for part in parts]


def write_buckets(buckets: Iterable[Bucket]) -> list[list[dict[str, str]]]:
    """Buckets as JSON."""
    return [
        [{"ID": each.id, "Offset": str(each.offset), "Size": str(each.size)} for each in bucket]
        for bucket in buckets
    ]


def read_parts(value: object) -> list[Part]:
    """Instances from JSON. Corrupt if they are none."""
    return [Part(_text(each, "ID"), _number(each, "Size"), _text(each, "MD5")) for each in _list(value)]


def read_buckets(value: object) -> list[Bucket]:
    """Buckets from JSON. Corrupt if they are none."""
    return [
        tuple(
            Chunk(_text(each, "ID"), _number(each, "Offset"), _number(each, "Size")) for each in _list(bucket)
        )
        for bucket in _list(value)
    ]


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise Corrupt("A list was expected")
    return value


def _text(value: object, name: str) -> str:
    found = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(found, str):
        raise Corrupt(f"String value expected in field: {name}")
    return found


def _number(value: object, name: str) -> int:
    text = _text(value, name)
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise Corrupt(f"Number expected in field: {name}")
    return int(text)
