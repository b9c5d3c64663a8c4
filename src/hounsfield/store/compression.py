"""Orthanc's compression of attachments: the length as 8 bytes, little endian, then a zlib stream."""

import struct
from collections.abc import Sequence

from isal import igzip_lib, isal_zlib

from hounsfield.errors import Corrupt
from hounsfield.store.spool import Buffer

_LENGTH = struct.Struct("<Q")
_LEVEL = 1  # Some 500 MB/s; higher levels gain a few percent on pixel data.


def compress(parts: Sequence[Buffer]) -> list[bytes]:
    """The compressed form of the concatenation of `parts`, in pieces."""
    compressor = isal_zlib.compressobj(_LEVEL)
    pieces = [_LENGTH.pack(sum(len(part) for part in parts))]
    pieces += [compressor.compress(part) for part in parts]
    pieces.append(compressor.flush())
    return [piece for piece in pieces if piece]


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
