"""Orthanc's compression of attachments: the length as 8 bytes, little endian, then a zlib stream."""

import struct
from collections.abc import Iterable, Iterator, Sequence

from isal import igzip_lib, isal_zlib

from hounsfield.errors import Corrupt
from hounsfield.store.spool import Buffer

_LENGTH = struct.Struct("<Q")
_PIECE = 4 << 20
_LEVEL = 1  # Some 500 MB/s; higher levels gain a few percent on pixel data.


def compress(parts: Sequence[Buffer]) -> Iterator[bytes]:
    """The compressed form of the concatenation of `parts`, in pieces."""
    return compress_pieces(sum(len(part) for part in parts), parts)


def compress_pieces(length: int, parts: Iterable[Buffer]) -> Iterator[bytes]:
    """As `compress`, of parts that have `length` bytes in all and are taken one after the other."""
    compressor = isal_zlib.compressobj(_LEVEL)
    yield _LENGTH.pack(length)
    for part in parts:
        for start in range(0, len(part), _PIECE):
            yield compressor.compress(memoryview(part)[start : start + _PIECE])
    yield compressor.flush()


def decompress_pieces(pieces: Iterable[Buffer]) -> Iterator[bytes]:
    """As `decompress`, piece by piece: memory holds some MiB, however much there is.

    Raises
    ------
    Corrupt
        As `decompress`, after the bytes that could be had.
    """
    engine = isal_zlib.decompressobj()
    head, length, given = b"", None, 0
    for piece in pieces:
        data: Buffer = piece
        if length is None:
            head += bytes(piece)
            if len(head) < _LENGTH.size:
                continue
            (length,) = _LENGTH.unpack(head[: _LENGTH.size])
            data = head[_LENGTH.size :]
        is_full = True  # A full piece may be followed by more, even if nothing is left to be read.
        while (data or is_full) and not engine.eof and given <= length:
            plain = _inflate_some(engine, data)
            given += len(plain)
            is_full = len(plain) == _PIECE
            yield plain
            data = engine.unconsumed_tail
    if length is None or given != length or not engine.eof:
        raise Corrupt("A compressed attachment does not hold as many bytes as it says")


def _inflate_some(engine: isal_zlib.Decompress, data: Buffer) -> bytes:
    try:
        plain: bytes = engine.decompress(data, _PIECE)
    except (igzip_lib.IsalError, OverflowError, ValueError, MemoryError) as error:  # type: ignore[misc]
        raise Corrupt("A compressed attachment is not a zlib stream") from error
    return plain


def decompress(data: Buffer) -> bytes:
    """The bytes that `compress`, or Orthanc, was given.

    Raises
    ------
    Corrupt
        If this is not such a stream, or it does not hold as many bytes as it says.
    """
    length, plain, is_complete = _inflate(data, None)
    if len(plain) != length or not is_complete:
        raise Corrupt("A compressed attachment does not hold as many bytes as it says")
    return plain


def stored_prefix(length: int) -> int:
    """How many compressed bytes hold the first `length` plain ones, even where nothing could be compressed.

    Code tables come first, of some 300 bytes a block. RFC 1951 3.2.7.
    """
    return length + (length >> 5) + 4096


def decompress_start(data: Buffer, length: int) -> bytes:
    """The first `length` bytes, or all if there are fewer, of which `data` is a `stored_prefix` or more.

    Raises
    ------
    Corrupt
        If this is not the beginning of such a stream.
    """
    whole, plain, _ = _inflate(data, max(length, 1))  # To the engine, 0 is no limit.
    if len(plain) < min(length, whole):
        raise Corrupt("A compressed attachment is cut off")
    return plain[:length]


def _inflate(data: Buffer, maximum: int | None) -> tuple[int, bytes, bool]:
    """The length that is claimed, up to `maximum` of the bytes, and whether the stream has come to its end."""
    view = memoryview(data)
    if len(view) < _LENGTH.size:
        raise Corrupt("A compressed attachment is shorter than its length field")
    (length,) = _LENGTH.unpack(view[: _LENGTH.size])
    try:
        engine = isal_zlib.decompressobj()
        plain: bytes = engine.decompress(view[_LENGTH.size :], length + 1 if maximum is None else maximum)
    except (igzip_lib.IsalError, OverflowError, ValueError, MemoryError) as error:  # type: ignore[misc]
        raise Corrupt("A compressed attachment is not a zlib stream") from error
    return length, plain, engine.eof
