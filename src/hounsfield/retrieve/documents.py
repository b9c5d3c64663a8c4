"""Objects within instances: PDF, CDA, STL and other documents, and video. PS3.3 C.24.2, PS3.5 8.2.5 to 8.2.9."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hounsfield.archive import Archive
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.part10 import Head, read_head
from hounsfield.dicom.scan import UNDEFINED, Buffer
from hounsfield.dicom.tags import SOP_CLASS_UID, Tag
from hounsfield.errors import BadRequest, Corrupt
from hounsfield.imaging.fragments import Encapsulated, Span, locate_frame
from hounsfield.imaging.limits import DEFAULT_LIMITS
from hounsfield.retrieve.files import find_dicom
from hounsfield.retrieve.frames import file_buffer

ENCAPSULATED_DOCUMENT: Tag = 0x00420011
_LENGTH: Tag = 0x00420015
_MIME_TYPE: Tag = 0x00420012
_SUFFIX: Mapping[str, str] = MappingProxyType(
    {
        "application/pdf": ".pdf",
        "text/xml": ".xml",
        "application/sla": ".stl",
        "model/stl": ".stl",
        "model/obj": ".obj",
        "model/mtl": ".mtl",
        "text/plain": ".txt",
        "video/mpeg": ".mpg",
        "video/mp4": ".mp4",
        "video/h264": ".h264",
        "video/h265": ".h265",
    }
)
# By SOP class, where the data set does not say, or says something else than browsers understand.
_BY_CLASS: Mapping[str, str] = MappingProxyType(
    {
        "1.2.840.10008.5.1.4.1.1.104.1": "application/pdf",
        "1.2.840.10008.5.1.4.1.1.104.2": "text/xml",
        "1.2.840.10008.5.1.4.1.1.104.3": "model/stl",
        "1.2.840.10008.5.1.4.1.1.104.4": "model/obj",
        "1.2.840.10008.5.1.4.1.1.104.5": "model/mtl",
    }
)
_SAFE = frozenset(_SUFFIX)
_STEM = "1.2.840.10008.1.2.4."
_VIDEO: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys((_STEM + "100", _STEM + "100.1", _STEM + "101", _STEM + "101.1"), "video/mpeg"),
        **{
            f"{_STEM}{number}{fragmentable}": "video/h264"
            for number in range(102, 107)
            for fragmentable in ("", ".1")
        },
        _STEM + "107": "video/h265",
        _STEM + "108": "video/h265",
    }
)
_MP4 = b"ftyp"
_PIECE = 1 << 20


class NoDocument(BadRequest):
    """The instance holds no such object."""


@dataclass(frozen=True, slots=True)
class Document:
    """An object that was within an instance."""

    data: bytes | Iterator[bytes]
    """In pieces if it is a video, which may be longer than the memory."""

    mime_type: str
    suffix: str


def has_document(dataset: Dataset) -> bool:
    """Whether an instance encapsulates a document."""
    return ENCAPSULATED_DOCUMENT in dataset


def is_video(head: Head) -> bool:
    """Whether the pixels are a video."""
    return head.transfer_syntax_uid in _VIDEO


def read_object(archive: Archive, public_id: str) -> Document:
    """The document or the video of an instance.

    Raises
    ------
    NotFound
        If there is no such instance.
    NoDocument
        If it holds neither.
    Corrupt
        If its fragments cannot be found.
    """
    data = file_buffer(archive, find_dicom(archive, public_id))
    head = read_head(data)
    if is_video(head):
        return _video(data, head)
    if has_document(head.dataset):
        return _document(head.dataset)
    raise NoDocument("The instance holds neither a document nor a video")


def document_type(dataset: Dataset) -> str:
    """The media type of a document; one that browsers could run is given as plain bytes.

    That is by SOP class, else by MIME Type of Encapsulated Document (0042,0012).
    """
    declared = (dataset.text(_MIME_TYPE) or "").strip(" \0").lower()
    mime = _BY_CLASS.get((dataset.text(SOP_CLASS_UID) or "").strip(), declared)
    return mime if mime in _SAFE else "application/octet-stream"


def _document(dataset: Dataset) -> Document:
    mime = document_type(dataset)
    data = dataset.raw(ENCAPSULATED_DOCUMENT)
    length = dataset.int(_LENGTH)
    # Values have an even length: the last byte is padding if the document's own length says so, or if it is 0.
    if length is not None and length == len(data) - 1:
        data = data[:length]
    elif length is None and mime != "model/stl":
        data = data.removesuffix(b"\0")
    return Document(data, mime, _SUFFIX.get(mime, ".bin"))


def _video(data: Buffer, head: Head) -> Document:
    """All fragments one after the other: they are one stream."""
    if head.pixel_data_offset is None or head.pixel_data_length not in (None, UNDEFINED):
        raise Corrupt("a video that is not encapsulated")
    view = memoryview(data)
    # After the tag, the VR and the length of the pixel data comes the first item.
    encapsulated = Encapsulated(view, head.pixel_data_offset + 12, 1, None)
    spans = locate_frame(encapsulated, 1, DEFAULT_LIMITS)
    mime = _VIDEO[head.transfer_syntax_uid]
    if spans and bytes(view[spans[0][0] + 4 : spans[0][0] + 8]) == _MP4:
        mime = "video/mp4"
    return Document(_pieces(view, spans), mime, _SUFFIX[mime])


def _pieces(view: memoryview, spans: Iterable[Span]) -> Iterator[bytes]:
    for begin, end in spans:
        for start in range(begin, end, _PIECE):
            yield bytes(view[start : min(start + _PIECE, end)])
