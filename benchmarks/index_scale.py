"""Searching an index of a million instances: `python benchmarks/index_scale.py [--studies 20000]`.

Makes an index without files: two series a study, 25 instances a series, each with a header of 2 KB. Then starts a
server on it and asks by HTTP, one client, never the same question twice: medians and percentiles are printed. The rate
of insertion is measured in the empty and in the full index, an instance a transaction, as instances come in.

`--postgres '{"Host": "127.0.0.1", ...}'` gives the section PostgreSQL of the configuration: the index is then there.
"""

import argparse
import http.client
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from struct import pack
from typing import Any

import servers
from hounsfield.config.configuration import load
from hounsfield.config.sources import Origin as ConfigurationOrigin
from hounsfield.dicom.charset import CharacterSet
from hounsfield.dicom.encode import encode
from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import DEFAULT_MAIN_TAGS
from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.scan import EXPLICIT_LITTLE
from hounsfield.index.database import Database, Transaction
from hounsfield.index.header_packing import HeaderPacker
from hounsfield.index.insertion import NewAttachment, NewInstance, add_instance, find_main_tags_version
from hounsfield.ingest.instance import Origin, OriginKind, Reception, describe
from hounsfield.opening import opened

_ROOT = "1.2.826.0.1.3680043.10.1200.77"
_FAMILIES = [
    start + end
    for start in ("MARTIN", "DUBOIS", "JANS", "PEETERS", "MÜLLER", "CLAES")
    for end in ("", "SEN", "ON", "IER", "S")
]
_GIVEN = ["ANNE", "MARC", "SOPHIE", "LUC", "ELISE", "PAUL", "JULIE", "THOMAS", "NORA", "HUGO"]
_MODALITIES = ["CT", "MR", "US", "CR", "PT"]
_IN_A_SERIES, _SERIES = 25, 2
_BATCH = 1000
_RATE_COUNT = 4000
_ROUNDS = 60


def values(study: int, series: int, number: int) -> dict[int, str]:
    """The attributes of an instance; most are the same in a series."""
    source = random.Random(study)
    name = f"{source.choice(_FAMILIES)}^{source.choice(_GIVEN)}"
    date = f"{2005 + study % 20}{1 + study % 12:02d}{1 + study % 28:02d}"
    study_uid = f"{_ROOT}.{study}"
    return {
        0x00080005: "ISO_IR 192",
        0x00080008: "ORIGINAL\\PRIMARY\\AXIAL",
        0x00080016: "1.2.840.10008.5.1.4.1.1.2",
        0x00080018: f"{study_uid}.{series}.1{number:02d}",
        0x00080020: date,
        0x00080030: f"{study % 24:02d}1500",
        0x00080050: f"ACC{study:08d}",
        0x00080060: _MODALITIES[(study + series) % 5],
        0x00080070: "Maker of scanners",
        0x00080080: "General Hospital",
        0x00080090: "REFERRING^DOCTOR",
        0x00081030: f"Examination of kind {study % 40}",
        0x0008103E: f"Series {series}",
        0x00100010: name,
        0x00100020: f"PID{study // 2:07d}",
        0x00100030: f"{1930 + study % 80}0101",
        0x00100040: "MFO"[study % 3],
        0x00180050: f"{1 + study % 7}.5",
        0x00180060: "120",
        0x00181030: "Protocol with a long name",
        0x0020000D: study_uid,
        0x0020000E: f"{study_uid}.{series}",
        0x00200011: str(series),
        0x00200013: f"{number:02d}",
        0x00200032: f"-190.5\\-180.25\\1{number:02d}.5",
        0x00200037: "1\\0\\0\\0\\1\\0",
        0x00280010: "512",
        0x00280011: "512",
        0x00280030: "0.75\\0.75",
        0x00281050: "40",
        0x00281051: "400",
    }


def data_set(content: dict[int, str]) -> bytes:
    """A header, padded to the size of a scanner's by a long comment."""
    comment = "A comment that scanners fill with what they know. " * 25
    return encode({**content, 0x00104000: comment}, EXPLICIT_LITTLE, CharacterSet.parse("ISO_IR 192"))


def renumbered(data: bytes, study: int, series: int, number: int) -> bytes:
    """The header of instance 0 made that of another of its series."""
    old, new = values(study, series, 0), values(study, series, number)
    for tag in (0x00080018, 0x00200013, 0x00200032):
        head = pack("<HH", tag >> 16, tag & 0xFFFF)
        at = data.index(head) + 8
        data = data[:at] + new[tag].encode() + data[at + len(old[tag]) :]
    return data


def rows_of_series(packer: HeaderPacker, version: int, study: int, series: int) -> Iterator[NewInstance]:
    """The rows of all instances of a series."""
    content = values(study, series, 0)
    first = data_set(content)
    for number in range(1, _IN_A_SERIES + 1):
        data = renumbered(first, study, series, number)
        head = read_head(data, transfer_syntax_uid="1.2.840.10008.1.2.1")
        ids = Identifiers(
            content[0x00100020], content[0x0020000D], content[0x0020000E], head.dataset.get("SOPInstanceUID")
        )
        public_ids = ids.public_ids()
        yield describe(
            head,
            ids,
            Reception(
                Origin(OriginKind.DICOM_PROTOCOL, "SCANNER", "HOUNSFIELD", "127.0.0.1"), "20260101T000000", 1
            ),
            main_tags=DEFAULT_MAIN_TAGS,
            main_tags_version=version,
            offset=400,
            with_parents=number == 1,
            public_ids=public_ids,
            header=packer.pack(head, public_ids[Level.SERIES]),
        )


def rows(version: int, studies: Sequence[int]) -> Iterator[NewInstance]:
    """The rows of all instances of some studies."""
    packer = HeaderPacker()
    for study in studies:
        for series in range(1, _SERIES + 1):
            yield from rows_of_series(packer, version, study, series)


def file_of(new: NewInstance) -> NewAttachment:
    """A file that is not there."""
    return NewAttachment(1, new.public_ids[3][:36], 530_000, 530_000)


def fill(database: Database, version: int, studies: int) -> None:
    """Add everything, many instances a transaction."""
    batch: list[NewInstance] = []

    def flush() -> None:
        def work(tx: Transaction) -> None:
            for new in batch:
                add_instance(tx, new, file_of(new))

        database.write(work, durable=False)
        batch.clear()

    for new in rows(version, range(studies)):
        batch.append(new)
        if len(batch) >= _BATCH:
            flush()
    flush()


def rate(database: Database, version: int, first_study: int) -> float:
    """Instances a second, an instance a transaction, everything but the index being ready."""
    made = list(rows(version, range(first_study, first_study + _RATE_COUNT // _IN_A_SERIES // _SERIES)))
    begin = time.perf_counter()
    for new in made:
        database.write(lambda tx, new=new: add_instance(tx, new, file_of(new)), durable=False)  # type: ignore[misc]
    return len(made) / (time.perf_counter() - begin)


def questions(studies: int) -> dict[str, Callable[[int], tuple[str, str, Any]]]:
    """What is asked, by name: from a number to method, path and body, different for each number."""

    def find(query: dict[str, str], **more: Any) -> tuple[str, str, Any]:
        return "POST", "/tools/find", {"Level": "Study", "Query": query, **more}

    def date(number: int) -> str:
        return f"{2005 + number % 20}{1 + number % 12:02d}01-{2005 + number % 20}{1 + number % 12:02d}28"

    tags = ["SliceThickness", "KVP", "PixelSpacing", "ImageType", "Rows"]
    return {
        "exact PatientID, expanded": lambda n: find(
            {"PatientID": f"PID{n * 97 % (studies // 2):07d}"}, Expand=True
        ),
        "exact AccessionNumber": lambda n: find({"AccessionNumber": f"ACC{n * 89 % studies:08d}"}),
        "name A*, 50 expanded": lambda n: find(
            {"PatientName": f"{_FAMILIES[n % len(_FAMILIES)]}^{_GIVEN[n % 10][:2]}*"},
            Expand=True,
            Limit=50 + n,
        ),
        "name *A*, ids": lambda n: find({"PatientName": f"*{_FAMILIES[n % 30][1:]}^{_GIVEN[n % 10][:2]}*"}),
        "month and modality": lambda n: find({"StudyDate": date(n), "ModalitiesInStudy": _MODALITIES[n % 5]}),
        "100 expanded, 5 other tags": lambda n: find(
            {"StudyDate": f"{2005 + n % 20}0101-"}, Expand=True, Limit=100, Since=n, RequestedTags=tags
        ),
        "day, match on SliceThickness": lambda n: find(
            {"StudyDate": f"{2005 + n % 20}{1 + n % 12:02d}-", "SliceThickness": f"{1 + n % 7}.5"},
            Limit=20 + n,
        ),
        "count of a month": lambda n: (
            "POST",
            "/tools/count-resources",
            {"Level": "Study", "Query": {"StudyDate": date(n), "PatientSex": "MFO"[n % 3]}},
        ),
        "count of series by study": lambda n: (
            "POST",
            "/tools/count-resources",
            {"Level": "Series", "Query": {"StudyInstanceUID": f"{_ROOT}.{n * 31 % studies}"}},
        ),
        "statistics": lambda n: ("GET", f"/statistics?{n}", None),
        "instances of a series": lambda n: (
            "POST",
            "/tools/find",
            {
                "Level": "Instance",
                "Query": {"SeriesInstanceUID": f"{_ROOT}.{n * 13 % studies}.1"},
                "Expand": True,
            },
        ),
    }


def ask(port: int, studies: int) -> None:
    """Ask everything, and print how long the answers took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    print(f"{'question':32s}{'p50 ms':>10s}{'p95 ms':>10s}{'p99 ms':>10s}{'bytes':>10s}")
    for name, question in questions(studies).items():
        taken: list[float] = []
        size = 0
        for number in range(_ROUNDS):
            method, path, body = question(number)
            begin = time.perf_counter()
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            size = len(response.read())
            taken.append((time.perf_counter() - begin) * 1000)
            if response.status != 200:
                raise SystemExit(f"{name}: {response.status}")
        cuts = statistics.quantiles(taken, n=100)
        print(f"{name:32s}{cuts[49]:10.2f}{cuts[94]:10.2f}{cuts[98]:10.2f}{size:10d}", flush=True)


def main() -> None:
    """Fill, measure, ask."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument(
        "--postgres", type=json.loads, help="the section PostgreSQL of the configuration, as JSON"
    )
    parser.add_argument("--folder", type=Path, help="where to put the index, which is then kept")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = arguments.folder or Path(tempfile.mkdtemp(prefix="hounsfield-scale-"))
        if arguments.folder is None:
            stack.callback(shutil.rmtree, folder)
        folder.mkdir(exist_ok=True)
        measure(folder, arguments.studies, arguments.postgres)


def measure(folder: Path, studies: int, postgres: dict[str, Any] | None) -> None:
    """Everything, in a folder."""
    options = {} if postgres is None else {"PostgreSQL": {"EnableIndex": True, **postgres}}
    storage = folder / "storage"
    path = folder / "filling.json"
    path.write_text(json.dumps({**options, "StorageDirectory": str(storage), "IndexDirectory": str(storage)}))
    configuration = load(ConfigurationOrigin((path,), {}, folder, folder / "none"))
    with opened(configuration) as archive:
        database = archive.archive.database
        signatures = tuple(DEFAULT_MAIN_TAGS.signature(level) for level in Level)
        version = database.write(lambda tx: find_main_tags_version(tx, signatures))  # type: ignore[arg-type]
        empty = rate(database, version, 2 * studies)
        begin = time.perf_counter()
        fill(database, version, studies)
        seconds = time.perf_counter() - begin
        count = studies * _SERIES * _IN_A_SERIES
        print(f"{count} instances in {seconds:.0f} s ({count / seconds:.0f}/s, with making them)")
        database.sync()
        full = [rate(database, version, 3 * studies + 1000 * each) for each in range(3)]
        print(f"ingest: {empty:.0f}/s in the empty index, {statistics.median(full):.0f}/s in the full one")
    sizes = [file.stat().st_size for file in storage.glob("hounsfield.db*")]
    if postgres is None:
        print(f"index: {sum(sizes) / 2**20:.0f} MiB, {sum(sizes) / count:.0f} bytes an instance")
    environ = servers.environment(nagle=False)
    with servers.running(servers.HOUNSFIELD, folder, environ, options) as running:
        ask(running.http_port, studies)
        print(f"resident memory: {running.resident_mb():.0f} MiB")


if __name__ == "__main__":
    main()
