"""The job `SplitStudy`: some series, or instances, of a study become a study of their own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hounsfield.deid.apply import put, remove
from hounsfield.deid.request import Request, read_modification
from hounsfield.deid.uid_map import UidMap
from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.levels import Level
from hounsfield.dicom.mutable import MutableDataset
from hounsfield.dicom.part10 import Head
from hounsfield.dicom.tags import PATIENT_ID, STUDY_INSTANCE_UID
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.jobs.kinds import JobKind, JobRun
from hounsfield.jobs.remaking import remake, renumber
from hounsfield.jobs.rewriting import Tally, Workshop

KIND = "SplitStudy"


@dataclass(frozen=True, slots=True)
class SplitTask:
    """The parameters of a job, as JSON; `moved` are the UIDs of series that move as a whole, and of instances."""

    body: Mapping[str, Any]
    instances: Sequence[str]
    moved: Sequence[str]
    patient_id: str
    key: str
    target_study_uid: str
    private_creator: str
    remote_ip: str
    http_username: str

    def to_json(self) -> dict[str, object]:
        """The parameters."""
        return {
            "Body": dict(self.body),
            "Instances": list(self.instances),
            "Moved": list(self.moved),
            "PatientID": self.patient_id,
            "Key": self.key,
            "TargetStudyUID": self.target_study_uid,
            "PrivateCreator": self.private_creator,
            "RemoteIP": self.remote_ip,
            "HttpUsername": self.http_username,
        }

    @staticmethod
    def from_json(parameters: Mapping[str, Any]) -> "SplitTask":
        """What `to_json` wrote."""
        return SplitTask(
            parameters["Body"],
            parameters["Instances"],
            parameters["Moved"],
            parameters["PatientID"],
            parameters["Key"],
            parameters["TargetStudyUID"],
            parameters["PrivateCreator"],
            parameters["RemoteIP"],
            parameters["HttpUsername"],
        )

    def request(self) -> Request:
        """What is to be changed beside the identifiers."""
        wanted = {name: self.body[name] for name in ("Replace", "Remove", "KeepSource") if name in self.body}
        wanted.setdefault("KeepSource", False)
        return read_modification({**wanted, "Force": True}, Level.STUDY, self.private_creator)

    @property
    def target_study(self) -> str:
        """The public id of the new study."""
        patient_id = self.request().replaced.get(PATIENT_ID, self.patient_id)
        return Identifiers(str(patient_id), self.target_study_uid, "", "").public_id(Level.STUDY)


def split_kind(workshop: Workshop) -> JobKind:
    """The kind of job for an archive."""
    return JobKind(KIND, partial(run_split, workshop), content)


def run_split(workshop: Workshop, run: JobRun) -> Iterator[None]:
    """Run a job.

    Raises
    ------
    ArchiveError
        What the first instance failed with; originals are untouched.
    """
    task = SplitTask.from_json(run.parameters)
    request, uids = task.request(), UidMap(bytes.fromhex(task.key))
    origin = Origin(OriginKind.REST_API, remote_ip=task.remote_ip, http_username=task.http_username)
    moved = {uid: uids.uid(uid) for uid in task.moved}

    def change(head: Head, dataset: MutableDataset) -> None:
        for tag in request.removed:
            remove(dataset, tag)
        for tag, value in sorted(request.replaced.items()):
            put(dataset, tag, value, request.private_creator)
        dataset.set_text(STUDY_INSTANCE_UID, task.target_study_uid)
        renumber(head, dataset, uids, moved)

    yield from remake(run, workshop, task.instances, origin, change, keeps_source=request.keeps_source)


def content(run: JobRun) -> dict[str, object]:
    """The public content of a job."""
    task = SplitTask.from_json(run.parameters)
    return {
        "InstancesCount": len(task.instances),
        "FailedInstancesCount": Tally(run).failed,
        "TargetStudy": task.target_study,
        "TargetStudyUID": task.target_study_uid,
    }
