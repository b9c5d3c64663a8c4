import re
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.rest.builders import Server, ids, real_file, slice_file

SERIES = ids()[2]
AXIAL = [1, 0, 0, 0, 1, 0]


def put(server: Server, number: int, **attributes: Any) -> str:
    answer = server.post(
        "/instances", slice_file(instance=f"1.1.1.{number}", InstanceNumber=str(number), **attributes)
    )
    return str(answer["ID"])


def test_slices_are_in_the_order_of_their_positions(server: Server) -> None:
    stored = {
        z: put(server, number, ImageOrientationPatient=AXIAL, ImagePositionPatient=[0, 0, z])
        for number, z in ((1, 30), (2, -5), (3, 10))
    }
    order = [stored[z] for z in (-5, 10, 30)]
    assert server.get(f"/series/{SERIES}/ordered-slices") == {
        "Type": "Volume",
        "Dicom": [f"/instances/{each}/file" for each in order],
        "Slices": [f"/instances/{each}/frames/0" for each in order],
        "SlicesShort": [[each, 0, 1] for each in order],
    }


@pytest.mark.parametrize(
    "positions",
    [
        [[0, 0, 1], [0, 0, 1], [0, 0, 2]],
        [[0, 0, 3], None, [0, 0, 1]],
    ],
    ids=["same place", "no place"],
)
def test_slices_without_a_position_of_their_own_are_in_the_order_of_their_numbers(
    server: Server, positions: list[list[int] | None]
) -> None:
    stored = []
    for number, position in zip((3, 1, 2), positions, strict=True):
        placed: dict[str, Any] = {"ImagePositionPatient": position} if position else {}
        stored.append(put(server, number, ImageOrientationPatient=AXIAL, **placed))
    answer = server.get(f"/series/{SERIES}/ordered-slices")
    assert answer["Type"] == "Sequence"
    assert [each[0] for each in answer["SlicesShort"]] == [stored[1], stored[2], stored[0]]


def test_what_has_no_order_is_an_error(server: Server) -> None:
    for number in (1, 2):
        server.post("/instances", slice_file(instance=f"1.1.1.{number}"))
    assert server.failure("GET", f"/series/{SERIES}/ordered-slices") == (500, 2040)
    assert server.failure("GET", "/series/nope/ordered-slices") == (404, 17)


def test_a_series_as_one_array(server: Server) -> None:
    for number, z in ((1, 30), (2, -5)):
        put(
            server,
            number,
            ImageOrientationPatient=AXIAL,
            ImagePositionPatient=[0, 0, z],
            RescaleSlope="1",
            RescaleIntercept=str(z),
        )
    found: NDArray[Any] = np.load(BytesIO(server.bytes_of("GET", f"/series/{SERIES}/numpy")))
    assert found.shape == (2, 2, 2, 1)
    assert found.dtype == np.float32
    assert found[:, 0, 0, 0].tolist() == [-5, 30]
    stored = np.load(BytesIO(server.bytes_of("GET", f"/series/{SERIES}/numpy?rescale=0&compress")))["arr_0"]
    assert stored.dtype == np.uint16


def test_matlab_writes_rows(server: Server) -> None:
    path = server.post("/instances", slice_file())["Path"]
    response = server.ask("GET", f"{path}/matlab")
    assert response.header(b"content-type") == b"text/plain"
    assert response.body == b"double([ 0 16 ; 32 48 ])"
    assert server.bytes_of("GET", f"{path}/frames/0/matlab") == response.body


def test_matlab_writes_colour(server: Server) -> None:
    path = server.post("/instances", real_file("SC_rgb_2frame.dcm"))["Path"]
    text = server.bytes_of("GET", f"{path}/matlab").decode()
    assert text.startswith("double(permute(reshape([ 255 0 0 255")
    assert text.endswith(" ], [ 3 100 100 ]), [ 3 2 1 ]))")
    assert len(re.findall(r"\d+", text)) == 30000 + 6


def test_failures_of_matlab(server: Server) -> None:
    path = server.post("/instances", slice_file())["Path"]
    assert server.failure("GET", f"{path}/frames/7/matlab") == (500, 2)
    assert server.failure("GET", f"{path}/frames/a/matlab") == (404, None)
    assert server.failure("GET", "/instances/nope/matlab") == (404, 17)
    report = server.post("/instances", real_file("test-SR.dcm"))["Path"]
    assert server.failure("GET", f"{report}/matlab") == (400, 15)
    assert server.failure("GET", f"{report}/numpy") == (400, 15)


def test_webp_is_for_who_wants_nothing_else(server: Server) -> None:
    path = server.post("/instances", real_file("CT_small.dcm"))["Path"]
    for accept, expected in (
        ("image/webp", b"image/webp"),
        ("image/avif,image/webp,image/apng,*/*;q=0.8", b"image/png"),
        ("image/webp;q=0.9, application/json", b"image/webp"),
    ):
        response = server.ask("GET", f"{path}/preview", accept=accept)
        assert (response.status, response.header(b"content-type")) == (200, expected)
    assert server.failure("GET", f"{path}/image-uint16", accept="image/webp") == (404, None)


def test_webp_loses_nothing_unless_asked_to(server: Server) -> None:
    import imagecodecs

    path = server.post("/instances", real_file("CT_small.dcm"))["Path"]
    png = imagecodecs.png_decode(server.bytes_of("GET", f"{path}/preview"))
    webp = imagecodecs.webp_decode(server.bytes_of("GET", f"{path}/preview", accept="image/webp"))
    np.testing.assert_array_equal(webp[..., 0], png)
    lossy = server.bytes_of("GET", f"{path}/preview?quality=40", accept="image/webp")
    assert len(lossy) < len(server.bytes_of("GET", f"{path}/preview", accept="image/webp"))
