"""Archives as they are made: files are read, transcoded and compressed ahead in a few threads, and sent in order.

Memory holds the files in the window and the central directory, however large the archive is.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from isal import isal_zlib

from hounsfield.archive import Archive
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.part10 import Head, read_head
from hounsfield.dicom.uids import transfer_syntax
from hounsfield.errors import Corrupt, NotFound, Unsupported
from hounsfield.imaging.transcode import transcode
from hounsfield.index.attachments import Attachment, AttachmentType, find_attachment
from hounsfield.retrieve.archives import Member, Plan, members
from hounsfield.retrieve.datasets import read_instance_head
from hounsfield.retrieve.dicomdir import DirectoryRecord, read_record, write_dicomdir
from hounsfield.retrieve.files import read_attachment, stream_attachment
from hounsfield.retrieve.zip import LAST_BLOCK, Packed, ZipWriter, pack, pack_piece
from hounsfield.store.spool import Buffer

_log = logging.getLogger("hounsfield.generic")

_COMMENT = b"Created by Hounsfield"
_WHOLE = 16 << 20
"""Larger files are packed piece by piece."""

Transcoder = Callable[[Buffer], Buffer]


def transcoder(transfer_syntax_uid: str, lossy_quality: int) -> Transcoder:
    """What transcodes files to a transfer syntax."""
    return partial(transcode, transfer_syntax_uid=transfer_syntax_uid, lossy_quality=lossy_quality)


@dataclass(frozen=True, slots=True)
class PackingOptions:
    """How much is done ahead: in how many threads, for how many files, and how many bytes of them."""

    threads: int = 4
    window: int = 8
    window_bytes: int = 128 << 20
    default_encoding: str = "Latin1"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make an archive. `transcode` raises `Unsupported` for what it cannot change."""

    is_media: bool = False
    is_extended: bool = False
    transcode: Transcoder | None = None


@dataclass(slots=True)
class Packing:
    """How far an archive is: files and bytes that are in it, before compression, and what was left out."""

    count: int = 0
    size: int = 0
    archive_size: int = 0
    left_out: list[PublicId] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A file ready to be sent; without `packed` it is to be sent piece by piece."""

    packed: Packed | None
    record: DirectoryRecord | None


def archive_pieces(
    archive: Archive, planned: Plan, recipe: Recipe, options: PackingOptions, packing: Packing
) -> Iterator[bytes]:
    """The bytes of an archive; `packing` tells how far it is.

    Raises
    ------
    Corrupt
        While it is read, if a file is missing or damaged, or cannot be listed in a DICOMDIR.
    """
    writer = ZipWriter(datetime.now().astimezone(), _COMMENT)
    records: list[tuple[str, DirectoryRecord]] = []
    with ThreadPoolExecutor(options.threads, thread_name_prefix="ZIP") as pool:
        for member, ready in _made_ahead(archive, planned, recipe, options, pool):
            if ready is None:
                packing.left_out.append(member.public_id)
                continue
            name = member.path
            if recipe.is_media:
                name = f"IMAGES/IM{packing.count}"
            if ready.record is not None:
                records.append((name, ready.record))
            if ready.packed is not None:
                yield writer.add(name, ready.packed)
                yield bytes(ready.packed.data)
                packing.size += ready.packed.size
            else:
                yield from _large(archive, member, writer, name, pool, options)
                packing.size += member.attachment.size
            packing.count += 1
            packing.archive_size = writer.size
    if recipe.is_media:
        directory = pack(write_dicomdir(records))
        yield writer.add("DICOMDIR", directory)
        yield bytes(directory.data)
    yield writer.finish()
    packing.archive_size = writer.size


def _made_ahead(
    archive: Archive, planned: Plan, recipe: Recipe, options: PackingOptions, pool: ThreadPoolExecutor
) -> Iterator[tuple[Member, _Ready | None]]:
    """The members in order, with what is made of them a few ahead."""
    window: deque[tuple[Member, Future[_Ready | None]]] = deque()
    ahead = 0
    try:
        for member in members(archive, planned):
            window.append((member, pool.submit(_make, archive, member, recipe, options)))
            ahead += member.attachment.size
            while len(window) > options.window or (ahead > options.window_bytes and len(window) > 1):
                first, future = window.popleft()
                ahead -= first.attachment.size
                yield first, future.result()
        while window:
            first, future = window.popleft()
            yield first, future.result()
    finally:
        for _, future in window:
            future.cancel()


def _make(archive: Archive, member: Member, recipe: Recipe, options: PackingOptions) -> _Ready | None:
    """Make a file ready; None if it was deleted meanwhile, or cannot be transcoded."""
    try:
        if recipe.transcode is None and member.attachment.size > _WHOLE:
            head = read_instance_head(archive, member.attachment, default_encoding=options.default_encoding)
            return _Ready(None, _record(head, recipe))
        content: Buffer = read_attachment(archive, member.attachment)
    except NotFound as error:
        found = _find(archive, member)
        if found is None:
            return None
        if found.uuid != member.attachment.uuid:  # It was overwritten meanwhile.
            return _make(archive, replace(member, attachment=found), recipe, options)
        raise Corrupt(f"The file of instance {member.public_id} is missing") from error
    syntax = member.transfer_syntax_uid
    if recipe.transcode is not None:
        try:
            content = recipe.transcode(content)
        except (Unsupported, Corrupt):
            _log.warning("Instance %s cannot be transcoded, and is left out of an archive", member.public_id)
            return None
        syntax = ""
    record = None
    if recipe.is_media or not syntax:
        head = read_head(content, default_encoding=options.default_encoding)
        syntax = head.transfer_syntax_uid
        record = _record(head, recipe)
    return _Ready(pack(content, is_compressible=not transfer_syntax(syntax).is_encapsulated), record)


def _record(head: Head, recipe: Recipe) -> DirectoryRecord | None:
    return read_record(head, is_extended=recipe.is_extended) if recipe.is_media else None


def _find(archive: Archive, member: Member) -> Attachment | None:
    with archive.database.read() as tx:
        return find_attachment(tx, Level.INSTANCE, member.public_id, AttachmentType.DICOM)


def _large(
    archive: Archive,
    member: Member,
    writer: ZipWriter,
    name: str,
    pool: ThreadPoolExecutor,
    options: PackingOptions,
) -> Iterator[bytes]:
    """A large file, whose pieces are compressed in several threads."""
    yield writer.begin(name)
    crc, size, packed_size = 0, 0, 0
    window: deque[Future[bytes]] = deque()
    for piece in stream_attachment(archive, member.attachment):
        crc, size = isal_zlib.crc32(piece, crc), size + len(piece)
        window.append(pool.submit(pack_piece, piece))
        if len(window) > options.threads:
            packed = window.popleft().result()
            packed_size += len(packed)
            yield packed
    while window:
        packed = window.popleft().result()
        packed_size += len(packed)
        yield packed
    yield LAST_BLOCK
    yield writer.end(crc, size, packed_size + len(LAST_BLOCK))
