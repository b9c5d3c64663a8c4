"""What the values of an image measure: Hounsfield units, activity, dose, and standardized uptake values.

PS3.3 C.11.1 (Modality LUT), C.8.9.1 (PET Series), C.8.8.3 (RT Dose). SUV follow the vendor-neutral rule of the
Quantitative Imaging Biomarkers Alliance (QIBA, "SUV calculation", 2012), of body weight only.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.tags import SOP_CLASS_UID, Tag
from hounsfield.errors import Unsupported
from hounsfield.imaging.geometry import Places, decimals, first_decimals
from hounsfield.imaging.lut import IDENTITY, Rescale
from hounsfield.imaging.tables import LookupTable, read_lookup_table

SUV_UNITS = "g/ml{SUVbw}"
"""Standardized Uptake Value by body weight, in the words of UCUM and PS3.16 CID 85."""

MODALITY: Tag = 0x00080060
RT_DOSE_STORAGE = "1.2.840.10008.5.1.4.1.1.481.2"

_RESCALE_INTERCEPT = 0x00281052
_RESCALE_SLOPE = 0x00281053
_RESCALE_TYPE = 0x00281054
_PIXEL_VALUE_TRANSFORMATION_SEQUENCE = 0x00289145
_MODALITY_LUT_SEQUENCE = 0x00283000
_MODALITY_LUT_TYPE = 0x00283004
_DOSE_GRID_SCALING = 0x3004000E
_DOSE_UNITS = 0x30040002
_UNITS = 0x00541001
_CORRECTED_IMAGE = 0x00280051
_DECAY_CORRECTION = 0x00541102
_SUV_TYPE = 0x00541006
_PATIENT_WEIGHT = 0x00101030
_RADIOPHARMACEUTICAL_SEQUENCE = 0x00540016
_TOTAL_DOSE = 0x00181074
_HALF_LIFE = 0x00181075
_START_TIME = 0x00181072
_START_DATE_TIME = 0x00181078
_FRAME_REFERENCE_TIME = 0x00541300
_ACTUAL_FRAME_DURATION = 0x00181242
_SERIES_DATE, _SERIES_TIME = 0x00080021, 0x00080031
_ACQUISITION_DATE, _ACQUISITION_TIME = 0x00080022, 0x00080032
_PHILIPS = (0x7053, "Philips PET Private Group")
_PHILIPS_SUV_FACTOR, _PHILIPS_ACTIVITY_FACTOR = 0x00, 0x09
_GENERAL_ELECTRIC = (0x0009, "GEMS_PETD_01")
_GENERAL_ELECTRIC_SCAN_DATE_TIME = 0x0D
_LONGEST_DELAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SuvScale:
    """What turns the rescaled values of a PET series into SUV of body weight, and why."""

    factor: float
    rule: str


def read_modality(places: Places, *, is_signed: bool) -> Rescale | LookupTable:
    """The modality transformation of one frame; a dose is scaled to its units. `Corrupt` if a table is broken."""
    if places.top.text(SOP_CLASS_UID) == RT_DOSE_STORAGE:
        scaling = decimals(places.top, _DOSE_GRID_SCALING, 1)
        return Rescale(scaling[0]) if scaling else IDENTITY
    slope = first_decimals(places, _PIXEL_VALUE_TRANSFORMATION_SEQUENCE, _RESCALE_SLOPE, 1)
    intercept = first_decimals(places, _PIXEL_VALUE_TRANSFORMATION_SEQUENCE, _RESCALE_INTERCEPT, 1)
    if slope or intercept:
        return Rescale(slope[0] if slope else 1.0, intercept[0] if intercept else 0.0)
    for item in places.top.items(_MODALITY_LUT_SEQUENCE)[:1]:
        return read_lookup_table(item, is_signed=is_signed)
    return IDENTITY


def read_units(places: Places) -> str:
    """The units of the rescaled values of a frame, empty if nobody says.

    A CT may leave out Rescale Type (0028,1054) if it is HU, but not the rescaling itself. Units (0054,1001) of PET are
    kept as they are printed: BQML, CNTS, GML and others of PS3.3 C.8.9.1.1.3.
    """
    top = places.top
    if top.text(SOP_CLASS_UID) == RT_DOSE_STORAGE:
        return _word(top, _DOSE_UNITS).capitalize()
    if MODALITY in top and _word(top, MODALITY) == "PT" and _UNITS in top:
        return _word(top, _UNITS)
    for place in places.find(_PIXEL_VALUE_TRANSFORMATION_SEQUENCE):
        kind = _word(place, _RESCALE_TYPE)
        if kind and kind != "US":
            return kind
    table = next((_word(item, _MODALITY_LUT_TYPE) for item in top.items(_MODALITY_LUT_SEQUENCE)[:1]), "")
    if table and table != "US":
        return table
    is_rescaled = _RESCALE_INTERCEPT in top and _RESCALE_TYPE not in top
    return "HU" if is_rescaled and _word(top, MODALITY) == "CT" else ""


def acquired_at(dataset: Dataset) -> datetime | None:
    """When an instance was acquired, on the clock of its scanner."""
    return _moment(dataset, _ACQUISITION_DATE, _ACQUISITION_TIME)


def suv_scale(dataset: Dataset, acquisitions: Iterable[datetime] = ()) -> SuvScale:
    """What turns rescaled PET values into SUV by body weight.

    - Units GML: they are SUV already, if SUV Type (0054,1006) is BW or missing.
    - Units CNTS: Philips' own factor (7053,xx00); or its (7053,xx09), which makes BQML of them.
    - Units BQML: body weight in g / injected dose in Bq. Decay Correction (0054,1102) must be START or ADMIN; for START
      the dose is decayed from the injection to the start of the scan, which is Series Time unless that is later than
      the first acquisition (a derived series): then GE's private scan time, else the time that Frame Reference Time
      (0054,1300) leads back to, as for Siemens.

    Parameters
    ----------
    dataset
        An instance of the series.
    acquisitions
        When its instances were acquired, by `acquired_at`.

    Raises
    ------
    Unsupported
        If something that the rule needs is missing; the message says what.
    """
    units = _word(dataset, _UNITS)
    if units == "GML":
        if _word(dataset, _SUV_TYPE) not in ("", "BW"):
            raise Unsupported(f"SUV Type (0054,1006) is {_word(dataset, _SUV_TYPE)}, not BW")
        return SuvScale(1.0, "Units are GML already")
    if not {"ATTN", "DECY"} <= set((dataset.text(_CORRECTED_IMAGE) or "").replace(" ", "").split("\\")):
        raise Unsupported("Corrected Image (0028,0051) lacks ATTN or DECY")
    if units == "CNTS":
        return _philips_scale(dataset, acquisitions)
    if units != "BQML":
        raise Unsupported(f"Units (0054,1001) are {units or 'missing'}, not BQML, CNTS or GML")
    return _activity_scale(dataset, acquisitions)


def _philips_scale(dataset: Dataset, acquisitions: Iterable[datetime]) -> SuvScale:
    factor = _private_decimal(dataset, _PHILIPS, _PHILIPS_SUV_FACTOR)
    if factor:
        return SuvScale(factor, "Philips' SUV factor (7053,xx00)")
    to_activity = _private_decimal(dataset, _PHILIPS, _PHILIPS_ACTIVITY_FACTOR)
    if not to_activity:
        raise Unsupported("Units (0054,1001) are CNTS without Philips' factors (7053,xx00) and (7053,xx09)")
    scale = _activity_scale(dataset, acquisitions)
    return SuvScale(scale.factor * to_activity, f"Philips' activity factor (7053,xx09); {scale.rule}")


def _activity_scale(dataset: Dataset, acquisitions: Iterable[datetime]) -> SuvScale:
    """Weight over dose, for values in Bq/ml."""
    injection = next(iter(dataset.items(_RADIOPHARMACEUTICAL_SEQUENCE)[:1]), None)
    if injection is None:
        raise Unsupported("no Radiopharmaceutical Information Sequence (0054,0016)")
    weight = _positive(dataset, _PATIENT_WEIGHT, "Patient's Weight (0010,1030)")
    dose = _positive(injection, _TOTAL_DOSE, "Radionuclide Total Dose (0018,1074)")
    correction = _word(dataset, _DECAY_CORRECTION)
    if correction == "ADMIN":
        return SuvScale(weight * 1000 / dose, "activity is corrected to the injection")
    if correction != "START":
        raise Unsupported(f"Decay Correction (0054,1102) is {correction or 'missing'}, not START or ADMIN")
    half_life = _positive(injection, _HALF_LIFE, "Radionuclide Half Life (0018,1075)")
    scan, rule = _scan_start(dataset, acquisitions, half_life)
    decay_seconds = (scan - _injected_at(injection, scan)).total_seconds()
    decayed = dose * 2 ** (-decay_seconds / half_life)
    return SuvScale(weight * 1000 / decayed, f"dose decayed by {decay_seconds:.0f} s to {rule}")


def _scan_start(dataset: Dataset, acquisitions: Iterable[datetime], half_life: float) -> tuple[datetime, str]:
    """When the scan began, to which the scanner corrected the decay, and how we know."""
    series = _moment(dataset, _SERIES_DATE, _SERIES_TIME)
    own = acquired_at(dataset)
    first = min([*acquisitions, *([own] if own else [])], default=None)
    if series is not None and (first is None or series <= first):
        return series, "Series Time"
    private = _private_text(dataset, _GENERAL_ELECTRIC, _GENERAL_ELECTRIC_SCAN_DATE_TIME)
    general_electric = _date_time(private) if private else None
    if general_electric is not None:
        return general_electric, "GE's scan time (0009,xx0D)"
    reference = decimals(dataset, _FRAME_REFERENCE_TIME, 1)
    duration = decimals(dataset, _ACTUAL_FRAME_DURATION, 1)
    if own is None or reference is None or duration is None or duration[0] <= 0:
        raise Unsupported("Series Time is after the acquisition, and nothing else tells the scan's start")
    # Frame Reference Time is that of the average count rate in the frame, from the start of the scan.
    decay = math.log(2) / half_life
    during = decay * duration[0] / 1000
    average = math.log(during / (1 - math.exp(-during))) / decay
    return own + timedelta(seconds=average - reference[0] / 1000), "the start by Frame Reference Time"


def _injected_at(injection: Dataset, scan: datetime) -> datetime:
    """When the dose was given; a time without date is the last such time before the scan."""
    full = _date_time(injection.text(_START_DATE_TIME) or "")
    if full is not None:
        moment = full
    else:
        time = _date_time(f"{scan:%Y%m%d}" + (injection.text(_START_TIME) or "").replace(":", "").strip())
        if time is None or not injection.text(_START_TIME):
            raise Unsupported("no Radiopharmaceutical Start Time (0018,1072) or Date Time (0018,1078)")
        moment = time if time <= scan else time - timedelta(days=1)
    # De-identified series have their dates shifted apart: better no SUV than a wrong one.
    if not timedelta() <= scan - moment <= _LONGEST_DELAY:
        raise Unsupported("the injection is not within the day before the scan")
    return moment


def _positive(dataset: Dataset, tag: Tag, name: str) -> float:
    found = decimals(dataset, tag, 1)
    if found is None or found[0] <= 0:
        raise Unsupported(f"no {name}")
    return found[0]


def _moment(dataset: Dataset, date: Tag, time: Tag) -> datetime | None:
    day, hour = (dataset.text(date) or "").replace(".", "").strip(), (dataset.text(time) or "").strip()
    return _date_time(day + hour.replace(":", "")) if len(day) == 8 and hour else None


def _date_time(text: str) -> datetime | None:
    """A date and time as in DT; the zone is left out, as all times of a series are of one scanner."""
    whole, _, fraction = text.strip().partition("+")[0].partition("-")[0].partition(".")
    try:
        moment = datetime.strptime(whole.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return moment + timedelta(seconds=float("0." + fraction) if fraction else 0)
    except ValueError:
        return None


def _private_text(dataset: Dataset, block: tuple[int, str], element: int) -> str:
    """A private attribute, wherever its creator has its block. PS3.5 7.8.1."""
    group, creator = block
    for reservation in range(group << 16 | 0x10, group << 16 | 0x100):
        if reservation in dataset and (dataset.text(reservation) or "").strip() == creator:
            tag = group << 16 | (reservation & 0xFF) << 8 | element
            found = dataset.text(tag)
            return dataset.raw(tag).decode("latin-1") if found is None else found
    return ""


def _private_decimal(dataset: Dataset, block: tuple[int, str], element: int) -> float | None:
    try:
        value = float(_private_text(dataset, block, element).strip(" \0").partition("\\")[0])
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _word(dataset: Dataset, tag: Tag) -> str:
    return (dataset.text(tag) or "").partition("\\")[0].strip(" \0").upper()
