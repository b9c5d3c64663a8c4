"""The process that `isolation` starts: it decodes, or encodes anew, one frame after the other.

The shared file holds what is asked about, and then what is answered.
"""

import faulthandler
import mmap
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import IO, Any, cast

from hounsfield import errors
from hounsfield.imaging.decode import decode_samples
from hounsfield.imaging.description import PixelDescription
from hounsfield.imaging.isolation import Header, receive, send
from hounsfield.imaging.recode import header_of_recoded, recode, work_of_header
from hounsfield.imaging.wire import Part, frame_of_header, header_of_decoded

_NOTHING_OPEN = Path(os.devnull)
_VIDEO = "decode_video"
_SIZE = Path("/proc/self/statm")
_ROOM = 512 << 20
"""Bytes that any question may take: libraries that are loaded, stacks of threads."""

_TIMES_A_FRAME = 64
"""The most that was measured is 32 times a frame, of lossy JPEG XL; all other encoders and decoders stay under 20."""


def main(arguments: list[str | int]) -> None:
    """Work until the standard input ends: the server is gone then."""
    shared_file, timeout, memory = arguments[0], int(arguments[1]), int(arguments[2])
    _limit(memory)
    questions, answers = _pipes()
    with FileIO(shared_file, "r+b") as shared, _NOTHING_OPEN.open("w") as nowhere:
        while (question := receive(questions)) is not None:
            # Ends the process from a thread of its own, even out of a loop in a codec.
            faulthandler.dump_traceback_later(timeout, exit=True, file=nowhere)
            _allow(question, memory)
            with _content(shared, question) as content:
                answer, parts = _answer(question, content)
            shared.seek(0)
            for part in parts:
                shared.write(part)
            send(answers, answer, [len(part) for part in parts])
            faulthandler.cancel_dump_traceback_later()


def _pipes() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes to the server; what libraries print goes nowhere."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(_NOTHING_OPEN, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    return questions, answers


def _limit(memory: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "win32":
        return
    import resource

    for kind, limit in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # lower already
            resource.setrlimit(kind, (limit, limit))


def _allow(question: Header, memory: int) -> None:
    """Let this question take the memory that its frame explains, so that a small file cannot take all there is."""
    if sys.platform != "linux":
        return
    import resource

    pages = int(_SIZE.read_text(encoding="ascii").split()[0])
    frame = (
        PixelDescription(**cast(dict[str, Any], question["description"]))
        if "description" in question
        else None
    )
    wanted = 0 if frame is None else frame.decoded_bytes * _TIMES_A_FRAME
    allowed = pages * resource.getpagesize() + _ROOM + 2 * cast(int, question["size"]) + wanted
    with suppress(ValueError, OSError):  # lower already
        resource.setrlimit(resource.RLIMIT_AS, (min(allowed, memory), memory))


@contextmanager
def _content(shared: FileIO, question: Header) -> Iterator[bytes | memoryview]:
    """What the shared file holds; a video, which may be long, is not copied."""
    size = cast(int, question["size"])
    if question["task"] != _VIDEO or not size:
        shared.seek(0)
        yield shared.read(size)
        return
    with mmap.mmap(shared.fileno(), size, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
        yield view


def _answer(question: Header, data: bytes | memoryview) -> tuple[Header, list[Part]]:
    try:
        return _TASKS[str(question["task"])](question, data)
    except errors.Unsupported as error:
        return {"error": "Unsupported", "message": str(error)}, []
    except (errors.ArchiveError, MemoryError) as error:
        return {"error": "Corrupt", "message": str(error)}, []


def _decode(question: Header, data: bytes | memoryview) -> tuple[Header, list[Part]]:
    return header_of_decoded(decode_samples(frame_of_header(question, data)))


def _recode(question: Header, data: bytes | memoryview) -> tuple[Header, list[Part]]:
    return header_of_recoded(recode(frame_of_header(question, data), work_of_header(question)))


_TASKS: Mapping[str, Callable[[Header, bytes | memoryview], tuple[Header, list[Part]]]] = {
    "decode": _decode,
    "recode": _recode,
    _VIDEO: _decode,
}
