"""What is asked of a large index: by REST, by QIDO-RS and by C-FIND, never the same question twice."""

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from index_rows import FAMILIES, GIVEN, MODALITIES, ROOT

from hounsfield.dicom.charset import CharacterSet
from hounsfield.dicom.keys import write_keys
from hounsfield.net.dimse import CommandField, CommandSet
from hounsfield.net.options import AssociationOptions
from hounsfield.net.scu import Proposal, RemoteNode, Requester, associate, open_association

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_FIND: CommandSet = {
    "CommandField": CommandField.C_FIND_RQ,
    "AffectedSOPClassUID": STUDY_ROOT_FIND,
    "Priority": 0,
}
_SYNTAX = "1.2.840.10008.1.2.1"
_TAGS = ["SliceThickness", "KVP", "PixelSpacing", "ImageType", "Rows"]
_TAG_NUMBERS = (0x00180050, 0x00180060, 0x00280030, 0x00080008, 0x00280010)
_LAST_UPDATE = [{"Type": "Metadata", "Key": "LastUpdate", "Direction": "DESC"}]
_STUDY_DATE = [{"Type": "DicomTag", "Key": "StudyDate", "Direction": "DESC"}]

Ask = Callable[[int], int]
"""Asks the question of a number; how many bytes or answers came."""


@dataclass(frozen=True, slots=True)
class Web:
    """A connection to a server's HTTP door."""

    connection: http.client.HTTPConnection

    def ask(self, method: str, path: str, body: Any = None) -> int:
        """The length of the answer."""
        self.connection.request(method, path, None if body is None else json.dumps(body))
        response = self.connection.getresponse()
        content = response.read()
        if response.status not in (200, 204):
            raise SystemExit(f"{path}: {response.status} {content[:200]!r}")
        return len(content)


def rest_questions(port: int, studies: int) -> Iterator[tuple[str, Ask]]:
    """By `/tools/find` and its like."""
    web = Web(http.client.HTTPConnection("127.0.0.1", port, timeout=300))
    yield from _find_questions(web, studies)
    yield from _count_questions(web)
    yield "/statistics", lambda n: web.ask("GET", f"/statistics?{n}")
    yield "/studies?expand, a page of 100", lambda n: web.ask("GET", f"/studies?expand&since={n}&limit=100")
    yield "/changes of one type", lambda n: web.ask("GET", f"/changes?type=NewPatient&since={n}&limit=100")


def _find_questions(web: Web, studies: int) -> Iterator[tuple[str, Ask]]:
    def find(query: Mapping[str, str], **more: Any) -> int:
        return web.ask("POST", "/tools/find", {"Level": "Study", "Query": query, **more})

    yield "exact PatientID, expanded", lambda n: find({"PatientID": patient_id(n, studies)}, Expand=True)
    yield "exact AccessionNumber", lambda n: find({"AccessionNumber": accession(n, studies)})
    yield (
        "name MARTIN^A*, 50 to 110 expanded",
        lambda n: find({"PatientName": name(n) + "*"}, Expand=True, Limit=50 + n % 60),
    )
    yield "name *ARTIN^A*, ids", lambda n: find({"PatientName": f"*{name(n)[1:]}*"})
    yield (
        "a month and a modality",
        lambda n: find({"StudyDate": month(n), "ModalitiesInStudy": modality(n)}),
    )
    yield (
        "100 expanded since 2005 to 2024, 5 tags not in columns",
        lambda n: find(
            {"StudyDate": f"{2005 + n % 20}0101-"}, Expand=True, Limit=100, Since=n, RequestedTags=_TAGS
        ),
    )
    yield (
        "the 50 updated last, expanded",
        lambda n: find({}, Expand=True, Limit=50, Since=n, OrderBy=_LAST_UPDATE),
    )
    yield (
        "the 50 of the latest dates, expanded",
        lambda n: find({}, Expand=True, Limit=50, Since=n, OrderBy=_STUDY_DATE),
    )
    yield (
        "a match on SliceThickness since a date",
        lambda n: find(
            {"StudyDate": f"{month(n)[:8]}-", "SliceThickness": f"{1 + n % 7}.5"}, Limit=20 + n % 60
        ),
    )
    yield (
        "instances of a series, expanded",
        lambda n: web.ask(
            "POST",
            "/tools/find",
            {
                "Level": "Instance",
                "Query": {"SeriesInstanceUID": f"{study_uid(n, studies)}.1"},
                "Expand": True,
            },
        ),
    )


def _count_questions(web: Web) -> Iterator[tuple[str, Ask]]:
    def count(level: str, query: Mapping[str, str]) -> int:
        return web.ask("POST", "/tools/count-resources", {"Level": level, "Query": query})

    yield (
        "count of a month and a sex",
        lambda n: count("Study", {"StudyDate": month(n), "PatientSex": "MFO"[n % 3]}),
    )
    yield (
        "count of all since a year",
        lambda n: count("Study", {"StudyDate": f"{2005 + n % 20}01{1 + n % 28:02d}-"}),
    )
    yield (
        "count of the series of a modality",
        lambda n: count("Series", {"Modality": MODALITIES[n % 5], "SeriesNumber": f"{1 + n % 2}\\{n + 10}"}),
    )


def qido_questions(port: int, studies: int) -> Iterator[tuple[str, Ask]]:
    """By QIDO-RS."""
    web = Web(http.client.HTTPConnection("127.0.0.1", port, timeout=300))

    def search(arguments: str, path: str = "/dicom-web/studies") -> int:
        return web.ask("GET", f"{path}?{arguments}")

    included = "".join(f"&includefield={each}" for each in _TAGS)
    yield "exact PatientID", lambda n: search(f"PatientID={patient_id(n, studies)}")
    yield "name MARTIN^A*, 50 to 110", lambda n: search(f"PatientName={quote(name(n))}*&limit={50 + n % 60}")
    yield (
        "a month and a modality",
        lambda n: search(f"StudyDate={month(n)}&ModalitiesInStudy={modality(n)}"),
    )
    yield (
        "100 since 2005 to 2024, 5 tags not in columns",
        lambda n: search(f"StudyDate={2005 + n % 20}0101-&limit=100&offset={n}{included}"),
    )
    yield "the 50 of the latest dates", lambda n: search(f"limit=50&offset={n}")
    yield (
        "instances of a series",
        lambda n: search(
            "", f"/dicom-web/studies/{study_uid(n, studies)}/series/{study_uid(n, studies)}.1/instances"
        ),
    )


def find_studies(requester: Requester, keys: Mapping[int, str], level: str = "STUDY") -> int:
    """A C-FIND on an association; how many answers came."""
    context = requester.find_context(STUDY_ROOT_FIND)
    if context is None:
        raise SystemExit("The server takes no queries")
    payload = write_keys(
        {0x00080052: level, 0x0020000D: "", **keys}, _SYNTAX, CharacterSet.parse("ISO_IR 192")
    )
    answers = list(requester.request(context.id, {**_FIND}, payload))
    if answers[-1].status != 0:
        raise SystemExit(f"C-FIND: {answers[-1].status:04X}")
    return len(answers) - 1


def cfind_questions(port: int, studies: int) -> Iterator[tuple[str, Ask]]:
    """By C-FIND: each a query on an association that is open; but for the last, which opens one."""
    node = RemoteNode("127.0.0.1", port, "ORTHANC")
    proposal = Proposal("BENCHMARK", [(STUDY_ROOT_FIND, [_SYNTAX])])
    requester = open_association(node, proposal, AssociationOptions())
    find = partial(find_studies, requester)

    def find_by_association(keys: Mapping[int, str]) -> int:
        with associate(node, proposal, AssociationOptions()) as own:
            return find_studies(own, keys)

    yield "exact PatientID", lambda n: find({0x00100020: patient_id(n, studies), 0x00100010: ""})
    yield "name MARTIN^A*", lambda n: find({0x00100010: name(n) + "*", 0x00080020: ""})
    yield (
        "a month and a modality",
        lambda n: find({0x00080020: month(n), 0x00080061: modality(n), 0x00100010: "", 0x00201208: ""}),
    )
    yield (
        "a day, 5 tags not in columns",
        lambda n: find({0x00080020: day(n), **dict.fromkeys(_TAG_NUMBERS, "")}),
    )
    yield (
        "instances of a series",
        lambda n: find(
            {0x0020000D: study_uid(n, studies), 0x0020000E: f"{study_uid(n, studies)}.1", 0x00080018: ""},
            "IMAGE",
        ),
    )
    yield (
        "exact PatientID, with its association",
        lambda n: find_by_association({0x00100020: patient_id(n, studies), 0x00100010: ""}),
    )
    requester.release()


def patient_id(n: int, studies: int) -> str:
    """One of the patients."""
    return f"PID{n * 97 % (studies // 2):07d}"


def accession(n: int, studies: int) -> str:
    """One of the accession numbers."""
    return f"ACC{n * 89 % studies:08d}"


def study_uid(n: int, studies: int) -> str:
    """One of the studies."""
    return f"{ROOT}.{n * 13 % studies}"


def name(n: int) -> str:
    """A family name and the start of a given name; three hundred of them."""
    return f"{FAMILIES[n % len(FAMILIES)]}^{GIVEN[n // len(FAMILIES) % 10][: 2 + n // 300 % 2]}"


def month(n: int) -> str:
    """A month as a range of dates, in which one of sixty studies was made; other ends for other rounds."""
    start = f"{2005 + n * 7 % 20}{1 + n * 7 % 12:02d}"
    return f"{start}01-{start}{31 - n // 60 % 30:02d}"


def day(n: int) -> str:
    """A day on which one of 420 studies was made."""
    return f"{2005 + n % 20}{1 + n % 12:02d}{1 + n % 28:02d}"


def modality(n: int) -> str:
    """One that the studies of `month` have."""
    return MODALITIES[(n * 7 + 1) % 5]


def timed(ask: Ask, number: int) -> tuple[float, int]:
    """Milliseconds, and how much came."""
    began = time.perf_counter()
    amount = ask(number)
    return (time.perf_counter() - began) * 1000, amount
