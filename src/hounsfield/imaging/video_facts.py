"""What an MP4 file says of its video, and an instance that holds it has to tell. ISO/IEC 14496-12 and -15; PS3.5 8.2.

Only tables are read; whether the frames can be decoded shows when one is asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from hounsfield import errors
from hounsfield.imaging.video import Data, boxes

MP4 = "video/mp4"
_AVC_HIGH_4_1 = "1.2.840.10008.1.2.4.102"
_AVC_HIGH_4_2 = "1.2.840.10008.1.2.4.104"
_HEVC_MAIN_5_1 = "1.2.840.10008.1.2.4.107"
_HEVC_MAIN_10_5_1 = "1.2.840.10008.1.2.4.108"
# Baseline, Main and High: 8 bits, half of the colours in either direction.
_AVC_PROFILES = (66, 77, 100)
_AVC_METHOD, _HEVC_METHOD = "ISO_14496_10", "ISO_23008_2"
_SAMPLE_ENTRY = 78  # Bytes before the boxes of a visual sample entry.
_ENTRIES = 1 << 16
_MOST_FRAMES = (1 << 31) - 1
_SHORTEST_MS, _LONGEST_MS = 0.001, 86_400_000

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """A video. `method` is the value of Lossy Image Compression Method (0028,2114)."""

    rows: int
    columns: int
    frames: int
    frame_time_ms: float
    bits_stored: int
    transfer_syntax_uid: str
    method: str

    @property
    def bits_allocated(self) -> int:
        """Bits of a sample, as if it were native."""
        return 8 if self.bits_stored == 8 else 16


def read_mp4(data: Data) -> VideoFacts:
    """The facts of the first video in an MP4 file.

    Raises
    ------
    Corrupt
        If it is no such file, or has no video.
    Unsupported
        If DICOM has no transfer syntax for such a video.
    """
    if bytes(data[4:8]) != b"ftyp":
        raise errors.Corrupt("Not an MP4 file")
    movie = _inside(data, (0, len(data)), b"moov")
    for name, *place in boxes(data, *movie):
        if name == b"trak":
            media = _inside(data, (place[0], place[1]), b"mdia")
            handler = _inside(data, media, b"hdlr")
            if bytes(data[handler[0] + 8 : handler[0] + 12]) == b"vide":
                return _track(data, media)
    raise errors.Corrupt("There is no video in the MP4 file")


def _inside(data: Data, place: Place, name: bytes) -> Place:
    for found, begin, end in boxes(data, *place):
        if found == name:
            return begin, end
    raise errors.Corrupt(f"The MP4 file lacks its {name.decode()}")


def _track(data: Data, media: Place) -> VideoFacts:
    table = _inside(data, _inside(data, media, b"minf"), b"stbl")
    frames, ticks = _times(data, _inside(data, table, b"stts"))
    if not 0 < frames <= _MOST_FRAMES:
        raise errors.Unsupported(
            "The frames of the MP4 file are in fragments: it must be written as one movie"
        )
    begin, end = _inside(data, table, b"stsd")
    codec, start, stop = next(iter(boxes(data, begin + 8, end)), (b"", 0, 0))
    columns, rows = _number(data, start + 24, 2), _number(data, start + 26, 2)
    if stop - start < _SAMPLE_ENTRY or not rows or not columns:
        raise errors.Corrupt("The MP4 file does not say how large its pictures are")
    described = (start + _SAMPLE_ENTRY, stop)
    if codec in (b"avc1", b"avc3"):
        syntax, method, bits = _avc(data, _inside(data, described, b"avcC")), _AVC_METHOD, 8
    elif codec in (b"hvc1", b"hev1"):
        syntax, bits = _hevc(data, _inside(data, described, b"hvcC"))
        method = _HEVC_METHOD
    else:
        raise errors.Unsupported(
            "DICOM holds MPEG-4 AVC/H.264 and HEVC/H.265 in MP4 files, and no other video"
        )
    frame_time_ms = 1000 * ticks / (_scale(data, _inside(data, media, b"mdhd")) * frames)
    if not _SHORTEST_MS <= frame_time_ms <= _LONGEST_MS:
        raise errors.Corrupt("The frames of the MP4 file have no duration, or an impossible one")
    return VideoFacts(rows, columns, frames, frame_time_ms, bits, syntax, method)


def _times(data: Data, place: Place) -> tuple[int, int]:
    """How many frames there are, and how long all of them last."""
    frames = ticks = 0
    for count, duration in islice(_pairs(data, place), _ENTRIES):
        frames += count
        ticks += count * duration
    return frames, ticks


def _pairs(data: Data, place: Place) -> Iterator[tuple[int, int]]:
    begin, end = place
    for at in range(begin + 8, min(end, begin + 8 + 8 * _number(data, begin + 4, 4)) - 7, 8):
        yield _number(data, at, 4), _number(data, at + 4, 4)


def _scale(data: Data, place: Place) -> int:
    """Ticks of the clock in a second."""
    at = place[0] + (20 if data[place[0] : place[0] + 1] == b"\1" else 12)
    scale = _number(data, at, 4)
    if at + 4 > place[1] or not scale:
        raise errors.Corrupt("The MP4 file has no clock")
    return scale


def _avc(data: Data, place: Place) -> str:
    """PS3.5 8.2.7 and 8.2.8."""
    profile, level = _number(data, place[0] + 1, 1), _number(data, place[0] + 3, 1)
    if place[1] - place[0] < 7 or profile not in _AVC_PROFILES or level > 42:
        raise errors.Unsupported("DICOM holds H.264 up to High Profile and Level 4.2: encode the video again")
    return _AVC_HIGH_4_1 if level <= 41 else _AVC_HIGH_4_2


def _hevc(data: Data, place: Place) -> tuple[str, int]:
    """The transfer syntax, and the bits of a sample. PS3.5 8.2.10 and 8.2.11."""
    profile, level = _number(data, place[0] + 1, 1) & 0x1F, _number(data, place[0] + 12, 1)
    if place[1] - place[0] < 23 or profile not in (1, 2) or level > 153:
        raise errors.Unsupported(
            "DICOM holds H.265 of Main and Main 10 up to Level 5.1: encode the video again"
        )
    return (_HEVC_MAIN_5_1, 8) if profile == 1 else (_HEVC_MAIN_10_5_1, 10)


def _number(data: Data, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
