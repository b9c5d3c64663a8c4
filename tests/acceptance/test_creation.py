"""Section G: instances made of pictures and documents."""

import base64
import json
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from tests.acceptance.asking import failure, upload
from tests.rest.builders import ids, slice_file
from tests.servers import RunningServer

URL = "/tools/create-dicom"


def _uri(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _picture(kind: str = "PNG", shape: tuple[int, ...] = (5, 5, 4), dtype: str = "uint8") -> bytes:
    pixels = np.full(shape, 200, dtype)
    if kind == "PNG":
        return bytes(imagecodecs.png_encode(pixels))
    return bytes(imagecodecs.jpeg8_encode(pixels, subsampling="422" if pixels.ndim == 3 else None))


def _made(server: RunningServer, body: dict[str, Any]) -> tuple[str, pydicom.Dataset]:
    told = server.json(URL, body)
    assert told["Path"] == f"/instances/{told['ID']}"
    _, data = server.request("GET", f"/instances/{told['ID']}/file")
    return told["ID"], pydicom.dcmread(BytesIO(data))


def test_a_red_dot(server: RunningServer) -> None:
    """Scenario 136."""
    picture = _uri("image/png", _picture())
    public_id, dataset = _made(server, {"Tags": {"TimeRange": "3.12\\4.12"}, "Content": picture})
    assert (dataset.Rows, dataset.Columns) == (5, 5)
    status, preview = server.request("GET", f"/instances/{public_id}/preview")
    assert (status, imagecodecs.png_decode(preview).shape[:2]) == (200, (5, 5))
    shown = server.json(f"/instances/{public_id}/simplified-tags")["TimeRange"]
    assert [float(each) for each in shown.split("\\")] == [3.12, 4.12]
    _, legacy = _made(server, {"PatientName": "Old^Way", "PixelData": picture})
    assert legacy.PatientName == "Old^Way"


def test_children_of_what_is_there(server: RunningServer) -> None:
    """Scenarios 137 and 144."""
    upload(server, slice_file(SpecificCharacterSet="ISO_IR 100", StudyDescription="Étude"))
    patient, study, series, _ = ids()
    picture = _uri("image/png", _picture())
    refused = {"Tags": {"PatientName": "x"}, "Parent": patient, "Content": picture}
    assert failure(server, "POST", URL, refused) == (400, 2020)
    body = {"Tags": {"SeriesDescription": "é"}, "Parent": study, "Content": picture}
    public_id, dataset = _made(server, body)
    assert server.json(f"/instances/{public_id}/study")["ID"] == study
    assert (dataset.StudyDescription, dataset.SeriesDescription) == ("Étude", "é")
    public_id, _ = _made(server, {"Tags": {}, "Parent": series, "Content": picture})
    assert server.json(f"/instances/{public_id}/series")["ID"] == series


def test_documents(server: RunningServer) -> None:
    """Scenarios 138 and 142."""
    pdf = b"%PDF-1.4 odd length"
    assert len(pdf) % 2
    _, dataset = _made(server, {"Tags": {}, "Content": _uri("application/pdf", pdf)})
    assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.104.1"
    assert (dataset.ConversionType, dataset.Modality) == ("WSD", "OT")
    assert dataset.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert dataset.EncapsulatedDocument == pdf + b"\0"
    _, dataset = _made(server, {"Tags": {"Modality": "DOC"}, "Content": _uri("application/pdf", pdf)})
    assert dataset.Modality == "DOC"
    for mime, sop_class in (("model/stl", "104.3"), ("model/mtl", "104.5"), ("model/obj", "104.4")):
        _, dataset = _made(server, {"Tags": {}, "Content": _uri(mime, b"solid x\n")})
        assert dataset.SOPClassUID == f"1.2.840.10008.5.1.4.1.1.{sop_class}"
        assert (dataset.Modality, dataset.MIMETypeOfEncapsulatedDocument) == ("M3D", mime)


def test_a_series_of_pictures(server: RunningServer) -> None:
    """Scenario 139."""
    picture = _uri("image/png", _picture())
    content = [picture, {"Content": picture, "Tags": {"ImageComments": "second"}}]
    told = server.json(URL, {"Tags": {"PatientID": "S"}, "Content": content})
    assert sorted(told) == ["ID", "Path", "Status"]
    series = server.json(f"/series/{told['ID']}")
    assert (series["Status"], series["ExpectedNumberOfInstances"]) == ("Complete", 2)
    comments = [
        server.json(f"/instances/{each}/simplified-tags").get("ImageComments") for each in series["Instances"]
    ]
    assert sorted(comments, key=str) == [None, "second"]


def test_binary_private_tags_and_sequences(server: RunningServer) -> None:
    """Scenarios 140 and 141."""
    data = bytes(range(256))
    uri = _uri("application/octet-stream", data)
    tags = {
        "0009,0010": "MAKER",
        "0009,1001": uri,
        "SpecificCharacterSet": "ISO_IR 100",
        "ReferencedStudySequence": [
            {"StudyDescription": "é", "ReferencedSeriesSequence": [{"SeriesDescription": "ü"}]}
        ],
    }
    _, dataset = _made(server, {"Tags": tags, "PrivateCreator": "MAKER"})
    value = dataset[0x00091001].value
    assert (value if isinstance(value, bytes) else str(value).encode()) == data
    item = dataset.ReferencedStudySequence[0]
    assert item.StudyDescription == "é"
    assert item.ReferencedSeriesSequence[0].SeriesDescription == "ü"
    body = {"Tags": {"ImageComments": uri}, "InterpretBinaryTags": False}
    _, dataset = _made(server, body)
    assert uri == dataset.ImageComments


def test_a_jpeg_stays_as_it_is(server: RunningServer) -> None:
    """Scenario 143."""
    for shape, photometric in (((16, 16, 3), "YBR_FULL_422"), ((16, 16), "MONOCHROME2")):
        picture = _picture("JPEG", shape)
        body = {"Tags": {}, "Content": _uri("image/jpeg", picture), "Encapsulate": True}
        public_id, dataset = _made(server, body)
        _, fragment = server.request("GET", f"/instances/{public_id}/content/7fe0-0010/1")
        assert fragment.rstrip(b"\0") == picture.rstrip(b"\0")
        assert dataset.PhotometricInterpretation == photometric


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"Tags": {"Foo": "x"}}, (500, 27)),
        ({"Tags": {"PixelData": "x"}}, (400, 2021)),
        ({"Tags": {}, "Content": "nope"}, (400, 2023)),
    ],
)
def test_mistakes(server: RunningServer, body: dict[str, Any], wanted: tuple[int, int]) -> None:
    """Scenario 145."""
    status, code = failure(server, "POST", URL, body)
    assert (status, code) == wanted or (wanted[1] == 2023 and status == 400)


def test_an_empty_content_is_an_empty_instance(server: RunningServer) -> None:
    """Scenario 145."""
    status, answer = server.request("POST", URL, json.dumps({"Tags": {}, "Content": []}).encode())
    assert status == 200, answer
    assert len(server.json("/instances")) == 1


def test_deep_pictures_are_taken(server: RunningServer) -> None:
    """Scenario 146."""
    picture = imagecodecs.png_encode(np.full((32, 32, 4), 40000, np.uint16))
    _, dataset = _made(server, {"Tags": {}, "Content": _uri("image/png", bytes(picture))})
    assert (dataset.Rows, dataset.Columns) == (32, 32)
