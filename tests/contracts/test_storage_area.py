"""What every storage area promises."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from hounsfield.errors import Corrupt, NotFound
from hounsfield.store.area import FileKey, StorageArea
from hounsfield.store.filesystem import FilesystemArea
from hounsfield.store.memory import MemoryArea
from hounsfield.store.spool import FolderSpool


@pytest.fixture(params=["memory", "filesystem", "synchronising filesystem"])
def area(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorageArea]:
    if request.param == "memory":
        yield MemoryArea()
        return
    made = FilesystemArea(tmp_path / "files", sync=request.param.startswith("sync"), batch=4, folder_limit=8)
    yield made
    made.close()


@pytest.fixture
def spool(tmp_path: Path) -> FolderSpool:
    (tmp_path / "spool").mkdir()
    return FolderSpool(tmp_path / "spool")


def test_a_file_reads_back_as_the_parts_in_order(area: StorageArea) -> None:
    key = area.create([b"one", bytearray(b"two"), memoryview(b"three")], b"note")
    assert area.read(key, 0, 11) == b"onetwothree"
    assert area.read(key, 3, 3) == b"two"
    assert area.read(key, 11, 0) == b""


def test_a_key_is_a_uuid_and_new_each_time(area: StorageArea) -> None:
    keys = [area.create([b"x"], b"") for _ in range(20)]
    assert len(set(keys)) == 20
    assert all(str(UUID(key)) == key for key in keys)
    assert set(area.keys()) == set(keys)


def test_empty_parts_and_an_empty_file_are_kept(area: StorageArea) -> None:
    key = area.create([b"", b"a", b""], b"n")
    empty = area.create([], b"n")
    assert area.read(key, 0, 1) == b"a"
    assert area.read(empty, 0, 0) == b""


def test_a_missing_file_is_not_found(area: StorageArea) -> None:
    with pytest.raises(NotFound):
        area.read(FileKey(str(uuid4())), 0, 1)


def test_reading_beyond_a_settled_file_is_corrupt(area: StorageArea) -> None:
    key = area.create([b"12345"], b"note")
    area.settle([key], 1)
    with pytest.raises(Corrupt):
        area.read(key, 0, 6)
    with pytest.raises(Corrupt):
        area.read(key, 6, 1)


def test_settling_keeps_the_content_and_may_be_repeated(area: StorageArea) -> None:
    content = b"content" * 100
    key = area.create([content], b"note")
    for _ in range(3):
        area.settle([key, FileKey(str(uuid4()))], 1)
    assert area.read(key, 0, len(content)) == content


def test_a_content_that_ends_like_a_note_is_settled_only_once(area: StorageArea) -> None:
    """Whoever stores again a file that was copied out of an area before it was settled."""
    inner = area.create([b"inner content"], b"inner note")
    path = area.path(inner)
    content = path.read_bytes() if path is not None else b"as it is"
    outer = area.create([content], b"outer note")
    area.settle([outer], 1)
    area.settle([outer], 1)
    assert area.read(outer, 0, len(content)) == content


def test_removed_files_are_gone_and_others_stay(area: StorageArea) -> None:
    first, second, third = (area.create([bytes([number])], b"") for number in range(3))
    area.settle([second], 1)
    area.remove([first, second, FileKey(str(uuid4()))])
    area.remove([first])
    assert list(area.keys()) == [third]
    with pytest.raises(NotFound):
        area.read(first, 0, 1)


def test_files_may_be_removed_while_they_are_listed(area: StorageArea) -> None:
    keys = [area.create([b"x"], b"") for _ in range(20)]
    listed = area.keys()
    first = next(listed)
    area.remove(keys)
    assert set(listed) | {first} <= set(keys)
    assert list(area.keys()) == []


def test_a_path_leads_to_the_bytes(area: StorageArea) -> None:
    key = area.create([b"12345"], b"note")
    path = area.path(key)
    if path is not None:
        assert path.read_bytes()[:5] == b"12345"
        area.settle([key], 1)
        assert path.read_bytes() == b"12345"


def test_a_spooled_file_is_adopted(area: StorageArea, spool: FolderSpool) -> None:
    for content in (b"spooled" * 1000, b"x"):
        file = spool.create()
        file.write(content)
        key = area.adopt(file, b"note")
        file.close()
        assert area.read(key, 0, len(content)) == content
        area.settle([key], 1)
        assert area.read(key, 0, len(content)) == content
    assert list(spool.folder.iterdir()) == []


def test_many_threads_may_create_settle_and_remove(area: StorageArea) -> None:
    def work(number: int) -> list[tuple[FileKey, bytes]]:
        made = []
        for turn in range(12):
            content = f"{number} {turn} ".encode() * 50
            key = area.create([content], b"note")
            if turn % 3 == 0:
                area.settle([key], 1)
            if turn % 4 == 1:
                area.remove([key])
            else:
                made.append((key, content))
        return made

    with ThreadPoolExecutor(8) as pool:
        made = [pair for some in pool.map(work, range(8)) for pair in some]
    assert {key for key, _ in made} == set(area.keys())
    assert len(made) == 8 * 9
    for key, content in made:
        assert area.read(key, 0, len(content)) == content


def test_recent_tells_of_no_file_that_was_removed(area: StorageArea) -> None:
    key = area.create([b"x"], b"note")
    area.remove([key])
    assert [recent for recent in area.recent() if recent.key == key] == []


def test_no_thread_and_no_descriptor_is_left_after_closing(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208
    threads = threading.active_count()
    made = FilesystemArea(tmp_path, sync=False, batch=4)
    made.create([b"x"], b"")
    made.close()
    assert threading.active_count() == threads
    if before:
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
