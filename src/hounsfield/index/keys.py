"""Public ids as the index stores them: the 20 bytes of their SHA-1, which sort as the ids do."""

from hounsfield.dicom.identifiers import PublicId


def to_key(public_id: str) -> bytes:
    """The key of a public id; of any other text, a key that nothing has."""
    if len(public_id) != 44:
        return b""
    try:
        return bytes.fromhex(public_id.replace("-", ""))
    except ValueError:
        return b""


def to_public_id(key: bytes) -> PublicId:
    """The public id of a key: five groups of eight digits."""
    return PublicId(key.hex("-", 4))
