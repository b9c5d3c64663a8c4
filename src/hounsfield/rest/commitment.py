"""Storage commitment: asking modalities, and what they told."""

from functools import partial
from typing import Any

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import SOP_INSTANCE_UID
from hounsfield.dicom.uids import new_uid
from hounsfield.errors import NotFound
from hounsfield.http.errors import BadFileFormat, BadSequenceOfCalls, InexistentItem, UnknownResource
from hounsfield.http.messages import EMPTY_OBJECT, Request, Response, answer_json
from hounsfield.http.routing import Route
from hounsfield.index.find import find
from hounsfield.index.query import Constraint, Match, Query
from hounsfield.index.sending import load_to_send
from hounsfield.jobs.resources import instances_of, name_resources
from hounsfield.remote.commitment import (
    DESCRIPTIONS,
    CommitmentStatus,
    Reference,
    Report,
    request_commitment,
)
from hounsfield.rest.hierarchy import remove
from hounsfield.rest.neighbours import Neighbours, object_body, public_ids_of, text_field, timeout_field


def routes(neighbours: Neighbours) -> list[Route]:
    """The routes of storage commitment."""

    def route(method: str, pattern: str, handler: Any) -> Route:
        return Route(method, pattern, partial(handler, neighbours))

    return [
        route("POST", "/modalities/{name}/storage-commitment", post_commitment),
        route("GET", "/storage-commitment/{uid}", get_report),
        route("POST", "/storage-commitment/{uid}/remove", post_remove),
    ]


def post_commitment(neighbours: Neighbours, request: Request) -> Response:
    """Ask a modality to keep instances: `Resources` that are here, or `DicomInstances` by class and UID."""
    modality = neighbours.modality(request.values["name"])
    body = object_body(request)
    if "Resources" not in body and "DicomInstances" not in body:
        raise BadFileFormat("Field Resources or DicomInstances is missing")
    references = [*_of_resources(neighbours, body.get("Resources", [])), *_of_instances(body)]
    network = neighbours.network
    uid = new_uid()
    network.commitments.expect(uid, modality.ae_title, references)
    try:
        request_commitment(
            modality,
            network.options,
            uid,
            references,
            calling_ae_title=text_field(body, "LocalAet"),
            timeout_seconds=timeout_field(body),
        )
    except BaseException:
        network.commitments.forget(uid)
        raise
    return answer_json({"ID": uid, "Path": f"/storage-commitment/{uid}"})


def _of_resources(neighbours: Neighbours, values: object) -> list[Reference]:
    if not isinstance(values, list):
        raise BadFileFormat("Field Resources must be an array of ids")
    public_ids = public_ids_of(values)
    with neighbours.network.archive.database.read() as tx:
        try:
            named = name_resources(tx, public_ids)
        except NotFound as error:
            raise UnknownResource(str(error)) from error
        stored = load_to_send(tx, instances_of(tx, named))
    return [Reference(each.sop_class_uid, each.sop_instance_uid) for each in stored]


def _of_instances(body: dict[str, Any]) -> list[Reference]:
    values = body.get("DicomInstances", [])
    if not isinstance(values, list):
        raise BadFileFormat("Field DicomInstances must be an array")
    found = []
    for value in values:
        if isinstance(value, dict):
            value = [value.get("SOPClassUID"), value.get("SOPInstanceUID")]
        if not isinstance(value, list) or len(value) != 2 or not all(isinstance(uid, str) for uid in value):
            raise BadFileFormat("An entry of DicomInstances must hold SOPClassUID and SOPInstanceUID")
        found.append(Reference(*value))
    return found


def get_report(neighbours: Neighbours, request: Request) -> Response:
    """What a modality told of a request."""
    return answer_json(_write(_report(neighbours, request)))


def _report(neighbours: Neighbours, request: Request) -> Report:
    try:
        return neighbours.network.commitments.get(request.values["uid"])
    except NotFound as error:
        raise InexistentItem(str(error)) from error


def _write(report: Report) -> dict[str, Any]:
    written: dict[str, Any] = {"Status": report.status.value, "RemoteAET": report.ae_title}
    if report.references is not None:
        written["Success"] = [_uids(each) for each in report.references if not each.failure]
        written["Failures"] = [
            {
                **_uids(each),
                "FailureReason": each.failure,
                "Description": DESCRIPTIONS.get(each.failure, "Unknown failure reason"),
            }
            for each in report.references
            if each.failure
        ]
    return written


def _uids(reference: Reference) -> dict[str, str]:
    return {"SOPClassUID": reference.sop_class_uid, "SOPInstanceUID": reference.sop_instance_uid}


def post_remove(neighbours: Neighbours, request: Request) -> Response:
    """Delete the instances that a modality committed itself to keep, all of them."""
    report = _report(neighbours, request)
    if report.status is not CommitmentStatus.SUCCESS:
        raise BadSequenceOfCalls("Not all instances are committed")
    for reference in report.references or ():
        for public_id in _find(neighbours, reference):
            try:
                remove(neighbours.door, Level.INSTANCE, public_id)
            except NotFound:  # Gone already.
                continue
    return EMPTY_OBJECT


def _find(neighbours: Neighbours, reference: Reference) -> list[PublicId]:
    """What we have of this UID and class; nothing if it is not clear which one is meant."""
    constraint = Constraint(
        SOP_INSTANCE_UID, Match.EXACT, (reference.sop_instance_uid,), is_case_sensitive=True
    )
    with neighbours.network.archive.database.read() as tx:
        stored = load_to_send(tx, find(tx, Query(Level.INSTANCE, (constraint,))))
    if len(stored) != 1 or stored[0].sop_class_uid != reference.sop_class_uid:
        return []
    return [stored[0].public_id]
