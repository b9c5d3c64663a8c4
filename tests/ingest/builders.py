"""Small DICOM files with chosen identifiers, and everything that takes them in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from struct import pack

from hounsfield.archive import Archive
from hounsfield.dicom import tags, uids
from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import MainTags
from hounsfield.dicom.part10 import wrap_header
from hounsfield.dicom.scan import LONG_VRS
from hounsfield.events import Event, EventBus
from hounsfield.index.database import Database
from hounsfield.index.insertion import find_main_tags_version
from hounsfield.index.sqlite import SqliteDatabase
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.intake import Filter, Incoming, IngestOptions, Intake, Receipt
from hounsfield.ingest.receive import receive
from hounsfield.ingest.settling import Settling
from hounsfield.store.area import StorageArea
from hounsfield.store.filesystem import FilesystemArea
from hounsfield.store.memory import MemoryArea

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
REST = Origin(OriginKind.REST_API, remote_ip="127.0.0.1", http_username="alice")
DICOM = Origin(OriginKind.DICOM_PROTOCOL, remote_aet="SCANNER", called_aet="ARCHIVE", remote_ip="127.0.0.2")
START_NS = 1_767_225_600_000_000_000
"""2026-01-01, 00:00:00 UTC."""

_VRS = {
    0x00080005: "CS",
    0x00080016: "UI",
    0x00080018: "UI",
    0x00080020: "DA",
    0x00080050: "SH",
    0x00080060: "CS",
    0x00081030: "LO",
    0x0008103E: "LO",
    0x00100010: "PN",
    0x00100020: "LO",
    0x00100030: "DA",
    0x00100040: "CS",
    0x00181090: "IS",
    0x0020000D: "UI",
    0x0020000E: "UI",
    0x00200011: "IS",
    0x00200013: "IS",
    0x00200105: "IS",
    0x00201002: "IS",
    0x00204000: "LT",
    0x00280010: "US",
    0x00280011: "US",
    0x00540081: "US",
    0x00540101: "US",
    0x00541330: "US",
    0x7FE00010: "OW",
}

Values = dict[int, str | bytes | int | None]


def make_dataset(values: Values, *, explicit: bool = True) -> bytes:
    """A data set in little endian; None leaves an attribute out."""
    return b"".join(
        _element(tag, value, explicit=explicit) for tag, value in sorted(values.items()) if value is not None
    )


def _element(tag: int, value: str | bytes | int, *, explicit: bool) -> bytes:
    vr = _VRS[tag].encode()
    if isinstance(value, int):
        raw = pack("<H", value)
    else:
        raw = value.encode() if isinstance(value, str) else value
    if len(raw) % 2:
        raw += b"\0" if vr in (b"UI", b"OW", b"OB") else b" "
    group, element = tag >> 16, tag & 0xFFFF
    if not explicit:
        return pack("<HHI", group, element, len(raw)) + raw
    if vr in LONG_VRS:
        return pack("<HH2sHI", group, element, vr, 0, len(raw)) + raw
    return pack("<HH2sH", group, element, vr, len(raw)) + raw


def instance_values(
    patient: str | None = "P1",
    study: str = "1",
    series: str = "1",
    sop: str = "1",
    extra: Values | None = None,
) -> Values:
    """The attributes of an instance: `study`, `series` and `sop` are the ends of its UIDs."""
    return {
        tags.SPECIFIC_CHARACTER_SET: "ISO_IR 192",
        tags.SOP_CLASS_UID: CT_IMAGE,
        tags.SOP_INSTANCE_UID: f"1.2.3.{study}.{series}.{sop}",
        tags.STUDY_INSTANCE_UID: f"1.2.3.{study}",
        tags.SERIES_INSTANCE_UID: f"1.2.3.{study}.{series}",
        tags.PATIENT_ID: patient,
        0x00080060: "CT",
        **(extra or {}),
    }


def make_file(
    patient: str | None = "P1",
    study: str = "1",
    series: str = "1",
    sop: str = "1",
    extra: Values | None = None,
    *,
    transfer_syntax_uid: str = uids.EXPLICIT_VR_LITTLE_ENDIAN,
) -> bytes:
    """A Part 10 file."""
    values = instance_values(patient, study, series, sop, extra)
    header = wrap_header(CT_IMAGE, f"1.2.3.{study}.{series}.{sop}", transfer_syntax_uid)
    return header + make_dataset(values, explicit=transfer_syntax_uid != uids.IMPLICIT_VR_LITTLE_ENDIAN)


def make_image(size: int, sop: str = "1", fill: bytes = b"\x07") -> bytes:
    """A file with `size` bytes of pixel data."""
    return make_file(sop=sop, extra={0x7FE00010: fill * size})


def identifiers(patient: str = "P1", study: str = "1", series: str = "1", sop: str = "1") -> Identifiers:
    """Those of `make_file` with the same arguments."""
    return Identifiers(patient, f"1.2.3.{study}", f"1.2.3.{study}.{series}", f"1.2.3.{study}.{series}.{sop}")


@dataclass(slots=True)
class Clock:
    """A clock that moves when told to, and by a microsecond each time it is read."""

    now_ns: int = START_NS

    def __call__(self) -> int:
        self.now_ns += 1000
        return self.now_ns

    def advance(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)


@dataclass(slots=True)
class Bench:
    """An archive with an intake; `area` and `database` are closed by `close`."""

    intake: Intake
    clock: Clock
    events: list[Event] = field(default_factory=list)

    @property
    def archive(self) -> Archive:
        return self.intake.archive

    @property
    def database(self) -> Database:
        return self.intake.archive.database

    @property
    def area(self) -> StorageArea:
        return self.intake.archive.storage

    def receive(self, data: bytes, origin: Origin = REST) -> Receipt:
        return receive(self.intake, Incoming(origin, data))

    def settle(self) -> None:
        self.intake.settling.settle()

    def with_options(self, options: IngestOptions) -> "Bench":
        """The same archive with other options."""
        return Bench(replace(self.intake, options=options), self.clock, self.events)

    def close(self) -> None:
        """As at the end of the server."""
        self.settle()
        if isinstance(self.area, FilesystemArea):
            self.area.close()
        self.database.close()

    def crash(self) -> None:
        """The end of a process that is killed: nothing is settled, no folder forgotten."""
        if isinstance(self.area, FilesystemArea):
            self.area._pool.close()
        self.database.close()


def open_bench(
    folder: Path,
    options: IngestOptions | None = None,
    *,
    area: StorageArea | None = None,
    filters: Sequence[Filter] = (),
    clock: Clock | None = None,
    database: Database | None = None,
) -> Bench:
    """An archive whose index and files are in `folder`, unless they are given."""
    options = options or IngestOptions()
    storage = FilesystemArea(folder, sync=False) if area is None else area
    archive = Archive(database or SqliteDatabase(folder / "hounsfield.db"), storage, EventBus())
    clock = clock or Clock()
    version = main_tags_version(archive.database, options.main_tags)
    settling = Settling(archive)
    intake = Intake(archive, options, version, settling, filters, clock_ns=clock)
    bench = Bench(intake, clock)
    archive.events.subscribe(bench.events.append)
    return bench


def main_tags_version(database: Database, chosen: MainTags) -> int:
    """The number of a set of main tags."""
    patient, study, series, instance = (chosen.signature(level) for level in Level)
    return database.write(lambda tx: find_main_tags_version(tx, (patient, study, series, instance)))


MakeArea = Callable[[Path], StorageArea]
AREAS: dict[str, MakeArea] = {
    "memory": lambda folder: MemoryArea(),
    "filesystem": lambda folder: FilesystemArea(folder, sync=False, batch=8),
}
