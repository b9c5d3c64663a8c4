from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.errors import Corrupt, StorageFull
from hounsfield.net.buffers import BufferBudget, BufferOptions, DataSetBuffer
from hounsfield.net.dimse import encode_command
from hounsfield.net.reassembly import Reassembler
from hounsfield.store.spool import FolderSpool, SpoolFile

KIB = 1024


def fill(buffer: DataSetBuffer, data: bytes) -> None:
    view = memoryview(data)
    while view:
        space = buffer.space(len(view))
        assert 0 < len(space) <= len(view)
        space[:] = view[: len(space)]
        buffer.filled(len(space))
        view = view[len(space) :]


def content(buffer: DataSetBuffer) -> bytes:
    payload = buffer.finish()
    return bytes(payload.view() if isinstance(payload, SpoolFile) else payload)


def test_a_buffer_doubles_up_to_its_maximum() -> None:
    budget = BufferBudget(10_000 * KIB)
    buffer = DataSetBuffer(BufferOptions(128 * KIB, 1000 * KIB), budget, None)
    assert budget.available == 10_000 * KIB
    taken = []
    for size in (1, 128 * KIB, 129 * KIB, 600 * KIB, 1000 * KIB, 1):
        buffer.start(bytes)
        fill(buffer, bytes(size))
        assert len(content(buffer)) == size
        taken.append(10_000 - budget.available // KIB)
    # 64 KiB of each buffer are not of the budget.
    assert taken == [64, 64, 192, 936, 936, 936]
    buffer.close()
    assert budget.available == 10_000 * KIB


def test_the_memory_is_used_again() -> None:
    buffer = DataSetBuffer(BufferOptions(), BufferBudget(1 << 30), None)
    buffer.start(bytes)
    fill(buffer, b"first")
    first = buffer.finish()
    assert isinstance(first, memoryview)
    buffer.start(bytes)
    fill(buffer, b"again")
    assert bytes(first) == b"again"


def test_a_view_that_is_kept_outlives_its_buffer() -> None:
    buffer = DataSetBuffer(BufferOptions(), BufferBudget(1 << 30), None)
    buffer.start(bytes)
    fill(buffer, b"kept")
    kept = buffer.finish()
    assert isinstance(kept, memoryview)
    buffer.close()
    assert bytes(kept) == b"kept"


def test_without_a_spool_what_is_too_long_is_received_and_refused() -> None:
    buffer = DataSetBuffer(BufferOptions(64 * KIB, 64 * KIB), BufferBudget(1 << 30), None)
    buffer.start(bytes)
    fill(buffer, bytes(1000 * KIB))
    with pytest.raises(StorageFull, match="65536"):
        buffer.finish()
    buffer.start(bytes)
    fill(buffer, b"next")
    assert content(buffer) == b"next"


def test_a_taken_spool_file_stays(tmp_path: Path) -> None:
    buffer = DataSetBuffer(BufferOptions(0, 0), BufferBudget(0), FolderSpool(tmp_path))
    buffer.start(lambda: b"head")
    fill(buffer, bytes(100 * KIB))
    payload = buffer.finish()
    assert isinstance(payload, SpoolFile)
    payload.rename(tmp_path / "taken")
    buffer.close()
    assert (tmp_path / "taken").read_bytes() == b"head" + bytes(100 * KIB)


def test_a_spool_file_that_nobody_took_is_deleted(tmp_path: Path) -> None:
    buffer = DataSetBuffer(BufferOptions(0, 0), BufferBudget(0), FolderSpool(tmp_path))
    for end in (buffer.discard, lambda: buffer.start(bytes), buffer.close):
        buffer.start(bytes)
        fill(buffer, bytes(100 * KIB))
        assert len(list(tmp_path.iterdir())) == 1
        end()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [64 * KIB + 1, 128 * KIB, 128 * KIB + 1, 500 * KIB])
def test_a_spooled_data_set_follows_its_prefix(tmp_path: Path, size: int) -> None:
    buffer = DataSetBuffer(BufferOptions(0, 0), BufferBudget(0), FolderSpool(tmp_path))
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    buffer.start(lambda: b"head")
    fill(buffer, data)
    assert content(buffer) == b"head" + data
    buffer.close()


# Reassembly.

COMMAND = encode_command({"CommandField": 1, "MessageID": 1, "CommandDataSetType": 0})


def reassembler() -> Reassembler:
    return Reassembler(DataSetBuffer(BufferOptions(), BufferBudget(1 << 30), None), 4096)


def feed(sink: Reassembler, context_id: int, is_command: bool, data: bytes) -> None:
    sink.begin(context_id, is_command, len(data))
    while data:
        space = sink.space(len(data))
        space[:] = data[: len(space)]
        sink.filled(len(space))
        data = data[len(space) :]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_a_command_set_may_come_in_any_pieces(sizes: list[int]) -> None:
    sink = reassembler()
    rest = COMMAND
    for size in sizes:
        feed(sink, 1, True, rest[:size])
        rest = rest[size:]
    feed(sink, 1, True, rest)
    assert sink.take_command()["MessageID"] == 1
    assert sink.is_amid_message


def test_fragments_of_the_wrong_kind_or_context_are_corrupt() -> None:
    with pytest.raises(Corrupt, match="data set came"):
        reassembler().begin(1, False, 4)
    sink = reassembler()
    feed(sink, 1, True, COMMAND[:9])
    with pytest.raises(Corrupt, match="context 3"):
        sink.begin(3, True, 4)
    sink = reassembler()
    feed(sink, 1, True, COMMAND)
    sink.take_command()
    with pytest.raises(Corrupt, match="command came"):
        sink.begin(1, True, 4)
    with pytest.raises(Corrupt, match="context 3"):
        sink.begin(3, False, 4)


def test_a_command_set_is_bounded() -> None:
    sink = reassembler()
    feed(sink, 1, True, bytes(4096))
    with pytest.raises(Corrupt, match="longer than 4096"):
        sink.begin(1, True, 1)


def test_a_command_set_without_its_type_is_corrupt() -> None:
    for command in ({"CommandField": 1}, {"CommandDataSetType": 1}):
        sink = reassembler()
        feed(sink, 1, True, encode_command(command))
        with pytest.raises(Corrupt, match="0000,0100"):
            sink.take_command()
