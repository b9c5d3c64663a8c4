"""What goes into an archive: the files below some resources, and the paths that people find them under."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hounsfield.archive import Archive
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.errors import NotFound
from hounsfield.index.attachments import Attachment
from hounsfield.index.database import Transaction
from hounsfield.index.resources import Resource, ancestor, children, find_row, load
from hounsfield.index.series_files import InstanceFile, series_files, series_size

_UNFIT = re.compile(r"[\x00-\x20\x7f:*?\"<>|/\\]+")
_PATIENT_NAME, _PATIENT_ID = "0010,0010", "0010,0020"
_ACCESSION_NUMBER, _STUDY_DESCRIPTION = "0008,0050", "0008,1030"
_SERIES_NUMBER, _MODALITY, _SERIES_DESCRIPTION = "0020,0011", "0008,0060", "0008,103e"


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive."""

    path: str
    public_id: PublicId
    transfer_syntax_uid: str
    attachment: Attachment


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """A series in an archive: its folder, and its instances if not all are wanted."""

    public_id: PublicId
    folder: str
    prefix: str
    only: frozenset[PublicId] | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes into an archive; `size` is that of all files in bytes."""

    series: tuple[SeriesPlan, ...]
    count: int
    size: int


@dataclass(slots=True)
class _Folder:
    """Names that are taken in a folder, and who took them."""

    taken: dict[str, str] = field(default_factory=dict)

    def take(self, name: str, owner: str) -> str:
        """The name, or with `-2`, `-3`... the first that is free or the owner's already."""
        number, candidate = 1, name
        # Many file systems do not tell small letters from capitals.
        while self.taken.setdefault(candidate.lower(), owner) != owner:
            number += 1
            candidate = f"{name}-{number}"
        return candidate


def plan(archive: Archive, resources: Iterable[tuple[Level, str]], *, is_utf8: bool = False) -> Plan:
    """The series of some resources, each once, and their folders as Orthanc names them.

    Raises
    ------
    NotFound
        If one of the resources does not exist.
    """
    with archive.database.read() as tx:
        chosen = _choose(tx, resources)
        folders = _Folders(is_utf8)
        found, count, size = [], 0, 0
        for public_id in _in_order(tx, chosen):
            (series,) = _load(tx, Level.SERIES, public_id)
            only = chosen[public_id]
            more, larger = _extent(tx, series.row, only)
            count, size = count + more, size + larger
            found.append(SeriesPlan(public_id, folders.of_series(tx, series), _prefix(series), _frozen(only)))
    return Plan(tuple(found), count, size)


def members(archive: Archive, planned: Plan) -> Iterator[Member]:
    """The files of a plan, one series after the other; what was deleted meanwhile is left out."""
    for series in planned.series:
        with archive.database.read() as tx:
            row = find_row(tx, Level.SERIES, series.public_id)
            files = series_files(tx, row) if row is not None else []
        yield from _named(series, files)


def _named(series: SeriesPlan, files: Sequence[InstanceFile]) -> Iterator[Member]:
    """Name files by their index in the series, or by counting if two have the same or one has none."""
    indexes = [each.index_in_series for each in files]
    is_numbered = None not in indexes and len(set(indexes)) == len(indexes)
    digits = 8 - len(series.prefix)
    for number, each in enumerate(files):
        if series.only is None or each.public_id in series.only:
            shown = each.index_in_series if is_numbered else number
            path = f"{series.folder}/{series.prefix}{shown:0{digits}d}.dcm"
            yield Member(path, each.public_id, each.transfer_syntax_uid, each.attachment)


def _choose(tx: Transaction, resources: Iterable[tuple[Level, str]]) -> dict[PublicId, set[PublicId] | None]:
    """The series of resources; with some of its instances if only these are wanted."""
    chosen: dict[PublicId, set[PublicId] | None] = {}
    for level, public_id in resources:
        if level < Level.INSTANCE:
            chosen.update(dict.fromkeys(children(tx, level, public_id, Level.SERIES)))
            continue
        series = ancestor(tx, level, public_id, Level.SERIES)
        some = chosen.setdefault(series, set())
        if some is not None:
            some.add(PublicId(public_id))
    return chosen


def _in_order(tx: Transaction, series: Iterable[PublicId]) -> list[PublicId]:
    """By patient, then study, then series."""
    return sorted(
        series,
        key=lambda each: (
            ancestor(tx, Level.SERIES, each, Level.PATIENT),
            ancestor(tx, Level.SERIES, each, Level.STUDY),
            each,
        ),
    )


def _extent(tx: Transaction, row: int, only: set[PublicId] | None) -> tuple[int, int]:
    if only is None:
        return series_size(tx, row)
    sizes = [each.attachment.size for each in series_files(tx, row) if each.public_id in only]
    return len(sizes), sum(sizes)


class _Folders:
    """Paths of series that collide with no other's."""

    def __init__(self, is_utf8: bool) -> None:
        self._is_utf8 = is_utf8
        self._patients = _Folder()
        self._inside: dict[str, _Folder] = {}
        self._studies: dict[PublicId, str] = {}

    def of_series(self, tx: Transaction, series: Resource) -> str:
        """The path of a series."""
        study = self._of_study(tx, series.parent or PublicId(""))
        parts = [series.main_tags.get(tag, "") for tag in (_SERIES_NUMBER, _MODALITY, _SERIES_DESCRIPTION)]
        name = _name(parts, "Unknown Series", self._is_utf8)
        return f"{study}/{self._take(study, name, series.public_id)}"

    def _of_study(self, tx: Transaction, public_id: PublicId) -> str:
        known = self._studies.get(public_id)
        if known is not None:
            return known
        (study,) = _load(tx, Level.STUDY, public_id)
        # The study's own words for the patient: another patient may have the same Patient ID.
        parts = [study.patient_main_tags.get(tag, "") for tag in (_PATIENT_ID, _PATIENT_NAME)]
        patient = self._patients.take(_name(parts, "Unknown Patient", self._is_utf8), study.parent or "")
        parts = [study.main_tags.get(tag, "") for tag in (_ACCESSION_NUMBER, _STUDY_DESCRIPTION)]
        name = _name(parts, "Unknown Study", self._is_utf8)
        path = f"{patient}/{self._take(patient, name, public_id)}"
        self._studies[public_id] = path
        return path

    def _take(self, folder: str, name: str, owner: str) -> str:
        return self._inside.setdefault(folder, _Folder()).take(name, owner)


def _load(tx: Transaction, level: Level, public_id: str) -> list[Resource]:
    found = load(tx, level, [public_id], set())
    if not found:
        raise NotFound(f"No such {level.word.lower()}")
    return found


def _prefix(series: Resource) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", series.main_tags.get(_MODALITY, ""))[:2].upper()


def _frozen(only: set[PublicId] | None) -> frozenset[PublicId] | None:
    return None if only is None else frozenset(only)


def _name(parts: Sequence[str], otherwise: str, is_utf8: bool) -> str:
    """A folder's name from the parts that are there, without what file systems dislike."""
    texts = parts if is_utf8 else [part.encode("ascii", "ignore").decode() for part in parts]
    cleaned = (_UNFIT.sub(" ", part).strip(" .") for part in texts)
    name = " - ".join(part for part in cleaned if part)
    return name if name.strip("^ ") else otherwise
