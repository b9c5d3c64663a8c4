"""Instances made of tags, pictures and documents."""

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from tests.rest.builders import Builder, Server, ids, slice_file

from hounsfield.rest.door import RestOptions
from hounsfield.retrieve.files import read_file

_GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
_RGBA16 = (np.arange(48, dtype=np.uint16) * 1000).reshape(3, 4, 4)
_COLOUR = np.zeros((8, 16, 3), np.uint8)
_DATES = ("AcquisitionDate", "ContentDate", "InstanceCreationDate", "SeriesDate", "StudyDate")


def _uri(data: bytes | bytearray, mime_type: str = "image/png") -> str:
    return f"data:{mime_type};base64,{base64.b64encode(data).decode()}"


def _png(array: Any) -> str:
    return _uri(imagecodecs.png_encode(array))


def _create(server: Server, body: object) -> Dataset:
    answer = server.post("/tools/create-dicom", body)
    assert set(answer) == {"ID", "ParentPatient", "ParentSeries", "ParentStudy", "Path", "Status"}
    return pydicom.dcmread(BytesIO(read_file(server.archive, answer["ID"])))


@pytest.mark.parametrize("body", [{}, {"Tags": {}}, {"Tags": {"PatientName": "Min"}, "Content": []}])
def test_the_least_instance(server: Server, body: dict[str, Any]) -> None:
    made = _create(server, body)
    assert made.get("PatientName", "") == body.get("Tags", {}).get("PatientName", "")
    assert len(made.PatientID) == 36
    assert all(made[word].value == made.StudyDate for word in _DATES)
    assert len({made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID}) == 3
    assert made.SpecificCharacterSet == "ISO_IR 100"
    assert not {"SOPClassUID", "Modality", "PixelData"} & set(made.dir())


def test_pictures_become_pixels(server: Server) -> None:
    grey = _create(server, {"Tags": {"Modality": "OT"}, "Content": _png(_GREY)})
    assert (grey.Rows, grey.Columns, grey.BitsAllocated, grey.PhotometricInterpretation) == (
        3,
        4,
        8,
        "MONOCHROME2",
    )
    assert np.array_equal(grey.pixel_array, _GREY)
    colour = _create(server, {"Tags": {}, "Content": _png(_RGBA16)})
    assert (colour.SamplesPerPixel, colour.BitsStored, colour.PlanarConfiguration) == (3, 16, 0)
    assert np.array_equal(colour.pixel_array, _RGBA16[:, :, :3])
    jpeg = _create(server, {"Tags": {}, "Content": _uri(imagecodecs.jpeg8_encode(_COLOUR), "image/jpeg")})
    assert jpeg.PhotometricInterpretation == "RGB"
    assert np.array_equal(jpeg.pixel_array, _COLOUR)
    pam = b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 65535\nTUPLTYPE GRAYSCALE\nENDHDR\n\x01\x02\x03\x04"
    made = _create(server, {"Tags": {}, "Content": _uri(pam, "image/x-portable-arbitrarymap")})
    assert made.pixel_array.tolist() == [[0x0102, 0x0304]]


@pytest.mark.parametrize(("array", "photometric"), [(_GREY, "MONOCHROME2"), (_COLOUR, "YBR_FULL_422")])
def test_a_jpeg_is_kept_as_it_is_if_asked(server: Server, array: Any, photometric: str) -> None:
    jpeg = imagecodecs.jpeg8_encode(array)
    made = _create(server, {"Tags": {}, "Content": _uri(jpeg, "image/jpeg"), "Encapsulate": True})
    assert made.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50"
    assert made.PhotometricInterpretation == photometric
    (frame,) = pydicom.encaps.generate_frames(made.PixelData, number_of_frames=1)
    assert frame.rstrip(b"\0") == jpeg.rstrip(b"\0")
    (instance,) = server.get("/instances")
    assert server.ask("GET", f"/instances/{instance}/preview").status == 200


@pytest.mark.parametrize(
    ("mime_type", "sop_class", "modality", "data"),
    [
        ("application/pdf", "104.1", "OT", b"%PDF-1.4 odd"),
        ("model/stl", "104.3", "M3D", b"solid"),
        ("model/obj", "104.4", "M3D", b"v 0 0 0"),
        ("model/mtl", "104.5", "M3D", b"newmtl"),
    ],
)
def test_documents_are_encapsulated(
    server: Server, mime_type: str, sop_class: str, modality: str, data: bytes
) -> None:
    made = _create(server, {"Tags": {}, "Content": _uri(data, mime_type)})
    assert (
        made.SOPClassUID == f"1.2.840.10008.5.1.4.1.1.{sop_class}" == made.file_meta.MediaStorageSOPClassUID
    )
    assert (made.Modality, made.MIMETypeOfEncapsulatedDocument) == (modality, mime_type)
    assert made.EncapsulatedDocument == data + b"\0" * (len(data) % 2)
    assert _create(server, {"Tags": {"Modality": "XX"}, "Content": _uri(data, mime_type)}).Modality == "XX"


def test_values_of_any_kind(server: Server) -> None:
    made = _create(
        server,
        {
            "Tags": {
                "SpecificCharacterSet": "ISO_IR 192",
                "PatientName": "山田^太郎",
                "TimeRange": "3.12\\4.12",
                "RequestAttributesSequence": [
                    {"ScheduledProcedureStepDescription": "é", "0040,0008": [{"CodeValue": "c"}]}
                ],
                "4321,1012": "text",
                "4321,1013": _uri(bytes(range(256)), "application/octet-stream"),
            },
            "PrivateCreator": "Hounsfield",
        },
    )
    assert made.PatientName == "山田^太郎"
    assert made.TimeRange == [3.12, 4.12]
    assert made.RequestAttributesSequence[0].ScheduledProcedureStepDescription == "é"
    assert made.RequestAttributesSequence[0].ScheduledProtocolCodeSequence[0].CodeValue == "c"
    assert made[0x43210010].value == "Hounsfield"
    assert made[0x43211013].value == bytes(range(256))
    literal = _create(server, {"Tags": {"0029,1010": "data:x;base64,QUJD"}, "InterpretBinaryTags": False})
    assert literal[0x00291010].value == b"data:x;base64,QUJD"


def test_a_series_of_pictures_is_complete(server: Server) -> None:
    content = [_png(_GREY), {"Content": _png(_GREY + 1), "Tags": {"ImageComments": "second"}}]
    answer = server.post("/tools/create-dicom", {"Tags": {"PatientName": "Arr"}, "Content": content})
    series = server.get(f"/series/{answer['ID']}")
    assert answer == {"ID": series["ID"], "Path": f"/series/{series['ID']}", "Status": "Success"}
    assert (series["Status"], series["ExpectedNumberOfInstances"]) == ("Complete", 2)
    files = [pydicom.dcmread(BytesIO(read_file(server.archive, each))) for each in series["Instances"]]
    by_number = {each.InstanceNumber: each for each in files}
    assert by_number[2].ImageComments == "second"
    assert "ImageComments" not in by_number[1]
    assert np.array_equal(by_number[2].pixel_array, _GREY + 1)
    assert {str(each.PatientName) for each in files} == {"Arr"}


def test_a_new_instance_joins_its_parent(server: Server) -> None:
    server.post(
        "/instances",
        slice_file(SpecificCharacterSet="ISO_IR 100", StudyDescription="Höhe", SeriesDescription="Ser"),
    )
    patient, study, series, instance = ids()
    of_patient = _create(server, {"Tags": {}, "Parent": patient})
    assert (of_patient.PatientName, of_patient.PatientID) == ("DOE^P1", "P1")
    assert of_patient.StudyInstanceUID != "1.1"
    assert "StudyDescription" not in of_patient
    of_study = _create(server, {"Tags": {"SeriesDescription": "New"}, "Parent": study})
    assert (of_study.StudyInstanceUID, of_study.StudyDescription, of_study.StudyDate) == (
        "1.1",
        "Höhe",
        "20200102",
    )
    assert of_study.SeriesInstanceUID != "1.1.1"
    of_series = _create(server, {"Tags": {}, "Content": _png(_GREY), "Parent": series})
    assert (of_series.SeriesInstanceUID, of_series.SeriesDescription) == ("1.1.1", "Ser")
    assert server.failure("POST", "/tools/create-dicom", {"Tags": {}, "Parent": instance}) == (400, 2025)
    body: dict[str, Any] = {"Tags": {"PatientName": "Other"}, "Parent": study}
    assert server.failure("POST", "/tools/create-dicom", body) == (400, 2020)
    assert _create(server, {**body, "Force": True}).PatientName == "Other"
    wide = _create(server, {"Tags": {"ImageComments": "山"}, "Parent": study})
    assert (wide.ImageComments, wide.StudyDescription) == ("山", "Höhe")


def test_the_first_form_of_the_body(server: Server) -> None:
    made = _create(server, {"PatientName": "V1", "PixelData": _png(_GREY)})
    assert made.PatientName == "V1"
    assert np.array_equal(made.pixel_array, _GREY)
    assert server.failure("POST", "/tools/create-dicom", {"PatientName": 3}) == (400, 2019)
    assert server.failure("POST", "/tools/create-dicom", {"PixelData": "x"}) == (400, 15)


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (b"", (400, 8)),
        (b"[]", (400, 8)),
        ({"Tags": []}, (400, 8)),
        ({"Tags": {"PixelData": "x"}}, (400, 2021)),
        ({"Tags": {"StudyInstanceUID": "1.2"}}, (400, 2020)),
        ({"Tags": {}, "Content": "x"}, (400, 15)),
        ({"Tags": {}, "Content": 3}, (400, 2023)),
        ({"Tags": {}, "Content": [3]}, (400, 2023)),
        ({"Tags": {}, "Content": [{}]}, (400, 2022)),
        ({"Tags": {}, "Content": "data:image/gif;base64,QUJD"}, (500, 2)),
        ({"Tags": {}, "Content": "data:image/tiff;base64,SUkqAA=="}, (500, 2)),
        ({"Tags": {}, "Content": "data:video/mpeg;base64,AAABuw=="}, (500, 2)),
        ({"Tags": {}, "Content": "data:image/png;base64,QUJD"}, (400, 15)),
        ({"Tags": {}, "Content": "data:image/png,QUJD"}, (400, 15)),
        ({"Tags": {}, "Content": "data:application/pdf;base64,QUJD"}, (400, 15)),
        ({"Tags": {}, "Parent": "nope"}, (400, 2024)),
        ({"Tags": {}, "Parent": 3}, (400, 2024)),
        ({"Tags": {"PatientName": 3}}, (400, 5)),
        ({"Tags": {"PatientName": [{"Rows": "1"}]}}, (400, 5)),
        ({"Tags": {"Rows": "many"}}, (400, 15)),
        ({"Tags": {"Foo": "x"}}, (500, 27)),
        ({"Tags": {"SpecificCharacterSet": "nope"}}, (400, 3)),
        ({"Tags": {}, "Force": "x"}, (400, 8)),
        ({"Tags": {}, "PrivateCreator": 3}, (400, 8)),
    ],
)
def test_mistakes(server: Server, body: object, failure: tuple[int, int]) -> None:
    assert server.failure("POST", "/tools/create-dicom", body) == failure
    assert server.get("/instances") == []


def test_a_failed_content_leaves_no_part_of_a_series(server: Server) -> None:
    body = {"Tags": {}, "Content": [_png(_GREY), "data:image/png;base64,QUJD"]}
    assert server.failure("POST", "/tools/create-dicom", body) == (400, 15)
    assert server.get("/instances") == []


def test_pictures_that_claim_to_be_huge_are_refused(server: Server) -> None:
    bomb = bytearray(imagecodecs.png_encode(_GREY))
    bomb[16:24] = b"\0\0\xff\xff\0\0\xff\xff"
    assert server.failure("POST", "/tools/create-dicom", {"Tags": {}, "Content": _uri(bytes(bomb))}) == (
        400,
        15,
    )
    jpeg = bytearray(imagecodecs.jpeg8_encode(_COLOUR))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = b"\xff\xff\xff\xff"
    uri = _uri(bytes(jpeg), "image/jpeg")
    assert server.failure("POST", "/tools/create-dicom", {"Tags": {}, "Content": uri}) == (400, 15)


def test_a_read_only_server_creates_nothing(build: Builder) -> None:
    server = build(RestOptions(is_read_only=True))
    assert server.failure("POST", "/tools/create-dicom", {"Tags": {}}) == (500, 22)


def test_a_picture_of_a_real_file_comes_back(server: Server) -> None:
    path = get_testdata_file("CT_small.dcm")
    assert isinstance(path, str)
    pixels = pydicom.dcmread(BytesIO(Path(path).read_bytes())).pixel_array.astype(np.uint16)
    made = _create(server, {"Tags": {}, "Content": _png(pixels)})
    assert np.array_equal(made.pixel_array, pixels)


_VIDEO = Path(__file__).parents[1] / "data" / "video"


@pytest.mark.parametrize(
    ("name", "syntax", "bits", "method"),
    [
        ("avc.mp4", "1.2.840.10008.1.2.4.102", 8, "ISO_14496_10"),
        ("hevc.mp4", "1.2.840.10008.1.2.4.107", 8, "ISO_23008_2"),
        ("hevc_10_bits.mp4", "1.2.840.10008.1.2.4.108", 10, "ISO_23008_2"),
    ],
)
def test_a_video_is_kept_as_it_is(server: Server, name: str, syntax: str, bits: int, method: str) -> None:
    clip = (_VIDEO / name).read_bytes()
    made = _create(server, {"Tags": {"PatientID": "v"}, "Content": _uri(clip, "video/mp4")})
    assert made.file_meta.TransferSyntaxUID == syntax
    assert (made.SOPClassUID, made.Modality) == ("1.2.840.10008.5.1.4.1.1.77.1.4.1", "XC")
    assert (made.Rows, made.Columns, made.NumberOfFrames, made.BitsStored) == (48, 64, 30, bits)
    assert made[made.FrameIncrementPointer].keyword == "FrameTime"
    assert abs(made.FrameTime * made.CineRate - 1000) < 1
    assert made.LossyImageCompressionMethod == method
    assert next(pydicom.encaps.generate_fragments(made.PixelData[8:])).rstrip(b"\0") == clip.rstrip(b"\0")
    instance = server.get("/instances")[0]
    assert len(server.get(f"/instances/{instance}/frames")) == 30
    assert server.ask("GET", f"/instances/{instance}/frames/29/preview").status == 200


def test_a_video_may_be_of_an_endoscope(server: Server) -> None:
    clip = _uri((_VIDEO / "avc.mp4").read_bytes(), "video/mp4")
    endoscopy = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.1.1", "Modality": "ES"}
    made = _create(server, {"Tags": endoscopy, "Content": clip})
    assert (made.SOPClassUID, made.Modality) == (endoscopy["SOPClassUID"], "ES")


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        ((b"ftyp", b"free"), (400, 15)),
        ((b"moov", b"free"), (400, 15)),
        ((b"vide", b"soun"), (400, 15)),
        ((b"stts", b"free"), (400, 15)),
        ((b"avc1", b"mp4v"), (500, 2)),
        ((b"avcC\1\x64", b"avcC\1\x7a"), (500, 2)),
    ],
)
def test_what_is_no_video_of_dicom_is_refused(
    server: Server, change: tuple[bytes, bytes], failure: tuple[int, int]
) -> None:
    clip = (_VIDEO / "avc.mp4").read_bytes()
    assert change[0] in clip
    body = {"Tags": {}, "Content": _uri(clip.replace(*change), "video/mp4")}
    assert server.failure("POST", "/tools/create-dicom", body) == failure
