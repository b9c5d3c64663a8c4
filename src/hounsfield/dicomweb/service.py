"""What every module of this room works with."""

from dataclasses import dataclass, field

from hounsfield.archive import Archive
from hounsfield.dicom.main_tags import DEFAULT_MAIN_TAGS, MainTags
from hounsfield.settings import Settings


@dataclass(frozen=True, slots=True)
class DicomWebOptions:
    """What the configuration says about this door; `host` and `is_secure` are only for the addresses in answers.

    `root` and `public_root` begin and end with a slash. Limits are 0 for none. `storage_access` is `Always`, `Answers`
    or `Never`: whether searches may read more than main DICOM tags.
    """

    is_enabled: bool = True
    root: str = "/dicom-web/"
    public_root: str = "/dicom-web/"
    host: str = ""
    is_secure: bool = False
    is_case_sensitive: bool = False
    limit_results: int = 0
    limit_instances: int = 0
    storage_access: str = "Always"


@dataclass(frozen=True, slots=True)
class DicomWeb:
    """The collaborators of all handlers."""

    archive: Archive
    options: DicomWebOptions
    settings: Settings
    main_tags: MainTags = field(default=DEFAULT_MAIN_TAGS, repr=False)
