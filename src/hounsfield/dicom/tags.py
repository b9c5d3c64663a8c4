"""Tags as numbers, `0xGGGGEEEE`, and those that code needs by name. PS3.6."""

Tag = int

SPECIFIC_CHARACTER_SET: Tag = 0x00080005
SOP_CLASS_UID: Tag = 0x00080016
SOP_INSTANCE_UID: Tag = 0x00080018
PATIENT_ID: Tag = 0x00100020
STUDY_INSTANCE_UID: Tag = 0x0020000D
SERIES_INSTANCE_UID: Tag = 0x0020000E
CARDIAC_NUMBER_OF_IMAGES: Tag = 0x00181090
INSTANCE_NUMBER: Tag = 0x00200013
NUMBER_OF_TEMPORAL_POSITIONS: Tag = 0x00200105
IMAGES_IN_ACQUISITION: Tag = 0x00201002
BITS_ALLOCATED: Tag = 0x00280100
PIXEL_REPRESENTATION: Tag = 0x00280103
NUMBER_OF_SLICES: Tag = 0x00540081
NUMBER_OF_TIME_SLICES: Tag = 0x00540101
IMAGE_INDEX: Tag = 0x00541330

MEDIA_STORAGE_SOP_CLASS_UID: Tag = 0x00020002
MEDIA_STORAGE_SOP_INSTANCE_UID: Tag = 0x00020003
TRANSFER_SYNTAX_UID: Tag = 0x00020010
IMPLEMENTATION_CLASS_UID: Tag = 0x00020012
IMPLEMENTATION_VERSION_NAME: Tag = 0x00020013

FLOAT_PIXEL_DATA: Tag = 0x7FE00008
DOUBLE_FLOAT_PIXEL_DATA: Tag = 0x7FE00009
PIXEL_DATA: Tag = 0x7FE00010

ITEM: Tag = 0xFFFEE000
ITEM_DELIMITATION: Tag = 0xFFFEE00D
SEQUENCE_DELIMITATION: Tag = 0xFFFEE0DD


def format_tag(tag: Tag) -> str:
    """Write a tag as in the REST interface.

    >>> format_tag(PIXEL_DATA)
    '7fe0,0010'
    """
    return f"{tag >> 16:04x},{tag & 0xFFFF:04x}"


def is_private(tag: Tag) -> bool:
    """Whether the group is odd. PS3.5 7.8."""
    return bool(tag & 0x10000)


def is_of_dataset(tag: Tag) -> bool:
    """Whether an element may stand in a data set: neither a group length, nor of a command, file header or item."""
    return bool(tag & 0xFFFF) and tag >> 16 not in (0x0000, 0x0002, 0xFFFE)
