"""Resources as a ZIP archive, made while it is sent: memory holds one piece of one file at a time."""

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import RawIOBase

from hounsfield.archive import Archive
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.errors import NotFound
from hounsfield.index.database import Transaction
from hounsfield.index.resources import Part, Resource, children, load
from hounsfield.retrieve.files import find_dicom, stream_attachment

_COMMENT = b"Created by Hounsfield"
_UNFIT = re.compile(r"[\x00-\x20:*?\"<>|/\\]+")
_PATIENT_NAME, _PATIENT_ID = "0010,0010", "0010,0020"
_ACCESSION_NUMBER, _STUDY_DESCRIPTION = "0008,0050", "0008,1030"
_SERIES_NUMBER, _MODALITY, _SERIES_DESCRIPTION = "0020,0011", "0008,0060", "0008,103e"


@dataclass(slots=True)
class _Folder:
    """Names that are taken in a folder."""

    taken: set[str] = field(default_factory=set)

    def take(self, name: str) -> str:
        """The name, or with `-2`, `-3`... the first that is free."""
        number, candidate = 1, name
        while candidate in self.taken:
            number += 1
            candidate = f"{name}-{number}"
        self.taken.add(candidate)
        return candidate


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive."""

    path: str
    instance: PublicId


def plan(archive: Archive, level: Level, public_id: str) -> list[Member]:
    """The files of a resource and their paths, as Orthanc names them.

    Raises
    ------
    NotFound
        If there is no such resource.
    """
    with archive.database.read() as tx:
        folders = _Folder()
        if level == Level.SERIES:
            return _plan_series(tx, public_id, folders)
        studies = children(tx, level, public_id, Level.STUDY)
        return [member for study in studies for member in _plan_study(tx, study, folders)]


def stream(archive: Archive, members: Sequence[Member]) -> Iterator[bytes]:
    """The bytes of the archive; an instance that was deleted meanwhile is left out."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as opened:
        opened.comment = _COMMENT
        for member in members:
            try:
                attachment = find_dicom(archive, member.instance)
            except NotFound:
                continue
            entry = zipfile.ZipInfo(member.path)
            entry.file_size = attachment.size
            with opened.open(entry, "w", force_zip64=attachment.size >= 1 << 31) as target:
                for piece in stream_attachment(archive, attachment):
                    target.write(piece)
                    yield sink.drain()
            yield sink.drain()
    yield sink.drain()


class _Sink(RawIOBase):
    """A file that cannot be rewound; what was written is taken out again."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        return len(data)

    def drain(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


def _plan_study(tx: Transaction, public_id: str, folders: _Folder) -> list[Member]:
    (study,) = _load(tx, Level.STUDY, public_id)
    patient_tags, tags = study.patient_main_tags, study.main_tags
    patient = _name([patient_tags.get(tag, "") for tag in (_PATIENT_ID, _PATIENT_NAME)], "Unknown Patient")
    name = _name([tags.get(tag, "") for tag in (_ACCESSION_NUMBER, _STUDY_DESCRIPTION)], "Unknown Study")
    path = folders.take(f"{patient}/{name}")
    inside = _Folder()
    return [
        Member(f"{path}/{member.path}", member.instance)
        for series in children(tx, Level.STUDY, public_id, Level.SERIES)
        for member in _plan_series(tx, series, inside)
    ]


def _plan_series(tx: Transaction, public_id: str, folders: _Folder) -> list[Member]:
    (series,) = _load(tx, Level.SERIES, public_id)
    tags = series.main_tags
    parts = [tags.get(tag, "") for tag in (_SERIES_NUMBER, _MODALITY, _SERIES_DESCRIPTION)]
    name = folders.take(_name(parts, "Unknown Series"))
    prefix = re.sub(r"[^A-Za-z0-9]", "", tags.get(_MODALITY, ""))[:2].upper()
    instances = load(
        tx, Level.INSTANCE, children(tx, Level.SERIES, public_id, Level.INSTANCE), {Part.CHILDREN}
    )
    indexes = [instance.index_in_series for instance in instances]
    is_numbered = None not in indexes and len(set(indexes)) == len(indexes)
    return [
        Member(
            f"{name}/{prefix}{instance.index_in_series if is_numbered else number:0{8 - len(prefix)}d}.dcm",
            instance.public_id,
        )
        for number, instance in enumerate(instances)
    ]


def _load(tx: Transaction, level: Level, public_id: str) -> list[Resource]:
    found = load(tx, level, [public_id], {Part.CHILDREN})
    if not found:
        raise NotFound(f"No such {level.word.lower()}")
    return found


def _name(parts: Sequence[str], otherwise: str) -> str:
    """A folder's name from the parts that are there: ASCII, without what file systems dislike."""
    cleaned = (_UNFIT.sub(" ", part.encode("ascii", "ignore").decode()).strip(" .") for part in parts)
    name = " - ".join(part for part in cleaned if part)
    return name if name.strip("^ ") else otherwise
