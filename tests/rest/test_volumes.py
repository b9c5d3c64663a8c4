import gzip
import threading
from typing import Any

import imagecodecs
import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from tests.rest.builders import Builder, Server, real_file
from tests.volumes import enhanced, image, part10, ramp, slices, tilted

from hounsfield.errors import Cancelled
from hounsfield.http.dispatch import dispatch
from hounsfield.http.messages import Request
from hounsfield.rest.door import RestOptions


def send(server: Server, files: list[bytes]) -> str:
    """Store a series and give its public id."""
    answers = [server.post("/instances", data) for data in files]
    return str(answers[0]["ParentSeries"])


def picture(server: Server, target: str) -> NDArray[Any]:
    return np.asarray(imagecodecs.imread(server.bytes_of("GET", target)))


def streamed(server: Server, target: str) -> bytes:
    """A body that is given in pieces."""
    body: Any = server.ask("GET", target).body
    return b"".join(body)


def ball() -> list[bytes]:
    """A CT of 20 slices of 2 mm: a ball of 100 HU with a radius of 15 mm around x = 16, y = 16, z = 20, in air."""
    files = []
    for index in range(20):
        y, x = np.mgrid[:32, :32]
        inside = (x - 16) ** 2 + (y - 16) ** 2 + (2 * index - 20) ** 2 <= 15**2
        pixels = np.where(inside, 1124, 24).astype(np.int16)
        files.append(
            part10(
                image(pixels, number=20 - index, position=(0, 0, 2 * index), spacing=(1, 1), SliceThickness=2)
            )
        )
    return files


def pet() -> list[bytes]:
    """The same place in 10 slices of 4 mm with pixels of 4 mm; the hottest spot, 20000 Bq/ml, is in its middle."""
    dose = Dataset()
    dose.RadionuclideTotalDose, dose.RadionuclideHalfLife = "370000000", "6586.2"
    dose.RadiopharmaceuticalStartTime = "090000"
    files = []
    for index in range(10):
        pixels = np.zeros((8, 8), np.uint16)
        pixels[4, 4] = 10000 if index == 5 else 0
        files.append(
            part10(
                image(
                    pixels,
                    number=index + 1,
                    position=(0, 0, 4 * index),
                    spacing=(4, 4),
                    series="7",
                    Modality="PT",
                    Units="BQML",
                    RescaleSlope=2,
                    RescaleIntercept=0,
                    DecayCorrection="START",
                    CorrectedImage=["ATTN", "DECY"],
                    PatientWeight="70",
                    SeriesDate="20240501",
                    SeriesTime="100000",
                    AcquisitionDate="20240501",
                    AcquisitionTime="100000",
                    RadiopharmaceuticalInformationSequence=[dose],
                )
            )
        )
    return files


def test_a_series_is_described_without_its_pixels(server: Server) -> None:
    public_id = send(server, slices([6, 0, 3]))
    facts = server.get(f"/series/{public_id}/volume")
    assert facts["ID"] == public_id
    assert facts["Instances"] == 3
    (stack,) = facts["Stacks"]
    assert stack["Shape"] == [3, 4, 5]
    assert stack["Spacing"] == [3, 2, 1]
    assert stack["Origin"] == [-10, -20, 30]
    assert stack["Affine"] == [[1, 0, 0, -10], [0, 2, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1]]
    assert (stack["Orientation"], stack["Units"], stack["Type"]) == ("LPS", "HU", "int16")
    assert stack["Bytes"] == 3 * 4 * 5 * 2
    assert stack["Warnings"] == []


def test_what_is_odd_is_told(server: Server) -> None:
    gaps = server.get(f"/series/{send(server, slices([0, 3, 9, 12]))}/volume")["Stacks"][0]
    assert gaps["Gaps"] == [{"After": 1, "Distance": 6, "Missing": 1}]
    tilt = server.get(f"/series/{send(server, [d.replace(b'55.1', b'55.2') for d in tilted(12)])}/volume")
    assert tilt["Stacks"][0]["TiltDegrees"] == pytest.approx(12)


def test_a_series_without_geometry_is_described_too(server: Server) -> None:
    public_id = send(server, [part10(image(ramp(0), position=None))])
    (stack,) = server.get(f"/series/{public_id}/volume")["Stacks"]
    assert "Image Position" in stack["Problem"]
    assert server.failure("GET", f"/series/{public_id}/mpr")[0] == 500


def test_planes_are_the_right_way_up(server: Server) -> None:
    """z grows to the head, which is at the top: the last slice is the first line."""
    files = [
        part10(
            image(
                np.full((8, 8), 100 * index, np.int16),
                number=index + 1,
                position=(0, 0, index),
                spacing=(1, 1),
            )
        )
        for index in range(8)
    ]
    public_id = send(server, files)
    window = "window-center=-674&window-width=700"  # -1024 to -324 HU, which is 0 to 700 as stored
    for axis in ("coronal", "sagittal"):
        shown = picture(server, f"/series/{public_id}/mpr?axis={axis}&{window}")
        assert shown.shape == (8, 8)
        assert shown[:, 0].tolist() == [255, 219, 182, 146, 109, 73, 36, 0]
    axial = picture(server, f"/series/{public_id}/mpr?axis=axial&position=2&{window}")
    assert np.unique(axial).tolist() == [73]


def test_a_plane_through_the_middle_of_a_ball(server: Server) -> None:
    public_id = send(server, ball())
    shown = picture(server, f"/series/{public_id}/mpr?axis=sagittal&window-center=-400&window-width=1000")
    # One pixel a millimetre: 39 lines from z = 38 down to 0, the ball from 35 to 5.
    assert shown.shape == (39, 32)
    assert 28 <= np.count_nonzero(shown[:, 16] > 127) <= 31
    assert shown[18, 16] == 255
    assert shown[0, 0] == 0


def test_an_oblique_plane_of_its_own_size(server: Server) -> None:
    public_id = send(server, ball())
    target = (
        f"/series/{public_id}/mpr?origin=16,16,20&row=1,1,0&column=0,0,-1&spacing=0.5&width=80&height=60"
        "&window-center=-400&window-width=1000"
    )
    shown = picture(server, target)
    assert shown.shape == (60, 80)
    assert 58 <= np.count_nonzero(shown[30] > 127) <= 62
    facts = server.get(target, accept="application/json")
    assert (facts["Rows"], facts["Columns"], facts["Spacing"]) == (60, 80, [0.5, 0.5])
    # The centre of the picture is the origin given: 39.5 pixels to the left of it is the first one.
    half = 39.5 * 0.5 / 2**0.5
    assert facts["Origin"] == pytest.approx([16 - half, 16 - half, 20 + 29.5 * 0.5])


def test_a_normal_is_enough(server: Server) -> None:
    public_id = send(server, ball())
    for normal, row, column in (
        ("0,0,1", [1, 0, 0], [0, 1, 0]),
        ("0,1,0", [1, 0, 0], [0, 0, -1]),
        ("1,0,0", [0, 1, 0], [0, 0, -1]),
    ):
        for sign in ("", "-"):  # Either way the picture is upright.
            target = f"/series/{public_id}/mpr?origin=16,16,20&normal={normal.replace('1', sign + '1')}"
            facts = server.get(target, accept="application/json")
            assert (facts["Row"], facts["Column"]) == (row, column)


def test_slabs_are_projected(server: Server) -> None:
    public_id = send(server, ball())
    window = "window-center=-400&window-width=1000"
    outside = f"/series/{public_id}/mpr?axis=axial&position=38&thickness=80&{window}&mode="
    assert picture(server, outside + "mip")[16, 16] == 255
    assert picture(server, outside + "minip")[16, 16] == 0
    assert 0 < picture(server, outside + "average")[16, 16] < 255


def test_pictures_are_as_large_as_asked_for_and_in_the_format_asked_for(server: Server) -> None:
    public_id = send(server, ball())
    assert picture(server, f"/series/{public_id}/mpr?width=16").shape == (16, 16)
    target = f"/series/{public_id}/mpr?width=64&colours=hot-iron"
    for mime, magic in (("image/png", b"\x89PNG"), ("image/jpeg", b"\xff\xd8"), ("image/webp", b"RIFF")):
        answer = server.ask("GET", target, accept=mime)
        assert answer.header(b"content-type") == mime.encode()
        assert isinstance(answer.body, bytes)
        assert answer.body.startswith(magic)
    assert server.failure("GET", target, accept="text/html")[0] == 406


def test_a_hot_spot_lies_over_the_anatomy(server: Server) -> None:
    ct, activity = send(server, ball()), send(server, pet())
    target = (
        f"/series/{ct}/mpr?axis=axial&position=20&window-center=-400&window-width=1000&overlay={activity}"
    )
    fused = picture(
        server, f"{target}&overlay-window-center=10000&overlay-window-width=20000&overlay-opacity=1"
    )
    assert fused.shape == (32, 32, 3)
    assert fused[16, 16].tolist() == [255, 255, 255]
    assert fused[16, 2].tolist() == [255, 255, 255]
    # Half-way to the next pixel of 4 mm the activity is half: red in hot iron, half transparent over white.
    assert fused[16, 18].tolist() == [255, 127, 127]
    assert fused[0, 0].tolist() == [0, 0, 0]


def test_series_of_different_places_are_not_laid_over_each_other(server: Server) -> None:
    ct = send(server, ball())
    elsewhere = send(server, slices([0, 3, 6], series="8", FrameOfReferenceUID="1.2.3"))
    target = f"/series/{ct}/mpr?overlay={elsewhere}"
    assert server.failure("GET", target)[0] == 409
    assert server.ask("GET", target + "&ignore-frame-of-reference").status == 200


def test_uptake_values_are_windowed_as_such(server: Server) -> None:
    activity = send(server, pet())
    facts = server.get(f"/series/{activity}/volume")
    # 70 kg, 370 MBq of F-18, one hour: 2.76337e-4 per Bq/ml, so that 20000 Bq/ml are 5.53.
    assert facts["Suv"]["Factor"] == pytest.approx(2.76337e-4, rel=1e-5)
    target = f"/series/{activity}/mpr?axis=axial&position=20&units=suv&window-center=5&window-width=10"
    shown = picture(server, target)
    assert shown.max() == 141  # 5.5267 / 10 * 255
    ct = send(server, ball())
    assert server.failure("GET", f"/series/{ct}/mpr?units=suv")[0] == 500


def test_nifti_files_are_read_by_nibabel(server: Server) -> None:
    public_id = send(server, slices([6, 0, 3]))
    for target, is_compressed in (("nifti", False), ("nifti?compress", True), ("volume?format=nifti", True)):
        name = server.ask("GET", f"/series/{public_id}/{target}").header(b"content-disposition")
        assert name == f'filename="{public_id}.nii{".gz" if is_compressed else ""}"'.encode()
        data = streamed(server, f"/series/{public_id}/{target}")
        read: Any = nibabel.Nifti1Image.from_bytes(gzip.decompress(data) if is_compressed else data)
        assert read.shape == (5, 4, 3)
        assert read.get_fdata()[3, 1, 0] == 100 + 20 + 3 - 1024


def test_an_instance_is_a_nifti_file_too(server: Server) -> None:
    path = server.post("/instances", enhanced([12, 4, 8]))["Path"]
    read: Any = nibabel.Nifti1Image.from_bytes(streamed(server, f"{path}/nifti"))
    assert read.shape == (5, 4, 3)


def test_echoes_are_the_fourth_dimension(server: Server) -> None:
    files = [
        part10(image(ramp(n), number=n + 1, position=(0, 0, 3 * (n // 2)), EchoTime=[10, 80][n % 2]))
        for n in range(6)
    ]
    public_id = send(server, files)
    whole: Any = nibabel.Nifti1Image.from_bytes(streamed(server, f"/series/{public_id}/nifti"))
    assert whole.shape == (5, 4, 3, 2)
    one: Any = nibabel.Nifti1Image.from_bytes(streamed(server, f"/series/{public_id}/nifti?stack=1"))
    np.testing.assert_array_equal(one.get_fdata(), whole.get_fdata()[..., 1])


def test_thumbnails_are_small(server: Server) -> None:
    public_id = send(server, ball())
    assert picture(server, f"/series/{public_id}/thumbnail?size=16").shape == (16, 16)
    answer = server.ask("GET", f"/series/{public_id}/thumbnail", accept="image/jpeg")
    assert answer.header(b"content-type") == b"image/jpeg"


def test_moving_thumbnails(server: Server) -> None:
    public_id = send(server, ball())
    webp = server.bytes_of("GET", f"/series/{public_id}/thumbnail?animated&frames=7&size=16")
    assert webp.count(b"ANMF") == 7
    gif = server.bytes_of("GET", f"/series/{public_id}/thumbnail?size=16", accept="image/gif")
    frames = imagecodecs.gif_decode(gif)
    assert frames.shape[:3] == (20, 16, 16)
    colour = send(server, [real_file("SC_rgb_2frame.dcm")])
    assert server.bytes_of("GET", f"/series/{colour}/thumbnail?animated").count(b"ANMF") == 2
    assert (
        imagecodecs.gif_decode(
            server.bytes_of("GET", f"/series/{colour}/thumbnail?animated", accept="image/gif")
        ).shape[0]
        == 2
    )


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("axis=diagonal", 400),
        ("position=nan", 400),
        ("position=1e99", 400),
        ("origin=1,2", 400),
        ("row=1,0,0&column=1,0,0", 400),
        ("row=0,0,0&column=0,1,0", 400),
        ("normal=0,0,0", 400),
        ("row=1,0,0&column=0,1,0&spacing=0.5", 400),
        ("row=1,0,0&column=0,1,0&spacing=0&width=9&height=9", 400),
        ("thickness=-1", 400),
        ("thickness=1e8", 400),
        ("mode=sum", 400),
        ("interpolation=cubic", 400),
        ("width=100000", 400),
        ("colours=purple", 400),
        ("window-center=0&window-width=0", 400),
        ("window-center=0&window-width=-5", 400),
        ("quality=0", 400),
        ("stack=3", 400),
        ("units=kg", 400),
        ("overlay=nothing", 404),
        ("overlay-opacity=7", 200),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(server: Server, query: str, status: int) -> None:
    public_id = send(server, ball())
    assert server.ask("GET", f"/series/{public_id}/mpr?{query}", accept="image/jpeg").status == status


def test_an_unknown_series_is_not_found(server: Server) -> None:
    for route in ("volume", "mpr", "nifti", "thumbnail"):
        assert server.failure("GET", f"/series/nothing/{route}")[0] == 404


def test_a_series_larger_than_the_cache_is_refused(build: Builder) -> None:
    server = build(RestOptions(volumes_bytes=1000))
    public_id = send(server, ball())
    assert server.failure("GET", f"/series/{public_id}/mpr")[0] == 403
    assert "1000" in server.get(f"/series/{public_id}/volume")["Stacks"][0]["Problem"]


def test_a_series_that_grew_is_read_again(server: Server) -> None:
    files = slices([0, 3, 6], spacing=(1, 1))
    public_id = send(server, files[:2])
    assert picture(server, f"/series/{public_id}/mpr?axis=coronal").shape == (4, 5)
    send(server, files[2:])
    assert picture(server, f"/series/{public_id}/mpr?axis=coronal").shape == (7, 5)


def test_the_least_recently_seen_volume_makes_room(build: Builder) -> None:
    server = build(RestOptions(volumes_bytes=2 * 20 * 32 * 32 * 2))
    first = send(server, ball())
    others = [
        send(server, [data.replace(b"55.1", b"55." + name) for data in ball()]) for name in (b"2", b"3")
    ]
    for public_id in (first, *others, first):
        assert picture(server, f"/series/{public_id}/mpr").shape == (32, 32)


def test_one_who_hung_up_gets_no_volume(server: Server) -> None:
    public_id = send(server, ball())
    request = Request("GET", f"/series/{public_id}/mpr", is_gone=lambda: True)
    assert dispatch(server.dispatcher, request).status == 500
    with pytest.raises(Cancelled):
        server.door.volumes.volume(public_id, is_gone=lambda: True)


def test_many_at_once_read_a_volume_once(server: Server) -> None:
    public_id = send(server, ball())
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(id(server.door.volumes.volume(public_id))))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert len(set(found)) == 1
