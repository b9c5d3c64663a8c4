"""Waveforms in their units and on paper: 25 mm a second and 10 mm a millivolt, four pixels a mm."""

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID
from tests.volumes import image, part10, ramp

from hounsfield.dicom.part10 import read_head
from hounsfield.errors import Corrupt, Unsupported
from hounsfield.imaging.lettering import letters
from hounsfield.imaging.waveforms import MultiplexGroup, draw_pixels, draw_svg, read_waveforms


def code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "X", meaning
    return item


def channel(label: str, units: str = "uV", sensitivity: float = 2.5, baseline: float = 0) -> Dataset:
    item = Dataset()
    item.ChannelSourceSequence = [code("1", label)]
    item.ChannelSensitivity, item.ChannelBaseline = sensitivity, baseline
    item.ChannelSensitivityCorrectionFactor = 2
    item.ChannelSensitivityUnitsSequence = [code(units, units)]
    return item


def waveform(samples: np.ndarray[Any, Any], *channels: Dataset, **attributes: Any) -> bytes:
    """A file with samples of shape (samples, channels)."""
    item = Dataset()
    item.NumberOfWaveformSamples, item.NumberOfWaveformChannels = samples.shape
    item.SamplingFrequency, item.ChannelDefinitionSequence = 100, list(channels)
    item.WaveformBitsAllocated, item.WaveformSampleInterpretation = 16, "SS"
    item.add_new(0x54001010, "OW", samples.astype("<i2").tobytes())
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    dataset = image(ramp(0), SOPClassUID=UID("1.2.840.10008.5.1.4.1.1.9.1.1"), Modality="ECG")
    del dataset.PixelData
    dataset.WaveformSequence = [item]
    return part10(dataset)


def group_of(data: bytes) -> MultiplexGroup:
    (group,) = read_waveforms(read_head(data).dataset)
    return group


SAMPLES = np.stack([np.arange(200), -np.arange(200)], axis=1)


def test_values_are_in_their_units() -> None:
    group = group_of(waveform(SAMPLES, channel("Lead I"), channel("Lead II", baseline=100)))
    assert (group.frequency_hz, group.seconds) == (100, 2)
    assert [each.label for each in group.channels] == ["Lead I", "Lead II"]
    # Stored 10, 2.5 uV a step, corrected by 2.
    assert group.channels[0].values[10] == 50
    assert group.channels[1].values[10] == -50 + 100
    assert group.channels[0].units == "uV"


def test_a_millivolt_is_ten_mm_high_and_a_second_25_mm_long() -> None:
    step = np.where(np.arange(200) < 100, 0, 200)[:, np.newaxis]  # 200 x 2.5 uV x 2 = 1 mV from one second on
    group = group_of(waveform(step, channel("Lead I")))
    root = ET.fromstring(draw_svg(group))
    line = next(each for each in root if each.tag.endswith("polyline"))
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    before, after = points[99], points[100]
    assert before[1] - after[1] == pytest.approx(10)
    assert after[0] == pytest.approx(25)
    picture = draw_pixels(group)
    ink = np.all(picture == (20, 20, 60), axis=-1)[:80]
    assert np.flatnonzero(ink[:, 90])[-1] - np.flatnonzero(ink[:, 150])[0] == pytest.approx(40, abs=1)


def test_peaks_survive_thinning() -> None:
    spike = np.zeros((20000, 1), np.int16)
    spike[1234] = 400
    group = group_of(waveform(spike, channel("Lead I"), SamplingFrequency=2000))
    points = draw_svg(group).partition('points="')[2].partition('"')[0].split()
    assert len(points) < 5000
    heights = [float(point.split(",")[1]) for point in points]
    assert max(heights) - min(heights) == pytest.approx(20)


def test_what_has_no_voltage_fills_its_line() -> None:
    group = group_of(waveform(SAMPLES, channel("Pressure", units="mm[Hg]"), channel("Flat", sensitivity=0)))
    picture = draw_pixels(group)
    assert picture.shape == ((2 * 20 + 5) * 4, 50 * 4, 3)


def test_a_label_cannot_do_anything() -> None:
    root = ET.fromstring(draw_svg(group_of(waveform(SAMPLES, channel("<script>x</script>")))))
    assert next(each.text for each in root if each.tag.endswith("text")) == "<script>x</script>"


@pytest.mark.parametrize(
    "attributes",
    [
        {"NumberOfWaveformSamples": 1 << 31},
        {"NumberOfWaveformChannels": 0},
        {"SamplingFrequency": 0},
        {"SamplingFrequency": "1e300"},
        {"SamplingFrequency": "1e-9"},
    ],
)
def test_impossible_waveforms_are_refused(attributes: dict[str, Any]) -> None:
    with pytest.raises(Corrupt):
        group_of(waveform(SAMPLES, channel("Lead I"), **attributes))


def test_sound_is_not_drawn() -> None:
    with pytest.raises(Unsupported):
        group_of(waveform(SAMPLES, channel("Sound"), WaveformSampleInterpretation="MB"))


def test_unknown_letters_are_boxes() -> None:
    assert letters("Ä").sum() == letters("Ω").sum() > 0
    assert letters(" ").sum() == 0
