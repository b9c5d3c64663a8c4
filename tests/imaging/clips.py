"""Videos of 30 frames, of which each shows its number, by `tools/make_video_clips.py`."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.imaging.conftest import make_file

FRAMES, ROWS, COLUMNS = 30, 48, 64
_FOLDER = Path(__file__).parents[1] / "data" / "video"
_STEM = "1.2.840.10008.1.2.4."
CLIPS = {
    "mpeg2.m2v": _STEM + "100",
    "mpeg2.mpg": _STEM + "101",
    "mpeg2.ts": _STEM + "100.1",
    "avc.mp4": _STEM + "102",
    "avc.h264": _STEM + "103",
    "avc.ts": _STEM + "104.1",
    "hevc.mp4": _STEM + "107",
    "hevc.h265": _STEM + "107",
    "hevc.ts": _STEM + "107",
    "hevc_10_bits.mp4": _STEM + "108",
}


def clip(name: str) -> bytes:
    """The video itself."""
    return (_FOLDER / name).read_bytes()


def clip_file(name: str, *, fragments: int = 1, **attributes: Any) -> bytes:
    """The video in a DICOM file, in so many fragments."""
    data = clip(name)
    size = -(-len(data) // fragments)
    size += size % 2
    parts = [data[begin : begin + size] for begin in range(0, len(data), size)]
    bits: dict[str, Any] = {"BitsAllocated": 16, "BitsStored": 10} if "10_bits" in name else {}
    described: dict[str, Any] = {
        "NumberOfFrames": FRAMES,
        "PhotometricInterpretation": "YBR_PARTIAL_420",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.1.1",
    }
    shape = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    return make_file(parts, like=shape, syntax=CLIPS[name], **(described | bits | attributes))


def shown_number(picture: NDArray[Any]) -> int:
    """The number that a frame shows, from 0: eight bits in its upper half, the lowest on the left, white for 1."""
    middle = np.iinfo(picture.dtype).max / 2 if picture.max() < 256 else 512
    bits = picture[8:16].reshape(8, 8, 8, -1)[:, :, 2:6].mean(axis=(0, 2, 3)) > middle
    return int(sum(1 << index for index, bit in enumerate(bits) if bit))
