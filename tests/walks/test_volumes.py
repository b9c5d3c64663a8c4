"""Volumes through a real server and its configuration."""

from pathlib import Path

import imagecodecs
import nibabel
from tests.rest.test_volumes import ball
from tests.servers import RunningServer, running


def store(server: RunningServer) -> str:
    for data in ball():
        assert server.request("POST", "/instances", data)[0] == 200
    (series,) = server.json("/series")
    return str(series)


def test_planes_thumbnails_and_nifti_files_come_from_a_server(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        series = store(server)
        assert server.json(f"/series/{series}/volume")["Stacks"][0]["Shape"] == [20, 32, 32]
        status, plane = server.request("GET", f"/series/{series}/mpr?axis=coronal&width=64")
        assert status == 200
        assert imagecodecs.png_decode(plane).shape == (78, 64)
        status, file = server.request("GET", f"/series/{series}/nifti")
        assert nibabel.Nifti1Image.from_bytes(file).shape == (32, 32, 20)
        assert server.request("GET", f"/series/{series}/thumbnail?animated")[1][8:12] == b"WEBP"


def test_the_memory_for_volumes_is_limited_by_the_configuration(tmp_path: Path) -> None:
    with running(tmp_path, {"VolumeCacheSize": 0}) as server:
        series = store(server)
        assert server.request("GET", f"/series/{series}/mpr")[0] == 403
        assert server.request("GET", f"/series/{series}/thumbnail")[0] == 200
