"""Video as viewers meet it: pictures of any frame, the stream as it came, and a clear answer to what is none."""

import json
import struct

import imagecodecs
import pytest
from tests.imaging.clips import CLIPS, FRAMES, clip, clip_file, shown_number
from tests.servers import RunningServer


def _post(server: RunningServer, data: bytes) -> str:
    status, answer = server.request("POST", "/instances", data)
    assert status == 200, answer
    return str(json.loads(answer)["ID"])


def _file(name: str, number: int, stream: bytes | None = None) -> bytes:
    data = clip_file(
        name,
        PatientID=f"VIDEO{number}",
        StudyInstanceUID=f"1.2.826.0.1.3680043.10.1200.85.1.{number}",
        SeriesInstanceUID=f"1.2.826.0.1.3680043.10.1200.85.2.{number}",
        SOPInstanceUID=f"1.2.826.0.1.3680043.10.1200.85.3.{number}",
    )
    if stream is None:
        return data
    start = data.index(struct.pack("<HHI", 0xFFFE, 0xE000, 0)) + 8
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(stream)) + stream
    return data[:start] + item + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


@pytest.mark.parametrize("name", ["mpeg2.mpg", "avc.mp4", "hevc.ts"])
def test_frames_of_a_video_are_looked_at_one_by_one(server: RunningServer, name: str) -> None:
    instance = _post(server, _file(name, list(CLIPS).index(name)))
    base = f"/instances/{instance}"
    assert json.loads(server.request("GET", f"{base}/frames")[1]) == list(range(FRAMES))
    for number, view in ((0, "preview"), (12, "rendered"), (FRAMES - 1, "image-uint8")):
        status, picture = server.request("GET", f"{base}/frames/{number}/{view}")
        if view == "image-uint8":  # Not of colour, as ever.
            assert status == 415
            continue
        assert status == 200
        assert shown_number(imagecodecs.png_decode(picture)) == number
    assert server.request("GET", f"{base}/preview")[0] == 200
    assert server.request("GET", f"{base}/frames/{FRAMES}/preview")[0] == 415
    stream = clip(name) + b"\0" * (len(clip(name)) % 2)
    assert server.request("GET", f"{base}/frames/0/raw") == (200, stream)
    assert server.request("GET", f"{base}/frames/1/raw")[0] == 400
    assert server.request("GET", f"{base}/file?transcode=1.2.840.10008.1.2.4.90")[0] == 500
    assert server.request("GET", f"{base}/numpy")[0] == 500
    assert server.request("GET", f"{base}/frames/7/numpy")[0] == 200


def test_what_is_no_video_costs_its_request(server: RunningServer) -> None:
    playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
    instance = _post(server, _file("avc.ts", 20, playlist + b"\n" * (len(playlist) % 2)))
    assert server.request("GET", f"/instances/{instance}/preview")[0] == 415
    assert server.request("GET", "/system")[0] == 200
