"""Standardized uptake values, computed by hand from the rule.

A patient of 70 kg, 370 MBq of fluorine-18 (half-life 6586.2 s), one hour from injection to scan: the dose has
decayed to 370e6 * 2**(-3600 / 6586.2) = 253 314 000 Bq, and 1 Bq/ml is 70000 g / 253.314e6 Bq = 2.76337e-4 g/ml.
"""

from typing import Any

import pytest
from pydicom.dataset import Dataset as PydicomDataset
from tests.volumes import image, part10, ramp

from hounsfield.dicom.dataset import Dataset
from hounsfield.errors import Unsupported
from hounsfield.imaging.geometry import places_of
from hounsfield.imaging.series import read_series
from hounsfield.imaging.units import SUV_UNITS, read_units, suv_scale
from hounsfield.imaging.volume import load_volume, plan_volume, with_suv

FACTOR = 70_000 / (370e6 * 2 ** (-3600 / 6586.2))


def injection(**attributes: Any) -> PydicomDataset:
    item = PydicomDataset()
    item.RadionuclideTotalDose, item.RadionuclideHalfLife = "370000000", "6586.2"
    item.RadiopharmaceuticalStartTime = "090000"
    for keyword, value in attributes.items():
        if value is None:
            delattr(item, keyword)
        else:
            setattr(item, keyword, value)
    return item


def pet(
    dose: PydicomDataset | None = None, private: dict[int, Any] | None = None, **attributes: Any
) -> bytes:
    usual = {
        "Modality": "PT",
        "Units": "BQML",
        "DecayCorrection": "START",
        "CorrectedImage": ["NORM", "ATTN", "DECY"],
        "PatientWeight": "70",
        "SeriesDate": "20240501",
        "SeriesTime": "100000",
        "AcquisitionDate": "20240501",
        "AcquisitionTime": "100230",
        "RescaleSlope": 2,
        "RescaleIntercept": 0,
        "RadiopharmaceuticalInformationSequence": [dose or injection()],
    }
    dataset = image(ramp(0), **{**usual, **attributes})
    for tag, (vr, value) in (private or {}).items():
        dataset.add_new(tag, vr, value)
    return part10(dataset)


def dataset_of(file: bytes) -> Dataset:
    return read_series([file]).members[0].head.dataset


def factor(file: bytes) -> float:
    series = read_series([file])
    return suv_scale(series.members[0].head.dataset, series.acquisitions).factor


def test_the_hand_computed_factor() -> None:
    assert pytest.approx(2.76337e-4, rel=1e-5) == FACTOR


def test_activity_becomes_uptake() -> None:
    scale = suv_scale(dataset_of(pet()))
    assert scale.factor == pytest.approx(FACTOR)
    assert scale.rule == "dose decayed by 3600 s to Series Time"


def test_a_volume_in_uptake_values() -> None:
    series = read_series([pet()])
    volume = load_volume(plan_volume(series))
    assert volume.units == "BQML"
    uptake = with_suv(volume, suv_scale(series.members[0].head.dataset))
    assert uptake.units == SUV_UNITS
    # Row 2, column 3 is stored as 23, which is 46 Bq/ml.
    assert uptake.values()[0, 2, 3] == pytest.approx(46 * FACTOR)


def test_an_injection_before_midnight() -> None:
    file = pet(
        injection(RadiopharmaceuticalStartTime="233000"), SeriesTime="003000", AcquisitionTime="003100"
    )
    assert factor(file) == pytest.approx(FACTOR)


def test_an_injection_with_its_date() -> None:
    dose = injection(
        RadiopharmaceuticalStartTime=None, RadiopharmaceuticalStartDateTime="20240501090000.00+0200"
    )
    assert factor(pet(dose)) == pytest.approx(FACTOR)


def test_activity_corrected_to_the_injection_is_not_decayed() -> None:
    assert factor(pet(DecayCorrection="ADMIN")) == pytest.approx(70_000 / 370e6)


def test_grams_a_millilitre_are_uptake_already() -> None:
    assert factor(pet(Units="GML")) == 1
    with pytest.raises(Unsupported, match="SUV Type"):
        factor(pet(Units="GML", SUVType="LBM"))


def test_philips_own_factors() -> None:
    creator = {0x70530010: ("LO", "Philips PET Private Group")}
    assert factor(pet(private={**creator, 0x70531000: ("DS", "0.000551")}, Units="CNTS")) == 0.000551
    activity = {**creator, 0x70531000: ("DS", "0"), 0x70531009: ("DS", "1.5")}
    assert factor(pet(private=activity, Units="CNTS")) == pytest.approx(1.5 * FACTOR)
    with pytest.raises(Unsupported, match="CNTS"):
        factor(pet(Units="CNTS"))


def test_of_a_derived_series_general_electric_keeps_the_scan_time() -> None:
    private = {0x00090010: ("LO", "GEMS_PETD_01"), 0x0009100D: ("DT", "20240501100000.00")}
    assert factor(pet(private=private, SeriesTime="150000")) == pytest.approx(FACTOR)


def test_of_a_derived_series_the_frame_reference_time_leads_back() -> None:
    # The average rate of a frame of 150 s is slightly before its middle, at 74.8 s; the frame began 150 s late.
    file = pet(SeriesTime="150000", FrameReferenceTime="224800", ActualFrameDuration="150000")
    assert factor(file) == pytest.approx(FACTOR, rel=1e-4)
    with pytest.raises(Unsupported, match="nothing else tells"):
        factor(pet(SeriesTime="150000"))


@pytest.mark.parametrize(
    ("attributes", "missing"),
    [
        ({"PatientWeight": None}, "Weight"),
        ({"PatientWeight": "0"}, "Weight"),
        ({"CorrectedImage": ["ATTN"]}, "DECY"),
        ({"DecayCorrection": "NONE"}, "Decay Correction"),
        ({"Units": "PROPCPS"}, "PROPCPS"),
        ({"RadiopharmaceuticalInformationSequence": []}, "0054,0016"),
        ({"RadiopharmaceuticalInformationSequence": [injection(RadionuclideHalfLife=None)]}, "Half Life"),
        ({"RadiopharmaceuticalInformationSequence": [injection(RadiopharmaceuticalStartTime=None)]}, "Start"),
        (
            {
                "RadiopharmaceuticalInformationSequence": [
                    injection(RadiopharmaceuticalStartDateTime="20200101090000")
                ]
            },
            "within the day",
        ),
    ],
)
def test_no_uptake_without_what_the_rule_needs(attributes: dict[str, Any], missing: str) -> None:
    with pytest.raises(Unsupported, match=missing):
        factor(pet(**attributes))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, "HU"),
        ({"RescaleType": "HU"}, "HU"),
        ({"RescaleSlope": None, "RescaleIntercept": None}, ""),
        ({"RescaleType": "US"}, ""),
        ({"RescaleType": "HU_MOD"}, "HU_MOD"),
        ({"Modality": "MR"}, ""),
        ({"Modality": "DX", "RescaleType": "OD"}, "OD"),
        ({"Modality": "PT", "Units": "BQML"}, "BQML"),
    ],
)
def test_units_are_what_the_data_set_says(attributes: dict[str, Any], expected: str) -> None:
    assert read_units(places_of(dataset_of(part10(image(ramp(0), **attributes))), 1)[0]) == expected
