"""Any frame of any video that DICOM has, and nothing of what is none."""

import dataclasses
import struct

import numpy as np
import pytest
from tests.imaging.clips import CLIPS, COLUMNS, FRAMES, ROWS, clip, clip_file, shown_number

from hounsfield import errors
from hounsfield.dicom.part10 import read_head
from hounsfield.imaging import decode as decoding
from hounsfield.imaging import video
from hounsfield.imaging.decode import Pixels, decode
from hounsfield.imaging.frames import EncodedFrame, read_frame
from hounsfield.imaging.isolation import IsolationOptions, isolated
from hounsfield.imaging.limits import Limits
from hounsfield.imaging.render import preview
from hounsfield.imaging.transcode import transcode


def frame_of(data: bytes, number: int) -> EncodedFrame:
    return read_frame(data, read_head(data), number)


def pixels_of(data: bytes, number: int) -> Pixels:
    return decode(frame_of(data, number))


def with_stream(frame: EncodedFrame, stream: bytes) -> EncodedFrame:
    return dataclasses.replace(frame, data=stream)


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_is_the_one_asked_for(name: str) -> None:
    data = clip_file(name)
    shown = [shown_number(preview(pixels_of(data, number))) for number in range(1, FRAMES + 1)]
    assert shown == list(range(FRAMES))


@pytest.mark.parametrize("name", CLIPS)
def test_colours_are_those_of_the_scene(name: str) -> None:
    picture = preview(pixels_of(clip_file(name), 4))
    assert picture.shape == (ROWS, COLUMNS, 3)
    thirds = [picture[30:46, begin : begin + 12].mean(axis=(0, 1)) for begin in (4, 26, 48)]
    expected = [(220, 30, 30), (30, 200, 30), (30, 30, 220)]
    np.testing.assert_allclose(thirds, expected, atol=30)


@pytest.mark.parametrize("name", CLIPS)
def test_a_worker_decodes_as_we_do(name: str) -> None:
    data = clip_file(name)
    here = pixels_of(data, 17)
    with isolated(IsolationOptions(workers=1, timeout_seconds=20)) as pool:
        there = pixels_of(data, 17)
        assert len(pool.process_ids()) == 1
    np.testing.assert_array_equal(here.array, there.array)
    assert here.photometric == there.photometric == "RGB"


def test_ten_bits_lie_where_the_data_set_says() -> None:
    pixels = pixels_of(clip_file("hevc_10_bits.mp4"), 2)
    assert pixels.array.dtype == np.uint16
    assert 800 < pixels.array.max() <= 1023


def test_a_video_in_fragments_is_one_video() -> None:
    assert shown_number(preview(pixels_of(clip_file("avc.mp4", fragments=5), 22))) == 21


def test_packets_of_blu_ray_have_a_time_before_each() -> None:
    plain = clip("mpeg2.ts")
    packets = (plain[begin : begin + 188] for begin in range(0, len(plain), 188))
    frame = with_stream(frame_of(clip_file("mpeg2.ts"), 13), b"".join(b"\0\0\1\2" + each for each in packets))
    assert shown_number(preview(decode(frame))) == 12


def test_a_grey_video_has_one_sample() -> None:
    data = clip_file("mpeg2.mpg", SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2")
    pixels = pixels_of(data, 6)
    assert pixels.array.shape == (ROWS, COLUMNS, 1)
    assert shown_number(pixels.array) == 5


@pytest.mark.parametrize("name", CLIPS)
def test_more_frames_than_there_are_is_an_error(name: str) -> None:
    data = clip_file(name, NumberOfFrames=500)
    with pytest.raises(errors.Corrupt):
        pixels_of(data, FRAMES + 1)
    assert shown_number(preview(pixels_of(data, FRAMES))) == FRAMES - 1


@pytest.mark.parametrize("name", CLIPS)
def test_another_size_than_declared_is_an_error(name: str) -> None:
    with pytest.raises(errors.Corrupt, match="64 columns by 48 rows"):
        pixels_of(clip_file(name, Rows=50), 1)


def test_lists_that_name_other_files_are_no_video(tmp_path: object) -> None:
    frame = frame_of(clip_file("avc.ts"), 1)
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
    for stream in (playlist, b"ffconcat version 1.0\nfile /etc/hostname\n", b"", b"\0" * 5000, b"RIFF" * 99):
        with pytest.raises(errors.Corrupt):
            decode(with_stream(frame, stream))


@pytest.mark.parametrize("name", CLIPS)
def test_a_video_that_is_cut_off_ends_there(name: str) -> None:
    frame = frame_of(clip_file(name), FRAMES)
    with pytest.raises(errors.Corrupt):
        decode(with_stream(frame, clip(name)[: len(clip(name)) // 3]))


def test_the_first_frame_needs_the_beginning_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_BEGINNING", 2000)
    limits = Limits(video_bytes=2500)
    data = clip_file("mpeg2.ts")
    assert shown_number(preview(decode(frame_of(data, 1), limits))) == 0
    with pytest.raises(errors.Unsupported, match="over the limit"):
        decode(frame_of(data, 2), limits)


def test_a_long_video_in_pieces_is_not_put_together() -> None:
    data = clip_file("mpeg2.ts", fragments=3)
    with pytest.raises(errors.Unsupported, match="in 3 pieces"):
        read_frame(data, read_head(data), 1, limits=Limits(video_bytes=5000))


def test_the_index_at_the_end_of_a_file_is_found_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_BEGINNING", 2000)
    assert shown_number(preview(pixels_of(clip_file("avc.mp4"), 1))) == 0


def test_video_is_not_transcoded() -> None:
    with pytest.raises(errors.Unsupported, match="Video"):
        transcode(clip_file("avc.mp4"), "1.2.840.10008.1.2.4.90")
    data = clip_file("avc.mp4")
    assert transcode(data, CLIPS["avc.mp4"]) == data


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + name + content


def movie(entries: int) -> bytes:
    content = struct.pack(">II", 0, entries) + struct.pack(">II", 10, 512) * entries
    for name in (b"stts", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        content = box(name, content)
    return box(b"ftyp", b"isom") + content


@pytest.mark.parametrize(("entries", "is_constant"), [(0, False), (1, True), (2, False)])
def test_frames_are_only_jumped_to_where_all_last_as_long(entries: int, is_constant: bool) -> None:
    assert video.has_constant_rate(movie(entries)) is is_constant


def test_a_video_of_uneven_rate_is_read_from_its_beginning() -> None:
    data = bytearray(clip("avc.mp4"))
    place = data.index(b"stts") + 8
    assert data[place : place + 4] == b"\0\0\0\1"
    data[place : place + 4] = b"\0\0\0\0"  # no times at all: nothing can be jumped to
    assert not video.has_constant_rate(bytes(data))
    assert video.has_constant_rate(clip("avc.mp4"))
