"""Every frame of every image that pydicom bundles, against decoders of others; `docs/pixels.md` tells the result.

`python -m tests.imaging.test_every_file` writes that page anew.
"""

import logging
import shutil
import subprocess
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.pixels.utils import pixel_array

from hounsfield import errors
from hounsfield.dicom import uids
from hounsfield.dicom.part10 import read_head
from hounsfield.imaging.codecs import CODECS, NATIVE
from hounsfield.imaging.decode import decode, decode_samples, stored_values
from hounsfield.imaging.description import PixelDescription
from hounsfield.imaging.encoders import ENCODERS, check
from hounsfield.imaging.frames import count_frames, has_frames, read_frame

PAGE = Path(__file__).parents[2] / "docs" / "pixels.md"
LARGEST = 4 << 20
ARC = "1.2.840.10008.1.2.4."
# Nobody can read these; see their names.
UNREADABLE = {
    "JPEG2000-embedded-sequence-delimiter.dcm",
    "MR_truncated.dcm",
    "badVR.dcm",
    "nested_priv_SQ.dcm",
}
# Which tool of DCMTK decodes which transfer syntaxes; colour of lossy JPEG comes out as RGB.
TOOLS = {
    **dict.fromkeys((ARC + each for each in ("50", "51", "53", "55", "57", "70")), "dcmdjpeg"),
    **dict.fromkeys((ARC + each for each in ("80", "81")), "dcmdjpls"),
}
KINDS = (
    ("grey, 1 bit", {"photometric": "MONOCHROME2", "bits_allocated": 1, "bits": 1}),
    ("grey, 8 bits", {"photometric": "MONOCHROME2", "bits_allocated": 8, "bits": 8}),
    ("grey, 12 bits", {"photometric": "MONOCHROME2", "bits_allocated": 16, "bits": 12}),
    ("grey, 16 bits", {"photometric": "MONOCHROME2", "bits_allocated": 16, "bits": 16}),
    (
        "grey, 16 bits, signed",
        {"photometric": "MONOCHROME2", "bits_allocated": 16, "bits": 16, "is_signed": True},
    ),
    ("grey, 32 bits", {"photometric": "MONOCHROME2", "bits_allocated": 32, "bits": 32}),
    ("floating point", {"photometric": "MONOCHROME2", "bits_allocated": 32, "bits": 32, "is_float": True}),
    ("palette", {"photometric": "PALETTE COLOR", "bits_allocated": 8, "bits": 8}),
    ("RGB, 8 bits", {"photometric": "RGB", "bits_allocated": 8, "bits": 8}),
    ("RGB, 16 bits", {"photometric": "RGB", "bits_allocated": 16, "bits": 16}),
    ("YBR_FULL, 8 bits", {"photometric": "YBR_FULL", "bits_allocated": 8, "bits": 8}),
)


@dataclass(frozen=True)
class Compared:
    """What one file has, and how far off we are."""

    transfer_syntax_uid: str
    bits: str
    photometric: str
    judge: str
    frames: int
    difference: int


def bundled() -> list[Path]:
    """One path for every different file of pydicom and pydicom-data."""
    folders = [Path(pydicom.__file__).parent / "data" / "test_files"]
    data_store = find_spec("data_store")
    if data_store is not None and data_store.origin is not None:
        folders.append(Path(data_store.origin).parent)
    found: dict[bytes, Path] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".dcm", "") and path.is_file() and path.stat().st_size <= LARGEST:
                found.setdefault(path.read_bytes(), path)
    return list(found.values())


def readable(path: Path) -> bytes | None:
    """The bytes of a file that is DICOM and has pixels."""
    data = path.read_bytes()
    try:
        head = read_head(data)
    except errors.Corrupt:
        return None
    return data if has_frames(head) and head.pixel_data_tag is not None else None


def ours(data: bytes) -> tuple[str, NDArray[Any], NDArray[Any], PixelDescription]:
    """Transfer syntax, samples as stored and in RGB, and what the data set says of them."""
    head = read_head(data)
    frames = [read_frame(data, head, each) for each in range(1, count_frames(head, len(data)) + 1)]
    stored = np.stack([stored_values(decode_samples(each), each.description) for each in frames])
    return (
        head.transfer_syntax_uid,
        stored,
        np.stack([decode(each).array for each in frames]),
        frames[0].description,
    )


def theirs(path: Path, transfer_syntax_uid: str, folder: Path) -> tuple[str, NDArray[Any]] | None:
    """What another decoder makes of a file; None if there is none."""
    tool = TOOLS.get(transfer_syntax_uid)
    if tool is not None:
        target = folder / "plain.dcm"
        target.unlink(missing_ok=True)
        subprocess.run([tool, path, target], check=False, capture_output=True)
        return ("DCMTK", pixel_array(target, raw=True)) if target.exists() else None
    try:
        return "pydicom", pixel_array(pydicom.dcmread(path, force=True), raw=True)
    except (RuntimeError, ValueError, AttributeError, KeyError, NotImplementedError):
        return None


def compared() -> Iterator[Compared]:
    """Every file that somebody else can decode too."""
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            for path in bundled():
                found = _compare(path, Path(folder))
                if found is not None:
                    yield found
        finally:
            logging.disable(logging.NOTSET)


def _compare(path: Path, folder: Path) -> Compared | None:
    data = readable(path)
    if data is None:
        return None
    try:
        uid, stored, shown, description = ours(data)
    except errors.ArchiveError:
        assert path.name in UNREADABLE, path
        return None
    judged = theirs(path, uid, folder)
    if judged is None:
        return None
    judge, array = judged
    array = array.reshape(stored.shape)
    difference = min(int(np.abs(array.astype(float) - each).max()) for each in (stored, shown))
    sign = " signed" if description.is_signed else ""
    bits = f"{description.bits_stored} of {description.bits_allocated}{sign}"
    return Compared(uid, bits, description.photometric, judge, len(stored), difference)


def page(found: list[Compared]) -> str:
    """The page of the documentation."""
    lines = [
        "# Pixels",
        "",
        "<!-- Made by `python -m tests.imaging.test_every_file`: do not edit. -->",
        "",
        "## What is decoded",
        "",
        "Native pixel data in any byte order, RLE, JPEG (baseline, extended, progressive, lossless), JPEG-LS,",
        "JPEG 2000 (Part 2 with frames as components, too), HTJ2K, JPEG XL, deflated frames and data sets, and the",
        "private compression of Elscint.",
        "Every image of up to 4 MiB that pydicom and pydicom-data bundle is compared, frame by frame, with what DCMTK",
        "or pydicom (with pylibjpeg's OpenJPEG) make of it. Of video (MPEG-2, H.264, HEVC) any frame is decoded for a",
        "picture, and clips of our own are compared by the numbers that their frames show.",
        "",
        "| Transfer syntax | Bits | Photometric Interpretation | Frames | Compared with | Largest difference |",
        "|---|---|---|---|---|---|",
    ]
    frames: Counter[tuple[str, str, str, str]] = Counter()
    worst: Counter[tuple[str, str, str, str]] = Counter()
    for each in found:
        key = (each.transfer_syntax_uid, each.bits, each.photometric, each.judge)
        frames[key] += each.frames
        worst[key] = max(worst[key], each.difference)
    for key in sorted(frames, key=lambda key: ([int(part) for part in key[0].split(".")], key)):
        uid, bits, photometric, judge = key
        lines.append(
            f"| {uids.uid_name(uid)} | {bits} | {photometric} | {frames[key]} | {judge} | {worst[key]} |"
        )
    return "\n".join([*lines, *_encoders_table(), ""])


def _encoders_table() -> list[str]:
    rows = [
        "",
        "## What is written",
        "",
        "Which pixels a file may have to be transcoded, by the tables of PS3.5 8.2. Native transfer syntaxes take all.",
        "",
        "| Transfer syntax | " + " | ".join(name for name, _ in KINDS) + " |",
        "|---" * (len(KINDS) + 1) + "|",
    ]
    for uid, encoder in ENCODERS.items():
        cells = []
        for _, kind in KINDS:
            try:
                check(encoder, **{"is_signed": False, "is_float": False, **kind})  # type: ignore[arg-type]
            except errors.Unsupported:
                cells.append("")
            else:
                cells.append("lossy" if encoder.is_lossy else "yes")
        rows.append(f"| {uids.uid_name(uid) or uids.transfer_syntax(uid).name} | {' | '.join(cells)} |")
    return rows


@pytest.mark.dcmtk
def test_every_frame_is_what_other_decoders_make_of_it() -> None:
    if any(shutil.which(tool) is None for tool in TOOLS.values()):
        pytest.skip("no DCMTK")
    found = list(compared())
    assert [each for each in found if each.difference] == []
    assert len(found) > 100
    assert page(found) == PAGE.read_text(encoding="utf-8"), "run python -m tests.imaging.test_every_file"


def test_every_transfer_syntax_that_is_written_is_read() -> None:
    assert {*ENCODERS} <= {*CODECS, *NATIVE, "1.2.840.10008.1.2.8.1"}


if __name__ == "__main__":
    PAGE.write_text(page(list(compared())), encoding="utf-8")
