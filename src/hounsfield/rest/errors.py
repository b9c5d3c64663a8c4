"""How the errors of the rooms below are answered here."""

from collections.abc import Mapping
from types import MappingProxyType

from hounsfield.dicom.dictionary.lookup import UnknownTag
from hounsfield.dicom.identifiers import MissingTag
from hounsfield.errors import ArchiveError
from hounsfield.http.status import STATUSES, Status
from hounsfield.imaging.frames import NoPixelData, NoSuchFrame

REST_STATUSES: Mapping[type[ArchiveError], Status] = MappingProxyType(
    {
        **STATUSES,
        UnknownTag: Status(500, 27, "Unknown DICOM tag"),
        MissingTag: Status(404, 21, "Inexistent tag"),
        NoPixelData: Status(400, 8, "Bad request"),
        NoSuchFrame: Status(400, 3, "Parameter out of range"),
    }
)
