"""Frames of large files that are not on this machine: what is not needed is not read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.imaging.conftest import make_file
from tests.ingest.builders import Bench, open_bench

from hounsfield.dicom.part10 import read_head
from hounsfield.imaging.decode import decode
from hounsfield.imaging.frames import read_frame as read_frame_of_file
from hounsfield.imaging.transcode import transcode
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.intake import Incoming
from hounsfield.ingest.receive import receive
from hounsfield.retrieve import frames
from hounsfield.store.area import FileKey
from hounsfield.store.memory import MemoryArea

SIDE, COUNT = 512, 24
JPEG_LS, RLE = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5"
IDENTITY = {"PatientID": "P", "StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.2", "InstanceNumber": "1"}


class CountingArea(MemoryArea):
    """Remembers how much was read."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes_read = 0

    def read(self, key: FileKey, start: int, length: int) -> bytes:
        self.bytes_read += length
        return super().read(key, start, length)


@pytest.fixture
def pixels() -> NDArray[np.uint16]:
    rng = np.random.default_rng(3)
    return rng.integers(0, 4096, (COUNT, SIDE, SIDE)).astype(np.uint16)


def stored(area: CountingArea, folder: Path, data: bytes) -> tuple[Bench, str]:
    folder.mkdir(exist_ok=True)
    bench = open_bench(folder, area=area)
    receipt = receive(bench.intake, Incoming(Origin(OriginKind.REST_API), data))
    area.bytes_read = 0
    return bench, receipt.identifiers.public_ids()[3]


def native(pixels: NDArray[Any], **more: Any) -> bytes:
    options: dict[str, Any] = {"like": pixels[0], "NumberOfFrames": len(pixels), **IDENTITY, **more}
    return make_file(pixels.tobytes(), **options)


@pytest.mark.parametrize("uid", ["", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", JPEG_LS, RLE])
@pytest.mark.parametrize("number", [1, 2, 13, COUNT])
def test_a_frame_costs_its_own_bytes(
    pixels: NDArray[np.uint16], tmp_path: Path, uid: str, number: int
) -> None:
    data = native(pixels, BitsStored=12)
    data = transcode(data, uid) if uid else data
    area = CountingArea()
    bench, public_id = stored(area, tmp_path, data)
    try:
        frame = frames.read_frame(bench.archive, public_id, number)
        np.testing.assert_array_equal(decode(frame).array[..., 0], pixels[number - 1])
        assert area.bytes_read < len(data) / 6
    finally:
        bench.close()


def test_without_an_offset_table_all_of_the_file_is_read(pixels: NDArray[np.uint16], tmp_path: Path) -> None:
    encoded = [transcode(make_file(each), JPEG_LS) for each in pixels]
    fragments = [bytes(read_frame_of_file(each, read_head(each), 1).data) for each in encoded]
    for table in (b"", np.arange(COUNT, dtype="<u4").tobytes()):
        data = make_file(
            fragments,
            like=pixels[0],
            syntax=JPEG_LS,
            NumberOfFrames=COUNT,
            offset_table=table,
            **IDENTITY,
        )
        bench, public_id = stored(CountingArea(), tmp_path / str(len(table)), data)
        try:
            frame = frames.read_frame(bench.archive, public_id, 7)
            np.testing.assert_array_equal(decode(frame).array[..., 0], pixels[6])
        finally:
            bench.close()
