"""Single frames of video: MPEG-2, MPEG-4 AVC/H.264 and HEVC/H.265. PS3.5 8.2.5 to 8.2.12.

All fragments are one stream, bare or in a container. A frame is found by decoding from the beginning or, in MP4 files
of a constant frame rate, from the key frame before it. The FFmpeg of OpenCV's wheels, under the LGPL, does it.

FFmpeg guesses formats from what it reads, and among them are lists that name other files and addresses. So it is told
the format, one of the few that DICOM has.
"""

import io
import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging.description import RGB, PixelDescription

Data = bytes | memoryview

_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_SILENCE = {"OPENCV_FFMPEG_LOGLEVEL": "-8", "OPENCV_LOG_LEVEL": "SILENT"}
_PACKET = 188  # of an MPEG-2 transport stream
_LONGEST_LEAD = 4 * _PACKET
_BOXES = 1 << 14
_TO_TIMES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts")
_H264 = frozenset(range(102, 107))
_HEVC = frozenset((107, 108))

# OpenCV takes the format from the environment.
_environment = threading.Lock()


def decode_video(
    data: Data, description: PixelDescription, transfer_syntax_uid: str, number: int
) -> NDArray[Any]:
    """Decode frame `number`, from 1, of a whole video.

    Returns
    -------
    Shape (rows, columns, samples), RGB if there are three; of 8 bits, at the upper end of the bits stored if
    these are more.

    Raises
    ------
    Corrupt
        If it is no such video, is of another size than its data set says, or ends before that frame.
    """
    name = container(data, transfer_syntax_uid)
    # OpenCV lets go of it without the lock of the interpreter, and so must not be the last to do so.
    stream = io.BufferedReader(_Stream(data))
    with _environment:
        capture = _opened(stream, name)
    try:
        import cv2

        size = (capture.get(cv2.CAP_PROP_FRAME_HEIGHT), capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        if size != (description.rows, description.columns):
            raise errors.Corrupt(
                f"the video has {size[1]:.0f} columns by {size[0]:.0f} rows, "
                f"the data set {description.columns} by {description.rows}"
            )
        _go_to(capture, number, can_seek=name == "mov" and has_constant_rate(data))
        is_read, picture = capture.read()
    except cv2.error as cause:
        raise errors.Corrupt("the video cannot be decoded") from cause
    finally:
        capture.release()
        stream.close()
    if not is_read or picture.shape != (description.rows, description.columns, 3):
        raise errors.Corrupt(f"the video has no frame {number}, or it cannot be decoded")
    return _samples(picture, description)


def _samples(picture: NDArray[np.uint8], description: PixelDescription) -> NDArray[Any]:
    """Blue, green and red as they are wanted."""
    samples: NDArray[Any] = picture[..., 1:2] if description.samples == 1 else picture[..., ::-1]
    if description.bits_stored > 8:
        samples = samples.astype(np.uint16) << (description.bits_stored - 8)
    return np.ascontiguousarray(samples)


def _opened(stream: Any, name: str) -> Any:
    os.environ.update(_SILENCE)
    os.environ[_OPTIONS] = f"input_format;{name}|protocol_whitelist;none"
    import cv2

    try:
        capture = cv2.VideoCapture(stream, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    except cv2.error as cause:
        raise errors.Corrupt("the video cannot be decoded") from cause
    if not capture.isOpened():
        raise errors.Corrupt("the video cannot be decoded")
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)  # as it was taken, like every other image
    return capture


def _go_to(capture: Any, number: int, *, can_seek: bool) -> None:
    import cv2

    if can_seek and number > 1:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number - 1)
        if capture.get(cv2.CAP_PROP_POS_FRAMES) == number - 1:
            return
        capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
    for _ in range(number - 1):
        if not capture.grab():
            raise errors.Corrupt(f"the video ends before frame {number}")


class _Stream(io.RawIOBase):
    """Bytes to be read, which are not copied."""

    def __init__(self, data: Data) -> None:
        self._data = memoryview(data)
        self._position = 0

    def close(self) -> None:
        self._data.release()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        target = memoryview(buffer).cast("B")
        part = self._data[self._position : self._position + len(target)]
        target[: len(part)] = part
        self._position += len(part)
        return len(part)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self._data)}[whence]
        self._position = min(max(start + offset, 0), len(self._data))
        return self._position

    def tell(self) -> int:
        return self._position


def container(data: Data, transfer_syntax_uid: str) -> str:
    """What a video is in, by FFmpeg's name, from how it begins.

    Raises
    ------
    Corrupt
        If it is in nothing that PS3.5 8.2 allows for its transfer syntax.
    """
    opening = bytes(data[:_LONGEST_LEAD])
    family = int(transfer_syntax_uid.split(".")[7])
    if opening[4:8] == b"ftyp":
        return "mov"
    if opening[:4] == b"\0\0\x01\xba":
        return "mpeg"
    if any(_is_transport(opening, lead, size) for lead, size in ((0, _PACKET), (4, _PACKET + 4))):
        return "mpegts"
    if opening.lstrip(b"\0")[:1] == b"\x01" and opening[:2] == b"\0\0":
        return "h264" if family in _H264 else "hevc" if family in _HEVC else "mpegvideo"
    raise errors.Corrupt("the pixel data are no video of their transfer syntax")


def _is_transport(opening: bytes, lead: int, size: int) -> bool:
    """Whether packets of a transport stream begin here; Blu-ray's have a time of four bytes before each."""
    return len(opening) > lead + size and opening[lead] == opening[lead + size] == 0x47


def has_constant_rate(data: Data) -> bool:
    """Whether all frames of an MP4 file last as long, so that numbers tell times. ISO/IEC 14496-12 8.6.1."""
    begin, end = 0, len(data)
    for wanted in _TO_TIMES:
        found = next((place for name, *place in boxes(data, begin, end) if name == wanted), None)
        if found is None:
            return False
        begin, end = found
    return int.from_bytes(data[begin + 4 : begin + 8], "big") == 1


def boxes(data: Data, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name of each box, and where its content begins and ends. ISO/IEC 14496-12 4.2."""
    for _ in range(_BOXES):
        if begin + 8 > end:
            return
        size, header = int.from_bytes(data[begin : begin + 4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(data[begin + 8 : begin + 16], "big"), 16
        stop = end if size == 0 else begin + size
        if not begin + header <= stop <= end:
            return
        yield bytes(data[begin + 4 : begin + 8]), begin + header, stop
        begin = stop


def decoded_photometric(description: PixelDescription) -> str:
    """Photometric Interpretation of what `decode_video` gives."""
    return RGB if description.samples == 3 else description.photometric
