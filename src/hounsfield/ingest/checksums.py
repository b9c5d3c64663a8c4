"""Checksums that clients may send with what they upload, by the names of tus."""

import hashlib
from collections.abc import Callable
from typing import Protocol

from isal import isal_zlib


class Digest(Protocol):
    """What hashlib's digests have in common."""

    def update(self, data: bytes | bytearray, /) -> None:
        """Take more bytes."""
        ...

    def digest(self) -> bytes:
        """The checksum of all bytes."""
        ...


class _Crc32:
    """CRC-32 with the interface of hashlib."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes | bytearray, /) -> None:
        """Take more bytes."""
        self._value = isal_zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        """The checksum, most significant byte first."""
        return self._value.to_bytes(4, "big")


def _md5() -> Digest:
    return hashlib.md5(usedforsecurity=False)


def _sha1() -> Digest:
    return hashlib.sha1(usedforsecurity=False)


CHECKSUMS: dict[str, Callable[[], Digest]] = {
    "sha1": _sha1,
    "sha256": hashlib.sha256,
    "md5": _md5,
    "crc32": _Crc32,
}
