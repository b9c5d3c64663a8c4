"""The frames of a stored instance: as they are stored, and as images to look at."""

import mmap
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from enum import Enum

from hounsfield.archive import Archive
from hounsfield.dicom.part10 import Head, read_head
from hounsfield.dicom.scan import Buffer
from hounsfield.dicom.uids import transfer_syntax
from hounsfield.errors import Corrupt, NotFound, Unsupported
from hounsfield.imaging import frames, render
from hounsfield.imaging.decode import Pixels, decode, decode_samples
from hounsfield.imaging.display import Display, default_window, read_display
from hounsfield.imaging.frames import EncodedFrame
from hounsfield.imaging.jpeg import QUALITY_DEFAULT, encode_jpeg
from hounsfield.imaging.lut import VoiFunction, Window
from hounsfield.imaging.matlab import matlab_expression
from hounsfield.imaging.npy import encode_npy, frame_values
from hounsfield.imaging.overlays import embedded_overlays
from hounsfield.imaging.pam import encode_pam
from hounsfield.imaging.png import encode_png, encode_preview_png
from hounsfield.imaging.presentation import present, read_presentation
from hounsfield.imaging.presentation_state import present_state, read_state
from hounsfield.imaging.render import AS_IT_IS, Box
from hounsfield.imaging.webp import encode_webp
from hounsfield.index.attachments import Attachment
from hounsfield.retrieve.datasets import read_instance, read_instance_head
from hounsfield.retrieve.files import find_dicom, map_attachment, plain_file, read_attachment
from hounsfield.retrieve.partial import partial_file

STANDARD = "standard"
# Below this, reading is cheaper than mapping and touching the pages one by one.
_MAPPED_SIZE = 4 << 20
_LARGE_FRAME = 256 << 20
_one_large_frame = threading.Lock()


class View(Enum):
    """What of a frame's pixels to show."""

    PREVIEW = "preview"
    """The frame's own range of values, stretched."""

    RENDERED = "rendered"
    """As the data set asks, or through the caller's window."""

    UINT8 = "image-uint8"
    UINT16 = "image-uint16"
    INT16 = "image-int16"


class ImageFormat(Enum):
    """How to write an image, by media type."""

    PNG = "image/png"
    JPEG = "image/jpeg"
    PAM = "image/x-portable-arbitrarymap"
    WEBP = "image/webp"


@dataclass(frozen=True, slots=True)
class WantedWindow:
    """The caller's window, in the units of the modality; what is None is taken from the data set."""

    center: float | None = None
    width: float | None = None


OWN_WINDOW = WantedWindow()


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What image of a frame is wanted. `window` and `box` matter to RENDERED alone."""

    view: View = View.PREVIEW
    format: ImageFormat = ImageFormat.PNG
    window: WantedWindow = OWN_WINDOW
    box: Box = AS_IT_IS
    quality: int | None = None
    """Of JPEG, 90 if None, and of WebP, which loses nothing if None."""

    presentation: str = ""
    """`standard` for all that PS3.3 says of showing the image, or the public id of a presentation state; only with
    RENDERED."""


PREVIEW_PNG = ImageRequest()


def count_frames(archive: Archive, public_id: str) -> int:
    """How many frames an instance has, of those it claims to; 0 without pixel data.

    Raises
    ------
    NotFound
        If there is no such instance.
    """
    attachment = find_dicom(archive, public_id)
    return frames.count_frames(read_instance_head(archive, attachment), attachment.size)


def read_frame(archive: Archive, public_id: str, number: int) -> EncodedFrame:
    """One frame as it is stored, `number` from 1.

    Raises
    ------
    NotFound
        If there is no such instance.
    NoPixelData, NoSuchFrame
        If it holds no such frame.
    Corrupt, Unsupported
        If the frame cannot be found in its bytes.
    """
    return _open_frame(archive, public_id, number)[1]


def _open_frame(archive: Archive, public_id: str, number: int) -> tuple[Head, EncodedFrame]:
    """A frame, and the head of its file; of a large file that is not on this machine only what is needed is read."""
    attachment = find_dicom(archive, public_id)
    if attachment.size >= _MAPPED_SIZE and plain_file(archive, attachment) is None:
        part = partial_file(archive, attachment, number)
        if part is not None:
            with suppress(Corrupt):  # Its offset table may be wrong: then all of the file tells.
                head = read_head(part)
                return head, frames.read_frame(part, head, number)
    data = file_buffer(archive, attachment)
    head = read_head(data)
    return head, frames.read_frame(data, head, number)


def raw_frame(archive: Archive, public_id: str, number: int) -> tuple[bytes, str]:
    """The bit stream of a frame and its transfer syntax, `number` from 1; errors as of `read_frame`.

    A video is one bit stream, and that is frame 1. What only a private element holds, compressed in a way of its own,
    is given as native pixels, little endian.
    """
    frame = read_frame(archive, public_id, number)
    _check_stream(frame)
    if not frame.private_compression:
        return bytes(frame.data), frame.transfer_syntax_uid
    samples = decode_samples(frame).array
    return samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes(), ""


def raw_span(archive: Archive, attachment: Attachment, number: int) -> tuple[int, int, str] | None:
    """Where the bit stream of a frame begins and ends in the file of an instance, and its transfer syntax.

    None if it does not lie there as it is: in a file that is compressed or elsewhere, or in pieces. `number` is from 1;
    errors as of `raw_frame`.
    """
    if plain_file(archive, attachment) is None:
        return None
    data = map_attachment(archive, attachment, smallest=0)
    frame = frames.read_frame(data, read_head(data), number)
    _check_stream(frame)
    return None if frame.span is None else (*frame.span, frame.transfer_syntax_uid)


def _check_stream(frame: EncodedFrame) -> None:
    if frame.number > 1 and transfer_syntax(frame.transfer_syntax_uid).is_video:
        raise frames.NoSuchFrame("the frames of a video are one bit stream, as which the first is given")


def preview_png(archive: Archive, public_id: str, number: int = 1) -> bytes:
    """A frame's own range of values as a PNG file, `number` from 1. Errors as of `image`."""
    return image(archive, public_id, number, PREVIEW_PNG)


def rendered(
    archive: Archive,
    public_id: str,
    number: int = 1,
    *,
    window: WantedWindow = OWN_WINDOW,
    box: Box = AS_IT_IS,
) -> bytes:
    """A frame as its data set asks to be shown, or through the caller's window, as PNG. Errors as of `image`."""
    return image(archive, public_id, number, ImageRequest(View.RENDERED, window=window, box=box))


def image(archive: Archive, public_id: str, number: int, wanted: ImageRequest) -> bytes:
    """Make an image file of one frame, `number` from 1.

    Raises
    ------
    NotFound
        If there is no such instance.
    NoPixelData, NoSuchFrame
        If it holds no such frame.
    Corrupt, Unsupported
        If the frame cannot be decoded, or the view or the format cannot hold it.
    BadRequest
        If the window or the quality make no sense.
    """
    head, frame = _open_frame(archive, public_id, number)
    with _turn(frame):
        picture = _picture(archive, head, frame, wanted)
        if wanted.view is View.PREVIEW and wanted.format is ImageFormat.PNG:
            return encode_preview_png(picture)
        return write_image(picture, wanted)


def frame_picture(archive: Archive, public_id: str, number: int, wanted: ImageRequest) -> render.Image:
    """The image of one frame before it is written, whatever format is wanted. Errors as of `image`."""
    head, frame = _open_frame(archive, public_id, number)
    with _turn(frame):
        return _picture(archive, head, frame, wanted)


def _turn(frame: EncodedFrame) -> AbstractContextManager[object]:
    """Very large frames are shown one after the other: each takes three times its size and more while it is."""
    return _one_large_frame if frame.description.decoded_bytes > _LARGE_FRAME else nullcontext()


def _picture(archive: Archive, head: Head, frame: EncodedFrame, wanted: ImageRequest) -> render.Image:
    pixels = decode(frame)
    if wanted.view is View.RENDERED and wanted.presentation:
        return _presented(archive, head, frame, pixels, wanted)
    return _viewed(pixels, head, frame.number, wanted)


def numpy_file(
    archive: Archive,
    public_id: str,
    number: int | None,
    *,
    is_rescaled: bool = True,
    is_compressed: bool = False,
) -> bytes:
    """The values of one frame, `number` from 1, or of all frames, as a NumPy file. Errors as of `image`."""
    data = file_buffer(archive, find_dicom(archive, public_id))
    head = read_head(data)
    count = frames.count_frames(head, len(data))
    if not count:
        raise frames.NoPixelData("This instance has no pixel data")
    arrays = []
    if number is None and count > 1 and transfer_syntax(head.transfer_syntax_uid).is_video:
        raise Unsupported("The frames of a video are given one by one")
    for each in range(1, count + 1) if number is None else (number,):
        pixels = decode(frames.read_frame(data, head, each))
        display = read_display(head.dataset, pixels.description, each)
        arrays.append(frame_values(pixels, display.modality, is_rescaled=is_rescaled))
    return encode_npy(arrays, is_single=number is not None, is_compressed=is_compressed)


def matlab(archive: Archive, public_id: str, number: int) -> str:
    """The stored values of a frame, `number` from 1, as a Matlab expression. Errors as of `image`."""
    return matlab_expression(decode(_open_frame(archive, public_id, number)[1]))


def _viewed(pixels: Pixels, head: Head, number: int, wanted: ImageRequest) -> render.Image:
    if wanted.view is View.RENDERED:
        display = read_display(head.dataset, pixels.description, number)
        window = _chosen(wanted.window, display, pixels)
        return render.render(pixels, display, window=window, box=wanted.box)
    return _VIEWS[wanted.view](pixels)


def _presented(
    archive: Archive, head: Head, frame: EncodedFrame, pixels: Pixels, wanted: ImageRequest
) -> render.Image:
    """A frame by the standard, or by a presentation state."""
    dataset, number = head.dataset, frame.number
    own = read_presentation(dataset, pixels.description, number)
    own = replace(own, overlays=(*own.overlays, *embedded_overlays(dataset, frame)))
    window = wanted.window
    voi = 0 if window == OWN_WINDOW else Window(window.center or 0.0, max(window.width or 1.0, 1.0))
    if wanted.presentation == STANDARD:
        return present(pixels, own, voi=voi, box=wanted.box)
    state = read_instance(archive, wanted.presentation, whole=True).dataset
    return present_state(pixels, read_state(state, dataset, pixels, number, own), voi=voi, box=wanted.box)


def _chosen(wanted: WantedWindow, display: Display, pixels: Pixels) -> Window | None:
    """The caller's window, completed; None if it is all the data set's."""
    if wanted == OWN_WINDOW:
        return None
    own = display.voi
    if not isinstance(own, Window):
        own = default_window(pixels.description, display.modality)
    center = own.center if wanted.center is None else wanted.center
    width = own.width if wanted.width is None else wanted.width
    return Window(center, max(width, 1.0), VoiFunction.LINEAR_EXACT)


def write_image(picture: render.Image, wanted: ImageRequest) -> bytes:
    """Write an image in the format wanted. Errors as of the formats' own writers."""
    if wanted.format is ImageFormat.JPEG:
        return encode_jpeg(picture, QUALITY_DEFAULT if wanted.quality is None else wanted.quality)
    if wanted.format is ImageFormat.WEBP:
        return encode_webp(picture, wanted.quality)
    return encode_pam(picture) if wanted.format is ImageFormat.PAM else encode_png(picture)


_VIEWS: Mapping[View, Callable[[Pixels], render.Image]] = {
    View.PREVIEW: render.preview,
    View.UINT8: render.clip_uint8,
    View.UINT16: render.clip_uint16,
    View.INT16: render.clip_int16,
}


def file_buffer(archive: Archive, attachment: Attachment) -> Buffer:
    """The file's bytes; a large one is mapped, so that one frame of a whole slide costs its own pages."""
    plain = plain_file(archive, attachment) if attachment.size >= _MAPPED_SIZE else None
    if plain is None:
        return read_attachment(archive, attachment)
    try:
        with plain.path.open("rb") as file:
            return mmap.mmap(file.fileno(), plain.size, access=mmap.ACCESS_READ)
    except (FileNotFoundError, ValueError) as cause:  # ValueError: the file is shorter than recorded
        raise NotFound("The file of the instance is missing or cut off") from cause
