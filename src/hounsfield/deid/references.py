"""References between instances that move together: they follow. PS3.3 10.3, 10.8."""

from collections.abc import Mapping

from hounsfield.dicom.mutable import MutableDataset
from hounsfield.dicom.tags import SERIES_INSTANCE_UID, Tag

REFERENCED_SOP_INSTANCE_UID: Tag = 0x00081155
_MAPPED = (REFERENCED_SOP_INSTANCE_UID, SERIES_INSTANCE_UID)


def map_references(dataset: MutableDataset, moved: Mapping[str, str]) -> None:
    """Put the new UIDs of what moved in place of the old ones, in the items of all sequences.

    Raises
    ------
    Corrupt
        If sequences are nested too deeply.
    """
    for tag in dataset.tags():
        if dataset.vr(tag) == "SQ":
            for item in dataset.items(tag):
                for each in _MAPPED:
                    new = moved.get(item.text(each) or "") if each in item else None
                    if new is not None:
                        item.set_text(each, new)
                map_references(item, moved)
