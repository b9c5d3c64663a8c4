"""Splitting a study, and merging into one."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from hounsfield.deid import request as requests
from hounsfield.deid.uid_map import new_key
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.modules import MODULES
from hounsfield.dicom.tags import STUDY_INSTANCE_UID, format_tag
from hounsfield.dicom.uids import new_uid
from hounsfield.errors import BadRequest
from hounsfield.http.errors import ParameterOutOfRange, UnknownResource
from hounsfield.http.messages import Request, Response
from hounsfield.http.routing import Route
from hounsfield.index.database import Transaction
from hounsfield.index.resources import Part, ancestor, children, find_level, find_row, first_instance, load
from hounsfield.jobs import merge, split
from hounsfield.jobs.merge import MergeTask
from hounsfield.jobs.modify import instances_of
from hounsfield.jobs.split import SplitTask
from hounsfield.rest.door import Door
from hounsfield.rest.job_options import answer_job, boolean_field, read_job_options
from hounsfield.rest.modify import check_writable, strict_object, texts_field

_ALLOWED = frozenset((*MODULES[Level.PATIENT], *MODULES[Level.STUDY])) - {STUDY_INSTANCE_UID}


def routes(door: Door) -> list[Route]:
    """The routes of splitting and merging."""
    return [
        Route("POST", "/studies/{id}/split", partial(split_study, door)),
        Route("POST", "/studies/{id}/merge", partial(merge_study, door)),
    ]


def split_study(door: Door, request: Request) -> Response:
    """A job that makes a study of some series or instances of another."""
    study, body = request.values["id"], strict_object(request)
    creator = door.options.default_private_creator
    with door.archive.database.read() as tx:
        if find_row(tx, Level.STUDY, study) is None:
            raise UnknownResource(f"Cannot split unknown study {study}")
        resources = _chosen(tx, body, study)
        _check_split(body, creator)
        read_job_options(body)
        check_writable(door)
        patient = load(tx, Level.STUDY, [study], ())[0].patient_main_tags
        task = SplitTask(
            body={name: body[name] for name in ("Replace", "Remove", "KeepSource") if name in body},
            instances=instances_of(tx, resources),
            moved=moved_uids(tx, resources),
            patient_id=patient.get("0010,0020", ""),
            key=new_key(),
            target_study_uid=new_uid(),
            private_creator=creator,
            remote_ip=request.remote_ip,
            http_username=request.username,
        )
    return answer_job(door, split.KIND, task.to_json(), body)


def _chosen(tx: Transaction, body: Mapping[str, Any], study: str) -> list[tuple[Level, str]]:
    """The series and instances to be moved, which must belong to the study."""
    found: list[tuple[Level, str]] = []
    for name, level in (("Series", Level.SERIES), ("Instances", Level.INSTANCE)):
        if name not in body:
            continue
        for public_id in texts_field(body, name):
            is_known = find_row(tx, level, public_id) is not None
            if not is_known or ancestor(tx, level, public_id, Level.STUDY) != study:
                raise UnknownResource(
                    f"This {level.word.lower()} does not belong to the study to be split: {public_id[:64]}"
                )
            found.append((level, public_id))
    if not found:
        raise BadRequest('Both the "Series" and the "Instances" fields are missing')
    return found


def _check_split(body: Mapping[str, Any], creator: str) -> None:
    """Only the patient and the study may be changed."""
    boolean_field(body, "KeepSource", False)
    wanted = {name: body[name] for name in ("Replace", "Remove") if name in body}
    wish = requests.read_modification({**wanted, "Force": True}, Level.STUDY, creator)
    nested = [path.tag for path in wish.nested_removed] + [path.tag for path, _ in wish.nested_replaced]
    for tag in (*wish.removed, *wish.replaced, *nested):
        if tag not in _ALLOWED or tag in nested:
            raise ParameterOutOfRange(
                "Cannot modify the following tag while splitting a study (not in the patient/study modules): "
                f"{lookup.name(tag)} ({format_tag(tag)})"
            )


def moved_uids(tx: Transaction, resources: Sequence[tuple[Level, str]]) -> list[str]:
    """The UIDs of some resources, of the instances below them and of the series that are among them as a whole."""
    instances = set(instances_of(tx, resources))
    series = {ancestor(tx, Level.INSTANCE, each, Level.SERIES) for each in instances}
    whole = [
        each for each in series if instances.issuperset(children(tx, Level.SERIES, each, Level.INSTANCE))
    ]
    return [
        *_uids(tx, Level.SERIES, whole, "0020,000e"),
        *_uids(tx, Level.INSTANCE, list(instances), "0008,0018"),
    ]


def _uids(tx: Transaction, level: Level, public_ids: Sequence[PublicId], key: str) -> list[str]:
    return [
        each.main_tags[key] for each in load(tx, level, public_ids, (Part.STATUS,)) if key in each.main_tags
    ]


def merge_study(door: Door, request: Request) -> Response:
    """A job that makes patients, studies, series and instances part of a study."""
    study, body = request.values["id"], strict_object(request)
    names = texts_field(body, "Resources")
    keeps_source = boolean_field(body, "KeepSource", False)
    with door.archive.database.read() as tx:
        if find_row(tx, Level.STUDY, study) is None:
            raise UnknownResource(f"Cannot merge into an unknown study: {study[:64]}")
        resources = [(_mergeable(tx, name, study), name) for name in names]
        read_job_options(body)
        check_writable(door)
        task = MergeTask(
            instances=instances_of(tx, resources),
            moved=moved_uids(tx, resources),
            target_study=study,
            model=first_instance(tx, Level.STUDY, study),
            keeps_source=keeps_source,
            key=new_key(),
            remote_ip=request.remote_ip,
            http_username=request.username,
        )
    return answer_job(door, merge.KIND, task.to_json(), body)


def _mergeable(tx: Transaction, public_id: str, study: str) -> Level:
    level = find_level(tx, public_id)
    if level is None:
        raise UnknownResource(f"Cannot find this resource: {public_id[:64]}")
    if level == Level.PATIENT:
        is_same = study in children(tx, level, public_id, Level.STUDY)
    else:
        is_same = ancestor(tx, level, public_id, Level.STUDY) == study
    if is_same:
        raise UnknownResource(f"Cannot merge a study into the same study: {public_id[:64]}")
    return level
