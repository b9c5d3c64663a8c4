"""The note at the end of a file: proof that it is whole, and what is needed to index it again.

    content | note | footer (32 bytes): magic, content length, note length, CRC-32 of content, CRC-32 of the rest

A write torn by a power cut may leave any mixture of old and new blocks: only a file whose content matches the
CRC of its footer is whole.
"""

import struct
from collections.abc import Callable, Iterable

from isal import isal_zlib

from hounsfield.store.spool import Buffer

MAGIC = b"HNSFLDn1"
_FOOTER = struct.Struct("<8sQIII4x")
FOOTER_SIZE = _FOOTER.size
_MAXIMUM_NOTE = 1 << 20
_CHUNK = 4 << 20

crc32: Callable[..., int] = isal_zlib.crc32
"""CRC-32 of a buffer, continued from a second argument; some tens of GB/s."""


def ending(note: bytes, content_length: int, content_crc32: int) -> bytes:
    """The bytes to write after the content."""
    fixed = _FOOTER.pack(MAGIC, content_length, len(note), content_crc32, 0)[:24]
    seal = crc32(fixed, crc32(note))
    return note + _FOOTER.pack(MAGIC, content_length, len(note), content_crc32, seal)


def parse_footer(footer: Buffer, file_size: int) -> tuple[int, int, int, int] | None:
    """Content length, note length, CRC-32 of the content and seal; None when there is no footer."""
    if len(footer) != FOOTER_SIZE:
        return None
    magic, length, note_length, content_crc32, seal = _FOOTER.unpack(footer)
    if magic != MAGIC or note_length > _MAXIMUM_NOTE or length + note_length + FOOTER_SIZE != file_size:
        return None
    return length, note_length, content_crc32, seal


def is_sealed(note: bytes, footer: bytes, seal: int) -> bool:
    """Whether the note and the footer are those that were written together."""
    return bool(crc32(footer[:24], crc32(note)) == seal)


def crc32_of_parts(parts: Iterable[Buffer], value: int = 0) -> int:
    """CRC-32 of the concatenation of `parts`, continued from `value`."""
    for part in parts:
        value = crc32(part, value)
    return value


def content_crc32(read: Callable[[int, int], Buffer], length: int) -> int:
    """CRC-32 of `length` bytes that `read(start, length)` gives, a few MiB at a time."""
    value = 0
    for start in range(0, length, _CHUNK):
        value = crc32(read(start, min(_CHUNK, length - start)), value)
    return value
