"""Raw frames beside whole files, by HTTP: `python benchmarks/frames.py`; `wrk` asks.

The slices are those of `compare.py`. Beside them there is one CT of 200 frames of 512 x 512, 105 MB, of which frames
are asked for.
"""

import argparse
import statistics
import struct
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.servers import HOUNSFIELD, Kind, Server, environment, fresh
from benchmarks.slices import write_slices
from benchmarks.workloads import measure_get, post

from hounsfield.dicom.part10 import wrap_header

_SIDE, _FRAMES = 512, 200
_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.2.1"
_UID = "1.2.826.0.1.3680043.10.1200.77"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure raw frames beside whole files.")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--beside", help="a program to compare with")
    arguments = parser.parse_args()
    kinds = [HOUNSFIELD, *([Kind("Orthanc", (arguments.beside,))] if arguments.beside else [])]
    with tempfile.TemporaryDirectory(prefix="hounsfield-frames-") as name:
        folder = Path(name)
        files = write_slices(folder / "slices", 100)
        large = folder / "large.dcm"
        large.write_bytes(multi_frame())
        for kind in kinds:
            with fresh(kind, folder / kind.name, environment(nagle=False), {}) as server:
                post(server, files, 2)
                slices = server.get_json("/instances")
                post(server, [large], 1)
                volume = next(each for each in server.get_json("/instances") if each not in slices)
                _measure(server, slices, volume, arguments)


def _measure(server: Server, slices: list[str], volume: str, arguments: argparse.Namespace) -> None:
    paths = {
        "GET /instances/{id}/file": [f"/instances/{each}/file" for each in slices],
        "GET /instances/{id}/frames/0/raw": [f"/instances/{each}/frames/0/raw" for each in slices],
        f"frames of a file of {_FRAMES}": [
            f"/instances/{volume}/frames/{each}/raw" for each in range(_FRAMES)
        ],
        "frame 150 of it": [f"/instances/{volume}/frames/150/raw"],
    }
    for connections in (1, 8):
        rates: dict[str, list[float]] = {name: [] for name in paths}
        cpu: dict[str, list[float]] = {name: [] for name in paths}
        for _ in range(arguments.repeat):
            for name, asked in paths.items():
                sample = measure_get(server, name, asked, connections, arguments.seconds)
                rates[name].append(sample.value)
                cpu[name].append(sample.cpu_ms)
        whole = statistics.median(rates["GET /instances/{id}/file"])
        for name, found in rates.items():
            least, most, median = min(found), max(found), statistics.median(found)
            print(
                f"| {server.kind.name} | {name} x{connections} | {least:,.0f} / {median:,.0f} / {most:,.0f} | "
                f"{statistics.median(cpu[name]):.2f} | {median / whole:.2f} |"
            )


def multi_frame() -> bytes:
    """A CT of many frames, native."""
    numbers = {
        0x00280002: 1, 0x00280010: _SIDE, 0x00280011: _SIDE, 0x00280100: 16, 0x00280101: 12, 0x00280102: 11,
        0x00280103: 0,
    }  # fmt: skip
    texts = {
        0x00080016: (b"UI", _SOP_CLASS), 0x00080018: (b"UI", _UID + ".3"), 0x00080060: (b"CS", "CT"),
        0x00100020: (b"LO", "FRAMES"), 0x0020000D: (b"UI", _UID + ".1"), 0x0020000E: (b"UI", _UID + ".2"),
        0x00280004: (b"CS", "MONOCHROME2"), 0x00280008: (b"IS", str(_FRAMES)),
    }  # fmt: skip
    elements = {tag: _element(tag, b"US", struct.pack("<H", value)) for tag, value in numbers.items()}
    elements |= {tag: _element(tag, vr, text.encode()) for tag, (vr, text) in texts.items()}
    size = _FRAMES * _SIDE * _SIDE * 2
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, size) + bytes(range(256)) * (size // 256)
    body = b"".join(elements[tag] for tag in sorted(elements)) + pixels
    return wrap_header(_SOP_CLASS, _UID + ".3", "1.2.840.10008.1.2.1") + body


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


if __name__ == "__main__":
    main()
