"""The options of each room, taken from a checked configuration. `server` hands them over.

Sizes are in bytes, times in seconds, and None stands for no limit or no value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from hounsfield.config.configuration import Configuration
from hounsfield.config.declarations import (
    DeclaredTag,
    UserContentType,
    read_declared_tags,
    read_extra_main_dicom_tags,
    read_user_content_types,
    read_user_metadata,
)
from hounsfield.config.modalities import read_modality
from hounsfield.config.remarks import WELL_KNOWN_ACCOUNTS
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import Tag
from hounsfield.http.auth import AccessOptions
from hounsfield.imaging.isolation import IsolationOptions
from hounsfield.ingest.resumable import ResumableOptions
from hounsfield.ingest.transcoding import TranscodingOptions
from hounsfield.remote.modality import Modality

LOOPBACK = ("127.0.0.1",)
EVERYWHERE = ("0.0.0.0",)
_MEGABYTE = 1024 * 1024


class OverwriteMode(Enum):
    """What to do with an instance that is already stored; the values are Orthanc's."""

    NEVER = "Never"
    ALWAYS = "Always"
    IF_CHANGED = "IfChanged"


class MaximumStorageMode(Enum):
    """What to do when the archive is full; the values are Orthanc's."""

    RECYCLE = "Recycle"
    REJECT = "Reject"


@dataclass(frozen=True, slots=True)
class GeneralOptions:
    """The server as a whole."""

    storage_folder: Path
    index_folder: Path


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The HTTP server. `access` holds the users."""

    is_enabled: bool
    port: int
    bind_addresses: tuple[str, ...]
    access: AccessOptions = field(repr=False)
    threads_count: int
    request_timeout_seconds: int
    is_kept_alive: bool
    keep_alive_timeout_seconds: int
    is_compression_enabled: bool
    describe_errors: bool
    maximum_body_bytes: int | None
    maximum_archive_member_bytes: int | None
    is_explorer_enabled: bool


@dataclass(frozen=True, slots=True)
class DicomServerOptions:
    """The DICOM server. `transfer_syntax_switches` hold only the groups that were set, by the option's name."""

    is_enabled: bool
    port: int
    bind_addresses: tuple[str, ...]
    ae_title: str
    check_called_ae_title: bool
    is_comparison_strict: bool
    timeout_seconds: int | None
    maximum_pdu_length: int
    check_modality_host: bool
    accepted_transfer_syntaxes: tuple[str, ...]
    transfer_syntax_switches: Mapping[str, bool]
    unknown_sop_class_accepted: bool
    accepted_sop_classes: tuple[str, ...] | None
    rejected_sop_classes: tuple[str, ...]
    modalities: Mapping[str, Modality]


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How instances are stored."""

    overwrite: OverwriteMode
    is_compressed: bool
    is_synced: bool
    maximum_storage_bytes: int | None
    maximum_patient_count: int | None
    maximum_storage_mode: MaximumStorageMode
    stable_age_seconds: int
    is_read_only: bool
    transcoding: TranscodingOptions | None


@dataclass(frozen=True, slots=True)
class JobOptions:
    """How jobs are run. `concurrent` is 0 for one a processor."""

    concurrent: int
    history: int
    kept_archives: int
    is_saved: bool


@dataclass(frozen=True, slots=True)
class TagOptions:
    """What the configuration declares about attributes, metadata and attachments."""

    default_encoding: str
    extra_main_dicom_tags: Mapping[Level, tuple[Tag, ...]]
    user_metadata: Mapping[str, int]
    user_content_types: tuple[UserContentType, ...]
    declared: tuple[DeclaredTag, ...]


def general(configuration: Configuration) -> GeneralOptions:
    """The options of the server as a whole."""
    storage = configuration.path("StorageDirectory")
    if storage is None or not (configuration.is_configured or "StorageDirectory" in configuration.given):
        storage = configuration.base_folder / "HounsfieldStorage"
    return GeneralOptions(
        storage_folder=storage, index_folder=configuration.path("IndexDirectory") or storage
    )


def http(configuration: Configuration) -> HttpOptions:
    """The options of the HTTP server."""
    everywhere = configuration.boolean("RemoteAccessAllowed")
    return HttpOptions(
        is_enabled=configuration.boolean("HttpServerEnabled"),
        port=configuration.integer("HttpPort"),
        bind_addresses=configuration.texts("HttpBindAddresses") or (EVERYWHERE if everywhere else LOOPBACK),
        access=access(configuration),
        threads_count=configuration.integer("HttpThreadsCount"),
        request_timeout_seconds=configuration.integer("HttpRequestTimeout"),
        is_kept_alive=configuration.boolean("KeepAlive"),
        keep_alive_timeout_seconds=configuration.integer("KeepAliveTimeout"),
        is_compression_enabled=configuration.boolean("HttpCompressionEnabled"),
        describe_errors=configuration.boolean("HttpDescribeErrors"),
        maximum_body_bytes=_bytes(configuration, "MaximumRequestBodySizeMB"),
        maximum_archive_member_bytes=_bytes(configuration, "MaximumFileSizeInArchiveMB"),
        is_explorer_enabled=configuration.boolean("OrthancExplorerEnabled"),
    )


def access(configuration: Configuration) -> AccessOptions:
    """Who may use HTTP. Authentication follows remote access unless it is set."""
    remote = configuration.boolean("RemoteAccessAllowed")
    authentication = configuration.get("AuthenticationEnabled")
    users = configuration.mapping("RegisteredUsers")
    return AccessOptions(
        is_remote_access_allowed=remote,
        is_authentication_enabled=remote if authentication is None else bool(authentication),
        users={name: password for name, password in users.items() if isinstance(password, str)},
    )


def is_http_secure(configuration: Configuration) -> bool:
    """What `/system` says as `IsHttpServerSecure`: no open door, and no account that everybody knows."""
    options = access(configuration)
    if not options.is_authentication_enabled:
        return not options.is_remote_access_allowed
    return not WELL_KNOWN_ACCOUNTS & set(options.users.items())


def dicom_server(configuration: Configuration) -> DicomServerOptions:
    """The options of the DICOM server.

    It listens everywhere as soon as there is a configuration, as Orthanc does: scanners are other machines. A
    server that was started without any is not reachable from outside.
    """
    everywhere = configuration.is_configured or configuration.boolean("RemoteAccessAllowed")
    rejected = (*configuration.texts("RejectedSopClasses"), *configuration.texts("RejectSopClasses"))
    return DicomServerOptions(
        is_enabled=configuration.boolean("DicomServerEnabled"),
        port=configuration.integer("DicomPort"),
        bind_addresses=configuration.texts("DicomBindAddresses") or (EVERYWHERE if everywhere else LOOPBACK),
        ae_title=configuration.text("DicomAet").strip(" "),
        check_called_ae_title=configuration.boolean("DicomCheckCalledAet"),
        is_comparison_strict=configuration.boolean("StrictAetComparison"),
        timeout_seconds=configuration.limit("DicomScpTimeout"),
        maximum_pdu_length=configuration.integer("MaximumPduLength"),
        check_modality_host=configuration.boolean("DicomCheckModalityHost"),
        accepted_transfer_syntaxes=configuration.texts("AcceptedTransferSyntaxes"),
        transfer_syntax_switches=_switches(configuration),
        unknown_sop_class_accepted=configuration.boolean("UnknownSopClassAccepted"),
        accepted_sop_classes=configuration.texts("AcceptedSopClasses") or None,
        rejected_sop_classes=rejected,
        modalities=modalities(configuration),
    )


def modalities(configuration: Configuration) -> dict[str, Modality]:
    """The DICOM servers we know, by the name the configuration gives them."""
    entries = configuration.mapping("DicomModalities")
    return {name: read_modality(name, value) for name, value in entries.items()}


_SWITCHES = (
    "DeflatedTransferSyntaxAccepted",
    "JpegTransferSyntaxAccepted",
    "Jpeg2000TransferSyntaxAccepted",
    "JpegLosslessTransferSyntaxAccepted",
    "JpipTransferSyntaxAccepted",
    "Mpeg2TransferSyntaxAccepted",
    "RleTransferSyntaxAccepted",
    "Mpeg4TransferSyntaxAccepted",
    "H265TransferSyntaxAccepted",
)


def _switches(configuration: Configuration) -> dict[str, bool]:
    return {name: configuration.boolean(name) for name in _SWITCHES if configuration.get(name) is not None}


def ingest(configuration: Configuration) -> IngestOptions:
    """The options of storing."""
    overwrite = configuration.get("OverwriteInstances")
    if isinstance(overwrite, bool):
        overwrite = "Always" if overwrite else "Never"
    # A typing error must not delete anything: what is not "Recycle" rejects.
    recycles = configuration.text("MaximumStorageMode") == MaximumStorageMode.RECYCLE.value
    return IngestOptions(
        overwrite=OverwriteMode(overwrite),
        is_compressed=configuration.boolean("StorageCompression"),
        is_synced=configuration.boolean("SyncStorageArea"),
        maximum_storage_bytes=_bytes(configuration, "MaximumStorageSize"),
        maximum_patient_count=configuration.limit("MaximumPatientCount"),
        maximum_storage_mode=MaximumStorageMode.RECYCLE if recycles else MaximumStorageMode.REJECT,
        stable_age_seconds=configuration.integer("StableAge") or 60,
        is_read_only=configuration.boolean("ReadOnly"),
        transcoding=_transcoding(configuration),
    )


def _transcoding(configuration: Configuration) -> TranscodingOptions | None:
    uid = configuration.text("IngestTranscoding")
    if not uid:
        return None
    return TranscodingOptions(
        uid,
        of_uncompressed=configuration.boolean("IngestTranscodingOfUncompressed"),
        of_compressed=configuration.boolean("IngestTranscodingOfCompressed"),
        lossy_quality=configuration.integer("DicomLossyTranscodingQuality"),
    )


def resumable_uploads(configuration: Configuration, folder: Path) -> ResumableOptions:
    """The limits of uploads that go on after a cut, which are kept in `folder`."""
    return ResumableOptions(
        folder,
        maximum_size=_bytes(configuration, "ResumableUploadMaximumSizeMB") or 0,
        maximum_count=configuration.integer("ResumableUploadMaximumCount"),
        expiry_seconds=configuration.integer("ResumableUploadExpiration"),
        is_synced=configuration.boolean("SyncStorageArea"),
    )


def isolation(configuration: Configuration) -> IsolationOptions:
    """The options of the processes that codecs run in."""
    return IsolationOptions(workers=configuration.integer("MaximumConcurrentDcmtkTranscoders"))


def jobs(configuration: Configuration) -> JobOptions:
    """The options of jobs."""
    return JobOptions(
        concurrent=configuration.integer("ConcurrentJobs"),
        history=configuration.integer("JobsHistorySize"),
        kept_archives=configuration.integer("MediaArchiveSize"),
        is_saved=configuration.boolean("SaveJobs") and not configuration.boolean("ReadOnly"),
    )


def tags(configuration: Configuration) -> TagOptions:
    """What is declared about attributes and metadata."""
    declared = read_declared_tags(
        configuration.mapping("Dictionary"), configuration.text("DefaultPrivateCreator")
    )
    return TagOptions(
        default_encoding=configuration.text("DefaultEncoding"),
        extra_main_dicom_tags=read_extra_main_dicom_tags(
            configuration.mapping("ExtraMainDicomTags"), declared
        ),
        user_metadata=read_user_metadata(configuration.mapping("UserMetadata")),
        user_content_types=read_user_content_types(configuration.mapping("UserContentType")),
        declared=declared,
    )


_PUBLISHED = (
    "MaximumStorageCacheSize",
    "StorageMemoryCapacity",
    "DicomParserCacheSize",
    "DicomParserMemoryCapacity",
    "TranscoderCacheSize",
    "TranscoderMemoryCapacity",
    "StorageLoaderThreadsCount",
    "DicomParserThreadsCount",
    "TranscoderThreadsCount",
    "HttpThreadsCount",
    "DicomThreadsCount",
    "ConcurrentJobs",
)


def performance(configuration: Configuration) -> dict[str, int]:
    """What `/system` publishes as `Performance`, by Orthanc's names."""
    published = {name: configuration.integer(name) for name in _PUBLISHED}
    readers = configuration.get("SequentialDicomReaderThreadsCount")
    published["SequentialDicomReaderThreadsCount"] = (
        readers if isinstance(readers, int) else published["StorageLoaderThreadsCount"]
    )
    return published


def _bytes(configuration: Configuration, name: str) -> int | None:
    """A limit given in MB; 0 is no limit."""
    return configuration.integer(name) * _MEGABYTE or None
