"""A file that is read to be changed, and written again in its transfer syntax. PS3.10 7."""

import zlib
from dataclasses import dataclass

from hounsfield.dicom import scan, tags, uids
from hounsfield.dicom.mutable import MutableDataset
from hounsfield.dicom.part10 import Head, read_whole, wrap_header
from hounsfield.dicom.scan import Buffer
from hounsfield.dicom.uids import transfer_syntax
from hounsfield.errors import Corrupt

# A deflated data set is held in memory as a whole.
_MAXIMUM_INFLATED = 256 << 20


def read_for_change(data: Buffer, *, default_encoding: str = "Latin1") -> tuple[Head, MutableDataset]:
    """Read a whole file; pixel data stays where it is in `data`, which must not change meanwhile.

    Raises
    ------
    Corrupt
        If this is not DICOM, or cut off before the pixel data.
    """
    head = read_whole(data, default_encoding=default_encoding, maximum_inflated=_MAXIMUM_INFLATED)
    pixels = head.pixel_data_tag
    if head.is_truncated if pixels is None else pixels not in head.dataset:
        raise Corrupt("The file is cut off, and is left as it is")
    return head, MutableDataset(head.dataset)


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file in parts: up to the value of its pixel data, and from there on.

    `rest` are views of what was read, as long as pixel data is untouched; empty without pixel data.
    """

    start: bytes
    rest: tuple[bytes | memoryview, ...]

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.start) + sum(map(len, self.rest))

    def to_bytes(self) -> bytes:
        """The file in one piece."""
        return b"".join((self.start, *self.rest))


def write_changed(head: Head, dataset: MutableDataset) -> ChangedFile:
    """Write the changed file: preamble, File Meta Information of our own, and the data set.

    Nothing of the old preamble and File Meta Information is in it but the transfer syntax.

    Raises
    ------
    Corrupt
        If sequences are nested too deeply.
    """
    is_deflated = head.dataset_offset > 0 and dataset.source.start == 0
    syntax = _written_syntax(head, dataset, is_deflated=is_deflated)
    header = wrap_header(
        dataset.text(tags.SOP_CLASS_UID) or "", dataset.text(tags.SOP_INSTANCE_UID) or "", syntax
    )
    if is_deflated:
        engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        pieces = [engine.compress(part) for part in dataset.parts()]
        return ChangedFile(b"".join((header, *pieces, engine.flush())), ())
    return _cut(header, head, dataset)


def _cut(header: bytes, head: Head, dataset: MutableDataset) -> ChangedFile:
    """The file, cut where the value of its pixel data begins."""
    pixels = dataset.untouched_value(head.pixel_data_tag) if head.pixel_data_tag is not None else None
    first = pixels[0] if pixels is not None else -1
    view = memoryview(dataset.source.buffer)
    start: list[Buffer] = [header]
    rest: list[bytes | memoryview] = []
    for each in dataset.stretches():
        if isinstance(each, bytes):
            (rest or start).append(each)
        elif each[0] < first < each[1] and not rest:
            start.append(view[each[0] : first])
            rest.append(view[first : each[1]])
        else:
            (rest or start).append(view[each[0] : each[1]])
    return ChangedFile(b"".join(start), tuple(rest))


def _written_syntax(head: Head, dataset: MutableDataset, *, is_deflated: bool) -> str:
    """The transfer syntax the file is labelled with, unless the data set is written in another one."""
    named, encoding = transfer_syntax(head.transfer_syntax_uid), dataset.encoding
    is_right = (
        (named.is_explicit, named.is_big_endian) == (encoding.is_explicit, encoding.is_big_endian)
        and named.is_deflated == is_deflated
    ) or named.is_encapsulated
    if is_right and head.transfer_syntax_uid:
        return head.transfer_syntax_uid
    if is_deflated:
        return uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    if encoding is scan.EXPLICIT_BIG:
        return uids.EXPLICIT_VR_BIG_ENDIAN
    return uids.EXPLICIT_VR_LITTLE_ENDIAN if encoding.is_explicit else uids.IMPLICIT_VR_LITTLE_ENDIAN
