"""What a data set says about its pixels: the Image Pixel module, PS3.3 C.7.6.3, read once and checked.

Nothing here touches the pixel data. Sizes are only declared, and `PixelDescription` refuses those that cannot be:
whoever allocates compares them with the bytes really there first (`frames.read_frame`, `decode.decode`).
"""

from dataclasses import dataclass

from hounsfield import errors
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.tags import Tag, format_tag
from hounsfield.imaging.tables import Palette, read_palette

SAMPLES_PER_PIXEL = 0x00280002
PHOTOMETRIC_INTERPRETATION = 0x00280004
PLANAR_CONFIGURATION = 0x00280006
NUMBER_OF_FRAMES = 0x00280008
ROWS = 0x00280010
COLUMNS = 0x00280011
BITS_ALLOCATED = 0x00280100
BITS_STORED = 0x00280101
HIGH_BIT = 0x00280102
PIXEL_REPRESENTATION = 0x00280103

MONOCHROME1 = "MONOCHROME1"
MONOCHROME2 = "MONOCHROME2"
PALETTE_COLOR = "PALETTE COLOR"
RGB = "RGB"
YBR_FULL = "YBR_FULL"
YBR_FULL_422 = "YBR_FULL_422"
YBR_PARTIAL_422 = "YBR_PARTIAL_422"
YBR_ICT = "YBR_ICT"
YBR_RCT = "YBR_RCT"

_BITS_ALLOCATED = frozenset({1, 8, 16, 32, 64})
_DEFAULT_PHOTOMETRIC = {1: MONOCHROME2, 3: RGB}


@dataclass(frozen=True, slots=True, eq=False)
class PixelDescription:
    """How the pixels of every frame are laid out. PS3.3 C.7.6.3.1."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    photometric: str
    planar: int = 0
    """Planar Configuration: 1 if each sample has its own plane."""

    number_of_frames: int = 1
    is_float: bool = False
    """Whether the pixels are in Float (7FE0,0008) or Double Float Pixel Data (7FE0,0009)."""

    palette: Palette | None = None

    def __post_init__(self) -> None:
        if not 0 < self.rows <= 0xFFFF or not 0 < self.columns <= 0xFFFF:
            raise errors.Corrupt(f"Rows {self.rows} and Columns {self.columns} make no image")
        if self.samples not in (1, 3):
            raise errors.Unsupported(f"Samples per Pixel {self.samples}")
        if self.bits_allocated not in _BITS_ALLOCATED:
            raise errors.Unsupported(f"Bits Allocated {self.bits_allocated}")
        if not 0 < self.bits_stored <= self.bits_allocated:
            raise errors.Corrupt(f"Bits Stored {self.bits_stored} of {self.bits_allocated} allocated")
        if not self.bits_stored - 1 <= self.high_bit < self.bits_allocated:
            raise errors.Corrupt(f"High Bit {self.high_bit} with {self.bits_stored} bits stored")
        if self.number_of_frames < 1:
            raise errors.Corrupt(f"Number of Frames {self.number_of_frames}")

    @property
    def pixels(self) -> int:
        """Pixels of one frame."""
        return self.rows * self.columns

    @property
    def frame_bits(self) -> int:
        """Bits of one decoded frame, as allocated and not padded."""
        return self.pixels * self.samples * self.bits_allocated

    @property
    def decoded_bytes(self) -> int:
        """Memory of one decoded frame, where a single bit takes a byte."""
        return self.pixels * self.samples * max(self.bits_allocated // 8, 1)


def describe(dataset: Dataset, *, pixel_data_vr: str = "OW") -> PixelDescription:
    """Read the Image Pixel module.

    What scanners leave out is filled in: Bits Stored from Bits Allocated, High Bit from Bits Stored, Samples per
    Pixel from the Photometric Interpretation. Rows, Columns and Bits Allocated cannot be guessed.

    Parameters
    ----------
    dataset
        The top level of an image.
    pixel_data_vr
        VR of the pixel data found: OF and OD are Float and Double Float Pixel Data.

    Raises
    ------
    Corrupt
        If an attribute is missing or impossible.
    Unsupported
        If the pixels are of a kind we cannot show.
    """
    is_float = pixel_data_vr in ("OF", "OD")
    photometric = (dataset.text(PHOTOMETRIC_INTERPRETATION) or "").strip(" \0").upper()
    bits_allocated = (32 if pixel_data_vr == "OF" else 64) if is_float else _required(dataset, BITS_ALLOCATED)
    bits_stored = bits_allocated if is_float else dataset.int(BITS_STORED) or bits_allocated
    high_bit = None if is_float else dataset.int(HIGH_BIT)
    samples = dataset.int(SAMPLES_PER_PIXEL) or (3 if photometric.startswith(("RGB", "YBR")) else 1)
    return PixelDescription(
        rows=_required(dataset, ROWS),
        columns=_required(dataset, COLUMNS),
        samples=samples,
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=bits_stored - 1 if high_bit is None else high_bit,
        is_signed=is_float or dataset.int(PIXEL_REPRESENTATION) == 1,
        photometric=photometric or _DEFAULT_PHOTOMETRIC.get(samples, RGB),
        planar=dataset.int(PLANAR_CONFIGURATION) or 0,
        number_of_frames=frame_count(dataset),
        is_float=is_float,
        palette=read_palette(dataset) if photometric == PALETTE_COLOR else None,
    )


def frame_count(dataset: Dataset) -> int:
    """Give the Number of Frames (0028,0008), 1 where it is missing or empty; `Corrupt` if it is below 1."""
    if NUMBER_OF_FRAMES not in dataset:
        return 1
    frames = dataset.int(NUMBER_OF_FRAMES)
    if frames is None:
        if (dataset.text(NUMBER_OF_FRAMES) or "").strip(" \0"):
            raise errors.Corrupt("Number of Frames (0028,0008) is not a number")
        return 1
    # Some converters write 0 in single-frame instances.
    if frames < 0:
        raise errors.Corrupt(f"Number of Frames {frames}")
    return frames or 1


def _required(dataset: Dataset, tag: Tag) -> int:
    value = dataset.int(tag)
    if value is None:
        raise errors.Corrupt(f"the image has no usable ({format_tag(tag)})")
    return value
