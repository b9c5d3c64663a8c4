"""Files in a folder: what start-up finds after a crash, and what a full disk leaves."""

import errno
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from hounsfield.errors import StorageFull
from hounsfield.store import durable, filesystem, slots
from hounsfield.store.area import FileKey, Recent
from hounsfield.store.filesystem import FilesystemArea
from hounsfield.store.slots import Slot


def reopened(area: FilesystemArea, root: Path) -> list[Recent]:
    """What the next run finds after the process was killed. A copy, as the first is still open."""
    copy = root.with_name(root.name + " after")
    shutil.copytree(root, copy)
    found = FilesystemArea(copy, sync=False, batch=4)
    recent = [whole for each in found.recent() if (whole := found.find(each.key)) is not None]
    found.close()
    shutil.rmtree(copy)
    return recent


def notes(area: FilesystemArea, root: Path) -> dict[FileKey, bytes]:
    return {recent.key: recent.note for recent in reopened(area, root) if recent.note is not None}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "files"


def small(root: Path) -> FilesystemArea:
    return FilesystemArea(root, sync=False, batch=4, folder_limit=4)


def test_start_up_gives_back_whole_files_with_their_notes(root: Path) -> None:
    area = small(root)
    key = area.create([b"content"], b"note")
    assert reopened(area, root) == [Recent(key, 7, b"note")]
    area.close()


def test_a_settled_file_has_no_note(root: Path) -> None:
    area = small(root)
    key = area.create([b"content"], b"note")
    area.settle([key], 1)
    assert reopened(area, root) == [Recent(key, 7, None)]
    area.close()


def test_empty_slots_are_deleted_at_start_up(root: Path) -> None:
    area = small(root)
    area.create([b"content"], b"note")
    again = FilesystemArea(root, sync=False, batch=4)
    assert len(list(again.recent())) == 1
    assert len([path for path in root.glob("??/??/*") if path.stat().st_size == 0]) == 0
    again.close()


def test_after_a_clean_end_nothing_is_searched(root: Path) -> None:
    area = small(root)
    area.settle([area.create([b"content"], b"note")], 1)
    area.close()
    assert list((root / ".hounsfield" / "filling").iterdir()) == []
    assert len(list(root.glob("??/??/*"))) == 1


def test_after_an_end_without_settling_the_notes_are_found(root: Path) -> None:
    area = small(root)
    key = area.create([b"content"], b"note")
    area.close()
    again = small(root)
    assert list(again.recent()) == [Recent(key, 7, b"note")]
    again.settle([key], 1)
    assert again.read(key, 0, 7) == b"content"
    again.close()
    assert list((root / ".hounsfield" / "filling").iterdir()) == []


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "one byte short": lambda data: data[:-1],
    "half": lambda data: data[: len(data) // 2],
    "a zeroed block in the content": lambda data: data[:100] + bytes(100) + data[200:],
    "a zeroed end": lambda data: data[:-40] + bytes(40),
    "a zeroed beginning": lambda data: bytes(64) + data[64:],
    "one bit of the note": lambda data: data[:-33] + bytes([data[-33] ^ 1]) + data[-32:],
    "the seal": lambda data: data[:-8] + bytes([data[-8] ^ 1]) + data[-7:],
    "more at the end": lambda data: data + b"\0",
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_a_torn_file_has_no_note(root: Path, damage: str) -> None:
    area = small(root)
    key = area.create([bytes(range(1, 251)) * 4], b"note")
    path = area.path(key)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    (found,) = reopened(area, root)
    assert (found.key, found.note) == (key, None)
    area.close()


def test_a_folder_stays_searched_while_slots_of_it_wait(root: Path) -> None:
    """Settling may come between making the slots of a folder and filling them."""
    area = small(root)
    expected = {}
    for number in range(40):
        key = area.create([b"%d" % number], b"note %d" % number)
        expected[key] = b"note %d" % number
        if number % 3 == 0:
            area.settle([key], 1)
            del expected[key]
        if number % 10 == 9:
            assert notes(area, root) == expected
    area.close()


def test_a_folder_stays_searched_between_taking_a_slot_and_filling_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    area = small(root)
    other = area.create([b"other"], b"note")
    real = durable.write_all

    def write_late(fd: int, parts: list[memoryview]) -> int:
        monkeypatch.setattr(filesystem, "write_all", real)
        for _ in range(12):  # The folder of our slot is full and all that was in it is settled or gone.
            area.settle([area.create([b"x"], b"")], 1)
        area.remove([other])
        return real(fd, parts)

    monkeypatch.setattr(filesystem, "write_all", write_late)
    key = area.create([b"late"], b"late note")
    assert notes(area, root) == {key: b"late note"}
    area.close()


def test_removing_settled_files_does_not_hide_others_of_their_folder(root: Path) -> None:
    area = FilesystemArea(root, sync=False, batch=4, folder_limit=16)
    settled = [area.create([b"x"], b"") for _ in range(6)]
    area.settle(settled, 1)
    kept = [area.create([b"y"], b"kept") for _ in range(6)]
    area.remove(settled)
    for _ in range(20):
        area.settle([area.create([b"z"], b"")], 1)
    assert notes(area, root) == dict.fromkeys(kept, b"kept")
    area.close()


def test_folders_of_an_earlier_run_stay_searched_until_they_were(root: Path) -> None:
    first = small(root)
    keys = {first.create([b"%d" % number], b"note") for number in range(10)}
    first._pool.close()
    second = small(root)
    second.settle([second.create([b"x"], b"")], 1)
    assert set(notes(second, root)) == keys
    assert {recent.key for recent in second.recent() if recent.note} == keys
    second.settle(list(keys), 1)
    second.close()
    assert list((root / ".hounsfield" / "filling").iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_and_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    area = small(root)
    kept = area.create([b"kept"], b"")
    spooled = area.spool.create()
    spooled.write(b"x" * 1000)

    def full(*arguments: object) -> int:
        raise OSError(code, "full")

    with monkeypatch.context() as patched:
        patched.setattr(filesystem, "write_all", full)
        with pytest.raises(StorageFull):
            area.create([b"x"], b"")
        patched.setattr(type(spooled), "write", full)
        with pytest.raises(StorageFull):
            area.adopt(spooled, b"")
    spooled.close()
    assert list(area.keys()) == [kept]
    assert area.read(area.create([b"again"], b""), 0, 5) == b"again"
    area.close()
    assert list((root / ".hounsfield" / "spool").iterdir()) == []


class _Usage(NamedTuple):
    total: int
    free: int


def _usage(free: int, _: Path) -> _Usage:
    return _Usage(1 << 40, free)


def test_the_last_of_a_disk_is_left_to_the_index(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "_ROOM_SECONDS", 0)  # Others fill the disk from one file to the next.
    area = small(root)
    kept = area.create([b"kept"], b"")
    spooled = area.spool.create()
    for free, is_full in ((64 << 20, False), ((64 << 20) - 1, True)):
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "disk_usage", partial(_usage, free))
            if is_full:
                with pytest.raises(StorageFull):
                    area.create([b"x"], b"")
                with pytest.raises(StorageFull):
                    area.adopt(spooled, b"")
                area.remove([kept])
            else:
                area.create([b"x"], b"")
    spooled.close()
    assert kept not in set(area.keys())
    area.close()


def test_slots_that_cannot_be_made_leave_no_descriptor(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    area = small(root)
    made: list[Slot] = []
    real = slots._new_slot

    def failing(folder: Path, prefix: str, node: str) -> Slot:
        if len(made) == 3:
            raise OSError(errno.ENOSPC, "full")
        made.append(real(folder, prefix, node))
        return made[-1]

    monkeypatch.setattr(slots, "_new_slot", failing)
    with pytest.raises(StorageFull):
        area.create([b"x"], b"")
    assert not [slot.path for slot in made if slot.path.exists()]
    for slot in made:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(slot.fd)
    area.close()


def test_what_lies_beside_the_files_is_no_file(root: Path) -> None:
    area = small(root)
    key = area.create([b"x"], b"")
    folder = area.path(key).parent
    (folder / "README").write_text("x")
    (folder / ("X" * 36)).write_text("x")
    (root / "zz").mkdir()
    (root / "ab").mkdir(exist_ok=True)
    (root / "hounsfield.db").write_bytes(b"x")
    assert list(area.keys()) == [key]
    area.close()


def test_write_all_writes_what_the_system_takes_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = durable._gather
    monkeypatch.setattr(durable, "_gather", lambda fd, parts: real(fd, [parts[0][:3]]))
    path = tmp_path / "file"
    with path.open("wb") as file:
        parts = [memoryview(b"abcdefgh"), memoryview(b"i"), memoryview(b"jklm")]
        assert durable.write_all(file.fileno(), parts) == 13
    assert path.read_bytes() == b"abcdefghijklm"
