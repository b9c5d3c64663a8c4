"""Any bytes for what searches read: questions, values, and headers kept in the index."""

import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from tests.fuzz.dicom_targets import SEEDS as DICOM_SEEDS
from tests.ingest.builders import Bench, make_file, open_bench

from hounsfield.dicom import json
from hounsfield.dicom.packed_header import pack_header, unpack_header
from hounsfield.dicom.part10 import read_head
from hounsfield.dicomweb import qido
from hounsfield.dicomweb.service import DicomWeb, DicomWebOptions
from hounsfield.http.dispatch import Dispatcher, dispatch
from hounsfield.http.messages import Request
from hounsfield.http.routing import Router
from hounsfield.index.header_packing import HeaderPacker
from hounsfield.index.headers import decompress_header
from hounsfield.index.matching import predicate
from hounsfield.index.query import parse_constraint

_VRS = ("PN", "LO", "TM", "DT", "DA", "CS", "UI", "IS", "US", "LT", "")
_TAGS = (0x00100010, 0x00100020, 0x00080030, 0x0008002A, 0x00080020, 0x00080008, 0)
_PATHS = ("studies", "series", "instances", "studies/1.2.3.1/series", "studies/1.2.3.1/instances")
_INFLATED = 1 << 20


def kept_header(data: bytes) -> None:
    """Bytes in the place of a kept header."""
    json.full(unpack_header(data).dataset)


def keep_header(data: bytes) -> None:
    """What is kept of a header is what it says, and can be had again."""
    head = read_head(data, maximum_inflated=_INFLATED)
    packed = pack_header(head)
    new = HeaderPacker().pack(head, "series")
    if packed is None or new is None or head.is_truncated:
        return
    assert decompress_header(new.data, new.reference.data) == packed
    kept = unpack_header(packed)
    wanted = [tag for tag in head.dataset if tag not in kept.omitted]
    assert json.full(kept.dataset, only=wanted) == json.full(head.dataset, only=wanted)


def match_value(data: bytes) -> None:
    """First two bytes: the VR and the attribute; then what is asked for, a NUL, and a value."""
    vr, tag = (_VRS[data[0] % len(_VRS)], _TAGS[data[1] % len(_TAGS)]) if len(data) > 1 else ("LO", 0)
    asked, _, value = data[2:].decode("utf-8", "replace").partition("\0")
    for flag in (False, True):
        found = parse_constraint(tag, asked, vr=vr, is_case_sensitive=flag, ignores_accents=not flag)
        if found is not None:
            assert predicate(found)(value) in (True, False)


def search_studies(data: bytes) -> None:
    """First byte: what is searched; then the arguments."""
    path = _PATHS[data[0] % len(_PATHS)] if data else _PATHS[0]
    arguments = data[1:].decode("latin-1").replace("\0", "")
    response = dispatch(_dispatcher(), Request("GET", f"/dicom-web/{path}", arguments, {"host": "h"}))
    assert response.status in (200, 400), response


@lru_cache(maxsize=1)
def _dispatcher() -> Dispatcher:
    bench = _bench()
    service = DicomWeb(bench.archive, DicomWebOptions(), bench.intake.options.settings)
    return Dispatcher(Router(qido.routes(service)))


@lru_cache(maxsize=1)
def _bench() -> Bench:
    bench = open_bench(Path(tempfile.mkdtemp(prefix="hounsfield-fuzz-")))
    for number in range(3):
        bench.receive(
            make_file(f"P{number}", str(number), "1", str(number), {0x00100010: f"Müller^{number}"})
        )
    return bench


_QUESTIONS = (
    "PatientName=m*&limit=2&offset=1&includefield=all",
    "StudyDate=20200101-20211231&StudyTime=10-1130&fuzzymatching=true&PatientName=Muller",
    "00400275.00400009=A,B&ModalitiesInStudy=CT,MR&includefield=Rows,00081140",
    "NumberOfStudyRelatedInstances=1&Modality=CT&accept=application/dicom%2Bxml",
)
TARGETS: dict[str, Callable[[bytes], None]] = {
    "search.kept_header": kept_header,
    "search.keep_header": keep_header,
    "search.value": match_value,
    "search.qido": search_studies,
}
SEEDS: dict[str, list[bytes]] = {
    "search.kept_header": [
        packed for data in DICOM_SEEDS["dicom.head"] if (packed := pack_header(read_head(data))) is not None
    ],
    "search.keep_header": DICOM_SEEDS["dicom.head"],
    "search.value": [
        b"\0\0Y*=\xe5\xb1\xb1*\0Yamada=\xe5\xb1\xb1\xe7\x94\xb0",
        b"\2\x021015-1130.5\x0010:15:59",
        b"\3\x0320200101120000-0500-2021\x0020200101170000+0100",
        b"\5\5AXIAL\\DERIVED\0ORIGINAL\\PRIMARY\\AXIAL",
    ],
    "search.qido": [bytes((number,)) + text.encode() for number, text in enumerate(_QUESTIONS)],
}
