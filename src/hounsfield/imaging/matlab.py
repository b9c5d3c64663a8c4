"""Pixels as an expression that Matlab and Octave read."""

import numpy as np

from hounsfield.imaging.decode import Pixels
from hounsfield.imaging.render import is_colour, stored_colour, stored_grey


def matlab_expression(pixels: Pixels) -> str:
    """The stored values of a frame, unscaled; colour is RGB of 8 bits, and a single bit is 0 or 255.

    A grey frame is a matrix of rows, a colour frame an array of rows, columns and samples.
    """
    if not is_colour(pixels):
        rows = stored_grey(pixels).tolist()
        return f"double([ {' ; '.join(' '.join(map(str, row)) for row in rows)} ])"
    image = stored_colour(pixels)
    values = " ".join(map(str, np.ascontiguousarray(image).ravel().tolist()))
    return f"double(permute(reshape([ {values} ], [ 3 {image.shape[1]} {image.shape[0]} ]), [ 3 2 1 ]))"
