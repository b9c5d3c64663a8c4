"""Waveforms, such as electrocardiograms, in their units, and drawn as on paper. PS3.3 C.10.9 and C.10.10.

A second is 25 mm wide; a millivolt of an ECG is 10 mm high, and other signals fill the height of a line.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.tags import Tag
from hounsfield.imaging.geometry import decimals
from hounsfield.imaging.lettering import HEIGHT, write

WAVEFORM_SEQUENCE: Tag = 0x54000100

_CHANNELS = 0x003A0005
_SAMPLES = 0x003A0010
_SAMPLING_FREQUENCY = 0x003A001A
_MULTIPLEX_GROUP_LABEL = 0x003A0020
_CHANNEL_DEFINITIONS = 0x003A0200
_CHANNEL_LABEL = 0x003A0203
_CHANNEL_SOURCE = 0x003A0208
_SENSITIVITY = 0x003A0210
_SENSITIVITY_UNITS = 0x003A0211
_CORRECTION_FACTOR = 0x003A0212
_BASELINE = 0x003A0213
_INTERPRETATION = 0x54001006
_DATA = 0x54001010
_CODE_VALUE, _CODE_MEANING = 0x00080100, 0x00080104
_LONGEST_DATA = 256 << 20
_SLOWEST_HZ, _FASTEST_HZ = 0.1, 1e6

_TYPES = {"SB": "i1", "UB": "u1", "SS": "i2", "US": "u2", "SL": "i4", "UL": "u4"}
_MILLIVOLTS = {"uV": 1e-3, "mV": 1.0, "V": 1e3}

_MM_A_SECOND = 25.0
_MM_A_MILLIVOLT = 10.0
_LINE_MM = 20.0
_HIGHEST_MM = 200.0
_SCALE = "25 mm/s, 10 mm/mV"
_LONGEST_SECONDS = 20.0
_CHANNELS_MAX = 64
_PIXELS_A_MM = 4
_PAPER, _FINE, _COARSE, _INK = (255, 250, 250), (250, 222, 222), (240, 180, 180), (20, 20, 60)


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One signal."""

    label: str
    units: str
    """In UCUM: uV, mV, mm[Hg]; empty if unknown, and then values are as they are stored."""

    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MultiplexGroup:
    """Signals that were sampled together."""

    label: str
    frequency_hz: float
    channels: tuple[Channel, ...]

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.channels[0].values) / self.frequency_hz if self.channels else 0.0


def read_waveforms(dataset: Dataset) -> list[MultiplexGroup]:
    """Read all waveforms of an instance.

    Raises
    ------
    Corrupt
        If there is less data than declared, or no frequency.
    Unsupported
        If samples are of a kind that is not a number: A-law and mu-law sound.
    """
    return [_group(item) for item in dataset.items(WAVEFORM_SEQUENCE)]


def _group(item: Dataset) -> MultiplexGroup:
    count, samples = item.int(_CHANNELS) or 0, item.int(_SAMPLES) or 0
    frequency = decimals(item, _SAMPLING_FREQUENCY, 1)
    if frequency is None or not _SLOWEST_HZ <= frequency[0] <= _FASTEST_HZ:
        raise errors.Corrupt("a waveform without a usable Sampling Frequency (003A,001A)")
    if (item.text(_INTERPRETATION) or "").strip() not in _TYPES:
        raise errors.Unsupported("a waveform of A-law or mu-law sound")
    stored = _stored(item, count, samples)
    definitions = item.items(_CHANNEL_DEFINITIONS)[:count]
    channels = tuple(
        _channel(definition, stored[:, index], index) for index, definition in enumerate(definitions)
    )
    return MultiplexGroup((item.text(_MULTIPLEX_GROUP_LABEL) or "").strip(), frequency[0], channels)


def _stored(item: Dataset, channels: int, samples: int) -> NDArray[np.generic]:
    """Samples as stored, shape (samples, channels)."""
    kind = _TYPES[(item.text(_INTERPRETATION) or "").strip()]
    element = item.element(_DATA)
    wanted = channels * samples * np.dtype(kind).itemsize
    if element is None or channels < 1 or samples < 1 or not wanted <= element.length <= _LONGEST_DATA:
        raise errors.Corrupt("Waveform Data (5400,1010) is not as long as declared")
    order = ">" if item.encoding.is_big_endian else "<"
    values = np.frombuffer(item.raw(_DATA), np.dtype(order + kind), channels * samples)
    return values.reshape(samples, channels)


def _channel(definition: Dataset, stored: NDArray[np.generic], index: int) -> Channel:
    """The signal in its units: stored value x sensitivity x correction + baseline. PS3.3 C.10.9.1.4.2."""
    sensitivity = decimals(definition, _SENSITIVITY, 1)
    correction = decimals(definition, _CORRECTION_FACTOR, 1) or (1.0,)
    baseline = decimals(definition, _BASELINE, 1) or (0.0,)
    units = next((item.text(_CODE_VALUE) or "" for item in definition.items(_SENSITIVITY_UNITS)[:1]), "")
    values = stored.astype(np.float64)
    if sensitivity is not None:
        with np.errstate(over="ignore", invalid="ignore"):  # absurd factors become some height on the paper
            values = np.nan_to_num(values * (sensitivity[0] * correction[0]) + baseline[0])
    return Channel(_label(definition) or f"Channel {index + 1}", units.strip() if sensitivity else "", values)


def _label(definition: Dataset) -> str:
    label = (definition.text(_CHANNEL_LABEL) or "").strip()
    source = next((item.text(_CODE_MEANING) or "" for item in definition.items(_CHANNEL_SOURCE)[:1]), "")
    return label or source.strip()


@dataclass(frozen=True, slots=True)
class _Trace:
    """A signal on paper, in mm: from the left edge, and downwards from the middle of its line."""

    label: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]


def _traces(group: MultiplexGroup) -> Iterator[_Trace]:
    for channel in group.channels[:_CHANNELS_MAX]:
        values = channel.values[: int(_LONGEST_SECONDS * group.frequency_hz)]
        factor = _MILLIVOLTS.get(channel.units)
        if factor is not None:
            y = np.clip(values, -1e9, 1e9) * (-factor * _MM_A_MILLIVOLT)
        else:
            values = np.clip(values, -1e30, 1e30)
            low, high = float(values.min()), float(values.max())
            y = ((high + low) / 2 - values) * (_LINE_MM * 0.8 / max(high - low, 1e-12))
        x = np.arange(len(values), dtype=np.float64) * (_MM_A_SECOND / group.frequency_hz)
        yield _Trace(channel.label, np.asarray(x, np.float64), np.clip(y, -_HIGHEST_MM, _HIGHEST_MM))


def _paper(traces: Sequence[_Trace]) -> tuple[float, float]:
    """Width and height in mm, whole coarse squares of 5 mm."""
    longest = max((float(trace.x[-1]) for trace in traces), default=0.0)
    return max(math.ceil(longest / 5), 1) * 5.0, max(len(traces), 1) * _LINE_MM + 5.0


def draw_svg(group: MultiplexGroup) -> str:
    """A group on squared paper as an SVG document in mm, a line a signal; 20 seconds at most."""
    traces = list(_traces(group))
    width, height = _paper(traces)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}mm" height="{height:g}mm"'
        f' viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" font-size="3.5">',
        f'<rect width="{width:g}" height="{height:g}" fill="rgb{_PAPER}"/>',
        f'<path stroke="rgb{_FINE}" stroke-width="0.1" d="{_grid(width, height, 1)}"/>',
        f'<path stroke="rgb{_COARSE}" stroke-width="0.15" d="{_grid(width, height, 5)}"/>',
    ]
    for index, trace in enumerate(traces):
        middle = (index + 0.5) * _LINE_MM + 2.5
        points = " ".join(f"{x:.2f},{middle + y:.2f}" for x, y in zip(*_thinned(trace), strict=True))
        parts.append(
            f'<polyline fill="none" stroke="rgb{_INK}" stroke-width="0.25" points="{points}"/>'
            f'<text x="1" y="{middle - _LINE_MM / 2 + 4:g}">{escape(trace.label)}</text>'
        )
    parts.append(f'<text x="1" y="{height - 1.5:g}">{_scale(group)}</text></svg>')
    return "".join(parts)


def _scale(group: MultiplexGroup) -> str:
    """What a mm means; where signals have no voltage only the time."""
    return _SCALE if any(each.units in _MILLIVOLTS for each in group.channels) else _SCALE.partition(",")[0]


def _grid(width: float, height: float, step: int) -> str:
    across = "".join(f"M{x} 0V{height:g}" for x in range(0, int(width) + 1, step))
    return across + "".join(f"M0 {y}H{width:g}" for y in range(0, int(height) + 1, step))


def _thinned(trace: _Trace) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lowest and the highest point of every eighth of a mm, so that no peak is lost."""
    bins = np.floor(trace.x * 8).astype(np.intp)
    if len(trace.x) <= 2 * (int(bins[-1]) + 1):
        return trace.x, trace.y
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    low, high = np.minimum.reduceat(trace.y, starts), np.maximum.reduceat(trace.y, starts)
    return np.repeat(trace.x[starts], 2), np.stack([low, high], axis=1).reshape(-1)


def draw_pixels(group: MultiplexGroup) -> NDArray[np.uint8]:
    """A group on squared paper as a picture, shape (rows, columns, 3), four pixels a mm; 20 seconds at most."""
    traces = list(_traces(group))
    width, height = (int(each * _PIXELS_A_MM) for each in _paper(traces))
    image = np.empty((height, width, 3), np.uint8)
    image[:] = _PAPER
    for step, colour in ((1, _FINE), (5, _COARSE)):
        image[:: step * _PIXELS_A_MM] = colour
        image[:, :: step * _PIXELS_A_MM] = colour
    for index, trace in enumerate(traces):
        middle = ((index + 0.5) * _LINE_MM + 2.5) * _PIXELS_A_MM
        _draw(image, trace, middle)
        write(image, int(middle - _LINE_MM / 2 * _PIXELS_A_MM) + 6, 6, trace.label, _INK)
    write(image, height - HEIGHT - 4, 6, _scale(group), _INK)
    return image


def _draw(image: NDArray[np.uint8], trace: _Trace, middle: float) -> None:
    """In each column of pixels a stroke over all heights that the line has there, up to those of the next."""
    rows, columns, _ = image.shape
    x = np.arange(columns) / _PIXELS_A_MM
    y = middle + np.interp(x, trace.x, trace.y) * _PIXELS_A_MM
    bins = np.floor(trace.x * _PIXELS_A_MM).astype(np.intp)
    low, high = np.minimum(y[:-1], y[1:]), np.maximum(y[:-1], y[1:])
    inside = bins < columns - 1
    samples = middle + trace.y[inside] * _PIXELS_A_MM
    np.minimum.at(low, bins[inside], samples)
    np.maximum.at(high, bins[inside], samples)
    last = int(bins[-1])
    for column in range(min(last, columns - 1)):
        top, bottom = max(int(low[column]), 0), min(int(high[column]) + 1, rows)
        image[top:bottom, column] = _INK
