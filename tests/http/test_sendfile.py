"""Files on their way to a real socket, by `sendfile`."""

import asyncio
import mmap
import os
import random
import socket
from pathlib import Path

import pytest

from hounsfield.http.messages import FileBody
from hounsfield.http.sendfile import IS_POSSIBLE, FileSender, open_cached

PAGE = mmap.PAGESIZE
SIZE = 40 * PAGE + 11
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"

pytestmark = pytest.mark.skipif(not IS_POSSIBLE, reason="sendfile without waiting is Linux")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in the memory of the system, where its file system can tell so."""
    path = tmp_path_factory.mktemp("sent") / "file"
    path.write_bytes(os.urandom(SIZE))
    opened = open_cached(FileBody(path, 0, SIZE))
    if opened is None:
        pytest.skip("this file system does not tell what is in memory")
    os.close(opened.fd)
    return path


async def sent(body: FileBody) -> tuple[bytes, bool]:
    """What arrives, and whether the sender says that it was all."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for each in (ours, theirs):
        each.setblocking(False)
    with ours, theirs:
        sender = FileSender(loop, ours.fileno(), 10)
        outcome: asyncio.Future[bool] = loop.create_future()
        opened = open_cached(body)
        assert opened is not None
        sender.send(HEAD, opened, body, outcome.set_result)
        arrived = b""
        while len(arrived) < len(HEAD) + body.length:
            piece = await loop.sock_recv(theirs, 1 << 16)
            assert piece
            arrived += piece
        is_sent = await outcome
        sender.close()
    return arrived, is_sent


def test_every_stretch_arrives_after_its_head(file: Path) -> None:
    content, choose = file.read_bytes(), random.Random(6)
    edges = [
        (0, 1),
        (0, SIZE),
        (1, PAGE - 1),
        (PAGE - 1, 1),
        (PAGE - 1, 2),
        (PAGE, PAGE),
        (SIZE - 1, 1),
        (5, 9),
    ]
    for _ in range(60):
        start = choose.randrange(SIZE)
        edges.append((start, choose.randint(1, SIZE - start)))
    for offset, length in edges:
        arrived, is_sent = asyncio.run(sent(FileBody(file, offset, length)))
        assert is_sent
        assert arrived == HEAD + content[offset : offset + length], (offset, length)


def test_a_stretch_that_begins_within_a_page_is_sent_from_the_next_one(file: Path) -> None:
    content = file.read_bytes()
    for offset, length, lead in (
        (0, SIZE, 0),
        (PAGE, 9, 0),
        (PAGE + 1, SIZE - PAGE - 1, PAGE - 1),
        (7, 5, 5),
    ):
        opened = open_cached(FileBody(file, offset, length))
        assert opened is not None
        os.close(opened.fd)
        assert opened.lead == content[offset : offset + lead]


@pytest.mark.parametrize(("offset", "length"), [(0, SIZE + 1), (SIZE, 1), (SIZE - 1, 2), (SIZE + PAGE, 9)])
def test_a_stretch_that_is_not_all_there_is_left_to_others(file: Path, offset: int, length: int) -> None:
    assert open_cached(FileBody(file, offset, length)) is None


def test_a_missing_file_is_left_to_others(file: Path) -> None:
    assert open_cached(FileBody(file.with_name("none"), 0, 1)) is None
