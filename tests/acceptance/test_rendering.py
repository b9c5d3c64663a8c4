"""Section F: pictures of frames."""

import base64
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from tests.acceptance.asking import failure, full, upload
from tests.servers import RunningServer
from tests.walks.samples import maker

SAMPLES = maker()
Image = NDArray[Any]


def _stored(server: RunningServer, dataset: Dataset) -> str:
    return f"/instances/{upload(server, SAMPLES.part10(dataset))['ID']}"


def _picture(server: RunningServer, path: str) -> Image:
    status, body = server.request("GET", path)
    assert status == 200, path
    return np.asarray(imagecodecs.png_decode(body))


def _grey(server: RunningServer, name: str, pixels: Image, **attributes: object) -> str:
    dataset = SAMPLES.instance(f"rendering/{name}", 1, "4", "MR", **attributes)
    return _stored(server, SAMPLES.with_pixels(dataset, pixels, bits=12))


def test_a_preview_of_each_frame(server: RunningServer) -> None:
    """Scenario 117."""
    mr = _grey(server, "mr", (SAMPLES.phantom() + 1024).astype("<u2"))
    assert _picture(server, f"{mr}/preview").shape == (64, 64)
    assert server.request("GET", f"{mr}/preview") == server.request("GET", f"{mr}/frames/0/preview")
    frames = np.arange(76 * 64, dtype=np.uint8).reshape(76, 8, 8)
    many = _stored(server, SAMPLES.with_pixels(SAMPLES.instance("rendering/many", 1, "7.2", "OT"), frames))
    assert server.json(f"{many}/frames") == list(range(76))
    for frame, wanted in (("76", 415), ("aaa", 404)):
        assert server.request("GET", f"{many}/frames/{frame}/preview") == (wanted, b"")


def test_formats_of_pictures(server: RunningServer) -> None:
    """Scenario 118."""
    mr = _grey(server, "mr", (SAMPLES.phantom() + 1024).astype("<u2"))

    def asked(accept: str, query: str = "", kind: str = "preview") -> tuple[int, str | None, int]:
        status, headers, body = full(server, "GET", f"{mr}/{kind}{query}", headers={"Accept": accept})
        return status, headers["Content-Type"], len(body)

    assert asked("*/*")[:2] == (200, "image/png")
    assert asked("image/jpeg")[:2] == (200, "image/jpeg")
    assert asked("image/jpeg", "?quality=50")[2] < asked("image/jpeg")[2]
    for quality in ("0", "101"):
        assert asked("image/jpeg", f"?quality={quality}")[0] == 415
    assert asked("application/pdf")[0] == 404
    assert asked("image/jpeg", kind="image-uint16")[0] == 404


def test_values_are_clipped_or_stretched(server: RunningServer) -> None:
    """Scenarios 119, 120, 125 and 131."""
    pixels = SAMPLES.phantom()
    signed = _grey(server, "ct", pixels)
    assert _picture(server, f"{signed}/image-uint8").max() == 255
    assert np.array_equal(_picture(server, f"{signed}/image-uint16"), pixels.clip(0))
    assert set(np.unique(_picture(server, f"{signed}/preview"))[[0, -1]]) == {0, 255}
    assert server.request("GET", f"{signed}/frames/0/raw") == (200, pixels.tobytes())
    assert failure(server, "GET", f"{signed}/frames/1/raw") == (400, 3)
    colour = SAMPLES.with_pixels(SAMPLES.instance("rendering/rgb", 1, "7", "OT"), SAMPLES.colours(), "RGB")
    path = _stored(server, colour)
    assert _picture(server, f"{path}/preview").shape == (48, 64, 3)
    for kind in ("uint8", "uint16", "int16"):
        assert server.request("GET", f"{path}/image-{kind}") == (415, b"")
    inverted = SAMPLES.instance("rendering/dx", 1, "1.1", "DX")
    air_is_bright = (1500 - SAMPLES.phantom(96, 80)).clip(0, 4095).astype("<u2")
    path = _stored(server, SAMPLES.with_pixels(inverted, air_is_bright, "MONOCHROME1", bits=12))
    assert _picture(server, f"{path}/preview")[0, 0] < 10


def test_windows_and_sizes(server: RunningServer) -> None:
    """Scenario 126."""
    window = {"RescaleIntercept": 0, "RescaleSlope": 1, "WindowCenter": 40, "WindowWidth": 400}
    path = f"{_grey(server, 'window', SAMPLES.phantom(244, 201), **window)}/rendered"
    own = server.request("GET", path)
    assert own == server.request("GET", f"{path}?window-center=40&window-width=400")
    assert _picture(server, f"{path}?window-center=-9000&window-width=1").min() == 255
    assert _picture(server, f"{path}?window-center=9000&window-width=1").max() == 0
    assert _picture(server, f"{path}?width=20").shape == (24, 20)
    assert _picture(server, f"{path}?width=40&height=24").shape == (24, 20)


@pytest.mark.parametrize("size", [46341, 65535])
def test_absurd_sizes_fail_and_the_server_lives(server: RunningServer, size: int) -> None:
    """Scenario 132."""
    dataset = SAMPLES.with_pixels(
        SAMPLES.instance("rendering/absurd", size, "7", "OT"), SAMPLES.phantom(8, 8)
    )
    dataset.Rows = dataset.Columns = size
    path = _stored(server, dataset)
    for kind in ("preview", "rendered", "image-uint16"):
        assert server.request("GET", f"{path}/{kind}") == (415, b"")
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    content = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    assert failure(server, "POST", "/tools/create-dicom", {"Tags": {}, "Content": content}) == (400, 15)
    assert server.json("/system")["ApiVersion"] >= 31


def test_what_is_no_picture(server: RunningServer) -> None:
    """Scenarios 134 and 135."""
    pdf = b"%PDF-1.4 odd"
    content = f"data:application/pdf;base64,{base64.b64encode(pdf).decode()}"
    path = server.json("/tools/create-dicom", {"Tags": {}, "Content": content})["Path"]
    assert server.request("GET", f"{path}/pdf") == (200, pdf)
    assert server.request("GET", f"{_grey(server, 'mr', SAMPLES.phantom())}/pdf") == (404, b"")
    assert server.request("GET", f"{path}/preview") == (415, b"")
    for kind, up in (("preview", "../.."), ("frames/0/preview", "../../../..")):
        status, headers, _ = full(server, "GET", f"{path}/{kind}?returnUnsupportedImage")
        assert (status, headers["Location"]) == (307, f"{up}/app/images/unsupported.png")
