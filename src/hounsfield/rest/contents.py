"""What an instance is made of beside tags: pictures, video and documents. PS3.3 A.8, A.32, A.45, A.85."""

import struct
from types import MappingProxyType

from hounsfield.deid.request import read_data_uri
from hounsfield.dicom.mutable import MutableDataset
from hounsfield.dicom.part10 import wrap_header
from hounsfield.dicom.scan import EXPLICIT_LITTLE, UNDEFINED
from hounsfield.dicom.tags import (
    BITS_ALLOCATED,
    PIXEL_DATA,
    PIXEL_REPRESENTATION,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    Tag,
)
from hounsfield.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from hounsfield.errors import BadRequest
from hounsfield.http.errors import BadFileFormat
from hounsfield.imaging.description import BITS_STORED as STORED
from hounsfield.imaging.description import (
    COLUMNS,
    HIGH_BIT,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    ROWS,
    SAMPLES_PER_PIXEL,
)
from hounsfield.imaging.pictures import JPEG, Picture, embed_jpeg, read_picture
from hounsfield.imaging.video_facts import MP4, read_mp4

_MODALITY: Tag = 0x00080060
_CONVERSION_TYPE: Tag = 0x00080064
_ENCAPSULATED_DOCUMENT: Tag = 0x00420011
_MIME_TYPE_OF_DOCUMENT: Tag = 0x00420012
_JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
_PDF = "application/pdf"
_OCTETS = "application/octet-stream"
# SOP class and modality of encapsulated documents, by their type.
_DOCUMENTS = MappingProxyType(
    {
        _PDF: ("1.2.840.10008.5.1.4.1.1.104.1", "OT"),
        "model/stl": ("1.2.840.10008.5.1.4.1.1.104.3", "M3D"),
        "model/obj": ("1.2.840.10008.5.1.4.1.1.104.4", "M3D"),
        "model/mtl": ("1.2.840.10008.5.1.4.1.1.104.5", "M3D"),
    }
)
# PS3.3 A.32.6, for what does not say that it is of an endoscope or a microscope.
_VIDEO_PHOTOGRAPHY = "1.2.840.10008.5.1.4.1.1.77.1.4.1"
_PHOTOGRAPHY = "XC"
_CINE_RATE: Tag = 0x00180040
_FRAME_TIME: Tag = 0x00181063
_NUMBER_OF_FRAMES: Tag = 0x00280008
_FRAME_INCREMENT_POINTER: Tag = 0x00280009
_LOSSY: Tag = 0x00282110
_LOSSY_RATIO: Tag = 0x00282112
_LOSSY_METHOD: Tag = 0x00282114
_LONGEST_FRAGMENT = 0xFFFFFFFE
_YBR_PARTIAL_420 = "YBR_PARTIAL_420"


def with_content(dataset: MutableDataset, uri: str, *, is_encapsulated: bool) -> bytes:
    """The file of an instance with its content, a data URI; a JPEG stays as it is if `is_encapsulated`.

    Raises
    ------
    BadFileFormat, Corrupt
        If it is damaged, or no data URI.
    Unsupported
        If it is of another type, or cannot be held by DICOM.
    """
    found = read_data_uri(uri)
    if found is None:
        raise BadFileFormat("The content must be a data URI in Base64")
    mime_type, data = found
    if mime_type in _DOCUMENTS:
        _put_document(dataset, mime_type, data)
    elif mime_type == _OCTETS:
        dataset.set_bytes(PIXEL_DATA, data, "OB")
    elif mime_type == MP4:
        return _with_video(dataset, data)
    else:
        picture = embed_jpeg(data) if is_encapsulated and mime_type == JPEG else read_picture(mime_type, data)
        return _with_picture(dataset, picture)
    return file_of(dataset)


def _put_document(dataset: MutableDataset, mime_type: str, data: bytes) -> None:
    if mime_type == _PDF and not data.startswith(b"%PDF-"):
        raise BadFileFormat("Not a PDF file")
    sop_class, modality = _DOCUMENTS[mime_type]
    dataset.set_text(SOP_CLASS_UID, sop_class)
    if _MODALITY not in dataset:
        dataset.set_text(_MODALITY, modality)
    if mime_type == _PDF:
        dataset.set_text(_CONVERSION_TYPE, "WSD")
    dataset.set_text(_MIME_TYPE_OF_DOCUMENT, mime_type)
    dataset.set_bytes(_ENCAPSULATED_DOCUMENT, data, "OB")


def _with_picture(dataset: MutableDataset, picture: Picture) -> bytes:
    _describe_pixels(
        dataset,
        picture.rows,
        picture.columns,
        picture.samples,
        picture.photometric,
        picture.bits,
        picture.bits,
    )
    if picture.is_encapsulated:
        return _encapsulated(dataset, picture.value, _JPEG_BASELINE)
    dataset.set_bytes(PIXEL_DATA, picture.value, "OB" if picture.bits == 8 else "OW")
    return file_of(dataset)


def _with_video(dataset: MutableDataset, data: bytes) -> bytes:
    """The file of an instance that holds an MP4 file as it is. PS3.3 A.32.6, C.7.6.5 and C.7.6.6; PS3.5 8.2.7."""
    video = read_mp4(data)
    if len(data) > _LONGEST_FRAGMENT:
        raise BadRequest("A video of 4 GB or more")
    for tag, text in ((SOP_CLASS_UID, _VIDEO_PHOTOGRAPHY), (_MODALITY, _PHOTOGRAPHY)):
        if tag not in dataset:
            dataset.set_text(tag, text)
    _describe_pixels(
        dataset, video.rows, video.columns, 3, _YBR_PARTIAL_420, video.bits_allocated, video.bits_stored
    )
    size = video.rows * video.columns * 3 * video.frames * (video.bits_allocated // 8)
    for tag, text in (
        (_CINE_RATE, str(max(1, round(1000 / video.frame_time_ms)))),
        (_FRAME_TIME, f"{video.frame_time_ms:.6f}"[:16]),
        (_NUMBER_OF_FRAMES, str(video.frames)),
        (_LOSSY, "01"),
        (_LOSSY_RATIO, f"{size / len(data):.2f}"[:16]),
        (_LOSSY_METHOD, video.method),
    ):
        dataset.set_text(tag, text)
    dataset.set_bytes(
        _FRAME_INCREMENT_POINTER, struct.pack("<HH", _FRAME_TIME >> 16, _FRAME_TIME & 0xFFFF), "AT"
    )
    return _encapsulated(dataset, data + b"\0" * (len(data) % 2), video.transfer_syntax_uid)


def _describe_pixels(
    dataset: MutableDataset,
    rows: int,
    columns: int,
    samples: int,
    photometric: str,
    allocated: int,
    stored: int,
) -> None:
    for tag, text in (
        (SAMPLES_PER_PIXEL, str(samples)),
        (PHOTOMETRIC_INTERPRETATION, photometric),
        (ROWS, str(rows)),
        (COLUMNS, str(columns)),
        (BITS_ALLOCATED, str(allocated)),
        (STORED, str(stored)),
        (HIGH_BIT, str(stored - 1)),
        (PIXEL_REPRESENTATION, "0"),
    ):
        dataset.set_text(tag, text)
    if samples > 1:
        dataset.set_text(PLANAR_CONFIGURATION, "0")


def _encapsulated(dataset: MutableDataset, value: bytes, transfer_syntax_uid: str) -> bytes:
    """The file of an instance with a bit stream: an empty Basic Offset Table, and one fragment. PS3.5 A.4."""
    long = EXPLICIT_LITTLE.tag.pack
    head = EXPLICIT_LITTLE.head.pack(PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF, b"OB", 0)
    fragments = long(0xFFFE, 0xE000, 0) + long(0xFFFE, 0xE000, len(value)) + value
    end = long(0xFFFE, 0xE0DD, 0)
    return file_of(dataset, transfer_syntax_uid) + head + UNDEFINED.to_bytes(4, "little") + fragments + end


def file_of(dataset: MutableDataset, transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    """The file of an instance, as far as its data set goes."""
    sop_class, instance = dataset.text(SOP_CLASS_UID) or "", dataset.text(SOP_INSTANCE_UID) or ""
    return wrap_header(sop_class, instance, transfer_syntax_uid) + dataset.to_bytes()
