"""Series as volumes: what they are, planes through them, NIfTI files, thumbnails."""

import math
from enum import Enum
from functools import partial
from typing import TypeVar

from hounsfield.dicom.levels import Level
from hounsfield.errors import BadRequest, Conflict
from hounsfield.http.errors import NotAcceptable
from hounsfield.http.messages import Request, Response, answer_bytes, answer_json, unsigned
from hounsfield.http.negotiation import preferred
from hounsfield.http.routing import Route
from hounsfield.imaging.geometry import Vector
from hounsfield.imaging.lut import VoiFunction, Window
from hounsfield.imaging.plane_pictures import Look, Overlay, PlaneView, plane_picture, view_plane
from hounsfield.imaging.projection import Projection
from hounsfield.imaging.reslice import Axis, Interpolation
from hounsfield.imaging.volume import Volume, with_suv
from hounsfield.rest.door import Door
from hounsfield.retrieve.frames import ImageFormat, ImageRequest, write_image
from hounsfield.retrieve.nifti import write_nifti
from hounsfield.retrieve.thumbnails import Motion, moving_thumbnail, thumbnail
from hounsfield.retrieve.volume_facts import plane_facts, suv_of, volume_facts

_PICTURES = [ImageFormat.PNG.value, ImageFormat.JPEG.value, ImageFormat.WEBP.value]
_MOTIONS = [each.value for each in Motion]
_JSON = "application/json"
_NIFTI = "application/octet-stream"
_SIDE_MAX = 4096
_THUMBNAIL_SIDE = 256
_THUMBNAIL_FRAMES = 24
_THUMBNAIL_FRAMES_MAX = 100
_MILLISECONDS = 100
_OVERLAY_COLOURS = "hot-iron"
_LARGEST = 1e9
_Choice = TypeVar("_Choice", bound=Enum)


def routes(door: Door) -> list[Route]:
    """The routes of volumes."""
    return [
        Route("GET", "/series/{id}/volume", partial(get_volume, door)),
        Route("GET", "/series/{id}/nifti", partial(get_nifti, door, Level.SERIES)),
        Route("GET", "/instances/{id}/nifti", partial(get_nifti, door, Level.INSTANCE)),
        Route("GET", "/series/{id}/mpr", partial(get_plane, door)),
        Route("GET", "/series/{id}/thumbnail", partial(get_thumbnail, door)),
    ]


def get_volume(door: Door, request: Request) -> Response:
    """Where the slices of a series are, and what is odd about them; or its volume as a compressed NIfTI file."""
    public_id, wanted = request.values["id"], request.arguments.get("format", "json")
    if wanted == "nifti":
        return _nifti(door, Level.SERIES, request, is_compressed=True)
    if wanted != "json":
        raise BadRequest('The argument "format" must be "json" or "nifti"')
    facts = volume_facts(door.volumes.series(public_id, is_gone=request.is_gone), door.options.volumes_bytes)
    return answer_json({"ID": public_id, **facts})


def get_nifti(door: Door, level: Level, request: Request) -> Response:
    """The volume as a NIfTI file; stacks that differ in time, echo and the like are its fourth dimension."""
    return _nifti(door, level, request, is_compressed=request.has("compress"))


def _nifti(door: Door, level: Level, request: Request, *, is_compressed: bool) -> Response:
    public_id = request.values["id"]
    stack = unsigned(request.arguments["stack"]) if "stack" in request.arguments else None
    pieces = write_nifti(
        door.volumes, public_id, stack, is_compressed=is_compressed, is_gone=request.is_gone, level=level
    )
    filename = f"{public_id}.nii.gz" if is_compressed else f"{public_id}.nii"
    return answer_bytes(pieces, _NIFTI, filename=filename)


def get_plane(door: Door, request: Request) -> Response:
    """A picture of a plane through a series, or of a slab; where its pixels are to who accepts only JSON."""
    chosen = preferred(request.headers.get("accept", ""), [*_PICTURES, _JSON])
    if chosen is None:
        raise NotAcceptable("A plane is given as PNG, JPEG, WebP or JSON")
    view = _view(request)
    volume = _volume(door, request, request.values["id"], request.arguments.get("units", ""))
    plane = view_plane(volume, view)
    if chosen == _JSON:
        return answer_json(plane_facts(plane))
    look = Look(_window(request, "window-center", "window-width"), request.arguments.get("colours", "grey"))
    overlay = _overlay(door, request, volume)
    with door.turns.take(request.is_gone):
        picture = plane_picture(volume, plane, view, look, overlay, is_wanted=lambda: not request.is_gone())
        return answer_bytes(write_image(picture, _image(request, chosen)), chosen)


def _view(request: Request) -> PlaneView:
    arguments = request.arguments
    return PlaneView(
        axis=_choice(Axis, "axis", arguments.get("axis", Axis.AXIAL.value)),
        position_mm=_decimal(request, "position"),
        origin=_vector(request, "origin"),
        normal=_vector(request, "normal"),
        row=_vector(request, "row"),
        column=_vector(request, "column"),
        spacing_mm=_decimal(request, "spacing"),
        columns=_side(arguments.get("width", "0")),
        rows=_side(arguments.get("height", "0")),
        thickness_mm=_decimal(request, "thickness") or 0.0,
        projection=_choice(Projection, "mode", arguments.get("mode", Projection.MAXIMUM.value)),
        interpolation=_choice(
            Interpolation, "interpolation", arguments.get("interpolation", Interpolation.LINEAR.value)
        ),
    )


def _volume(door: Door, request: Request, public_id: str, units: str) -> Volume:
    """The volume of a series, in SUV if asked for."""
    if units not in ("", "suv"):
        raise BadRequest('Units can only be "suv", and are those of the data set without')
    stack = unsigned(request.arguments.get("stack", "0"))
    volume = door.volumes.volume(public_id, stack, request.is_gone)
    return with_suv(volume, suv_of(door.volumes.series(public_id))) if units else volume


def _overlay(door: Door, request: Request, under: Volume) -> Overlay | None:
    """A second series laid over the first, which must be in the same Frame of Reference. PS3.3 C.7.4.1."""
    arguments = request.arguments
    if "overlay" not in arguments:
        return None
    window = _window(request, "overlay-window-center", "overlay-window-width")
    volume = door.volumes.volume(arguments["overlay"], 0, request.is_gone)
    uids = {under.frame_of_reference_uid, volume.frame_of_reference_uid} - {""}
    if len(uids) > 1 and not request.flag("ignore-frame-of-reference"):
        raise Conflict("The two series are in different Frames of Reference: what lies where is not known")
    if arguments.get("overlay-units") == "suv":
        volume = with_suv(volume, suv_of(door.volumes.series(arguments["overlay"])))
    opacity = _decimal(request, "overlay-opacity")
    look = Look(window, arguments.get("overlay-colours", _OVERLAY_COLOURS))
    return Overlay(volume, look, 0.5 if opacity is None else opacity)


def get_thumbnail(door: Door, request: Request) -> Response:
    """The middle frame of a series in a small picture, or moving pictures all along it."""
    arguments, accept = request.arguments, request.headers.get("accept", "")
    side = _side(arguments.get("size", str(_THUMBNAIL_SIDE))) or _THUMBNAIL_SIDE
    public_id = request.values["id"]
    series = door.volumes.series(public_id, is_gone=request.is_gone)
    if not request.flag("animated") and preferred(accept, [*_PICTURES, Motion.GIF.value]) != Motion.GIF.value:
        chosen = _preferred_picture(accept, _PICTURES)
        with door.turns.take(request.is_gone):
            data = thumbnail(door.archive, public_id, series, side, _image(request, chosen))
            return answer_bytes(data, chosen)
    motion = Motion(_preferred_picture(accept, _MOTIONS))
    count = max(unsigned(arguments.get("frames", str(_THUMBNAIL_FRAMES))), 1)
    with door.turns.take(request.is_gone):
        data = moving_thumbnail(
            series, side, motion, frames=min(count, _THUMBNAIL_FRAMES_MAX), milliseconds=_MILLISECONDS
        )
    return answer_bytes(data, motion.value)


def _preferred_picture(accept: str, offered: list[str]) -> str:
    chosen = preferred(accept, offered)
    if chosen is None:
        raise NotAcceptable(f"This is given as {', '.join(offered)}")
    return chosen


def _image(request: Request, chosen: str) -> ImageRequest:
    quality = unsigned(request.arguments["quality"]) if "quality" in request.arguments else None
    return ImageRequest(format=ImageFormat(chosen), quality=quality)


def _window(request: Request, center_name: str, width_name: str) -> Window | None:
    """The caller's window; a half of one counts as none."""
    center, width = _decimal(request, center_name), _decimal(request, width_name)
    if center is None or width is None:
        return None
    return Window(center, width, VoiFunction.LINEAR_EXACT)


def _choice(kind: type[_Choice], name: str, text: str) -> _Choice:
    try:
        return kind(text)
    except ValueError as cause:
        words = ", ".join(str(each.value) for each in kind)
        raise BadRequest(f'The argument "{name}" must be one of {words}') from cause


def _side(text: str) -> int:
    """A width or height in pixels; 0 for any."""
    side = unsigned(text)
    if side > _SIDE_MAX:
        raise BadRequest(f"A picture of more than {_SIDE_MAX} pixels on a side")
    return side


def _vector(request: Request, name: str) -> Vector | None:
    """Three numbers, separated by commas."""
    text = request.arguments.get(name)
    if text is None:
        return None
    parts = [_number(part, name) for part in text.split(",")[:4]]
    if len(parts) != 3:
        raise BadRequest(f'The argument "{name}" must be three numbers, separated by commas')
    return (parts[0], parts[1], parts[2])


def _decimal(request: Request, name: str) -> float | None:
    text = request.arguments.get(name)
    return None if text is None else _number(text, name)


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError as cause:
        raise BadRequest(f'The argument "{name}" must be a number') from cause
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise BadRequest(f'The argument "{name}" must be a number')
    return value
