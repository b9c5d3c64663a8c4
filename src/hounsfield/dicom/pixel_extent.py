"""Whether a file ends before its pixel data does. PS3.5 7.1 and A.4.

Nothing is decoded: native pixel data says how long it is, encapsulated pixel data is followed from item to item.
"""

from struct import Struct

from hounsfield.dicom.part10 import Head
from hounsfield.dicom.scan import Buffer
from hounsfield.dicom.uids import transfer_syntax

_ITEM = Struct("<II")
_FRAGMENT = 0xE000FFFE  # (FFFE,E000) as a little-endian number of four bytes.
_PADDING = 1  # The byte that makes a length even is sometimes left out.


def is_cut_off(head: Head, data: Buffer) -> bool:
    """Whether `data`, which `head` was read from, lacks the end of its pixel data.

    A missing sequence delimiter after the last fragment is not a loss, and deflated data sets are not followed.
    """
    if head.pixel_data_offset is None:
        return False
    is_implicit = not transfer_syntax(head.transfer_syntax_uid).is_explicit
    begin = head.pixel_data_offset + (8 if is_implicit else 12)
    if head.pixel_data_length is not None:
        return begin + head.pixel_data_length > len(data) + _PADDING
    position, size = begin, len(data)
    while position + _ITEM.size <= size:
        tag, length = _ITEM.unpack_from(data, position)
        if tag != _FRAGMENT:
            return False  # The delimiter; or something else, which the decoder will judge.
        position += _ITEM.size + length
    return position > size + _PADDING
