"""The job `MergeStudy`: series and instances of other studies, even of other patients, become part of a study."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hounsfield.deid.apply import put, remove
from hounsfield.deid.uid_map import UidMap
from hounsfield.dicom.levels import Level
from hounsfield.dicom.modules import MODULES
from hounsfield.dicom.mutable import MutableDataset, values_of
from hounsfield.dicom.part10 import Head
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.jobs.kinds import JobKind, JobRun
from hounsfield.jobs.remaking import remake, renumber
from hounsfield.jobs.rewriting import Tally, Workshop
from hounsfield.retrieve.datasets import read_instance

KIND = "MergeStudy"
_COPIED = (*MODULES[Level.PATIENT], *MODULES[Level.STUDY])


@dataclass(frozen=True, slots=True)
class MergeTask:
    """The parameters of a job, as JSON.

    `model` is an instance of the target study, whose patient and study it takes; `moved` as of a split.
    """

    instances: Sequence[str]
    moved: Sequence[str]
    target_study: str
    model: str
    keeps_source: bool
    key: str
    remote_ip: str
    http_username: str

    def to_json(self) -> dict[str, object]:
        """The parameters."""
        return {
            "Instances": list(self.instances),
            "Moved": list(self.moved),
            "TargetStudy": self.target_study,
            "Model": self.model,
            "KeepSource": self.keeps_source,
            "Key": self.key,
            "RemoteIP": self.remote_ip,
            "HttpUsername": self.http_username,
        }

    @staticmethod
    def from_json(parameters: Mapping[str, Any]) -> "MergeTask":
        """What `to_json` wrote."""
        return MergeTask(
            parameters["Instances"],
            parameters["Moved"],
            parameters["TargetStudy"],
            parameters["Model"],
            parameters["KeepSource"],
            parameters["Key"],
            parameters["RemoteIP"],
            parameters["HttpUsername"],
        )


def merge_kind(workshop: Workshop) -> JobKind:
    """The kind of job for an archive."""
    return JobKind(KIND, partial(run_merge, workshop), content)


def run_merge(workshop: Workshop, run: JobRun) -> Iterator[None]:
    """Run a job.

    Raises
    ------
    ArchiveError
        What the first instance failed with; originals are untouched.
    """
    task = MergeTask.from_json(run.parameters)
    if not task.instances:
        return
    uids = UidMap(bytes.fromhex(task.key))
    origin = Origin(OriginKind.REST_API, remote_ip=task.remote_ip, http_username=task.http_username)
    moved = {uid: uids.uid(uid) for uid in task.moved}
    encoding = workshop.intake.options.default_encoding
    model = read_instance(workshop.archive, task.model, default_encoding=encoding)
    values = values_of(model.dataset, _COPIED)

    def change(head: Head, dataset: MutableDataset) -> None:
        for tag in _COPIED:
            if tag in values:
                put(dataset, tag, values[tag])
            else:
                remove(dataset, tag)
        renumber(head, dataset, uids, moved)

    yield from remake(run, workshop, task.instances, origin, change, keeps_source=task.keeps_source)


def content(run: JobRun) -> dict[str, object]:
    """The public content of a job."""
    task = MergeTask.from_json(run.parameters)
    return {
        "InstancesCount": len(task.instances),
        "FailedInstancesCount": Tally(run).failed,
        "TargetStudy": task.target_study,
    }
