"""Names of metadata: the system's, those of `UserMetadata`, and plain numbers."""

from hounsfield.index.metadata import MetadataType
from hounsfield.rest.door import RestOptions

_BY_NAME = {kind.word: int(kind) for kind in MetadataType}
_BY_NUMBER = {int(kind): kind.word for kind in MetadataType}


def metadata_name(options: RestOptions, kind: int) -> str:
    """The name of a number."""
    if kind in _BY_NUMBER:
        return _BY_NUMBER[kind]
    return next((name for name, number in options.user_metadata.items() if number == kind), str(kind))


def metadata_number(options: RestOptions, name: str) -> int | None:
    """The number of a name, or None."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name in options.user_metadata:
        return options.user_metadata[name]
    return int(name) if name.isascii() and name.isdigit() and len(name) < 10 else None
