"""Errors of the rooms below that clients tell apart, in the words of HTTP."""

from functools import wraps

from hounsfield.deid.paths import BadPath
from hounsfield.deid.request import WrongType, WrongValue
from hounsfield.dicom.dictionary.lookup import UnknownTag
from hounsfield.dicom.identifiers import MissingTag
from hounsfield.errors import ArchiveError
from hounsfield.http.errors import (
    BadParameterType,
    Busy,
    CannotOrderSlices,
    InexistentFile,
    InexistentItem,
    InexistentTag,
    ParameterOutOfRange,
    UnknownDicomTag,
)
from hounsfield.http.messages import Request, Response
from hounsfield.http.routing import Handler
from hounsfield.imaging.frames import NoSuchFrame
from hounsfield.remote.directory import UnknownName
from hounsfield.remote.modality import ImpossibleValue
from hounsfield.remote.peer import CertificateMissing
from hounsfield.retrieve import series
from hounsfield.retrieve.volume_cache import TooBusy

_NARROWED: tuple[tuple[type[ArchiveError], type[ArchiveError]], ...] = (
    (UnknownTag, UnknownDicomTag),
    (WrongType, BadParameterType),
    (WrongValue, ParameterOutOfRange),
    (BadPath, ParameterOutOfRange),
    (MissingTag, InexistentTag),
    (NoSuchFrame, ParameterOutOfRange),
    (series.CannotOrderSlices, CannotOrderSlices),
    (TooBusy, Busy),
    (ImpossibleValue, ParameterOutOfRange),
    (UnknownName, InexistentItem),
    (CertificateMissing, InexistentFile),
)
_HERE = tuple(here for here, _ in _NARROWED)


def translated(handler: Handler) -> Handler:
    """The same handler, with these errors translated."""

    @wraps(handler)
    def handle(request: Request) -> Response:
        try:
            return handler(request)
        except _HERE as error:
            word = next(there for here, there in _NARROWED if isinstance(error, here))
            raise word(str(error)) from error

    return handle
