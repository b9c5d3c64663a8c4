"""How a data set asks for one of its frames to be shown: rescaling, window, look-up tables.

PS3.3 C.11.1 (Modality LUT), C.11.2 (VOI LUT), C.7.6.16.2.9 and .10 (the same for a frame of an enhanced instance).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.tags import SOP_CLASS_UID, Tag
from hounsfield.imaging.description import PixelDescription
from hounsfield.imaging.lut import IDENTITY, Rescale, VoiFunction, Window
from hounsfield.imaging.tables import LookupTable, read_lookup_table

_WINDOW_CENTER = 0x00281050
_WINDOW_WIDTH = 0x00281051
_VOI_LUT_FUNCTION = 0x00281056
_RESCALE_INTERCEPT = 0x00281052
_RESCALE_SLOPE = 0x00281053
_MODALITY_LUT_SEQUENCE = 0x00283000
_VOI_LUT_SEQUENCE = 0x00283010
_SHARED_FUNCTIONAL_GROUPS = 0x52009229
_PER_FRAME_FUNCTIONAL_GROUPS = 0x52009230
_FRAME_VOI_LUT_SEQUENCE = 0x00289132
_PIXEL_VALUE_TRANSFORMATION_SEQUENCE = 0x00289145
_RT_DOSE_STORAGE = "1.2.840.10008.5.1.4.1.1.481.2"


@dataclass(frozen=True, slots=True, eq=False)
class Display:
    """The transformations a data set gives for one frame."""

    modality: Rescale | LookupTable = IDENTITY
    voi: Window | LookupTable | None = None
    """None if the data set does not say."""


def read_display(dataset: Dataset, description: PixelDescription, number: int) -> Display:
    """Read what the data set says of showing frame `number`, from 1; `Corrupt` if a table is broken.

    The top level goes before the frame's own functional groups, and these before the shared ones. Windows are applied
    as LINEAR_EXACT unless SIGMOID is asked for: the half unit of LINEAR (C.11.2.1.2.1) is left out, as REST clients
    compare images.
    """
    return Display(
        modality=_modality(dataset, description, number),
        voi=_voi(dataset, description, number),
    )


def default_window(description: PixelDescription, modality: Rescale | LookupTable) -> Window:
    """The window over all values that can occur, before rescaling."""
    bits = modality.bits if isinstance(modality, LookupTable) else description.bits_stored
    return Window(2.0 ** (bits - 1), 2.0**bits, VoiFunction.LINEAR_EXACT)


def _modality(dataset: Dataset, description: PixelDescription, number: int) -> Rescale | LookupTable:
    if dataset.text(SOP_CLASS_UID) == _RT_DOSE_STORAGE:
        return IDENTITY
    for place in _places(dataset, number, _PIXEL_VALUE_TRANSFORMATION_SEQUENCE):
        slope, intercept = _decimal(place, _RESCALE_SLOPE), _decimal(place, _RESCALE_INTERCEPT)
        if slope is not None or intercept is not None:
            return Rescale(1.0 if slope is None else slope, intercept or 0.0)
    for item in dataset.items(_MODALITY_LUT_SEQUENCE)[:1]:
        return read_lookup_table(item, is_signed=description.is_signed)
    return IDENTITY


def _voi(dataset: Dataset, description: PixelDescription, number: int) -> Window | LookupTable | None:
    for place in _places(dataset, number, _FRAME_VOI_LUT_SEQUENCE):
        center, width = _decimal(place, _WINDOW_CENTER), _decimal(place, _WINDOW_WIDTH)
        if center is not None and width is not None:
            is_sigmoid = (place.text(_VOI_LUT_FUNCTION) or "").strip() == "SIGMOID"
            function = VoiFunction.SIGMOID if is_sigmoid else VoiFunction.LINEAR_EXACT
            return Window(center, max(width, 1.0), function)
    for item in dataset.items(_VOI_LUT_SEQUENCE)[:1]:
        return read_lookup_table(item, is_signed=description.is_signed)
    return None


def _places(dataset: Dataset, number: int, sequence: Tag) -> Iterator[Dataset]:
    """The top level, then the functional group for one frame, then the one for all."""
    yield dataset
    for groups, index in ((_PER_FRAME_FUNCTIONAL_GROUPS, number - 1), (_SHARED_FUNCTIONAL_GROUPS, 0)):
        for group in dataset.items(groups)[index : index + 1]:
            yield from group.items(sequence)[:1]


def _decimal(dataset: Dataset, tag: Tag) -> float | None:
    """The first of the values of a DS, None if there is no finite one."""
    text = dataset.text(tag)
    if not text:
        return None
    try:
        value = float(text.partition("\\")[0])
    except ValueError:
        return None
    return value if math.isfinite(value) else None
