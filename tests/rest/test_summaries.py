import html
import re
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID
from tests.rest.builders import Server, real_file, slice_file
from tests.volumes import image, part10, ramp, structure_set

from hounsfield.imaging.segmentation import rgb_of_cielab

STEM = "1.2.840.10008.5.1.4.1.1."


def stored(server: Server, data: bytes) -> str:
    return str(server.post("/instances", data)["Path"])


def picture(server: Server, path: str) -> NDArray[Any]:
    return np.asarray(imagecodecs.png_decode(server.bytes_of("GET", f"{path}/summary", accept="image/png")))


def page(server: Server, path: str) -> str:
    return server.bytes_of("GET", f"{path}/summary", accept="text/html").decode()


def code(meaning: str, value: str = "1") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "X", meaning
    return item


def content(kind: str, name: str, **attributes: Any) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.ConceptNameCodeSequence = "CONTAINS", kind, [code(name)]
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def report(*items: Dataset) -> bytes:
    dataset = image(ramp(0), SOPClassUID=UID(STEM + "88.33"), Modality="SR")
    del dataset.PixelData
    dataset.ValueType, dataset.ConceptNameCodeSequence = "CONTAINER", [code("Chest CT Report")]
    dataset.CompletionFlag, dataset.VerificationFlag, dataset.ContentDate = (
        "COMPLETE",
        "UNVERIFIED",
        "20240501",
    )
    dataset.ContentSequence = list(items)
    return part10(dataset)


def measured(value: str, unit: str) -> Dataset:
    item = Dataset()
    item.NumericValue, item.MeasurementUnitsCodeSequence = value, [code("unit", unit)]
    return item


def test_a_report_is_read_as_text(server: Server) -> None:
    finding = content("CODE", "Finding", ConceptCodeSequence=[code("Nodule")])
    finding.ContentSequence = [content("NUM", "Diameter", MeasuredValueSequence=[measured("8.5", "mm")])]
    path = stored(
        server,
        report(
            finding,
            content("TEXT", "Impression", TextValue="Follow up\r\nin a year"),
            content("PNAME", "Observer", PersonName="Roe^Jane^^Dr."),
        ),
    )
    facts = server.get(f"{path}/summary")
    assert (facts["Kind"], facts["Title"]) == ("Report", "Chest CT Report")
    assert facts["VerificationFlag"] == "UNVERIFIED"
    assert facts["Text"] == (
        "Chest CT Report\n"
        "  Finding: Nodule\n"
        "    Diameter: 8.5 mm\n"
        "  Impression: Follow up\n    in a year\n"
        "  Observer: Dr. Jane Roe\n"
    )


def test_a_report_is_a_page_that_can_do_nothing(server: Server) -> None:
    path = stored(server, report(content("TEXT", "Note", TextValue="<script>alert(1)</script> & more")))
    shown = page(server, path)
    assert "<script" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in shown
    assert "unverified" in shown
    answer = server.ask("GET", f"{path}/summary", accept="text/html")
    assert b"default-src 'none'" in (answer.header(b"content-security-policy") or b"")


def test_nobody_is_named(server: Server) -> None:
    for data in (report(), slice_file()):
        path = stored(server, data)
        assert "DOE" not in page(server, path)
        assert "DOE" not in str(server.get(f"{path}/summary"))


def test_reports_of_others(server: Server) -> None:
    path = stored(server, real_file("test-SR.dcm"))
    text = server.get(f"{path}/summary")["Text"]
    assert "Diameter: 3 cm" in text
    assert "see item 1.3.2" in text
    assert "9.8.7.6" in text
    assert "<li><b>Diameter</b>: 3 cm" in page(server, path)


def test_a_report_of_endless_depth_is_refused(server: Server) -> None:
    item = content("TEXT", "deep", TextValue="x")
    for _ in range(70):
        outer = content("CONTAINER", "deep")
        outer.ContentSequence = [item]
        item = outer
    path = stored(server, report(item))
    assert server.failure("GET", f"{path}/summary")[0] == 400


def test_an_electrocardiogram_is_drawn(server: Server) -> None:
    path = stored(server, real_file("waveform_ecg.dcm"))
    facts = server.get(f"{path}/summary")
    assert facts["Kind"] == "Waveform"
    group = facts["Groups"][0]
    assert (group["Label"], group["FrequencyHz"], group["Seconds"]) == ("RHYTHM", 1000, 10)
    assert [each["Label"] for each in group["Channels"]][-1] == "Lead V6"
    # Ten seconds of 25 mm and twelve lines of 20 mm, four pixels a mm.
    assert picture(server, path).shape == ((12 * 20 + 5) * 4, 1000, 3)
    svg = server.bytes_of("GET", f"{path}/summary", accept="image/svg+xml")
    assert svg.startswith(b"<svg ")
    assert svg.count(b"<polyline") == 12
    assert "<svg" in page(server, path)


def segmentation(source_uid: str) -> bytes:
    """Two segments of 4 x 5 pixels, drawn on an image: the first in the upper left, the second in the lower right."""
    first, second = np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8)
    first[:2, :2], second[2:, 3:] = 1, 1
    dataset = image(np.stack([first, second]), SOPClassUID=UID(STEM + "66.4"), Modality="SEG", number=50)
    bits = np.packbits(np.stack([first, second]).reshape(-1), bitorder="little").tobytes()
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit, dataset.SegmentationType = 0, "BINARY"
    dataset["PixelData"].value = bits + b"\0" * (len(bits) % 2)
    dataset.SegmentSequence = []
    for number, label in ((1, "Liver"), (2, "Spleen")):
        item = Dataset()
        item.SegmentNumber, item.SegmentLabel, item.SegmentAlgorithmType = number, label, "MANUAL"
        if number == 1:
            item.RecommendedDisplayCIELabValue = [0, 32896, 32896]  # black
        dataset.SegmentSequence.append(item)
    source, derivation = Dataset(), Dataset()
    source.ReferencedSOPInstanceUID, source.ReferencedSOPClassUID = source_uid, STEM + "2"
    derivation.SourceImageSequence = [source]
    dataset.PerFrameFunctionalGroupsSequence = []
    for number in (1, 2):
        group, identification, position = Dataset(), Dataset(), Dataset()
        identification.ReferencedSegmentNumber = number
        position.ImagePositionPatient = [0, 0, 0]
        group.SegmentIdentificationSequence = [identification]
        group.DerivationImageSequence = [derivation]
        group.PlanePositionSequence = [position]
        dataset.PerFrameFunctionalGroupsSequence.append(group)
    return part10(dataset)


def test_segments_are_coloured(server: Server) -> None:
    path = stored(server, segmentation("1.2.3"))
    facts = server.get(f"{path}/summary")
    assert facts["Kind"] == "Segmentation"
    assert [(each["Number"], each["Label"]) for each in facts["Segments"]] == [(1, "Liver"), (2, "Spleen")]
    assert [each["Colour"] for each in facts["Segments"]] == [[0, 0, 0], [60, 180, 75]]
    shown = picture(server, path)
    assert shown[3, 4].tolist() == [60, 180, 75]
    assert shown[0, 4].tolist() == [0, 0, 0]


def test_segments_lie_on_the_image_they_were_drawn_on(server: Server) -> None:
    bright = image(
        np.full((4, 5), 1064, np.int16), number=3, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400
    )
    stored(server, part10(bright))
    shown = picture(server, stored(server, segmentation(bright.SOPInstanceUID)))
    # The image is 40 HU, the middle of the window; a segment covers 55 % of it.
    grey = int(shown[0, 4, 0])
    assert grey in (127, 128)
    assert shown[0, 4].tolist() == [grey] * 3
    assert shown[3, 4].tolist() == [round(grey + (each - grey) * 0.55) for each in (60, 180, 75)]
    assert shown[0, 0].tolist() == [round(grey * 0.45)] * 3


def test_of_a_label_map_the_plane_with_most_pixels_in_segments_is_shown(server: Server) -> None:
    full, spot = np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8)
    full[:3], spot[3, 4] = 1, 200
    dataset = image(np.stack([spot, full]), SOPClassUID=UID(STEM + "66.7"), Modality="SEG", number=51)
    dataset.PerFrameFunctionalGroupsSequence = []
    for height in (0, 5):
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, height]
        group.PlanePositionSequence = [position]
        dataset.PerFrameFunctionalGroupsSequence.append(group)
    shown = picture(server, stored(server, part10(dataset)))
    assert shown[:3].any(axis=2).all()
    assert not shown[3].any()


def test_segments_of_a_label_map_have_numbers_beyond_255(server: Server) -> None:
    labels = np.zeros((4, 5), np.uint16)
    labels[0], labels[3] = 1001, 255
    dataset = image(labels, SOPClassUID=UID(STEM + "66.7"), Modality="SEG", number=52)
    dataset.SegmentSequence = []
    for number in (255, 1001):
        item = Dataset()
        item.SegmentNumber, item.SegmentLabel, item.SegmentAlgorithmType = number, "x", "MANUAL"
        dataset.SegmentSequence.append(item)
    shown = picture(server, stored(server, part10(dataset)))
    assert shown[0, 0].tolist() == [60, 180, 75]
    assert shown[3, 0].tolist() == [230, 25, 75]


def test_colours_of_cielab_are_those_of_srgb() -> None:
    # Red of sRGB is L 54.29, a 80.81, b 69.89 under D50 (by the ICC profile of sRGB).
    assert np.abs(np.subtract(rgb_of_cielab(54.29, 80.81, 69.89), (255, 0, 0))).max() <= 1


def test_a_dose_is_a_map_of_colours(server: Server) -> None:
    path = stored(server, real_file("rtdose.dcm"))
    facts = server.get(f"{path}/summary")
    assert (facts["Kind"], facts["Frames"], facts["Units"]) == ("Dose", 15, "Relative")
    from pydicom import dcmread
    from pydicom.data import get_testdata_file

    name = get_testdata_file("rtdose.dcm")
    assert isinstance(name, str)
    dose = dcmread(name)
    assert facts["Maximum"] == pytest.approx(float(dose.pixel_array.max() * dose.DoseGridScaling))
    highest = np.unravel_index(dose.pixel_array.argmax(), dose.pixel_array.shape)
    assert facts["FrameOfMaximum"] == highest[0] + 1
    shown = picture(server, path)
    factor = 26  # 10 pixels become 260
    assert shown[highest[1] * factor + 1, highest[2] * factor + 1].tolist() == [255, 0, 0]


def test_plans_and_structures_are_told(server: Server) -> None:
    facts = server.get(f"{stored(server, real_file('rtplan.dcm'))}/summary")
    assert (facts["Kind"], facts["PlanLabel"]) == ("Plan", "Plan1")
    assert facts["Beams"][0]["Energy"].startswith("6.0")
    assert facts["Fractions"] == [{"Beams": 1, "Group": 1, "Planned": 30}]


def test_structures_are_counted_and_drawn(server: Server) -> None:
    path = stored(server, structure_set())
    assert server.get(f"{path}/summary")["Regions"] == [
        {
            "Number": 5,
            "Name": "PTV <1>",
            "Type": "",
            "Contours": 2,
            "Points": 6,
            "Geometry": ["CLOSED_PLANAR"],
            "Colour": [255, 0, 128],
        }
    ]
    assert html.escape("PTV <1>") in page(server, path)
    shown = picture(server, path)
    # 20 mm fill 360 of 384 pixels, between margins of 12: from (0, 0) to (10, 0) to (10, 20), and back.
    for row, column in ((12, 12), (12, 100), (12, 192), (372, 192), (192, 102)):
        assert shown[row, column].tolist() == [255, 0, 128], (row, column)
    assert shown[100, 300].tolist() == [0, 0, 0]


def test_structures_beyond_axial_planes_are_not_drawn(server: Server) -> None:
    path = stored(server, structure_set(((0, 0, 0), (0, 10, 0), (0, 10, 10))))
    assert server.failure("GET", f"{path}/summary", accept="image/png")[0] == 500
    assert "PTV" in page(server, path)


@pytest.mark.parametrize("name", ["waveform_ecg.dcm", "rtdose.dcm", "liver_1frame.dcm"])
def test_what_is_no_image_has_a_thumbnail(server: Server, name: str) -> None:
    series = server.post("/instances", real_file(name))["ParentSeries"]
    small = imagecodecs.png_decode(server.bytes_of("GET", f"/series/{series}/thumbnail?size=100"))
    assert max(small.shape[:2]) <= 100
    assert small.shape[2] == 3


def test_an_image_shows_itself(server: Server) -> None:
    path = stored(server, real_file("CT_small.dcm"))
    assert server.get(f"{path}/summary")["Kind"] == "Image"
    assert picture(server, path).shape == (128, 128)
    assert re.search('src="data:image/png;base64,[A-Za-z0-9+/=]{100,}"', page(server, path))


def encapsulated(document: bytes, sop_class: str, mime: str, **attributes: Any) -> bytes:
    dataset = image(ramp(0), SOPClassUID=UID(STEM + sop_class), Modality="DOC", **attributes)
    del dataset.PixelData
    dataset.MIMETypeOfEncapsulatedDocument = mime
    dataset.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    return part10(dataset)


@pytest.mark.parametrize(
    ("sop_class", "mime", "expected", "suffix"),
    [
        ("104.1", "application/pdf", "application/pdf", ".pdf"),
        ("104.2", "text/XML", "text/xml", ".xml"),
        ("104.3", "application/sla", "model/stl", ".stl"),
        ("104.4", "model/obj", "model/obj", ".obj"),
        ("104.5", "model/mtl", "model/mtl", ".mtl"),
        ("104.9", "text/html", "application/octet-stream", ".bin"),
    ],
)
def test_documents_come_out_as_what_they_are(
    server: Server, sop_class: str, mime: str, expected: str, suffix: str
) -> None:
    path = stored(server, encapsulated(b"odd", sop_class, mime, EncapsulatedDocumentLength=3))
    answer = server.ask("GET", f"{path}/object")
    assert answer.body == b"odd"
    assert answer.header(b"content-type") == expected.encode()
    assert answer.header(b"content-disposition") == f'filename="{path[11:]}{suffix}"'.encode()
    assert server.get(f"{path}/summary")["MimeType"] == expected
    is_guarded = b"sandbox" in (answer.header(b"content-security-policy") or b"")
    assert is_guarded == (expected != "application/pdf")
    stl = server.ask("GET", f"{path}/stl")
    assert (stl.status, stl.body == b"odd") == ((200, True) if expected == "model/stl" else (400, False))


def test_a_video_is_one_stream(server: Server) -> None:
    dataset = image(ramp(0), SOPClassUID=UID(STEM + "77.1.4.1"), Modality="XC", NumberOfFrames=5)
    stream = b"\0\0\0\x18ftypmp42" + bytes(range(200))
    body = b"\xfe\xff\x00\xe0\0\0\0\0"
    for part in (stream[:100], stream[100:]):
        body += b"\xfe\xff\x00\xe0" + len(part).to_bytes(4, "little") + part
    del dataset.PixelData
    dataset.add_new(0x7FE00010, "OB", body)
    dataset["PixelData"].is_undefined_length = True
    path = stored(server, part10(dataset, "1.2.840.10008.1.2.4.102"))
    answer = server.ask("GET", f"{path}/object")
    assert answer.header(b"content-type") == b"video/mp4"
    assert not isinstance(answer.body, bytes)
    pieces: Any = answer.body
    assert b"".join(pieces) == stream
    assert server.get(f"{path}/summary")["Kind"] == "Video"


def test_what_holds_no_object_has_none(server: Server) -> None:
    path = stored(server, slice_file())
    assert server.failure("GET", f"{path}/object")[0] == 404
    assert server.failure("GET", "/instances/nothing/object")[0] == 404
    assert server.failure("GET", "/instances/nothing/summary")[0] == 404
