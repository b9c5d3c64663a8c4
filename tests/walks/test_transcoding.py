"""Transcoding as clients meet it: `/file?transcode=` and the option IngestTranscoding, on a real server."""

import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from tests.servers import RunningServer
from tests.walks.conftest import Start

IMPLICIT, EXPLICIT, RLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"
BASELINE, EXTENDED, JPEG_LS, JPEG_2000 = (f"1.2.840.10008.1.2.4.{each}" for each in (50, 51, 80, 90))
MPEG2 = "1.2.840.10008.1.2.4.100"


def bundled(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Path(path).read_bytes()


def post(server: RunningServer, data: bytes) -> dict[str, Any]:
    status, answer = server.request("POST", "/instances", data)
    assert status == 200, answer
    return dict(json.loads(answer))


def stored(server: RunningServer, public_id: str) -> pydicom.Dataset:
    status, data = server.request("GET", f"/instances/{public_id}/file")
    assert status == 200
    return pydicom.dcmread(io.BytesIO(data))


def values(server: RunningServer, public_id: str) -> NDArray[Any]:
    status, data = server.request("GET", f"/instances/{public_id}/numpy?rescale=0")
    assert status == 200, data
    array: NDArray[Any] = np.load(io.BytesIO(data))
    return array


@pytest.mark.parametrize("uid", [IMPLICIT, RLE, JPEG_LS, JPEG_2000])
def test_a_file_is_given_in_the_transfer_syntax_asked_for(server: RunningServer, uid: str) -> None:
    sent = post(server, bundled("CT_small.dcm"))["ID"]
    status, data = server.request("GET", f"/instances/{sent}/file?transcode={uid}")
    assert status == 200
    given = pydicom.dcmread(io.BytesIO(data))
    assert given.file_meta.TransferSyntaxUID == uid
    assert given.SOPInstanceUID == stored(server, sent).SOPInstanceUID
    assert stored(server, sent).file_meta.TransferSyntaxUID == EXPLICIT


def test_lossy_quality_is_heeded(server: RunningServer) -> None:
    sent = post(server, bundled("SC_rgb_rle_2frame.dcm"))["ID"]
    pixels = []
    for quality in (100, 40, 1, 0, 101):
        path = f"/instances/{sent}/file?transcode={BASELINE}&lossy-quality={quality}"
        status, data = server.request("GET", path)
        assert status == 200
        pixels.append(pydicom.dcmread(io.BytesIO(data)).PixelData)
    assert len(pixels[0]) > len(pixels[1]) > len(pixels[2])
    assert pixels[3:] == [pixels[2], pixels[0]]


@pytest.mark.parametrize(
    ("name", "query", "status", "code"),
    [
        ("CT_small.dcm", "transcode=nope", 400, 3),
        ("CT_small.dcm", "transcode=1.2.840.10008.5.1.4.1.1.7", 400, 3),
        ("CT_small.dcm", f"transcode={MPEG2}", 500, 2),
        ("CT_small.dcm", f"transcode={BASELINE}", 500, 2),
        ("CT_small.dcm", f"transcode={EXTENDED}&lossy-quality=x", 400, 3),
        ("CT_small.dcm", f"transcode={EXTENDED}&lossy-quality=-1", 400, 3),
        ("test-SR.dcm", f"transcode={JPEG_2000}", 500, 2),
    ],
)
def test_what_cannot_be_given_is_refused(
    server: RunningServer, name: str, query: str, status: int, code: int
) -> None:
    sent = post(server, bundled(name))["ID"]
    answered, body = server.request("GET", f"/instances/{sent}/file?{query}")
    assert answered == status
    assert json.loads(body)["OrthancStatus"] == code


@pytest.mark.parametrize("of_uncompressed", [True, False])
@pytest.mark.parametrize("of_compressed", [True, False])
@pytest.mark.parametrize("target", [EXPLICIT, JPEG_LS])
def test_instances_are_transcoded_as_they_come_in(
    start_server: Start, target: str, of_compressed: bool, of_uncompressed: bool
) -> None:
    server = start_server(
        {
            "IngestTranscoding": target,
            "IngestTranscodingOfCompressed": of_compressed,
            "IngestTranscodingOfUncompressed": of_uncompressed,
        }
    )
    assert server.json("/system")["IngestTranscoding"] == target
    for name, is_compressed in (("MR_small_bigendian.dcm", False), ("MR_small_RLE.dcm", True)):
        data = bundled(name)
        before = pydicom.dcmread(io.BytesIO(data))
        sent = post(server, data)
        assert sent["Status"] == "Success"
        after = stored(server, sent["ID"])
        wanted = of_compressed if is_compressed else of_uncompressed
        expected = target if wanted else before.file_meta.TransferSyntaxUID
        assert after.file_meta.TransferSyntaxUID == expected, name
        metadata = server.request("GET", f"/instances/{sent['ID']}/metadata/TransferSyntax")[1]
        assert metadata.decode() == expected
        assert after.SOPInstanceUID == before.SOPInstanceUID
        np.testing.assert_array_equal(values(server, sent["ID"])[0, ..., 0], before.pixel_array)
        server.request("DELETE", f"/instances/{sent['ID']}")
    report = post(server, bundled("test-SR.dcm"))
    kept = stored(server, report["ID"]).file_meta.TransferSyntaxUID
    assert kept == EXPLICIT if target == EXPLICIT else kept in (EXPLICIT, IMPLICIT)


def test_colour_decoded_on_the_way_in_is_rgb(start_server: Start) -> None:
    server = start_server({"IngestTranscoding": EXPLICIT})
    sent = post(server, bundled("SC_rgb_jpeg_dcmtk.dcm"))["ID"]
    after = stored(server, sent)
    assert after.PhotometricInterpretation == "RGB"
    status, raw = server.request("GET", f"/instances/{sent}/frames/0/raw")
    assert status == 200
    assert len(raw) == after.Rows * after.Columns * 3


def test_every_upload_is_another_instance_where_transcoding_loses_something(start_server: Start) -> None:
    server = start_server({"IngestTranscoding": BASELINE})
    data = bundled("SC_rgb_rle.dcm")
    first, second = post(server, data), post(server, data)
    assert first["Status"] == second["Status"] == "Success"
    assert first["ID"] != second["ID"]
    assert stored(server, first["ID"]).LossyImageCompression == "01"


def test_what_cannot_be_transcoded_is_stored_as_it_came(start_server: Start) -> None:
    server = start_server({"IngestTranscoding": BASELINE})
    data = bundled("CT_small.dcm")
    sent = post(server, data)
    assert sent["Status"] == "Success"
    assert server.request("GET", f"/instances/{sent['ID']}/file") == (200, data)


def test_transcoded_instances_are_durable(start_server: Start) -> None:
    server = start_server({"IngestTranscoding": JPEG_LS})
    sent = post(server, bundled("CT_small.dcm"))["ID"]
    server.kill()
    again = start_server({"IngestTranscoding": JPEG_LS})
    assert stored(again, sent).file_meta.TransferSyntaxUID == JPEG_LS


def test_a_codec_that_crashes_costs_one_request(start_server: Start) -> None:
    server = start_server({})
    sent = post(server, bundled("JPEG2000.dcm"))["ID"]
    assert server.request("GET", f"/instances/{sent}/preview")[0] == 200
    if not Path(f"/proc/{server.process.pid}").exists():
        pytest.skip("no /proc")
    workers = [
        int(pid)
        for task in Path(f"/proc/{server.process.pid}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]
    assert workers
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    for _ in range(3):
        assert server.request("GET", f"/instances/{sent}/preview")[0] == 200
    assert server.stop() == 0
