"""The job `ResourceModification`: modification and anonymization of patients, studies, series and instances."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hounsfield.deid.apply import Plan, apply
from hounsfield.deid.request import IDENTIFIER_LEVELS, Request, read_anonymization, read_modification
from hounsfield.deid.uid_map import UidMap
from hounsfield.dicom.identifiers import PublicId, identify
from hounsfield.dicom.levels import Level
from hounsfield.dicom.mutable import MutableDataset
from hounsfield.dicom.part10 import Head
from hounsfield.dicom.scan import Buffer
from hounsfield.dicom.tags import PATIENT_ID, SOP_INSTANCE_UID
from hounsfield.imaging.transcode import transcode
from hounsfield.index.database import Transaction
from hounsfield.index.labels import add_label, labels_of, remove_label
from hounsfield.index.metadata import MetadataType
from hounsfield.index.reconstruction import rebuild
from hounsfield.index.replacing import OriginalsChanged, Replacement
from hounsfield.index.resources import ancestor, children, find_row
from hounsfield.ingest.instance import Origin, OriginKind, Reception, describe
from hounsfield.jobs.kinds import JobKind, JobRun
from hounsfield.jobs.replacing import discard_staged, replace_originals, were_replaced
from hounsfield.jobs.rewriting import (
    Made,
    Tally,
    Workshop,
    delete_originals,
    rewrite,
    rewrite_all,
    write_origins,
)
from hounsfield.retrieve.datasets import read_instance

KIND = "ResourceModification"
_ATTEMPTS = 20
_UPPER_LEVELS = (Level.PATIENT, Level.STUDY, Level.SERIES)


@dataclass(frozen=True, slots=True)
class Task:
    """The parameters of a job, as JSON.

    `resources` are those asked for, with their levels; `instances` all below them. `labels` are those to be copied, by
    level and public id. `level` is that from which on identifiers are new. A job with a `single_level` answers with one
    resource of this level, those of the bulk routes with all results.
    """

    body: Mapping[str, Any]
    level: Level
    is_anonymization: bool
    single_level: Level | None
    resources: Sequence[tuple[Level, str]]
    instances: Sequence[str]
    labels: Mapping[str, Mapping[str, Sequence[str]]]
    key: str
    patient_name: str
    method: str
    private_creator: str
    remote_ip: str
    http_username: str

    def to_json(self) -> dict[str, object]:
        """The parameters."""
        return {
            "Body": dict(self.body),
            "Level": int(self.level),
            "IsAnonymization": self.is_anonymization,
            "SingleLevel": None if self.single_level is None else int(self.single_level),
            "Resources": [[int(level), public_id] for level, public_id in self.resources],
            "Instances": list(self.instances),
            "Labels": {level: dict(found) for level, found in self.labels.items()},
            "Key": self.key,
            "PatientName": self.patient_name,
            "Method": self.method,
            "PrivateCreator": self.private_creator,
            "RemoteIP": self.remote_ip,
            "HttpUsername": self.http_username,
        }

    @staticmethod
    def from_json(parameters: Mapping[str, Any]) -> "Task":
        """What `to_json` wrote."""
        return Task(
            parameters["Body"],
            Level(parameters["Level"]),
            parameters["IsAnonymization"],
            None if parameters["SingleLevel"] is None else Level(parameters["SingleLevel"]),
            [(Level(level), public_id) for level, public_id in parameters["Resources"]],
            parameters["Instances"],
            parameters["Labels"],
            parameters["Key"],
            parameters["PatientName"],
            parameters["Method"],
            parameters["PrivateCreator"],
            parameters["RemoteIP"],
            parameters["HttpUsername"],
        )

    @property
    def origin(self) -> Origin:
        """Who gets the credit for the new instances: the client that asked for them."""
        return Origin(OriginKind.REST_API, remote_ip=self.remote_ip, http_username=self.http_username)

    def plan(self) -> Plan:
        """What is to be done with each instance."""
        return Plan(self.request(), UidMap(bytes.fromhex(self.key)), self.patient_name, self.method)

    def request(self) -> Request:
        """The body, read."""
        if self.is_anonymization:
            return read_anonymization(self.body, self.private_creator)
        return read_modification(self.body, self.level, self.private_creator)


def modification_kind(workshop: Workshop) -> JobKind:
    """The kind of job for an archive."""
    return JobKind(KIND, partial(run_modification, workshop), content)


def is_in_place(request: Request) -> bool:
    """Whether instances are replaced by what is made of them: all their identifiers stay."""
    if request.is_anonymization and PATIENT_ID not in request.kept:
        return False
    ours = {tag for tag, level in IDENTIFIER_LEVELS.items() if level >= max(request.level, Level.STUDY)}
    return ours <= request.kept and not IDENTIFIER_LEVELS.keys() & request.replaced.keys()


def run_modification(workshop: Workshop, run: JobRun) -> Iterator[None]:
    """Run a job: make all new instances, then complete their parents, then delete the originals if asked.

    New instances with the identifiers of their originals take their place when all are there.

    Raises
    ------
    ArchiveError
        What the first instance failed with; originals are untouched.
    """
    task = Task.from_json(run.parameters)
    plan = task.plan()
    request = plan.request
    is_own_uid = SOP_INSTANCE_UID not in request.kept and SOP_INSTANCE_UID not in request.replaced
    recode = partial(_recode, request, workshop.lossy_quality) if request.transcode else None
    kind = MetadataType.ANONYMIZED_FROM if task.is_anonymization else MetadataType.MODIFIED_FROM

    def change(head: Head, dataset: MutableDataset) -> None:
        apply(plan, dataset, identify(head.dataset))

    staged: list[Replacement] = []

    def one(public_id: str) -> Made:
        return rewrite(
            workshop,
            task.origin,
            public_id,
            change,
            kind,
            recode=recode,
            is_own_uid=is_own_uid,
            staged=staged,
        )

    complete = partial(_complete_replaced, task, request, Tally(run), staged)
    attempts = 0
    while not were_replaced(run, workshop, task.instances):
        try:
            yield from rewrite_all(run, workshop, task.instances, one)
            yield from replace_originals(run, workshop, staged, complete)
            break
        except OriginalsChanged:
            # Another job was faster, or a sender: what they made is changed in its turn.
            attempts += 1
            if attempts == _ATTEMPTS:
                raise
        finally:
            discard_staged(workshop, staged)
    yield from _complete(run, workshop, task, request, kind)
    if not request.keeps_source:
        yield from delete_originals(run, workshop, task.instances)
    run.progress = 1.0


def _recode(request: Request, usual_quality: int, file: Buffer) -> bytes:
    quality = request.lossy_quality or usual_quality
    return transcode(file, request.transcode, lossy_quality=quality, is_uid_kept=True)


# --- After the instances ---


def _complete(
    run: JobRun, workshop: Workshop, task: Task, request: Request, kind: MetadataType
) -> Iterator[None]:
    """What is left to do for the series, studies and patients of the new instances."""
    tally = Tally(run)
    with workshop.archive.database.read() as tx:
        whole = _whole_parents(tx, tally)
    for level in _UPPER_LEVELS:
        sources = tally.parents[str(int(level))]
        pairs = [(result, source) for result, source in sources.items() if result in whole[level]]
        write_origins(workshop.archive, level, pairs, kind)
    yield
    for level in _UPPER_LEVELS:
        for result, source in tally.parents[str(int(level))].items():
            is_new = result != source and result in whole[level]
            if not is_new and (level >= task.level or result in whole[level]):
                _rebuild(workshop, level, result, tally)
                yield
    workshop.archive.database.write(partial(_label, task, request, tally), durable=False)
    yield


def _complete_replaced(
    task: Task, request: Request, tally: Tally, staged: Sequence[Replacement], tx: Transaction
) -> None:
    """What is left to do in the transaction in which new instances take the place of their originals."""
    whole = _whole_parents(tx, tally)
    chosen = {(level, each.new.public_ids[level]): each.new for each in staged for level in _UPPER_LEVELS}
    for (level, result), new in chosen.items():
        if level >= task.level or result in whole[level]:
            rebuild(tx, new, (level,))
    _label(task, request, tally, tx)


def _whole_parents(tx: Transaction, tally: Tally) -> dict[Level, set[str]]:
    """The parents of new instances that have no children but those that are, or hold, new instances."""
    found: dict[Level, set[str]] = {}
    below: set[str] = set(tally.results)
    for level in (Level.SERIES, Level.STUDY, Level.PATIENT):
        parents = tally.parents[str(int(level))]
        known = [each for each in parents if find_row(tx, level, each) is not None]
        found[level] = {
            each for each in known if below.issuperset(children(tx, level, each, Level(level + 1)))
        }
        below = set(parents)
    return found


def _rebuild(workshop: Workshop, level: Level, public_id: str, tally: Tally) -> None:
    """Write the main DICOM tags of a parent anew from one of its new instances."""
    results = set(tally.results)
    archive, options = workshop.archive, workshop.intake.options
    with archive.database.read() as tx:
        if find_row(tx, level, public_id) is None:
            return
        below = children(tx, level, public_id, Level.INSTANCE)
    chosen = next((each for each in below if each in results), None)
    if chosen is None:
        return
    head = read_instance(archive, chosen, default_encoding=options.default_encoding)
    new = describe(
        head,
        identify(head.dataset),
        Reception(Origin(OriginKind.UNKNOWN), "", 0),
        main_tags=options.main_tags,
        main_tags_version=workshop.intake.main_tags_version,
    )
    archive.database.write(lambda tx: rebuild(tx, new, (level,)), durable=False)


Labels = dict[str, dict[str, list[str]]]


def labels_around(tx: Transaction, resources: Sequence[tuple[Level, str]]) -> Labels:
    """The labels of some resources, of all below them and of their ancestors, by level and public id."""
    found: Labels = {}
    for level, public_id in resources:
        for each in Level:
            below = (
                [ancestor(tx, level, public_id, each)]
                if each < level
                else children(tx, level, public_id, each)
            )
            for one in below:
                row = find_row(tx, each, one)
                labels = labels_of(tx, each, row) if row is not None else []
                if labels:
                    found.setdefault(str(int(each)), {})[one] = labels
    return found


def _label(task: Task, request: Request, tally: Tally, tx: Transaction) -> None:
    """Copy the labels of the originals, or take them away where an instance took the place of its original."""
    if not (request.keeps_labels or is_in_place(request)):
        return
    pairs: dict[Level, dict[str, str]] = {
        level: dict(tally.parents[str(int(level))]) for level in _UPPER_LEVELS
    }
    pairs[Level.INSTANCE] = {
        result: original for original, result in zip(task.instances, tally.results, strict=True) if result
    }
    for level, sources in pairs.items():
        for result, source in sources.items():
            row = find_row(tx, level, result)
            is_same = result == source
            if row is None or (level < task.level and not is_same):
                continue
            if request.keeps_labels or level < task.level:
                for label in task.labels.get(str(int(level)), {}).get(source, ()):
                    add_label(tx, level, row, label)
            elif is_same:
                for label in labels_of(tx, level, row):
                    remove_label(tx, level, row, label)


# --- What the job tells ---


def content(run: JobRun) -> dict[str, object]:
    """The public content of a job."""
    task = Task.from_json(run.parameters)
    tally = Tally(run)
    told: dict[str, object] = {
        "InstancesCount": len(task.instances),
        "FailedInstancesCount": tally.failed,
        "IsAnonymization": task.is_anonymization,
    }
    if task.resources:
        told["ParentResources"] = sorted(public_id for _, public_id in task.resources)
    if isinstance(task.body.get("Transcode"), str):
        told["Transcode"] = task.body["Transcode"]
    if task.single_level is not None:
        told["Resources"] = [{"ID": each, "Type": level.word} for level, each in task.resources]
        told.update(_single_result(task.single_level, tally))
    else:
        told["Resources"] = _all_results(tally)
    return told


def _single_result(level: Level, tally: Tally) -> dict[str, object]:
    patients, found = list(tally.parents["0"]), list(tally.parents[str(int(level))])
    if not found or not patients:
        return {}
    return {
        "ID": found[0],
        "Path": f"/{level.plural}/{found[0]}",
        "PatientID": patients[0],
        "Type": level.word,
    }


def _all_results(tally: Tally) -> list[dict[str, str]]:
    found: list[tuple[Level, str]] = [(Level.INSTANCE, each) for each in dict.fromkeys(tally.results) if each]
    for level in (Level.SERIES, Level.STUDY, Level.PATIENT):
        found += [(level, each) for each in tally.parents[str(int(level))]]
    return [{"ID": each, "Path": f"/{level.plural}/{each}", "Type": level.word} for level, each in found]


def instances_of(tx: Transaction, resources: Sequence[tuple[Level, str]]) -> list[PublicId]:
    """All instances below some resources, each once.

    Raises
    ------
    NotFound
        If a resource does not exist.
    """
    found: dict[PublicId, None] = {}
    for level, public_id in resources:
        found.update(dict.fromkeys(children(tx, level, public_id, Level.INSTANCE)))
    return list(found)
