"""The headers of instances in the index: written with their rows, read for whatever main DICOM tags do not hold.

The instances of a series have most of their header in common. Each is compressed by deflate with the header of another
instance of its series as dictionary, its reference (RFC 1950 2.2), which leaves some 60 bytes of a header of 2 KB.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.packed_header import MAXIMUM_HEADER
from hounsfield.errors import Corrupt
from hounsfield.index.database import Transaction
from hounsfield.index.keys import to_key, to_public_id
from hounsfield.index.paging import MOST_AT_ONCE, marks, padded, pages
from hounsfield.index.pending import TABLES

_WINDOW = 32 << 10
_RAW_DEFLATE = -15
# A window that reaches back over a small reference, and takes 64 KiB to set up instead of 256: measured, 10 µs for 76.
_SMALL_DEFLATE = -13
_SMALL_REFERENCE = (8 << 10) - 512
_DIGEST_SIZE = 16
_SPACE = 4096
_POOR_BYTES = 512


@dataclass(frozen=True, slots=True)
class Reference:
    """A header that others of its series are compressed with; `stored` is its own compressed form."""

    digest: bytes
    data: bytes
    stored: bytes


@dataclass(frozen=True, slots=True)
class NewHeader:
    """A compressed header, and what it was compressed with."""

    data: bytes
    reference: Reference


def make_reference(packed: bytes) -> Reference:
    """Make a reference of a header, or of the end of a long one: deflate looks back no further."""
    data = packed[-_WINDOW:]
    return Reference(blake2b(data, digest_size=_DIGEST_SIZE).digest(), data, zlib.compress(data, 6))


def compress_header(packed: bytes, reference: Reference) -> bytes:
    """Compress a header with its reference."""
    is_small = len(reference.data) <= _SMALL_REFERENCE
    engine = zlib.compressobj(
        1, zlib.DEFLATED, _SMALL_DEFLATE if is_small else _RAW_DEFLATE, 8, 0, reference.data
    )
    return engine.compress(packed) + engine.flush()


def is_poor(packed: bytes, data: bytes) -> bool:
    """Whether a header has so little in common with its reference that it had better be one itself."""
    return len(data) > max(_POOR_BYTES, len(packed) // 4)


def decompress_header(data: bytes, reference: bytes) -> bytes:
    """Undo `compress_header`.

    Raises
    ------
    Corrupt
        If the bytes are damaged.
    """
    engine = zlib.decompressobj(_RAW_DEFLATE, reference)
    try:
        return engine.decompress(data, MAXIMUM_HEADER + _SPACE)
    except zlib.error as error:
        raise Corrupt("A header in the index is damaged") from error


def reference_row(tx: Transaction, series: int, reference: Reference) -> int:
    """The row of a reference of a series, which it gets if it is new."""
    memo = ("reference", series, reference.digest)
    row: int | None = tx.memo.get(memo)
    if row is None:
        found = tx.row(
            "SELECT id FROM header_references WHERE series = ? AND digest = ?", series, reference.digest
        )
        row = (
            found[0]
            if found
            else tx.insert(
                "INSERT INTO header_references (series, digest, data) VALUES (?, ?, ?)",
                series,
                reference.digest,
                reference.stored,
            )
        )
        tx.memo[memo] = row
    return row


def latest_reference(tx: Transaction, series: str) -> Reference | None:
    """The newest reference of a series, by public id."""
    row = tx.row(
        "SELECT digest, data FROM header_references WHERE series = (SELECT id FROM series WHERE public_id = ?)"
        " ORDER BY id DESC LIMIT 1",
        to_key(series),
    )
    return Reference(bytes(row[0]), _inflate(row[1]), bytes(row[1])) if row else None


def has_header(tx: Transaction, instance: str) -> bool:
    """Whether the index has the header of an instance, or not even the instance."""
    return tx.row("SELECT 1 FROM instances WHERE public_id = ? AND header IS NULL", to_key(instance)) is None


def put_header(tx: Transaction, instance: str, packed: bytes) -> None:
    """Give an instance its header, in the place of one it may have; nothing happens if it is gone."""
    row = tx.row(
        "SELECT i.id, i.series, s.public_id FROM instances i JOIN series s ON s.id = i.series"
        " WHERE i.public_id = ?",
        to_key(instance),
    )
    if row is None:
        return
    reference = latest_reference(tx, to_public_id(row[2]))
    data = None if reference is None else compress_header(packed, reference)
    if reference is None or data is None or is_poor(packed, data):
        reference = make_reference(packed)
        data = compress_header(packed, reference)
    tx.run(
        "UPDATE instances SET header = ?, header_reference = ? WHERE id = ?",
        data,
        reference_row(tx, row[1], reference),
        row[0],
    )


# One instance below a row of each level: the first of its first series, which indexes find at once.
_FIRST_OF_SERIES = "(SELECT MIN(i.id) FROM instances i WHERE i.series = {0})"
_FIRST_OF_STUDY = _FIRST_OF_SERIES.format("(SELECT MIN(c.id) FROM series c WHERE c.study = {0})")
_FIRST = (
    _FIRST_OF_STUDY.format("(SELECT MIN(s.id) FROM studies s WHERE s.patient = {0})"),
    _FIRST_OF_STUDY,
    _FIRST_OF_SERIES,
    "{0}",
)


def first_instance_sql(level: Level) -> str:
    """The SQL expression for the row of the instance that speaks for a row of a level."""
    return _FIRST[level].format(f"{TABLES[level]}.id")


def read_packed_headers(
    tx: Transaction, level: Level, public_ids: Sequence[str]
) -> Iterator[tuple[PublicId, PublicId, bytes | None]]:
    """For each resource that exists its id, that of an instance below it, and the packed header of this; no order.

    The header is None where the index has none: the file has it.
    """
    references: dict[int, bytes] = {}
    for page in pages(public_ids):
        rows = tx.rows(
            f"SELECT {TABLES[level]}.public_id, x.public_id, x.header, x.header_reference FROM {TABLES[level]}"
            f" JOIN instances x ON x.id = {first_instance_sql(level)}"
            f" WHERE {TABLES[level]}.public_id IN ({marks(page)})",
            *padded([to_key(public_id) for public_id in page]),
        )
        load_references(tx, references, [row[3] for row in rows])
        for resource, instance, data, reference in rows:
            packed = None if data is None else decompress_header(data, references.get(reference, b""))
            yield to_public_id(resource), to_public_id(instance), packed


def load_references(tx: Transaction, known: dict[int, bytes], wanted: Sequence[int | None]) -> None:
    """Add the references that are missing to those that are known, which are forgotten when they are many."""
    missing = sorted({row for row in wanted if row is not None} - known.keys())
    if len(known) > 2 * MOST_AT_ONCE:
        known.clear()
        missing = sorted({row for row in wanted if row is not None})
    if missing:
        sql = f"SELECT id, data FROM header_references WHERE id IN ({marks(missing)})"
        for row, data in tx.rows(sql, *padded(missing)):
            known[row] = _inflate(data)


def _inflate(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MAXIMUM_HEADER + _SPACE)
    except zlib.error as error:
        raise Corrupt("A header in the index is damaged") from error
