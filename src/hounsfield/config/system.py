"""What `GET /system` says of a configuration, by Orthanc's names."""

import hashlib
import uuid
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from hounsfield.config import records
from hounsfield.config.configuration import Configuration
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import main_tags

API_VERSION = 31
"""The version of the REST interface that is spoken."""
ORTHANC_VERSION = "1.13.0"
"""The release of Orthanc whose behaviour is that of this server; clients choose features by it."""
_LIBRARIES = ("httptools", "imagecodecs", "numpy", "orjson", "pydicom", "uvicorn", "uvloop")


def system_members(configuration: Configuration) -> dict[str, Any]:
    """All members that do not change while the server runs."""
    ingest = records.ingest(configuration)
    tags = main_tags(records.tags(configuration).extra_main_dicom_tags)
    members: dict[str, Any] = {
        "ApiVersion": API_VERSION,
        "Version": ORTHANC_VERSION,
        "DatabaseVersion": 6,
        "DatabaseBackendPlugin": None,
        "StorageAreaPlugin": None,
        "PluginsEnabled": True,
        "HasLabels": True,
        "IsHttpServerSecure": records.is_http_secure(configuration),
        "OverwriteInstances": ingest.overwrite is not records.OverwriteMode.NEVER,
        "OverwriteInstancesMode": ingest.overwrite.value,
        "DatabaseServerIdentifier": _server_identifier(configuration),
        "Performance": records.performance(configuration),
        "MainDicomTags": {level.word: tags.signature(level) for level in Level},
        "UserMetadata": _both_ways(records.tags(configuration).user_metadata),
        "ThirdPartyVersions": _library_versions(),
        "ThirdPartyPatches": [],
        "Capabilities": dict.fromkeys(
            (
                "HasExtendedChanges",
                "HasExtendedFind",
                "HasKeyValueStores",
                "HasQueues",
                "HasReserveQueueValue",
            ),
            False,
        )
        | {"HasExtendedChanges": True, "HasExtendedFind": True},
    }
    for name in ("Name", "DicomAet", "IngestTranscoding", "DicomDefaultRetrieveMethod", "MaximumStorageMode"):
        members[name] = configuration.text(name)
    for name in ("DicomPort", "HttpPort", "MaximumStorageSize", "MaximumPatientCount"):
        members[name] = configuration.integer(name)
    for name in (
        "CheckRevisions",
        "StorageCompression",
        "StoreMD5ForAttachments",
        "PatientLevelEnabled",
        "ReadOnly",
    ):
        members[name] = configuration.boolean(name)
    return members


def _both_ways(user_metadata: dict[str, int] | Any) -> dict[str, int]:
    """Each entry under its name and under its number, as clients of Orthanc find it."""
    return {**user_metadata, **{str(number): number for number in user_metadata.values()}}


def _server_identifier(configuration: Configuration) -> str:
    """The configured identifier, or a hash of what makes this server another than its neighbours."""
    given = records.general(configuration).database_server_identifier
    if given:
        return given
    parts = [
        f"aet={configuration.text('DicomAet')}",
        f"dicom-port={configuration.integer('DicomPort')}",
        f"http-port={configuration.integer('HttpPort')}",
        f"mac={uuid.getnode():012x}",
    ]
    digest = hashlib.sha1("|".join(parts).encode(), usedforsecurity=False).hexdigest()
    return "-".join(digest[start : start + 8] for start in range(0, 40, 8))


def _library_versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
