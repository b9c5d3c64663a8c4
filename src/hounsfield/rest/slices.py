"""The slices of a series: their order, and their values in one array."""

from functools import partial

from hounsfield.errors import Corrupt, Unsupported
from hounsfield.http.errors import BadFileFormat
from hounsfield.http.messages import Request, Response, answer_bytes, answer_json
from hounsfield.http.routing import Route
from hounsfield.imaging.frames import NoPixelData
from hounsfield.rest.door import Door
from hounsfield.retrieve.series import order_slices, series_numpy


def routes(door: Door) -> list[Route]:
    """The routes of slices."""
    return [
        Route("GET", "/series/{id}/ordered-slices", partial(get_ordered_slices, door)),
        Route("GET", "/series/{id}/numpy", partial(get_series_numpy, door)),
    ]


def get_ordered_slices(door: Door, request: Request) -> Response:
    """The instances and frames of a series in the order of the slices."""
    ordered = order_slices(door.archive, request.values["id"])
    return answer_json(
        {
            "Type": ordered.kind.value,
            "Dicom": [f"/instances/{public_id}/file" for public_id, _ in ordered.instances],
            "Slices": [
                f"/instances/{public_id}/frames/{number}"
                for public_id, frames in ordered.instances
                for number in range(frames)
            ],
            "SlicesShort": [[public_id, 0, frames] for public_id, frames in ordered.instances],
        }
    )


def get_series_numpy(door: Door, request: Request) -> Response:
    """The values of all frames of a series, in the order of the slices, as a NumPy file."""
    try:
        data = series_numpy(
            door.archive,
            request.values["id"],
            is_rescaled=request.flag("rescale", default=True),
            is_compressed=request.flag("compress"),
        )
    except NoPixelData as cause:
        raise BadFileFormat("An instance of this series has no pixel data") from cause
    except Corrupt as cause:
        raise Unsupported(f"A frame cannot be decoded: {cause}") from cause
    return answer_bytes(data, "application/octet-stream")
