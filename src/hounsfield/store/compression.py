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
    view = memoryview(data)
    if len(view) < _LENGTH.size:
        raise Corrupt("A compressed attachment is shorter than its length field")
    (length,) = _LENGTH.unpack(view[: _LENGTH.size])
    try:
        engine = isal_zlib.decompressobj()
        plain: bytes = engine.decompress(view[_LENGTH.size :], length + 1)
    except (igzip_lib.IsalError, OverflowError, ValueError, MemoryError) as error:  # type: ignore[misc]
        raise Corrupt("A compressed attachment is not a zlib stream") from error
    if len(plain) != length or not engine.eof:
        raise Corrupt("A compressed attachment does not hold as many bytes as it says")
    return plain
