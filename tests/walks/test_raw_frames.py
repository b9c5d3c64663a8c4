"""The bit streams of frames over HTTP: the same bytes from a file, from memory, and from an archive that compresses."""

import json
from typing import Any

import numpy as np
from tests.imaging.conftest import make_file
from tests.servers import RunningServer
from tests.walks.conftest import Start

from hounsfield.imaging.transcode import transcode

_FRAMES = (np.arange(3 * 20 * 24, dtype=np.uint16) * 7).reshape(3, 20, 24)
_ROOT = "1.2.826.0.1.3680043.10.1200.86"
_DEFLATED, _JPEG_2000 = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.90"


def _file(number: int, pixels: bytes | list[bytes] | None = None, **attributes: Any) -> bytes:
    identity: dict[str, Any] = {
        "PatientID": "FRAMES",
        "StudyInstanceUID": f"{_ROOT}.1",
        "SeriesInstanceUID": f"{_ROOT}.2",
        "SOPInstanceUID": f"{_ROOT}.3.{number}",
    }
    return make_file(pixels or _FRAMES.tobytes(), like=_FRAMES[0], NumberOfFrames=3, **identity, **attributes)


def _streams(server: RunningServer, data: bytes) -> list[bytes]:
    """Every frame, asked for three times: the answer is at hand then."""
    status, answer = server.request("POST", "/instances", data)
    assert status == 200, answer
    base = f"/instances/{json.loads(answer)['ID']}/frames"
    found = []
    for number in range(len(json.loads(server.request("GET", base)[1]))):
        answers = [server.request("GET", f"{base}/{number}/raw") for _ in range(3)]
        assert answers[0] == answers[1] == answers[2]
        assert answers[0][0] == 200
        found.append(answers[0][1])
    assert server.request("GET", f"{base}/{len(found)}/raw")[0] == 400
    assert server.request("GET", f"{base}/{len(found)}/raw")[0] == 400
    assert server.request("DELETE", base.removesuffix("/frames"))[0] == 200
    assert server.request("GET", f"{base}/0/raw")[0] == 404
    return found


def test_native_frames_are_given_as_they_lie_in_the_file(server: RunningServer) -> None:
    assert _streams(server, _file(1)) == [frame.tobytes() for frame in _FRAMES]


def test_frames_that_do_not_lie_in_the_file_as_they_are(server: RunningServer) -> None:
    expected = [frame.tobytes() for frame in _FRAMES]
    assert _streams(server, transcode(_file(2), _DEFLATED)) == expected
    compressed = transcode(_file(3), _JPEG_2000)
    assert all(stream[:2] == b"\xff\x4f" for stream in _streams(server, compressed))


def test_frames_in_pieces_are_put_together(server: RunningServer) -> None:
    streams = [b"\xff\x4f\xff\x51" + bytes(size) for size in (20, 30, 40)]
    pieces = [streams[0][:10], streams[0][10:], *streams[1:]]
    assert _streams(server, _file(4, pieces, syntax=_JPEG_2000)) == streams


def test_frames_of_an_archive_that_compresses(start_server: Start) -> None:
    server = start_server({"StorageCompression": True})
    assert _streams(server, _file(5)) == [frame.tobytes() for frame in _FRAMES]


def test_frames_that_begin_within_a_byte_are_cut_out(server: RunningServer) -> None:
    bits = np.packbits(np.arange(3 * 20 * 23) % 3 == 0, bitorder="little").tobytes() + b"\0"
    data = _file(6, bits, Columns=23, BitsAllocated=1, BitsStored=1, HighBit=0)
    assert [len(stream) for stream in _streams(server, data)] == [58, 58, 58]
