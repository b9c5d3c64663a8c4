from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.data import get_testdata_file
from tests.rest.builders import Server, slice_file


def stored(server: Server, name: str) -> tuple[str, NDArray[Any]]:
    """An instance of pydicom's, and its pixels as pydicom reads them."""
    path = get_testdata_file(name)
    assert isinstance(path, str)
    answer = server.post("/instances", Path(path).read_bytes())
    return answer["Path"], dcmread(path).pixel_array


def numpy_of(server: Server, target: str) -> NDArray[Any]:
    loaded = np.load(BytesIO(server.bytes_of("GET", target)))
    return loaded["arr_0"] if "compress" in target else loaded  # type: ignore[no-any-return]


@pytest.mark.parametrize("number", ["", "/frames/0"])
def test_grey_values_are_those_of_the_modality(server: Server, number: str) -> None:
    path, pixels = stored(server, "CT_small.dcm")
    expected = (pixels.astype(np.float32) - 1024)[..., np.newaxis]
    found = numpy_of(server, f"{path}{number}/numpy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected if number else expected[np.newaxis])


def test_values_as_stored_and_compressed(server: Server) -> None:
    path, pixels = stored(server, "CT_small.dcm")
    found = numpy_of(server, f"{path}/frames/0/numpy?rescale=0&compress")
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found[..., 0], pixels)


def test_colour_is_never_rescaled(server: Server) -> None:
    path, pixels = stored(server, "SC_rgb_2frame.dcm")
    found = numpy_of(server, f"{path}/numpy")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, pixels)


def test_the_header_is_128_bytes(server: Server) -> None:
    path, pixels = stored(server, "CT_small.dcm")
    assert len(server.bytes_of("GET", f"{path}/frames/0/numpy")) == 128 + pixels.size * 4


def test_failures_are_told(server: Server) -> None:
    path = server.post("/instances", slice_file())["Path"]
    assert server.failure("GET", f"{path}/frames/7/numpy") == (400, 3)
    assert server.failure("GET", f"{path}/frames/a/numpy")[0] == 400
    assert server.failure("GET", "/instances/nope/numpy") == (404, 17)
