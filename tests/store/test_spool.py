"""Where large bytes wait."""

from pathlib import Path

import pytest

from hounsfield.store.spool import FolderSpool


@pytest.fixture
def spool(tmp_path: Path) -> FolderSpool:
    return FolderSpool(tmp_path)


def test_a_spool_file_shows_all_that_was_written(spool: FolderSpool) -> None:
    file = spool.create()
    assert bytes(file.view()) == b""
    file.write(b"one")
    first = file.view()
    file.write(memoryview(b"two"))
    assert (bytes(first), bytes(file.view()), file.size) == (b"one", b"onetwo", 6)
    first.release()
    file.close()


def test_a_closed_spool_file_is_gone_even_while_a_view_lives(spool: FolderSpool) -> None:
    file = spool.create()
    file.write(b"bytes")
    view = file.view()
    file.close()
    file.close()
    assert bytes(view) == b"bytes"
    assert list(spool.folder.iterdir()) == []


def test_a_file_that_was_taken_stays(spool: FolderSpool, tmp_path: Path) -> None:
    file = spool.create()
    file.write(b"bytes")
    file.rename(tmp_path / "taken")
    file.close()
    assert (tmp_path / "taken").read_bytes() == b"bytes"


def test_clear_deletes_what_an_earlier_run_left(spool: FolderSpool) -> None:
    (spool.folder / "left").write_bytes(b"x")
    spool.clear()
    assert list(spool.folder.iterdir()) == []
