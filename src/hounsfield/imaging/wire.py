"""Frames, encoded and decoded, as `isolation` sends them between processes: plain values and plain bytes.

What a worker answers is checked like a file from a stranger: it may have read one.
"""

from dataclasses import fields
from typing import Any

import numpy as np

from hounsfield.imaging.codecs import Decoded
from hounsfield.imaging.description import PixelDescription
from hounsfield.imaging.frames import EncodedFrame
from hounsfield.imaging.isolation import Header, WorkerFailure

Part = bytes | memoryview

_DESCRIBED = tuple(field.name for field in fields(PixelDescription) if field.name != "palette")
_TYPES = frozenset(f"{order}{kind}{size}" for order in "<|" for kind in "iu" for size in (1, 2, 4, 8)) | {
    "<f4",
    "<f8",
}
_LONGEST_NAME = 32


def header_of_frame(frame: EncodedFrame) -> Header:
    """What is to be said of a frame beside its bytes; the palette is of no matter to decoders."""
    return {
        "transfer_syntax_uid": frame.transfer_syntax_uid,
        "description": {name: getattr(frame.description, name) for name in _DESCRIBED},
        "number": frame.number,
        "first_bit": frame.first_bit,
        "private_compression": frame.private_compression,
        "component": frame.component,
    }


def frame_of_header(header: dict[str, Any], data: bytes | memoryview) -> EncodedFrame:
    """The frame again."""
    return EncodedFrame(
        data,
        header["transfer_syntax_uid"],
        PixelDescription(**header["description"]),
        header["number"],
        header["first_bit"],
        header["private_compression"],
        component=header["component"],
    )


def header_of_decoded(decoded: Decoded) -> tuple[Header, list[Part]]:
    """Samples, in one part."""
    array = np.ascontiguousarray(decoded.array.astype(decoded.array.dtype.newbyteorder("<"), copy=False))
    header: Header = {
        "shape": array.shape,
        "type": array.dtype.str,
        "photometric": decoded.photometric,
        "precision": decoded.precision,
        "is_as_allocated": decoded.is_as_allocated,
    }
    return header, [array.reshape(-1).view(np.uint8).data]


def decoded_of_header(header: dict[str, Any], parts: list[bytes]) -> Decoded:
    """The samples again."""
    try:
        [data] = parts
        if header["type"] not in _TYPES:
            raise ValueError("type")
        shape = tuple(int(side) for side in header["shape"])
        array = np.frombuffer(data, header["type"]).reshape(shape)
        return Decoded(
            array,
            short_text(header["photometric"]),
            int(header["precision"]),
            bool(header["is_as_allocated"]),
        )
    except (ValueError, TypeError, KeyError) as cause:
        raise WorkerFailure("the decoder gave no sensible answer") from cause


def short_text(text: object) -> str:
    """A text that may come from a worker; `ValueError` if it does not."""
    if not isinstance(text, str) or len(text) > _LONGEST_NAME:
        raise ValueError("name")
    return text
