"""What each error is called in an answer: HTTP status, and Orthanc's code and text.

Looked up along the class's method resolution order, so that a room's own subclass of one of the ten is answered
like its parent. Codes and texts are those every client of this interface knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from hounsfield import errors
from hounsfield.http import errors as narrow


@dataclass(frozen=True, slots=True)
class Status:
    """How an error is answered; a bare one has no body."""

    http: int
    code: int
    text: str
    is_bare: bool = False


INTERNAL = Status(500, -1, "Internal error")

STATUSES: Mapping[type[errors.ArchiveError], Status] = {
    errors.NotFound: Status(404, 17, "Unknown resource"),
    errors.BadRequest: Status(400, 8, "Bad request"),
    errors.Conflict: Status(409, 46, "The resource already exists"),
    errors.Refused: Status(403, 45, "Access to a resource is forbidden"),
    errors.Unsupported: Status(500, 2, "Not implemented yet"),
    errors.Corrupt: Status(400, 15, "Bad file format"),
    errors.StorageFull: Status(507, 19, "The file storage is full"),
    errors.PeerFailure: Status(500, 9, "Error in the network protocol"),
    errors.TimedOut: Status(500, 16, "Timeout"),
    errors.Cancelled: Status(500, 37, "This job was canceled"),
    errors.DatabaseUnavailable: Status(
        503, 36, "The database is currently not available (probably a transient situation)"
    ),
    errors.DatabaseCannotSerialize: Status(
        503,
        42,
        "Database could not serialize access due to concurrent update, the transaction should be retried",
    ),
    narrow.NoAnswer: Status(404, 17, "Unknown resource", is_bare=True),
    narrow.UnknownVerb: Status(400, 8, "Bad request", is_bare=True),
    narrow.UnknownResource: Status(404, 17, "Unknown resource"),
    narrow.InexistentItem: Status(404, 7, "Accessing an inexistent item"),
    narrow.InexistentFile: Status(404, 13, "Inexistent file"),
    narrow.InexistentTag: Status(404, 21, "Inexistent tag"),
    narrow.ParameterOutOfRange: Status(400, 3, "Parameter out of range"),
    narrow.BadRevision: Status(400, 3, "Parameter out of range"),
    narrow.CannotOrderSlices: Status(500, 2040, "Unable to order the slices of the series"),
    narrow.BadParameterType: Status(400, 5, "Bad type for a parameter"),
    narrow.BadFileFormat: Status(400, 15, "Bad file format"),
    narrow.BadJson: Status(400, 28, "Cannot parse a JSON document"),
    narrow.UnknownDicomTag: Status(500, 27, "Unknown DICOM tag"),
    narrow.BadSequenceOfCalls: Status(500, 6, "Bad sequence of calls"),
    narrow.Forbidden: Status(403, 45, "Access to a resource is forbidden", is_bare=True),
    narrow.CannotWriteFile: Status(500, 14, "Cannot write to file"),
    narrow.ReadOnly: Status(500, 22, "Cannot modify a read-only data structure"),
    narrow.RangeNotSatisfiable: Status(416, 41, "Incorrect range request"),
    narrow.NotAcceptable: Status(
        406, 34, "Cannot send a response which is acceptable according to the Accept HTTP header"
    ),
    narrow.UnsupportedMediaType: Status(415, 3000, "Unsupported media type", is_bare=True),
    narrow.Busy: Status(503, 16, "Timeout"),
    narrow.WrongRevision: Status(
        409,
        43,
        "A bad revision number was provided, which might indicate conflict between multiple writers",
    ),
    narrow.CannotStoreInstance: Status(500, 2018, "Cannot store an instance"),
    narrow.CreateNotText: Status(400, 2019, "The tags of an instance to be created must be strings"),
    narrow.CreateOverridesTag: Status(
        400, 2020, "Trying to override a tag that belongs to the parent resource"
    ),
    narrow.CreateUsesContent: Status(400, 2021, 'Use the field "Content" to give the pixel data'),
    narrow.CreateWithoutPayload: Status(400, 2022, "No payload is given for one of the instances"),
    narrow.CreateWithoutDataUri: Status(400, 2023, "The payload must be a data URI"),
    narrow.BadParent: Status(400, 2024, "The parent of the instance to be created does not exist"),
    narrow.ParentIsInstance: Status(400, 2025, "The parent of the instance to be created is an instance"),
    narrow.ProtocolViolation: Status(500, 9, "Error in the network protocol"),
    narrow.NoSopClassOrInstance: Status(
        500,
        2014,
        "DicomUserConnection: The C-STORE command failed because of the lack of SOP class or instance",
    ),
    narrow.CorruptedTransfer: Status(500, 20, "Corrupted file (e.g. inconsistent MD5 hash)"),
    narrow.NoPresentationContext: Status(
        500,
        2015,
        "DicomUserConnection: No acceptable presentation context for modality",
    ),
}


_BY_CODE = {status.code: status for status in reversed(tuple(STATUSES.values())) if not status.is_bare}


class Retold(errors.BadRequest):
    """An error that happened earlier, such as a job's, answered as it would have been then."""

    def __init__(
        self, details: str = "", code: int = 8, text: str = "Bad request", payload: object = None
    ) -> None:
        super().__init__(details)
        self.status = Status(_BY_CODE[code].http if code in _BY_CODE else 500, code, text)
        self.payload = payload


def status_of(
    error: errors.ArchiveError, table: Mapping[type[errors.ArchiveError], Status] = STATUSES
) -> Status:
    """The line of `table` for the nearest ancestor of the error's class."""
    if isinstance(error, Retold):
        return error.status
    for kind in type(error).__mro__:
        if kind in table:
            return table[kind]
    return INTERNAL


def phrase(status: int) -> str:
    """The name of an HTTP status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
