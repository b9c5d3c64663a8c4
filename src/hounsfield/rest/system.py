"""The server itself: `/system`, `/statistics`, `/plugins`, and the way to the Explorer."""

from functools import partial
from typing import Any

from hounsfield.dicom.levels import Level
from hounsfield.http.errors import NoAnswer
from hounsfield.http.messages import Request, Response, answer_bytes, answer_json, redirect
from hounsfield.http.routing import Handler, Route
from hounsfield.index.statistics import totals
from hounsfield.rest.door import API_VERSION, ORTHANC_VERSION, Door

_MEGABYTE = 1024 * 1024
_DATABASE_VERSION = 6
_EXPLORER_SCRIPT = "explorer.js"


def routes(door: Door) -> list[Route]:
    """The routes of the server itself."""
    system = answer_json(describe_system(door))
    found = [
        Route("GET", "/system", partial(get_system, system), is_inline=True),
        Route("GET", "/statistics", partial(get_statistics, door), is_inline=True),
        Route("GET", "/plugins", partial(list_plugins, door), is_inline=True),
        Route("GET", "/plugins/explorer.js", _explorer_script, is_inline=True),
        Route("GET", "/plugins/{id}", partial(get_plugin, door), is_inline=True),
        Route("GET", "/app/{path...}", _nothing, is_inline=True),
    ]
    if door.options.is_explorer_enabled:
        found += [
            Route("GET", "/", _to("app/explorer.html"), is_inline=True),
            Route("GET", "/favicon.ico", _to("app/images/favicon.ico"), is_inline=True),
            Route("GET", "/app/explorer.html", _to("../ui/app/"), is_inline=True),
        ]
    else:
        found.append(Route("GET", "/", _nothing, is_inline=True))
    return found


def get_system(answer: Response, _request: Request) -> Response:
    """What the server is, and what it can do."""
    return answer


def describe_system(door: Door) -> dict[str, Any]:
    """What `/system` says; none of it changes while the server runs."""
    options, main_tags = door.options, door.main_tags
    return {
        "ApiVersion": API_VERSION,
        "Capabilities": {
            "HasExtendedChanges": True,
            "HasExtendedFind": True,
            "HasKeyValueStores": True,
            "HasQueues": True,
            "HasReserveQueueValue": True,
        },
        "CheckRevisions": options.check_revisions,
        "DatabaseBackendPlugin": "postgresql-index" if door.archive.database.is_elsewhere else None,
        "DatabaseServerIdentifier": options.database_server_identifier,
        "DatabaseVersion": _DATABASE_VERSION,
        "DicomAet": options.dicom_aet,
        "DicomDefaultRetrieveMethod": options.default_retrieve_method,
        "DicomPort": options.dicom_port,
        "HasLabels": True,
        "HttpPort": options.http_port,
        "IngestTranscoding": options.ingest_transcoding,
        "IsHttpServerSecure": options.is_http_secure,
        "MainDicomTags": {level.word: main_tags.signature(level) for level in Level},
        "MaximumPatientCount": options.maximum_patient_count,
        "MaximumStorageMode": options.maximum_storage_mode,
        "MaximumStorageSize": options.maximum_storage_size_mb,
        "Name": options.name,
        "OverwriteInstances": options.overwrite_mode != "Never",
        "OverwriteInstancesMode": options.overwrite_mode,
        "PatientLevelEnabled": options.is_patient_level_enabled,
        "Performance": dict(options.performance),
        "PluginsEnabled": True,
        "ReadOnly": options.is_read_only,
        "StorageAreaPlugin": None,
        "StorageCompression": options.storage_compression,
        "StoreMD5ForAttachments": options.store_md5,
        "ThirdPartyPatches": [],
        "ThirdPartyVersions": dict(options.third_party_versions),
        "UserMetadata": {
            key: number for name, number in options.user_metadata.items() for key in (name, str(number))
        },
        "Version": ORTHANC_VERSION,
    }


def get_statistics(door: Door, _request: Request) -> Response:
    """Counts and sizes of everything."""
    with door.archive.database.read() as tx:
        found = totals(tx)
    return answer_json(
        {
            "CountPatients": found.patients,
            "CountStudies": found.studies,
            "CountSeries": found.series,
            "CountInstances": found.instances,
            "TotalDiskSize": str(found.stored_size),
            "TotalDiskSizeMB": found.stored_size // _MEGABYTE,
            "TotalUncompressedSize": str(found.size),
            "TotalUncompressedSizeMB": found.size // _MEGABYTE,
        }
    )


def list_plugins(door: Door, _request: Request) -> Response:
    """The ids of all plugins."""
    return answer_json(sorted({_EXPLORER_SCRIPT, *door.options.plugins}))


def get_plugin(door: Door, request: Request) -> Response:
    """What a plugin says of itself."""
    found = door.options.plugins.get(request.values["id"])
    if found is None:
        raise NoAnswer
    return answer_json({"ID": request.values["id"], "ExtendsOrthancExplorer": False, "Version": "", **found})


def _explorer_script(_request: Request) -> Response:
    """What plugins add to the Explorer: nothing."""
    return answer_bytes(b"// Extensions of the Explorer\n", "application/javascript")


def _to(location: str) -> Handler:
    return partial(_redirect, redirect(location))


def _redirect(answer: Response, _request: Request) -> Response:
    """Leads to the Explorer and what belongs to it."""
    return answer


def _nothing(_request: Request) -> Response:
    """Nothing: there is no such page."""
    raise NoAnswer
