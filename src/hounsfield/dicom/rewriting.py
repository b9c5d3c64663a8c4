"""A file that is read to be changed, and written again in its transfer syntax. PS3.10 7."""

import zlib

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


def file_parts(head: Head, dataset: MutableDataset) -> list[Buffer]:
    """The bytes of the changed file, in order: preamble, File Meta Information of our own, and the data set.

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
    if not is_deflated:
        return [header, *dataset.parts()]
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    output: list[Buffer] = [header]
    output += [piece for part in dataset.parts() if (piece := engine.compress(part))]
    end = engine.flush()
    return [*output, end]


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
