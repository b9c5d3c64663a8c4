"""Comparing every row of the index with its file, and every file with its row.

Rows and files are both read in the order of their names and merged, so that memory holds some of them only. The server
may go on meanwhile: what looks wrong is looked at again before it is told, and files that are younger than
`grace_seconds` may still get their row.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hounsfield.dicom.levels import Level
from hounsfield.errors import ArchiveError, NotFound
from hounsfield.index.attachments import unknown_files
from hounsfield.index.database import Reader
from hounsfield.index.statistics import totals
from hounsfield.store.area import FileKey
from hounsfield.store.files import FolderFiles
from hounsfield.store.note import crc32_of_parts
from hounsfield.upkeep.findings import Damage, Finding, Progress
from hounsfield.upkeep.rows import check_rows

_PAGE = 1000
_CHUNK = 4 << 20
_COLUMNS = "uuid, level, resource, type, stored_size, stored_md5, stored_crc32"


@dataclass(frozen=True, slots=True)
class _Row:
    """What the index says of a file."""

    uuid: FileKey
    level: int
    resource: int
    type: int
    stored_size: int
    stored_md5: str | None
    stored_crc32: int | None

    @property
    def owner(self) -> str:
        return f"{Level(self.level).word.lower()} row {self.resource}, attachment {self.type}"


def verify(
    index: Reader, files: FolderFiles, *, reads_content: bool = True, grace_seconds: float = 0.0
) -> Iterator[Finding | Progress]:
    """Everything that is wrong, and from time to time how far the search came.

    Without `reads_content` only the names and sizes of files are looked at.
    """
    with index.read() as tx:
        yield from check_rows(tx)
        total_bytes = totals(tx).stored_size
        (total_rows,) = tx.row("SELECT COUNT(*) FROM attachments") or (0,)
    done = bytes_read = 0
    previous: _Row | None = None
    for row, key, size in _merged(_rows(index), files.sizes()):
        if row is None:
            if key is not None:
                yield from _orphan(index, files, key, grace_seconds)
            continue
        if previous is not None and previous.uuid == row.uuid:
            yield Finding(Damage.DOUBLED_ROW, row.uuid, f"{previous.owner} and {row.owner} share it")
        else:
            yield from _file(index, files, row, size, reads_content=reads_content)
            bytes_read += row.stored_size
        previous, done = row, done + 1
        if done % 100 == 0:
            yield Progress(done, max(done, total_rows), bytes_read, max(bytes_read, total_bytes))
    yield Progress(done, max(done, total_rows), bytes_read, max(bytes_read, total_bytes))


def _rows(index: Reader) -> Iterator[_Row]:
    """All attachments, by UUID."""
    after, seen = "", 0
    while True:
        with index.read() as tx:  # A snapshot that lasts long would keep the database from tidying up.
            page = tx.rows(
                f"SELECT {_COLUMNS} FROM attachments WHERE uuid >= ? ORDER BY uuid, level, resource, type"
                " LIMIT ? OFFSET ?",
                after,
                _PAGE,
                seen,
            )
        for found in page:
            yield _Row(FileKey(found[0]), *found[1:])
        if len(page) < _PAGE:
            return
        after = page[-1][0]
        seen = sum(1 for found in page if found[0] == after)


def _merged(
    rows: Iterable[_Row], files: Iterable[tuple[FileKey, int]]
) -> Iterator[tuple[_Row | None, FileKey | None, int]]:
    """Rows and files of the same name together; the file of a doubled row is told with each."""
    waiting = iter(files)
    key, size = next(waiting, (None, 0))
    last: tuple[FileKey | None, int] = (None, 0)
    for row in rows:
        while key is not None and key < row.uuid:
            yield None, key, size
            key, size = next(waiting, (None, 0))
        if key == row.uuid:
            last = (key, size)
            key, size = next(waiting, (None, 0))
        yield (row, *last) if last[0] == row.uuid else (row, None, 0)
    while key is not None:
        yield None, key, size
        key, size = next(waiting, (None, 0))


def _file(
    index: Reader, files: FolderFiles, row: _Row, size: int, *, reads_content: bool
) -> Iterator[Finding]:
    """What is wrong with the file of a row, if anything, and if the row is still there."""
    finding = _compare(files, row, size, reads_content=reads_content)
    if finding is not None:
        with index.read() as tx:
            is_there = tx.row("SELECT 1 FROM attachments WHERE uuid = ?", row.uuid) is not None
        if is_there:
            yield finding


def _compare(files: FolderFiles, row: _Row, size: int, *, reads_content: bool) -> Finding | None:
    try:
        if size != row.stored_size:  # It may have a note, or have been stored after it was listed.
            found = files.find(row.uuid)
            if found is None:
                return Finding(Damage.MISSING_FILE, row.uuid, row.owner)
            if found.size != row.stored_size:
                details = f"{found.size} bytes instead of {row.stored_size}; {row.owner}"
                return Finding(Damage.WRONG_SIZE, row.uuid, details)
        return _compare_content(files, row) if reads_content else None
    except NotFound:
        return Finding(Damage.MISSING_FILE, row.uuid, row.owner)
    except (OSError, ArchiveError) as error:
        return Finding(Damage.UNREADABLE_FILE, row.uuid, f"{type(error).__name__}; {row.owner}")


def _compare_content(files: FolderFiles, row: _Row) -> Finding | None:
    md5 = hashlib.md5(usedforsecurity=False) if row.stored_md5 else None
    crc32 = 0
    for start in range(0, row.stored_size, _CHUNK):
        piece = files.read(row.uuid, start, min(_CHUNK, row.stored_size - start))
        crc32 = crc32_of_parts([piece], crc32)
        if md5 is not None:
            md5.update(piece)
    if row.stored_crc32 is not None and crc32 != row.stored_crc32:
        return Finding(Damage.ALTERED_FILE, row.uuid, f"its CRC-32 is another one; {row.owner}")
    if md5 is not None and md5.hexdigest() != row.stored_md5:
        return Finding(Damage.ALTERED_FILE, row.uuid, f"its MD5 is another one; {row.owner}")
    return None


def _orphan(index: Reader, files: FolderFiles, key: FileKey, grace_seconds: float) -> Iterator[Finding]:
    """A file without row, unless it is about to get one, or about to be deleted."""
    try:
        age_seconds = time.time() - files.path(key).stat().st_mtime
    except FileNotFoundError:
        return
    if grace_seconds and age_seconds < grace_seconds:
        return
    with index.read() as tx:
        is_unknown = bool(unknown_files(tx, [key]))
    if is_unknown and files.find(key) is not None:
        yield Finding(Damage.ORPHANED_FILE, key, "no row has it")
