"""ZIP archives, read by other people's programs."""

import io
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.retrieve import zip as zips
from hounsfield.retrieve.zip import DEFLATED, LAST_BLOCK, STORED, ZipWriter, pack, pack_piece

_MOMENT = datetime(2026, 11, 20, 10, 26, 36, tzinfo=UTC)


def archive(contents: dict[str, bytes], comment: bytes = b"") -> bytes:
    writer, pieces = ZipWriter(_MOMENT, comment), []
    for name, content in contents.items():
        packed = pack(content)
        pieces += [writer.add(name, packed), bytes(packed.data)]
    pieces.append(writer.finish())
    whole = b"".join(pieces)
    assert writer.size == len(whole)
    return whole


def in_pieces(name: str, content: bytes, size: int) -> bytes:
    writer = ZipWriter(_MOMENT)
    packed = [pack_piece(content[at : at + size]) for at in range(0, len(content), size)]
    return b"".join(
        (
            writer.begin(name),
            *packed,
            LAST_BLOCK,
            writer.end(zlib.crc32(content), len(content), sum(map(len, packed)) + len(LAST_BLOCK)),
            writer.finish(),
        )
    )


@given(st.dictionaries(st.text("ab/é中", min_size=1, max_size=9), st.binary(max_size=200), max_size=5))
def test_what_is_put_in_comes_out(contents: dict[str, bytes]) -> None:
    opened = zipfile.ZipFile(io.BytesIO(archive(contents)))
    assert opened.testzip() is None
    assert {name: opened.read(name) for name in opened.namelist()} == contents


def test_an_empty_archive_is_one() -> None:
    opened = zipfile.ZipFile(io.BytesIO(archive({}, b"Created by me")))
    assert opened.namelist() == []
    assert opened.comment == b"Created by me"


def test_what_gains_nothing_is_stored() -> None:
    noise = bytes(range(256))
    opened = zipfile.ZipFile(io.BytesIO(archive({"a": b"a" * 1000, "b": noise})))
    assert [each.compress_type for each in opened.infolist()] == [DEFLATED, STORED]
    assert pack(b"a" * 1000, is_compressible=False).method == STORED


def test_sizes_are_told_before_the_content() -> None:
    (entry,) = zipfile.ZipFile(io.BytesIO(archive({"a": b"abc" * 99}))).infolist()
    assert entry.flag_bits == 0
    assert entry.date_time == (2026, 11, 20, 10, 26, 36)


@given(st.binary(max_size=3000), st.integers(1, 999))
def test_an_entry_may_come_in_pieces(content: bytes, size: int) -> None:
    opened = zipfile.ZipFile(io.BytesIO(in_pieces("a", content, size)))
    assert opened.testzip() is None
    assert opened.read("a") == content


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sizes beyond 100 bytes count as large."""
    monkeypatch.setattr(zips, "_LARGE", 100)
    yield


def test_large_archives_have_64_bits(small_limits: None, tmp_path: Path) -> None:
    contents = {f"{number}.dcm": bytes([number]) * 200 for number in range(5)} | {"é": b"x"}
    whole = archive(contents)
    opened = zipfile.ZipFile(io.BytesIO(whole))
    assert opened.testzip() is None
    assert {name: opened.read(name) for name in opened.namelist()} == contents
    path = tmp_path / "a.zip"
    path.write_bytes(whole)
    assert subprocess.run(["python3", "-m", "zipfile", "-t", str(path)], check=True).returncode == 0


def test_more_than_65535_entries_are_counted(tmp_path: Path) -> None:
    writer, packed = ZipWriter(_MOMENT), pack(b"")
    whole = b"".join([writer.add(f"{number}", packed) for number in range(70_000)] + [writer.finish()])
    assert len(zipfile.ZipFile(io.BytesIO(whole)).namelist()) == 70_000
