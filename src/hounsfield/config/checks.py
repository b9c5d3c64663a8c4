"""Checks before the start: a server that would not do what its configuration says does not start at all.

What needs the machine (ports in use, an index in use) is checked by who opens it. Numbers are Orthanc's.
"""

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from hounsfield.config.declarations import check_declarations
from hounsfield.config.forwarding import check_forwarding, check_transfers
from hounsfield.config.lenient_json import Json
from hounsfield.config.modalities import check_modalities, check_peers
from hounsfield.config.option import check
from hounsfield.config.options import OPTIONS
from hounsfield.config.postgres import check_postgres
from hounsfield.config.refusal import Refusal
from hounsfield.config.sections import check_dicomweb
from hounsfield.config.worklists import check_worklists
from hounsfield.dicom.uids import TRANSFER_SYNTAXES

Check = Callable[[Mapping[str, Json]], Iterator[Refusal]]
FileCheck = Callable[[Mapping[str, Json], Path], Iterator[Refusal]]

_WARNINGS = {
    "W001_TagsBeingReadFromStorage",
    "W002_InconsistentDicomTagsInDb",
    "W003_DecoderFailure",
    "W004_NoMainDicomTagsSignature",
    "W005_RequestingTagFromLowerResourceLevel",
    "W006_RequestingTagFromMetaHeader",
    "W007_MissingRequestedTagsNotReadFromDisk",
}


def refusals(given: Mapping[str, Json], base_folder: Path) -> tuple[Refusal, ...]:
    """Every reason not to start; what has a wrong type is not looked at further."""
    wrong = {
        name: found for name in OPTIONS if name in given and (found := check(OPTIONS[name], given[name]))
    }
    sound = {name: value for name, value in given.items() if name not in wrong}
    among_options = (found for check_ in _CHECKS for found in check_(sound))
    on_disk = (found for check_ in _FILE_CHECKS for found in check_(sound, base_folder))
    return (*wrong.values(), *among_options, *on_disk)


def _check_protection(given: Mapping[str, Json]) -> Iterator[Refusal]:
    """What protects patients' data is either done or refused, never ignored."""
    authorization = given.get("Authorization")
    if isinstance(authorization, dict) and authorization and authorization.get("Enable") is not False:
        yield Refusal(
            47,
            'The section "Authorization" cannot be honoured: requests would not be checked. Remove it to start',
        )


def _check_ports(given: Mapping[str, Json]) -> Iterator[Refusal]:
    both = all(given.get(name, True) is True for name in ("HttpServerEnabled", "DicomServerEnabled"))
    if both and given.get("HttpPort", 8042) == given.get("DicomPort", 4242):
        yield Refusal(2003, '"HttpPort" and "DicomPort" must be different')
    for name, code in (("HttpBindAddresses", 2003), ("DicomBindAddresses", 2004)):
        for address in _texts(given.get(name)):
            try:
                ipaddress.ip_address(address)
            except ValueError:
                yield Refusal(code, f'"{name}" must hold IP addresses')


def _check_ae_title(given: Mapping[str, Json]) -> Iterator[Refusal]:
    title = given.get("DicomAet", "ORTHANC")
    if not isinstance(title, str):
        return
    if len(title) > 16:
        yield Refusal(2009, 'Option "DicomAet" must not be longer than 16 characters')
    elif not title.strip(" ") or "\\" in title or any(not 32 <= ord(letter) < 127 for letter in title):
        yield Refusal(15, 'Option "DicomAet" contains characters that are not valid for an AET')


def _check_access(given: Mapping[str, Json]) -> Iterator[Refusal]:
    remote = given.get("RemoteAccessAllowed", False)
    if remote and given.get("AuthenticationEnabled", remote) and "RegisteredUsers" not in given:
        yield Refusal(
            47,
            'Remote access is allowed with authentication, but no user is listed: set "RegisteredUsers", as in '
            '{ "alice": "a password" }',
        )
    users = given.get("RegisteredUsers")
    if isinstance(users, dict) and not all(isinstance(password, str) for password in users.values()):
        yield Refusal(15, 'The passwords of "RegisteredUsers" must be strings')


def _check_storage(given: Mapping[str, Json]) -> Iterator[Refusal]:
    has_md5 = given.get("StoreMD5ForAttachments", True)
    if given.get("CheckRevisions") and not has_md5:
        yield Refusal(3, '"CheckRevisions" needs "StoreMD5ForAttachments"')
    if given.get("OverwriteInstances") == "IfChanged" and not has_md5:
        yield Refusal(47, 'The mode "IfChanged" of "OverwriteInstances" needs "StoreMD5ForAttachments"')
    if given.get("PatientLevelEnabled") is False:
        for name in ("MaximumPatientCount", "MaximumStorageSize"):
            if given.get(name):
                yield Refusal(
                    47, f'"{name}" needs "PatientLevelEnabled", because whole patients are recycled'
                )


def _check_transfer_syntaxes(given: Mapping[str, Json]) -> Iterator[Refusal]:
    for name in ("IngestTranscoding", "DicomScuPreferredTransferSyntax"):
        value = given.get(name)
        if isinstance(value, str) and value not in TRANSFER_SYNTAXES:
            yield Refusal(3, f'"{name}" is not the UID of a transfer syntax')


def _check_warnings(given: Mapping[str, Json]) -> Iterator[Refusal]:
    warnings = given.get("Warnings")
    if isinstance(warnings, dict):
        for name in warnings.keys() - _WARNINGS:
            yield Refusal(15, f'Unknown name in "Warnings": {name}')


def _check_folders(given: Mapping[str, Json], base_folder: Path) -> Iterator[Refusal]:
    for name in ("StorageDirectory", "IndexDirectory"):
        value = given.get(name)
        if isinstance(value, str) and _is_file(base_folder / value):
            yield Refusal(1002, f'"{name}" is a file, not a folder: {base_folder / value}')


def _check_files(given: Mapping[str, Json], base_folder: Path) -> Iterator[Refusal]:
    for script in _texts(given.get("LuaScripts")):
        path = base_folder / script
        if _content(path) is None:
            yield Refusal(2006, f'A script of "LuaScripts" does not exist or cannot be read: {path}')
    for dictionary in _texts(given.get("ExternalDictionaries")):
        if not _is_file(base_folder / dictionary):
            yield Refusal(13, f'A file of "ExternalDictionaries" does not exist: {base_folder / dictionary}')


def _check_tls(given: Mapping[str, Json], base_folder: Path) -> Iterator[Refusal]:
    def is_missing(name: str) -> bool:
        value = given.get(name, OPTIONS[name].default)
        return not (isinstance(value, str) and _is_file(base_folder / value))

    if given.get("SslEnabled"):
        needed = [
            "SslCertificate",
            *(["SslTrustedClientCertificates"] if given.get("SslVerifyPeers") else []),
        ]
        for name in filter(is_missing, needed):
            yield Refusal(39, f'Cannot initialize SSL encryption: the file of "{name}" does not exist')
    if given.get("DicomTlsEnabled"):
        needed = ["DicomTlsCertificate", "DicomTlsPrivateKey"]
        if given.get("DicomTlsRemoteCertificateRequired", True):
            needed.append("DicomTlsTrustedCertificates")
        for name in filter(is_missing, needed):
            yield Refusal(3, f'"DicomTlsEnabled" needs the file of "{name}"')
        if given.get("DicomTlsMinimumProtocolVersion") and not given.get("DicomTlsCiphersAccepted"):
            yield Refusal(3, '"DicomTlsMinimumProtocolVersion" needs "DicomTlsCiphersAccepted"')


def _is_file(path: Path) -> bool:
    """Whether it is one that can be found: a name may also be too long for any file."""
    try:
        return path.is_file()
    except OSError:
        return False


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if _is_file(path) else None
    except OSError:
        return None


def _texts(value: Json) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


_CHECKS: tuple[Check, ...] = (
    _check_protection,
    _check_ports,
    _check_ae_title,
    _check_access,
    _check_storage,
    _check_transfer_syntaxes,
    _check_warnings,
    check_modalities,
    check_worklists,
    check_forwarding,
    check_transfers,
    check_peers,
    check_postgres,
    check_dicomweb,
    check_declarations,
)

_FILE_CHECKS: tuple[FileCheck, ...] = (_check_folders, _check_files, _check_tls)
