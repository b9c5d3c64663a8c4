"""Frames out of an archive: as stored, and as images."""

import io
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID
from tests.ingest.builders import AREAS, Bench, open_bench

from hounsfield import errors
from hounsfield.dicom.levels import Level
from hounsfield.imaging.frames import NoPixelData, NoSuchFrame
from hounsfield.imaging.render import Box
from hounsfield.ingest.intake import IngestOptions
from hounsfield.retrieve.frames import (
    ImageFormat,
    ImageRequest,
    View,
    WantedWindow,
    count_frames,
    image,
    preview_png,
    read_frame,
    rendered,
)

LARGE = (30, 300, 300)
"""Frames, rows, columns of 16 bits: over the size from which files are mapped."""


@pytest.fixture(params=sorted(AREAS))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = open_bench(tmp_path, area=AREAS[request.param](tmp_path))
    yield made
    made.close()


def _file(frames: NDArray[np.uint16] | None) -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.2"), UID("1.2.3.4.5")
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = UID("1.2.3"), UID("1.2.3.4")
    dataset.PatientID = "P1"
    if frames is not None:
        dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
        dataset.PixelRepresentation = 0
        dataset.WindowCenter, dataset.WindowWidth = 50, 100
        dataset.PixelData = frames.tobytes()
        dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1")
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _stored(bench: Bench, frames: NDArray[np.uint16] | None) -> str:
    return bench.receive(_file(frames)).identifiers.public_id(Level.INSTANCE)


@pytest.fixture
def frames() -> NDArray[np.uint16]:
    return np.array([[[0, 50], [75, 100]], [[100, 75], [50, 0]]], np.uint16)


def test_a_frame_comes_back_as_it_was_stored(bench: Bench, frames: NDArray[np.uint16]) -> None:
    public_id = _stored(bench, frames)
    assert count_frames(bench.archive, public_id) == 2
    for number in (1, 2):
        assert bytes(read_frame(bench.archive, public_id, number).data) == frames[number - 1].tobytes()


def test_frames_of_a_large_file_come_out_of_its_middle(bench: Bench) -> None:
    frames = (np.arange(np.prod(LARGE)) % 4096).astype(np.uint16).reshape(LARGE)
    public_id = _stored(bench, frames)
    for number in (1, 17, 30):
        assert bytes(read_frame(bench.archive, public_id, number).data) == frames[number - 1].tobytes()
    written = image(bench.archive, public_id, 17, ImageRequest(View.UINT16))
    assert (imagecodecs.png_decode(written) == frames[16]).all()


def test_frames_of_a_compressed_file_come_back_too(tmp_path: Path, frames: NDArray[np.uint16]) -> None:
    bench = open_bench(tmp_path, IngestOptions(is_compressed=True))
    try:
        public_id = _stored(bench, frames)
        assert bytes(read_frame(bench.archive, public_id, 2).data) == frames[1].tobytes()
    finally:
        bench.close()


def test_every_view_shows_what_it_promises(bench: Bench, frames: NDArray[np.uint16]) -> None:
    public_id = _stored(bench, frames)
    archive = bench.archive
    assert imagecodecs.png_decode(preview_png(archive, public_id)).tolist() == [[0, 128], [191, 255]]
    assert imagecodecs.png_decode(rendered(archive, public_id, 2)).tolist() == [[255, 191], [127, 0]]
    window = WantedWindow(25, 50)
    narrow = imagecodecs.png_decode(rendered(archive, public_id, window=window, box=Box(1)))
    assert narrow.shape == (1, 1)
    for view in (View.UINT8, View.UINT16, View.INT16):
        clipped = imagecodecs.png_decode(image(archive, public_id, 1, ImageRequest(view)))
        assert (clipped == frames[0]).all()


def test_every_format_is_written(bench: Bench, frames: NDArray[np.uint16]) -> None:
    public_id = _stored(bench, frames)
    jpeg = image(bench.archive, public_id, 1, ImageRequest(format=ImageFormat.JPEG, quality=100))
    assert np.abs(imagecodecs.jpeg8_decode(jpeg).astype(int) - [[0, 128], [191, 255]]).max() < 5
    assert image(bench.archive, public_id, 1, ImageRequest(format=ImageFormat.PAM)).startswith(b"P7\n")


def test_what_is_not_there_is_told_apart(bench: Bench, frames: NDArray[np.uint16]) -> None:
    with pytest.raises(errors.NotFound):
        preview_png(bench.archive, "00000000-00000000-00000000-00000000-00000000")
    public_id = _stored(bench, frames)
    for number in (0, 3, -1):
        with pytest.raises(NoSuchFrame):
            preview_png(bench.archive, public_id, number)


def test_an_instance_without_pixels_has_no_frames(bench: Bench) -> None:
    public_id = _stored(bench, None)
    assert count_frames(bench.archive, public_id) == 0
    with pytest.raises(NoPixelData):
        read_frame(bench.archive, public_id, 1)


def test_a_large_file_cut_off_behind_our_back_is_not_read_beyond_its_end(tmp_path: Path) -> None:
    bench = open_bench(tmp_path)
    try:
        public_id = _stored(bench, np.zeros(LARGE, np.uint16))
        (path,) = (each for each in tmp_path.rglob("*") if each.is_file() and each.stat().st_size > 5_000_000)
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises((errors.NotFound, errors.Corrupt)):
            preview_png(bench.archive, public_id)
    finally:
        bench.close()
