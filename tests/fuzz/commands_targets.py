"""Two files that are compared: whatever they hold, differences are told, or they are refused as `Corrupt`."""

import struct
from itertools import pairwise

from tests.fuzz.gather import real_files
from tests.ingest.builders import make_file

from hounsfield.commands.diff import compare_bytes
from hounsfield.dicom.tags import Tag


def diff(data: bytes) -> None:
    """Two files, the length of the first in four bytes before them: a file is the same as itself."""
    length = int.from_bytes(data[:4], "little") % (len(data) + 1)
    first, second = data[4 : 4 + length], data[4 + length :]
    found, _ = compare_bytes(first, second, _nothing, most_frames=2)
    if first == second:
        assert found == []


def _nothing(_tag: Tag, _creator: str | None) -> bool:
    return False


def _pair(first: bytes, second: bytes) -> bytes:
    return struct.pack("<I", len(first)) + first + second


def _seeds() -> list[bytes]:
    files = [make_file("A"), *sorted(real_files(), key=len)[:12]]
    same = [_pair(each, each) for each in files]
    return [*same, *(_pair(one, other) for one, other in pairwise(files))]


TARGETS = {"diff": diff}
SEEDS = {"diff": _seeds()}
