"""What the REST interface tells of a configuration, mostly in `GET /system`."""

import hashlib
import uuid
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from hounsfield import __version__
from hounsfield.config import records
from hounsfield.config.configuration import Configuration
from hounsfield.config.postgres import is_in_postgres
from hounsfield.rest.door import RestOptions
from hounsfield.retrieve.packing import PackingOptions
from hounsfield.settings import Settings

_LIBRARIES = ("httptools", "imagecodecs", "numpy", "orjson", "uvicorn", "uvloop")


def rest_options(configuration: Configuration, settings: Settings) -> RestOptions:
    """The options of the REST interface, with what it may change."""
    tags = records.tags(configuration)
    return RestOptions(
        name=configuration.text("Name"),
        dicom_aet=configuration.text("DicomAet"),
        dicom_port=configuration.integer("DicomPort"),
        http_port=configuration.integer("HttpPort"),
        is_http_secure=records.is_http_secure(configuration),
        check_revisions=configuration.boolean("CheckRevisions"),
        storage_compression=configuration.boolean("StorageCompression"),
        store_md5=configuration.boolean("StoreMD5ForAttachments"),
        overwrite_mode=records.ingest(configuration).overwrite.value,
        ingest_transcoding=configuration.text("IngestTranscoding"),
        lossy_quality=configuration.integer("DicomLossyTranscodingQuality"),
        database_server_identifier=server_identifier(configuration),
        maximum_storage_size_mb=configuration.integer("MaximumStorageSize"),
        maximum_patient_count=configuration.integer("MaximumPatientCount"),
        maximum_storage_mode=records.ingest(configuration).maximum_storage_mode.value,
        default_retrieve_method=configuration.text("DicomDefaultRetrieveMethod"),
        is_patient_level_enabled=configuration.boolean("PatientLevelEnabled"),
        is_read_only=configuration.boolean("ReadOnly"),
        is_explorer_enabled=configuration.boolean("OrthancExplorerEnabled"),
        settings=settings,
        limit_find_results=configuration.integer("LimitFindResults"),
        limit_find_instances=configuration.integer("LimitFindInstances"),
        storage_access=configuration.text("StorageAccessOnFind"),
        user_metadata=tags.user_metadata,
        user_content_types={each.name: (each.number, each.mime_type) for each in tags.user_content_types},
        performance=records.performance(configuration),
        third_party_versions=_library_versions(),
        default_private_creator=configuration.text("DefaultPrivateCreator"),
        cached_answers_bytes=configuration.integer("DicomParserCacheSize") << 20,
        volumes_bytes=configuration.integer("VolumeCacheSize") << 20,
        may_write_files=configuration.boolean("RestApiWriteToFileSystemEnabled"),
        is_zip_streamed=configuration.boolean("SynchronousZipStream"),
        is_zip_utf8=configuration.boolean("ZipUseUtf8"),
        packing=_packing(configuration),
        plugins=_built_in_plugins(configuration),
    )


def _built_in_plugins(configuration: Configuration) -> Mapping[str, Mapping[str, object]]:
    """The plugins of Orthanc that this configuration would have loaded: clients look for them by name."""
    found: dict[str, str] = {"transfers": "Transfers between peers (built in)"}
    if is_in_postgres(configuration.given):
        found["postgresql-index"] = "The index in PostgreSQL (built in)"
    if configuration.mapping("Worklists").get("Enable") is True:
        found["orthanc-worklists"] = "The modality worklist (built in)"
    return {name: {"Description": description, "Version": __version__} for name, description in found.items()}


def _packing(configuration: Configuration) -> PackingOptions:
    """How files of archives are read ahead; of the names of an option the newest wins."""
    names = ("SequentialDicomReaderWindowSize", "LoaderThreads", "ZipLoaderThreads")
    window = next((value for name in names if (value := configuration.get(name)) is not None), None)
    usual = PackingOptions()
    return PackingOptions(
        threads=records.performance(configuration)["SequentialDicomReaderThreadsCount"] or 1,
        window=window if isinstance(window, int) and window > 0 else usual.window,
        window_bytes=configuration.integer("SequentialDicomReaderWindowCapacity") << 20,
        default_encoding=configuration.text("DefaultEncoding"),
    )


def server_identifier(configuration: Configuration) -> str:
    """The configured identifier, or a hash of what makes this server another than its neighbours."""
    given = configuration.text("DatabaseServerIdentifier")
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
