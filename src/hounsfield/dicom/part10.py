"""Read the head of a file, or of a data set that came over the network, and write file headers. PS3.10 7.1.

The head is everything before Pixel Data: it is all that indexing needs, and reading stops there.
"""

import zlib
from dataclasses import dataclass
from struct import pack
from types import MappingProxyType

from hounsfield.dicom import scan, tags, uids
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.scan import Buffer, Encoding, Scan
from hounsfield.dicom.tags import Tag
from hounsfield.errors import Corrupt

PREAMBLE_SIZE = 128
MAXIMUM_INFLATED = 64 << 20
# Heads up to this size are copied, so that the data set does not hold on to the buffer it was read from.
_COPIED_HEAD = 4 << 20
_INFLATE_CHUNK = 64 << 10
_FIRST_INFLATION = 256 << 10


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the File Meta Information says; empty where it does not."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    implementation_class_uid: str
    implementation_version_name: str


@dataclass(frozen=True, slots=True)
class Head:
    """A file up to its pixel data.

    Offsets are in the bytes given to `read_head`: `dataset_offset` of the first element after the meta
    information, `pixel_data_offset` of the *tag* of the pixel data. In a deflated file the latter is None, while
    `pixel_data_vr` still says whether there is any. `pixel_data_length` is None if undefined (encapsulated).
    """

    meta_dataset: Dataset
    transfer_syntax_uid: str
    dataset: Dataset
    dataset_offset: int
    pixel_data_tag: Tag | None
    pixel_data_offset: int | None
    pixel_data_vr: str | None
    pixel_data_length: int | None
    is_truncated: bool

    @property
    def meta(self) -> FileMeta:
        """What the File Meta Information says."""
        return FileMeta(
            *(
                _meta_text(self.meta_dataset, tag)
                for tag in (
                    tags.MEDIA_STORAGE_SOP_CLASS_UID,
                    tags.MEDIA_STORAGE_SOP_INSTANCE_UID,
                    tags.TRANSFER_SYNTAX_UID,
                    tags.IMPLEMENTATION_CLASS_UID,
                    tags.IMPLEMENTATION_VERSION_NAME,
                )
            )
        )

    @property
    def has_pixel_data(self) -> bool:
        """Whether there is pixel data, integer or floating point."""
        return self.pixel_data_tag is not None


def wrap_header(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Write the preamble and File Meta Information to be put before a data set. PS3.10 Table 7.1-1."""
    body = b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01"
    for element, vr, text in (
        (0x0002, b"UI", sop_class_uid),
        (0x0003, b"UI", sop_instance_uid),
        (0x0010, b"UI", transfer_syntax_uid),
        (0x0012, b"UI", uids.IMPLEMENTATION_CLASS_UID),
        (0x0013, b"SH", uids.IMPLEMENTATION_VERSION_NAME),
    ):
        value = text.encode("ascii", "replace")
        value += (b" " if vr == b"SH" else b"\0") * (len(value) % 2)
        body += pack("<HH2sH", 2, element, vr, len(value)) + value
    return b"\0" * PREAMBLE_SIZE + b"DICM" + pack("<HH2sHI", 2, 0, b"UL", 4, len(body)) + body


def read_head(
    data: Buffer,
    *,
    transfer_syntax_uid: str | None = None,
    default_encoding: str = "Latin1",
    maximum_inflated: int = MAXIMUM_INFLATED,
) -> Head:
    """Read everything before pixel data.

    Parameters
    ----------
    data
        A file, with or without preamble and meta information. Heads over 4 MiB keep a view of it: it must then
        not change while the head is in use.
    transfer_syntax_uid
        If given, `data` is a bare data set in this syntax, as in C-STORE.
    default_encoding
        A name of `charset.ENCODINGS`, for data sets that do not name their character set.
    maximum_inflated
        How many bytes of a deflated data set may be inflated to find its pixel data.

    Raises
    ------
    Corrupt
        If this is not DICOM, or is cut off before the instance can be identified, or exceeds a limit.
    """
    return _read(data, transfer_syntax_uid, default_encoding, maximum_inflated, whole=False)


def read_whole(
    data: Buffer,
    *,
    transfer_syntax_uid: str | None = None,
    default_encoding: str = "Latin1",
    maximum_inflated: int = MAXIMUM_INFLATED,
) -> Head:
    """Read a file like `read_head`, with the elements of pixel data and after it in the data set too.

    The data set is over `data` itself, which must not change while it is in use.
    """
    return _read(data, transfer_syntax_uid, default_encoding, maximum_inflated, whole=True)


def _read(
    data: Buffer,
    transfer_syntax_uid: str | None,
    default_encoding: str,
    maximum_inflated: int,
    *,
    whole: bool,
) -> Head:
    if isinstance(data, memoryview) and (data.format != "B" or data.ndim != 1):
        data = data.cast("B")
    if len(data) < 8:
        raise Corrupt("Too short for a DICOM file")
    if transfer_syntax_uid is not None:
        meta_dataset, start = _no_meta(), 0
    else:
        meta_dataset, start = _read_meta(data, default_encoding)
    named = transfer_syntax_uid or _meta_text(meta_dataset, tags.TRANSFER_SYNTAX_UID)
    if uids.transfer_syntax(named).is_deflated and _is_deflated(data, start):
        dataset, found = _scan_deflated(data, start, default_encoding, maximum_inflated, whole=whole)
        pixel_offset = None
    else:
        encoding = _body_encoding(data, start, named)
        named = named or _DEFAULT_SYNTAXES[encoding]
        dataset, found = _scan_body(data, start, encoding, default_encoding, whole=whole)
        pixel_offset = found.pixels and found.pixels.offset
    if found.is_truncated and not (whole and found.pixels):
        _require_identity(found)
    pixels = found.pixels
    return Head(
        meta_dataset=meta_dataset,
        transfer_syntax_uid=named,
        dataset=dataset,
        dataset_offset=start,
        pixel_data_tag=pixels and pixels.tag,
        pixel_data_offset=pixel_offset,
        pixel_data_vr=pixels and (pixels.vr or _implicit_pixel_vr(pixels.tag)),
        pixel_data_length=pixels and pixels.length,
        is_truncated=found.is_truncated,
    )


def _no_meta() -> Dataset:
    return Dataset(b"", 0, 0, scan.EXPLICIT_LITTLE, elements={})


def _meta_text(dataset: Dataset, tag: Tag) -> str:
    return (dataset.text(tag) or "").strip(" \0")


def _read_meta(data: Buffer, default_encoding: str) -> tuple[Dataset, int]:
    """The elements of group 2 and where they end."""
    if data[128:132] == b"DICM":
        start = PREAMBLE_SIZE + 4
    elif data[:4] == b"DICM":
        start = 4
    elif data[:2] == b"\x02\x00":
        start = 0
    else:
        return _no_meta(), 0
    encoding = scan.EXPLICIT_LITTLE
    if bytes(data[start + 4 : start + 6]) not in scan.VRS:
        encoding = scan.IMPLICIT_LITTLE
    found = _scan_meta(data, start, encoding)
    held = bytes(data[: found.position])
    dataset = Dataset(
        held, start, found.position, encoding, elements=found.elements, default_encoding=default_encoding
    )
    return dataset, found.position


def _scan_meta(data: Buffer, start: int, encoding: Encoding) -> Scan:
    """Trust the group length (0002,0000) when it leads to the end of the group, else look for another group."""
    size = len(data)
    if (
        encoding.is_explicit
        and data[start : start + 8] == b"\x02\x00\x00\x00UL\x04\x00"
        and start + 12 <= size
    ):
        end = start + 12 + scan.EXPLICIT_LITTLE.long.unpack_from(data, start + 8)[0]
        if end <= size and data[end : end + 2] != b"\x02\x00":
            found = scan.scan(data, start, end, encoding, {}, stops_at_pixels=False, last_group=2)
            if found.position == end and not found.is_truncated:
                return found
    return scan.scan(data, start, size, encoding, {}, stops_at_pixels=False, last_group=2)


def _body_encoding(data: Buffer, start: int, transfer_syntax_uid: str) -> Encoding:
    """The encoding of the data set: as labelled, unless its first element only makes sense in another one."""
    syntax = uids.transfer_syntax(transfer_syntax_uid)
    labelled = _LABELLED[syntax.is_explicit, syntax.is_big_endian]
    room = len(data) - start - 8
    if room < 0:
        return labelled
    first = bytes(data[start : start + 8])
    for encoding in (labelled, *_GUESSED):
        if _makes_sense(first, encoding, room):
            return encoding
    if not transfer_syntax_uid:
        raise Corrupt("Not a DICOM file")
    return labelled


def _makes_sense(first: bytes, encoding: Encoding, room: int) -> bool:
    """Whether eight bytes begin an element of the dictionary with a VR, or a length, that is possible."""
    group, element, length = encoding.tag.unpack(first)
    if lookup.entry(group << 16 | element) is None:
        return False
    has_vr = first[4:6] in scan.VRS
    return has_vr if encoding.is_explicit else not has_vr and (length <= room or length == scan.UNDEFINED)


def _scan_body(
    data: Buffer, start: int, encoding: Encoding, default_encoding: str, *, whole: bool
) -> tuple[Dataset, Scan]:
    """Scan a data set that is not deflated."""
    ends: scan.Ends = {}
    found = scan.scan(data, start, len(data), encoding, ends, stops_at_pixels=True)
    if whole and found.pixels is not None:
        found = _with_rest(data, found, encoding, ends)
    stop = None if whole else found.pixels
    held = data
    if not whole and not isinstance(data, bytes) and found.position <= _COPIED_HEAD:
        held = bytes(data[: found.position])
    dataset = Dataset(
        held,
        start,
        found.position,
        encoding,
        ends=ends,
        elements=found.elements,
        default_encoding=default_encoding,
        pixel_data_tag=stop and stop.tag,
        pixel_data_vr=stop and (stop.vr or _implicit_pixel_vr(stop.tag)),
    )
    return dataset, found


def _with_rest(data: Buffer, head: Scan, encoding: Encoding, ends: scan.Ends) -> Scan:
    """What a scan found up to pixel data, and what follows."""
    rest = scan.scan(data, head.position, len(data), encoding, ends, stops_at_pixels=False)
    elements = {**rest.elements, **head.elements}
    return Scan(dict(sorted(elements.items())), rest.position, head.pixels, rest.is_truncated)


def _is_deflated(data: Buffer, start: int) -> bool:
    """Whether a data set labelled so is: some writers only change the label."""
    return bytes(data[start + 4 : start + 6]) not in scan.VRS


def _scan_deflated(
    data: Buffer, start: int, default_encoding: str, maximum: int, *, whole: bool
) -> tuple[Dataset, Scan]:
    """Inflate just enough to reach the pixel data: twice as much each time."""
    size = maximum if whole else min(_FIRST_INFLATION, maximum)
    while True:
        inflated, is_complete = inflate(data, start, size)
        dataset, found = _scan_body(inflated, 0, scan.EXPLICIT_LITTLE, default_encoding, whole=whole)
        if is_complete or (found.pixels is not None and not whole):
            return dataset, found
        if size >= maximum:
            raise Corrupt(f"A deflated data set is larger than {maximum} bytes")
        size = min(2 * size, maximum)


def inflate(data: Buffer, start: int, maximum: int) -> tuple[bytes, bool]:
    """Inflate the deflated data set that begins at `start`, up to `maximum` bytes. PS3.5 A.5.

    Returns
    -------
    What came out, and whether that is all of it. A damaged stream counts as one that ends early.
    """
    view = memoryview(data)
    # Raw deflate is the rule; some writers leave the header of zlib (RFC 1950) in front.
    has_zlib_header = (
        bytes(view[start : start + 1]) == b"\x78" and int.from_bytes(view[start : start + 2], "big") % 31 == 0
    )
    engine = zlib.decompressobj(zlib.MAX_WBITS if has_zlib_header else -zlib.MAX_WBITS)
    output = bytearray()
    position = start
    try:
        while position < len(view) and not engine.eof:
            pending: bytes | memoryview = view[position : position + _INFLATE_CHUNK]
            position += len(pending)
            while pending:
                output += engine.decompress(pending, maximum - len(output))
                pending = engine.unconsumed_tail
                if len(output) >= maximum:
                    return bytes(output), engine.eof
    except zlib.error:
        return bytes(output), True
    return bytes(output), True


def _require_identity(found: Scan) -> None:
    """What is cut off before pixel data is kept only if it can be identified."""
    for tag in (tags.STUDY_INSTANCE_UID, tags.SERIES_INSTANCE_UID, tags.SOP_INSTANCE_UID):
        if tag not in found.elements:
            raise Corrupt(f"The data set is damaged or cut off at offset {found.position}")


def _implicit_pixel_vr(tag: Tag) -> str:
    """The VR of pixel data in implicit VR. PS3.5 A.1."""
    return {tags.FLOAT_PIXEL_DATA: "OF", tags.DOUBLE_FLOAT_PIXEL_DATA: "OD"}.get(tag, "OW")


_LABELLED = MappingProxyType(
    {
        (True, False): scan.EXPLICIT_LITTLE,
        (True, True): scan.EXPLICIT_BIG,
        (False, False): scan.IMPLICIT_LITTLE,
    }
)
_GUESSED = (scan.EXPLICIT_LITTLE, scan.IMPLICIT_LITTLE, scan.EXPLICIT_BIG)
_DEFAULT_SYNTAXES = MappingProxyType(
    {
        scan.EXPLICIT_LITTLE: uids.EXPLICIT_VR_LITTLE_ENDIAN,
        scan.EXPLICIT_BIG: uids.EXPLICIT_VR_BIG_ENDIAN,
        scan.IMPLICIT_LITTLE: uids.IMPLICIT_VR_LITTLE_ENDIAN,
    }
)
