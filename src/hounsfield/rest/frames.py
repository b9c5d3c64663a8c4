"""Frames: their list, their stored bytes, and images of them. Numbered from 0 here, as in Orthanc."""

import math
from functools import partial

import orjson
from isal import igzip

from hounsfield.errors import ArchiveError, Corrupt, NotFound, Unsupported
from hounsfield.http.errors import (
    BadFileFormat,
    BadParameterType,
    NoAnswer,
    ParameterOutOfRange,
    UnsupportedMediaType,
)
from hounsfield.http.messages import (
    FileBody,
    Request,
    Response,
    answer_bytes,
    answer_json,
    answer_text,
    redirect,
    unsigned,
)
from hounsfield.http.negotiation import preferred
from hounsfield.http.routing import Route
from hounsfield.imaging.frames import NoPixelData, NoSuchFrame
from hounsfield.imaging.render import Box
from hounsfield.rest.door import Door
from hounsfield.retrieve.files import PlainFile, find_dicom, plain_file
from hounsfield.retrieve.frames import (
    ImageFormat,
    ImageRequest,
    View,
    WantedWindow,
    count_frames,
    image,
    matlab,
    numpy_file,
    raw_frame,
    raw_span,
)

_FORMATS = [ImageFormat.PNG.value, ImageFormat.JPEG.value, ImageFormat.PAM.value]
# Given to who wants nothing else: browsers put it before PNG, which is made in a fraction of the time.
_SECOND_CHOICES = [ImageFormat.WEBP.value]
_EIGHT_BITS = (ImageFormat.JPEG.value, ImageFormat.WEBP.value)
_WIDE = (View.UINT16, View.INT16)
_BITSTREAM_TYPES = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
}
_OCTETS = "application/octet-stream"
_LARGEST_SIDE = 65535


def routes(door: Door) -> list[Route]:
    """The routes of frames, of an instance (its first frame) and by number."""
    frame = "/instances/{id}/frames/{number}"
    found = [
        Route("GET", "/instances/{id}/frames", partial(list_frames, door)),
        Route("GET", frame + "/raw", partial(get_raw, door), at_hand=partial(raw_at_hand, door)),
        Route("GET", frame + "/raw.gz", partial(get_raw_gzip, door)),
    ]
    images = [
        Route("GET", f"{path}/{view.value}", partial(get_image, door, view))
        for view in View
        for path in ("/instances/{id}", frame)
    ]
    arrays = [
        Route("GET", f"{path}/{name}", partial(handler, door))
        for name, handler in (("numpy", get_numpy), ("matlab", get_matlab))
        for path in ("/instances/{id}", frame)
    ]
    return [*found, *images, *arrays]


def list_frames(door: Door, request: Request) -> Response:
    """The numbers of all frames; an instance without pixels counts as one, as it ever did."""
    return answer_json(list(range(count_frames(door.archive, request.values["id"]) or 1)))


def get_numpy(door: Door, request: Request) -> Response:
    """The values of a frame, or of all frames, as a NumPy file; rescaled unless `rescale` is 0."""
    number = _frame_number(request) if "number" in request.values else None
    try:
        data = numpy_file(
            door.archive,
            request.values["id"],
            number,
            is_rescaled=request.flag("rescale", default=True),
            is_compressed=request.flag("compress"),
        )
    except NoSuchFrame as cause:
        raise ParameterOutOfRange("There is no such frame") from cause
    except NoPixelData as cause:
        raise BadFileFormat("This instance has no pixel data") from cause
    except Corrupt as cause:
        raise Unsupported(f"The frame cannot be decoded: {cause}") from cause
    return answer_bytes(data, _OCTETS)


def get_matlab(door: Door, request: Request) -> Response:
    """The stored values of a frame as an expression of Matlab."""
    number = _number(request)
    try:
        text = matlab(door.archive, request.values["id"], number + 1)
    except NoPixelData as cause:
        raise BadFileFormat("This instance has no pixel data") from cause
    except (NoSuchFrame, Corrupt) as cause:
        raise Unsupported("The frame cannot be decoded") from cause
    return answer_text(text)


def _frame_number(request: Request) -> int:
    """The frame's number from 1."""
    return unsigned(request.values["number"]) + 1


def get_raw(door: Door, request: Request) -> Response:
    """A frame as it is stored: its bit stream, or native pixels."""
    number = _stream_number(request)
    attachment = find_dicom(door.archive, request.values["id"])

    def make() -> bytes:
        return orjson.dumps(raw_span(door.archive, attachment, number + 1))

    found = orjson.loads(door.cache.get_or_make((f"frame {number}", attachment.uuid), make))
    plain = plain_file(door.archive, attachment)
    if found is None or plain is None:
        data, mime = _raw(door, request)
        return answer_bytes(data, mime)
    return _stretch(plain, found)


def raw_at_hand(door: Door, request: Request) -> Response:
    """The same if it was asked for lately and lies in a file as it is; `NotFound` otherwise."""
    number = _stream_number(request)
    attachment = find_dicom(door.archive, request.values["id"])
    found = orjson.loads(door.cache.get_or_make((f"frame {number}", attachment.uuid), _not_at_hand))
    plain = plain_file(door.archive, attachment)
    if found is None or plain is None:
        raise NotFound
    return _stretch(plain, found)


def _not_at_hand() -> bytes:
    raise NotFound


def _stretch(plain: PlainFile, found: tuple[int, int, str]) -> Response:
    begin, end, transfer_syntax_uid = found
    body = FileBody(plain.path, begin, end - begin)
    return answer_bytes(body, _BITSTREAM_TYPES.get(transfer_syntax_uid, _OCTETS))


def get_raw_gzip(door: Door, request: Request) -> Response:
    """The same, compressed."""
    data, _ = _raw(door, request)
    return answer_bytes(igzip.compress(data, 1), "application/gzip")


def _raw(door: Door, request: Request) -> tuple[bytes, str]:
    data, transfer_syntax_uid = raw_frame(door.archive, request.values["id"], _stream_number(request) + 1)
    return data, _BITSTREAM_TYPES.get(transfer_syntax_uid, _OCTETS)


def _stream_number(request: Request) -> int:
    number = _number(request)
    if number < 0:
        raise ParameterOutOfRange
    return number


def _number(request: Request) -> int:
    """The frame's number, possibly negative; nothing is answered to anything else."""
    text = request.values.get("number", "0")
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9:
        raise NoAnswer
    return int(text)


def get_image(door: Door, view: View, request: Request) -> Response:
    """An image of a frame; failures have no body."""
    number = _number(request)
    wanted = _wanted(view, request)
    try:
        data = image(door.archive, request.values["id"], number + 1, wanted)
    except NotFound as cause:
        raise NoAnswer from cause
    except ArchiveError as cause:
        if request.has("returnUnsupportedImage") and request.arguments["returnUnsupportedImage"] != "false":
            return redirect(("../" * (4 if "number" in request.values else 2)) + "app/images/unsupported.png")
        raise UnsupportedMediaType from cause
    return answer_bytes(data, wanted.format.value)


def _wanted(view: View, request: Request) -> ImageRequest:
    accept = request.headers.get("accept", "")
    chosen = preferred(accept, _FORMATS) or preferred(accept, _SECOND_CHOICES)
    if chosen is None or (chosen in _EIGHT_BITS and view in _WIDE):
        raise NoAnswer
    image_format = ImageFormat(chosen)
    quality = _quality(request)
    if view is not View.RENDERED:
        return ImageRequest(view, image_format, quality=quality)
    presentation = request.arguments.get("presentation", "")
    return ImageRequest(view, image_format, _window(request), _box(request), quality, presentation)


def _quality(request: Request) -> int | None:
    if "quality" not in request.arguments:
        return None
    try:
        quality = unsigned(request.arguments["quality"])
    except BadParameterType as cause:
        raise UnsupportedMediaType from cause
    if not 1 <= quality <= 100:
        raise UnsupportedMediaType
    return quality


def _window(request: Request) -> WantedWindow:
    """The caller's window, or half of one."""
    return WantedWindow(_number_argument(request, "window-center"), _number_argument(request, "window-width"))


def _number_argument(request: Request, name: str) -> float | None:
    text = request.arguments.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError as cause:
        raise NoAnswer from cause
    if not math.isfinite(value):
        raise NoAnswer
    return value


def _box(request: Request) -> Box:
    try:
        width, height = (unsigned(request.arguments.get(name, "0")) for name in ("width", "height"))
    except BadParameterType as cause:
        raise NoAnswer from cause
    try:
        is_smooth = request.flag("smooth")
    except ParameterOutOfRange as cause:
        raise UnsupportedMediaType from cause
    if max(width, height) > _LARGEST_SIDE:
        raise UnsupportedMediaType
    return Box(width, height, is_smooth)
