"""A frame shown by the whole of the standard's pipeline, by what its own data set says or by a presentation state.

Modality LUT, VOI LUT, Presentation LUT (PS3.3 C.11.1, C.11.2, C.11.4 and C.11.6), padding (C.7.5.1.1.2), overlays
(C.9.2), ICC profiles (C.11.15), pixels that are not square (C.7.6.3.1.7). `render.render` keeps to what REST clients
compare images with.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.tags import Tag
from hounsfield.imaging.automatic_window import automatic_window
from hounsfield.imaging.colour import apply_palette
from hounsfield.imaging.decode import Pixels
from hounsfield.imaging.description import MONOCHROME1, MONOCHROME2, PixelDescription
from hounsfield.imaging.geometry import Places, decimals, first_decimals, place_of
from hounsfield.imaging.limits import DEFAULT_LIMITS, Limits
from hounsfield.imaging.lut import IDENTITY, Rescale, VoiFunction, Window, grey_levels, modality_values
from hounsfield.imaging.overlays import Overlay, paint, read_overlays
from hounsfield.imaging.render import AS_IT_IS, Box, is_colour, resized, stored_colour, stored_grey
from hounsfield.imaging.tables import LookupTable, Palette, read_lookup_table, read_palette
from hounsfield.imaging.units import MODALITY, read_modality, read_units

_WINDOW_CENTER, _WINDOW_WIDTH, _VOI_LUT_FUNCTION = 0x00281050, 0x00281051, 0x00281056
_VOI_LUT_SEQUENCE, _FRAME_VOI_LUT_SEQUENCE = 0x00283010, 0x00289132
_PRESENTATION_LUT_SHAPE = 0x20500020
_PRESENTATION_LUT_SEQUENCE = 0x20500010
_PIXEL_PADDING_VALUE, _PIXEL_PADDING_RANGE_LIMIT = 0x00280120, 0x00280121
_PIXEL_ASPECT_RATIO, _PIXEL_SPACING, _IMAGER_PIXEL_SPACING = 0x00280034, 0x00280030, 0x00181164
_PIXEL_MEASURES_SEQUENCE = 0x00289110
_PIXEL_PRESENTATION = 0x00089205
_ICC_PROFILE = 0x00282000
_LARGEST_PROFILE = 4 << 20
_MOST_WINDOWS = 64

Voi = Window | LookupTable


@dataclass(frozen=True, slots=True, eq=False)
class Presentation:
    """How a frame is to be shown."""

    modality: Rescale | LookupTable = IDENTITY
    unit: str = ""
    modality_word: str = ""
    """Modality (0008,0060)."""

    choices: tuple[Voi, ...] = ()
    """The VOI transformations to choose from: windows, then tables; none for an automatic window."""

    presentation_lut: LookupTable | None = None
    is_inverted: bool = False
    padding: tuple[int, int] | None = None
    """Lowest and highest stored value that is no image."""

    overlays: tuple[Overlay, ...] = ()
    aspect: float = 1.0
    """Height of a pixel by its width."""

    icc_profile: bytes = field(default=b"", repr=False)
    supplemental: Palette | None = None
    """Colours for the stored values from its first on: Supplemental Palette Color LUTs, PS3.3 C.7.6.19."""


def read_presentation(dataset: Dataset, description: PixelDescription, number: int) -> Presentation:
    """What the data set of an image says of showing its frame `number`, from 1; `Corrupt` if a table is broken."""
    places = place_of(dataset, number)
    profile = dataset.raw(_ICC_PROFILE)
    return Presentation(
        modality=read_modality(places, is_signed=description.is_signed),
        unit=read_units(places),
        modality_word=(dataset.text(MODALITY) or "").strip(),
        choices=read_voi(places, is_signed=description.is_signed),
        presentation_lut=read_presentation_lut(dataset),
        is_inverted=is_inverse(dataset, description.photometric),
        padding=_padding(dataset, description),
        overlays=tuple(read_overlays(dataset, number)),
        aspect=_aspect(places),
        icc_profile=profile if len(profile) <= _LARGEST_PROFILE else b"",
        supplemental=_supplemental(dataset, description),
    )


def read_voi(places: Places, *, is_signed: bool) -> tuple[Voi, ...]:
    """All windows and VOI LUTs, in the order of the data set. PS3.3 C.11.2, C.7.6.16.2.10."""
    found: list[Voi] = []
    for place in places.find(_FRAME_VOI_LUT_SEQUENCE):
        found += read_windows(place)
        tables = place.items(_VOI_LUT_SEQUENCE)[:_MOST_WINDOWS]
        found += [read_lookup_table(item, is_signed=is_signed) for item in tables]
    return tuple(found[:_MOST_WINDOWS])


def read_windows(dataset: Dataset) -> list[Window]:
    """The windows of a data set; those the standard forbids are left out."""
    word = (dataset.text(_VOI_LUT_FUNCTION) or "").strip(" \0")
    function = VoiFunction(word) if word in VoiFunction._value2member_map_ else VoiFunction.LINEAR
    narrowest = 1.0 if function is VoiFunction.LINEAR else 1e-12
    return [
        Window(center, width, function)
        for center, width in zip(
            _decimals(dataset, _WINDOW_CENTER), _decimals(dataset, _WINDOW_WIDTH), strict=False
        )
        if width >= narrowest
    ]


def _decimals(dataset: Dataset, tag: Tag) -> list[float]:
    for count in range(min((dataset.text(tag) or "").count("\\") + 1, _MOST_WINDOWS), 0, -1):
        found = decimals(dataset, tag, count)
        if found is not None:
            return list(found)
    return []


def is_inverse(dataset: Dataset, photometric: str) -> bool:
    """Whether high values are dark: as Presentation LUT Shape (2050,0020) says, else MONOCHROME1."""
    shape = (dataset.text(_PRESENTATION_LUT_SHAPE) or "").strip(" \0")
    if shape:
        return shape == "INVERSE"
    return photometric == MONOCHROME1 and _PRESENTATION_LUT_SEQUENCE not in dataset


def read_presentation_lut(dataset: Dataset) -> LookupTable | None:
    """The Presentation LUT Sequence (2050,0010); None if there is none."""
    items = dataset.items(_PRESENTATION_LUT_SEQUENCE)[:1]
    return read_lookup_table(items[0], is_signed=False) if items else None


def _padding(dataset: Dataset, description: PixelDescription) -> tuple[int, int] | None:
    value = dataset.int(_PIXEL_PADDING_VALUE)
    if value is None or description.is_float:
        return None
    limit = dataset.int(_PIXEL_PADDING_RANGE_LIMIT)
    low, high = sorted((value, value if limit is None else limit))
    if not description.is_signed and low < 0:  # written as signed by some
        low, high = sorted(each & ((1 << description.bits_allocated) - 1) for each in (low, high))
    return low, high


def _supplemental(dataset: Dataset, description: PixelDescription) -> Palette | None:
    """A palette beside grey values, if the colours are what is to be seen: Pixel Presentation (0008,9205)."""
    wanted = (dataset.text(_PIXEL_PRESENTATION) or "").strip(" \0")
    if wanted not in ("COLOR", "MIXED") or description.photometric != MONOCHROME2 or description.is_float:
        return None
    return read_palette(dataset)


def _aspect(places: Places) -> float:
    for tag, sequence in ((_PIXEL_ASPECT_RATIO, 0), (_PIXEL_SPACING, _PIXEL_MEASURES_SEQUENCE)):
        found = (
            first_decimals(places, sequence, tag, 2)
            if sequence
            else decimals(places.top, tag, 2) or decimals(places.top, _IMAGER_PIXEL_SPACING, 2)
        )
        if found is not None and min(found) > 0 and 1e-2 < found[0] / found[1] < 1e2:
            return found[0] / found[1]
    return 1.0


def present(
    pixels: Pixels,
    presentation: Presentation,
    *,
    voi: Voi | int = 0,
    box: Box = AS_IT_IS,
    limits: Limits = DEFAULT_LIMITS,
) -> NDArray[np.uint8]:
    """Show a frame.

    Parameters
    ----------
    pixels
        The frame.
    presentation
        How, by `read_presentation` or `presentation_state.read_state`.
    voi
        The caller's own window, or which of the presentation's to take, from 0. Without any, one is made of what the
        frame shows.
    box
        The size wanted. Pixels become square.
    limits
        How large the image may be.

    Returns
    -------
    Shape (rows, columns) in grey, (rows, columns, 3) in sRGB.

    Raises
    ------
    BadRequest
        If there is no such window.
    Unsupported
        If the image asked for is larger than `limits` allow.
    """
    image = picture(pixels, presentation, voi)
    for overlay in presentation.overlays:
        paint(image, overlay, 255)
    return resized_grey_levels(image, box, limits, presentation.aspect)


def resized_grey_levels(
    image: NDArray[np.uint8], box: Box, limits: Limits, aspect: float
) -> NDArray[np.uint8]:
    """An image in a box, its pixels square. `Unsupported` if it would be larger than `limits` allow."""
    fitted: NDArray[np.uint8] = resized(image, box, limits, aspect=aspect)
    return fitted


def picture(pixels: Pixels, presentation: Presentation, voi: Voi | int) -> NDArray[np.uint8]:
    """A frame in grey levels or sRGB; without overlays, at its own size."""
    if is_colour(pixels):
        return colour_image(pixels, presentation)
    grey = grey_image(pixels, presentation, voi)
    palette = presentation.supplemental
    if palette is None:
        return grey
    stored = stored_grey(pixels)
    is_coloured = stored >= palette.red.first
    rgb = np.repeat(grey[..., np.newaxis], 3, axis=2)
    if is_coloured.any():
        rgb[is_coloured] = apply_palette(stored[is_coloured][:, np.newaxis], palette).reshape(-1, 3)
    return rgb


def grey_image(pixels: Pixels, presentation: Presentation, voi: Voi | int = 0) -> NDArray[np.uint8]:
    """The grey levels of a frame, padding black; without overlays, at its own size."""
    stored = stored_grey(pixels)
    is_padded = None
    if presentation.padding is not None:
        low, high = presentation.padding
        is_padded = (stored >= low) & (stored <= high)
    chosen = _choose(presentation, voi)
    if chosen is None:
        shown = stored if is_padded is None or is_padded.all() else stored[~is_padded]
        with np.errstate(over="ignore", invalid="ignore"):  # absurd slopes
            values = modality_values(shown, presentation.modality)
        chosen = automatic_window(values, presentation.modality_word, presentation.unit)
    grey = np.array(grey_levels(stored, presentation.modality, chosen, is_rounded=True))
    if presentation.presentation_lut is not None:
        grey = _through(presentation.presentation_lut)[grey]
    if presentation.is_inverted:
        np.subtract(255, grey, out=grey)
    if is_padded is not None:
        grey[is_padded] = 0
    return grey


def _choose(presentation: Presentation, voi: Voi | int) -> Voi | None:
    if not isinstance(voi, int):
        return voi
    if not presentation.choices and voi == 0:
        return None
    if not 0 <= voi < len(presentation.choices):
        raise errors.BadRequest(f"There is no window {voi} among {len(presentation.choices)}")
    return presentation.choices[voi]


def _through(table: LookupTable) -> NDArray[np.uint8]:
    """A Presentation LUT as a table of 256 entries. PS3.3 C.11.6.1."""
    indices = (np.arange(256) * (len(table.values) - 1) / 255).round().astype(int)
    levels = table.values[indices].astype(np.float64) * 255 / ((1 << table.bits) - 1)
    return np.asarray(levels.clip(0, 255), np.uint8)


def colour_image(pixels: Pixels, presentation: Presentation) -> NDArray[np.uint8]:
    """RGB of a frame, in sRGB where it has an ICC profile that can be read."""
    image = np.array(stored_colour(pixels))
    if presentation.icc_profile:
        return _to_srgb(image, presentation.icc_profile)
    return image


def _to_srgb(image: NDArray[np.uint8], profile: bytes) -> NDArray[np.uint8]:
    import imagecodecs

    try:
        converted: NDArray[Any] = imagecodecs.cms_transform(
            image, profile, imagecodecs.cms_profile("srgb"), colorspace="rgb", outcolorspace="rgb"
        )
    except (RuntimeError, ValueError, TypeError, OSError):  # a broken profile is no reason to show nothing
        return image
    return converted if converted.shape == image.shape and converted.dtype == np.uint8 else image
