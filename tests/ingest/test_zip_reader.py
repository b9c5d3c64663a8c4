"""Reading ZIP archives: as large as they come, and as false."""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.errors import Corrupt
from hounsfield.ingest.zip_reader import entries, expand


def zipped(contents: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", method) as archive:
        archive.comment = comment
        for name, content in contents.items():
            archive.writestr(name, content)
    return output.getvalue()


def read(data: bytes) -> dict[str, bytes]:
    file = io.BytesIO(data)
    return {entry.name: b"".join(expand(file, entry)) for entry in entries(file)}


@given(
    st.dictionaries(st.text("ab/é", min_size=1, max_size=9), st.binary(max_size=300), max_size=4),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
    st.binary(max_size=40),
    st.binary(max_size=60),
)
def test_what_others_put_in_comes_out(
    contents: dict[str, bytes], method: int, comment: bytes, before: bytes
) -> None:
    if b"PK" not in comment:
        assert read(before + zipped(contents, method, comment)) == contents


def test_large_contents_come_in_pieces() -> None:
    content = bytes(range(256)) * 40_000
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        file = io.BytesIO(zipped({"a": content}, method))
        (entry,) = entries(file)
        pieces = list(expand(file, entry))
        assert max(map(len, pieces)) <= 1 << 20
        assert b"".join(pieces) == content


def test_entries_with_64_bits_are_read() -> None:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive, archive.open("a", "w", force_zip64=True) as entry:
        entry.write(b"abc" * 99)
    assert read(output.getvalue()) == {"a": b"abc" * 99}


def test_a_directory_with_both_sizes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As other writers make it between 2 and 4 GB."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    contents = {"a": b"abc" * 99, "b": b"x"}
    assert read(zipped(contents, zipfile.ZIP_STORED)) == contents


def test_more_than_65535_entries_are_read() -> None:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        for number in range(66_000):
            archive.writestr(zipfile.ZipInfo(str(number)), b"")
    assert sum(1 for _ in entries(output)) == 66_000


class _Sparse(io.RawIOBase):
    """A file of many gigabytes, of which only the ends are there; all else is zero."""

    def __init__(self, size: int, parts: dict[int, bytes]) -> None:
        self._size, self._parts, self._at = size, parts, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset if whence == 0 else self._size + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        data = bytearray(min(size, self._size - self._at))
        for start, part in self._parts.items():
            first, last = max(start, self._at), min(start + len(part), self._at + len(data))
            if first < last:
                data[first - self._at : last - self._at] = part[first - start : last - start]
        self._at += len(data)
        return bytes(data)


def test_an_entry_beyond_100_gb_is_found() -> None:
    far = 100 << 30
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 45, 0, 0, 0, 0, zlib.crc32(b"abc"), 3, 3, 1, 0) + b"aabc"
    extra = struct.pack("<2HQ", 1, 8, far)
    central = (
        struct.pack(
            "<4s6H3I5H2I",
            b"PK\x01\x02",
            *(45, 45, 0, 0, 0, 0, zlib.crc32(b"abc"), 3, 3, 1, len(extra), 0, 0, 0, 0, 0xFFFFFFFF),
        )
        + b"a"
        + extra
    )
    at = far + len(local)
    end = (
        struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(central), at)
        + struct.pack("<4sIQI", b"PK\x06\x07", 0, at + len(central), 1)
        + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(central), 0xFFFFFFFF, 0)
    )
    size = at + len(central) + len(end)
    file = _Sparse(size, {far: local, at: central, at + len(central): end})
    (entry,) = entries(file)  # type: ignore[arg-type]
    assert b"".join(expand(file, entry)) == b"abc"  # type: ignore[arg-type]


def test_entries_that_share_their_bytes_are_a_bomb() -> None:
    data = zipped({"a": bytes(1 << 20)})
    directory = data.index(b"PK\x01\x02")
    entry, end = data[directory : data.index(b"PK\x05\x06")], data[data.index(b"PK\x05\x06") :]
    many = data[:directory] + entry * 1000
    fields = list(struct.unpack("<4s4H2IH", end))
    fields[3:6] = [1000, 1000, len(entry) * 1000]
    file = io.BytesIO(many + struct.pack("<4s4H2IH", *fields))
    with pytest.raises(Corrupt, match="overlap"):
        list(entries(file))


@pytest.mark.parametrize("cut", [0, 1, 21, 30, 60, 100])
def test_a_torn_archive_is_corrupt(cut: int) -> None:
    data = zipped({"a": b"abc" * 99})
    with pytest.raises(Corrupt):
        read(data[: len(data) - 1 - cut])


def test_a_wrong_checksum_size_or_key_is_corrupt() -> None:
    data = bytearray(zipped({"a": b"abc" * 99}))
    at = data.index(b"PK\x01\x02")
    for offset in (16, 24):
        broken = bytearray(data)
        broken[at + offset] ^= 1
        with pytest.raises(Corrupt):
            read(bytes(broken))
    encrypted = bytearray(data)
    encrypted[at + 8] |= 1
    with pytest.raises(Corrupt, match="encrypted"):
        read(bytes(encrypted))


def test_what_is_no_archive_is_corrupt(tmp_path: Path) -> None:
    for data in (b"", b"PK\x03\x04", b"PK\x05\x06" + b"\xff" * 18, b"x" * 70_000):
        with pytest.raises(Corrupt):
            read(data)
