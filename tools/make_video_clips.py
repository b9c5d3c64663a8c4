"""Make the clips of `tests/data/video`: `python3 tools/make_video_clips.py`, where PyAV is installed.

PyAV's wheels hold x264 and x265, which are under the GPL, so that it is no dependency, not even of the tests: what it
wrote is kept. Frames show their number in bits, over a red, a green and a blue field.
"""

from pathlib import Path

import av  # type: ignore[import-not-found]
import numpy as np
from numpy.typing import NDArray

TARGET = Path(__file__).parents[1] / "tests" / "data" / "video"
ROWS, COLUMNS, FRAMES = 48, 64, 30
AVC = {"preset": "slow", "crf": "28", "x264-params": "keyint=10:bframes=2:repeat-headers=1"}
HEVC = {"preset": "slow", "crf": "28", "x265-params": "keyint=10:bframes=2:info=0:log-level=none"}


def main() -> None:
    make("mpeg2.m2v", "mpeg2video", "mpeg2video", {})
    make("mpeg2.mpg", "mpeg2video", "vob", {})
    make("mpeg2.ts", "mpeg2video", "mpegts", {})
    for suffix, container in (("h264", "h264"), ("mp4", "mp4"), ("ts", "mpegts")):
        make(f"avc.{suffix}", "libx264", container, AVC)
    for suffix, container in (("h265", "hevc"), ("mp4", "mp4"), ("ts", "mpegts")):
        make(f"hevc.{suffix}", "libx265", container, HEVC)
    make("hevc_10_bits.mp4", "libx265", "mp4", HEVC, pixel_format="yuv420p10le")


def make(
    name: str, codec: str, container: str, options: dict[str, str], *, pixel_format: str = "yuv420p"
) -> None:
    """Write a clip with key frames every ten frames and frames that refer to later ones."""
    with av.open(str(TARGET / name), "w", format=container) as file:
        stream = file.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = COLUMNS, ROWS, pixel_format
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = 10, 2
        stream.codec_context.thread_count = 1
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(scene(number), "rgb24").reformat(format=pixel_format)
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def scene(number: int) -> NDArray[np.uint8]:
    """A frame, in red, green and blue."""
    picture = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    for bit in range(8):
        picture[: ROWS // 2, bit * COLUMNS // 8 : (bit + 1) * COLUMNS // 8] = 235 if number >> bit & 1 else 20
    for third, colour in enumerate(((220, 30, 30), (30, 200, 30), (30, 30, 220))):
        picture[ROWS // 2 :, third * COLUMNS // 3 : (third + 1) * COLUMNS // 3] = colour
    return picture


if __name__ == "__main__":
    main()
