"""Codecs in processes of their own: a crash or an endless loop costs one frame."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.dicom.part10 import read_head
from hounsfield.imaging import isolation
from hounsfield.imaging.decode import decode
from hounsfield.imaging.encoders import ENCODERS
from hounsfield.imaging.frames import EncodedFrame, read_frame
from hounsfield.imaging.isolation import IsolationOptions, WorkerFailure, WorkerPool, isolated
from hounsfield.imaging.transcode import is_lossy, transcode

Make = Callable[..., bytes]
Grey = NDArray[np.uint16]
JPEG_2000, JPEG_LS = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80"


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with isolated(IsolationOptions(workers=2, timeout_seconds=20)) as made:
        yield made


def encoded(make: Make, grey: Grey, uid: str = JPEG_2000) -> EncodedFrame:
    data = transcode(make(grey, BitsStored=12), uid)
    return read_frame(data, read_head(data), 1)


def encoded_here(make: Make, grey: Grey, uid: str) -> EncodedFrame:
    pool, isolation._switch.pool = isolation._switch.pool, None
    try:
        return encoded(make, grey, uid)
    finally:
        isolation._switch.pool = pool


@pytest.mark.parametrize("uid", [uid for uid in ENCODERS if not is_lossy(uid)])
def test_a_worker_decodes_as_we_do(pool: WorkerPool, make: Make, grey: Grey, uid: str) -> None:
    np.testing.assert_array_equal(decode(encoded(make, grey, uid)).array[..., 0], grey)


def test_a_worker_transcodes_as_we_do(make: Make, grey: Grey) -> None:
    source = make(np.stack([grey] * 3).tobytes(), like=grey, NumberOfFrames=3, BitsStored=12)
    here = transcode(source, JPEG_LS)
    with isolated(IsolationOptions()):
        assert transcode(source, JPEG_LS) == here


def test_no_process_starts_for_what_our_own_code_reads(pool: WorkerPool, make: Make, grey: Grey) -> None:
    for uid in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1"):
        frame = encoded_here(make, grey, uid)
        np.testing.assert_array_equal(decode(frame).array[..., 0], grey)
    assert pool.process_ids() == []


def test_a_frame_that_ends_its_worker_costs_that_frame(pool: WorkerPool, make: Make, grey: Grey) -> None:
    for _ in range(3):
        with pytest.raises(WorkerFailure):
            pool.ask({"task": "one that ends the process"}, b"")
        np.testing.assert_array_equal(decode(encoded(make, grey)).array[..., 0], grey)


def test_a_worker_that_dies_by_itself_costs_nothing(pool: WorkerPool, make: Make, grey: Grey) -> None:
    frame = encoded(make, grey)
    decode(frame)
    victims = pool.process_ids()
    for victim in victims:
        os.kill(victim, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(decode, frame)
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        np.testing.assert_array_equal(waiting.result(20).array[..., 0], grey)
    np.testing.assert_array_equal(decode(frame).array[..., 0], grey)


def test_a_worker_that_never_ends_is_ended(make: Make, grey: Grey) -> None:
    with isolated(IsolationOptions(workers=1, timeout_seconds=1)) as pool:
        large = np.random.default_rng(1).integers(0, 65536, (4000, 4000)).astype(np.uint16)
        with pytest.raises(errors.TimedOut):
            transcode(make(large), JPEG_2000)
        assert pool.process_ids() == []
        np.testing.assert_array_equal(decode(encoded(make, grey)).array[..., 0], grey)


def test_more_threads_than_workers_take_turns(pool: WorkerPool, make: Make, grey: Grey) -> None:
    frame = encoded(make, grey)
    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(lambda _: decode(frame), range(40)):
            np.testing.assert_array_equal(found.array[..., 0], grey)
    assert 1 <= len(pool.process_ids()) <= 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits address space")
def test_a_worker_may_take_the_memory_that_its_frame_explains(
    pool: WorkerPool, make: Make, grey: Grey
) -> None:
    decode(encoded(make, grey))
    small = address_space(pool)
    large = np.resize(grey, (2000, 2000))
    np.testing.assert_array_equal(decode(encoded(make, large)).array[..., 0], large)
    assert 512 << 20 < small < 1 << 30
    assert small + (400 << 20) < address_space(pool) < 2 << 30


def test_workers_share_half_of_the_memory() -> None:
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    assert isolation._share(1) == min(max(half, 1 << 30), 8 << 30)
    assert isolation._share(10_000) == 1 << 30


def address_space(pool: WorkerPool) -> int:
    """The limit of the worker that was at work last."""
    lines = Path(f"/proc/{pool.process_ids()[-1]}/limits").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[3]) for line in lines if line.startswith("Max address space"))


def test_what_is_corrupt_is_corrupt_there_too(pool: WorkerPool, make: Make, grey: Grey) -> None:
    frame = encoded(make, grey)
    broken = EncodedFrame(bytes(frame.data)[:200], frame.transfer_syntax_uid, frame.description, 1)
    with pytest.raises(errors.Corrupt):
        decode(broken)
    assert len(pool.process_ids()) == 1
    np.testing.assert_array_equal(decode(frame).array[..., 0], grey)


def test_nothing_is_left_when_the_block_ends(make: Make, grey: Grey) -> None:
    before = threading.active_count()
    with isolated(IsolationOptions()) as pool:
        decode(encoded(make, grey))
        files = [worker._name for worker in pool._free]
        assert os.name == "nt" or not any(Path(name).exists() for name in files)
        pids = pool.process_ids()
    assert isolation.current() is None
    assert not any(Path(name).exists() for name in files)
    assert threading.active_count() == before
    if sys.platform == "linux":
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
