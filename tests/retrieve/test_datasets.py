"""Headers of stored instances, and the cache of answers."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from tests.ingest.builders import Bench, identifiers, make_file, make_image

from hounsfield.archive import Archive
from hounsfield.dicom.levels import Level
from hounsfield.errors import NotFound
from hounsfield.retrieve.datasets import BytesCache, read_instance, read_instance_head
from hounsfield.retrieve.files import find_dicom
from hounsfield.store.area import FileKey, StorageArea

INSTANCE = identifiers().public_id(Level.INSTANCE)
COMMENTS = 0x00204000


class Counting:
    """An area that counts the bytes that are read."""

    def __init__(self, real: StorageArea) -> None:
        self.real, self.read_bytes = real, 0

    def read(self, key: FileKey, start: int, length: int) -> bytes:
        self.read_bytes += length
        return self.real.read(key, start, length)


def counting(bench: Bench) -> tuple[Archive, Counting]:
    area = Counting(bench.area)
    return Archive(bench.database, area, bench.archive.events), area  # type: ignore[arg-type]


def test_the_header_of_a_large_file_is_read_without_the_rest(bench: Bench) -> None:
    bench.receive(make_image(2 << 20))
    archive, area = counting(bench)
    head = read_instance_head(archive, find_dicom(archive, INSTANCE))
    assert head.dataset.text(0x00100020) == "P1"
    assert head.has_pixel_data
    assert area.read_bytes <= 64 << 10


@pytest.mark.parametrize("size", [0, 1000, (64 << 10) - 400, 64 << 10, 200_000])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_header_longer_than_the_first_read_is_read_whole(
    bench: Bench, size: int, is_compressed: bool
) -> None:
    # Several long texts before the pixel data.
    comments = b"c" * 1000
    extra = {0x0020_4000: comments, 0x7FE00010: bytes(100)}
    data = make_file(extra=dict(extra))
    filler = b"".join(
        (0x0021).to_bytes(2, "little")
        + (0x1000 + number).to_bytes(2, "little")
        + b"UN\0\0"
        + (500).to_bytes(4, "little")
        + bytes(500)
        for number in range(size // 512)
    )
    at = data.index(b"\xe0\x7f\x10\x00")
    data = data[:at] + filler + data[at:]
    bench.with_options(replace(bench.intake.options, is_compressed=is_compressed)).receive(data)
    head = read_instance(bench.archive, INSTANCE)
    assert head.dataset.text(COMMENTS) == "c" * 1000
    assert len([tag for tag in head.dataset if tag >> 16 == 0x21]) == size // 512
    assert head.pixel_data_offset == len(data) - 100 - 12


@pytest.mark.parametrize(
    "name",
    ["CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "image_dfl.dcm", "rtdose.dcm", "693_J2KR.dcm"],
)
def test_real_files_have_the_same_header_as_when_read_whole(bench: Bench, name: str) -> None:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    receipt = bench.receive(Path(path).read_bytes())
    public_id = receipt.identifiers.public_id(Level.INSTANCE)
    head = read_instance(bench.archive, public_id)
    whole = read_instance(bench.archive, public_id, whole=True)
    assert head.transfer_syntax_uid == whole.transfer_syntax_uid
    assert head.pixel_data_offset == whole.pixel_data_offset
    shown = {tag: head.dataset.raw(tag) for tag in head.dataset}
    assert shown == {tag: whole.dataset.raw(tag) for tag in whole.dataset if tag in shown}
    assert len(whole.dataset) > len(shown)


def test_an_unknown_instance_is_not_found(bench: Bench) -> None:
    with pytest.raises(NotFound):
        read_instance(bench.archive, INSTANCE)


def test_text_without_character_set_is_in_the_encoding_asked_for(bench: Bench) -> None:
    bench.receive(make_file(extra={0x00080005: None, 0x00100010: "é".encode("cp1251", "replace") + b"\xe9"}))
    assert (read_instance(bench.archive, INSTANCE).dataset.text(0x00100010) or "")[-1] == "é"
    russian = read_instance(bench.archive, INSTANCE, default_encoding="Windows1251")
    assert (russian.dataset.text(0x00100010) or "")[-1] == "й"


def kept(cache: BytesCache, key: str, data: bytes = b"12345") -> bool:
    made: list[str] = []

    def make() -> bytes:
        made.append(key)
        return data

    assert cache.get_or_make((key,), make) == data
    return not made


def test_the_cache_keeps_what_was_used_last() -> None:
    cache = BytesCache(15)
    assert [kept(cache, key) for key in "abc"] == [False] * 3
    assert kept(cache, "a")
    assert not kept(cache, "d")
    assert [kept(cache, key) for key in "acd"] == [True] * 3
    assert not kept(cache, "b")


def test_what_is_larger_than_the_cache_is_given_and_not_kept() -> None:
    cache = BytesCache(10)
    assert not kept(cache, "large", bytes(11))
    assert not kept(cache, "large", bytes(11))
    assert not kept(cache, "a")
    assert kept(cache, "a")


def test_an_empty_cache_keeps_nothing_and_clearing_forgets() -> None:
    cache = BytesCache(0)
    assert not kept(cache, "a")
    assert not kept(cache, "a")
    cache = BytesCache(100)
    kept(cache, "a")
    cache.clear()
    assert not kept(cache, "a")


def test_a_failure_to_make_is_not_kept() -> None:
    def fail() -> bytes:
        raise NotFound("gone")

    cache = BytesCache(100)
    with pytest.raises(NotFound):
        cache.get_or_make(("a",), fail)
    assert not kept(cache, "a")


def test_many_threads_share_a_cache_and_its_size_stays_true() -> None:
    cache = BytesCache(1000)
    barrier = threading.Barrier(8)

    def work(thread: int) -> None:
        barrier.wait()
        for turn in range(200):
            key = (turn * (thread + 1)) % 40
            data = bytes([key]) * 50
            assert cache.get_or_make((str(key),), partial(bytes, data)) == data

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert cache._size == sum(map(len, cache._kept.values())) <= 1000
