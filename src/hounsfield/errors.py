"""Ten words for what can go wrong.

    ArchiveError
    |- NotFound       what was named does not exist
    |- BadRequest     the caller asked for something that makes no sense
    |- Conflict       it contradicts what is already there
    |- Refused        the caller may not
    |- Unsupported    we do not know how
    |- Corrupt        the bytes are not what they claim to be
    |- StorageFull    there is no room
    |- PeerFailure    another machine failed us
    |- TimedOut       it took too long
    `- Cancelled      somebody asked to stop

A room may subclass one of the ten, never the root. Messages carry UIDs and public ids, never a
patient's name, identifier or birth date. Doors translate: `http.status` and `scp.status`.
"""


class ArchiveError(Exception):
    """The root; raise one of the ten instead."""


class NotFound(ArchiveError):
    """What was named does not exist."""


class BadRequest(ArchiveError):
    """The caller asked for something that makes no sense."""


class Conflict(ArchiveError):
    """The request contradicts what is already there."""


class Refused(ArchiveError):
    """The caller may not do this."""


class Unsupported(ArchiveError):
    """We do not know how to do this."""


class Corrupt(ArchiveError):
    """The bytes are not what they claim to be."""


class StorageFull(ArchiveError):
    """There is no room left."""


class PeerFailure(ArchiveError):
    """Another machine failed us."""


class TimedOut(ArchiveError):
    """It took too long."""


class Cancelled(ArchiveError):
    """Somebody asked to stop."""


class DatabaseUnavailable(PeerFailure):
    """The server of the index cannot be reached; the request may be repeated later."""


class DatabaseCannotSerialize(Conflict):
    """The index could not put what several writers did in an order, however often it tried."""
