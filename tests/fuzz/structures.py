"""Inputs built by rule: data sets and PDUs of any shape, and envelopes that checksums protect.

A random change inside a compressed or sealed body never gets past its checksum; an envelope is put
around what was changed, so that the bytes behind the checksum are tried as well.
"""

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from struct import pack

from tests.fuzz.images import deflated, image_file
from tests.fuzz.searches import request, search
from tests.fuzz.settings import configuration, json
from tests.fuzz.words import INTEGERS, words

from hounsfield.dicom import part10, uids
from hounsfield.dicom.scan import LONG_VRS
from hounsfield.store import note as footers
from hounsfield.store.compression import compress

Builder = Callable[[Random], bytes]
Envelope = Callable[[Random, bytes], bytes]

_UNDEFINED = 0xFFFFFFFF
_DEEPEST = 40
_SYNTAXES = tuple(uids.TRANSFER_SYNTAXES)
_TEXT_VRS = b"AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT UN SQ OB OW US FD AT OF SV".split()
_TAGS = tuple(word for word in words("dicom") if len(word) == 4)


def dataset(rng: Random, depth: int = 0) -> bytes:
    """A run of elements in one encoding, mostly well formed; sequences nest."""
    is_explicit = rng.random() < 0.7
    count = int(rng.expovariate(0.25)) + 1
    elements = [_element(rng, depth, is_explicit=is_explicit) for _ in range(min(count, 20))]
    if rng.random() < 0.7:
        elements.sort()
    return b"".join(elements)


def _element(rng: Random, depth: int, *, is_explicit: bool) -> bytes:
    tag = rng.choice(_TAGS) if rng.random() < 0.8 else rng.randbytes(4)
    vr = rng.choice(_TEXT_VRS)
    is_undefined = False
    if depth < _DEEPEST and (vr == b"SQ" or rng.random() < 0.1):
        is_undefined = rng.random() < 0.5
        value = _items(rng, depth, is_undefined=is_undefined)
        vr = b"SQ" if rng.random() < 0.8 else b"UN"
    else:
        value = _value(rng)
    if len(value) % 2 and rng.random() < 0.95:
        value += b" "
    length = _UNDEFINED if is_undefined else len(value)
    if rng.random() < 0.03:
        length = rng.choice((0, 1, length + 1 & _UNDEFINED, 0xFFFF, 0x7FFFFFFF, _UNDEFINED, _UNDEFINED - 1))
    if not is_explicit:
        return tag + pack("<I", length) + value
    if vr in LONG_VRS:
        return tag + vr + b"\0\0" + pack("<I", length) + value
    return tag + vr + pack("<H", length & 0xFFFF) + value


def _items(rng: Random, depth: int, *, is_undefined: bool) -> bytes:
    parts = []
    for _ in range(rng.choice((0, 1, 1, 1, 2))):
        inner = dataset(rng, depth + 1)[:4000]
        if rng.random() < 0.5:
            parts.append(b"\xfe\xff\x00\xe0" + pack("<I", len(inner)) + inner)
        else:
            parts.append(b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0\0\0\0\0")
    if is_undefined and rng.random() < 0.95:
        parts.append(b"\xfe\xff\xdd\xe0\0\0\0\0")
    return b"".join(parts)


def _value(rng: Random) -> bytes:
    choice = rng.random()
    if choice < 0.4:
        return rng.choice(words("dicom"))
    if choice < 0.6:
        return b"\\".join(rng.choice(words("dicom")) for _ in range(rng.randrange(5)))
    if choice < 0.8:
        return rng.choice(INTEGERS) * rng.randrange(4)
    return rng.randbytes(rng.randrange(40))


def deep_dataset(rng: Random) -> bytes:
    """Sequences in sequences, far beyond what any device writes."""
    start = b"\x08\x00\x40\x11" + rng.choice((b"SQ\0\0", b"UN\0\0", b"")) + b"\xff\xff\xff\xff"
    return (start + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * rng.randrange(1, 2500) + dataset(rng, _DEEPEST)


def file(rng: Random) -> bytes:
    """A Part 10 file of a random data set, in any transfer syntax."""
    syntax = rng.choice(_SYNTAXES) if rng.random() < 0.5 else uids.EXPLICIT_VR_LITTLE_ENDIAN
    return part10.wrap_header("1.2", "1.2.3", syntax) + dataset(rng)


def bare_dataset(rng: Random) -> bytes:
    """A data set behind the byte that chooses its transfer syntax."""
    return rng.randbytes(1) + dataset(rng)


def association(rng: Random) -> bytes:
    """PDUs in a row, with lengths that are mostly right."""
    return b"".join(_pdu(rng) for _ in range(rng.randrange(1, 6)))


def _pdu(rng: Random) -> bytes:
    kind = rng.choice((1, 1, 2, 3, 4, 4, 4, 4, 5, 6, 7, 8))
    if kind == 4:
        body = b"".join(_presentation_data_value(rng) for _ in range(rng.randrange(4)))
    elif kind in (1, 2):
        body = b"\0\1\0\0" + b"A".ljust(16) + b"B".ljust(16) + bytes(32) + item_list(rng)
    else:
        body = rng.randbytes(4)
    length = len(body) if rng.random() < 0.95 else rng.choice((0, len(body) + 1, 0xFFFF, _UNDEFINED))
    return pack(">BBI", kind, 0, length) + body


def _presentation_data_value(rng: Random) -> bytes:
    body = command_set(rng) if rng.random() < 0.5 else rng.randbytes(rng.randrange(100))
    return pack(">IBB", len(body) + 2, rng.choice((1, 1, 1, 3, 0)), rng.randrange(4)) + body


def item_list(rng: Random, depth: int = 0) -> bytes:
    """Items and sub-items of PS3.8 9.3.2: application context, presentation contexts, user information."""
    parts = []
    for _ in range(rng.randrange(5)):
        kind = rng.choice((0x10, 0x20, 0x21, 0x30, 0x40, *range(0x50, 0x5A)))
        is_nested = kind in (0x20, 0x21, 0x50) and depth < 3
        if is_nested:
            body = (b"\1\0\0\0" if kind != 0x50 else b"") + item_list(rng, depth + 1)
        else:
            body = rng.choice(words("net")) if rng.random() < 0.7 else rng.randbytes(rng.randrange(30))
        length = len(body) if rng.random() < 0.95 else rng.choice((0, 1, len(body) + 1, 0xFFFF))
        parts.append(pack(">BBH", kind, 0, length & 0xFFFF) + body)
    return b"".join(parts)


def pdu(rng: Random) -> bytes:
    """The type of a PDU, then its content."""
    made = _pdu(rng)
    return made[:1] + made[6:]


def command_set(rng: Random) -> bytes:
    """Elements of group 0000, PS3.7 annex E."""
    parts = []
    for element in sorted(
        rng.sample((0x2, 0x100, 0x110, 0x120, 0x600, 0x700, 0x800, 0x900, 0x1000, 0x1005), 5)
    ):
        value = rng.choice((b"\1\0", b"\0\0", b"\1\1", b"1.2.840.10008.1.1\0", b"", rng.randbytes(4)))
        parts.append(pack("<HHI", 0, element, len(value)) + value)
    return b"".join(parts)


def sentence(target: str) -> Builder:
    """Words of the target's dictionary in a row, with some noise between them."""
    known = words(target)

    def build(rng: Random) -> bytes:
        parts = []
        for _ in range(rng.randrange(1, 20)):
            parts.append(rng.choice(known))
            if rng.random() < 0.3:
                parts.append(rng.randbytes(rng.randrange(8)))
        return b"".join(parts)

    return build


def deflated_file(rng: Random, data: bytes) -> bytes:
    """A file whose data set is compressed as a whole."""
    return deflated(data)


def deflated_dataset(rng: Random, data: bytes) -> bytes:
    """The same over the network."""
    engine = zlib.compressobj(1, wbits=-15)
    index = sorted(uids.TRANSFER_SYNTAXES).index(uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    return bytes((index,)) + engine.compress(data) + engine.flush()


def zipped(rng: Random, data: bytes) -> bytes:
    """An archive of one or two entries."""
    output = io.BytesIO()
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(output, "w", method) as archive:
        archive.writestr(rng.choice(("a.dcm", "../é", "a/b/", "DICOMDIR")), data)
        if rng.random() < 0.3:
            archive.writestr("a/" + "x" * rng.randrange(300), data[: len(data) // 2])
    return output.getvalue()


def gzipped(rng: Random, data: bytes) -> bytes:
    """A body in gzip, sometimes twice."""
    packed = gzip.compress(data, 1, mtime=0)
    return gzip.compress(packed, 1, mtime=0) if rng.random() < 0.1 else packed


def sealed(rng: Random, data: bytes) -> bytes:
    """A note with the footer that belongs to it."""
    return footers.ending(data, rng.choice((0, 100, 1 << 40)), rng.randrange(1 << 32))


def compressed(rng: Random, data: bytes) -> bytes:
    """A compressed attachment."""
    return b"".join(compress([data]))


BUILDERS: dict[str, tuple[Builder, ...]] = {
    "config.configuration": (json, configuration, configuration),
    "config.json": (json,),
    "dicom.bare_dataset": (bare_dataset, bare_dataset, bare_dataset, deep_dataset),
    "dicom.head": (file, file, dataset, deep_dataset),
    "dicom.whole": (file, file, dataset, deep_dataset),
    "imaging.palette": (dataset,),
    "imaging.file": (image_file,),
    "imaging.presentation": (image_file,),
    "imaging.transcode": (image_file,),
    "ingest.indexed_file": (dataset,),
    "ingest.upload": (file, file, dataset, deep_dataset),
    "net.association": (association,),
    "net.command_set": (command_set,),
    "net.pdu": (pdu,),
    "net.user_information": (item_list,),
    "rest.find": (search, search, search),
    "rest.request": (request,),
}
ENVELOPES: dict[str, tuple[Envelope, ...]] = {
    "dicom.bare_dataset": (deflated_dataset,),
    "dicom.head": (deflated_file,),
    "dicom.whole": (deflated_file,),
    "imaging.file": (deflated_file,),
    "ingest.compressed": (compressed,),
    "ingest.footer": (sealed,),
    "ingest.upload": (zipped, gzipped, deflated_file),
}
