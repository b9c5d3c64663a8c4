"""What a Lua callback orders to be done after it: the job `SequenceOfOperations`.

Each operation works on a resource that it names, or, if the name is empty, on the result of the one before it. All
are requests to this server's own routes, or programs.
"""

import logging
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from hounsfield.automation.values import Json
from hounsfield.dicom.levels import Level
from hounsfield.errors import ArchiveError, BadRequest, NotFound, PeerFailure, Refused
from hounsfield.http.local import LocalCalls, whole_body
from hounsfield.http.messages import Response
from hounsfield.index.metadata import MetadataType
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.intake import Incoming, Intake, Outcome
from hounsfield.ingest.receive import receive
from hounsfield.jobs.kinds import JobKind, JobRun

KIND = "SequenceOfOperations"
_log = logging.getLogger("hounsfield.lua")
_MODIFICATION_KEYS = ("Replace", "Remove", "RemovePrivateTags", "Keep", "Force")
_LEVELS = {level.word: level.plural for level in Level}


@dataclass(frozen=True, slots=True)
class Tools:
    """What operations work with: the server's own routes, and its way in."""

    calls: LocalCalls
    intake: Intake


def job_kind(tools: Tools) -> JobKind:
    """The kind of job that runs operations."""

    def run(job: JobRun) -> Iterator[None]:
        yield from run_operations(tools, job)

    return JobKind(KIND, run, _content)


def parameters(operations: Json) -> dict[str, object]:
    """The parameters of a job, from what a callback ordered.

    Raises
    ------
    BadRequest
        If there is an operation that cannot be understood.
    """
    found = operations if isinstance(operations, list) else []
    for operation in found:
        if not isinstance(operation, dict) or operation.get("Operation") not in _OPERATIONS:
            raise BadRequest("An operation is not known")
        if not isinstance(operation.get("Resource"), str):
            raise BadRequest("An operation lacks a resource")
    return {"Operations": found}


def run_operations(tools: Tools, job: JobRun) -> Iterator[None]:
    """Do the operations in order. What fails is logged, and what would have used its result is left out.

    Raises
    ------
    PeerFailure
        At the end, if an operation failed.
    """
    operations: Any = job.parameters["Operations"]
    position, failures = _number(job.state, "Position"), _number(job.state, "Failures")
    result: Any = job.state.get("Result", "")
    for number, operation in enumerate(operations[position:], position):
        target = operation["Resource"] or result
        try:
            result = _OPERATIONS[operation["Operation"]](tools, operation, target) if target else ""
        except (ArchiveError, OSError) as error:
            _log.error("The operation %s of a Lua script failed: %s", operation["Operation"], error)
            failures, result = failures + 1, ""
        job.state = {"Position": number + 1, "Result": result, "Failures": failures}
        job.progress = (number + 1) / len(operations)
        yield
    if failures:
        raise PeerFailure(f"{failures} of {len(operations)} operations failed")


def _number(state: dict[str, object], name: str) -> int:
    value = state.get(name, 0)
    return value if isinstance(value, int) else 0


def _content(job: JobRun) -> dict[str, object]:
    operations = job.parameters.get("Operations")
    return {"CountOperations": len(operations) if isinstance(operations, list) else 0, "Description": "Lua"}


def _ask(calls: LocalCalls, method: str, target: str, body: object = None) -> Response:
    sent = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
    answer = calls.call(method, target, sent, origin="lua")
    if answer.status != 200:
        error = answer.error
        raise PeerFailure(f"{error.text}: {error.details}" if error else f"HTTP status {answer.status}")
    return answer


def _segment(name: object) -> str:
    """A name as one component of a path."""
    text = str(name)
    if not text or "/" in text or "?" in text or "%" in text or text in (".", ".."):
        raise BadRequest("This cannot be the name of a modality, a peer or a resource")
    return text


def _store_scu(tools: Tools, operation: Json, target: str) -> str:
    body = {"Resources": [target], "Synchronous": True}
    if isinstance(operation.get("LocalAet"), str) and operation["LocalAet"]:
        body["LocalAet"] = operation["LocalAet"]
    _ask(tools.calls, "POST", f"/modalities/{_segment(operation.get('Modality'))}/store", body)
    return target


def _store_peer(tools: Tools, operation: Json, target: str) -> str:
    body = {"Resources": [target], "Synchronous": True}
    _ask(tools.calls, "POST", f"/peers/{_segment(operation.get('Peer'))}/store", body)
    return target


def _level_of(calls: LocalCalls, target: str) -> str:
    for plural in ("instances", "series", "studies", "patients"):
        if calls.call("GET", f"/{plural}/{_segment(target)}", origin="lua").status == 200:
            return plural
    raise NotFound(f"There is no resource {target}")


def _delete(tools: Tools, _operation: Json, target: str) -> str:
    _ask(tools.calls, "DELETE", f"/{_level_of(tools.calls, target)}/{target}")
    return ""


def _modify(tools: Tools, operation: Json, target: str) -> str:
    """Modify an instance, and store it; or a resource above, by a job. The result is the new one."""
    plural = _level_of(tools.calls, target)
    body = {key: operation[key] for key in _MODIFICATION_KEYS if operation.get(key) is not None}
    if body.get("Replace") == []:  # An empty table of Lua.
        body["Replace"] = {}
    body["Replace"] = {name: _text(value) for name, value in body.get("Replace", {}).items()}
    if plural == "instances":
        file = whole_body(_ask(tools.calls, "POST", f"/instances/{target}/modify", body))
        made_from = (MetadataType.MODIFIED_FROM, target)
        receipt = receive(tools.intake, Incoming(Origin(OriginKind.LUA), file, made_from=made_from))
        if receipt.outcome is Outcome.FILTERED_OUT:
            raise Refused("A filter does not let the modified instance in")
        return receipt.identifiers.public_id(Level.INSTANCE)
    body["Synchronous"] = True
    answer = orjson.loads(whole_body(_ask(tools.calls, "POST", f"/{plural}/{target}/modify", body)))
    new: str = answer["ID"]
    return new


def _text(value: Json) -> Json:
    """Numbers are written as texts; what is not a text stays."""
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _call_system(tools: Tools, operation: Json, target: str) -> str:
    """Run a program. Its last argument, after those ordered, is the path of a copy of the instance's file."""
    arguments = operation.get("Arguments") or []
    file = whole_body(_ask(tools.calls, "GET", f"/instances/{_segment(target)}/file"))
    with tempfile.TemporaryDirectory(prefix="hounsfield-") as folder:
        copy = Path(folder) / f"{target}.dcm"
        copy.write_bytes(file)
        command = [str(operation.get("Command")), *(str(_text(each)) for each in arguments), str(copy)]
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise PeerFailure(f"The program ended with status {done.returncode}")
    return target


_OPERATIONS: dict[str, Callable[[Tools, Json, str], str]] = {
    "store-scu": _store_scu,
    "store-peer": _store_peer,
    "delete": _delete,
    "modify": _modify,
    "call-system": _call_system,
}
