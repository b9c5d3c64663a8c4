"""A window for images that bring none, from what they show."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.imaging.lut import VoiFunction, Window

_SOFT_TISSUE = Window(40.0, 400.0)
_SAMPLED = 1 << 16
_CENTRAL = 0.8
"""Of an X-ray's sides: at its borders are collimators and bare detector."""

_PERCENTILES = {"MR": (1.0, 99.5), "PT": (0.0, 99.8), "NM": (0.0, 99.8)}
_X_RAY = frozenset({"CR", "DX", "MG", "RG", "XA", "RF", "IO", "PX"})
_X_RAY_PERCENTILES = (0.5, 99.5)
_USUAL_PERCENTILES = (0.1, 99.9)


def automatic_window(values: NDArray[Any], modality: str, unit: str) -> Window:
    """A window that shows what matters.

    CT in HU gets soft tissue. PET and NM begin at 0 and end below the hottest 0.2 %. MR leaves out the background and
    the brightest 0.5 %. Of X-rays the borders do not count, where collimators and bare detector are.

    Parameters
    ----------
    values
        Of the modality, shape (rows, columns) or fewer where padding was taken out.
    modality
        Modality (0008,0060).
    unit
        As of `units.value_unit`.
    """
    if modality == "CT" and unit == "HU":
        return _SOFT_TISSUE
    if modality in _X_RAY and values.ndim == 2:
        values = _middle(values)
    sample = values.ravel()[:: max(values.size // _SAMPLED, 1)].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return Window(0.5, 1.0, VoiFunction.LINEAR_EXACT)
    if modality == "MR":
        sample = sample[sample > sample.min()] if sample.min() < sample.max() else sample
    percentiles = _X_RAY_PERCENTILES if modality in _X_RAY else _PERCENTILES.get(modality, _USUAL_PERCENTILES)
    low, high = (float(each) for each in np.percentile(sample, percentiles))
    if modality in ("PT", "NM"):
        low = min(low, 0.0) if low < 0 else 0.0
    if high <= low:
        low, high = float(sample.min()), float(sample.max())
    width = max(high - low, 1e-6 * max(abs(high), abs(low), 1.0))
    return Window((low + high) / 2, width, VoiFunction.LINEAR_EXACT)


def _middle(values: NDArray[Any]) -> NDArray[Any]:
    rows, columns = (int(side * (1 - _CENTRAL) / 2) for side in values.shape)
    return values[rows : values.shape[0] - rows or None, columns : values.shape[1] - columns or None]
