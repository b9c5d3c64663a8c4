"""The headers of resources: from the index, or where it has none from a file, which then fills the gap."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

from hounsfield.archive import Archive
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.packed_header import pack_header, unpack_header
from hounsfield.dicom.part10 import Head
from hounsfield.dicom.tags import Tag
from hounsfield.errors import ArchiveError, Corrupt, NotFound
from hounsfield.index.database import Transaction
from hounsfield.index.find import HeaderAccess
from hounsfield.index.headers import has_header, put_header, read_packed_headers
from hounsfield.retrieve.datasets import read_instance


def header_access(archive: Archive, default_encoding: str = "Latin1") -> HeaderAccess:
    """What `find` needs to decide on any attribute."""
    return HeaderAccess(default_encoding, partial(read_from_file, archive, default_encoding))


def read_headers(
    archive: Archive,
    tx: Transaction,
    level: Level,
    public_ids: Sequence[str],
    tags: frozenset[Tag] | None = None,
    *,
    default_encoding: str = "Latin1",
) -> Iterator[tuple[PublicId, Dataset]]:
    """For each resource the header of one instance below it, in no order; of those that can be read at all.

    Of attributes other than `tags`, all if None, it may lack those whose values are large.
    """
    for resource, instance, packed in read_packed_headers(tx, level, public_ids):
        dataset: Dataset | None = None
        if packed is not None:
            header = unpack_header(packed, default_encoding)
            if header.has_all(tags) if tags is not None else not header.omitted:
                dataset = header.dataset
        if dataset is None:
            dataset = read_from_file(archive, default_encoding, instance)
        if dataset is not None:
            yield resource, dataset


def read_from_file(archive: Archive, default_encoding: str, instance: PublicId) -> Dataset | None:
    """The header of an instance from its file; None if it was deleted meanwhile, or is damaged."""
    try:
        head = read_instance(archive, instance, default_encoding=default_encoding)
    except (NotFound, Corrupt):
        return None
    _fill(archive, instance, head)
    return head.dataset


def _fill(archive: Archive, instance: PublicId, head: Head) -> None:
    """Give the index a header that it lacks; where it cannot be written, it can still be read from the file."""
    with archive.database.peek() as tx:
        if has_header(tx, instance):
            return
    packed = None if head.is_truncated else pack_header(head)
    if packed is not None:
        with suppress(ArchiveError, OSError):
            archive.database.write(lambda tx: put_header(tx, instance, packed), durable=False)
