"""Small files of every transfer syntax, and what may be wrong with them where it hurts decoders.

`mutated` knows where the description of the pixels, the offset tables, the fragments and the bit streams lie, so that
most inputs reach a decoder, which random changes of a whole file seldom do.
"""

import re
import runpy
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from tests.imaging.clips import CLIPS, clip_file
from tests.imaging.conftest import make_file

from hounsfield.dicom.part10 import Head, read_head
from hounsfield.dicom.tags import PIXEL_DATA
from hounsfield.errors import ArchiveError
from hounsfield.imaging.description import COLUMNS, ROWS, describe
from hounsfield.imaging.encoders import ENCODERS
from hounsfield.imaging.frames import has_frames, read_frame
from hounsfield.imaging.transcode import transcode

_SAMPLES = Path(__file__).parents[2] / "tools" / "make_samples.py"
_LARGEST_FILE = 13_000
_LARGEST_IMAGE = 128 * 128
_IMAGE_PIXEL = tuple(
    0x00280000 | element
    for element in (0x02, 0x04, 0x06, 0x08, 0x10, 0x11, 0x100, 0x101, 0x102, 0x103, 0x1101, 0x1201)
)
_ITEM = b"\xfe\xff\x00\xe0"
_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"
_NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    9,
    12,
    15,
    16,
    17,
    32,
    63,
    64,
    65,
    127,
    128,
    255,
    256,
    4096,
    32767,
    32768,
    65535,
)
_WORDS = (0, 1, 7, 8, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF)
# Markers of JPEG, JPEG-LS and JPEG 2000, and beginnings of boxes.
_MARKERS = (
    *(bytes((0xFF, marker)) for marker in (*range(0xC0, 0xD0), *range(0xD7, 0xE0), 0xE8, 0xEE, 0xF7, 0xF8, 0xFE)),
    *(bytes((0xFF, marker)) for marker in (*range(0x4F, 0x65), *range(0x90, 0x95))),
    b"\0\0\0\x0cjP  ", b"\xff\x0a", b"jxlc", b"jxlp", b"jbrd", b"jp2c", b"ihdr", b"pclr", b"cdef",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seed:
    """A file, cut where its parts meet."""

    transfer_syntax_uid: str
    data: bytes
    places: tuple[tuple[int, int], ...]
    """Offset and length of the values that describe pixels."""

    sides: tuple[int, ...]
    """Offsets of the values of Rows and Columns."""

    start: int
    """Where the pixel data's value begins."""

    items: tuple[bytes, ...]
    """Of encapsulated pixel data: the offset table, then the fragments."""


def pixel_seeds(folder: Path) -> dict[str, list[Seed]]:
    """Seeds by transfer syntax: bundled and generated samples that are small, and some that we write; `folder` is
    filled with the samples."""
    runpy.run_path(str(_SAMPLES))["make"](folder)
    seeds: dict[str, list[Seed]] = {}
    for path in sorted(folder.rglob("*.dcm")):
        data = path.read_bytes()
        seed = _seed(data) if len(data) <= _LARGEST_FILE else None
        if seed is not None:
            seeds.setdefault(seed.transfer_syntax_uid, []).append(seed)
    for data in _written():
        seed = _seed(data)
        assert seed is not None
        seeds.setdefault(seed.transfer_syntax_uid, []).append(seed)
    return seeds


def _written() -> list[bytes]:
    """Files by our own encoders: grey, signed, colour, many frames."""
    rows, columns = np.mgrid[:24, :32]
    grey = np.asarray(2000 + 1500 * np.sin(columns / 9) * np.cos(rows / 7), np.uint16)
    rgb = np.stack([grey >> 4, grey >> 5, 255 - (grey >> 4)], axis=-1).astype(np.uint8)
    frames: NDArray[np.uint16] = np.stack([grey, grey[::-1], grey[:, ::-1]])
    sources = [
        make_file(grey, BitsStored=12),
        make_file((grey.astype(np.int32) - 2000).astype(np.int16)),
        make_file((grey >> 4).astype(np.uint8)),
        make_file(rgb),
        make_file(frames.tobytes(), like=grey, NumberOfFrames=3, BitsStored=12),
    ]
    made = []
    for source in sources:
        for uid in ENCODERS:
            try:
                made.append(transcode(source, uid))
            except ArchiveError:  # not in this transfer syntax
                continue
    return [*sources, *made, *(clip_file(name) for name in CLIPS)]


def _seed(data: bytes) -> Seed | None:
    try:
        head = read_head(data)
        if not has_frames(head):
            return None
        pixels = describe(head.dataset, pixel_data_vr=head.pixel_data_vr or "OW")
        frame = read_frame(data, head, 1, description=pixels)
    except ArchiveError:
        return None
    if pixels.pixels > _LARGEST_IMAGE or frame.private_compression:
        return None
    if head.pixel_data_offset is None:  # deflated: nothing can be told apart
        return Seed(head.transfer_syntax_uid, data, (), (), head.dataset_offset, ())
    elements = (head.dataset.element(tag) for tag in _IMAGE_PIXEL)
    places = tuple((each.offset, each.length) for each in elements if each is not None and each.length)
    start = head.pixel_data_offset + (12 if head.dataset.encoding.is_explicit else 8)
    sides = (head.dataset.element(tag) for tag in (ROWS, COLUMNS))
    offsets = tuple(each.offset for each in sides if each is not None)
    return Seed(head.transfer_syntax_uid, data, places, offsets, start, _items(data, head, start))


def _items(data: bytes, head: Head, start: int) -> tuple[bytes, ...]:
    if head.pixel_data_length is not None or head.pixel_data_tag != PIXEL_DATA:
        return ()
    items = []
    while data[start : start + 4] == _ITEM:
        (length,) = struct.unpack_from("<I", data, start + 4)
        items.append(data[start + 8 : start + 8 + length])
        start += 8 + length
    return tuple(items)


def mutated(rng: Random, seeds: dict[str, list[Seed]], uids: list[str]) -> tuple[str, bytes]:
    """One hostile file, and the transfer syntax of the seed it was made of."""
    uid = rng.choice(uids)
    seed = rng.choice(seeds[uid])
    if rng.random() < 0.02:
        return uid, _bytes_changed(rng, seed.data, len(seed.data))
    opening, items = bytearray(seed.data[: seed.start]), list(seed.items)
    if not items:
        if seed.places and rng.random() < 0.6:
            _describe_otherwise(rng, seed, opening)
        return uid, bytes(opening) + _bytes_changed(rng, seed.data[seed.start :], 64)
    for _ in range(1 if rng.random() < 0.7 else 3):
        kind = rng.random()
        if kind < 0.62:
            index = rng.randrange(1, len(items)) if len(items) > 1 else 0
            items[index] = _stream_changed(rng, items[index], rng.choice(seeds[uid]))
        elif kind < 0.80:
            _describe_otherwise(rng, seed, opening)
        elif kind < 0.88:
            items[0] = _table_changed(rng, items[0], len(items) - 1)
        elif kind < 0.97:
            _rearrange(rng, items)
        elif kind < 0.997:
            _other_syntax(rng, uid, opening, uids)
        else:
            _grow(rng, seed, opening, items)
    body = b"".join(_ITEM + struct.pack("<I", _length(rng, len(each))) + each for each in items)
    return uid, bytes(opening) + body + (_DELIMITER if rng.random() < 0.97 else b"")


def _length(rng: Random, true: int) -> int:
    return true if rng.random() < 0.99 else rng.choice((*_WORDS, true + 1, true + 8, max(true - 1, 0)))


def _describe_otherwise(rng: Random, seed: Seed, opening: bytearray) -> None:
    """Numbers, and words, of the Image Pixel module changed in place."""
    for _ in range(1 if rng.random() < 0.7 else 2):
        offset, length = rng.choice(seed.places)
        if length == 2:
            struct.pack_into("<H", opening, offset, rng.choice(_NUMBERS))
        else:
            place = offset + rng.randrange(length)
            opening[place] = rng.choice(
                (0, 0x20, 0x2D, 0x30, 0x31, 0x32, 0x39, 0x59, 0xFF, rng.randrange(256))
            )


def _table_changed(rng: Random, table: bytes, frames: int) -> bytes:
    """Another offset table: of any length, or with one wrong entry."""
    if len(table) < 4 or rng.random() < 0.3:
        count = rng.choice((0, 1, frames, frames + 1, 64))
        return struct.pack(f"<{count}I", *(rng.choice(_WORDS) for _ in range(count)))
    changed = bytearray(table)
    struct.pack_into("<I", changed, 4 * rng.randrange(len(table) // 4), rng.choice((*_WORDS, 6, 1000)))
    return bytes(changed)


def _rearrange(rng: Random, items: list[bytes]) -> None:
    """Fragments lost, doubled, exchanged, or cut in two."""
    index = rng.randrange(len(items))
    choice = rng.randrange(5)
    if choice == 0:
        del items[index]
        items.extend([b""] * (not items))
    elif choice == 1:
        items.insert(index, items[index])
    elif choice == 2:
        other = rng.randrange(len(items))
        items[index], items[other] = items[other], items[index]
    elif choice == 3:
        cut = rng.randrange(len(items[index]) + 1)
        items[index : index + 1] = [items[index][:cut], items[index][cut:]]
    else:
        items[index] = items[index][: rng.randrange(len(items[index]) + 1)]


def _other_syntax(rng: Random, uid: str, opening: bytearray, uids: list[str]) -> None:
    """The bit stream of one decoder given to another; only names of the same length, so that nothing else moves."""
    same = [each for each in uids if len(each) == len(uid)]
    place = opening.find(uid.encode())
    if place >= 0:
        opening[place : place + len(uid)] = rng.choice(same).encode()


def _grow(rng: Random, seed: Seed, opening: bytearray, items: list[bytes]) -> None:
    """An image that claims to be large, in the data set and in its bit stream alike."""
    rows, columns = (rng.choice((1, 200, 999, 4000, 16384, 30000, 65535)) for _ in range(2))
    for offset, side in zip(seed.sides, (rows, columns), strict=True):
        struct.pack_into("<H", opening, offset, side)
    for index, stream in enumerate(items[1:], start=1):
        changed = bytearray(stream)
        siz = stream.find(b"\xff\x51", 0, 200)
        frame = re.search(rb"\xff[\xc0-\xc3\xf7]\x00", stream[:900])
        if 0 <= siz <= len(stream) - 38:
            struct.pack_into(">II", changed, siz + 6, columns, rows)
            if rng.random() < 0.5:
                struct.pack_into(">II", changed, siz + 22, columns, rows)
        elif frame is not None and frame.end() + 6 <= len(stream):
            struct.pack_into(">HH", changed, frame.start() + 5, rows, columns)
        items[index] = bytes(changed)


def _stream_changed(rng: Random, stream: bytes, other: Seed) -> bytes:
    """A damaged bit stream: its headers more often than its body."""
    reach = rng.choice((32, 120, 120, 700, len(stream)))
    choice = rng.random()
    if choice < 0.80:
        return _bytes_changed(rng, stream, reach)
    if choice < 0.88:
        place = rng.randrange(min(reach, len(stream)) + 1)
        return stream[:place] + rng.choice(_MARKERS) + stream[place + rng.choice((0, 2)) :]
    if choice < 0.94:
        return stream[: rng.randrange(len(stream) + 1)]
    donor = rng.choice(other.items or (b"",))
    return stream[: rng.randrange(len(stream) + 1)] + donor[rng.randrange(len(donor) + 1) :]


def _bytes_changed(rng: Random, data: bytes, reach: int) -> bytes:
    """A few changes among the first `reach` bytes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not changed:
            break
        rng.choice(_CHANGES)(rng, changed, rng.randrange(min(max(reach, 1), len(changed))))
    return bytes(changed)


def _flip(rng: Random, data: bytearray, place: int) -> None:
    data[place] ^= 1 << rng.randrange(8)


def _byte(rng: Random, data: bytearray, place: int) -> None:
    data[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, rng.randrange(256)))


def _near(rng: Random, data: bytearray, place: int) -> None:
    data[place] = data[place] + rng.randrange(-4, 5) & 0xFF


def _short(rng: Random, data: bytearray, place: int) -> None:
    data[place : place + 2] = struct.pack(">H", rng.choice(_NUMBERS))


def _long(rng: Random, data: bytearray, place: int) -> None:
    data[place : place + 4] = struct.pack(">I", rng.choice(_WORDS))


def _take_out(rng: Random, data: bytearray, place: int) -> None:
    del data[place : place + rng.choice((1, 2, 4, 30))]


def _repeat(rng: Random, data: bytearray, place: int) -> None:
    data[place:place] = data[place : place + rng.choice((1, 2, 16, 60))] * rng.choice((1, 1, 1, 20))


_CHANGES: tuple[Callable[[Random, bytearray, int], None], ...] = (
    _flip, _flip, _byte, _byte, _near, _near, _short, _long, _take_out, _repeat,
)  # fmt: skip
