"""What every module of this room works with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hounsfield.archive import Archive
from hounsfield.dicom.main_tags import MainTags
from hounsfield.ingest.intake import Intake
from hounsfield.ingest.upload import UploadOptions
from hounsfield.jobs.archives import ArchiveMaker
from hounsfield.jobs.engine import Engine
from hounsfield.retrieve.datasets import BytesCache
from hounsfield.retrieve.packing import PackingOptions
from hounsfield.retrieve.turns import Turns
from hounsfield.retrieve.volume_cache import VolumeCache
from hounsfield.settings import Lifecycle, Settings

# The release of Orthanc whose interface this is; clients decide by it what they may ask for.
ORTHANC_VERSION = "1.13.0"
API_VERSION = 31
_ANSWERS_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class RestOptions:
    """What the configuration says about this door, and what it tells of the rest.

    `limit_find_results` and `limit_find_instances` are 0 for no limit. `storage_access` is `Always`, `Answers` or
    `Never`: whether searches may read files. `plugins` holds what `/plugins/{id}` answers.
    """

    name: str = ""
    dicom_aet: str = "ORTHANC"
    dicom_port: int = 4242
    http_port: int = 8042
    is_http_secure: bool = True
    check_revisions: bool = False
    storage_compression: bool = False
    store_md5: bool = True
    overwrite_mode: str = "Never"
    ingest_transcoding: str = ""
    lossy_quality: int = 90
    database_server_identifier: str = ""
    maximum_storage_size_mb: int = 0
    maximum_patient_count: int = 0
    maximum_storage_mode: str = "Recycle"
    default_retrieve_method: str = "C-MOVE"
    is_patient_level_enabled: bool = True
    is_read_only: bool = False
    is_explorer_enabled: bool = True
    settings: Settings = field(default_factory=Settings)
    limit_find_results: int = 0
    limit_find_instances: int = 0
    storage_access: str = "Always"
    user_metadata: Mapping[str, int] = field(default_factory=dict)
    user_content_types: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    performance: Mapping[str, int] = field(default_factory=dict)
    third_party_versions: Mapping[str, str] = field(default_factory=dict)
    plugins: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: MappingProxyType({}))
    default_private_creator: str = ""
    cached_answers_bytes: int = 64 * 1024 * 1024
    volumes_bytes: int = 1024 * 1024 * 1024
    may_write_files: bool = False
    is_zip_streamed: bool = True
    is_zip_utf8: bool = False
    packing: PackingOptions = field(default_factory=PackingOptions)

    @property
    def default_encoding(self) -> str:
        """The character set of files that name none, as it is now."""
        return self.settings.default_encoding


@dataclass(frozen=True, slots=True)
class Door:
    """The collaborators of all handlers."""

    archive: Archive
    intake: Intake
    uploads: UploadOptions
    options: RestOptions
    cache: BytesCache
    engine: Engine
    archives: ArchiveMaker
    volumes: VolumeCache
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    answers: BytesCache = field(default_factory=lambda: BytesCache(_ANSWERS_BYTES))
    turns: Turns = field(default_factory=Turns)

    @property
    def settings(self) -> Settings:
        """What clients may change."""
        return self.options.settings

    @property
    def main_tags(self) -> MainTags:
        """The main DICOM tags in force."""
        return self.intake.options.main_tags
