"""The file of an instance in another transfer syntax."""

from hounsfield.archive import Archive
from hounsfield.errors import Corrupt, Unsupported
from hounsfield.imaging.transcode import transcode
from hounsfield.retrieve.files import find_dicom
from hounsfield.retrieve.frames import file_buffer


def read_transcoded(
    archive: Archive, public_id: str, transfer_syntax_uid: str, *, lossy_quality: int | None = None
) -> bytes:
    """The file of an instance, transcoded; as it is if it has that transfer syntax already.

    Raises
    ------
    NotFound
        If there is no such instance.
    Unsupported
        If its pixels cannot be decoded, or not be written that way.
    """
    data = file_buffer(archive, find_dicom(archive, public_id))
    try:
        return transcode(data, transfer_syntax_uid, lossy_quality=lossy_quality)
    except Corrupt as cause:
        raise Unsupported(f"The instance cannot be transcoded to {transfer_syntax_uid}: {cause}") from cause
