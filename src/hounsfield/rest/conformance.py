"""The DICOM Conformance Statement of this very server, made of the tables that it works by. PS3.2 Annex N."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from hounsfield import __version__
from hounsfield.dicom.charset import ENCODINGS
from hounsfield.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, uid_name
from hounsfield.http.messages import Request, Response, answer_text
from hounsfield.http.routing import Route
from hounsfield.net.messages import Operation, Service
from hounsfield.net.scu import VERIFICATION_SOP_CLASS_UID
from hounsfield.remote import finder, retriever
from hounsfield.rest.door import Door
from hounsfield.retrieve.dicomdir import MEDIA_STORAGE_DIRECTORY

_PROVIDED = {
    Operation.FIND: "Query (C-FIND)",
    Operation.FIND_WORKLIST: "Modality worklist (C-FIND)",
    Operation.MOVE: "Retrieve (C-MOVE)",
    Operation.GET: "Retrieve (C-GET)",
    Operation.ACTION: "Storage commitment",
    Operation.EVENT_REPORT: "Storage commitment",
}
_USED = {
    "Verification (C-ECHO)": (VERIFICATION_SOP_CLASS_UID,),
    "Query (C-FIND)": (finder.PATIENT_ROOT_FIND, finder.STUDY_ROOT_FIND, finder.WORKLIST_FIND),
    "Retrieve (C-MOVE)": (retriever.PATIENT_ROOT_MOVE, retriever.STUDY_ROOT_MOVE),
    "Retrieve (C-GET)": (retriever.PATIENT_ROOT_GET, retriever.STUDY_ROOT_GET),
}


def routes(door: Door, services: Mapping[str, Service]) -> list[Route]:
    """The route of the statement; `services` are those of the server, by SOP class UID, when it is asked."""
    return [Route("GET", "/tools/dicom-conformance", partial(get_conformance, door, services))]


def get_conformance(door: Door, services: Mapping[str, Service], _request: Request) -> Response:
    """The DICOM Conformance Statement of the server, as it is now."""
    return answer_text("\n".join(_statement(door, services)) + "\n")


def _statement(door: Door, services: Mapping[str, Service]) -> Iterator[str]:
    storage = sorted(door.settings.sop_classes, key=_by_numbers)
    yield from _title("DICOM Conformance Statement of Hounsfield", "=")
    yield f"Product: Hounsfield {__version__}. Structure: DICOM PS3.2 Annex N. All names: PS3.6 Annex A."
    yield from _title("1 Overview", "-")
    yield "Hounsfield is an archive. It receives composite instances, keeps them as they came, answers queries, and"
    yield "sends instances to other systems when these or its users ask for it."
    yield from _title("2 Network services", "-")
    yield f"The application entity {door.options.dicom_aet} provides and uses the services below."
    yield from _title("2.1 Services provided (SCP)", "-")
    yield from _classes("Verification (C-ECHO)", [VERIFICATION_SOP_CLASS_UID])
    yield from _classes("Storage (C-STORE)", storage)
    for word, uids in _provided(services).items():
        yield from _classes(word, uids)
    unknown = "accepted" if door.settings.is_unknown_sop_class_accepted else "refused"
    yield f"Storage SOP classes that are not listed are {unknown}."
    yield from _title("2.2 Services used (SCU)", "-")
    for word, used in _USED.items():
        yield from _classes(word, used)
    yield "Storage (C-STORE)"
    yield "  Every SOP class of the instances that are kept, and Storage as provider within C-GET"
    yield ""
    yield from _association_policies(door)
    yield from _networking(door)
    yield from _media_and_texts(door)


def _title(text: str, line: str) -> Iterator[str]:
    yield from ("", text, line * len(text), "")


def _classes(title: str, uids: Iterable[str]) -> Iterator[str]:
    yield title
    yield from (f"  {uid:<40} {uid_name(uid) or 'private'}" for uid in uids)
    yield ""


def _by_numbers(uid: str) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in uid.split(".")]


def _provided(services: Mapping[str, Service]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for uid, service in sorted(services.items(), key=lambda pair: _by_numbers(pair[0])):
        word = next((_PROVIDED[each] for each in service.operations.values() if each in _PROVIDED), None)
        if word is not None:
            found.setdefault(word, []).append(uid)
    return found


def _association_policies(door: Door) -> Iterator[str]:
    yield from _title("3 Association policies", "-")
    yield "Application context name          1.2.840.10008.3.1.1.1"
    yield f"Implementation class UID          {IMPLEMENTATION_CLASS_UID}"
    yield f"Implementation version name       {IMPLEMENTATION_VERSION_NAME}"
    yield "Asynchronous operations           one operation at a time"
    yield "Number of associations            each has a thread; the system decides how many there may be"
    yield "Extended negotiation              Storage: level 2, all elements are kept (PS3.4 B.3.1)"
    yield "User identity                     understood, not required"
    yield ""
    yield "Transfer syntaxes accepted in C-STORE:"
    yield from (
        f"  {uid:<40} {uid_name(uid) or 'private'}"
        for uid in sorted(door.settings.transfer_syntaxes, key=_by_numbers)
    )


def _networking(door: Door) -> Iterator[str]:
    yield from _title("4 Network and configuration", "-")
    yield "TCP/IP version 4 and 6, with TLS if it is configured (PS3.15 B.12)."
    yield f"AE title {door.options.dicom_aet}, port {door.options.dicom_port}; docs/configuration.md has all options."


def _media_and_texts(door: Door) -> Iterator[str]:
    yield from _title("5 Media", "-")
    yield "Writes file-sets (PS3.10) in ZIP archives, with a DICOMDIR:"
    yield from _classes("Media storage directory", [MEDIA_STORAGE_DIRECTORY])
    yield from _title("6 Character sets", "-")
    yield f"Data sets that name none are read as {door.settings.default_encoding}. Understood:"
    yield from (f"  {term or 'WINDOWS-1251 (not of DICOM)'}" for term in ENCODINGS.values())
    yield from _title("7 Security", "-")
    yield "De-identifies by the Basic Application Level Confidentiality Profile (PS3.15 Annex E)."
