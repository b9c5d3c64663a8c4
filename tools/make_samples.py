"""Write a folder of DICOM files of many kinds, the same each time: `python3 tools/make_samples.py FOLDER`.

`real/` holds the files that come with pydicom and pydicom-data and can be identified; where several share a SOP
Instance UID, the later ones get another of the same length, and no other byte changes. `made/` holds generated
ones: SOP classes and transfer syntaxes that no real file has, and patients with names in many scripts.
"""

import colorsys
import hashlib
import sys
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import data_store  # type: ignore[import-untyped]
import imagecodecs
import numpy as np
import pydicom
import pydicom.data
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.errors import InvalidDicomError
from pydicom.pixels.encoders.base import RLELosslessEncoder
from pydicom.sequence import Sequence
from pydicom.uid import UID

Image = NDArray[Any]

ROOT = "1.2.826.0.1.3680043.10.1200.99"
EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
_STORAGE = "1.2.840.10008.5.1.4.1.1"
_JPEG = "1.2.840.10008.1.2.4"
# pydicom does not write JPEG XL yet: labels of the same length are put in and replaced.
_STAND_INS = {f"{_JPEG}.110": f"{_JPEG}.104", f"{_JPEG}.112": f"{_JPEG}.105"}
_IDENTIFIERS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")

# Names as their writers would give them: specific character set (PS3.3 C.12.1.1.2), then the name.
NAMES: dict[str, tuple[list[str], str]] = {
    "japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "chinese": (["GB18030"], "Wang^XiaoDong=王^小东"),
    "arabic": (["ISO_IR 127"], "قباني^لنزار"),
    "hebrew": (["ISO_IR 138"], "שרון^דבורה"),
    "greek": (["ISO_IR 126"], "Διονυσιος"),
    "cyrillic": (["ISO_IR 144"], "Чехов^Антон"),
    "thai": (["ISO_IR 166"], "สมชาย^ใจดี"),
    "latin1": (["ISO_IR 100"], "Müller^Jérôme"),
    "utf8": (["ISO_IR 192"], "Þórsdóttir^Łucja=王^小明"),
}


# --- Real files ---


def real_files() -> Iterator[tuple[str, bytes]]:
    """The bundled files that have identifiers, each an instance of its own."""
    seen: set[tuple[str, ...]] = set()
    taken: set[str] = set()
    for root in (Path(pydicom.data.__file__).parent, Path(data_store.__file__).parent / "data"):
        for path in sorted(each for each in root.rglob("*") if each.is_file()):
            data, name = path.read_bytes(), path.name.removesuffix(".dcm")
            identity = _identity(data)
            if identity is None:
                continue
            original, found = data, identity
            for other in _other_uids(found[3]):
                if identity not in seen:
                    break
                data = original.replace(found[3].encode(), other.encode())
                identity = (*found[:3], other)
            if identity in seen or _identity(data) != identity:  # Its UID is not in plain text.
                continue
            seen.add(identity)
            while name in taken:
                name += "-again"
            taken.add(name)
            yield name, data


def _identity(data: bytes) -> tuple[str, ...] | None:
    """Patient ID and the three UIDs, if this is an instance with all it needs to be filed."""
    try:
        dataset = pydicom.dcmread(BytesIO(data), force=True, stop_before_pixels=True)
        if not all(dataset.get(keyword) for keyword in _IDENTIFIERS):
            return None
        return (str(dataset.get("PatientID", "")), *(str(dataset[each].value) for each in _IDENTIFIERS[:3]))
    except (InvalidDicomError, OSError, ValueError, KeyError, NotImplementedError, AttributeError):
        return None


def _other_uids(uid: str) -> Iterator[str]:
    """UIDs of the same length, which differ in at most the three last digits."""
    last = uid.rpartition(".")[2][-3:]
    for number in range(10 ** (len(last) - 1), 10 ** len(last)):
        yield f"{uid.removesuffix(last)}{number}"


# --- What is generated ---


def uid(*parts: object) -> str:
    """A UID that depends on nothing but its name."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return f"{ROOT}.{int.from_bytes(digest[:9], 'big')}"


def instance(series: str, number: int, sop_class: str, modality: str, **elements: object) -> Dataset:
    """A data set that can be filed; patient and study are told by the first word of the series."""
    study = series.split("/")[0]
    dataset = Dataset()
    chosen: dict[str, object] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": f"{_STORAGE}.{sop_class}",
        "SOPInstanceUID": uid("instance", series, number),
        "StudyInstanceUID": uid("study", study),
        "SeriesInstanceUID": uid("series", series),
        "PatientName": f"Sample^{study.title()}",
        "PatientID": f"SAMPLE-{study.upper()}",
        "PatientBirthDate": "19700101",
        "PatientSex": "O",
        "StudyDate": "20240229",
        "StudyTime": "101530.25",
        "AccessionNumber": f"A{int(uid(study)[-6:])}",
        "StudyID": "1",
        "ReferringPhysicianName": "",
        "Modality": modality,
        "Manufacturer": "Hounsfield",
        "StudyDescription": study,
        "SeriesDescription": series,
        "SeriesNumber": 1,
        "InstanceNumber": number,
    }
    for keyword, value in {**chosen, **elements}.items():
        setattr(dataset, keyword, value)
    return dataset


def with_pixels(dataset: Dataset, pixels: Image, photometric: str = "MONOCHROME2", bits: int = 0) -> Dataset:
    """Put an image into a data set: shape ([frames,] rows, columns[, 3])."""
    is_colour = photometric in ("RGB", "YBR_FULL_422", "YBR_FULL")
    rows, columns = pixels.shape[-3:-1] if is_colour else pixels.shape[-2:]
    allocated = pixels.dtype.itemsize * 8
    dataset.SamplesPerPixel = 3 if is_colour else 1
    if is_colour:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    if pixels.ndim == 3 + is_colour:
        dataset.NumberOfFrames = pixels.shape[0]
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated = allocated
    dataset.BitsStored = bits or allocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.add_new(0x7FE00010, "OB" if allocated == 8 else "OW", _even(pixels.tobytes()))
    return dataset


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


def part10(dataset: Dataset, transfer_syntax: str = EXPLICIT) -> bytes:
    """The file of a data set."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    known = _STAND_INS.get(transfer_syntax, transfer_syntax)
    meta.TransferSyntaxUID = UID(known)
    meta.ImplementationClassUID = UID(f"{ROOT}.0")
    meta.ImplementationVersionName = "SAMPLES"
    dataset.file_meta = meta
    if transfer_syntax == BIG and dataset.get("BitsAllocated") == 16:
        dataset = dataset.copy()
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
    output = BytesIO()
    pydicom.dcmwrite(output, dataset, enforce_file_format=True)
    return output.getvalue().replace(known.encode(), transfer_syntax.encode(), 1)


def phantom(rows: int = 64, columns: int = 64, shift: float = 0.0) -> Image:
    """A disc of water with a rod of bone in air, in HU."""
    y, x = np.mgrid[0:rows, 0:columns]
    radius = np.hypot((y - rows / 2) / rows, (x - columns / 2) / columns)
    rod = np.hypot((y - rows / 3) / rows, (x - columns * (0.4 + shift)) / columns)
    image = np.where(radius < 0.4, np.where(rod < 0.08, 900, 40), -1000)
    return np.asarray(image + (x * 7 + y * 13) % 11).astype("<i2")


def colours(rows: int = 48, columns: int = 64, turn: float = 0.0) -> Image:
    """A wheel of colours, smooth enough for lossy codecs."""
    hues = np.array([colorsys.hsv_to_rgb((c / columns + turn) % 1, 1, 1) for c in range(columns)])
    brightness = np.linspace(0.2, 1, rows)[:, None, None]
    return (hues[None] * brightness * 255).astype(np.uint8)


def _bits(bits: int) -> Image:
    """The phantom as unsigned samples of so many bits."""
    image = (phantom().astype(np.int32) + 1024).clip(0, 2047)
    return (image >> (11 - bits)).astype(np.uint8) if bits <= 8 else (image << (bits - 11)).astype("<u2")


ENCODERS: dict[str, tuple[str, int, Callable[[Image], bytes | bytearray]]] = {
    "1.2.840.10008.1.2.5": ("rle", 12, lambda image: _rle(image)),
    f"{_JPEG}.50": ("jpeg-baseline", 8, lambda image: imagecodecs.jpeg8_encode(image, 90)),
    f"{_JPEG}.51": ("jpeg-extended", 12, lambda image: imagecodecs.jpeg8_encode(image, 90, bitspersample=12)),
    f"{_JPEG}.57": (
        "jpeg-lossless",
        12,
        lambda image: imagecodecs.jpeg8_encode(image, lossless=True, predictor=4, bitspersample=16),
    ),
    f"{_JPEG}.70": (
        "jpeg-lossless-sv1",
        12,
        lambda image: imagecodecs.jpeg8_encode(image, lossless=True, predictor=1, bitspersample=16),
    ),
    f"{_JPEG}.80": ("jpeg-ls", 12, lambda image: imagecodecs.jpegls_encode(image)),
    f"{_JPEG}.81": ("jpeg-ls-near", 12, lambda image: imagecodecs.jpegls_encode(image, level=2)),
    f"{_JPEG}.90": (
        "jpeg2000",
        12,
        lambda image: imagecodecs.jpeg2k_encode(image, codecformat="j2k", reversible=True),
    ),
    f"{_JPEG}.91": (
        "jpeg2000-lossy",
        12,
        lambda image: imagecodecs.jpeg2k_encode(image, 60, codecformat="j2k", reversible=False),
    ),
    f"{_JPEG}.110": ("jpeg-xl-lossless", 12, lambda image: imagecodecs.jpegxl_encode(image, lossless=True)),
    f"{_JPEG}.112": (
        "jpeg-xl",
        12,
        lambda image: imagecodecs.jpegxl_encode(image, lossless=False, distance=1.0),
    ),
    f"{_JPEG}.201": ("htj2k-lossless", 12, lambda image: imagecodecs.htj2k_encode(image)),
    f"{_JPEG}.202": ("htj2k-rpcl", 12, lambda image: imagecodecs.htj2k_encode(image)),
    f"{_JPEG}.203": ("htj2k", 12, lambda image: imagecodecs.htj2k_encode(image, reversible=False)),
}
VIDEO = {"100": "mpeg2", "101": "mpeg2-high", "102": "h264", "103": "h264-bd", "107": "hevc", "108": "hevc10"}


def _rle(image: Image) -> bytes:
    rows, columns = image.shape
    return bytes(
        RLELosslessEncoder.encode(
            image,
            encoding_plugin="pydicom",
            rows=rows,
            columns=columns,
            samples_per_pixel=1,
            bits_allocated=image.dtype.itemsize * 8,
            bits_stored=image.dtype.itemsize * 8,
            photometric_interpretation="MONOCHROME2",
            pixel_representation=0,
            number_of_frames=1,
        )
    )


def encapsulated(dataset: Dataset, *frames: bytes) -> Dataset:
    """Replace the pixels by compressed frames."""
    dataset.add_new(0x7FE00010, "OB", encapsulate([_even(frame) for frame in frames]))
    dataset["PixelData"].is_undefined_length = True
    return dataset


def compressed_files() -> Iterator[tuple[str, bytes]]:
    """One image in each transfer syntax."""
    for number, (name, syntax) in enumerate(
        (("explicit", EXPLICIT), ("implicit", IMPLICIT), ("big-endian", BIG), ("deflated", DEFLATED)), 1
    ):
        dataset = instance("syntaxes/native", number, "7", "OT", ImageType=["ORIGINAL", "PRIMARY"])
        yield f"syntax-{name}", part10(with_pixels(dataset, _bits(12), bits=12), syntax)
    for number, (syntax, (name, bits, encode)) in enumerate(ENCODERS.items(), 1):
        dataset = with_pixels(instance("syntaxes/compressed", number, "7", "OT"), _bits(bits), bits=bits)
        yield f"syntax-{name}", part10(encapsulated(dataset, bytes(encode(_bits(bits)))), syntax)
    for number, (last, name) in enumerate(VIDEO.items(), 1):
        dataset = instance("syntaxes/video", number, "77.1.4.1", "XC", CineRate=25, FrameTime=40)
        with_pixels(dataset, np.zeros((5, 48, 64, 3), np.uint8), "YBR_FULL_422")
        stream = b"\0\0\1\xb3" + hashlib.sha512(name.encode()).digest() * 40
        yield f"syntax-{name}", part10(encapsulated(dataset, stream), f"{_JPEG}.{last}")


def volumes() -> Iterator[tuple[str, bytes]]:
    """A CT and an MR in slices, and a CT in one file."""
    geometry = {"PixelSpacing": [0.5, 0.5], "SliceThickness": 2.5, "FrameOfReferenceUID": uid("frame")}
    oriented = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PatientPosition": "HFS", "KVP": 120}
    for number in range(1, 13):
        place = {"ImagePositionPatient": [-16, -16, 2.5 * number], "SliceLocation": 2.5 * number}
        dataset = instance("volume/ct", number, "2", "CT", **geometry, **oriented, **place)
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "HU"
        dataset.WindowCenter, dataset.WindowWidth = [40, 600], [400, 2800]
        yield f"ct-{number:02}", part10(with_pixels(dataset, phantom(shift=number / 60)))
    for number in range(1, 9):
        place = {"ImagePositionPatient": [2.0 * number, -16, 16], "ImagesInAcquisition": 8}
        dataset = instance(
            "volume/mr", number, "4", "MR", **geometry, **place, EchoTime=90, RepetitionTime=4000
        )
        dataset.ImageOrientationPatient, dataset.NumberOfTemporalPositions = [0, 1, 0, 0, 0, -1], 1
        pixels = (phantom(shift=number / 60) + 1024).astype("<u2")
        yield f"mr-{number:02}", part10(with_pixels(dataset, pixels, bits=12), IMPLICIT)
    yield "enhanced-ct", part10(_enhanced(), EXPLICIT)


def _enhanced() -> Dataset:
    dataset = instance("volume/enhanced", 1, "2.1", "CT", ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])
    frames = np.stack([phantom(shift=number / 60) for number in range(6)])
    shared, per_frame = Dataset(), []
    shared.PixelMeasuresSequence = Sequence([_item(PixelSpacing=[0.5, 0.5], SliceThickness=2.5)])
    shared.PlaneOrientationSequence = Sequence([_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])])
    transformation = _item(RescaleIntercept=0, RescaleSlope=1, RescaleType="HU")
    shared.PixelValueTransformationSequence = Sequence([transformation])
    for number in range(len(frames)):
        groups = Dataset()
        groups.PlanePositionSequence = Sequence([_item(ImagePositionPatient=[-16, -16, 2.5 * number])])
        groups.FrameVOILUTSequence = Sequence([_item(WindowCenter=40, WindowWidth=400)])
        per_frame.append(groups)
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(per_frame)
    return with_pixels(dataset, frames)


def _item(**elements: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def projections() -> Iterator[tuple[str, bytes]]:
    """Radiographs, ultrasound, photographs and slides."""
    inverted = (1500 - phantom(96, 80)).clip(0, 4095).astype("<u2")
    dataset = instance("projection/dx", 1, "1.1", "DX", PresentationLUTShape="INVERSE", ViewPosition="PA")
    yield "dx-monochrome1", part10(with_pixels(dataset, inverted, "MONOCHROME1", bits=12))
    for number, side in enumerate("LR", 1):
        dataset = instance("projection/mg", number, "1.2", "MG", ImageLaterality=side, ViewPosition="CC")
        dataset.PixelIntensityRelationship = "LOG"
        yield f"mg-{side}", part10(with_pixels(dataset, inverted[:, :64], bits=14))
    movie = np.stack([colours(turn=number / 8) for number in range(8)])
    dataset = instance("projection/us", 1, "3.1", "US", FrameTime=40, NumberOfFrames=8)
    yield "us-multiframe", part10(with_pixels(dataset, movie, "RGB"))
    frames = [bytes(imagecodecs.jpeg8_encode(frame, 90)) for frame in movie]
    dataset = with_pixels(instance("projection/us", 2, "3.1", "US", FrameTime=40), movie, "YBR_FULL_422")
    yield "us-multiframe-jpeg", part10(encapsulated(dataset, *frames), f"{_JPEG}.50")
    yield "sc-palette", part10(_palette())
    tiles = np.stack([colours(32, 32, turn=number / 4) for number in range(4)])
    dataset = instance("slide/volume", 1, "77.1.6", "SM", ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])
    dataset.TotalPixelMatrixColumns = dataset.TotalPixelMatrixRows = 64
    dataset.DimensionOrganizationType = "TILED_FULL"
    dataset.ContainerIdentifier = "S1"
    yield "slide", part10(with_pixels(dataset, tiles, "RGB"))


def _palette() -> Dataset:
    dataset = instance("projection/sc", 1, "7", "OT", ConversionType="WSD")
    ramp = np.tile(np.arange(64, dtype=np.uint8), (48, 1))
    with_pixels(dataset, ramp, "PALETTE COLOR")
    table = (np.array([colorsys.hsv_to_rgb(i / 64, 1, 1) for i in range(64)]) * 0xFFFF).astype("<u2")
    for channel, name in enumerate(("Red", "Green", "Blue")):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [64, 0, 16])
        setattr(dataset, f"{name}PaletteColorLookupTableData", table[:, channel].tobytes())
    return dataset


def without_pixels() -> Iterator[tuple[str, bytes]]:
    """What is no image: plans, structures, reports, documents, curves. And a dose and a segmentation."""
    dataset = instance("plan/struct", 1, "481.3", "RTSTRUCT", StructureSetLabel="Structures")
    contour = _item(ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=3)
    contour.ContourData = [0, 0, 0, 10, 0, 0, 0, 10, 0]
    dataset.StructureSetROISequence = Sequence([_item(ROINumber=1, ROIName="Heart")])
    dataset.ROIContourSequence = Sequence([_item(ReferencedROINumber=1, ContourSequence=Sequence([contour]))])
    yield "rtstruct", part10(dataset, IMPLICIT)
    dataset = instance("plan/plan", 1, "481.5", "RTPLAN", RTPlanLabel="Plan", RTPlanGeometry="PATIENT")
    beam = _item(BeamNumber=1, BeamName="AP", TreatmentMachineName="LINAC", SourceAxisDistance=1000)
    dataset.BeamSequence = Sequence([beam])
    yield "rtplan", part10(dataset, IMPLICIT)
    dataset = instance("plan/dose", 1, "481.2", "RTDOSE", DoseUnits="GY", DoseGridScaling=0.001)
    dataset.GridFrameOffsetVector = [0, 2.5, 5]
    dose = np.stack([(phantom() + 1024) * factor for factor in (1, 2, 3)]).astype("<u4")
    yield "rtdose", part10(with_pixels(dataset, dose), IMPLICIT)
    dataset = instance("volume/seg", 1, "66.4", "SEG", SegmentationType="BINARY", ContentLabel="ROD")
    _bitmap(dataset, np.stack([phantom(shift=number / 60) > 500 for number in range(4)]))
    yield "seg", part10(dataset)
    dataset = instance("report/sr", 1, "88.22", "SR", CompletionFlag="COMPLETE", ValueType="CONTAINER")
    dataset.ContentSequence = Sequence(
        [_item(ValueType="TEXT", TextValue="Nothing of note: größer als 3 µm")]
    )
    yield "sr", part10(dataset)
    dataset = instance("report/pdf", 1, "104.1", "DOC", MIMETypeOfEncapsulatedDocument="application/pdf")
    dataset.EncapsulatedDocument = _even(
        b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    )
    yield "pdf", part10(dataset)
    dataset = instance("report/ecg", 1, "9.1.1", "ECG")
    samples = (np.sin(np.arange(1000) / 20) * 500).astype("<i2")
    dataset.WaveformSequence = Sequence([_waveform(samples)])
    yield "ecg", part10(dataset)


def _bitmap(dataset: Dataset, masks: NDArray[np.bool_]) -> None:
    """Pixels of one bit, the first of each byte in the lowest. PS3.5 8.1.1."""
    with_pixels(dataset, masks.astype(np.uint8))
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    dataset.PixelData = _even(np.packbits(masks.ravel(), bitorder="little").tobytes())


def _waveform(samples: NDArray[np.int16]) -> Dataset:
    channel = _item(ChannelLabel="I", WaveformBitsStored=16, ChannelSensitivity=1)
    group = _item(WaveformOriginality="ORIGINAL", NumberOfWaveformChannels=1, SamplingFrequency=500)
    group.NumberOfWaveformSamples = len(samples)
    group.ChannelDefinitionSequence = Sequence([channel])
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.add_new(0x54001010, "OW", samples.tobytes())
    return group


def names_and_oddities() -> Iterator[tuple[str, bytes]]:
    """Patients with names in many scripts, and identifiers as careless devices make them."""
    small = phantom(16, 16)
    for script, (character_set, name) in NAMES.items():
        dataset = instance(
            f"name-{script}", 1, "7", "OT", SpecificCharacterSet=character_set, PatientName=name
        )
        yield f"name-{script}", part10(with_pixels(dataset, small))
    odd: dict[str, dict[str, object]] = {
        "empty-patient-id": {"PatientID": ""},
        "no-name": {"PatientName": ""},
        "long-uid": {"SOPInstanceUID": f"{ROOT}.{1:0<{63 - len(ROOT)}}"},
        "leading-zero-uid": {"SOPInstanceUID": f"{ROOT}.007.0042"},
        "short-uid": {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"},
        "spaces-in-id": {"PatientID": "  A 17  "},
        "private": {"PrivateOne": None},
    }
    for number, (name, elements) in enumerate(odd.items(), 1):
        elements = {key: value for key, value in elements.items() if value is not None}
        dataset = instance(f"odd/{name}", number, "7", "OT", **{"PatientName": f"Odd^{name}", **elements})
        if name == "private":
            block = dataset.private_block(0x0029, "HOUNSFIELD SAMPLES", create=True)
            block.add_new(0x01, "LO", "private text")
            block.add_new(0x02, "SQ", Sequence([_item(PatientComments="inside")]))
        yield f"odd-{name}", part10(with_pixels(dataset, small))


MAKERS = (compressed_files, volumes, projections, without_pixels, names_and_oddities)


def make(folder: Path) -> list[Path]:
    """Write all files into two new folders; their paths in order."""
    written = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Some are odd by intention.
        for name, makers in (("real", (real_files,)), ("made", MAKERS)):
            (folder / name).mkdir(parents=True)
            for maker in makers:
                for stem, data in maker():
                    path = folder / name / f"{stem}.dcm"
                    path.write_bytes(data)
                    written.append(path)
    return written


def main() -> None:
    print(len(make(Path(sys.argv[1]))), "files written")


if __name__ == "__main__":
    main()
