"""The ten errors, narrowed to what a client of this interface distinguishes.

Every class here has a line in `status`; rooms below raise the ten, or their own subclasses of them.
"""

from hounsfield.errors import (
    BadRequest,
    Conflict,
    Corrupt,
    NotFound,
    PeerFailure,
    Refused,
    TimedOut,
    Unsupported,
)


class NoAnswer(NotFound):
    """There is nothing to say: a bare 404, or a bare 400 for a POST."""


class UnknownVerb(BadRequest):
    """A verb that nothing here understands: a bare 400."""


class UnknownResource(NotFound):
    """No route, or no patient, study, series, instance of that name."""


class InexistentItem(NotFound):
    """A name that was never heard of: metadata, attachment, modality, job output."""


class InexistentFile(NotFound):
    """A file that should be there is not."""


class InexistentTag(NotFound):
    """The data set lacks a tag that was needed."""


class ParameterOutOfRange(BadRequest):
    """A parameter has an impossible value."""


class BadRevision(ParameterOutOfRange):
    """A condition on a revision that names none; the answer tells the revision there is, in `headers`."""

    def __init__(self, details: str = "", headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(details)
        self.headers = headers


class CannotOrderSlices(BadRequest):
    """The slices of a series have no order."""


class BadParameterType(BadRequest):
    """A parameter has the wrong type."""


class BadFileFormat(Corrupt):
    """The body is not in the format that was expected."""


class BadJson(Corrupt):
    """The body is not JSON."""


class UnknownDicomTag(BadRequest):
    """The name of a tag that is in no dictionary."""


class BadSequenceOfCalls(BadRequest):
    """It makes no sense in this order."""


class Forbidden(Refused):
    """Nobody may do this, or it is switched off: a bare 403."""


class CannotWriteFile(Refused):
    """The file system does not let us."""


class ReadOnly(Refused):
    """The archive takes no changes."""


class RangeNotSatisfiable(BadRequest):
    """The bytes asked for are not there."""


class NotAcceptable(BadRequest):
    """Nothing we can answer is acceptable to the client."""


class UnsupportedMediaType(Unsupported):
    """The body is of a type we do not take, or the pixels cannot be shown: a bare 415."""


class WrongRevision(Conflict):
    """Somebody else wrote in between."""


class CannotStoreInstance(Conflict):
    """An instance that was made here was not taken into the archive."""


class CreateNotText(BadRequest):
    """A tag of an instance to be created is not given as a text."""


class CreateOverridesTag(BadRequest):
    """A tag of an instance to be created is that of its parent, or an identifier."""


class CreateUsesContent(BadRequest):
    """Pixel data of an instance to be created is given among its tags."""


class CreateWithoutPayload(BadRequest):
    """An instance to be created in a series of several has no content."""


class CreateWithoutDataUri(BadRequest):
    """The content of an instance to be created is no data URI."""


class BadParent(BadRequest):
    """The parent of an instance to be created does not exist."""


class ParentIsInstance(BadRequest):
    """The parent of an instance to be created is an instance."""


class Busy(TimedOut):
    """Too much is asked at once; later it may be done."""


class ProtocolViolation(BadRequest):
    """The client breaks a rule of the protocol."""


class NoSopClassOrInstance(Corrupt):
    """A file does not say which instance of which SOP class it is, so that it cannot be sent."""


class NoPresentationContext(PeerFailure):
    """A modality accepts no presentation context that would be needed."""


class CorruptedTransfer(Corrupt):
    """What a peer sent is not what it announced."""
