"""JPEG 2000 Part 2: frames that are components of one code stream. PS3.5 8.2.4."""

from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.imaging.conftest import make_file

from hounsfield import errors
from hounsfield.dicom.part10 import read_head
from hounsfield.imaging.decode import decode
from hounsfield.imaging.frames import read_frame
from hounsfield.imaging.isolation import IsolationOptions, isolated
from hounsfield.imaging.limits import Limits
from hounsfield.imaging.transcode import transcode

_LOSSLESS = "1.2.840.10008.1.2.4.92"
_FRAMES = np.random.default_rng(5).integers(0, 4096, (7, 24, 32)).astype(np.uint16)


def stream(frames: NDArray[Any]) -> bytes:
    """One code stream with frames of shape (frames, rows, columns) as its components."""
    last = np.moveaxis(frames, 0, -1)
    array = np.ascontiguousarray(last[..., 0] if len(frames) == 1 else last)
    return bytes(imagecodecs.jpeg2k_encode(array, codecformat="j2k", reversible=True, mct=False))


def collected(*sizes: int, **attributes: Any) -> bytes:
    """A file of seven frames, of which so many are in each code stream."""
    ends = np.cumsum(sizes)
    streams = [stream(_FRAMES[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    described: dict[str, Any] = {"NumberOfFrames": 7, "BitsStored": 12, "syntax": _LOSSLESS} | attributes
    return make_file(streams, like=_FRAMES[0], **described)


def frames_of(data: bytes, limits: Limits | None = None) -> NDArray[Any]:
    head = read_head(data)
    limits = limits or Limits()
    return np.stack([decode(read_frame(data, head, each), limits).array[..., 0] for each in range(1, 8)])


@pytest.mark.parametrize("sizes", [(7,), (3, 4), (1,) * 7, (2, 1, 4)])
def test_every_frame_of_a_collection_is_found(sizes: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(frames_of(collected(*sizes)), _FRAMES)


def test_a_worker_finds_them_too() -> None:
    with isolated(IsolationOptions(workers=1)):
        np.testing.assert_array_equal(frames_of(collected(3, 4)), _FRAMES)


def test_collections_in_pieces() -> None:
    whole = stream(_FRAMES[:3]), stream(_FRAMES[3:])
    pieces = [whole[0][:100], whole[0][100:], whole[1][:60], whole[1][60:90], whole[1][90:]]
    data = make_file(pieces, like=_FRAMES[0], NumberOfFrames=7, BitsStored=12, syntax=_LOSSLESS)
    np.testing.assert_array_equal(frames_of(data), _FRAMES)


def test_a_wrong_offset_table_is_not_believed() -> None:
    data = collected(3, 4, offset_table=bytes(28))
    np.testing.assert_array_equal(frames_of(data), _FRAMES)


def test_they_are_transcoded() -> None:
    native = transcode(collected(3, 4), "1.2.840.10008.1.2.1")
    np.testing.assert_array_equal(frames_of(native), _FRAMES)


def test_missing_frames_and_too_large_collections_are_errors() -> None:
    data = collected(3, 3, NumberOfFrames=7)
    with pytest.raises(errors.Corrupt, match="frame 7 is missing"):
        frames_of(data)
    with pytest.raises(errors.Corrupt, match="7 components"):
        frames_of(collected(7), Limits(frame_bytes=5000))
    other = make_file([stream(_FRAMES[:, :20])], like=_FRAMES[0], NumberOfFrames=7, syntax=_LOSSLESS)
    with pytest.raises(errors.Corrupt, match="20 rows"):
        frames_of(other)
