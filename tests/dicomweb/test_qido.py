"""QIDO-RS on an archive with real files. PS3.18 10.6."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import orjson
import pytest
from tests.ingest.builders import Bench, Values, make_file, open_bench

from hounsfield.dicomweb import qido
from hounsfield.dicomweb.service import DicomWeb, DicomWebOptions
from hounsfield.http.dispatch import Dispatcher, dispatch
from hounsfield.http.messages import Request, Response
from hounsfield.http.routing import Router

NAME, DATE, TIME, MODALITY, NUMBER, COMMENTS = (
    0x00100010, 0x00080020, 0x00080030, 0x00080060, 0x00200013, 0x00204000,
)  # fmt: skip
ROWS = 0x00280010
DEFAULT = DicomWebOptions()
FILES: list[tuple[str, str, str, str, Values]] = [
    ("P1", "1", "1", "1", {NAME: "Äneas^Anna", DATE: "20200101", MODALITY: "CT", NUMBER: "2"}),
    ("P1", "1", "1", "2", {NAME: "Äneas^Anna", DATE: "20200101", MODALITY: "CT", NUMBER: "1"}),
    ("P1", "1", "2", "3", {NAME: "Äneas^Anna", DATE: "20200101", MODALITY: "MR", NUMBER: "1", COMMENTS: "x"}),
    ("P2", "2", "3", "4", {NAME: "MUELLER^Zoe", DATE: "20210101", MODALITY: "US", NUMBER: "1"}),
    ("P3", "3", "4", "5", {NAME: "Smith", DATE: "20190101", MODALITY: "CT", NUMBER: "1"}),
]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = open_bench(tmp_path)
    for patient, study, series, sop, extra in FILES:
        made.receive(make_file(patient, study, series, sop, {ROWS: 2, 0x00200011: series, **extra}))
    yield made
    made.close()


def ask(bench: Bench, target: str, options: DicomWebOptions = DEFAULT, **headers: str) -> Response:
    service = DicomWeb(bench.archive, options, bench.intake.options.settings)
    path, _, query = target.partition("?")
    found = {"host": "pacs:8042", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return dispatch(
        Dispatcher(Router(qido.routes(service))), Request("GET", f"/dicom-web/{path}", query, found)
    )


def answers(bench: Bench, target: str, options: DicomWebOptions = DEFAULT) -> list[dict[str, Any]]:
    response = ask(bench, target, options)
    assert response.status == 200, response.body
    assert isinstance(response.body, bytes)
    found: list[dict[str, Any]] = orjson.loads(response.body)
    return found


def uids(bench: Bench, target: str, key: str = "0020000D") -> list[str]:
    return [each[key]["Value"][0].rpartition(".")[2] for each in answers(bench, target)]


def test_studies_are_told_with_the_attributes_of_the_standard_newest_first(bench: Bench) -> None:
    found = answers(bench, "studies")
    assert [each["0020000D"]["Value"][0] for each in found] == ["1.2.3.2", "1.2.3.1", "1.2.3.3"]
    study = found[1]
    assert study["00100010"] == {"Value": [{"Alphabetic": "Äneas^Anna"}], "vr": "PN"}
    assert study["00080005"] == {"Value": ["ISO_IR 192"], "vr": "CS"}
    assert study["00080061"] == {"Value": ["CT", "MR"], "vr": "CS"}
    assert study["00201206"] == {"Value": [2], "vr": "IS"}
    assert study["00201208"] == {"Value": [3], "vr": "IS"}
    assert study["00081190"] == {"Value": ["http://pacs:8042/dicom-web/studies/1.2.3.1"], "vr": "UR"}
    assert "00080056" not in study


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("PatientName=*neas*", ["1"]),
        ("PatientName=%C3%A4neas*", ["1"]),
        ("PatientName=aneas*", []),
        ("00100010=smith", ["3"]),
        ("PatientID=P1,P3", ["1", "3"]),
        ("PatientID=", ["2", "1", "3"]),
        ("PatientID", ["2", "1", "3"]),
        ("&&Nope=1&patientname=Smith", ["2", "1", "3"]),
        ("StudyDate=20200101-20201231", ["1"]),
        ("StudyDate=20200101-", ["2", "1"]),
        ("ModalitiesInStudy=mr", ["1"]),
        ("ModalitiesInStudy=MR,US", ["2", "1"]),
        ("ModalitiesInStudy=M*", []),
        ("Modality=MR", ["1"]),
        ("NumberOfStudyRelatedInstances=3", ["1"]),
        ("InstanceAvailability=ONLINE", []),
        ("ImageComments=x", ["1"]),
        ("PatientName=muller&fuzzymatching=true", ["2"]),
        ("PatientName=zoe%20mue&fuzzymatching=true", ["2"]),
        ("limit=1&offset=1", ["1"]),
        ("limit=-1&offset=-5", ["2", "1", "3"]),
        ("PatientID=P1&PatientID=P2", ["2"]),
    ],
)
def test_searches_find_what_the_standard_says(bench: Bench, arguments: str, expected: list[str]) -> None:
    assert uids(bench, f"studies?{arguments}") == expected


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("limit=", 15),
        ("limit=1.5", 15),
        ("offset=x", 15),
        ("StudyDate=*", 3),
        ("StudyInstanceUID=1.*", 3),
        ("fuzzymatching=1", 8),
    ],
)
def test_arguments_that_mean_nothing_are_refused(bench: Bench, arguments: str, code: int) -> None:
    response = ask(bench, f"studies?{arguments}")
    assert response.status == 400
    assert response.error is not None
    assert response.error.code == code


def test_pages_are_pages_of_matches_whatever_decides(bench: Bench) -> None:
    everything = uids(bench, "instances?Rows=2&PatientID=*", "00080018")
    assert len(everything) == 5
    paged = [
        uid for at in range(5) for uid in uids(bench, f"instances?Rows=2&limit=1&offset={at}", "00080018")
    ]
    assert sorted(paged) == sorted(everything)


def test_series_and_instances_lie_below_their_parents(bench: Bench) -> None:
    assert uids(bench, "studies/1.2.3.1/series", "0020000E") == ["1", "2"]
    assert uids(bench, "studies/1.2.3.1/series/1.2.3.1.1/instances", "00080018") == ["2", "1"]
    assert uids(bench, "studies/1.2.3.1/instances", "00080018") == ["2", "1", "3"]
    assert answers(bench, "studies/1.2.3.9/series") == []
    assert answers(bench, "studies/1.2.3.2/series/1.2.3.1.1/instances") == []


def test_parents_are_told_of_unless_an_argument_names_them(bench: Bench) -> None:
    (below,) = answers(bench, "studies/1.2.3.2/series")
    assert "00100010" in below
    assert not {"00080061", "00201206", "00201208"} & below.keys()
    assert below["00201209"]["Value"] == [1]
    (named,) = answers(bench, "series?StudyInstanceUID=1.2.3.2")
    assert "00100010" not in named
    (instance,) = answers(bench, "instances?SeriesInstanceUID=1.2.3.2.3")
    assert "00100010" in instance
    assert "00080060" not in instance
    (again,) = answers(bench, "instances?SeriesInstanceUID=1.2.3.2.3&includefield=Modality")
    assert again["00080060"]["Value"] == ["US"]


def test_instances_are_told_with_the_attributes_of_their_images(bench: Bench) -> None:
    (instance,) = answers(
        bench, "instances?SOPInstanceUID=1.2.3.2.3.4&includefield=NumberOfSeriesRelatedInstances"
    )
    assert instance["00280010"] == {"Value": [2], "vr": "US"}
    assert instance["00080056"] == {"Value": ["ONLINE"], "vr": "CS"}
    assert instance["00080016"]["vr"] == "UI"
    assert "00201209" not in instance
    assert instance["00081190"]["Value"] == [
        "http://pacs:8042/dicom-web/studies/1.2.3.2/series/1.2.3.2.3/instances/1.2.3.2.3.4"
    ]


def test_fields_are_included_from_below_and_from_headers(bench: Bench) -> None:
    (study,) = answers(
        bench, "studies?PatientID=P2&includefield=Rows,Modality&includefield=Nope&includefield=00080016"
    )
    assert study["00280010"]["Value"] == [2]
    assert study["00080060"]["Value"] == ["US"]
    assert "00080016" in study
    (plain,) = answers(bench, "studies?PatientID=P2")
    (everything,) = answers(bench, "studies?PatientID=P2&includefield=all")
    assert plain.keys() <= everything.keys()


def test_the_limits_of_the_configuration_are_told(bench: Bench) -> None:
    options = DicomWebOptions(limit_results=2)
    response = ask(bench, "studies?limit=9", options)
    assert response.header(b"warning") is not None
    assert len(answers(bench, "studies", options)) == 2
    assert ask(bench, "studies?limit=1", options).header(b"warning") is None
    assert ask(bench, "studies?PatientID=P1", options).header(b"warning") is None


def test_without_access_to_headers_only_main_tags_are_told_and_matched(bench: Bench) -> None:
    options = DicomWebOptions(storage_access="Never")
    assert answers(bench, "studies?Rows=2", options) == []
    (instance,) = answers(bench, "instances?SOPInstanceUID=1.2.3.2.3.4", options)
    assert "00280010" not in instance


def test_xml_is_a_part_a_match(bench: Bench) -> None:
    response = ask(bench, "studies", accept="application/dicom+xml")
    assert isinstance(response.body, bytes)
    kind = (response.header(b"content-type") or b"").decode()
    assert kind.startswith('multipart/related; type="application/dicom+xml"; boundary=')
    parts = response.body.split(b"--" + kind.rpartition("=")[2].encode())[1:-1]
    documents = [ElementTree.fromstring(part.partition(b"\r\n\r\n")[2].strip()) for part in parts]
    assert len(documents) == 3
    assert documents[0][0].get("keyword") == "SpecificCharacterSet"


@pytest.mark.parametrize("accept", ["text/html", "image/png", "*/*", "application/json", ""])
def test_everything_else_is_json(bench: Bench, accept: str) -> None:
    response = ask(bench, "studies", accept=accept)
    assert response.header(b"content-type") == b"application/dicom+json"


@pytest.mark.parametrize(
    ("headers", "options", "expected"),
    [
        ({}, {}, "http://pacs:8042/dicom-web/"),
        ({"x_forwarded_host": "h1"}, {}, "http://pacs:8042/dicom-web/"),
        ({"x_forwarded_host": "h1", "x_forwarded_proto": "https"}, {}, "https://h1/dicom-web/"),
        ({"x_forwarded_host": "h1", "x_forwarded_proto": "ftp"}, {}, "http://h1/dicom-web/"),
        ({"forwarded": "for=1.2.3.4;Host=h2:8;PROTO=https, host=h3"}, {}, "https://h2:8/dicom-web/"),
        ({"forwarded": 'host="h4"'}, {}, "http://h4/dicom-web/"),
        ({}, {"is_secure": True, "public_root": "/public/dw/"}, "https://pacs:8042/public/dw/"),
        ({"x_forwarded_host": "h1", "x_forwarded_proto": "https"}, {"host": "h9"}, "http://h9/dicom-web/"),
    ],
)
def test_addresses_are_those_that_the_client_sees(
    bench: Bench, headers: dict[str, str], options: dict[str, Any], expected: str
) -> None:
    response = ask(bench, "studies?PatientID=P2", replace(DicomWebOptions(), **options), **headers)
    assert isinstance(response.body, bytes)
    (study,) = orjson.loads(response.body)
    assert study["00081190"]["Value"] == [expected + "studies/1.2.3.2"]
