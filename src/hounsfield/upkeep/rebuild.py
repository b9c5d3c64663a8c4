"""Making the index again from the files alone, or what is missing of it.

A file that no row has is read as far as its pixel data and indexed; what has a row is left as it is, and nothing is
ever deleted. What only the index knew is lost: labels, metadata of users, attachments other than DICOM files. Who sent
an instance and when is known as long as its file carries a note, otherwise the date of the file stands for it.
"""

import mmap
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from hounsfield.dicom.identifiers import PublicId, identify
from hounsfield.dicom.levels import Level
from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.pixel_extent import is_cut_off
from hounsfield.errors import ArchiveError, Corrupt
from hounsfield.index.attachments import AttachmentType, Compression, unknown_files
from hounsfield.index.database import Transaction
from hounsfield.index.insertion import NewAttachment, NewInstance, ParentsMissing, add_instance
from hounsfield.ingest.instance import Origin, OriginKind, Reception, date_of, describe
from hounsfield.ingest.intake import Intake
from hounsfield.ingest.note import Note, read_note
from hounsfield.store.area import FileKey
from hounsfield.store.compression import decompress
from hounsfield.store.files import FolderFiles
from hounsfield.store.note import FOOTER_SIZE, crc32_of_parts, is_sealed, parse_footer
from hounsfield.store.spool import Buffer

_BATCH = 200
_READERS = 4
_ZLIB_HEADER = b"\x78"
_LENGTH_SIZE = 8
_UNKNOWN = Origin(OriginKind.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many files were looked at so far, and what became of them.

    `known` had a row, `indexed` have one now, `doubled` hold an instance that another file holds, `left` cannot be
    indexed.
    """

    files: int = 0
    known: int = 0
    indexed: int = 0
    doubled: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """An instance in a file that has no row; what was only `staged` is worth less than an original."""

    new: NewInstance
    file: NewAttachment
    is_staged: bool


def rebuild(intake: Intake, files: FolderFiles) -> Iterator[Rebuilt]:
    """Index every file that the index does not know; how far it came, after each batch."""
    state = Rebuilt()
    batch: list[FileKey] = []
    described: set[PublicId] = set()
    staged: list[_Found] = []
    for key, _ in files.sizes():
        batch.append(key)
        if len(batch) == _BATCH:
            state = _index_batch(intake, files, batch, state, described, staged)
            batch = []
            yield state
    state = _index_batch(intake, files, batch, state, described, staged)
    state = _count_indexed(state, _add(intake, staged), len(staged))
    intake.archive.database.sync()
    yield state


def _index_batch(
    intake: Intake,
    files: FolderFiles,
    keys: list[FileKey],
    state: Rebuilt,
    described: set[PublicId],
    staged: list[_Found],
) -> Rebuilt:
    with intake.archive.database.read() as tx:
        unknown = unknown_files(tx, keys)
    wanted = [key for key in keys if key in unknown]
    found = list(_read_all(intake, files, wanted, described))
    try:
        indexed = _add(intake, [each for each in found if not each.is_staged])
    except ParentsMissing:  # A series that was indexed a moment ago is deleted already.
        described.clear()
        found = list(_read_all(intake, files, wanted, None))
        indexed = _add(intake, [each for each in found if not each.is_staged])
    late = [each for each in found if each.is_staged]
    staged += late
    state = replace(
        state,
        files=state.files + len(keys),
        known=state.known + len(keys) - len(unknown),
        left=state.left + len(unknown) - len(found),
    )
    return _count_indexed(state, indexed, len(found) - len(late))


def _count_indexed(state: Rebuilt, indexed: int, tried: int) -> Rebuilt:
    return replace(state, indexed=state.indexed + indexed, doubled=state.doubled + tried - indexed)


def _read_all(
    intake: Intake, files: FolderFiles, keys: list[FileKey], described: set[PublicId] | None
) -> Iterator[_Found]:
    """The instances in files; patient, study and series are told of once for each series, unless `described` is None.

    That takes three quarters of the time.
    """
    with ThreadPoolExecutor(_READERS) as readers:  # While one waits for the disk, or sums up, others go on.
        known: Collection[PublicId] = described or frozenset()
        for found in readers.map(lambda key: _read(intake, files.path(key), known), keys):
            if found is not None:
                if described is not None:
                    described.add(found.new.public_ids[Level.SERIES])
                yield found


def _add(intake: Intake, found: list[_Found]) -> int:
    """Add rows; how many are new."""

    def work(tx: Transaction) -> int:
        return sum(add_instance(tx, each.new, each.file).is_new for each in found)

    return intake.archive.database.write(work, durable=False) if found else 0


def _read(intake: Intake, path: Path, described: Collection[PublicId]) -> _Found | None:
    """The instance in a file; None if there is none that is whole."""
    try:
        with path.open("rb") as file:  # The map lives as long as something is read from it.
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return _describe(intake, FileKey(path.name), view, path.stat().st_mtime_ns, described)
    except (OSError, ArchiveError, ValueError):
        return None


def _describe(
    intake: Intake, key: FileKey, view: memoryview, modified_ns: int, described: Collection[PublicId]
) -> _Found:
    content, crc32, note = _split(view)
    is_staged = note is not None and note.is_staged
    reception = note.reception if note else Reception(_UNKNOWN, date_of(modified_ns), modified_ns)
    start = bytes(content[:132])
    is_compressed = start[128:] != b"DICM" and start[_LENGTH_SIZE : _LENGTH_SIZE + 1] == _ZLIB_HEADER
    compression = Compression.ZLIB_WITH_SIZE if is_compressed else Compression.NONE
    plain: Buffer = decompress(content) if is_compressed else content
    head = read_head(plain, default_encoding=intake.options.default_encoding)
    if head.is_truncated or is_cut_off(head, plain):
        raise Corrupt("The file is cut off")
    identifiers = identify(head.dataset)
    public_ids = identifiers.public_ids()
    new = describe(
        head,
        identifiers,
        reception,
        main_tags=intake.options.main_tags,
        main_tags_version=intake.main_tags_version,
        public_ids=public_ids,
        with_parents=is_staged or public_ids[Level.SERIES] not in described,
        header=intake.headers.pack(head, public_ids[Level.SERIES]),
    )
    return _Found(
        new,
        NewAttachment(AttachmentType.DICOM, key, len(plain), len(content), compression, stored_crc32=crc32),
        is_staged,
    )


def _split(view: memoryview) -> tuple[memoryview, int, Note | None]:
    """The content of a file without its note, its CRC-32, and the note if it has one."""
    footer = bytes(view[-FOOTER_SIZE:])
    found = parse_footer(footer, len(view))
    if found is not None:
        length, note_length, crc32, seal = found
        note = bytes(view[length : length + note_length])
        if is_sealed(note, footer, seal) and crc32_of_parts([view[:length]]) == crc32:
            return view[:length], crc32, read_note(note)
    return view, crc32_of_parts([view]), None
